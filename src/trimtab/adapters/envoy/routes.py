"""Which request goes to which arm: a Route becomes a route configuration, a Share the runtime keys over its weights.

The document is also the only record of what was applied: what Envoy does not need but a restarted controller does
stands in its metadata under the name `trimtab`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.adapters.envoy import access_log, mirror
from trimtab.adapters.envoy.access_log import Document
from trimtab.adapters.envoy.names import cluster_name, environment_name
from trimtab.codec import decode_state, encode_state
from trimtab.core.model.identity import ArmId, EnvironmentId, release_of
from trimtab.core.model.specification import LatencyMeasure, StickySpec
from trimtab.core.model.strategy import Match, MirrorSpec, Segment
from trimtab.core.model.traffic import NO_SHARE, Route, Share

ARM_HEADER = "x-trimtab-arm"
VISIT_HEADER = "x-trimtab-visit"
TOTAL_WEIGHT = 10_000


@dataclass(frozen=True, slots=True)
class Arms:
    """What a route document says: who is served, under which lease, who takes part, and which latency counts."""

    stable: ArmId
    candidate: ArmId | None = None
    lease: str | None = None
    measure: LatencyMeasure = "total"
    others: tuple[ArmId, ...] = ()
    segments: tuple[Segment, ...] = ()
    mirror: MirrorSpec | None = None
    by_user: bool = False
    """Whether users stay on their arm."""

    @property
    def every(self) -> tuple[ArmId, ...]:
        """All arms. The candidate comes last: with a hash, a growing share then keeps everybody it had."""
        return (self.stable, *self.others, *([self.candidate] if self.candidate is not None else []))


def arms(route: Route) -> Arms:
    """What the route's document will say."""
    has_candidate = route.candidate is not None
    return Arms(
        stable=route.stable.arm,
        candidate=route.candidate.arm if route.candidate else None,
        lease=route.lease if has_candidate else None,
        measure=route.measure,
        others=tuple(backend.arm for backend in route.others) if has_candidate else (),
        segments=route.segments if has_candidate else (),
        mirror=route.mirror if has_candidate else None,
        by_user=route.sticky is not None,
    )


def route_configuration(route: Route) -> Document:
    """All traffic to stable; the others by header, and by the share that a lease puts over their weight of 0."""
    name, said = environment_name(route.environment), arms(route)
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "validate_clusters": True,
        "metadata": {"filter_metadata": {"trimtab": {"arms": encode_state(said)}}},
        "virtual_hosts": [
            {
                "name": name,
                "domains": ["*"],
                "retry_policy": retry_policy(),
                "request_headers_to_remove": [mirror.COPY_HEADER],
                "routes": list(_routes(route.environment, said, route.sticky)),
            }
        ],
    }


def arms_of(route_document: Mapping[str, Any]) -> Arms:
    """What a route configuration says, whether read from a file or from Envoy."""
    return decode_state(Arms, route_document["metadata"]["filter_metadata"]["trimtab"]["arms"])


def _routes(environment: EnvironmentId, said: Arms, sticky: StickySpec | None) -> Iterator[Document]:
    def to_arm(name: str, match: Document, arm: ArmId) -> Document:
        return _to(name, match, {"cluster": cluster_name(environment, arm)}) | _naming(arm)

    if said.candidate is None:
        yield to_arm(access_log.ALL, {}, said.stable)
        return
    yield to_arm(access_log.CHOSEN, {"headers": [_header_is(ARM_HEADER, "candidate")]}, said.candidate)
    yield to_arm(access_log.CHOSEN, {"headers": [_header_is(ARM_HEADER, "stable")]}, said.stable)
    if not said.segments:
        yield from _shared(environment, said, sticky, {})
        return
    for segment in said.segments:
        yield from _shared(environment, said, sticky, _belongs_to(segment))
    yield to_arm(access_log.OUTSIDE, {}, said.stable)


def _shared(environment: EnvironmentId, said: Arms, sticky: StickySpec | None, match: Document) -> Iterator[Document]:
    """The routes by which those who match are shared out."""
    action: Document = {"weighted_clusters": _weighted(environment, said)}
    if said.mirror is not None and said.lease is not None:
        action["request_mirror_policies"] = [mirror.policy(_mirror_key(said.lease))]
    more = mirror.per_route(said.mirror)
    if sticky is None:
        yield _to(access_log.SHARED, match, action) | more
        return
    action["weighted_clusters"]["use_hash_policy"] = True
    if sticky.kind == "header":
        action["hash_policy"] = [{"header": {"header_name": sticky.name}}]
        yield _to(access_log.SHARED, match, action) | _telling_user(f"%REQ({sticky.name})%") | more
        return
    # The first request is hashed by the same bytes that its cookie will carry: a visitor stays from then on.
    headers = match.get("headers", [])
    known = _to(
        access_log.SHARED,
        match | {"headers": [*headers, _has_cookie(sticky.name)]},
        action | {"hash_policy": [{"cookie": {"name": sticky.name}}]},
    )
    unknown = _to(access_log.SHARED, match, action | {"hash_policy": [{"header": {"header_name": VISIT_HEADER}}]})
    unknown["response_headers_to_add"] = [_set_cookie(sticky.name)]
    yield known | _telling_user("%DYNAMIC_METADATA(trimtab:user)%") | more
    yield unknown | _telling_user(f"%REQ({VISIT_HEADER})%") | more


