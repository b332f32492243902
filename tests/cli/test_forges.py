"""`trimtab apps add --forge`: what it asks for, what it says once, and what it never says."""

from __future__ import annotations

import io

import pytest

from tests.cli.terminal import Terminal
from tests.client.server import Api
from trimtab.core.model import facts as f
from trimtab.core.model.forge import ForgeSpec

ADD = ("apps", "add", "books", "--forge", "github", "--repository", "org/books")


def registered(api: Api) -> f.AppRegistered:
    newest = api.store.facts(kinds=("AppRegistered",), newest_first=True, limit=1)[0].fact
    assert isinstance(newest, f.AppRegistered)
    return newest


def test_the_webhook_is_said_once(api: Api, run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_FORGE_TOKEN", "token-of-the-environment")
    said = run(*ADD)
    assert said.code == 0, said.err
    secret = api.forge_secrets.webhooks["books"]
    assert f"webhook  {api.url}/api/v1/hooks/books" in said.err
    assert f"secret   {secret}" in said.err
    assert "token-of-the-environment" not in said.out + said.err
    assert api.forge_secrets.tokens == {"books": "token-of-the-environment"}
    assert registered(api).forge == ForgeSpec("github", "org/books", "memory:")
    assert registered(api).poll_url == "memory:books"
    again = run(*ADD)
    assert secret not in again.out + again.err
    assert "secrets/books/forge-webhook" in again.err


def test_the_token_may_come_from_standard_input(api: Api, run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("token-of-the-pipe\n"))
    assert "No token" not in run(*ADD, "--token-stdin").err
    assert api.forge_secrets.tokens == {"books": "token-of-the-pipe"}


def test_without_a_token_it_says_what_is_missing(api: Api, run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIMTAB_FORGE_TOKEN", raising=False)
    assert "runs are not reported" in run(*ADD).err
    assert api.forge_secrets.tokens == {}


def test_a_program_gets_application_and_webhook(api: Api, run: Terminal) -> None:
    said = run.json(*ADD)
    assert said["app"]["name"] == "books"
    assert said["webhook"] == {"url": f"{api.url}/api/v1/hooks/books", "secret": api.forge_secrets.webhooks["books"]}


def test_forgejo_is_gitea_and_addresses_are_passed_on(api: Api, run: Terminal) -> None:
    run.fine(
        *ADD[:3], "--forge", "forgejo", "--repository", "org/books", "--api-url", "https://git.example.com/api/v1/"
    )
    assert registered(api).forge == ForgeSpec("gitea", "org/books", "https://git.example.com/api/v1")


def test_a_repository_of_ones_own_choice_is_polled(api: Api, run: Terminal) -> None:
    run.fine(*ADD, "--poll", "ssh://git@github.com/org/books.git")
    assert registered(api).poll_url == "ssh://git@github.com/org/books.git"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--forge", "github"), "--repository"),
        (("--repository", "org/books"), "--forge"),
        (("--forge", "svn", "--repository", "org/books"), "bitbucket"),
    ],
)
def test_wrong_usage_is_said(api: Api, run: Terminal, words: tuple[str, ...], hint: str) -> None:
    said = run("apps", "add", "books", *words)
    assert said.code == 2
    assert hint in said.err


def test_what_cannot_be_a_repository_is_refused_before_anything_is_kept(api: Api, run: Terminal) -> None:
    said = run("apps", "add", "books", "--forge", "github", "--repository", "books")
    assert said.code == 1
    assert "hint:" in said.err
    assert api.forge_secrets.webhooks == {}
