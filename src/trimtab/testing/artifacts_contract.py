"""What every Artifacts promises. Each check gets a fresh one and an empty folder for workspaces."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from trimtab.core.model.release import Manifest, digest_of
from trimtab.core.model.specification import EnvironmentSpec, PromptSpec, ReleaseSpec, ServiceSpec, Specification
from trimtab.core.model.tree import MadeFile, TreeEntry
from trimtab.ports.artifacts import Artifacts
from trimtab.testing.memory_source import File
from trimtab.testing.source_contract import problem_of

ArtifactsCheck = Callable[[Artifacts, Path], Awaitable[None]]
SPECIFICATION = Specification("shop", ServiceSpec("python app.py"), (EnvironmentSpec("production", 8080),))
FILES = {
    "app.py": File(b"print('hello')\n"),
    "bin/run": File(b"#!/bin/sh\n", "755"),
    "prompts/system.txt": File(b"Be kind.\n"),
    "latest": File(b"prompts/system.txt", "link"),
}


def with_parts(**parts: tuple[str, ...]) -> Specification:
    return replace(SPECIFICATION, release=ReleaseSpec(parts))


def make_workspace(folder: Path, files: Mapping[str, File]) -> Path:
    """Write the files; the folder."""
    for path, file in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.mode == "link":
            target.symlink_to(os.fsdecode(file.content))
        else:
            target.write_bytes(file.content)
            target.chmod(0o755 if file.mode == "755" else 0o644)
    return folder


def read_folder(folder: Path) -> dict[str, File]:
    """The files below a folder, as `make_workspace` takes them."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = File(os.fsencode(os.readlink(path)), "link")
        elif not path.is_dir():
            found[name] = File(path.read_bytes(), "755" if path.stat().st_mode & 0o100 else "644")
    return found


async def cut(
    artifacts: Artifacts, folder: Path, files: Mapping[str, File], specification: Specification = SPECIFICATION
) -> Manifest:
    return await artifacts.cut(make_workspace(folder, files), sorted(files), specification)


async def check_a_release_is_what_was_cut(artifacts: Artifacts, folder: Path) -> None:
    manifest = await cut(artifacts, folder / "w", FILES)
    assert manifest.app == "shop"
    assert manifest.specification == SPECIFICATION
    assert manifest.parts["code"].files == 4
    assert manifest.parts["code"].size_bytes == sum(len(file.content) for file in FILES.values())
    assert await artifacts.manifest(manifest.digest) == manifest
    assert await artifacts.releases() == (manifest.digest,)
    assert read_folder(await artifacts.materialise(manifest.digest)) == FILES


async def check_the_same_inputs_give_the_same_digest(artifacts: Artifacts, folder: Path) -> None:
    first = await cut(artifacts, folder / "one", FILES)
    workspace = make_workspace(folder / "two", dict(reversed(FILES.items())))
    for path in workspace.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    second = await artifacts.cut(workspace, sorted(FILES, reverse=True), SPECIFICATION)
    assert second == first
    assert second.digest == first.digest
    assert len(await artifacts.releases()) == 1


async def check_what_was_made_elsewhere_counts_as_if_it_were_there(artifacts: Artifacts, folder: Path) -> None:
    specification = with_parts(code=(".",), index=("index", "out/version"))
    made = {"index/a b/v": File(b"1"), "index/ü": File(b"#!", "755"), "out/version": File(b"1"), "out/log": File(b"x")}
    whole = make_workspace(folder / "one", {**FILES, **made})
    first = await artifacts.cut(whole, sorted(FILES), specification)
    pieces = [
        MadeFile(TreeEntry(path, file.mode, digest_of(file.content), len(file.content)), str(whole / path))
        for path, file in made.items()
    ]
    second = await artifacts.cut(make_workspace(folder / "two", FILES), sorted(FILES), specification, pieces)
    assert second == first
    in_release = {path: file for path, file in made.items() if path != "out/log"}
    assert read_folder(await artifacts.materialise(second.digest)) == {**FILES, **in_release}
    only = with_parts(code=("nowhere",))
    problem = await problem_of(artifacts.cut(folder / "two", sorted(FILES), only, pieces))
    assert problem.code == "part-empty"


