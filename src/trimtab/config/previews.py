"""The settings of previews: an environment of its own for each pull request."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from trimtab.config.defaults import PREVIEWS
from trimtab.config.fields import Duration, HttpUrl, Variables
from trimtab.config.quantities import describe, wrong
from trimtab.config.setting import Settings, duration, mapping, setting

MOST_PORTS = 1000
_RANGE = re.compile(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?")


def parse_ports(text: str) -> tuple[int, int]:
    """The first and the last port of ``9000-9019`` or ``9000``."""
    found = _RANGE.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last <= 65_535:
        raise wrong(
            "config-invalid-value", f"must be a range of ports, but {describe(text)}", "for example `9000-9019`"
        )
    if last - first >= MOST_PORTS:
        hint = f"for example `{first}-{first + MOST_PORTS - 1}`"
        raise wrong("config-invalid-value", f"has more than {MOST_PORTS} ports", hint)
    return first, last


def _ports(text: str) -> str:
    parse_ports(text)
    return text


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        hint = "`127.0.0.1` for the machine alone, `0.0.0.0` for every network of it"
        raise wrong("config-invalid-value", f"must be an IP address, but {describe(text)}", hint) from None


def _url(text: str) -> str:
    if "{port}" in text or "{name}" in text:
        return text
    hint = "for example `https://{name}.shop.example.com` or `http://shop.example.com:{port}`"
    raise wrong("config-invalid-value", "has neither `{port}` nor `{name}`, so all previews would have the same", hint)


class Previews(Settings):
    """An environment of its own for each pull request that passes. `previews: true` has all defaults."""

    ports: Annotated[
        str,
        BeforeValidator(_as_text, json_schema_input_type=str | int),
        AfterValidator(_ports),
    ] = setting(
        f"{PREVIEWS.first_port}-{PREVIEWS.last_port}",
        "Each preview has one of these ports. Who finds none free waits until there is one.",
        "9000-9099",
    )
    host: Annotated[str, AfterValidator(_host)] = setting(
        PREVIEWS.host, "The address that the gateway listens on for them.", "0.0.0.0"
    )
    url: Annotated[HttpUrl, AfterValidator(_url)] | None = setting(
        None,
        "What their address is outside, with `{port}` or `{name}` (`preview-7`) in it. Left out: `http://HOST:PORT`.",
        "https://{name}.shop.example.com",
    )
    keep: Duration = duration(
        PREVIEWS.keep_s,
        "How long one stays after its newest head that passed. It goes earlier when its pull request is closed.",
        "7d",
        ge=60,
        le=31_536_000,
    )
    env: Variables = setting(
        {}, "Environment variables of instances in previews, on top of `service.env`.", {"STAGE": "preview"}
    )
    replicas: int = setting(PREVIEWS.replicas, "How many instances each has.", 2, ge=1, le=100)
    forks: bool = setting(
        PREVIEWS.forks,
        "Whether pull requests from forks get one. What they bring then runs with the rights of all instances: say"
        " `true` only where you trust whoever can open one.",
        True,
    )


def as_previews(value: Any) -> Any:
    """`true`: with all defaults; `false`: none."""
    if value is True:
        return {}
    if value is False:
        return None
    return mapping(value, "`true` or a mapping", "for example `previews: {ports: 9000-9019, keep: 48h}`")
