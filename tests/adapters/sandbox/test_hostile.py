"""Hostile steps are contained. Each tries what its name says; what it tried must fail, and all else stay as it was."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.adapters.sandbox.rig import HOSTILE, MIB, NEIGHBOUR, PLENTY, Rig, refused, until
from tests.namespaces import not_permitted
from trimtab.adapters.processes.limits import how_held
from trimtab.adapters.sandbox.scoped import can_scope
from trimtab.core.errors import TrimtabError

DENIED = ("EACCES", "EPERM", "EROFS", "ENOENT")
_GONE = ("ENOENT", "ESRCH")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    if (problem := made.workspaces.problem()) is not None:
        not_permitted(str(problem))
    try:
        await made.begin()
        yield made
        await made.check()
    finally:
        await made.end()


# --- using up the machine ---------------------------------------------------------------------------------------------


async def test_fork_bomb(rig: Rig) -> None:
    # Bounded once more, and not in a hurry: were nobody to hold it, the machine that runs this test would be lost.
    bomb = """
resource.setrlimit(resource.RLIMIT_NPROC, (min(400, resource.getrlimit(resource.RLIMIT_NPROC)[0] % 2**63),) * 2)
for _ in range(12):
    try: os.fork()
    except OSError: time.sleep(0.1)
time.sleep(600)
"""
    ran = await rig.run(bomb, replace(PLENTY, processes=50))
    assert ran.over == "processes"
    assert ran.status.problem is not None
    assert ran.status.problem.code == "process-over-limit"
    assert "50 processes" in ran.status.problem.message
    assert "limits.processes" in ran.status.problem.hint


async def test_where_processes_are_watched_the_kernel_bounds_them_too(rig: Rig) -> None:
    """A fork bomb leaves no time to who watches."""
    script = """
attempt("most", lambda: resource.getrlimit(resource.RLIMIT_NPROC)[0])
attempt("told", lambda: str("TRIMTAB_PROCESSES" in os.environ))
"""
    ran = await rig.run(script, replace(PLENTY, processes=50))
    assert (ran.attempts["most"] == 82) == (how_held()["processes"] == "watch")
    assert ran.attempts["told"] == "False"


async def test_memory_hog(rig: Rig) -> None:
    hog = "taken = []\nfor _ in range(300): taken.append(b'x' * (10 << 20))\ntime.sleep(600)"
    ran = await rig.run(hog, replace(PLENTY, memory_bytes=100 * MIB))
    assert ran.over == "memory"
    assert ran.status.problem is not None
    assert "100 MiB" in ran.status.problem.message
    assert "limits.memory" in ran.status.problem.hint


async def test_memory_hog_of_many_processes(rig: Rig) -> None:
    hog = "for _ in range(20):\n  if os.fork() == 0:\n    taken = b'x' * (20 << 20); time.sleep(600)\ntime.sleep(600)"
    assert (await rig.run(hog, replace(PLENTY, memory_bytes=150 * MIB))).over == "memory"


async def test_a_killed_child_is_no_memory_hog(rig: Rig) -> None:
    """Told apart: killed by the kernel for its memory, and killed by somebody."""
    ran = await rig.run("os.kill(os.getpid(), signal.SIGKILL)")
    assert ran.over == ""
    assert ran.status.problem is not None
    assert ran.status.problem.code == "process-failed"


_FILLERS = {
    "big file": "file = open('big', 'wb')\nwhile True: file.write(b'x' * (1 << 20))",
    "many small files": "for number in range(1000000):\n  open(f'{number}', 'w').write('x')",
    "many empty files": "for number in range(1000000):\n  open(f'{number}', 'w')",
    "tmp": "file = open('/tmp/big', 'wb')\nwhile True: file.write(b'x' * (1 << 20))",
    "shm": "file = open('/dev/shm/big', 'wb')\nwhile True: file.write(b'x' * (1 << 20))",
    "without a name": """
files = [open(name, "wb", 0) for name in "abc"]
for file in files:
    os.unlink(file.name); file.write(b"x" * (20 << 20))
time.sleep(600)
""",
    "mapped, without a name": """
import mmap
kept = []
for name in "abc":
    file = open(name, "w+b"); os.unlink(name); file.truncate(20 << 20)
    kept.append(mmap.mmap(file.fileno(), 20 << 20)); file.close(); kept[-1][:] = b"x" * (20 << 20)
