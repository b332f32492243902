"""Every command with its one line and the module it lives in.

The only part of the command line that `trimtab --help` and completion need, so that neither imports any command.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """`place` is ``module:attribute``, imported when the command is called for."""

    summary: str
    place: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Begin": {
        "init": Entry("Write a commented trimtab.yaml for this folder.", "init:init"),
        "import": Entry("Write trimtab.yaml from another tool's configuration.", "import_:import_group"),
        "validate": Entry("Check trimtab.yaml and show all its problems.", "validate:validate"),
        "run": Entry("Run the pipeline here, on the files as they are now.", "run_:run"),
        "simulate": Entry("Tell how soon a rollout would have a verdict.", "simulate:simulate"),
        "up": Entry("Run the controller, the gateway and the API.", "up:up"),
        "down": Entry("Stop Trimtab, and everything that it runs.", "up:down"),
        "apps": Entry("List the applications, or add one.", "apps:apps"),
    },
    "See": {
        "status": Entry("Show what runs where, and what is on its way.", "status:status"),
        "runs": Entry("List the newest runs of the pipeline, or show one.", "runs:runs"),
        "releases": Entry("List the newest releases and how they fared, or show one.", "releases:releases"),
        "diff": Entry("Show what a release changes: prompts, model, files.", "diff:diff"),
        "export": Entry("Write a release as an OCI image, for other tools.", "ship:export"),
        "push": Entry("Send a release to an OCI registry.", "ship:push"),
        "verify": Entry("Verify a release: its bytes, its signatures, where it may go.", "verify:verify"),
        "previews": Entry("List the previews of pull requests, or remove one.", "previews:previews"),
        "rollout": Entry("List rollouts, or watch the one under way.", "rollout:rollout"),
        "metrics": Entry("Read your own metrics once, now.", "metrics:metrics"),
        "logs": Entry("Print what steps or instances wrote.", "logs:logs"),
        "history": Entry("Show what happened, and why.", "history:history"),
    },
    "Steer": {
        "approve": Entry("Let a step go on that waits for a person.", "steer:approve"),
        "promote": Entry("Take the candidate to 100 % without waiting for evidence.", "steer:promote"),
        "pause": Entry("Keep the rollout at its present share.", "steer:pause"),
        "resume": Entry("Let a paused rollout go on.", "steer:resume"),
        "abort": Entry("Take the rollout back to the stable release.", "steer:abort"),
        "rollback": Entry("Return to an earlier release at once.", "steer:rollback"),
        "cancel": Entry("Stop a run of the pipeline.", "steer:cancel"),
        "rerun": Entry("Run what failed once more, or a step, or everything.", "rerun:rerun"),
    },
    "Hold": {
        "pin": Entry("Keep an environment on one release.", "hold:pin"),
        "unpin": Entry("Let newer releases in again.", "hold:unpin"),
        "freeze": Entry("Let no rollout begin by itself.", "hold:freeze"),
        "thaw": Entry("End a freeze.", "hold:thaw"),
        "quarantine": Entry("List releases that were proven worse, or trust one again.", "hold:quarantine"),
    },
    "Keep": {
        "secrets": Entry("List the secrets that steps can have, set or remove one.", "secrets:secrets"),
        "keys": Entry("List the keys that sign releases; make, trust or revoke one.", "keys:keys"),
        "doctor": Entry("Say what is wrong with this installation, and what to do.", "doctor:doctor"),
        "backup": Entry("Write everything into one file, while everything goes on.", "backup:backup"),
        "restore": Entry("Put a backup back into an empty folder.", "backup:restore"),
    },
    "More": {
        "completion": Entry("Print the completion script of a shell.", "completion:completion"),
        "version": Entry("Print the version of trimtab.", "version:version"),
    },
}

GROUPS: dict[str, dict[str, Entry]] = {
    "apps": {
        "add": Entry("Add an application: pushed to Trimtab, or polled.", "apps:add"),
    },
    "import": {
        "argo-rollouts": Entry("Write trimtab.yaml from a Rollout of Argo Rollouts.", "import_:argo_rollouts"),
    },
    "keys": {
        "list": Entry("List the keys that sign releases, and those that are trusted.", "keys:list_keys"),
        "new": Entry("Sign with a new key from now on.", "keys:new_key"),
        "trust": Entry("Let in what another installation has signed.", "keys:trust_key"),
        "revoke": Entry("Let no signature of a key count any more.", "keys:revoke_key"),
    },
    "previews": {
        "list": Entry("List the previews of pull requests.", "previews:list_previews"),
        "close": Entry("Remove the preview of a pull request.", "previews:close"),
    },
    "quarantine": {
        "list": Entry("List the releases in quarantine.", "hold:list_quarantine"),
        "lift": Entry("Trust a release again that was proven worse.", "hold:lift"),
    },
    "secrets": {
        "list": Entry("List secrets without their values.", "secrets:list_secrets"),
        "set": Entry("Set a secret; its value comes from standard input.", "secrets:set_secret"),
        "remove": Entry("Remove a secret.", "secrets:remove_secret"),
    },
    "rollout": {
        "list": Entry("List the newest rollouts of an environment.", "rollout:list_rollouts"),
        "watch": Entry("Watch the rollout under way until it ends.", "watch:watch"),
    },
}


def summary_of(name: str) -> str:
    """The one line of a command, named as it is typed: ``status``, ``rollout watch``."""
    group, _, member = name.partition(" ")
    if member:
        return GROUPS[group][member].summary
    return next(commands[name].summary for commands in SECTIONS.values() if name in commands)
