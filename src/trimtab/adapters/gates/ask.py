"""Asks a gate's URL until it has answered: `python -m trimtab.adapters.gates.ask QUESTION`.

Exit code 0: passed, 1: failed, 2: the question cannot be asked. What it prints is the gate's log; the last line says
why. Its supervisor ends it when the gate's time is up.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Literal

import httpx

from trimtab.adapters.gates import fill_in

ASK_AGAIN = frozenset({202, 404, 408, 425, 429})
LIMIT_BYTES = 64 * 1024
_TIMEOUT_S = 10.0

Answer = Literal["pass", "fail", "wait"]


def read_answer(status: int, body: bytes) -> tuple[Answer, str]:
    """What the gate said, and in which words."""
    said: Any = None
    try:
        said = json.loads(body) if body.strip() else None
    except ValueError:
        said = None
    status_said = str(said.get("status", "")).lower() if isinstance(said, dict) else ""
    reason = str(said.get("reason", "")) if isinstance(said, dict) else ""
    words = f"HTTP {status}" + (f", {status_said}" if status_said else "") + (f": {reason[:300]}" if reason else "")
    if status in ASK_AGAIN or status >= 500:
        return "wait", words
    if not 200 <= status < 300:
        return "fail", words
    if status_said in ("fail", "failed", "wait", "pending"):
        return ("fail" if status_said.startswith("fail") else "wait"), words
    return "pass", words


def about(environment: Mapping[str, str]) -> dict[str, str]:
    """What the gate is told: the TRIMTAB_ variables by short names."""
    return {
        name.removeprefix("TRIMTAB_").lower(): value
        for name, value in environment.items()
        if name.startswith("TRIMTAB_")
    }


def ask(client: httpx.Client, gate: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[Answer, str]:
    """One question. A gate that cannot be reached is asked again."""
    told = about(os.environ)
    posts = gate["method"] == "POST"
    try:
        with client.stream(
            gate["method"],
            gate["url"],
            headers=dict(headers),
            json=told if posts else None,
            params=None if posts else told,
        ) as response:
            body = b""
            for chunk in response.iter_bytes(8192):
                body += chunk
                if len(body) > LIMIT_BYTES:
                    return "fail", f"HTTP {response.status_code} with more than {LIMIT_BYTES // 1024} KiB"
            return read_answer(response.status_code, body)
    except httpx.HTTPError as error:
        return "wait", f"{gate['url']} cannot be reached: {error or type(error).__name__}"


def main(question: str) -> int:
    gate = json.loads(question)
    try:
        headers = {name: fill_in(value, os.environ) for name, value in gate["headers"].items()}
    except KeyError as missing:
        print(f"the variable {missing.args[0]} of a header is not set where Trimtab runs", flush=True)
        return 2
    before = ""
    with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
        while True:
            answer, words = ask(client, gate, headers)
            if words != before:
                print(words, flush=True)
            if answer != "wait":
                return 0 if answer == "pass" else 1
            before = words
            time.sleep(gate["every_s"])


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # what a gate says may be no text
    sys.exit(main(sys.argv[1]))