time.sleep(600)
""",
}


@pytest.mark.parametrize("script", _FILLERS.values(), ids=_FILLERS.keys())
async def test_disk_filler(rig: Rig, script: str) -> None:
    ran = await rig.run(script, replace(PLENTY, disk_bytes=30 * MIB))
    assert ran.over == "disk", ran.output[-500:]
    assert ran.status.problem is not None
    assert "30 MiB" in ran.status.problem.message
    assert "limits.disk" in ran.status.problem.hint


async def test_sparse_file(rig: Rig) -> None:
    """It takes no space, and must take none where it is kept."""
    ran = await rig.run("attempt('sparse', lambda: os.truncate(os.open('sparse', os.O_CREAT | os.O_WRONLY), 1 << 40))")
    refused(ran, "sparse", by=["EFBIG"])


async def test_endless_output(rig: Rig) -> None:
    ran = await rig.run("while True: print('x' * 1000)", replace(PLENTY, output_bytes=2 * MIB))
    assert ran.over == "output"
    assert ran.status.problem is not None
    assert "2 MiB" in ran.status.problem.message
    assert rig.processes.log_path(HOSTILE).stat().st_size == 2 * MIB


# --- getting out ------------------------------------------------------------------------------------------------------


async def test_symbolic_links(rig: Rig) -> None:
    script = f"""
attempt("write", lambda: (os.symlink({str(rig.outside)!r}, "out"), open("out/file", "w").write("x")))
attempt("secret", lambda: (os.symlink({str(rig.home / "trimtab.db")!r}, "db"), open("db").read())[1])
os.mkdir("result"); os.symlink({str(rig.outside / "file")!r}, "result/file"); os.symlink("/etc", "etc")
"""
    ran = await rig.run(script)
    refused(ran, "write", "secret", by=DENIED)
    for path in ("result", "etc/passwd", "out/file", "db"):
        with pytest.raises(TrimtabError) as caught:
            await rig.workspaces.collect(HOSTILE, [path], rig.folder / "kept")
        assert caught.value.problem.code == "output-refused"
    assert not (rig.folder / "kept").exists()


async def test_hard_links(rig: Rig) -> None:
    script = """
for name, aim in ("system", "/etc/passwd"), ("program", "/usr/bin/env"), ("interpreter", sys.executable):
    attempt(name, lambda: os.link(aim, "linked-" + name))
    attempt("tmp " + name, lambda: os.link(aim, "/tmp/linked-" + name))
os.link("file", "same"); open("same", "w").write("changed"); os.chmod("same", 0o777)
"""
    ran = await rig.run(script)
    refused(
        ran,
        *(f"{place}{name}" for place in ("", "tmp ") for name in ("system", "program", "interpreter")),
        by=["EXDEV"],
    )


async def test_writing_outside(rig: Rig) -> None:
    places = [
        "/",
        "/usr",
        "/etc",
        "/opt",
        "/dev",
        "/run",
        "/var",
        "/proc",
        "/home",
        "/root",
        str(rig.outside),
        str(rig.home),
    ]
    script = f"""
for place in {places!r}:
    attempt(place, lambda: open(os.path.join(place, "hostile"), "w").write("x"))
attempt("python", lambda: open(os.path.join(os.path.dirname(os.__file__), "os.py"), "a"))
attempt("passwd", lambda: open("/etc/passwd", "a"))
attempt("remount", lambda: subprocess.run(["mount", "-o", "remount,rw", "/usr"], capture_output=True).returncode)
"""
    ran = await rig.run(script)
    refused(ran, *places, "python", "passwd", by=DENIED)
    assert ran.attempts["remount"] != 0


async def test_reading_what_is_hidden(rig: Rig) -> None:
    """Trimtab's folder, other runs, the homes of people, and what only root may read."""
    secrets = [str(rig.home / "trimtab.db"), str(rig.outside / "file"), "/etc/shadow", "/etc/gshadow"]
    # The Python that runs this is shown, wherever it is: the way to it, and nothing beside.
    used = (sys.prefix, sys.base_prefix)
    folders = [each for each in ("/home", "/srv", "/mnt", "/media") if not any(p.startswith(f"{each}/") for p in used)]
    folders += ["/sys", "/boot", str(rig.folder)]
    script = f"""
for path in {secrets!r}: attempt(path, lambda: open(path).read())
for path in {folders!r}: attempt(path, lambda: os.listdir(path))
attempt("run", lambda: os.listdir("/run"))
attempt("tmp", lambda: os.listdir("/tmp"))
"""
    ran = await rig.run(script)
    refused(ran, *secrets, *folders, by=DENIED)
    assert ran.attempts["run"] == []
    shown = {Path(sys.prefix).parts[2]} if sys.prefix.startswith("/tmp/") else set()
    tmp = ran.attempts["tmp"]
    assert isinstance(tmp, list)
    assert set(tmp) == {"home"} | shown


