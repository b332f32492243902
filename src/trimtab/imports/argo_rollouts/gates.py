"""Measurements that ask once whether to go on: a job becomes a command, a web request a URL that is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from trimtab.config.quantities import show_duration
from trimtab.imports.argo_rollouts.arguments import Arguments, Missing, fill_header, fill_seconds, fill_text
from trimtab.imports.argo_rollouts.draft import tame
from trimtab.imports.argo_rollouts.report import Outcome, Report
from trimtab.imports.argo_rollouts.shell import command_line
from trimtab.imports.argo_rollouts.steps import Said
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.work import Work, shown_text

_URL = re.compile(r"https?://[^\s/?#]+[^\s]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_ANSWER = 'its status decides, and `{"status": "fail"}` or `"wait"` in its JSON; let the URL answer so'
_LONGEST_S = 86_400.0


@dataclass(slots=True)
class Gate:
    """A gate, and what to say of the fields that it was made of, once it has a place."""

    settings: dict[str, Any]
    metric: Value
    lines: list[Said] = field(default_factory=list)

    def said(self) -> list[Said]:
        """For a gate of a step."""
        return [replace(line, to=f"gate.{line.to}" if line.to else "") for line in self.lines]

    def placed(self, report: Report, to: str) -> None:
        """For a gate of `to`."""
        for line in self.lines:
            report.say(line.value, line.outcome, f"{to}.{line.to}" if line.to else "", line.note)

    def left_out(self, report: Report, note: str) -> None:
        """For a gate that has no place."""
        report.none(self.metric, note)


def gate(work: Work, metric: Value, arguments: Arguments) -> Gate | None:
    """The gate that a metric with the provider `web` or `job` is; None, and said why, where it can be none."""
    name = metric.get("name")
    made = Gate({"name": tame(name.text() if name is not None else "gate")}, metric)
    try:
        if (job := metric.get("provider", "job")) is not None:
            _job(made, job, arguments)
        elif (web := metric.get("provider", "web")) is not None:
            _web(made, web, arguments)
    except Missing as missing:
        work.report.none(metric, f"{missing}; write a `gate` that asks for it")
        return None
    made.lines.append(Said(name, "mapped", f"name: {made.settings['name']}"))
    _once(made, arguments)
    return made


def _job(made: Gate, job: Value, arguments: Arguments) -> None:
    containers = job.get("spec", "template", "spec", "containers")
    first = next(iter(containers.items()), None) if containers is not None else None
    words = [
        fill_text(item.text(), arguments)
        for part in ("command", "args")
        for item in (first.listed(part) if first is not None else [])
    ]
    if not any(word.strip() for word in words):
        raise Missing("the job says no command, only an image")
    made.settings["run"] = command_line(words)
    deadline = job.get("spec", "activeDeadlineSeconds")
    if deadline is not None:
        said_s = fill_seconds(deadline, arguments)
        if said_s is not None:
            made.settings["timeout"] = show_duration(min(max(said_s, 1.0), _LONGEST_S))
    note = "the command runs in the new release's files, not in a pod with an image; exit code 0: passed"
    shown = shown_text(made.settings["run"])
    made.lines.append(Said(job, "changed", f"run: {shown}", note))


def _web(made: Gate, web: Value, arguments: Arguments) -> None:
    url = web.get("url")
    text = fill_text(url.text(), arguments).strip() if url is not None else ""
    if not _URL.fullmatch(text):
        raise Missing("it has no URL")
    made.settings["url"] = text
    method = web.get("method")
    word = method.text().upper() if method is not None else "GET"
    made.settings["method"] = word if word in ("GET", "POST") else "POST"
    made.lines.append(Said(url, "changed", f"url: {shown_text(text, 40)}", _ANSWER))
    made.lines.append(Said(method, *_method(word)))
    for each in web.listed("headers"):
        _header(made, each, arguments)
    notes = {
        "jsonPath": _ANSWER,
        "body": "the URL gets JSON about the rollout",
        "jsonBody": "the URL gets JSON about the rollout",
        "timeoutSeconds": "`timeout` is for the gate as a whole: 10m",
        "insecure": "certificates are always checked",
        "authentication": "give it in `headers`: `Authorization: Bearer ${TOKEN}`",
    }
    for key, note in notes.items():
        made.lines.append(Said(web.get(key), "none", "", note))


def _method(word: str) -> tuple[Outcome, str, str]:
    if word in ("GET", "POST"):
        return "mapped", f"method: {word}", ""
    return "changed", "method: POST", "GET or POST"


def _header(made: Gate, said: Value, arguments: Arguments) -> None:
    key, value = said.get("key"), said.get("value")
    text = fill_header(value.text(), arguments) if value is not None else ""
    if key is None or not _HEADER.fullmatch(key.text()) or not is_header_value(text):
        made.lines.append(Said(said, "none", "", "it is no header that can be sent"))
        return
    made.settings.setdefault("headers", {})[key.text()] = text
    made.lines.append(Said(key, "mapped", f"headers.{key.text()}"))
    made.lines.append(Said(value, "mapped", f"headers.{key.text()}"))


def is_header_value(text: str) -> bool:
    """Whether it can be sent, and every ``${NAME}`` in it names a variable."""
    holes = re.findall(r"\$\{([^}]*)\}?", text)
    named = all(re.fullmatch(r"[A-Za-z_]\w*", hole, re.ASCII) for hole in holes)
    closed = text.count("${") == len(re.findall(r"\$\{[^}]*\}", text))
    return named and closed and len(text) <= 4000 and not re.search(r"[\x00-\x08\x0a-\x1f]", text)


def _once(made: Gate, arguments: Arguments) -> None:
    """What a metric says about measuring again and again."""
    interval = made.metric.get("interval")
    said_s = fill_seconds(interval, arguments) if interval is not None else None
    if interval is not None and said_s is not None and "url" in made.settings:
        every = show_duration(min(max(said_s, 0.5), 3600.0))
        made.settings["every"] = every
        note = "only until it answers; a gate that has passed is not asked again"
        made.lines.append(Said(interval, "changed", f"every: {every}", note))
    elif interval is not None:
        made.lines.append(
            Said(interval, "none", "", "a gate is asked once in its step, a URL every 5s until it answers (`every`)")
        )
    for key in ("successCondition", "failureCondition"):
        note = _ANSWER if "url" in made.settings else "the exit code decides"
        made.lines.append(Said(made.metric.get(key), "none", "", note))
    once = "a gate is asked once in its step; `timeout` bounds it"
    for key in (
        *("count", "failureLimit", "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit"),
        "initialDelay",
    ):
        made.lines.append(Said(made.metric.get(key), "none", "", once))
