"""An installation whose application is at a forge: a bare repository, and a double that keeps what it hears."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.world import World
from trimtab.testing.forge_double import ForgeDouble
from trimtab.testing.forge_manners import Proposal
from trimtab.testing.forge_messages import Message, Messenger, PullAction

REFS = {"github": "refs/pull/{}/head", "gitlab": "refs/merge-requests/{}/head"}


class Forged(World):
    """A world whose application is at a forge, and not pushed to Trimtab."""

    forge: ForgeDouble
    messenger: Messenger
    hook: str
    deliveries = 0

    @property
    def bare(self) -> Path:
        return self.folder / "org" / "shop.git"

    def connect(self, forge: ForgeDouble) -> None:
        """As a person does it: add the application, and enter in the forge's settings what the command says."""
        self.forge = forge
        self.bare.parent.mkdir()
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self.git("remote", "add", "origin", str(self.bare))
        self.change(version=1)
        words = ["apps", "add", "shop", "--forge", forge.kind, "--repository", forge.repository, "--token-stdin"]
        words += ["--api-url", forge.api_url, "--poll", str(self.bare), "--home", str(self.home)]
        done = subprocess.run(
            [sys.executable, "-m", "trimtab.cli.main", *words],
            input=forge.token,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        said = dict(line.split(None, 1) for line in done.stderr.splitlines() if line.startswith(("webhook", "secret")))
        self.hook, self.messenger = said["webhook"], forge.messenger(said["secret"])

    def change(self, ref: str = "refs/heads/main", **behaviour: float | str) -> str:
        """Commit a version and push it to the forge, which says nothing of it; the commit."""
        (self.repository / "behaviour.json").write_text(json.dumps(behaviour))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Behave as {behaviour}")
        self.git("push", "--quiet", "--force", "origin", f"HEAD:{ref}")
        return self.git("rev-parse", "HEAD")

    def propose(self, number: int, action: PullAction, **behaviour: float | str) -> str:
        """Open a pull request or push to its branch, from where `main` is; the commit. The forge says so."""
        self.git("checkout", "--quiet", "-B", f"pull-{number}", "main")
        commit = self.change(REFS[self.forge.kind].format(number), **behaviour)
        self.git("checkout", "--quiet", "main")
        self.forge.pulls[number] = Proposal(number, f"pull-{number}", commit)
        self.say(self.messenger.pull(action, self.forge.pulls[number], self.delivery()))
        return commit

    def merge(self, number: int) -> str:
        """The commit on `main`; the forge says both."""
        self.git("merge", "--quiet", "--no-edit", "--no-ff", f"pull-{number}")
        self.git("push", "--quiet", "origin", "main")
        commit = self.git("rev-parse", "HEAD")
        self.forge.pulls[number].is_open = False
        self.say(self.messenger.pull("merged", self.forge.pulls[number], self.delivery()))
        self.say(self.messenger.push("main", commit, self.delivery()))
        return commit

    def delivery(self) -> str:
        self.deliveries += 1
        return f"delivery-{self.deliveries}"

    def say(self, message: Message) -> str:
        status, said = self.forge.deliver(self.hook, message)
        assert status == 200, said
        return said

    def told(self, commit: str) -> str:
        """What the commit's status is; empty while nothing was said of it."""
        return next((said.state for said in reversed(self.forge.statuses) if said.commit == commit), "")

    def comment(self, number: int) -> str:
        """The only comment on the pull request; empty while there is none."""
        there = self.forge.comments.get(number, [])
        assert len(there) <= 1
        return there[0].text if there else ""

    def everything_written(self) -> bytes:
        """All files of the installation but those with its secrets."""
        files = [path for path in self.home.rglob("*") if path.is_file() and "secrets" not in path.parts]
        return b"".join(path.read_bytes() for path in files) + (self.folder / "up.log").read_bytes()