async def test_a_folder_to_read_shows_nothing_of_trimtabs(rig: Rig) -> None:
    (rig.folder / "file").write_text("shown")
    script = f"""
attempt("shown", lambda: open({str(rig.folder / "file")!r}).read())
attempt("secret", lambda: open({str(rig.home / "trimtab.db")!r}).read())
attempt("write", lambda: open({str(rig.folder / "file")!r}, "w"))
"""
    ran = await rig.run(script, read=(str(rig.folder),))
    assert ran.attempts["shown"] == "shown"
    refused(ran, "secret", "write", by=DENIED)
    for path in (str(rig.home / "layer"), "/", "/proc", "relative", str(rig.folder / "none")):
        with pytest.raises(TrimtabError) as caught:
            await rig.start("step/shop/1/reader/1", "", read=(path,))
        assert caught.value.problem.code == "sandbox-read"


async def test_proc(rig: Rig) -> None:
    supervisor = os.getppid(), os.getpid()
    script = f"""
attempt("root", lambda: os.listdir("/proc/1/root{rig.home}"))
attempt("cwd", lambda: open("/proc/1/cwd/../..{rig.outside}/file").read())
attempt("program", lambda: open("/proc/1/exe", "r+b"))
attempt("memory", lambda: open("/proc/1/mem", "r+b"))
attempt("others", lambda: [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) > 50])
for pid in {supervisor!r}: attempt(f"environ {{pid}}", lambda: open(f"/proc/{{pid}}/environ").read())
attempt("printk", lambda: open("/proc/sys/kernel/printk", "w"))
attempt("core", lambda: open("/proc/sys/kernel/core_pattern", "w"))
attempt("hostname", lambda: open("/proc/sys/kernel/hostname", "w"))
attempt("sysrq", lambda: open("/proc/sysrq-trigger", "w"))
for name in ("kcore", "keys", "kmsg", "kpagecount", "timer_list"):
    attempt(name, lambda: open("/proc/" + name, "rb").read(1))
attempt("oom", lambda: open("/proc/self/oom_score_adj", "w").write("-1000"))
attempt("uids", lambda: open("/proc/self/uid_map", "w"))
attempt("mounts", lambda: [line.split()[1] for line in open("/proc/mounts") if "rw" in line.split()[3].split(",")])
"""
    ran = await rig.run(script)
    refused(ran, "root", "cwd", *(f"environ {pid}" for pid in supervisor), by=DENIED)
    refused(ran, "program", "memory", by=[*DENIED, "ETXTBSY"])
    refused(ran, "printk", "core", "hostname", "sysrq", "oom", "uids", by=DENIED)
    refused(ran, "kcore", "keys", "kmsg", "kpagecount", "timer_list", by=DENIED)
    assert ran.attempts["others"] == []
    writable = {str(path) for path in ran.attempts["mounts"]}  # type: ignore[attr-defined]
    own_shims = {path for path in writable if path.endswith("/shims")}
    assert {path for path in writable if not path.startswith("/dev/")} - own_shims == {"/step", "/tmp"}


async def test_devices(rig: Rig) -> None:
    """Root's own steps are root to the kernel, and so would own /dev/null. (Tried with what is so already: should it
    succeed one day, the machine that runs this test stays whole.)"""
    script = """
for name in ("null", "zero", "full", "random", "urandom", "tty"):
    attempt("chmod " + name, lambda: os.chmod("/dev/" + name, stat.S_IMODE(os.stat("/dev/" + name).st_mode)))
    attempt("chown " + name, lambda: os.chown("/dev/" + name, os.stat("/dev/" + name).st_uid, -1))
    attempt("remove " + name, lambda: os.unlink("/dev/" + name))
attempt("disk", lambda: os.mknod("disk", 0o600 | stat.S_IFBLK, os.makedev(254, 0)))
attempt("mem", lambda: os.mknod("/tmp/mem", 0o600 | stat.S_IFCHR, os.makedev(1, 1)))
attempt("null", lambda: open("/dev/null", "w").write("works"))
attempt("urandom", lambda: len(open("/dev/urandom", "rb").read(8)))
"""
    ran = await rig.run(script)
    names = ("null", "zero", "full", "random", "urandom", "tty")
    refused(ran, *(f"{what} {name}" for what in ("chmod", "chown", "remove") for name in names), by=[*DENIED, "EINVAL"])
    refused(ran, "disk", "mem", by=DENIED)
    assert (ran.attempts["null"], ran.attempts["urandom"]) == (5, 8)