async def check_what_was_made_elsewhere_and_is_damaged_is_refused(artifacts: Artifacts, folder: Path) -> None:
    for name in ("damaged", "gone"):
        piece = MadeFile(TreeEntry(f"index/{name}", "644", digest_of(name.encode()), len(name)), str(folder / name))
        (folder / "damaged").write_bytes(b"DAMAGED")
        workspace = make_workspace(folder / f"in-{name}", FILES)
        problem = await problem_of(artifacts.cut(workspace, sorted(FILES), with_parts(index=("index",)), [piece]))
        assert problem.code == "outputs-missing"
        assert await artifacts.releases() == ()


async def check_other_inputs_give_another_digest(artifacts: Artifacts, folder: Path) -> None:
    seen = {(await cut(artifacts, folder / "0", FILES)).digest}
    others = (
        {**FILES, "app.py": File(b"print('hallo')\n")},
        {**FILES, "app.py": File(FILES["app.py"].content, "755")},
        {**FILES, "latest": File(b"app.py", "link")},
        {**FILES, "new": File(b"")},
        {"moved.py" if path == "app.py" else path: file for path, file in FILES.items()},
    )
    for number, files in enumerate(others, start=1):
        seen.add((await cut(artifacts, folder / str(number), files)).digest)
    changed = replace(SPECIFICATION, release=ReleaseSpec(model={"name": "small", "temperature": 0.0}))
    seen.add((await cut(artifacts, folder / "model", FILES, changed)).digest)
    changed = replace(SPECIFICATION, service=ServiceSpec("python app.py", env={"A": "1"}))
    seen.add((await cut(artifacts, folder / "env", FILES, changed)).digest)
    assert len(seen) == len(others) + 3


async def check_a_part_does_not_depend_on_the_others(artifacts: Artifacts, folder: Path) -> None:
    specification = with_parts(code=(".",), prompts=("prompts",))
    first = await cut(artifacts, folder / "one", FILES, specification)
    second = await cut(artifacts, folder / "two", {**FILES, "app.py": File(b"")}, specification)
    assert first.parts["prompts"] == second.parts["prompts"]
    assert first.parts["code"] != second.parts["code"]


async def check_a_file_goes_to_the_part_that_names_it_most_closely(artifacts: Artifacts, folder: Path) -> None:
    files = {path: File(b"") for path in ("a/b/c/x", "a/b/y", "a/z", "ab/q", "top")}
    specification = with_parts(outer=("./a/",), inner=("a/b",), one=("a/b/c/x",), code=(".",))
    manifest = await cut(artifacts, folder / "w", files, specification)
    counts = {name: part.files for name, part in manifest.parts.items()}
    assert counts == {"outer": 1, "inner": 1, "one": 1, "code": 2}


async def check_a_dot_means_tracked_files_only(artifacts: Artifacts, folder: Path) -> None:
    workspace = make_workspace(folder / "w", {**FILES, "build/out.js": File(b"1"), "scratch": File(b"2")})
    manifest = await artifacts.cut(workspace, sorted(FILES), with_parts(code=(".",), web=("build",)))
    found = read_folder(await artifacts.materialise(manifest.digest))
    assert set(found) == {*FILES, "build/out.js"}


async def check_a_part_without_files_is_refused(artifacts: Artifacts, folder: Path) -> None:
    for number, (specification, named) in enumerate(
        (
            (with_parts(code=(".",), index=("index/missing.bin",)), "index/missing.bin"),
            (with_parts(prompts=("prompts",), text=("prompts/system.txt",)), "prompts"),
        )
    ):
        problem = await problem_of(cut(artifacts, folder / str(number), FILES, specification))
        assert problem.code == "part-empty"
        assert named in problem.message
        assert problem.hint
    assert await artifacts.releases() == ()


