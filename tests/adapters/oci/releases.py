"""A release's files on a disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

from trimtab.adapters.oci import Image, PartFiles, image_of
from trimtab.core.model.tree import TreeEntry

ENVELOPES = (b'{"payload":"one"}', b'{"payload":"another"}')
RELEASE = b'{"app":"shop"}'
FILES = {
    "code": {
        "app.py": (b"print()", "644"),
        "bin/run": (b"#!/bin/sh\n", "755"),
        "empty": (b"", "644"),
        "to": (b"app.py", "link"),
    },
    "model": {"m" * 120 + "/w\u00e4ights.gguf": (bytes(range(256)) * 4000, "644")},
}


def files_in(root: Path) -> PartFiles:
    parts = {}
    for part, files in FILES.items():
        parts[part] = [_write(root, path, *file) for path, file in files.items()]
    return PartFiles(root, parts)


def image_in(root: Path) -> Image:
    return image_of("shop", RELEASE, files_in(root), ENVELOPES)


def _write(root: Path, path: str, data: bytes, mode: str) -> TreeEntry:
    full = root / path
    full.parent.mkdir(parents=True, exist_ok=True)
    if mode == "link":
        full.symlink_to(data.decode())
    else:
        full.write_bytes(data)
    return TreeEntry(path, mode, "sha256:" + hashlib.sha256(data).hexdigest(), len(data))  # type: ignore[arg-type]
