"""The rivals as they are compared: with their defaults, with what their documentation shows, and with settings that
somebody who knows the error rate (1 %) would choose."""

from __future__ import annotations

from benchmarks.rivals.argo_rollouts import ArgoRollouts, Metric
from benchmarks.rivals.flagger import Flagger
from benchmarks.rivals.kayenta import Kayenta
from benchmarks.rivals.pipecd import PipeCD
from benchmarks.rivals.series import Rule

HOUR_S = 3600.0

RIVALS: tuple[Rule, ...] = (
    ArgoRollouts("Argo Rollouts, failureLimit 0 (default), >= 98 %, 1 min", 60.0, Metric(success_at_least=0.98)),
    ArgoRollouts("Argo Rollouts, docs: >= 95 %, 5 min, limit 3", 300.0, Metric(3, success_at_least=0.95)),
    ArgoRollouts("Argo Rollouts, tuned: >= 98 %, 1 min, limit 3", 60.0, Metric(3, success_at_least=0.98)),
    Flagger("Flagger, threshold 1 (default), >= 99 %, 1 min", 99.0),
    Flagger("Flagger, docs: >= 99 %, 1 min, threshold 5", 99.0, 5),
    Flagger("Flagger, tuned: >= 98 %, 1 min, threshold 5", 98.0, 5),
    Kayenta("Kayenta, docs: 3 h, judged each hour", HOUR_S, 3 * HOUR_S),
    Kayenta("Kayenta, tuned: judged every 10 min", 600.0, 3 * HOUR_S),
    PipeCD("PipeCD, THRESHOLD <= 2 %, 1 min, failureLimit 0 (default)", "threshold", 60.0, HOUR_S, max_error_pct=2.0),
    PipeCD("PipeCD, CANARY_BASELINE, 5 min, failureLimit 0 (default)", "baseline", 300.0, HOUR_S, points=20),
)
