"""The HTTP API as one ASGI application."""

from __future__ import annotations

from fastapi import FastAPI

from trimtab.api import commands, forges, git, logs, metrics, problems, queries, release_queries, secrets
from trimtab.api.auth import TokenAuthentication
from trimtab.api.services import Services

DOCUMENTED = (
    queries.routes,
    release_queries.routes,
    logs.routes,
    metrics.routes,
    commands.routes,
    forges.routes,
    secrets.routes,
)
"""What the reference page tells of; Git has its own way of telling."""


def create_api(services: Services) -> FastAPI:
    """The API over its services. OpenAPI is at `/api/v1/openapi.json`."""
    api = FastAPI(title="Trimtab", version=services.version, openapi_url="/api/v1/openapi.json", redoc_url=None)
    api.state.services = services
    problems.install(api)
    for routes in (*DOCUMENTED, git.routes):
        api.include_router(routes)

    @api.get("/healthz", tags=["read"])
    async def healthz() -> dict[str, str]:
        """Whether the API answers."""
        return {"status": "ok", "version": services.version}

    api.add_middleware(TokenAuthentication, token=services.token)
    return api
