from tests.adapters.store.conftest import fresh_postgres
from tests.postgres import postgres_url

__all__ = ["fresh_postgres", "postgres_url"]
