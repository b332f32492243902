"""Backups: what is in one, what is refused, and that it is of one moment."""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.app.homes import PRODUCTION, Home, furnished
from tests.cli.scenario import APP
from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.forges import FileForgeSecrets
from trimtab.adapters.git import GitSource, GitStateRepository
from trimtab.adapters.processes import record
from trimtab.adapters.processes.instance_set import InstanceBook, Use, plan
from trimtab.adapters.signing import FileKeys
from trimtab.adapters.store_sql import inspection
from trimtab.adapters.store_sql.opening import open_store
from trimtab.adapters.store_sql.store import SqliteStore
from trimtab.app.backup import backup, contents, restore
from trimtab.app.backup.archive import HEAD, LIST
from trimtab.app.backup.contents import move_book
from trimtab.app.doctor import examine
from trimtab.core.errors import TrimtabError
from trimtab.core.model import facts as f
from trimtab.core.model.specification import PromptSpec, ReleaseSpec, ServiceSpec, Specification

PATHS = ("token", "trimtab.db", f"git/{APP}.bundle", "git/empty.bundle", "git/state.bundle")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return furnished(tmp_path / "home")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar.gz"


def code_of(error: pytest.ExceptionInfo[TrimtabError]) -> str:
    return error.value.problem.code


def test_what_is_written_is_private_and_says_of_what_it_is(home: Home, file: Path) -> None:
    made = backup(home.folder, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (made.repositories, made.releases, made.warnings) == (("state", "empty", APP), 1, ())
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert names[0] == HEAD
    assert names[-1] == LIST
    assert set(PATHS) < set(names)
    assert not [name for name in names if "rubbish" in name or name in ("lock", "api.json")]
    assert [path.name for path in file.parent.glob(".backup*")] == []


def test_secrets_are_put_back_and_stay_private(home: Home, file: Path, tmp_path: Path) -> None:
    secrets = FileForgeSecrets(home.folder / "secrets")
    secrets.keep_token(APP, "the-token")
    made = secrets.make_webhook_secret(APP)
    backup(home.folder, file)
    restore(file, tmp_path / "again")
    again = FileForgeSecrets(tmp_path / "again" / "secrets")
    assert (again.token(APP), again.webhook_secret(APP)) == ("the-token", made)
    kept = tmp_path / "again" / "secrets" / APP
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.iterdir()} == {0o600}


def test_what_was_signed_is_trusted_where_it_is_put_back(home: Home, file: Path, tmp_path: Path) -> None:
    """The key that signs stays where it is, unless somebody says otherwise."""
    keys, artifacts = FileKeys(home.folder / "keys"), FileArtifacts(home.folder / "artifacts")
    signature = asyncio.run(keys.sign(b"m"))
    asyncio.run(artifacts.attest(home.release, "run-1", b"attested\n"))
    for secrets, place in ((False, tmp_path / "without"), (True, tmp_path / "with")):
        backup(home.folder, file, secrets=secrets)
        content = gzip.decompress(file.read_bytes())
        assert (b"PRIVATE KEY" in content) is secrets
        restore(file, place)
        again = FileKeys(place / "keys")
        assert asyncio.run(again.verify(b"m", signature)) == "good"
        assert (asyncio.run(again.sign(b"m")) == signature) is secrets
        assert stat.S_IMODE((place / "keys" / "release.key").stat().st_mode) == 0o600
        kept = FileArtifacts(place / "artifacts")
        assert asyncio.run(kept.attestations(home.release)) == {"run-1": b"attested\n"}
        assert again.damage() == ()


