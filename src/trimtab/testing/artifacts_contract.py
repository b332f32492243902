"""What every Artifacts promises. Each check gets a fresh one and an empty folder for workspaces."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from trimtab.core.model.release import Manifest, digest_of
from trimtab.core.model.specification import EnvironmentSpec, ReleaseSpec, ServiceSpec, Specification
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


async def check_a_release_that_is_not_there_is_named(artifacts: Artifacts, _: Path) -> None:
    for release in ("sha256:" + "0" * 64, "sha256:12", "latest", "../x"):
        for call in (artifacts.manifest(release), artifacts.materialise(release)):
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
    check_a_release_that_is_not_there_is_named,
    check_collect_keeps_what_is_kept,
    check_a_collected_release_can_be_cut_again,
)
