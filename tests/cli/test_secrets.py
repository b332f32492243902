"""`trimtab secrets`: set, listed and removed, and never shown."""

from __future__ import annotations

import io
import json

import httpx
import pytest

from tests.cli.terminal import Terminal
from tests.client.server import TOKEN, Api
from trimtab.core.model import facts as f

VALUE = "hunter2-and-more"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value comes from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{VALUE}\n"))


def test_a_secret_is_set_listed_and_removed(api: Api, run: Terminal, typed: None) -> None:
    said = run("secrets", "set", "shop", "OPENAI_API_KEY")
    assert said.code == 0, said.err
    assert "secret OPENAI_API_KEY is set" in said.err
    assert (api.last().object, api.last().fact) == ("app/shop", f.SecretSet("OPENAI_API_KEY", "ann"))
    listed = run.fine("secrets", "list", "shop")
    assert listed == run.fine("secrets")
    assert "OPENAI_API_KEY  just now  a file of Trimtab's" in listed
    assert "SHARED                    the variable TRIMTAB_SECRET_SHARED" in listed
    assert [each["name"] for each in run.json("secrets")] == ["OPENAI_API_KEY", "SHARED"]
    history = run.fine("history", "--all")
    assert "secret OPENAI_API_KEY set by ann" in history
    everything = said.out + said.err + listed + history + json.dumps(run.json("status"))
    assert VALUE not in everything
    assert run("secrets", "remove", "OPENAI_API_KEY").code == 0
    assert api.last().fact == f.SecretRemoved("OPENAI_API_KEY", "ann")
    assert "has no secret OPENAI_API_KEY" in run("secrets", "remove", "OPENAI_API_KEY").err


def test_what_is_refused_does_not_say_the_value(api: Api, run: Terminal, typed: None) -> None:
    said = run("secrets", "set", "shop", "not-a-name")
    assert said.code == 1
    assert "cannot be the name of a secret" in said.err
    assert VALUE not in said.err
    assert run("secrets", "set", "shop", "NAME", VALUE).code == 2
    assert "there is no application blog" in run("secrets", "list", "blog").err


@pytest.mark.parametrize("body", [{"value": [VALUE]}, {"value": {"a": VALUE}}, [VALUE], {"velue": VALUE}, VALUE])
def test_a_body_that_is_none_is_not_quoted(api: Api, body: object) -> None:
    place = f"{api.url}/api/v1/apps/shop/secrets/NAME"
    answer = httpx.put(place, json=body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 422
    assert VALUE not in answer.text
