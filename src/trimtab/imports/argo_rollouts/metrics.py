"""Metrics of analysis templates to metrics of one's own: a share of bad events, compared between both releases."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from trimtab.config.quantities import parse_duration, show_duration, show_percent
from trimtab.imports.argo_rollouts.arguments import Arguments, Missing, fill_header, fill_query, fill_seconds, fill_text
from trimtab.imports.argo_rollouts.draft import tame
from trimtab.imports.argo_rollouts.gates import Gate, gate, is_header_value
from trimtab.imports.argo_rollouts.queries import Line, NotUnderstood, Share, difference, line, mask, selecting, share
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.vocabulary import METRIC, PROVIDERS
from trimtab.imports.argo_rollouts.work import METRICS, Work, shown_text

_MOST_METRICS = 20
_PROMETHEUS = "http://prometheus:9090"
_URL = re.compile(r"https?://[^\s/?#]+[^\s]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_TAKEN = ("errors", "answers", "latency")
_WRITE = "write `events: {bad: QUERY, all: QUERY}` with totals for `$release`, or `score`, or `rate`"
_ABSOLUTE = "a limit on a number alone is not compared with the stable release"
_CHECK = (
    "CHECK: `$release` is the release that is asked about, 12 digits. Give what you measure a label that holds them: an"
    " instance knows them from TRIMTAB_RELEASE, after `sha256:`."
)
_COUNTED = "The gateway counts failed requests by itself (`analysis.errors`): this metric may be more than you need."
_STATUS = re.compile(r"(?:response_code|status|status_code|code|http_status)\s*[=!]")


@dataclass(frozen=True, slots=True)
class Made:
    """What a metric became: a metric by its name, a gate, or neither."""

    name: str = ""
    gate: Gate | None = None


def metric(work: Work, said: Value, arguments: Arguments) -> Made:
    """Translate one metric and say so; a gate still needs its place."""
    provider = said.get("provider")
    kinds = [key for key, _ in provider.fields()] if provider is not None else []
    if "prometheus" in kinds:
        return _prometheus(work, said, arguments)
    if "web" in kinds or "job" in kinds:
        return Made(gate=gate(work, said, arguments))
    kind = next((key for key in kinds if key in PROVIDERS), "")
    note = PROVIDERS.get(kind, "it names no provider that is known here")
    work.report.none(said, f"{kind}: {note}" if kind else note)
    return Made()


def _prometheus(work: Work, said: Value, arguments: Arguments) -> Made:
    query = said.get("provider", "prometheus", "query")
    try:
        if query is None:
            raise NotUnderstood("it has no query")
        filled = _telling_apart(fill_query(query.text(), arguments))
        drawn = _line(said, arguments)
        understood = share(filled)
    except (NotUnderstood, Missing) as reason:
        work.report.none(said, f"{reason}; {_WRITE}")
        return Made()
    name = _name(work, said)
    if not name:
        work.report.none(said, f"there may be {_MOST_METRICS} metrics at most")
        return Made()
    settings = _events(work, said, name, understood, drawn)
    _source(work, said, name, settings, arguments)
    work.draft.put(*METRICS, name, settings)
    work.draft.comment((*METRICS, name), _CHECK)
    if _STATUS.search(filled):
        work.draft.comment((*METRICS, name), _COUNTED)
    return Made(name)


def _telling_apart(query: str) -> str:
    """The query with `$release` in it, by a label of its own where no argument of it told the releases apart."""
    if "$release" in query.replace("$$", ""):
        return query
    if "{" not in mask(query):
        raise NotUnderstood("nothing in the query tells the releases apart")
    return selecting(query, 'release="$release"')


def _line(said: Value, arguments: Arguments) -> Line:
    """Where good begins. Raises `NotUnderstood`, and `Missing` for an argument that is not known."""
    success, failure = said.get("successCondition"), said.get("failureCondition")
    drawn = line(fill_text(success.text(), arguments)) if success is not None else None
    if success is None and failure is not None:
        bad = line(fill_text(failure.text(), arguments))
        drawn = Line(not bad.above, bad.limit) if bad is not None else None
    if drawn is None:
        raise NotUnderstood("its condition is no comparison of the result with a number")
    return drawn


def _name(work: Work, said: Value) -> str:
    name = said.get("name")
    known = work.draft.get(*METRICS) or {}
    if len(known) >= _MOST_METRICS:
        return ""
    own = tame(name.text() if name is not None else "metric")
    own = f"own-{own}"[:40].strip("-") if own in _TAKEN or own.startswith("latency-") else own
    own = tame(own, known)
    same = name is not None and name.text() == own
    note = "" if same else "names have small letters, digits and hyphens, and differ from the gateway's"
    work.report.say(name, "mapped" if same else "changed", f"analysis.metrics.{own}", note)
    return own


def _events(work: Work, said: Value, name: str, understood: Share, drawn: Line) -> dict[str, Any]:
    """The settings that say what is measured. `drawn.above`: the query gives the share of good events."""
    bad = difference(understood.whole, understood.part) if drawn.above else understood.part
    settings: dict[str, Any] = {"events": {"bad": bad, "all": understood.whole}}
    limit_pct = drawn.limit if understood.percent else drawn.limit * 100.0
    bad_pct = round(100.0 - limit_pct if drawn.above else limit_pct, 6)
    to = f"analysis.metrics.{name}"
    what = "good" if drawn.above else "bad"
    note = f"read as a share of {what} events: totals instead of rates, asked once for each release"
    work.report.changed(said.get("provider", "prometheus", "query"), f"{to}.events.bad: {shown_text(bad)}", note)
    success, failure = said.get("successCondition"), said.get("failureCondition")
    if 0 < bad_pct < 100:
        settings["acceptable"] = show_percent(bad_pct)
        note = "promotion needs fewer than 1.5 times the stable release's bad events (`margin`), or a share below this"
        where = success or failure
        work.report.changed(where, f"{to}.acceptable: {show_percent(bad_pct)}", note)
    else:
        work.report.changed(success or failure, f"{to}.margin", f"{_ABSOLUTE}; 1.5 times its bad events is (`margin`)")
    work.report.changed(failure, f"{to}.margin", "worse than the stable release, proven, is what takes a rollout back")
    work.known(said, METRIC)
    return settings


def _source(work: Work, said: Value, name: str, settings: dict[str, Any], arguments: Arguments) -> None:
    """Where and how often it is read."""
    to = f"analysis.metrics.{name}"
    source = said.get("provider", "prometheus")
    assert source is not None
    address = source.get("address")
    try:
        url = fill_text(address.text(), arguments).strip() if address is not None else ""
    except Missing:
        url = ""
    if _URL.fullmatch(url):
        work.report.mapped(address, f"{to}.prometheus: {shown_text(url)}")
    else:
        url = _PROMETHEUS
        work.report.changed(address, f"{to}.prometheus: {url}", "it is no URL that is known here: set it")
        work.draft.comment((*METRICS, name, "prometheus"), "SET THIS: the input does not say where Prometheus is.")
    settings["prometheus"] = url
    for each in source.listed("headers"):
        _add_header(work, each, settings, to, arguments)
    _times(work, said, name, settings, arguments)
    work.known(
        source,
        {
            "authentication": "give it in `headers`: `Authorization: Bearer ${TOKEN}`",
            "insecure": "certificates are always checked",
            "rangeQuery": "totals are read at one moment",
        },
    )


def _add_header(work: Work, said: Value, settings: dict[str, Any], to: str, arguments: Arguments) -> None:
    key, value = said.get("key"), said.get("value")
    try:
        text = fill_header(value.text(), arguments) if value is not None else ""
    except Missing as missing:
        work.report.none(said, str(missing))
        return
    if key is None or not _HEADER.fullmatch(key.text()) or not is_header_value(text):
        work.report.none(said, "it is no header that can be sent")
        return
    settings.setdefault("headers", {})[key.text()] = text
    work.each(said, ("key", "value"), f"{to}.headers.{key.text()}")


def _times(work: Work, said: Value, name: str, settings: dict[str, Any], arguments: Arguments) -> None:
    to = f"analysis.metrics.{name}"
    interval, timeout = said.get("interval"), said.get("provider", "prometheus", "timeout")
    every_s = timeout_s = 10.0
    if interval is not None:
        said_s = fill_seconds(interval, arguments)
        if said_s is None:
            work.report.none(interval, "nothing here says how long that is: it is read every 10s (`every`)")
        else:
            settings["every"] = work.lasting(interval, f"{to}.every", 3600.0, least_s=1.0, said_s=said_s)
            every_s = parse_duration(settings["every"])
    if timeout is not None:
        settings["timeout"] = work.lasting(timeout, f"{to}.timeout", 300.0, least_s=0.1)
        timeout_s = parse_duration(settings["timeout"])
    if every_s + timeout_s > 60.0:
        settings["fresh"] = show_duration(2 * every_s + timeout_s)
