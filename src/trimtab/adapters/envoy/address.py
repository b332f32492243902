"""Whether an environment can listen on an address."""

from __future__ import annotations

import errno
import ipaddress
import socket

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.traffic import Endpoint


def is_free(listen: Endpoint) -> bool:
    """Whether something can listen there now."""
    try:
        ensure_free(listen)
    except TrimtabError:
        return False
    return True


def ensure_free(listen: Endpoint) -> None:
    """Raise `TrimtabError` (`port-taken`, `listen-refused`) when nothing can listen there now.

    Asked before Envoy is: Envoy shares its port (SO_REUSEPORT), so it would quietly share it with a second Envoy.
    """
    where = f"{listen.host}:{listen.port}"
    try:
        version = ipaddress.ip_address(listen.host).version
    except ValueError:
        raise failure(
            "listen-refused", f"{listen.host} is not an IP address", "write 127.0.0.1 or 0.0.0.0", where
        ) from None
    with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise failure(
                    "port-taken",
                    f"port {listen.port} is already used by another program",
                    f"stop it (`ss -ltnp 'sport = :{listen.port}'` names it) or choose another port",
                    where,
                ) from error
            raise failure(
                "listen-refused",
                f"the gateway cannot listen on {where}: {error.strerror}",
                "choose another port",
                where,
            ) from error
