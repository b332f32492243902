"""Rollouts at random, over the fields that Argo Rollouts documents, and templates that they name."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc"]), max_size=20)
NUMBERS = st.integers(0, 1000)
DURATIONS = st.one_of(st.integers(0, 3600), st.sampled_from(["10s", "5m", "1h30m", "90", "0.5h", "200ms", "0"]))
INTERVALS = st.sampled_from(["5s", "1m", "2h", "30s", "100ms"])
TEMPLATE_INTERVALS = st.one_of(INTERVALS, st.just("{{args.interval}}"))
LABELS = st.dictionaries(NAMES, TEXTS, max_size=2)


def fields(required: dict[str, Strategy] | None = None, **optional: Strategy) -> Strategy:
    """A mapping with some of these entries."""
    return st.fixed_dictionaries(required or {}, optional=optional)


ARGUMENTS = st.lists(
    st.one_of(
        fields({"name": NAMES, "value": TEXTS}),
        fields({"name": NAMES, "valueFrom": st.just({"podTemplateHashValue": "Latest"})}),
        fields({"name": NAMES, "valueFrom": st.just({"fieldRef": {"fieldPath": "metadata.labels['app']"}})}),
        fields({"name": NAMES}),
    ),
    max_size=3,
)
TEMPLATE_NAMES = st.sampled_from(["success-rate", "latency", "gone", "smoke"])
ANALYSIS = fields(
    {"templates": st.lists(fields({"templateName": TEMPLATE_NAMES}, clusterScope=st.booleans()), max_size=3)},
    args=ARGUMENTS,
    dryRun=st.lists(fields({"metricName": st.sampled_from([".*", "a", "(", "success.*"])}), max_size=1),
    measurementRetention=st.just([{"metricName": ".*", "limit": 5}]),
    analysisRunMetadata=fields(labels=LABELS),
)
VALUES = st.one_of(*(fields({how: TEXTS}) for how in ("exact", "prefix", "regex")))
HEADERS = st.lists(fields({"headerName": st.one_of(st.just("X-Beta"), TEXTS), "headerValue": VALUES}), max_size=3)
ROUTES = st.sampled_from(["one", "two"])
EXPERIMENT = fields(
    {
        "templates": st.lists(
            fields(
                {"name": NAMES, "specRef": st.sampled_from(["stable", "canary"])},
                weight=st.integers(0, 100),
                replicas=NUMBERS,
                metadata=fields(labels=LABELS),
                selector=fields(matchLabels=LABELS),
                service=fields(name=NAMES),
            ),
            max_size=3,
        )
    },
    duration=INTERVALS,
    analyses=st.lists(fields({"name": NAMES, "templateName": TEMPLATE_NAMES}, args=ARGUMENTS), max_size=2),
)
SCALE = st.one_of(
    fields({"replicas": NUMBERS}),
    fields({"weight": st.integers(0, 100)}, replicas=NUMBERS),
    fields({"matchTrafficWeight": st.booleans()}),
)
MIRROR_MATCH = st.lists(fields(method=VALUES, path=VALUES, headers=st.dictionaries(NAMES, VALUES, max_size=1)))
STEP = st.one_of(
    st.just({"pause": {}}),
    fields({"pause": fields({"duration": DURATIONS})}),
    fields({"setCanaryScale": SCALE}),
    fields({"setHeaderRoute": fields({"name": ROUTES}, match=HEADERS)}),
    fields({"setMirrorRoute": fields({"name": ROUTES}, match=MIRROR_MATCH, percentage=st.integers(0, 100))}),
    fields({"experiment": EXPERIMENT}),
    fields({"analysis": ANALYSIS}),
    fields({"plugin": fields({"name": NAMES}, config=LABELS)}),
    fields({"setWieght": NUMBERS}),
)


@st.composite
def steps(draw: st.DrawFn) -> list[Any]:
    """Steps whose weights rise, with anything in between."""
    weights = sorted(draw(st.lists(st.integers(0, 100), max_size=5)))
    made: list[Any] = draw(st.lists(STEP, max_size=4))
    for weight in weights:
        made += [{"setWeight": weight}, *draw(st.lists(STEP, max_size=3))]
    return made


METADATA = fields(labels=LABELS, annotations=LABELS)
AFFINITY = st.just({"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 1}})
SHARED: dict[str, Any] = {
    "scaleDownDelaySeconds": st.integers(0, 100_000),
    "scaleDownDelayRevisionLimit": NUMBERS,
    "abortScaleDownDelaySeconds": NUMBERS,
    "antiAffinity": AFFINITY,
    "maxUnavailable": st.one_of(NUMBERS, st.just("25%")),
}
CANARY = fields(
    steps=steps(),
    analysis=ANALYSIS,
    canaryService=NAMES,
    stableService=NAMES,
    trafficRouting=fields(
        istio=fields(virtualService=fields(name=NAMES)),
        alb=fields(ingress=NAMES),
        managedRoutes=st.just([{"name": "a"}]),
    ),
    maxSurge=NUMBERS,
    dynamicStableScale=st.booleans(),
    minPodsPerReplicaSet=NUMBERS,
    canaryMetadata=METADATA,
    stableMetadata=METADATA,
    pingPong=fields({"pingService": NAMES, "pongService": NAMES}),
    replicaProgressThreshold=st.just({"type": "Percent", "value": 90}),
    **SHARED,
)
BLUE_GREEN = fields(
    {"activeService": NAMES},
    previewService=NAMES,
    previewReplicaCount=NUMBERS,
    autoPromotionEnabled=st.booleans(),
    autoPromotionSeconds=st.integers(0, 100_000),
    prePromotionAnalysis=ANALYSIS,
    postPromotionAnalysis=ANALYSIS,
    previewMetadata=METADATA,
    activeMetadata=METADATA,
    **SHARED,
)
PROBE = fields(
    httpGet=fields(path=TEXTS, port=NUMBERS),
    tcpSocket=fields(port=NUMBERS),
    periodSeconds=st.integers(1, 1000),
    failureThreshold=st.integers(1, 1000),
)
CONTAINER = fields(
    {"name": NAMES},
    image=TEXTS,
    command=st.lists(TEXTS, max_size=4),
    args=st.lists(st.one_of(TEXTS, st.just("--port=8080"), st.just("$(A)")), max_size=4),
    env=st.lists(fields({"name": st.one_of(st.sampled_from(["A", "PORT", "x.y"]), TEXTS)}, value=TEXTS), max_size=3),
    ports=st.lists(fields({"containerPort": st.integers(1, 65_535)}, name=NAMES), max_size=2),
    readinessProbe=PROBE,
    startupProbe=PROBE,
    livenessProbe=PROBE,
    resources=LABELS,
    typo=NUMBERS,
)
POD = fields(
    containers=st.lists(CONTAINER, max_size=2),
    initContainers=st.lists(CONTAINER, max_size=1),
    terminationGracePeriodSeconds=st.integers(0, 10_000),
    nodeSelector=LABELS,
    volumes=st.just([{"name": "a", "emptyDir": {}}]),
)
ROLLOUT = fields(
    {
        "apiVersion": st.just("argoproj.io/v1alpha1"),
        "kind": st.just("Rollout"),
        "metadata": fields({"name": NAMES}, namespace=NAMES, labels=LABELS, annotations=LABELS),
        "spec": fields(
            {"strategy": st.one_of(fields({"canary": CANARY}), fields({"blueGreen": BLUE_GREEN}))},
            replicas=NUMBERS,
            selector=fields(matchLabels=LABELS),
            template=fields(metadata=METADATA, spec=POD),
            workloadRef=fields({"kind": st.just("Deployment"), "name": NAMES}, scaleDown=st.just("never")),
            minReadySeconds=NUMBERS,
            progressDeadlineSeconds=st.integers(0, 100_000),
            progressDeadlineAbort=st.booleans(),
            rollbackWindow=fields({"revisions": NUMBERS}),
            revisionHistoryLimit=NUMBERS,
            paused=st.booleans(),
            restartAt=st.just("2026-01-01T00:00:00Z"),
            analysis=fields(successfulRunHistoryLimit=NUMBERS),
            unknown=LABELS,
        ),
    },
    status=fields(phase=TEXTS),
)
CONDITIONS = st.sampled_from(
    [
        "result[0] >= 0.95",
        "result <= 0.01",
        "isNaN(result) || result[0] < 5",
        "result == true",
        "x",
        ">= 100",
        "result > {{args.a}}",
    ]
)
QUERIES = st.one_of(
    st.sampled_from(
        [
            'sum(rate(good{a="{{args.hash}}"}[1m])) / sum(rate(all{a="{{args.hash}}"}[1m]))',
            '100 * (sum(bad{x="$1"}) / sum(all{}))',
            "avg(a) / b",
            "up",
            "rate(a[1m]) / rate(b{}[1m])",
            "(((a{}",
            "{{args.a}} / {{args.b}}",
        ]
    ),
    TEXTS,
)
PROVIDER = st.one_of(
    fields(
        {
            "prometheus": fields(
                query=QUERIES,
                address=st.one_of(st.just("http://prometheus:9090"), TEXTS),
                timeout=NUMBERS,
                headers=st.lists(fields({"key": TEXTS, "value": TEXTS}), max_size=2),
                insecure=st.booleans(),
            )
        }
    ),
    fields({"web": fields({"url": st.sampled_from(["https://a.example/x", "nothing"])}, method=NAMES, jsonPath=TEXTS)}),
    fields(
        {
            "job": st.builds(
                lambda words: {"spec": {"template": {"spec": {"containers": [{"command": words}]}}}},
                st.lists(TEXTS, max_size=2),
            )
        }
    ),
    fields({"datadog": fields(query=TEXTS)}),
    fields({"newer": fields(query=TEXTS)}),
)
METRIC = fields(
    {"name": st.one_of(NAMES, TEXTS.filter(bool), st.just("errors")), "provider": PROVIDER},
    interval=TEMPLATE_INTERVALS,
    count=st.one_of(NUMBERS, st.just("{{args.count}}")),
    successCondition=CONDITIONS,
    failureCondition=CONDITIONS,
    failureLimit=NUMBERS,
    consecutiveErrorLimit=NUMBERS,
    initialDelay=INTERVALS,
    typo=TEXTS,
)


def template(kind: str, name: str) -> Strategy:
    return fields(
        {
            "apiVersion": st.just("argoproj.io/v1alpha1"),
            "kind": st.just(kind),
            "metadata": st.just({"name": name}),
            "spec": fields(
                {"metrics": st.lists(METRIC, max_size=3)},
                args=ARGUMENTS,
                templates=st.lists(fields({"templateName": TEMPLATE_NAMES}), max_size=1),
            ),
        }
    )


def title(value: Any) -> str:
    """What a report calls an object."""
    return f"{value['kind']}/{value['metadata']['name']}"


INPUTS = st.tuples(
    ROLLOUT,
    st.lists(
        st.one_of(
            template("AnalysisTemplate", "success-rate"),
            template("ClusterAnalysisTemplate", "latency"),
            template("AnalysisTemplate", "smoke"),
            st.just({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}),
        ),
        max_size=3,
        unique_by=title,
    ),
).map(lambda made: json.loads(json.dumps([made[0], *made[1]])))