def test_what_is_put_back_is_what_was_there(home: Home, file: Path, tmp_path: Path) -> None:
    home.process("step/shop/1/test/1", phase="running", supervisor="1", pid="1", boot="x", started_at="5")
    home.store.claim("app/shop", "somebody", 2.0, 1e12)
    backup(home.folder, file)
    again = tmp_path / "again"
    again.mkdir()
    (again / "schema.json").write_text("{}")
    made = restore(file, again)
    assert made.warnings == ()
    assert stat.S_IMODE(again.stat().st_mode) == 0o700
    assert (again / "schema.json").exists()
    assert (again / "token").read_text() == (home.folder / "token").read_text()
    store = SqliteStore(again / "trimtab.db")
    assert store.facts() == home.store.facts()
    assert store.claim("app/shop", "another", 3.0, 6.0) is not None, "who held the original holds nothing of it"

    async def look() -> None:
        assert await GitSource(again / "git").apps() == ("empty", APP)
        assert (await GitSource(again / "git").changes(APP, "main", None, home.commit))[0].commit == home.commit
        desired = await GitStateRepository(again / "git").desired(PRODUCTION)
        assert desired is not None
        assert desired.release == home.release
        await FileArtifacts(again / "artifacts").manifest(home.release)

    asyncio.run(look())
    [book] = InstanceBook(again / "instances" / "instances").read()
    assert Path(book.root).is_relative_to(again)
    assert (Path(book.root) / "serve.py").exists(), "instances are started before anybody materialises their release"
    states = again / "instances" / "state" / APP / "production"
    assert book.env["TRIMTAB_STATE_DIR"] == str(states)
    assert (states / "newest").read_text() == "one, two"
    step = dict(record.read_fields(str(again / "processes" / "step+shop+1+test+1" / "state")) or [])
    assert step["phase"] == "lost"
    assert not step.keys() & {"pid", "supervisor", "boot"}, "the first installation's processes are never signalled"
    assert (again / "workspaces" / APP / "1" / "serve.py").exists()


def test_the_book_of_what_several_releases_share_is_moved_whole(tmp_path: Path) -> None:
    first, second = ("sha256:" + digit * 64 for digit in "12")
    before = tmp_path / "before"
    release = ReleaseSpec(prompts={"answer": PromptSpec("answer.txt", ())}, hot=("prompts",))
    said = Specification(APP, ServiceSpec("serve"), (), release=release)
    roots = [before / "artifacts" / "releases" / name.removeprefix("sha256:") for name in (first, second)]
    state = before / "instances" / "state" / APP / "production"
    old, new = (
        plan(PRODUCTION, name, said, root, state, {}, "sha256:" + "a" * 64)
        for name, root in zip((first, second), roots, strict=True)
    )
    shared = replace(old, ports=(29_999,)).with_use(Use(first, 1, old.root, old.env))
    shared = shared.with_use(Use(second, 1, new.root, new.env))
    book = InstanceBook(tmp_path / "instances" / "instances")
    book.write(shared)
    assert move_book(tmp_path, str(before), "/after") == (first, second)
    [moved] = book.read()
    assert str(before) not in repr(moved)
    assert [use.root for use in moved.uses] == [str(root).replace(str(before), "/after") for root in roots]
    spec = moved.process_spec(1)
    assert spec.env["TRIMTAB_RELEASES"] == "/after/artifacts/releases"
    assert json.loads(spec.env["TRIMTAB_PROMPTS"])["answer"]["file"] == f"{moved.uses[1].root}/answer.txt"


def test_what_the_database_names_is_in_the_copy(home: Home, file: Path, tmp_path: Path) -> None:
    """Whatever happens after the database's moment: here a release and a commit come between each two steps."""
    before = home.store.facts(newest_first=True, limit=1)[0].seq
    said: list[str] = []

    def meanwhile(words: str) -> None:
        said.append(words)
        (home.folder / "workspaces" / APP / "1" / "serve.py").write_text(f"print({len(said)})\n")
        cut = FileArtifacts(home.folder / "artifacts").cut
        release = asyncio.run(_cut(cut, home)).digest
        desired = GitStateRepository(home.folder / "git")
        asyncio.run(desired.write(PRODUCTION, release, subject="x", body="", trailers={}, key=f"k{len(said)}"))
        home.store.append([f.Recorded("run/shop/1", f.ReleaseCut(release, 1, home.commit, {}, words))], 1.0)

    backup(home.folder, file, meanwhile)
    assert len(said) >= 3
    restore(file, tmp_path / "again")
    facts = SqliteStore(tmp_path / "again" / "trimtab.db").facts()
    assert facts[-1].seq == before, "the database is of the moment at which it all began"
    kept = asyncio.run(FileArtifacts(tmp_path / "again" / "artifacts").releases())
    assert {recorded.fact.release for recorded in facts if isinstance(recorded.fact, f.ReleaseCut)} <= set(kept)


