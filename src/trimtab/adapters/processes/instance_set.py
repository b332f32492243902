"""The instances of one arm in one environment, or of several arms that run the same program, on disk: everything it
takes to start one again."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trimtab.adapters.processes import record
from trimtab.core.errors import failure, stale_fence
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, release_of, short
from trimtab.core.model.specification import ReleaseSpec, Specification
from trimtab.ports.processes import ProcessSpec

PROCESS_PREFIX = "instance/"
RELEASES = "TRIMTAB_RELEASES"
"""The folder in which instances that serve several releases find each one's files, below the hex digits of its name."""
_INHERITED = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"}
"""What an instance sees of the controller's environment, and what it is when the controller has none."""


@dataclass(frozen=True, slots=True)
class Use:
    """An arm that uses the first `replicas` of shared instances, and what they are started with in its name."""

    arm: ArmId
    replicas: int
    root: str
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InstanceSet:
    """Instance `n` (from 1) listens on `ports[n - 1]`. `stopped_at`: kept for its logs only.

    With a `program`, any arm that runs it may use the same instances: `uses` has them in the order in which they came,
    and an instance that nobody looks after any more is started again as the newest of them. Without one, `arm` alone
    uses them. The processes are named after `name`; empty: after `arm`, the first that used them.
    """

    app: str
    environment: str
    arm: ArmId
    root: str
    command: str
    env: Mapping[str, str]
    port_env: str
    health_path: str | None
    health_timeout_s: float
    stop_timeout_s: float
    ports: tuple[int, ...] = ()
    stopped_at: float | None = None
    program: Digest = ""
    uses: tuple[Use, ...] = ()
    name: str = ""

    @property
    def used_by(self) -> Mapping[ArmId, int]:
        """How many of the instances each arm uses: the first so many."""
        return {use.arm: use.replicas for use in self.uses} if self.program else {self.arm: len(self.ports)}

    @property
    def needed(self) -> int:
        """How many instances there must be for all arms to have theirs."""
        return max(self.used_by.values(), default=0)

    @property
    def environment_id(self) -> EnvironmentId:
        return EnvironmentId(self.app, self.environment)

    @property
    def process_prefix(self) -> str:
        return processes_of(self.environment_id, self.name or short(self.arm))

    def with_use(self, use: Use) -> InstanceSet:
        """With this arm. One that is there already stays as it came, with at least so many instances."""
        if use.arm not in self.used_by:
            return replace(self, uses=(*self.uses, use))
        more = {use.arm: max(use.replicas, self.used_by[use.arm])}
        return replace(self, uses=tuple(replace(u, replicas=more.get(u.arm, u.replicas)) for u in self.uses))

    def without_use(self, arm: ArmId) -> InstanceSet:
        """As the others use it."""
        return replace(self, uses=tuple(use for use in self.uses if use.arm != arm))

    def process_of(self, arm: ArmId, number: int) -> str:
        """What the arm calls its instance `number`, which may be another's process."""
        return f"{processes_of(self.environment_id, short(arm))}{number}" if self.program else self.process_name(number)

    @property
    def temporary_folder(self) -> Path:
        return Path(self.env["TRIMTAB_STATE_DIR"]) / "tmp"

    def process_name(self, number: int) -> str:
        return f"{self.process_prefix}{number}"

    def process_spec(self, number: int) -> ProcessSpec:
        """A shell runs the command, because people write ``cd src && python app.py``; it sees its files read-only, and
        so those of other releases that it serves."""
        root, env = (self.uses[-1].root, self.uses[-1].env) if self.uses else (self.root, self.env)
        others = env.get(RELEASES)
        return ProcessSpec(
            name=self.process_name(number),
            argv=("/bin/sh", "-c", self.command),
            cwd=root,
            env={**env, self.port_env: str(self.ports[number - 1])},
            restart=True,
            stop_timeout_s=self.stop_timeout_s,
            read_only=(root,) if others is None else (others,),
        )


def processes_of(environment: EnvironmentId, name: str) -> str:
    """What the names of the processes start with that are named after an arm (`short`)."""
    return f"{PROCESS_PREFIX}{environment}/{name}/"


def free_name(environment: EnvironmentId, arm: ArmId, taken: Collection[str]) -> str:
    """The name for the arm's own processes: empty, unless others that came from this arm still run under that (then
    another whose prefix is not `taken`)."""
    name, number = short(arm), 1
    while processes_of(environment, name) in taken:
        number += 1
        name = f"{short(arm)}.{number}"
    return name if number > 1 else ""


