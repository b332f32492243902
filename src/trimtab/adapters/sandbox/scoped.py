"""A program that lets a command reach no abstract socket but those of its own children.

A step with the host's network shares the names of abstract Unix sockets with the host (the desktop's bus, container
daemons): file permissions do not guard them, and no mount hides them. Landlock does, from Linux 6.12 on. It is run
before bubblewrap, as ``python scoped.py COMMAND...``; where the kernel cannot do it, the command runs all the same, and
`trimtab doctor` says so.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_ASK_VERSION = 1
_VERSION_WITH_SCOPES = 6
_SCOPE_ABSTRACT_SOCKETS = 1
_PR_SET_NO_NEW_PRIVS = 38


def can_scope() -> bool:
    """Whether this kernel can do it."""
    version: int = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_ASK_VERSION))
    return version >= _VERSION_WITH_SCOPES


def scope() -> bool:
    """Do it to this process and all that come from it; whether it is done."""
    if not can_scope():
        return False
    libc = _libc()
    # No file access and no network is handled by this ruleset: those stay as they are, mounting included.
    attributes = struct.pack("QQQ", 0, 0, _SCOPE_ABSTRACT_SOCKETS)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    if ruleset < 0:
        return False
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done: int = libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)
    return done == 0


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    scope()
    os.execv(sys.argv[1], sys.argv[1:])