def _weighted(environment: EnvironmentId, said: Arms) -> Document:
    # The weights always add up to the same total: with a hash, a growing share then keeps everybody it had.
    clusters: list[Document] = [
        {"name": cluster_name(environment, name), "weight": TOTAL_WEIGHT if name == said.stable else 0} | _naming(name)
        for name in said.every
    ]
    if said.mirror is not None and said.candidate is not None:
        clusters[0]["request_headers_to_add"] += mirror.marks(environment, said.candidate)
        for other in clusters[1:]:
            other["request_headers_to_remove"] = [mirror.CANDIDATE_HEADER]
    weighted: Document = {"clusters": clusters}
    if said.lease is not None:
        weighted["runtime_key_prefix"] = _lease_prefix(said.lease)
    return weighted


def _to(name: str, match: Document, action: Document) -> Document:
    """A route without a time limit: streams of language models are long."""
    return {"name": name, "match": {"prefix": "/", **match}, "route": {"timeout": "0s", **action}}


def _naming(arm: ArmId) -> Document:
    """Instances that serve several releases learn from each request which one it is meant for."""
    return {"request_headers_to_add": [mirror.overwriting(mirror.RELEASE_HEADER, release_of(arm))]}


def _telling_user(value: str) -> Document:
    return {"request_headers_to_add": [mirror.overwriting(access_log.USER_HEADER, value)]}


# --- who takes part --------------------------------------------------------------------------------------------------


def _belongs_to(segment: Segment) -> Document:
    headers = [_header_match(match) for match in segment if match.source == "header"]
    headers += [_cookie_match(match) for match in segment if match.source == "cookie"]
    found: Document = {"headers": headers} if headers else {}
    query = [_query_match(match) for match in segment if match.source == "query"]
    return found | ({"query_parameters": query} if query else {})


def _header_match(match: Match) -> Document:
    return {"name": match.name, **_value_match(match)}


def _query_match(match: Match) -> Document:
    return {"name": match.name, **_value_match(match)}


def _value_match(match: Match) -> Document:
    match match.how:
        case "present":
            return {"present_match": True}
        case "exact" | "prefix":
            return {"string_match": {match.how: match.value}}
        case "regex":
            return {"string_match": {"safe_regex": {"regex": match.value}}}


def _cookie_match(match: Match) -> Document:
    values = {
        "present": "[^;]*",
        "exact": re.escape(match.value),
        "prefix": re.escape(match.value) + "[^;]*",
        "regex": f"(?:{match.value})",
    }
    regex = rf"(?:.*;)?\s*{re.escape(match.name)}={values[match.how]}(?:;.*)?"
    return {"name": "cookie", "string_match": {"safe_regex": {"regex": regex}}}


def _header_is(name: str, value: str) -> Document:
    return {"name": name, "string_match": {"exact": value}}


def _has_cookie(name: str) -> Document:
    return {
        "name": "cookie",
        "string_match": {"safe_regex": {"regex": rf"(?:.*;)?\s*{re.escape(name)}=[^;\s].*"}},
    }


def _set_cookie(name: str) -> Document:
    value = f"{name}=%REQ({VISIT_HEADER})%; Path=/; HttpOnly; SameSite=Lax"
    return {"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}


def retry_policy() -> Document:
    """Only what never reached an instance is tried again, so no request runs twice; bridges a restart of 1 to 2 s."""
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 9,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.4s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }


# --- shares ----------------------------------------------------------------------------------------------------------


def _lease_prefix(lease: str) -> str:
    return f"lease.{lease}"


def _mirror_key(lease: str) -> str:
    return f"mirror.{lease}"


def lease_keys(environment: EnvironmentId, said: Arms, share: Share) -> dict[str, int]:
    """The runtime keys that put a share over the weights of the route document; empty without a lease to put it on."""
    if said.lease is None or said.candidate is None:
        return {}
    weights = {name: _weight(share.others_pct.get(name, 0.0)) for name in said.others}
    weights[said.candidate] = _weight(share.candidate_pct)
    weights[said.stable] = max(0, TOTAL_WEIGHT - sum(weights.values()))
    prefix = _lease_prefix(said.lease)
    keys = {f"{prefix}.{cluster_name(environment, name)}": weights[name] for name in said.every}
    return keys if said.mirror is None else {**keys, _mirror_key(said.lease): _weight(share.mirror_pct)}


def share_in_force(environment: EnvironmentId, said: Arms, runtime: Mapping[str, str]) -> Share:
    """The shares, given Envoy's runtime keys: what the keys do not say, the route document does."""
    keys = lease_keys(environment, said, NO_SHARE)
    if not keys or said.lease is None or said.candidate is None:
        return NO_SHARE
    prefix = _lease_prefix(said.lease)
    weights = {}
    for name in said.every:
        key = f"{prefix}.{cluster_name(environment, name)}"
        weights[name] = float(runtime.get(key, keys[key]))
    total = sum(weights.values())
    pct = {name: 100.0 * weight / total for name, weight in weights.items()} if total else dict.fromkeys(weights, 0.0)
    mirrored = float(runtime.get(_mirror_key(said.lease), 0)) if said.mirror is not None else 0.0
    return Share(
        pct[said.candidate], {name: pct[name] for name in said.others}, min(100.0, 100.0 * mirrored / TOTAL_WEIGHT)
    )


def _weight(share_pct: float) -> int:
    return round(share_pct / 100 * TOTAL_WEIGHT)