async def check_a_tracked_file_that_is_gone_is_refused(artifacts: Artifacts, folder: Path) -> None:
    workspace = make_workspace(folder / "w", FILES)
    problem = await problem_of(artifacts.cut(workspace, [*FILES, "removed.py"], SPECIFICATION))
    assert problem.code == "part-empty"
    assert "removed.py" in problem.message


async def check_paths_out_of_the_workspace_are_refused(artifacts: Artifacts, folder: Path) -> None:
    (folder / "secret").write_text("s")
    for path in ("../secret", "/etc/passwd", "a/../../secret", ""):
        specification = with_parts(code=(".",), other=(path,))
        problem = await problem_of(cut(artifacts, folder / "w", {"app.py": File(b"")}, specification))
        assert problem.code == "part-refused", path


async def check_links_out_of_the_workspace_are_refused(artifacts: Artifacts, folder: Path) -> None:
    (folder / "secret").write_text("s")
    deep = {"a/b/real/x": File(b""), "a/b/hop": File(b"../../real", "link"), "real/y": File(b"")}
    for number, files in enumerate(
        (
            {"bad": File(b"../secret", "link")},
            {"bad": File(b"/etc/passwd", "link")},
            {"bad": File(os.fsencode(folder / "2" / "app.py"), "link")},
            {**deep, "a/b/bad": File(b"hop/../../secret", "link")},
        )
    ):
        problem = await problem_of(cut(artifacts, folder / str(number), {**FILES, **files}))
        assert problem.code == "part-refused"
        assert "bad" in problem.message


async def check_pipes_are_refused(artifacts: Artifacts, folder: Path) -> None:
    workspace = make_workspace(folder / "w", FILES)
    os.mkfifo(workspace / "prompts" / "pipe")
    problem = await problem_of(artifacts.cut(workspace, sorted(FILES), with_parts(all=("prompts",))))
    assert problem.code == "part-refused"
    assert "prompts/pipe" in problem.message


async def check_one_path_in_two_parts_is_refused(artifacts: Artifacts, folder: Path) -> None:
    problem = await problem_of(cut(artifacts, folder / "w", FILES, with_parts(a=("prompts",), b=("./prompts/",))))
    assert problem.code == "part-refused"
    assert "prompts" in problem.message


async def check_the_workspace_may_change_afterwards(artifacts: Artifacts, folder: Path) -> None:
    manifest = await cut(artifacts, folder / "w", FILES)
    (folder / "w" / "app.py").write_bytes(b"something else\n")
    assert read_folder(await artifacts.materialise(manifest.digest)) == FILES


async def check_what_is_materialised_is_whole_each_time(artifacts: Artifacts, folder: Path) -> None:
    manifest = await cut(artifacts, folder / "w", FILES)
    root = await artifacts.materialise(manifest.digest)
    assert root.name == manifest.digest.removeprefix("sha256:"), "instances find it by its name"
    for path in (root, root / "bin", root / "prompts"):
        path.chmod(0o755)
    (root / "app.py").chmod(0o644)
    (root / "app.py").write_bytes(b"print('hellO')\n")
    (root / "app.py").chmod(0o444)
    (root / "bin" / "run").unlink()
    (root / "latest").unlink()
    (root / "latest").symlink_to("app.py")
    (root / "prompts" / "extra").mkdir()
    (root / "prompts" / "extra" / "file").write_text("x")
    again = await artifacts.materialise(manifest.digest)
    assert again == root
    assert read_folder(again) == FILES
    assert not (root / "app.py").stat().st_mode & 0o222


async def check_files_are_listed_and_read(artifacts: Artifacts, folder: Path) -> None:
    manifest = await cut(artifacts, folder / "w", FILES, with_parts(code=(".",), prompts=("prompts",)))
    trees = await artifacts.files(manifest.digest)
    assert {part: [entry.path for entry in tree] for part, tree in trees.items()} == {
        "code": ["app.py", "bin/run", "latest"],
        "prompts": ["prompts/system.txt"],
    }
    assert {entry.path: entry.mode for entry in trees["code"]} == {"app.py": "644", "bin/run": "755", "latest": "link"}
    wanted = trees["prompts"][0]
    assert await artifacts.read(manifest.digest, {wanted.digest}) == {wanted.digest: b"Be kind.\n"}
    assert await artifacts.read(manifest.digest, {"sha256:" + "0" * 64}) == {}


