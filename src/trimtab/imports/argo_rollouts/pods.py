"""The pod template: how instances start, when they are ready, how they end."""

from __future__ import annotations

import re

from trimtab.config.quantities import show_duration
from trimtab.imports.argo_rollouts.shell import command_line, names_port
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.vocabulary import (
    CONTAINER,
    CONTAINER_ELSE,
    CONTAINER_FIELDS,
    POD,
    POD_ELSE,
    POD_FIELDS,
    SIDECAR,
)
from trimtab.imports.argo_rollouts.work import ENVIRONMENT, Work, shown_text

_NO_COMMAND = "echo 'set service.command in trimtab.yaml to what starts your application' >&2; exit 1"
_LISTEN = "It must listen at the port in $PORT: several releases run side by side, each instance with its own port."
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def pod(work: Work, template: Value | None) -> None:
    """The settings of `service`. Without a template the command is one that says what to do."""
    work.draft.put("service", "command", _NO_COMMAND)
    if template is None:
        work.draft.comment(("service", "command"), "SET THIS: the input does not say what starts an instance.")
        return
    work.report.none(template.get("metadata"), "instances have no labels and annotations")
    spec = template.get("spec")
    if spec is None:
        return
    chosen = _chosen(spec.listed("containers"))
    for key, child in spec.fields():
        if key == "containers":
            for container in child.items():
                if chosen is not None and container.path == chosen.path:
                    _container(work, container)
                else:
                    work.report.none(container, f"a second container: {SIDECAR}")
        elif key == "terminationGracePeriodSeconds" and spec.get(key) is not None:
            note = "requests in flight end before it, within `drain` (1m)"
            shown = work.lasting(child, "service.stop_timeout", 3600.0, note)
            work.draft.put("service", "stop_timeout", shown)
        else:
            _say(work, child, POD.get(key, POD_ELSE if key in POD_FIELDS else ""))


def _chosen(containers: list[Value]) -> Value | None:
    """The container that serves: the first with a port, else the first."""
    with_port = [each for each in containers if each.get("ports") is not None]
    return next(iter(with_port or containers), None)


def _container(work: Work, container: Value) -> None:
    port = _port(work, container)
    _command(work, container, port)
    for key, child in container.fields():
        if container.get(key) is None:
            continue
        if key == "env":
            for variable in child.items():
                _variable(work, variable)
        elif key == "readinessProbe":
            _readiness(work, child)
        elif key == "startupProbe":
            _startup(work, child)
        elif key == "name":
            work.report.none(child, "an instance is named by its release")
        elif key not in ("command", "args", "ports"):
            _say(work, child, CONTAINER.get(key, CONTAINER_ELSE if key in CONTAINER_FIELDS else ""))


def _say(work: Work, said: Value, note: str) -> None:
    """Why the field has no counterpart; no note: it is no field of a pod."""
    if note:
        work.report.none(said, note)
    else:
        work.report.unknown(said)


def _command(work: Work, container: Value, port: int | None) -> None:
    command, args = container.get("command"), container.get("args")
    words = [item.text() for part in (command, args) if part is not None for item in part.items()]
    place = ("service", "command")
    if not any(word.strip() for word in words):
        work.draft.comment(place, "SET THIS: the image says what starts an instance, and the image is not known here.")
        for part in (command, args):
            work.report.none(part, "it is empty; write the command into `service.command`")
        return
    names = {name.text() for each in container.listed("env") if (name := each.get("name")) is not None}
    line = command_line(words, names, port)
    work.draft.put(*place, line)
    to = f"service.command: {shown_text(line)}"
    if command is None:
        work.draft.comment(place, "CHECK: write before it what the image's entry point is; only `args` are known here.")
    work.draft.comment(place, f"CHECK: it runs in a folder with the commit's files. {_LISTEN}")
    note = "it runs in the commit's files, not in an image"
    if port is not None:
        note += f", and listens at $PORT instead of {port}"
    for part in (command, args):
        extra = "; the image's entry point is not known here" if command is None else ""
        work.report.changed(part, to, note + extra)
    if port is not None and not names_port(words, port):
        work.draft.comment(
            place, f"CHECK: nothing of it names port {port}; let the application read the variable PORT."
        )


