"""What steps and instances get of the environment that Trimtab itself was started in."""

from __future__ import annotations

import os
from collections.abc import Mapping

from trimtab.core.model.reproducible import ENVIRONMENT

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "PIP_CERT")


def passed_on() -> Mapping[str, str]:
    """The part of our own environment that steps and instances get."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def of_steps() -> Mapping[str, str]:
    """What every step's environment starts with."""
    return {**passed_on(), **ENVIRONMENT, "CI": "true"}
