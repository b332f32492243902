"""What only the store on a disk can show: damage, crashes, and collecting beside cutting."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.adapters.artifacts import FileArtifacts, blobs, release_folder, seals
from trimtab.adapters.artifacts.blobs import Blobs, file_digest
from trimtab.adapters.artifacts.step_cache import FileStepCache
from trimtab.core.model.release import Manifest, digest_of
from trimtab.core.model.specification import ReleaseSpec, ServiceSpec
from trimtab.testing.artifacts_contract import FILES, SPECIFICATION, cut, make_workspace, read_folder
from trimtab.testing.memory_artifacts import MemoryArtifacts
from trimtab.testing.memory_source import File
from trimtab.testing.source_contract import problem_of

names = st.text("abc.ä ", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))
contents = st.builds(File, st.binary(max_size=40), st.sampled_from(["644", "755"]))
trees = st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), contents, min_size=1, max_size=8).filter(
    lambda tree: not any(f"{other}/" == path[: len(other) + 1] for path in tree for other in tree)
)


@given(trees)
@settings(max_examples=25, deadline=None)
def test_a_tree_has_one_digest_in_any_order_folder_and_time(tree: dict[str, File]) -> None:
    async def twice(folder: Path) -> None:
        store = FileArtifacts(folder / "store")
        first = await cut(store, folder / "one", tree)
        paths = sorted(tree, key=lambda path: path[::-1])
        workspace = make_workspace(folder / "elsewhere" / "two", {path: tree[path] for path in paths})
        for number, path in enumerate(paths):
            os.utime(workspace / path, (number, number))
        second = await store.cut(workspace, paths, SPECIFICATION)
        in_memory = await MemoryArtifacts(folder / "memory").cut(workspace, paths, SPECIFICATION)
        assert first.digest == second.digest == in_memory.digest
        assert read_folder(await store.materialise(first.digest)) == tree

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(twice(Path(folder)))


OLDER = Path(__file__).with_name("older_manifest.json").read_bytes()
"""What a version wrote that knew no prompts, and models of any form."""


async def test_what_an_older_version_cut_keeps_its_name(tmp_path: Path) -> None:
    name = digest_of(OLDER)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / f"{name.removeprefix('sha256:')}.json").write_bytes(OLDER)
    store = FileArtifacts(tmp_path)
    manifest = await store.manifest(name)
    assert manifest.digest == name
    assert manifest.specification.release.model == {"name": "gpt-x", "temperature": 0.2}
    assert manifest.prompts == {}
    # Cut anew of the same, it is the same release.
    assert replace(manifest, read_as="").digest == name


async def test_what_is_read_has_its_name_whatever_became_of_its_fields(tmp_path: Path) -> None:
    """A version that knew fields that there are no more, or not yet."""
    text = OLDER.replace(b'{"app":', b'{"aged":[1,2],"app":')
    name = digest_of(text)
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / f"{name.removeprefix('sha256:')}.json").write_bytes(text)
    manifest = await FileArtifacts(tmp_path).manifest(name)
    assert manifest.digest == name
    assert replace(manifest, read_as="").digest == digest_of(OLDER)


def blobs_of(store: FileArtifacts, home: Path) -> list[Path]:
    return sorted(path for path in (home / "blobs").rglob("*") if path.is_file())


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_flipped_byte_is_found(data: st.DataObject) -> None:
    async def flip(folder: Path) -> None:
        home = folder / "store"
        store = FileArtifacts(home)
        manifest = await cut(store, folder / "w", FILES)
        target = data.draw(st.sampled_from([*blobs_of(store, home), *(home / "manifests").iterdir()]))
        content = bytearray(target.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        target.unlink()
        target.write_bytes(content)
        problem = await problem_of(store.materialise(manifest.digest))
        assert problem.code == "artifact-corrupt"
        assert manifest.digest.removeprefix("sha256:")[:12] in problem.message
        assert problem.where == str(target.resolve())
        assert "run" in problem.hint
        # ... and what the hint says helps.
        assert (await store.cut(folder / "w", sorted(FILES), SPECIFICATION)).digest == manifest.digest
        assert read_folder(await store.materialise(manifest.digest)) == FILES

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(flip(Path(folder)))


async def damaged_app(home: Path, work: Path) -> tuple[FileArtifacts, Manifest, Path]:
    store = FileArtifacts(home)
    manifest = await cut(store, work, FILES)
    blob = next(path for path in blobs_of(store, home) if path.read_bytes() == FILES["app.py"].content)
    blob.unlink()
    return store, manifest, blob


async def test_a_lost_blob_is_named_by_its_file(tmp_path: Path) -> None:
    store, manifest, _ = await damaged_app(tmp_path / "store", tmp_path / "w")
    problem = await problem_of(store.materialise(manifest.digest))
    assert problem.code == "artifact-corrupt"
    assert "`app.py`" in problem.message
    assert await problem_of(store.materialise(manifest.digest)) == problem
    assert not store.folder(manifest.digest).exists()


async def test_a_good_copy_needs_no_blob(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store")
    manifest = await cut(store, tmp_path / "w", FILES)
    root = await store.materialise(manifest.digest)
    for path in blobs_of(store, tmp_path / "store"):
        if path.read_bytes() == FILES["app.py"].content:
            path.unlink()
    assert read_folder(await store.materialise(manifest.digest)) == FILES
    (root / "app.py").unlink()
    assert (await problem_of(store.materialise(manifest.digest))).code == "artifact-corrupt"


async def test_an_instance_cannot_change_the_store(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store")
    manifest = await cut(store, tmp_path / "w", FILES)
    root = await store.materialise(manifest.digest)
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            assert not path.stat().st_mode & 0o222
            assert path.is_dir() or path.stat().st_nlink == 1
    for blob in blobs_of(store, tmp_path / "store"):
        assert blob.stat().st_mode & 0o777 == 0o444


async def test_mending_leaves_the_folder_and_its_good_files_in_place(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store")
    manifest = await cut(store, tmp_path / "w", FILES)
    root = await store.materialise(manifest.digest)
    before = {path: path.stat().st_ino for path in (root, root / "prompts/system.txt")}
    (root / "app.py").chmod(0o644)
    await store.materialise(manifest.digest)
    assert {path: path.stat().st_ino for path in before} == before
    assert (root / "app.py").stat().st_mode & 0o777 == 0o444


async def test_a_copy_that_a_crash_left_half_made_is_finished(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store")
    manifest = await cut(store, tmp_path / "w", FILES)
    folder = store.folder(manifest.digest)
    half = folder.with_name(f".{folder.name}.new")
    half.mkdir()
    (half / "app.py").write_bytes(b"print(")
    assert read_folder(await store.materialise(manifest.digest)) == FILES
    assert not half.exists()


async def test_collect_spares_a_release_it_may_not_know(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store", grace_s=60)
    old = await cut(store, tmp_path / "one", FILES)
    manifest = tmp_path / "store" / "manifests" / f"{old.digest.removeprefix('sha256:')}.json"
    os.utime(manifest, (1, 1))
    fresh = await cut(store, tmp_path / "two", {"new": File(b"n")})
    await store.collect(())
    assert await store.releases() == (fresh.digest,)
    os.utime(manifest.with_name(f"{fresh.digest.removeprefix('sha256:')}.json"), (1, 1))
    await store.cut(tmp_path / "two", ["new"], SPECIFICATION)
    await store.collect(())
    assert read_folder(await store.materialise(fresh.digest)) == {"new": File(b"n")}


async def test_collect_waits_for_a_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileArtifacts(tmp_path / "store", grace_s=0)
    other = FileArtifacts(tmp_path / "store", grace_s=0)
    loop, stored, go_on = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    settle = Blobs.settle

    def wait_before_settling(blobs: Blobs, digests: set[str]) -> None:
        loop.call_soon_threadsafe(stored.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        settle(blobs, digests)

    monkeypatch.setattr(Blobs, "settle", wait_before_settling)
    cutting = asyncio.create_task(cut(store, tmp_path / "w", FILES))
    await stored.wait()
    collecting = asyncio.create_task(other.collect({"sha256:" + "0" * 64}))
    done, _ = await asyncio.wait({collecting}, timeout=0.1)
    assert not done
    assert len(blobs_of(store, tmp_path / "store")) == len(FILES) + 1
    go_on.set()
    await asyncio.gather(cutting, collecting)


async def test_cutting_materialising_and_collecting_at_once(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store")
    kept = await cut(store, tmp_path / "kept", FILES)

    async def one(n: int) -> None:
        files = {**FILES, "n": File(str(n).encode())}
        manifest = await cut(store, tmp_path / str(n), files)
        assert read_folder(await store.materialise(manifest.digest)) == files

    async def collect() -> None:
        for _ in range(10):
            await store.collect({kept.digest})

    roots = (store.materialise(kept.digest) for _ in range(5))
    await asyncio.gather(collect(), *(one(n) for n in range(10)), *roots)
    assert read_folder(await store.materialise(kept.digest)) == FILES


async def test_collect_removes_nothing_while_a_kept_release_is_damaged(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store", grace_s=0)
    kept = await cut(store, tmp_path / "one", FILES)
    gone = await cut(store, tmp_path / "two", {"other": File(b"o")})
    tree = kept.parts["code"].digest.removeprefix("sha256:")
    (tmp_path / "store" / "blobs" / tree[:2] / tree[2:]).unlink()
    assert (await problem_of(store.collect({kept.digest}))).code == "artifact-corrupt"
    assert gone.digest in await store.releases()


async def test_collect_sweeps_what_crashes_left(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store", grace_s=0)
    await cut(store, tmp_path / "w", FILES)
    (tmp_path / "store" / "tmp" / "half").write_bytes(b"h" * 10)
    await store.collect(())
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["lock"]


async def test_equal_numbers_are_one_release(tmp_path: Path) -> None:
    store = FileArtifacts(tmp_path / "store")
    whole = replace(SPECIFICATION, service=ServiceSpec("x", stop_timeout_s=5))
    broken = replace(SPECIFICATION, service=ServiceSpec("x", stop_timeout_s=5.0))
    first, second = await cut(store, tmp_path / "1", FILES, whole), await cut(store, tmp_path / "2", FILES, broken)
    assert first.digest == second.digest
    assert (await store.manifest(first.digest)).digest == first.digest


async def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, not a folder")
    problem = await problem_of(cut(FileArtifacts(tmp_path / "store"), tmp_path / "w", FILES))
    assert problem.code == "artifact-io"
    assert str(tmp_path / "store") in problem.where


async def test_names_that_are_not_text_are_refused(tmp_path: Path) -> None:
    make_workspace(tmp_path / "w", FILES)
    odd = os.fsdecode(b"prompts/\xff")
    shutil.copy(tmp_path / "w" / "app.py", tmp_path / "w" / odd)
    problem = await problem_of(FileArtifacts(tmp_path / "store").cut(tmp_path / "w", [*FILES, odd], SPECIFICATION))
    assert problem.code == "part-refused"
    assert "UTF-8" in problem.message


# --- large files --------------------------------------------------------------------------------------------------


MODEL = {"model.gguf": File(b"weights" * 1000, "644"), "app.py": File(b"print()", "644")}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was read as a whole, where all but the smallest files are large."""
    read: list[Path] = []

    def noticed(path: Path) -> str:
        read.append(path)
        return file_digest(path)

    monkeypatch.setattr(blobs, "LARGE_BYTES", 1000)
    monkeypatch.setattr(blobs, "file_digest", noticed)
    monkeypatch.setattr(release_folder, "file_digest", noticed)
    return read