def _port(work: Work, container: Value) -> int | None:
    ports = container.listed("ports")
    chosen = None
    for number, each in enumerate(ports):
        if number or not each.is_mapping:
            work.report.none(each, "an instance has one port; serve the rest there, too, or beside Trimtab")
            continue
        if (found := each.get("containerPort")) is not None:
            chosen = found.whole(1, 65_535)
            users = chosen if chosen >= 1024 else 8080
            work.draft.put(*ENVIRONMENT, "port", users)
            note = "users connect to the gateway at this port; each instance gets one of its own in $PORT"
            work.report.changed(found, f"environments.production.port: {users}", note)
        work.known(
            each, dict.fromkeys(("name", "protocol", "hostPort", "hostIP"), "the gateway speaks HTTP at one port")
        )
    return chosen


def _variable(work: Work, variable: Value) -> None:
    name = variable.get("name")
    text = name.text() if name is not None else ""
    value, source = variable.get("value"), variable.get("valueFrom")
    if text == "PORT":
        for part in (name, value, source):
            work.report.changed(part, "$PORT", "every instance gets a port of its own in PORT")
        return
    if not _ENV_NAME.fullmatch(text):
        work.report.none(variable, "variables have names of letters, digits and underscores here")
        return
    if source is not None:
        note = f"the cluster gave the value; write {text} into `service.env`, or let the command read it from a file"
        work.report.none(variable, note)
        work.draft.comment(("service",), f"CHECK: the variable {text} came from the cluster; the command may need it.")
        return
    written = value.text() if value is not None else ""
    work.draft.put("service", "env", text, written)
    work.report.mapped(name, f"service.env.{text}")
    to = f"service.env.{text}: {shown_text(written, 40)}"
    if "$(" in written:
        work.report.changed(value, to, "`$(NAME)` stays as it is: write it out")
    else:
        work.report.mapped(value, to)


def _readiness(work: Work, probe: Value) -> None:
    http = probe.get("httpGet")
    for key, child in probe.fields():
        if key == "httpGet" and http is not None:
            for name, each in http.fields():
                if name == "path" and http.get("path") is not None:
                    _health_path(work, each)
                else:
                    work.report.none(each, "an instance is asked over HTTP at its own port")
        elif key == "tcpSocket":
            work.report.mapped(child, "", "without `service.health` an instance is ready when its port answers")
        elif key in ("exec", "grpc"):
            work.report.none(child, "an instance is ready when its port accepts a connection, or when a path answers")
        else:
            work.report.none(child, "an instance is asked until it is ready, within `service.health.timeout`")


def _health_path(work: Work, path: Value) -> None:
    text = path.text() if path.text().startswith("/") else f"/{path.text()}"
    if not re.fullmatch(r"/[!-~]*", text):
        work.report.none(path, "it is no path; set `service.health` to one that answers when an instance is ready")
        return
    if work.draft.get("service", "health", "path") is None:
        work.draft.put("service", "health", "path", text)
    work.report.mapped(path, f"service.health.path: {text}")


def _startup(work: Work, probe: Value) -> None:
    """Its patience becomes the time that an instance has to get ready."""
    tries, period = probe.get("failureThreshold"), probe.get("periodSeconds")
    delay = probe.get("initialDelaySeconds")
    total = (tries.whole(1, 100_000) if tries else 3) * (period.whole(1, 100_000) if period else 10)
    total += delay.whole(0, 1_000_000) if delay else 0
    timeout = show_duration(min(max(total, 1), 3600))
    work.draft.put("service", "health", "timeout", timeout)
    note = "its tries, its period and its delay together are the time that an instance has to get ready (at most 1h)"
    work.report.changed(probe, f"service.health.timeout: {timeout}", note)
