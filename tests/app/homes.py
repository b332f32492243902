"""A folder of an installation without any process: a store with a story, two repositories, a release."""

from __future__ import annotations

import asyncio
import json
import subprocess
from dataclasses import asdict
from pathlib import Path

from tests.cli.scenario import APP, SPECIFICATION
from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.git import GitSource, GitStateRepository
from trimtab.adapters.processes import record
from trimtab.adapters.processes.instance_set import InstanceBook, plan
from trimtab.adapters.store_sql.store import SqliteStore
from trimtab.app.folder import token_of
from trimtab.core.model import facts as f
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.core.model.release import Part

PRODUCTION = EnvironmentId(APP, "production")
AT = 1_790_000_000.0


class Home:
    """The folder, and what is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        self.commit = ""
        self.release: Digest = ""
        self.store = SqliteStore(folder / "trimtab.db")
        token_of(folder)

    async def furnish(self) -> None:
        """A commit, the release of it, the state repository's word, and the book that says that it runs."""
        source, artifacts = GitSource(self.folder / "git"), FileArtifacts(self.folder / "artifacts")
        await source.create(APP)
        await source.create("empty")
        self.commit = self._commit()
        workspace = self.folder / "workspaces" / APP / "1"
        await source.checkout(APP, self.commit, workspace)
        manifest = await artifacts.cut(workspace, ("serve.py", "trimtab.yaml"), SPECIFICATION)
        self.release = manifest.digest
        root = await artifacts.materialise(self.release)
        state = GitStateRepository(self.folder / "git")
        await state.write(PRODUCTION, self.release, subject="Promote it", body="", trailers={}, key="1")
        self._book(root)
        self._tell(manifest.parts)

    def _commit(self) -> str:
        work = self.folder.parent / f"{self.folder.name}-work"
        work.mkdir()
        (work / "serve.py").write_text("print('hello')\n")
        (work / "trimtab.yaml").write_text(
            "app: shop\nservice: {command: python serve.py}\nenvironments: {production: {port: 8080}}\n"
        )
        git = ("git", "-C", str(work), "-c", "user.name=T", "-c", "user.email=t@localhost")
        for words in (
            ("init", "-q", "-b", "main"),
            ("add", "."),
            ("commit", "-q", "-m", "Begin"),
            ("push", "-q", str(self.folder / "git" / f"{APP}.git"), "main"),
        ):
            subprocess.run([*git, *words], check=True, capture_output=True)
        return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    def _book(self, root: Path) -> None:
        instances = self.folder.resolve() / "instances"
        state = instances / "state" / APP / "production"
        planned = plan(PRODUCTION, self.release, SPECIFICATION, root, state, {})
        book = InstanceBook(instances / "instances")
        book.write(type(planned)(**{**asdict(planned), "ports": (29_999,)}))
        (state / "tmp").mkdir(parents=True)
        (state / "orders.txt").write_text("one, two")
        (state / "newest").symlink_to("orders.txt")
        (state / "tmp" / "rubbish").write_text("x")

    def _tell(self, parts: dict[str, Part] | object) -> None:
        change = f.Change(self.commit, "main", "ann", "Begin", AT)
        known: dict[str, Part] = parts  # type: ignore[assignment]
        for place, fact in (
            (f"app/{APP}", f.ChangeArrived(change, "push")),
            (f"run/{APP}/1", f.RunRequested(1, change)),
            (f"run/{APP}/1", f.ReleaseCut(self.release, 1, self.commit, known, "Begin")),
        ):
            self.store.append([f.Recorded(place, fact, at=AT)], AT)

    def process(self, name: str, **state: str) -> Path:
        """The record of a process, as its supervisor leaves it."""
        folder = self.folder / "processes" / name.replace("/", "+")
        folder.mkdir(parents=True)
        record.write_fields(str(folder / record.SPEC), [("name", name), ("argv", "/bin/sh"), ("cwd", "/")])
        record.write_fields(str(folder / record.STATE), state.items())
        return folder

    def answering(self, url: str, pid: int) -> None:
        """api.json as a controller writes it."""
        (self.folder / "api.json").write_text(json.dumps({"url": url, "token": token_of(self.folder), "pid": pid}))
        (self.folder / "api.json").chmod(0o600)


def furnished(folder: Path) -> Home:
    home = Home(folder)
    asyncio.run(home.furnish())
    return home
