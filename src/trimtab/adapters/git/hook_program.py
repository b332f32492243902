"""Run by Git inside a repository, as `python -I -S hook_program.py HOOK ENDPOINT_FILE`: tells Trimtab of a push.

Uses the standard library only, and little of it: a pusher and the run that the push starts wait for this program, and
importing `json`, `socket` or `subprocess` takes longer than all it does. So the C module under `socket` is used, and
the others are imported where they cost nobody time.
"""

from __future__ import annotations

import os
import sys
import time

try:
    import _socket as socket
except ImportError:
    import socket  # type: ignore[no-redef]

ANSWER_WITHIN_S = 5.0
MAX_ANSWER_BYTES = 1024 * 1024
MAX_FILE_BYTES = 64 * 1024 + 1
"""One more than a state file may have: enough to see that it is too long."""


def main() -> int:
    hook, endpoint = sys.argv[1:]
    updates = [tuple(line.split(" ", 2)) for line in os.fsdecode(sys.stdin.buffer.read()).splitlines()]
    try:
        with open(endpoint, encoding="utf-8") as file:
            url, token = file.read().split()
        accept, lines = ask(f"{url}/internal/git/{hook}", token, body_of(hook, updates))
    except (OSError, LookupError, TypeError, ValueError):
        # Not a reason to refuse: Trimtab looks at its repositories by itself and checks what it finds there.
        accept, lines = True, []
        if hook == "post-receive":
            lines = ["Trimtab does not answer; it will pick this push up when it is back."]
    for line in lines:
        print(line, flush=True)
    return 0 if accept or hook != "pre-receive" else 1


def body_of(hook: str, updates: list[tuple[str, ...]]) -> str:
    refs = []
    for old, new, ref in updates:
        files = f', "files": {changed_files(old, new)}' if hook == "pre-receive" else ""
        refs.append(f'{{"old": {quote(old)}, "new": {quote(new)}, "ref": {quote(ref)}{files}}}')
    repository = os.path.basename(os.getcwd()).removesuffix(".git")
    pusher = os.environ.get("REMOTE_USER", "")
    return f'{{"repository": {quote(repository)}, "pusher": {quote(pusher)}, "refs": [{", ".join(refs)}]}}'


def quote(text: str) -> str:
    """`text` as JSON."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    units = text.encode("utf-16-be", "replace")
    return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)) + '"'


def changed_files(old: str, new: str) -> str:
    """A JSON object: path -> new content (null: removed). Read here, since only here can a commit that is not yet
    accepted be seen."""
    if set(new) == {"0"}:
        return "{}"
    before = git("hash-object", "-t", "tree", "--stdin").decode().strip() if set(old) == {"0"} else old
    fields = git("diff-tree", "-r", "-z", "--no-renames", "--name-status", before, new).split(b"\0")
    pairs = []
    for status, path in zip(fields[::2], fields[1::2], strict=False):
        content = "null"
        if status != b"D":
            raw = git("cat-file", "blob", new + ":" + os.fsdecode(path))[:MAX_FILE_BYTES]
            content = quote(raw.decode("utf-8", "replace"))
        pairs.append(f"{quote(os.fsdecode(path))}: {content}")
    return "{" + ", ".join(pairs) + "}"


def git(*args: str) -> bytes:
    import subprocess

    done = subprocess.run(["git", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        raise ValueError(args[0])
    return done.stdout


def ask(url: str, token: str, body: str) -> tuple[bool, list[str]]:
    """POST and read the answer ``{"accept": bool, "lines": [str, ...]}``. Raises OSError or ValueError for none."""
    authority, _, path = url.removeprefix("http://").partition("/")
    host, _, port = authority.rpartition(":")
    content = body.encode()
    head = (
        f"POST /{path} HTTP/1.0\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n"
        f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    deadline = time.monotonic() + ANSWER_WITHIN_S
    family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), int(port), 0, socket.SOCK_STREAM)[0]
    connection = socket.socket(family, kind, protocol)
    connection.settimeout(ANSWER_WITHIN_S)
    connection.connect(address)
    connection.settimeout(ANSWER_WITHIN_S)
    connection.sendall(head.encode() + content)

    import json  # Trimtab is at work meanwhile

    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
        left_s = deadline - time.monotonic()
        if left_s <= 0 or len(answer) > MAX_ANSWER_BYTES:
            raise ValueError("no answer in time")
        connection.settimeout(left_s)
    connection.close()
    top, _, text = answer.partition(b"\r\n\r\n")
    if top.split(b" ", 2)[1] != b"200":
        raise ValueError("refused")
    reply = json.loads(text)
    return bool(reply["accept"]), [str(line) for line in reply["lines"]]


if __name__ == "__main__":
    sys.exit(main())
