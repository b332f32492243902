"""What every `Workspaces` promises. Each check takes a fresh one and an empty folder; `CHECKS` has them all.

Commands are run as the port says, ``(*argv, *command)`` in `cwd`, by the check itself.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from trimtab.core.errors import TrimtabError
from trimtab.ports.workspaces import Isolation, Opened, Workspaces

_PATH = "/usr/local/bin:/usr/bin:/bin"
NAME = "step/shop/12/test/1"
PLAIN = Isolation(sandbox=False)


class WorkspacesBench(Protocol):
    """Workspaces to be examined. `folder`: empty, and steps do not see it."""

    workspaces: Workspaces
    folder: Path

    def reopen(self) -> None:
        """Let `workspaces` be what the next controller would see."""
        ...


async def run(opened: Opened, script: str) -> str:
    """What the shell script writes, run in the workspace. An AssertionError if it fails."""
    process = await asyncio.create_subprocess_exec(
        *opened.argv,
        *("/bin/sh", "-euc", script),
        cwd=opened.cwd,
        env={"PATH": _PATH},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def layer(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder with these files. A text that starts with ``->`` is a link's target."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("->"):
            target.symlink_to(text[2:])
        else:
            target.write_text(text)
    return folder


def contents(folder: Path) -> dict[str, str]:
    """The files of a folder, as `layer` takes them; an empty folder ends with a slash."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"->{os.readlink(path)}"
        elif path.is_dir():
            found |= {} if any(path.iterdir()) else {f"{name}/": ""}
        else:
            found[name] = path.read_text()
    return found


async def _refusal(attempt: Awaitable[object]) -> str:
    """The code of the problem that the attempt raises; empty when it succeeds."""
    try:
        await attempt
    except TrimtabError as error:
        return error.problem.code
    return ""


async def _collected(bench: WorkspacesBench, *paths: str) -> dict[str, str]:
    await bench.workspaces.collect(NAME, paths, bench.folder / "out")
    return contents(bench.folder / "out")


async def check_the_later_layer_wins(bench: WorkspacesBench) -> None:
    first = layer(bench.folder / "1", {"a": "1", "b": "1", "d/x": "1", "file": "1", "folder/old": "1", "l": "->a"})
    second = layer(bench.folder / "2", {"b": "2", "d/y": "2", "file/new": "2", "folder": "2", "l": "2"})
    opened = await bench.workspaces.open(NAME, (first, second), Isolation())
    said = await run(opened, "for each in a b d/x d/y file/new folder l; do echo $each $(cat $each); done; ls | wc -l")
    assert said.split() == ["a", "1", "b", "2", "d/x", "1", "d/y", "2", "file/new", "2", "folder", "2", "l", "2", "6"]


async def check_a_folder_in_the_place_of_a_link_does_not_follow_it(bench: WorkspacesBench) -> None:
    aim = layer(bench.folder / "aim", {"precious": "kept"})
    first = layer(bench.folder / "1", {"d": f"->{aim}"})
    second = layer(bench.folder / "2", {"d/precious": "overwritten"})
    opened = await bench.workspaces.open(NAME, (first, second), Isolation())
    assert (await run(opened, "cat d/precious")) == "overwritten"
    assert contents(aim) == {"precious": "kept"}


async def check_layers_stay_as_they_are(bench: WorkspacesBench) -> None:
    files = {"a": "1", "d/x": "1", "d/y": "1", "e/z": "1"}
    bottom = layer(bench.folder / "1", files)
    os.link(bottom / "a", bottom / "same")
    opened = await bench.workspaces.open(NAME, (bottom,), Isolation())
    await run(opened, "echo 2 > a; echo 2 >> same; rm d/x; mv d/y y; rm -r e; mkdir e; touch new e/new; chmod 700 d .")
    assert contents(bottom) == {**files, "same": "1"}
    assert stat.S_IMODE((bottom / "d").stat().st_mode) != 0o700


async def check_workspaces_are_apart(bench: WorkspacesBench) -> None:
    bottom = layer(bench.folder / "1", {"a": "1"})
    one = await bench.workspaces.open("step/shop/1/a/1", (bottom,), Isolation())
    two = await bench.workspaces.open("step/shop/1/a/2", (bottom,), Isolation())
    await run(one, "echo changed > a; touch mine")
    assert (await run(two, "cat a; echo; ls")).split() == ["1", "a"]


async def check_opening_again_changes_nothing(bench: WorkspacesBench) -> None:
    bottom = layer(bench.folder / "1", {"a": "1"})
    await run(await bench.workspaces.open(NAME, (bottom,), Isolation()), "echo 2 > a")
    bench.reopen()
    assert await run(await bench.workspaces.open(NAME, (bottom,), Isolation()), "cat a") == "2\n"


