"""Fields of Argo Rollouts and of pods that have no counterpart, each with the reason and the way to do it here."""

from __future__ import annotations

_GATEWAY = "the gateway sends requests to both releases by itself"
_CLUSTER = "instances are processes on this machine: there is no cluster that would need it"
_HISTORY = "Trimtab keeps its history by itself; see `trimtab history`"

METADATA = {
    "namespace": "an environment is the place where a release runs; there are no namespaces",
    "labels": "objects have no labels here",
    "annotations": "objects have no annotations here; the history is told by `trimtab history` and the API",
    "generateName": "an application has one name: `app`",
}
WRITTEN_BY_THE_CLUSTER = "the cluster wrote it; it is no setting"

SPEC = {
    "selector": "instances are known by their release; nothing has to be selected",
    "revisionHistoryLimit": "releases that are no longer needed are removed by themselves",
    "restartAt": "a new release, or a return to one, starts new instances",
    "analysis": _HISTORY,
}

CANARY = {
    "canaryService": f"{_GATEWAY}; the header `x-trimtab-arm: candidate` reaches the new release",
    "stableService": f"{_GATEWAY}; the header `x-trimtab-arm: stable` reaches the stable release",
    "pingPong": f"{_GATEWAY}; no services have to change places",
    "maxSurge": "the new release's instances are started beside the stable ones, which stay",
    "maxUnavailable": "the stable release keeps its instances until the new one has all traffic",
    "dynamicStableScale": "the stable release keeps its instances, so that a return is instant (unlike `rolling`)",
    "minPodsPerReplicaSet": "`scale` in a step says how many instances the new release has",
    "replicaProgressThreshold": "a step begins when all instances are ready",
    "abortScaleDownDelaySeconds": "after a return, the new release's instances end when their requests have (`drain`)",
    "scaleDownDelayRevisionLimit": "only the release before stays, for `scale_down_delay`",
    "antiAffinity": _CLUSTER,
    "canaryMetadata": "instances have no labels; commands learn which release they are by `TRIMTAB_` variables",
    "stableMetadata": "instances have no labels; commands learn which release they are by `TRIMTAB_` variables",
}

BLUE_GREEN = {
    "activeService": f"{_GATEWAY}: users connect to the environment's `port`",
    "previewService": "the header `x-trimtab-arm: candidate` reaches the new release before it has any traffic",
    "previewReplicaCount": "the new release has all its instances before the switch",
    "maxUnavailable": "the stable release keeps its instances until the new one has all traffic",
    "scaleDownDelayRevisionLimit": CANARY["scaleDownDelayRevisionLimit"],
    "abortScaleDownDelaySeconds": CANARY["abortScaleDownDelaySeconds"],
    "antiAffinity": _CLUSTER,
    "previewMetadata": CANARY["canaryMetadata"],
    "activeMetadata": CANARY["stableMetadata"],
}

ROUTING = {
    **dict.fromkeys(
        ("istio", "nginx", "smi", "ambassador", "appMesh", "traefik", "apisix", "plugins"),
        f"{_GATEWAY}, and reads back what share is in force; remove the routes of the rollout there",
    ),
    "alb": f"{_GATEWAY}; `sticky: {{cookie: trimtab}}` keeps users on one release",
    "managedRoutes": "routes by header and mirroring are settings of the steps: `match` and `mirror`",
}

POD = {
    "initContainers": "prepare in the pipeline what the release needs, or begin `service.command` with it",
    "volumes": "instances run in a folder with the release's files; keep data elsewhere",
    "serviceAccountName": "instances run as the user who runs Trimtab",
    "serviceAccount": "instances run as the user who runs Trimtab",
    "securityContext": "instances run as the user who runs Trimtab",
    "imagePullSecrets": "no image is pulled: a release is made of the commit's files",
    "restartPolicy": "an instance that ends is started again",
}
POD_ELSE = _CLUSTER
POD_FIELDS = frozenset(
    [
        "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy",
        "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC", "hostNetwork", "hostPID", "hostUsers",
        "hostname", "nodeName", "nodeSelector", "os", "overhead", "preemptionPolicy", "priority", "priorityClassName",
        "readinessGates", "resourceClaims", "resources", "runtimeClassName", "schedulerName", "schedulingGates",
        "setHostnameAsFQDN", "shareProcessNamespace", "subdomain", "tolerations", "topologySpreadConstraints",
    ]
)  # fmt: skip

