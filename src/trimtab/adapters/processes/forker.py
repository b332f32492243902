"""The program of a nursery: forks supervisors for one controller, from an interpreter that has everything loaded.

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

from trimtab.adapters.processes import kernel, masking, record, supervisor, title

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
        folder, descriptors = _receive(controller)
        if not folder:
            return
        _fork(controller, folder, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


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
            _be_supervisor(controller, folder, descriptors)
        except BaseException:
            _complain(folder)
        finally:
            os._exit(1)


def _be_supervisor(controller: _socket.socket, folder: str, descriptors: list[int]) -> None:
    """As if this process had been started by itself: see `launch.spawn`."""
    os.setsid()
    _answer(controller, str(os.getpid()))
    controller.close()
    title.show(f"trimtab-super {folder}")
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    supervisor.main(folder, *descriptors)


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