async def check_without_layers_it_is_empty(bench: WorkspacesBench) -> None:
    opened = await bench.workspaces.open(NAME, (), Isolation())
    assert (await run(opened, "ls -A; echo hello > a; cat a")) == "hello\n"
    assert await _collected(bench, "a") == {"a": "hello\n"}


async def check_without_a_sandbox_nothing_stands_before_the_command(bench: WorkspacesBench) -> None:
    bottom = layer(bench.folder / "1", {"a": "1"})
    opened = await bench.workspaces.open(NAME, (bottom,), PLAIN)
    assert opened.argv == ()
    await run(opened, "echo 2 > a; echo 3 > b")
    assert contents(bottom) == {"a": "1"}
    assert await _collected(bench, "a", "b") == {"a": "2\n", "b": "3\n"}


async def check_what_it_writes_is_below_its_folder(bench: WorkspacesBench) -> None:
    opened = await bench.workspaces.open(NAME, (), Isolation())
    await run(opened, "echo found me > here")
    assert any(path.name == "here" for path in Path(opened.folder).rglob("*"))


async def check_a_layer_that_is_not_there(bench: WorkspacesBench) -> None:
    assert await _refusal(bench.workspaces.open(NAME, (bench.folder / "none",), Isolation())) == "workspace-io"


async def check_a_bad_name_is_refused(bench: WorkspacesBench) -> None:
    for name in ("", "/etc", "a b", "../a"):
        assert await _refusal(bench.workspaces.open(name, (), Isolation())) == "workspace-name"


async def check_outputs_are_as_the_step_left_them(bench: WorkspacesBench) -> None:
    bottom = layer(bench.folder / "1", {"a": "1", "d/gone": "1", "d/kept": "1", "new/old": "1"})
    opened = await bench.workspaces.open(NAME, (bottom,), Isolation())
    await run(opened, "rm d/gone; echo 2 > a; rm -r new; mkdir -p new/in d/empty; echo 2 > new/in/x; ln -s ../a d/link")
    assert await _collected(bench, "d", "a", "new/") == {
        "a": "2\n",
        "d/kept": "1",
        "d/empty/": "",
        "d/link": "->../a",
        "new/in/x": "2\n",
    }


async def check_paths_are_kept(bench: WorkspacesBench) -> None:
    opened = await bench.workspaces.open(NAME, (layer(bench.folder / "1", {"d/e/x": "1", "y": "1"}),), Isolation())
    await run(opened, "true")
    assert await _collected(bench, "./d/e/x") == {"d/e/x": "1"}
    assert await _collected(bench, "d", "d/e") == {"d/e/x": "1"}
    assert await _collected(bench, ".") == {"d/e/x": "1", "y": "1"}


async def check_what_can_be_run_can_still_be_run_and_no_more(bench: WorkspacesBench) -> None:
    opened = await bench.workspaces.open(NAME, (), Isolation())
    await run(opened, "touch a b s; chmod 755 a; chmod 644 b; chmod 6755 s; mkdir -m 2755 d")
    await bench.workspaces.collect(NAME, ("a", "b", "s", "d"), bench.folder / "out")
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (bench.folder / "out").iterdir()}
    assert modes == {"a": "0o755", "b": "0o644", "s": "0o755", "d": "0o755"}


async def check_a_missing_output_leaves_nothing(bench: WorkspacesBench) -> None:
    opened = await bench.workspaces.open(NAME, (layer(bench.folder / "1", {"a": "1", "b": "1"}),), Isolation())
    await run(opened, "rm b")
    for path in ("b", "d/e", "a/b"):
        assert await _refusal(bench.workspaces.collect(NAME, ("a", path), bench.folder / "out")) == "output-missing"
    assert not (bench.folder / "out").exists()


async def check_what_leads_out_is_refused(bench: WorkspacesBench) -> None:
    scripts = {
        "an absolute link": "mkdir d; ln -s /etc/passwd d/x",
        "a link upwards": "mkdir d; ln -s ../../x d/x",
        "a link upwards by way of another": "mkdir -p a/b d; ln -s ../.. a/b/s; ln -s ../a/b/s/../x d/x",
        "a link on the way": "mkdir e; touch e/x; ln -s e d",
        "a link to the folder of a secret on the way": "ln -s /etc d",
    }
    for number, (what, script) in enumerate(scripts.items()):
        name, into = f"step/shop/12/bad/{number}", bench.folder / f"bad{number}"
        await run(await bench.workspaces.open(name, (), Isolation()), script)
        path = "d/passwd" if "secret" in what else ("d/x" if "on the way" in what else "d")
        assert await _refusal(bench.workspaces.collect(name, (path,), into)) == "output-refused", what
        assert not into.exists()