async def check_each_prompt_has_a_version(artifacts: Artifacts, folder: Path) -> None:
    def with_prompt(*variables: str, **parts: tuple[str, ...]) -> Specification:
        prompts = {"system": PromptSpec("prompts/system.txt", variables)}
        return replace(SPECIFICATION, release=ReleaseSpec(parts or {"code": (".",)}, prompts=prompts))

    first = (await cut(artifacts, folder / "1", FILES, with_prompt("b", "a"))).prompts["system"]
    assert (first.file, first.size_bytes, first.variables) == ("prompts/system.txt", 9, ("a", "b"))
    same = await cut(artifacts, folder / "2", {**FILES, "app.py": File(b"")}, with_prompt("a", "b"))
    assert same.prompts["system"].version == first.version
    assert (await artifacts.manifest(same.digest)).prompts == same.prompts
    others = (
        await cut(artifacts, folder / "3", FILES, with_prompt("a")),
        await cut(artifacts, folder / "4", {**FILES, "prompts/system.txt": File(b"Be kind!")}, with_prompt("a", "b")),
    )
    assert len({first.version, *(other.prompts["system"].version for other in others)}) == 3
    for number, files in enumerate(
        ({"app.py": File(b"")}, {**FILES, "prompts/system.txt": File(b"../app.py", "link")})
    ):
        problem = await problem_of(cut(artifacts, folder / f"bad{number}", files, with_prompt()))
        assert problem.code == "prompt-missing"


async def check_the_files_of_the_model_are_named(artifacts: Artifacts, folder: Path) -> None:
    model = {"file": "models/a", "fallback": [{"name": "far"}, {"file": "models/b"}]}
    specification = replace(SPECIFICATION, release=ReleaseSpec(model=model))
    models = {"models/a": File(b"12"), "models/b": File(b"345")}
    manifest = await cut(artifacts, folder / "w", {**FILES, **models}, specification)
    assert {path: file.size_bytes for path, file in manifest.model_files.items()} == {"models/a": 2, "models/b": 3}
    assert manifest.model_files["models/a"].digest == digest_of(b"12")
    problem = await problem_of(cut(artifacts, folder / "none", FILES, specification))
    assert problem.code == "model-file"


async def check_a_release_that_is_not_there_is_named(artifacts: Artifacts, _: Path) -> None:
    for release in ("sha256:" + "0" * 64, "sha256:12", "latest", "../x"):
        for call in (
            artifacts.manifest(release),
            artifacts.materialise(release),
            artifacts.files(release),
            artifacts.read(release, ()),
        ):
            problem = await problem_of(call)
            assert problem.code == "artifact-missing"
            assert release in problem.message
            assert problem.hint


async def check_collect_keeps_what_is_kept(artifacts: Artifacts, folder: Path) -> None:
    shared = {"shared": File(b"s" * 1000)}
    kept = await cut(artifacts, folder / "one", {**FILES, **shared})
    gone = await cut(artifacts, folder / "two", {**shared, "own": File(b"o" * 5000)})
    await artifacts.materialise(gone.digest)
    freed_bytes = await artifacts.collect({kept.digest, "sha256:" + "0" * 64})
    assert freed_bytes >= 5000
    assert await artifacts.releases() == (kept.digest,)
    assert read_folder(await artifacts.materialise(kept.digest)) == {**FILES, **shared}
    assert (await problem_of(artifacts.manifest(gone.digest))).code == "artifact-missing"
    assert await artifacts.collect({kept.digest}) == 0


async def check_a_collected_release_can_be_cut_again(artifacts: Artifacts, folder: Path) -> None:
    manifest = await cut(artifacts, folder / "w", FILES)
    await artifacts.collect(())
    assert await artifacts.releases() == ()
    again = await artifacts.cut(folder / "w", sorted(FILES), SPECIFICATION)
    assert again == manifest
    assert read_folder(await artifacts.materialise(again.digest)) == FILES