async def _cut(cut: object, home: Home):  # type: ignore[no-untyped-def]
    manifest = await FileArtifacts(home.folder / "artifacts").manifest(home.release)
    return await cut(home.folder / "workspaces" / APP / "1", ("serve.py",), manifest.specification)  # type: ignore[operator]


def test_no_release_is_collected_meanwhile(home: Home, file: Path) -> None:
    lock = os.open(home.folder / "artifacts" / "lock", os.O_RDWR)
    held = []

    def look(_: str) -> None:
        """As `collect` would."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(lock, fcntl.LOCK_UN)
        except BlockingIOError:
            held.append(True)
        else:
            held.append(False)

    backup(home.folder, file, look)
    assert held
    assert all(held)
    look("afterwards")
    assert not held[-1]
    os.close(lock)


def test_a_file_is_replaced_whole_or_not_at_all(home: Home, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("the one before")
    monkeypatch.setattr(contents, "add_artifacts", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(TrimtabError) as error:
        backup(home.folder, file)
    assert code_of(error) == "backup-failed"
    assert file.read_text() == "the one before"
    assert sorted(path.name for path in file.parent.iterdir()) == ["backup.tar.gz", "home", "home-work"]


def test_a_damaged_artifact_is_copied_and_said(home: Home, file: Path, tmp_path: Path) -> None:
    for blob in (home.folder / "artifacts" / "blobs").glob("??/*"):
        if blob.read_bytes() == b"print('hello')\n":
            blob.chmod(0o600)
            blob.write_text("print('heLLo')\n")
    assert "damaged" in backup(home.folder, file).warnings[0]
    assert "damaged" in restore(file, tmp_path / "again").warnings[0]


def test_a_damaged_database_is_not_backed_up(home: Home, file: Path) -> None:
    home.store.close()
    path = home.folder / "trimtab.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 12] = b"\xff" * 4096 * 9
    path.write_bytes(content)
    with pytest.raises(TrimtabError) as error:
        backup(home.folder, file)
    assert code_of(error) == "store-corrupt"
    assert not file.exists()


def test_nothing_is_restored_over_something(home: Home, file: Path) -> None:
    backup(home.folder, file)
    with pytest.raises(TrimtabError) as error:
        restore(file, home.folder)
    assert code_of(error) == "not-empty"


@pytest.mark.parametrize("left", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(home: Home, file: Path, tmp_path: Path, left: float) -> None:
    backup(home.folder, file)
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * left)])
    refused(file, tmp_path, "backup-damaged")


def refused(file: Path, tmp_path: Path, code: str) -> str:
    """`restore` refuses, and leaves nothing behind."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TrimtabError) as error:
        restore(file, tmp_path / "again")
    assert code_of(error) == code
    assert sorted(tmp_path.iterdir()) == before
    return error.value.problem.message


def rewritten(file: Path, change: dict[str, bytes | None], extra: tuple[tarfile.TarInfo, ...] = ()) -> None:
    """The file with members changed, or taken out, and others added before the list."""
    out = io.BytesIO()
    with tarfile.open(file) as old, tarfile.open(fileobj=out, mode="w:gz") as new:
        for info in old:
            if info.name == LIST:
                for one in extra:
                    new.addfile(one, io.BytesIO(b"x" * one.size))
            if info.issym():
                new.addfile(info)
                continue
            member = old.extractfile(info)
            content = change.get(info.name, member.read() if member else b"")
            if content is not None:
                info.size = len(content)
                new.addfile(info, io.BytesIO(content))
    file.write_bytes(out.getvalue())