async def test_unix_sockets(rig: Rig) -> None:
    """By path; by an abstract name, without and with the host's network."""
    by_path = rig.outside / "socket"
    script = f"""
def connect(address):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        return connection.recv(9).decode()
attempt("path", lambda: connect({str(by_path)!r}))
attempt("abstract", lambda: connect("\\x00{rig.mark}"))
"""
    with Serving(str(by_path)), Serving(f"\0{rig.mark}"):
        before = rig._before
        ran = await rig.run(script)
        refused(ran, "path", "abstract", by=[*DENIED, "ECONNREFUSED"])
        await rig.processes.forget(HOSTILE)
        await rig.workspaces.close(HOSTILE)
        ran = await rig.run(script, network=True)
        refused(ran, "path", by=DENIED)
        if can_scope():
            refused(ran, "abstract", by=DENIED)
    by_path.unlink()
    assert before == rig._before


async def test_the_hosts_network(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        script = f"""
attempt("loopback", lambda: socket.create_connection(("127.0.0.1", {port}), 5).close())
attempt("outside", lambda: socket.create_connection(("192.0.2.1", 9), 5).close())
attempt("raw", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close())
with socket.create_server(("127.0.0.1", 0)) as own:
    attempt("own", lambda: socket.create_connection(own.getsockname()).close())
"""
        ran = await rig.run(script)
    refused(ran, "loopback", by=["ECONNREFUSED"])
    refused(ran, "outside", by=["ENETUNREACH"])
    refused(ran, "raw", by=DENIED)
    assert ran.attempts["own"] == "None"


async def test_inherited_descriptors(rig: Rig) -> None:
    """Even those that the controller forgot to keep to itself."""
    script = """
links = [f"/proc/self/fd/{number}" for number in range(3, 300)]
attempt("open", lambda: [os.readlink(link) for link in links if os.path.lexists(link)])
"""
    leaked = os.open(rig.home / "trimtab.db", os.O_RDWR)
    os.set_inheritable(leaked, True)
    try:
        ran = await rig.run(script)
    finally:
        os.close(leaked)
    assert ran.attempts["open"] == []


async def test_environment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_TEST_SECRET", "of the controller")
    script = "attempt('env', lambda: sorted(os.environ)); attempt('first', lambda: open('/proc/1/environ').read())"
    ran = await rig.run(script)
    assert set(ran.attempts["env"]) <= {"HOME", "LC_CTYPE", "PATH", "PWD", "TMPDIR", "TRIMTAB_TEST_MARK"}  # type: ignore[call-overload]
    assert "of the controller" not in ran.output


async def test_setuid(rig: Rig) -> None:
    script = """
attempt("setuid", lambda: os.setuid(0))
attempt("setgroups", lambda: os.setgroups([0]))
os.chmod("file", 0o6755)
status = [line.split()[:2] for line in open("/proc/self/status")]
attempt("capabilities", lambda: [words[1] for words in status if words[0].startswith("Cap")])
attempt("no new privileges", lambda: [words[1] for words in status if words[0] == "NoNewPrivs:"])
mounts = [line.split()[1] for line in open("/proc/mounts") if "nosuid" not in line]
attempt("setuid files", lambda: [mount for mount in mounts if mount in ("/usr", "/tmp", "/etc")])
attempt("su", lambda: subprocess.run(["su", "-c", "id -u"], capture_output=True, stdin=-3).stdout.decode())
"""
    ran = await rig.run(script)
    refused(ran, "setuid", "setgroups", by=["EINVAL", *DENIED])
    assert set(ran.attempts["capabilities"]) == {"0000000000000000"}  # type: ignore[call-overload]
    assert ran.attempts["no new privileges"] == ["1"]
    assert ran.attempts["setuid files"] == []
    assert "0" not in str(ran.attempts["su"])
    await rig.workspaces.collect(HOSTILE, ["file"], rig.folder / "kept")
    assert (rig.folder / "kept" / "file").stat().st_mode & 0o7777 == 0o755


async def test_ptrace_of_neighbours(rig: Rig) -> None:
    pids = sorted({*rig.survivors(NEIGHBOUR), os.getpid()})
    script = f"""
PTRACE_ATTACH = 16
for pid in {pids!r}:
    attempt(f"attach {{pid}}", lambda: call("ptrace", PTRACE_ATTACH, pid, None, None))
    attempt(f"read {{pid}}", lambda: open(f"/proc/{{pid}}/mem", "rb"))
    attempt(f"signal {{pid}}", lambda: os.kill(pid, 0))
    attempt(f"handle {{pid}}", lambda: os.pidfd_open(pid))
    attempt(f"limit {{pid}}", lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE))
"""
    ran = await rig.run(script)
    for what in ("attach", "read", "signal", "handle", "limit"):
        refused(ran, *(f"{what} {pid}" for pid in pids), by=[*_GONE, "ProcessLookupError"])


async def test_poisoning_of_layers(rig: Rig) -> None:
    """Layers are what others are built from, and what the cache gives out."""
    script = f"""
open("file", "w").write("poison"); os.unlink("folder/inner"); os.chmod("folder", 0o777)
os.setxattr("folder", "user.mark", b"poison"); os.utime("folder", (1, 1))
attempt("lower", lambda: open({str(rig.layer / "file")!r}, "w"))
attempt("opaque", lambda: os.setxattr(".", "user.overlay.opaque", b"y"))
attempt("whiteout", lambda: os.mknod("whiteout", stat.S_IFCHR, os.makedev(0, 0)))
attempt("redirect", lambda: os.setxattr("file", "user.overlay.redirect", {str(rig.outside / "file")!r}.encode()))
attempt("metacopy", lambda: os.setxattr("file", "user.overlay.metacopy", b""))
"""
    ran = await rig.run(script)
    refused(ran, "lower", by=DENIED)
    await rig.workspaces.collect(HOSTILE, ["file"], rig.folder / "kept")
    assert (rig.folder / "kept" / "file").read_text() == "poison"
    await rig.processes.forget(HOSTILE)
    await rig.workspaces.close(HOSTILE)
    ran = await rig.run("attempt('file', lambda: open('file').read()); attempt('folder', lambda: os.listdir('folder'))")
    assert ran.attempts == {"file": "from the layer", "folder": ["inner"]}


# --- staying, and doing harm to others --------------------------------------------------------------------------------


async def test_a_step_that_daemonises(rig: Rig) -> None:
    script = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(number, signal.SIG_IGN)
        for descriptor in range(3): os.close(descriptor)
        open("daemon", "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists("daemon") or not open("daemon").read(): time.sleep(0.01)
print("leaving it behind")
"""
    ran = await rig.run(script)
    assert ran.status.exit_code == 0
    assert "leaving it behind" in ran.output
    assert ran.status.ended_at is not None
    assert rig.survivors(HOSTILE) == []


async def test_a_step_that_does_not_want_to_stop(rig: Rig) -> None:
    await rig.start(
        HOSTILE, "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    await until(lambda: "deaf" in rig.processes.log_path(HOSTILE).read_text())
    await rig.processes.stop(HOSTILE)
    assert rig.survivors(HOSTILE) == []


async def test_a_step_that_stops_when_asked_has_time_to_do_so(rig: Rig) -> None:
    """It is asked itself: were its sandbox ended, it would be gone at once."""
    script = """
def leave(*_):
    os.write(1, b"put everything away")
    os._exit(3)
signal.signal(signal.SIGTERM, leave); print("ready", flush=True); time.sleep(600)
"""
    await rig.start(HOSTILE, script)
    await until(lambda: "ready" in rig.processes.log_path(HOSTILE).read_text())
    await rig.processes.stop(HOSTILE)
    status = await rig.processes.status(HOSTILE)
    assert status is not None
    assert (status.stopped, status.exit_code) == (True, 3)
    assert "put everything away" in rig.processes.log_path(HOSTILE).read_text()


async def test_killing_everybody(rig: Rig) -> None:
    ours = os.readlink("/proc/self/ns/pid")
    script = f"""
attempt("apart", lambda: str(os.readlink("/proc/self/ns/pid") != {ours!r} and len(os.listdir("/proc/1/task")) == 1))
if os.readlink("/proc/self/ns/pid") != {ours!r}:  # otherwise this would be the end of the machine
    attempt("first", lambda: os.kill(1, signal.SIGKILL)); attempt("all", lambda: os.kill(-1, signal.SIGKILL))
"""
    ran = await rig.run(script)
    assert ran.attempts["apart"] == "True"


async def test_killing_its_supervisor(rig: Rig) -> None:
    """A supervisor that is killed takes its step with it."""
    await rig.start(HOSTILE, "print('ready', flush=True); time.sleep(600)")
    await until(lambda: "ready" in rig.processes.log_path(HOSTILE).read_text())
    supervisor = os.getsid((await rig.processes.status(HOSTILE)).pid)  # type: ignore[union-attr, arg-type]
    os.kill(supervisor, 9)
    await until(lambda: rig.survivors(HOSTILE) == [])
    assert (await rig.ended(HOSTILE)).phase == "lost"
    # The next one removes what it could not.
    await rig.processes.forget(HOSTILE)
    assert (await rig.run("print('well')")).output == "well\n"


async def test_mounting(rig: Rig) -> None:
    script = """
MS_BIND, MS_REMOUNT = 4096, 32
os.mkdir("here")
attempt("bind", lambda: call("mount", b"/etc", b"here", None, ctypes.c_ulong(MS_BIND), None))
attempt("tmpfs", lambda: call("mount", b"none", b"here", b"tmpfs", ctypes.c_ulong(0), None))
attempt("proc", lambda: call("mount", b"proc", b"/proc", b"proc", ctypes.c_ulong(0), None))
attempt("writable", lambda: call("mount", None, b"/usr", None, ctypes.c_ulong(MS_BIND | MS_REMOUNT), None))
attempt("unmount", lambda: call("umount2", b"/proc", 2))
attempt("root", lambda: call("pivot_root", b".", b"here") if hasattr(libc, "pivot_root") else call("chroot", b"here"))
"""
    ran = await rig.run(script)
    refused(ran, "bind", "tmpfs", "proc", "writable", "unmount", "root", by=DENIED)


async def test_a_new_user_namespace(rig: Rig) -> None:
    script = """
for name, flags in ("user", 0x10000000), ("mount", 0x20000), ("user and mount", 0x10020000), ("net", 0x40000000):
    attempt(name, lambda: call("unshare", ctypes.c_int(flags)))
attempt("unshare", lambda: subprocess.run(["unshare", "-Ur", "id"], capture_output=True).returncode)
"""
    ran = await rig.run(script)
    refused(ran, "user", "mount", "user and mount", "net", by=["EPERM", "ENOSPC"])
    assert ran.attempts["unshare"] != 0


async def test_typing_on_somebodys_terminal(rig: Rig) -> None:
    """TIOCSTI puts characters into the input of the terminal that a process belongs to."""
    script = """
attempt("terminal", lambda: os.open("/dev/tty", os.O_RDWR))
for descriptor in range(3): attempt(f"type {descriptor}", lambda: fcntl.ioctl(descriptor, 0x5412, b"x"))
attempt("session", lambda: os.getsid(0))
"""
    ran = await rig.run(script)
    refused(ran, "terminal", by=["ENXIO"])
    refused(ran, "type 0", "type 1", "type 2", by=["ENOTTY", "EIO", "EPERM"])
    assert ran.attempts["session"] != 0


async def test_shared_memory_of_others(rig: Rig) -> None:
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    key = 0x7_000_000 + os.getpid()
    segment = libc.shmget(key, 4096, 0o1666)
    assert segment >= 0
    try:
        ran = await rig.run(f"attempt('segment', lambda: call('shmget', {key}, 4096, 0o666))")
    finally:
        libc.shmctl(segment, 0, None)
    refused(ran, "segment", by=["ENOENT"])


async def test_folders_that_cannot_be_removed(rig: Rig) -> None:
    """Without permissions, and nested deeper than a path can be long."""
    script = """
os.makedirs("closed/inner"); open("closed/inner/file", "w"); os.chmod("closed/inner", 0); os.chmod("closed", 0)
for _ in range(3000):
    os.mkdir("deep"); os.chdir("deep")
open("bottom", "w")
"""
    ran = await rig.run(script)
    assert ran.status.exit_code == 0, ran.output
    with pytest.raises(TrimtabError) as caught:
        await rig.workspaces.collect(HOSTILE, ["deep"], rig.folder / "kept")
    assert caught.value.problem.code == "output-refused"
    await rig.workspaces.close(HOSTILE)
    assert [path.name for path in (rig.home / "workspaces" / "open").iterdir()] == [NEIGHBOUR.replace("/", "+")]
    assert list((rig.home / "workspaces" / "trash").iterdir()) == []


class Serving:
    """A Unix socket that says "welcome" to everybody."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(address)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"welcome")

    def __enter__(self) -> None:
        """It serves already."""

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
