"""What PostgreSQL's errors mean for a user. A password is in none of them."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import psycopg

from trimtab.core.errors import TrimtabError, failure

_SECRETS = ("password", "sslpassword", "passfile", "sslkey")
_UNREACHABLE_HINT = "see that the server runs and can be reached from here; it is tried again by itself"
_ENDED = ("08", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04")
"""The connection is gone, the server stops or starts, or the session was idle for too long."""
_MEANINGS: tuple[tuple[tuple[str, ...], tuple[str, str, str]], ...] = (
    (_ENDED, ("store-unreachable", "the connection to the store was lost", _UNREACHABLE_HINT)),
    (
        ("28", "42501"),
        ("store-refused", "the server does not let us in", "check user, password, pg_hba.conf and what is granted"),
    ),
    (("3D000", "3F000"), ("store-missing", "the database or schema does not exist", "create it, or correct the URL")),
    (
        ("53300",),
        ("store-busy", "the server has no connection left", "raise max_connections, or close what is not needed"),
    ),
    (
        ("53",),
        ("store-full", "the server has no space left", "free some: nothing is lost, and work goes on where it stopped"),
    ),
    (
        ("57014", "55P03", "40001", "40P01"),
        ("store-busy", "the server took too long, or others hold what is needed", "see pg_stat_activity for who does"),
    ),
    (
        ("25006",),
        ("store-unwritable", "the server only reads, as a standby does", "give the URL of the one that writes"),
    ),
    (("XX001", "XX002"), ("store-corrupt", "the server finds its data damaged", "restore a backup")),
)
_AT_THE_DOOR = (
    ("does not exist", "3D000"),
    ("authentication failed", "28"),
    ("no password supplied", "28"),
    ("no pg_hba.conf entry", "28"),
    ("permission denied", "28"),
    ("not permitted to log in", "28"),
    ("too many clients", "53300"),
    ("connection slots", "53300"),
    ("too many connections", "53300"),
)
"""libpq has no code for what went wrong before there was a session, only words."""


def public(url: str) -> str:
    """The URL without what is secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "postgresql://..."
    place = parts.netloc.rpartition("@")[2]
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name not in _SECRETS])
    return f"{parts.scheme}://{user and f'{user}@'}{place}{parts.path}{query and f'?{query}'}"


def explain(error: psycopg.Error, place: str) -> TrimtabError:
    """The error for a user: what is wrong with the server, and what to do."""
    code, said = error.sqlstate, _first_line(error)
    if code is None:
        known = isinstance(error, psycopg.OperationalError)
        return _meaning("08" if known else "", said, place)
    return _meaning(code, said, place)


def cannot_connect(error: psycopg.Error, url: str) -> TrimtabError:
    """The error for a connection that could not be made."""
    place, said = public(url), _last_line(error)
    if not isinstance(error, psycopg.OperationalError) or "for connection option" in said:
        # What is wrong with a URL is said by repeating it.
        hint = "postgresql://USER@HOST:PORT/DATABASE"
        return failure("store-url", "the URL of the store cannot be read", hint, place)
    for secret in _secrets_of(url):
        said = said.replace(secret, "***")
    code = next((code for words, code in _AT_THE_DOOR if words in said), None)
    if 'role "' in said and code == "3D000":
        code = "28"
    if code is None:
        return failure("store-unreachable", f"the store cannot be reached ({said})", _UNREACHABLE_HINT, place)
    return _meaning(code, said, place)


def _meaning(sqlstate: str, said: str, place: str) -> TrimtabError:
    for codes, (code, message, hint) in _MEANINGS:
        if sqlstate.startswith(codes):
            return failure(code, f"{message} ({said})", hint, place)
    return failure("store-failed", f"the database refused a statement ({said})", "this is a defect of Trimtab", place)


def _secrets_of(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    quoted = parts.netloc.rpartition("@")[0].partition(":")[2]
    asked = [value for name, value in parse_qsl(parts.query) if name in _SECRETS]
    return tuple(secret for secret in (quoted, unquote(quoted), *asked) if secret)


def _first_line(error: psycopg.Error) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _last_line(error: psycopg.Error) -> str:
    """Of several tries (several addresses of one host), what came of the last."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("- ") if lines else type(error).__name__
