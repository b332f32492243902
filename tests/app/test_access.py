"""The forge's token goes to the forge and to nobody else."""

from __future__ import annotations

import pytest

from trimtab.adapters.clock import SystemClock
from trimtab.adapters.forges import HttpForges
from trimtab.app.access import GitAccess
from trimtab.core.model import facts as f
from trimtab.core.model.forge import ForgeSpec
from trimtab.testing.memory_forges import MemoryForgeSecrets
from trimtab.testing.memory_store import MemoryStore

OWN = "https://github.com/org/shop.git"
FORGE = ForgeSpec("github", "org/shop", "https://api.github.com")


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    store.append([f.Recorded("app/shop", f.AppRegistered(poll_url=OWN, forge=FORGE))], 1.0)
    store.append([f.Recorded("app/plain", f.AppRegistered(poll_url=OWN))], 1.0)
    return store


@pytest.fixture
def access(store: MemoryStore) -> GitAccess:
    secrets = MemoryForgeSecrets()
    secrets.keep_token("shop", "the-token")
    secrets.keep_token("plain", "the-token")
    return GitAccess(store, HttpForges(SystemClock(), lambda: 0.5), secrets)


def test_the_forge_itself_is_shown_the_token(access: GitAccess) -> None:
    for url in (OWN, "https://github.com/mo/shop.git", "https://GitHub.com/org/shop.git"):
        assert access("shop", url) == {"Authorization": "Basic eC1hY2Nlc3MtdG9rZW46dGhlLXRva2Vu"}, url


@pytest.mark.parametrize(
    "url",
    [
        "https://mirror.example.com/org/shop.git",
        "http://github.com/org/shop.git",
        "https://github.com:8443/org/shop.git",
        "https://github.com.evil.example/org/shop.git",
        "https://github.com@evil.example/org/shop.git",
        "https://ann:secret@github.com/org/shop.git",
        "ssh://git@github.com/org/shop.git",
        "/srv/git/shop.git",
    ],
)
def test_nobody_else_is(access: GitAccess, url: str) -> None:
    assert access("shop", url) == {}


def test_without_a_forge_or_a_token_there_is_nothing_to_show(access: GitAccess, store: MemoryStore) -> None:
    assert access("plain", OWN) == {}
    assert access("nothing", OWN) == {}
    assert GitAccess(store, access.forges, MemoryForgeSecrets())("shop", OWN) == {}
