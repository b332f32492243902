"""What `trimtab verify` finds: every byte that is kept of a release, of what is attested of it, and of the keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.signing import FileKeys
from trimtab.app.verifying import verified
from trimtab.core.decide.run import RunState
from trimtab.core.decide.run.state import StepState
from trimtab.core.model.actions import CutRelease
from trimtab.core.model.facts import Change
from trimtab.core.model.identity import Digest
from trimtab.core.model.specification import EnvironmentSpec, RequireSpec, ServiceSpec, Specification, StepSpec
from trimtab.engine.attesting import Attesting
from trimtab.engine.trusting import Trusting
from trimtab.testing.artifacts_contract import FILES, cut
from trimtab.testing.clock import ManualClock
from trimtab.views.verification import VerificationView

STEPS = (StepSpec("test", "pytest"), StepSpec("lint", "ruff check"))
SPECIFICATION = Specification(
    "shop",
    ServiceSpec("serve"),
    (EnvironmentSpec("staging", 8081), EnvironmentSpec("production", 8080, require=RequireSpec(gates=("test",)))),
    STEPS,
)
EVERY_BYTE, SAMPLES = 200, 40
"""Files up to this size are changed at every byte, larger ones at so many."""


@dataclass
class Kept:
    """A release on a disk, cut and attested by run 1."""

    home: Path
    release: Digest
    trusting: Trusting
    keys: FileKeys

    async def verify(self) -> VerificationView:
        return await verified("shop", self.release, self.trusting, self.keys.damage())

    def files(self) -> list[Path]:
        """All that it stands on; not the folder that instances would run in, which each start compares anew."""
        return sorted(path for path in self.home.rglob("*") if path.is_file() and path.name not in (".lock", "lock"))


@pytest.fixture
async def kept(tmp_path: Path) -> Kept:
    artifacts, keys = FileArtifacts(tmp_path / "home" / "artifacts"), FileKeys(tmp_path / "home" / "keys")
    manifest = await cut(artifacts, tmp_path / "w", FILES, SPECIFICATION)
    trusting = Trusting(artifacts, keys, ManualClock())
    attesting = Attesting(trusting, keys, lambda app, run: run_of(app, run), "http://trimtab", "1")
    change = Change("c" * 40, "main", "ada", "first", 0.0)
    await attesting.attest(CutRelease("shop", 1, change, SPECIFICATION), manifest)
    return Kept(tmp_path / "home", manifest.digest, trusting, keys)


def run_of(app: str, run: int) -> RunState:
    return RunState(app, run, steps={step.name: StepState("passed", process=f"step/{step.name}") for step in STEPS})


def positions(path: Path) -> Iterator[int]:
    size = path.stat().st_size
    step = 1 if size <= EVERY_BYTE else size / SAMPLES
    return iter(sorted({int(number * step) for number in range(size if step == 1 else SAMPLES)} | {size - 1}))


async def test_a_release_that_is_as_it_was(kept: Kept) -> None:
    seen = await kept.verify()
    assert seen.problems == ()
    assert seen.parts["code"].files == 4
    assert [(each.kind, each.step, each.result) for each in seen.attestations] == [
        ("provenance", "", ""),
        ("test result", "test", "PASSED"),
        ("test result", "lint", "PASSED"),
    ]
    assert all(each.keys == (kept.keys.list()[0].keyid,) for each in seen.attestations)
    assert [(each.environment, each.accepted) for each in seen.environments] == [
        ("staging", True),
        ("production", True),
    ]


async def test_any_byte_that_is_another_is_found(kept: Kept) -> None:
    """Blobs, lists of files, manifest, envelopes, payloads, signatures, public keys."""
    kinds = set()
    for path in kept.files():
        if path.name == "release.key":
            continue  # what it may hold is tested with the keys
        content, mode = path.read_bytes(), path.stat().st_mode
        path.chmod(0o600)
        for at in positions(path):
            path.write_bytes(content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :])
            seen = await kept.verify()
            assert seen.problems, f"byte {at} of {path}"
            kinds.add(seen.problems[0].code)
        path.write_bytes(content)
        path.chmod(mode)
    assert (await kept.verify()).problems == ()
    assert kinds == {"artifact-corrupt", "attestation-damaged", "attestation-untrusted", "key-damaged"}


async def test_any_file_that_is_gone_is_found(kept: Kept) -> None:
    for path in kept.files():
        if path.name in ("release.key", "release.pub"):
            continue  # only what is signed next needs them
        content = path.read_bytes()
        path.unlink()
        assert (await kept.verify()).problems, path
        path.write_bytes(content)


async def test_it_says_where_and_what_to_do(kept: Kept) -> None:
    blob = next(path for path in kept.files() if path.read_bytes() == FILES["app.py"].content)
    blob.chmod(0o600)
    blob.write_bytes(b"print('bye')\n")
    (problem,) = (await kept.verify()).problems
    assert "`app.py` of release" in problem.message
    assert problem.where == str(blob)
    assert problem.hint


async def test_a_file_of_a_step_that_was_taken_away_leaves_the_gate_open_nowhere(kept: Kept) -> None:
    """Without the result of its gate, production refuses it, and staging does not."""
    (path,) = (kept.home / "artifacts" / "attestations").rglob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.chmod(0o600)
    path.write_bytes(b"".join((lines[0], lines[2])))
    seen = await kept.verify()
    assert [each.accepted for each in seen.environments] == [True, False]
    assert "nothing is attested of test in run shop/1" in seen.problems[0].message


async def test_a_release_of_before_has_nothing(kept: Kept) -> None:
    await kept.trusting.artifacts.retract(kept.release, ("run-1",))
    seen = await kept.verify()
    assert [problem.code for problem in seen.problems] == ["release-refused", "release-refused"]
    assert "it is not signed" in seen.problems[0].message


async def test_what_is_no_release(kept: Kept) -> None:
    seen = await verified("shop", "sha256:" + "0" * 64, kept.trusting, ())
    assert [problem.code for problem in seen.problems] == ["artifact-missing"]