CONTAINER = {
    "image": "a release is made of the commit's files, not of an image: `service.command` runs in them",
    "imagePullPolicy": "no image is pulled",
    "workingDir": "the command runs in the folder with the release's files; begin it with `cd` to change that",
    "envFrom": "write the variables into `service.env`, or let the command read them from a file",
    "livenessProbe": "an instance that ends is started again; one that hangs shows in the analysis",
    "lifecycle": "requests in flight end (`service.drain`) before an instance is told to stop (`service.stop_timeout`)",
    "resources": "instances share the machine; limit them in `service.command` (`ulimit`, `systemd-run`)",
    "volumeMounts": POD["volumes"],
    "securityContext": POD["securityContext"],
}
CONTAINER_ELSE = _CLUSTER
CONTAINER_FIELDS = frozenset(
    [
        "resizePolicy", "restartPolicy", "restartPolicyRules", "stdin", "stdinOnce", "terminationMessagePath",
        "terminationMessagePolicy", "tty", "volumeDevices",
    ]
)  # fmt: skip
SIDECAR = "one command is one instance; run what it needs beside it by yourself, or start it in `service.command`"

NO_COUNTING = (
    "the verdict bounds the chance of a false alarm over the whole rollout (`false_rollback`); no failed measurements"
    " are counted"
)
METRIC = {
    "count": "numbers are read as long as the rollout lasts",
    "initialDelay": "evidence counts from the first request; `ramp` moves traffic slowly where caches are cold",
    "failureLimit": NO_COUNTING,
    "inconclusiveLimit": "without enough evidence the step waits, until `deadline`",
    "consecutiveErrorLimit": "while numbers cannot be read the rollout holds, until `deadline`",
    "consecutiveSuccessLimit": "a step with `evidence` ends when the new release is proven good enough",
}
PROVIDERS = {
    "datadog": "write it as `events: {bad: QUERY, all: QUERY}` with `datadog: https://api.datadoghq.com`",
    "cloudWatch": "write it as `events: {bad: EXPRESSION, all: EXPRESSION}` with `cloudwatch: URL`",
    "kayenta": "Trimtab compares both releases by itself; name the numbers in `analysis.metrics`",
    **dict.fromkeys(
        ("wavefront", "newRelic", "graphite", "influxdb", "skywalking", "plugin"),
        "there is no such source; a URL that answers with JSON (`json`) or a database (`sql`) can give the numbers",
    ),
}

FIELDS = frozenset(
    [
        *METADATA, *SPEC, *CANARY, *BLUE_GREEN, *ROUTING, *POD, *CONTAINER, *METRIC, *PROVIDERS,
        "apiVersion", "kind", "metadata", "name", "spec", "status", "replicas", "template", "workloadRef", "scaleDown",
        "minReadySeconds", "rollbackWindow", "revisions", "strategy", "paused", "progressDeadlineSeconds",
        "progressDeadlineAbort", "canary", "blueGreen", "steps", "setWeight", "pause", "duration", "setCanaryScale",
        "weight", "matchTrafficWeight", "setHeaderRoute", "match", "headerName", "headerValue", "exact", "prefix",
        "regex", "setMirrorRoute", "percentage", "method", "path", "headers", "experiment", "templates", "specRef",
        "analyses", "plugin", "config", "templateName", "clusterScope", "args", "value", "valueFrom", "startingStep",
        "podTemplateHashValue", "fieldRef", "fieldPath", "secretKeyRef", "key", "dryRun", "measurementRetention",
        "analysisRunMetadata", "requiredForCompletion", "trafficRouting", "maxTrafficWeight", "scaleDownDelaySeconds",
        "autoPromotionEnabled", "autoPromotionSeconds", "prePromotionAnalysis", "postPromotionAnalysis", "metrics",
        "interval", "successCondition", "failureCondition", "provider", "prometheus", "address", "query", "web", "job",
        "url", "jsonPath", "timeoutSeconds", "body", "jsonBody", "insecure", "authentication", "timeout", "rangeQuery",
        "containers", "command", "env", "ports", "containerPort", "readinessProbe", "startupProbe", "httpGet",
        "tcpSocket", "terminationGracePeriodSeconds", "service", "metadata", "metricName", "limit",
    ]
)  # fmt: skip
"""Names that fields of Argo Rollouts have: what a typing error may have meant."""