async def check_no_path_leads_out(bench: WorkspacesBench) -> None:
    await bench.workspaces.open(NAME, (layer(bench.folder / "1", {"d/a": "1"}),), Isolation())
    for path in ("", "/etc/passwd", "../a", "d/../../a"):
        assert await _refusal(bench.workspaces.collect(NAME, (path,), bench.folder / "out")) == "output-refused", path


async def check_only_files_folders_and_links_are_kept(bench: WorkspacesBench) -> None:
    make_socket = "import socket; socket.socket(socket.AF_UNIX).bind('d/x')"
    for number, script in enumerate(("mkfifo d/x", f'python3 -c "{make_socket}"')):
        name = f"step/shop/12/bad/{number}"
        await run(await bench.workspaces.open(name, (), Isolation()), f"mkdir d; {script}")
        assert await _refusal(bench.workspaces.collect(name, ("d",), bench.folder / "out")) == "output-refused"
        assert not (bench.folder / "out").exists()


async def check_no_more_is_kept_than_is_allowed(bench: WorkspacesBench) -> None:
    opened = await bench.workspaces.open(NAME, (), Isolation())
    await run(opened, "mkdir d; head -c 600 /dev/zero > d/a; head -c 600 /dev/zero > d/b")
    attempt = bench.workspaces.collect(NAME, ("d",), bench.folder / "out", most_bytes=1000)
    assert await _refusal(attempt) == "output-refused"
    assert not (bench.folder / "out").exists()
    await bench.workspaces.collect(NAME, ("d/a",), bench.folder / "out", most_bytes=1000)
    assert (bench.folder / "out" / "d" / "a").stat().st_size == 600


async def check_outputs_are_layers_for_others(bench: WorkspacesBench) -> None:
    opened = await bench.workspaces.open(NAME, (layer(bench.folder / "1", {"d/a": "1", "d/b": "1"}),), Isolation())
    await run(opened, "rm -r d; mkdir d; echo 2 > d/c")
    await _collected(bench, "d")
    other = await bench.workspaces.open("step/shop/12/next/1", (bench.folder / "out",), Isolation())
    assert await run(other, "ls d") == "c\n"


async def check_the_next_controller_collects(bench: WorkspacesBench) -> None:
    opened = await bench.workspaces.open(NAME, (layer(bench.folder / "1", {"a": "1"}),), Isolation())
    await run(opened, "echo 2 > b")
    bench.reopen()
    assert await _collected(bench, "a", "b") == {"a": "1", "b": "2\n"}


async def check_closing_leaves_nothing(bench: WorkspacesBench) -> None:
    bottom = layer(bench.folder / "1", {"a": "1", "d/x": "1"})
    opened = await bench.workspaces.open(NAME, (bottom,), Isolation())
    await run(opened, "mkdir -p closed/in; touch closed/in/x; chmod 000 closed/in closed; rm a; chmod 500 d")
    await bench.workspaces.close(NAME)
    assert not Path(opened.folder).exists()
    assert contents(bottom) == {"a": "1", "d/x": "1"}
    await bench.workspaces.close(NAME)
    assert await _refusal(bench.workspaces.collect(NAME, ("d",), bench.folder / "out")) == "workspace-io"
    assert await run(await bench.workspaces.open(NAME, (bottom,), Isolation()), "ls") == "a\nd\n"


CHECKS: tuple[Callable[[WorkspacesBench], Awaitable[None]], ...] = (
    check_the_later_layer_wins,
    check_a_folder_in_the_place_of_a_link_does_not_follow_it,
    check_layers_stay_as_they_are,
    check_workspaces_are_apart,
    check_opening_again_changes_nothing,
    check_without_layers_it_is_empty,
    check_without_a_sandbox_nothing_stands_before_the_command,
    check_what_it_writes_is_below_its_folder,
    check_a_layer_that_is_not_there,
    check_a_bad_name_is_refused,
    check_outputs_are_as_the_step_left_them,
    check_paths_are_kept,
    check_what_can_be_run_can_still_be_run_and_no_more,
    check_a_missing_output_leaves_nothing,
    check_what_leads_out_is_refused,
    check_no_path_leads_out,
    check_only_files_folders_and_links_are_kept,
    check_no_more_is_kept_than_is_allowed,
    check_outputs_are_layers_for_others,
    check_the_next_controller_collects,
    check_closing_leaves_nothing,
)
