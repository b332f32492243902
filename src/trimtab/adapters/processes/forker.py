"""The program of a nursery: forks supervisors for one controller, from an interpreter that has everything loaded.

One is always forked in advance and waits for its task, in the control groups that will hold the limits of its process:
a step is not to wait for that.

A message is the folder of a record, with the descriptors that its supervisor is to have beside it. The answer is the
supervisor's process id, or ``!ERRNO``. It is the supervisor that answers, and it closes the socket then: so when a
nursery has ended, whoever reads to the end of file knows whether a supervisor came of the last message. End of file
here means that the controller is gone; the supervisors need neither.
"""

from __future__ import annotations

# `socket` and `signal` wrap these in enumerations, which costs more than everything else here.
import _signal  # type: ignore[import-not-found]
import _socket
import gc
import os
import sys

from trimtab.adapters.processes import cgroup, kernel, masking, record, supervisor, title

_LONGEST_MESSAGE_BYTES = 8192
_MOST_DESCRIPTORS = 3
_DESCRIPTOR_BYTES = 4


def main(socket: int) -> None:
    """Serve the controller at the other end of the inherited socket until it closes that."""
    os.set_inheritable(socket, False)
    kernel.close_all_but(socket)
    kernel.set_name(b"trimtab-nursery")
    title.show("trimtab-nursery")
    # The kernel reaps: nobody here wants to know how a supervisor ended, its record says it.
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
    controller = _socket.socket(fileno=socket)
    assert masking.MASK  # loaded for the supervisors that will need it
    # What is loaded now is never looked at by the collector again, so forks go on sharing its pages.
    gc.collect()
    gc.freeze()
    while True:
        spare = _spare(controller)
        message, descriptors = _receive(controller)
        if not message:
            return  # and the spare with us: its socket has nobody at the other end
        if spare is None or not _hand_over(spare, message, descriptors):
            _fork(controller, message, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _spare(controller: _socket.socket) -> _socket.socket | None:
    """The way to a supervisor without a task; None when there can be none."""
    try:
        ours, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        pid = os.fork()
    except OSError:
        return None
    if pid == 0:
        try:
            ours.close()
            _wait_for_task(controller, its)
        finally:
            os._exit(1)
    its.close()
    return ours


def _wait_for_task(controller: _socket.socket, ours: _socket.socket) -> None:
    os.setsid()
    title.show("trimtab-super waiting")
    settled = cgroup.settle()
    folder, descriptors = _receive(ours)
    if not folder:
        cgroup.unsettle(settled)
        return
    ours.close()
    try:
        _be_supervisor(controller, folder, descriptors, settled)
    except BaseException:
        _complain(folder)


def _hand_over(spare: _socket.socket, folder: str, descriptors: list[int]) -> bool:
    """Give the spare its task; False when it is gone."""
    rights = b"".join(descriptor.to_bytes(_DESCRIPTOR_BYTES, sys.byteorder) for descriptor in descriptors)
    try:
        spare.sendmsg([os.fsencode(folder)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
    except OSError:
        return False
    finally:
        spare.close()
    return True


def _receive(controller: _socket.socket) -> tuple[str, list[int]]:
    """A folder and its descriptors; an empty folder when there is nobody any more."""
    room = _socket.CMSG_SPACE(_MOST_DESCRIPTORS * _DESCRIPTOR_BYTES)
    try:
        message, ancillary, _, _ = controller.recvmsg(_LONGEST_MESSAGE_BYTES, room)
    except ConnectionError:
        return "", []
    descriptors = [
        int.from_bytes(content[at : at + _DESCRIPTOR_BYTES], sys.byteorder)
        for _, _, content in ancillary
        for at in range(0, len(content) - _DESCRIPTOR_BYTES + 1, _DESCRIPTOR_BYTES)
    ]
    return os.fsdecode(message), descriptors


def _fork(controller: _socket.socket, folder: str, descriptors: list[int]) -> None:
    try:
        pid = os.fork()
    except OSError as error:
        _answer(controller, f"!{error.errno}")
        return
    if pid == 0:
        try:
            os.setsid()
            _be_supervisor(controller, folder, descriptors, None)
        except BaseException:
            _complain(folder)
        finally:
            os._exit(1)


def _be_supervisor(
    controller: _socket.socket, folder: str, descriptors: list[int], settled: cgroup.Homes | None
) -> None:
    """As if this process had been started by itself: see `launch.spawn`."""
    _answer(controller, str(os.getpid()))
    controller.close()
    title.show(f"trimtab-super {folder}")
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    supervisor.main(folder, *descriptors, settled=settled)


def _complain(folder: str) -> None:
    errors = os.open(os.path.join(folder, record.ERRORS), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(errors, 2)
    sys.excepthook(*sys.exc_info())
    sys.stderr.flush()


def _answer(controller: _socket.socket, text: str) -> None:
    try:
        controller.send(text.encode())
    except OSError:
        return  # the controller died meanwhile; the supervisor is started all the same