def large_ones(read: list[Path]) -> list[Path]:
    return [path for path in read if path.stat().st_size >= 1000]


async def test_a_large_file_is_stored_once_and_read_once(tmp_path: Path, reads: list[Path]) -> None:
    store = FileArtifacts(tmp_path / "store")
    manifest = await cut(store, tmp_path / "w", MODEL)
    root = await store.materialise(manifest.digest)
    assert read_folder(root) == MODEL
    [blob] = [path for path in blobs_of(store, tmp_path / "store") if path.stat().st_size == 7000]
    assert (root / "model.gguf").samefile(blob)
    assert not (root / "app.py").stat().st_nlink > 1
    other = await cut(store, tmp_path / "w2", {**MODEL, "app.py": File(b"print(2)", "644")})
    await FileArtifacts(tmp_path / "store").materialise(other.digest)
    await store.materialise(manifest.digest)
    assert large_ones(reads) == []


async def test_a_large_file_that_a_step_made_is_not_copied(tmp_path: Path, reads: list[Path]) -> None:
    workspace, empty = make_workspace(tmp_path / "w", MODEL), tmp_path / "empty"
    empty.mkdir()
    cache = FileStepCache(tmp_path / "cache", os.defpath)
    made = await cache.made(await cache.put(workspace))
    store = FileArtifacts(tmp_path / "store")
    specification = replace(SPECIFICATION, release=ReleaseSpec({"code": ("app.py", "model.gguf")}))
    root = await store.materialise((await store.cut(empty, [], specification, made)).digest)
    [kept] = [file.at for file in made if file.entry.path == "model.gguf"]
    assert (root / "model.gguf").samefile(kept)
    assert not (root / "app.py").samefile(next(file.at for file in made if file.entry.path == "app.py"))
    Path(kept).unlink()
    assert read_folder(await store.materialise((await store.releases())[0])) == MODEL


