"""Steps that route by header, and steps that mirror."""

from __future__ import annotations

import re
from typing import Any

from trimtab.config.quantities import show_percent
from trimtab.imports.argo_rollouts.steps import Said, Steps
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.work import Work

ENDS = "From here on everybody takes part: those whom a header route sent are shared out like all others."
_ALONE = (
    "all who match get the new release, as before, but nobody else takes part meanwhile: a step has one group of"
    " requests and one share of it"
)
_COPIES = "all requests are copied, not only those that match; mirror only where doing a thing twice is no harm"
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HOW = {"exact": "equals", "prefix": "prefix", "regex": "regex"}
_LOOKS_AROUND = ("(?=", "(?!", "(?<=", "(?<!", "(?P=")
_MOST_CONDITIONS, _MOST_JOINED = 20, 10


class HeaderRoutes:
    """`setHeaderRoute`: while any is in force, only those who match take part, and all of them get the new release."""

    def __init__(self, work: Work, steps: Steps, routing: Value | None) -> None:
        self._work, self._steps = work, steps
        self._joined = routing is not None and routing.get("alb") is not None
        self._in_force: dict[str, list[dict[str, Any]]] = {}
        self.others_pct = 0.0
        """The share of those whom no header route sends."""

    def set(self, said: Value) -> None:
        """A route by its name; without `match` it ends."""
        name = said.get("name")
        key = name.text() if name is not None else ""
        match = said.get("match")
        conditions, lines = self._conditions(match.items() if match is not None else [])
        if not conditions:
            if match is not None and match.items():
                self._steps.current.comments.append("CHECK: a header route was left out; no condition could be kept.")
                self._work.report.none(name, "the route was left out")
                return
            self._work.report.mapped(match, "match: everybody")
            self._remove(key, name)
            return
        self._work.report.none(name, "the route needs no name")
        self._in_force[key] = conditions
        self._begin(lines)

    def end(self) -> bool:
        """A weight says how many of all get the new release: everybody takes part again. False: everybody did."""
        if not self._in_force:
            return False
        self._in_force.clear()
        step = self._steps.open("match", "weight")
        step.settings["match"] = "everybody"
        step.comments.append(ENDS)
        return True

    def _remove(self, key: str, name: Value | None) -> None:
        if self._in_force.pop(key, None) is None:
            self._work.report.mapped(name, "", "the route has ended already")
        elif self._in_force:
            self._begin([Said(name, "mapped", "match", "the other routes stay")])
        else:
            step = self._steps.open("match", "weight")
            step.undoes = True
            step.settings |= {"match": "everybody", "weight": show_percent(self.others_pct)}
            step.said.append(Said(name, "mapped", "match: everybody"))
            self._steps.weight_pct = self.others_pct

    def _begin(self, lines: list[Said]) -> None:
        # A share that was set just before is that of the others, and ends here.
        step = self._steps.open("match", "weight")
        all_of_them = [condition for each in self._in_force.values() for condition in each][:_MOST_CONDITIONS]
        step.settings |= {
            "match": all_of_them[0] if len(all_of_them) == 1 else all_of_them,
            "weight": "100%",
            "requests": 0,
        }
        step.said += lines
        self._steps.weight_pct = 100.0

    def _conditions(self, items: list[Value]) -> tuple[list[dict[str, Any]], list[Said]]:
        conditions: list[dict[str, Any]] = []
        lines: list[Said] = []
        for each in items:
            condition, said = _condition(each)
            if condition is None or len(conditions) == _MOST_CONDITIONS:
                self._work.report.none(each, "it is no condition on a header that the gateway knows (RE2)")
            else:
                conditions.append(condition)
                lines += said
        if self._joined and 1 < len(conditions) <= _MOST_JOINED:
            return [{"all": conditions}], lines  # an ALB asks for all of them, the others for any
        return conditions, lines


def _condition(said: Value) -> tuple[dict[str, Any] | None, list[Said]]:
    name, value = said.get("headerName"), said.get("headerValue")
    how = [(key, value.get(key)) for key in _HOW if value is not None and value.is_mapping]
    given = [(key, found) for key, found in how if found is not None]
    if name is None or not _HEADER.fullmatch(name.text()) or len(given) != 1:
        return None, []
    key, found = given[0]
    text = found.text()
    if (not text and key != "exact") or (key == "regex" and any(odd in text for odd in _LOOKS_AROUND)):
        return None, []
    to = f"match.{_HOW[key]}: {text[:40]}"
    lines = [Said(name, "changed", f"match.header: {name.text()}", _ALONE), Said(found, "mapped", to)]
    return {"header": name.text(), _HOW[key]: text}, lines


def mirror(work: Work, steps: Steps, said: Value) -> None:
    """`setMirrorRoute`: copies of requests. Without `match` and `percentage` it ends."""
    name, match, share = said.get("name"), said.get("match"), said.get("percentage")
    if match is None and share is None:
        if not steps.mirrors:
            work.report.mapped(name, "", "nothing is copied")
            return
        steps.mirrors = False
        steps.set("mirror", False, Said(name, "mapped", "mirror: false")).undoes = True
        return
    work.report.none(name, "the route needs no name")
    percentage = share.whole(0, 100) if share is not None else 100
    shown = show_percent(float(percentage))
    lines = [Said(share, "mapped", f"mirror: {shown}")]
    if match is not None:
        lines.append(Said(match, "changed", f"mirror: {shown}", _COPIES))
    steps.mirrors = percentage > 0
    step = steps.set("mirror", shown, *lines)
    step.comments.append("CHECK: these requests reach the new release, too, those that change something included.")