async def check_what_is_attested_is_kept_as_it_is(artifacts: Artifacts, folder: Path) -> None:
    manifest = await cut(artifacts, folder / "w", FILES)
    assert await artifacts.attestations(manifest.digest) == {}
    await artifacts.attest(manifest.digest, "run-1", b'{"a":1}\n\xff\0')
    await artifacts.attest(manifest.digest, "run-12", b"")
    assert await artifacts.attestations(manifest.digest) == {"run-1": b'{"a":1}\n\xff\0', "run-12": b""}
    assert await artifacts.manifest(manifest.digest) == manifest
    assert await artifacts.examine(manifest.digest) == ()


async def check_what_is_attested_again_takes_the_place(artifacts: Artifacts, folder: Path) -> None:
    manifest = await cut(artifacts, folder / "w", FILES)
    for bundle in (b"a longer first one\n", b"short\n"):
        await artifacts.attest(manifest.digest, "run-1", bundle)
    await cut(artifacts, folder / "again", FILES)
    assert await artifacts.attestations(manifest.digest) == {"run-1": b"short\n"}


async def check_what_is_retracted_is_gone(artifacts: Artifacts, folder: Path) -> None:
    manifest = await cut(artifacts, folder / "w", FILES)
    for name in ("run-1", "run-2"):
        await artifacts.attest(manifest.digest, name, b"x\n")
    for _ in range(2):
        await artifacts.retract(manifest.digest, ("run-1", "run-9"))
        assert await artifacts.attestations(manifest.digest) == {"run-2": b"x\n"}


async def check_nothing_is_attested_of_what_is_not_there(artifacts: Artifacts, _: Path) -> None:
    for release in ("sha256:" + "0" * 64, "../x"):
        assert (await problem_of(artifacts.attest(release, "run-1", b"x"))).code == "artifact-missing"
        assert await artifacts.attestations(release) == {}
        assert [problem.code for problem in await artifacts.examine(release)] == ["artifact-missing"]


async def check_attestations_go_with_their_release(artifacts: Artifacts, folder: Path) -> None:
    kept = await cut(artifacts, folder / "one", FILES)
    gone = await cut(artifacts, folder / "two", {"own": File(b"o")})
    for manifest in (kept, gone):
        await artifacts.attest(manifest.digest, "run-1", b"attested\n")
    await artifacts.collect({kept.digest})
    assert await artifacts.attestations(kept.digest) == {"run-1": b"attested\n"}
    assert await artifacts.attestations(gone.digest) == {}
    await cut(artifacts, folder / "again", {"own": File(b"o")})
    assert await artifacts.attestations(gone.digest) == {}


ARTIFACTS_CHECKS: tuple[ArtifactsCheck, ...] = (
    check_a_release_is_what_was_cut,
    check_the_same_inputs_give_the_same_digest,
    check_what_was_made_elsewhere_counts_as_if_it_were_there,
    check_what_was_made_elsewhere_and_is_damaged_is_refused,
    check_other_inputs_give_another_digest,
    check_a_part_does_not_depend_on_the_others,
    check_a_file_goes_to_the_part_that_names_it_most_closely,
    check_a_dot_means_tracked_files_only,
    check_a_part_without_files_is_refused,
    check_a_tracked_file_that_is_gone_is_refused,
    check_paths_out_of_the_workspace_are_refused,
    check_links_out_of_the_workspace_are_refused,
    check_pipes_are_refused,
    check_one_path_in_two_parts_is_refused,
    check_the_workspace_may_change_afterwards,
    check_what_is_materialised_is_whole_each_time,
    check_files_are_listed_and_read,
    check_each_prompt_has_a_version,
    check_the_files_of_the_model_are_named,
    check_a_release_that_is_not_there_is_named,
    check_collect_keeps_what_is_kept,
    check_a_collected_release_can_be_cut_again,
    check_what_is_attested_is_kept_as_it_is,
    check_what_is_attested_again_takes_the_place,
    check_what_is_retracted_is_gone,
    check_nothing_is_attested_of_what_is_not_there,
    check_attestations_go_with_their_release,
)
