"""What every Store promises, one small function for each promise. Each takes a fresh, empty store.

@pytest.mark.parametrize("check", STORE_CHECKS)
def test_contract(check, tmp_path):
    check(SqliteStore(tmp_path / "store.db"))
"""

from __future__ import annotations

from collections.abc import Callable

from trimtab.ports.store import Store
from trimtab.testing import store_log_checks, store_work_checks

StoreCheck = Callable[[Store], None]

STORE_CHECKS: tuple[StoreCheck, ...] = tuple(
    check
    for module in (store_log_checks, store_work_checks)
    for name, check in vars(module).items()
    if name.startswith("check_")
)
"""Every promise."""
