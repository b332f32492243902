"""`trimtab simulate`: the table, the picture, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from trimtab.cli.pictures.draw import lines
from trimtab.cli.pictures.simulate import answers_picture
from trimtab.core.model.specification import EnvironmentSpec
from trimtab.simulate.answers import answers
from trimtab.simulate.rollouts import Load

GOLDEN = Path(__file__).parent / "simulated.txt"
SHOP = """\
app: shop
service:
  command: serve
environments:
  staging: {port: 8081, strategy: instant}
  production: {port: 8080, strategy: canary}
"""
QUICKLY = ("--runs", "60", "--rate", "200", "--errors", "1")


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("trimtab.yaml").write_text(SHOP)
    return tmp_path


def test_the_table() -> None:
    """`TRIMTAB_REWRITE_GOLDEN=1` writes it anew; look at the diff. With the default canary, whatever a file says."""
    place = EnvironmentSpec("production", 8080)
    found = list(answers(place, Load(100.0, 0.01), runs=100, seed=7))
    drawn = "\n".join(lines(answers_picture(found, "shop/production"), 120)) + "\n"
    if os.environ.get("TRIMTAB_REWRITE_GOLDEN"):
        GOLDEN.write_text(drawn)
    assert drawn == GOLDEN.read_text()


def test_it_says_what_it_simulated(run: Terminal) -> None:
    said = run.fine("simulate", *QUICKLY)
    assert " ".join(said.split()).startswith(
        "shop/production: 5 % -> 25 % -> 50 %, deadline 1 h; 200 requests/s, 1 % of"
    )
    assert said == run.fine("simulate", *QUICKLY, "--env", "production", "--seed", "1")
    assert said != run.fine("simulate", *QUICKLY, "--seed", "2")


def test_json_has_the_numbers(run: Terminal) -> None:
    found = run.json("simulate", *QUICKLY)
    assert found["environment"] == "production"
    names = [each["candidate"] for each in found["answers"]]
    assert names[:2] == ["as good as stable", "1.5x errors"]
    for each in found["answers"]:
        assert each["caught_pct"] + each["promoted_pct"] + each["no_verdict_pct"] == pytest.approx(100.0)
    worst = next(each for each in found["answers"] if each["candidate"] == "5x errors")
    assert worst["caught_pct"] == 100.0
    assert worst["minutes_to_promote"] is None
    assert 0 < worst["minutes_to_catch"]["median"] <= worst["minutes_to_catch"]["p90"]


@pytest.mark.parametrize(("name", "magic"), [("canary.png", b"\x89PNG"), ("canary.svg", b"<?xml")])
def test_the_picture_is_drawn(run: Terminal, name: str, magic: bytes) -> None:
    said = run("simulate", *QUICKLY, "--picture", name)
    assert said.code == 0
    assert f"{name} drawn" in said.err
    drawn = Path(name).read_bytes()
    assert drawn.startswith(magic)
    assert len(drawn) > 5_000


def test_the_same_seed_draws_the_same_picture(run: Terminal) -> None:
    for name in ("one.svg", "two.svg"):
        run.fine("simulate", *QUICKLY, "--picture", name)
    assert Path("one.svg").read_bytes() == Path("two.svg").read_bytes()


def test_without_numpy_it_says_how_to_get_it(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.cli.simulate.find_spec", lambda _: None)
    said = run("simulate", *QUICKLY)
    assert said.code == 1
    assert "pip install 'trimtab[simulate]'" in said.err


def test_without_matplotlib_it_says_how_to_get_it(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = run("simulate", "--picture", "canary.png")
    assert said.code == 1
    assert "pip install 'trimtab[pictures]'" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--picture", "canary.gif"), "canary.svg"),
        (("--picture", "nowhere/canary.svg"), "cannot be written"),
        (("--env", "moon"), "it has staging, production"),
        (("--env", "staging"), "nothing to simulate"),
        (("nothing.yaml",), "there is no such file"),
    ],
)
def test_what_cannot_be_done_is_said(run: Terminal, words: tuple[str, ...], message: str) -> None:
    said = run("simulate", *words, *QUICKLY)
    assert said.code == 1
    assert message in said.err


def test_what_is_taken_for_granted_is_said(run: Terminal) -> None:
    said = run("simulate", *QUICKLY, "--users", "20")
    assert "let it count users" in said.err
    assert "slow requests" not in said.out


def test_help_imports_no_numpy() -> None:
    code = "import sys; from trimtab.cli.main import main\nmain(['simulate', '--help']); main(['--help'])\n"
    code += "sys.exit(any(name in sys.modules for name in ('numpy', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30).returncode == 0
