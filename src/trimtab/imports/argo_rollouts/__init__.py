"""Argo Rollouts (Rollout, AnalysisTemplate, ClusterAnalysisTemplate) to `trimtab.yaml`."""

from trimtab.imports.argo_rollouts.documents import Source
from trimtab.imports.argo_rollouts.report import Field, Outcome
from trimtab.imports.argo_rollouts.translation import Imported, translate

__all__ = ["Field", "Imported", "Outcome", "Source", "translate"]