def plan(
    environment: EnvironmentId,
    arm: ArmId,
    specification: Specification,
    root: Path,
    state_folder: Path,
    variables: Mapping[str, str],
    program: Digest = "",
) -> InstanceSet:
    """A set without instances yet. `variables`: the arm's own, on top of the specification's. `program`: other arms
    that run the same may use it, too."""
    service = specification.service
    place = specification.environment(environment.name)
    env = {name: os.environ.get(name, default) for name, default in _INHERITED.items()}
    env["TMPDIR"] = str(state_folder / "tmp")
    env |= {**service.env, **(place.env if place else {}), **variables}
    env |= {
        "TRIMTAB_APP": environment.app,
        "TRIMTAB_ENVIRONMENT": environment.name,
        "TRIMTAB_RELEASE": release_of(arm),
        "TRIMTAB_STATE_DIR": str(state_folder),
    }
    env |= _variables_of(specification.release, root)
    if specification.release.hot and root.name == release_of(arm).removeprefix("sha256:"):
        env[RELEASES] = str(root.parent)
    return InstanceSet(
        app=environment.app,
        environment=environment.name,
        arm=arm,
        root=str(root),
        command=service.command,
        env=env,
        port_env=service.port_env,
        health_path=service.health_path,
        health_timeout_s=service.health_timeout_s,
        stop_timeout_s=service.stop_timeout_s,
        program=program,
    )


def _variables_of(release: ReleaseSpec, root: Path) -> Mapping[str, str]:
    """What the application reads of its release. Paths are absolute: it may well change its folder."""
    said: dict[str, str] = {}
    if release.model is not None:
        said["TRIMTAB_MODEL"] = _json(_with_absolute_files(release.model, root))
    if release.prompts:
        prompts = {
            name: {"file": str(root / prompt.file), "variables": list(prompt.variables or ())}
            for name, prompt in release.prompts.items()
        }
        said["TRIMTAB_PROMPTS"] = _json(prompts)
    if release.config is not None:
        said["TRIMTAB_CONFIG"] = _json(release.config)
    elif release.config_file:
        said["TRIMTAB_CONFIG"] = str(root / release.config_file)
    if release.flags:
        said["TRIMTAB_FLAGS"] = str(root / release.flags)
    return said


def _with_absolute_files(model: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
    made = dict(model)
    if isinstance(file := made.get("file"), str):
        made["file"] = str(root / file)
    if isinstance(fallback := made.get("fallback"), list | tuple):
        made["fallback"] = [_with_absolute_files(one, root) if isinstance(one, Mapping) else one for one in fallback]
    return made


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


class InstanceBook:
    """All sets, a file for each: ``APP/ENVIRONMENT/SHORT.json`` below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> tuple[InstanceSet, ...]:
        """All sets, stopped ones too."""
        return tuple(_parse(path) for path in sorted(self._folder.glob("*/*/*.json")))

    def write(self, instances: InstanceSet) -> None:
        path = self._path(instances)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fields = asdict(instances)
        for name in _LATER:
            if not fields[name]:
                del fields[name]  # so that older versions can read what they know
        record.write(str(path), json.dumps(fields, indent=1).encode(), durable=True)

    def remove(self, instances: InstanceSet) -> None:
        self._path(instances).unlink(missing_ok=True)

    def check_fence(self, environment: EnvironmentId, fence: int) -> None:
        """Remember the fence if it is the highest that was seen for the environment. Raises `StaleFence` for a lower
        one but 0. Read from disk each time, for another controller may have written it."""
        path = self._folder / environment.app / environment.name / "fence"
        held = int(path.read_text()) if path.exists() else 0
        if 0 < fence < held:
            raise stale_fence(f"instances, {environment}", held, fence)
        if fence > held:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            record.write(str(path), str(fence).encode(), durable=True)

    def _path(self, instances: InstanceSet) -> Path:
        name = instances.name or short(instances.arm)
        return self._folder / instances.app / instances.environment / f"{name}.json"


_LATER = ("program", "uses", "name")


def _parse(path: Path) -> InstanceSet:
    try:
        fields: dict[str, Any] = json.loads(path.read_bytes())
        uses = tuple(Use(**use) for use in fields.get("uses", ()))
        return InstanceSet(**{**fields, "ports": tuple(fields["ports"]), "uses": uses})
    except (ValueError, TypeError, KeyError) as error:
        raise failure(
            "instances-record-corrupt",
            f"It cannot be read which instances run: {error}.",
            "Remove this file, stop its instances by hand, and deploy again.",
            str(path),
        ) from error
