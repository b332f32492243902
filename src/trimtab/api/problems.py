"""Errors as answers: RFC 9457 problem details, with the code, the sentence and the next step."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from trimtab.core.errors import Problem, TrimtabError

STATUS = {
    "not-found": 404,
    "conflict": 409,
    "unauthenticated": 401,
    "webhook-malformed": 400,
    "webhook-secret": 401,
    "webhook-signature": 401,
    "webhook-too-large": 413,
    "webhook-unsigned": 401,
}
"""The HTTP status of a Problem's code; anything else a caller did wrong is 422."""
UNAVAILABLE = "store-"
"""What codes begin with that say nothing of the caller: what is asked for cannot be read or kept now (503)."""


def problem_answer(*problems: Problem, status: int | None = None) -> JSONResponse:
    first = problems[0]
    body: dict[str, Any] = {
        "type": f"urn:trimtab:problem:{first.code}",
        "title": first.message,
        "detail": first.hint,
        "problems": [{"code": p.code, "message": p.message, "hint": p.hint, "where": p.where} for p in problems],
    }
    chosen = status or STATUS.get(first.code, 503 if first.code.startswith(UNAVAILABLE) else 422)
    # Whoever sends too much may not be at its end yet.
    headers = {401: {"WWW-Authenticate": 'Basic realm="Trimtab"'}, 413: {"Connection": "close"}}.get(chosen)
    return JSONResponse({**body, "status": chosen}, chosen, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Every error of every endpoint becomes problem details."""

    @app.exception_handler(TrimtabError)
    async def _known(_: Request, error: TrimtabError) -> JSONResponse:
        return problem_answer(*error.problems)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = [
            Problem("invalid-request", str(e["msg"]), where=".".join(str(part) for part in e["loc"]))
            for e in error.errors()
        ]
        return problem_answer(*problems)