@pytest.mark.parametrize("name", ["blob", "link"])
async def test_a_touched_large_file_is_read_again(tmp_path: Path, reads: list[Path], name: str) -> None:
    store = FileArtifacts(tmp_path / "store")
    manifest = await cut(store, tmp_path / "w", MODEL)
    root = await store.materialise(manifest.digest)
    [blob] = [path for path in blobs_of(store, tmp_path / "store") if path.stat().st_size == 7000]
    path = blob if name == "blob" else root / "model.gguf"
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(3500)
        file.write(b"X")
    path.chmod(0o444)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (await problem_of(store.materialise(manifest.digest))).code == "artifact-corrupt"
    again = await cut(store, tmp_path / "w2", MODEL)
    assert again.digest == manifest.digest, "the run of its commit stores it anew"
    assert read_folder(await store.materialise(manifest.digest)) == MODEL


async def test_where_the_clock_was_set_back_a_large_file_is_read_each_time(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last change lies in the future then: no seal can be younger."""
    marks = seals._marks
    monkeypatch.setattr(seals, "_marks", lambda status: [*marks(status)[:-1], marks(status)[-1] + 3600 * 10**9])
    monkeypatch.setattr(seals, "_TICK_S", 0.0)
    store = FileArtifacts(tmp_path / "store")
    manifest = await cut(store, tmp_path / "w", MODEL)
    for _ in range(2):
        reads.clear()
        assert read_folder(await store.materialise(manifest.digest)) == MODEL
        assert large_ones(reads)


async def test_a_large_file_is_read_only_again(tmp_path: Path, reads: list[Path]) -> None:
    store = FileArtifacts(tmp_path / "store")
    manifest = await cut(store, tmp_path / "w", MODEL)
    root = await store.materialise(manifest.digest)
    (root / "model.gguf").chmod(0o644)
    assert read_folder(await store.materialise(manifest.digest)) == MODEL
    assert (root / "model.gguf").stat().st_mode & 0o777 == 0o444
    assert sorted(path.name for path in root.iterdir()) == ["app.py", "model.gguf"]


async def test_large_files_are_copied_where_links_are_refused(
    tmp_path: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = FileArtifacts(tmp_path / "store")
    root = await store.materialise((await cut(store, tmp_path / "w", MODEL)).digest)
    assert read_folder(root) == MODEL
    assert (root / "model.gguf").stat().st_nlink == 1


async def test_seals_go_with_their_blobs(tmp_path: Path, reads: list[Path]) -> None:
    store = FileArtifacts(tmp_path / "store", grace_s=-1.0)
    manifest = await cut(store, tmp_path / "w", MODEL)
    await store.materialise(manifest.digest)
    assert list((tmp_path / "store" / "seals").iterdir())
    await store.collect([])
    assert list((tmp_path / "store" / "seals").iterdir()) == []