def test_a_member_that_was_changed_or_is_missing_is_refused(home: Home, file: Path, tmp_path: Path) -> None:
    for content in (b"another token", None):
        backup(home.folder, file)
        rewritten(file, {"token": content})
        assert "token" in refused(file, tmp_path, "backup-damaged")


def info(name: str, kind: bytes = tarfile.REGTYPE, size: int = 1, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.size, made.linkname = kind, size if kind == tarfile.REGTYPE else 0, link
    return made


@pytest.mark.parametrize(
    "member",
    [
        info("../outside"),
        info("/etc/outside"),
        info("git/../../outside"),
        info("git/link", tarfile.SYMTYPE, link="/etc"),
        info("token"),
        info("device", tarfile.CHRTYPE),
        info("hard", tarfile.LNKTYPE, link="token"),
    ],
    ids=lambda member: member.name,
)
def test_what_has_no_business_in_a_backup_is_refused(
    home: Home, file: Path, tmp_path: Path, member: tarfile.TarInfo
) -> None:
    backup(home.folder, file)
    rewritten(file, {}, (member,))
    refused(file, tmp_path, "backup-refused")


def test_no_file_is_written_through_a_link(home: Home, file: Path, tmp_path: Path) -> None:
    backup(home.folder, file)
    outside = tmp_path / "outside"
    outside.mkdir()
    link = info("workspaces/evil", tarfile.SYMTYPE, link=str(outside))
    rewritten(file, {}, (link, info("workspaces/evil/file")))
    refused(file, tmp_path, "backup-damaged")
    assert list(outside.iterdir()) == []


def test_a_backup_of_a_newer_schema_is_refused(
    home: Home, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(home.folder, file)
    monkeypatch.setattr(inspection, "migrations", lambda: ())
    refused(file, tmp_path, "store-newer")


def test_a_backup_of_a_newer_format_is_refused(home: Home, file: Path, tmp_path: Path) -> None:
    backup(home.folder, file)
    with tarfile.open(file) as tar:
        head = json.load(tar.extractfile(HEAD) or io.BytesIO())
        listed = json.load(tar.extractfile(LIST) or io.BytesIO())
    text = json.dumps({**head, "format": 99}).encode()
    listed[HEAD] = hashlib.sha256(text).hexdigest()
    rewritten(file, {HEAD: text, LIST: json.dumps(listed).encode()})
    refused(file, tmp_path, "backup-newer")


def test_what_is_no_backup_is_refused(file: Path, tmp_path: Path) -> None:
    for content in (b"", b"hello", gzip.compress(b"hello"), os.urandom(5000)):
        file.write_bytes(content)
        refused(file, tmp_path, "backup-damaged")


def test_a_database_on_a_server_goes_into_the_file_and_back(home: Home, file: Path, tmp_path: Path, empty: str) -> None:
    backup(home.folder, file)
    facts = home.store.facts()
    made = restore(file, tmp_path / "on-a-server", database=empty)
    folder = Path(made.home)
    assert not (folder / "trimtab.db").exists()
    store = open_store(empty)
    assert store.facts() == facts
    assert store.objects("") == home.store.objects("")
    store.append([f.Recorded("app/shop", f.AppRegistered(), at=3.0)], 3.0)
    with pytest.raises(TrimtabError) as error:
        restore(file, tmp_path / "again", database=empty)
    assert code_of(error) == "not-empty"
    assert [each.severity for each in examine(folder, ["database", "engine"])] == ["note", "ok"]

    backup(folder, file)
    restore(file, tmp_path / "back")
    assert SqliteStore(tmp_path / "back" / "trimtab.db").facts() == store.facts()
    assert not (tmp_path / "back" / "database").exists(), "two installations must not work on one database"
    store.close()


@pytest.fixture
def empty(postgres_url: str) -> Iterator[str]:
    """A schema of its own on a PostgreSQL server."""
    import psycopg

    name = f"backup_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {name}")
        yield f"{postgres_url}?options=-csearch_path%3D{name}"
        server.execute(f"DROP SCHEMA {name} CASCADE")
