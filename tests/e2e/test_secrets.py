"""A secret from `trimtab secrets set` to a step, and the hunt for its value everywhere else."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import httpx
import pytest

from tests.adapters.secrets.benches import SOPS, VaultBench, encrypted
from tests.e2e.laptop import Laptop, tidied
from tests.e2e.world import World
from trimtab.core.model import facts as f

VALUE = "s3cr3t/of the+house"
CLI = (sys.executable, "-m", "trimtab.cli.main")
# Uses it as hostile and careless steps do: prints it, encodes it, and keeps what came of it.
PIPELINE = """pipeline:
  use:
    run: |
      %s
      echo same
      echo "it is $TOKEN"
      printf %%s "$TOKEN" | base64
      echo kept > kept
    secrets: [TOKEN]
    cache: true
    outputs: [kept]
  fail: {run: "echo $TOKEN; exit 3", secrets: [TOKEN], needs: [use]}"""


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    with tidied(Laptop(Path(mkdtemp(prefix="trimtab-laptop-")))) as laptop:
        yield laptop


def trimtab(world: World, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    options = ("--home", str(world.home))
    done = subprocess.run([*CLI, *words, *options], input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def is_it(words: str, value: str) -> str:
    """A command that fails unless the words are that: without having it in the command."""
    expected = hashlib.sha256(value.encode()).hexdigest()[:16]
    return f'test "$(printf %s "{words}" | sha256sum | cut -c1-16)" = {expected}'


def places_of(folder: Path, needle: str) -> list[str]:
    """The files below a folder that have the text in them, or its base64."""
    forms = (needle.encode(), base64.b64encode(needle.encode()))
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [str(path.relative_to(folder)) for path in files if any(form in path.read_bytes() for form in forms)]


def answers_of(world: World) -> str:
    """Everything that the API tells of the application, its runs, its history and its logs."""
    headers = {"Authorization": f"Bearer {json.loads((world.home / 'api.json').read_text())['token']}"}
    base = f"http://127.0.0.1:{world.api_port}/api/v1"
    paths = ["status", "apps/shop/overview", "apps/shop/runs", "apps/shop/secrets", "history?limit=1000&routine=true"]
    paths += [f"logs/{step.process}" for run in world.client.runs("shop") for step in run.steps if step.process]
    answers = [httpx.get(f"{base}/{path}", headers=headers) for path in paths]
    assert all(answer.is_success for answer in answers)
    return "".join(answer.text for answer in answers)


def test_the_step_has_it_and_nothing_else_does(world: World) -> None:
    world.plant(pipeline=PIPELINE % is_it("$TOKEN", VALUE))
    world.up()
    trimtab(world, "secrets", "set", "shop", "TOKEN", stdin=f"{VALUE}\n")
    run = world.finished(world.push(version="one"))
    use, fail = run.steps
    assert (use.status, fail.status, fail.detail) == ("passed", "failed", "exit code 3: ***")
    log = "\n".join(world.client.logs(use.process))
    assert log.startswith("same\nit is ***\n***")

    assert VALUE not in answers_of(world)
    kept = [place for place in places_of(world.home, VALUE) if place != "secrets/shop/TOKEN"]
    assert kept == []
    assert "TOKEN" in trimtab(world, "secrets", "list", "shop").stdout

    for words, expected in (((), []), (("--with-secrets",), ["secrets/shop/TOKEN"])):
        file = world.folder / f"backup-{len(words)}.tar.gz"
        trimtab(world, "backup", str(file), *words)
        into = world.folder / f"unpacked-{len(words)}"
        with tarfile.open(file) as archive:
            archive.extractall(into, filter="data")
        assert places_of(into, VALUE) == expected
    assert VALUE not in (world.folder / "up.log").read_text()
    mode = (world.home / "secrets" / "shop" / "TOKEN").stat().st_mode & 0o777
    assert mode == 0o600
    facts = world.client.history("shop", limit=1000, routine=True)
    assert [fact.kind for fact in facts].count(f.SecretSet.__name__) == 1


def test_secrets_of_an_env_file_for_a_local_run(laptop: Laptop) -> None:
    laptop.plant(
        f"  use: {{run: '{is_it('$TOKEN', 'a b # c')}; echo it is $TOKEN', secrets: [TOKEN]}}",
        _dot_env='# of mine\nexport TOKEN="a b # c"\n',
        _dot_gitignore=".env\n",
    )
    without = laptop.run()
    assert without.returncode == 1
    assert "there is no secret TOKEN for shop" in without.stdout
    assert "it is ***" in laptop.fine("--env-file", ".env")
    assert places_of(laptop.folder / "cache", "a b # c") == []
    laptop.write(_dot_env="a secret without a name\n")
    wrong = laptop.run("--env-file", ".env")
    assert wrong.returncode == 2
    assert ".env:1" in wrong.stderr
    assert "a secret without a name" not in wrong.stderr


def test_secrets_of_sops_and_vault_and_a_vault_that_is_down(laptop: Laptop) -> None:
    vault = VaultBench(laptop.folder)
    vault.vault.kept["secret/data/trimtab/shop/payments"] = {"token": "from the vault"}
    program = laptop.folder / "bin" / "sops"
    program.parent.mkdir()
    program.write_text(SOPS)
    program.chmod(0o755)
    laptop.more = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "SOPS_AGE_KEY_FILE": str(program),
        "VAULT_ADDR": vault.vault.address,
        "VAULT_TOKEN": vault.vault.token,
    }
    declared = """
secrets:
  DB: {sops: secrets.enc.yaml, key: db.password}
  PAY: {vault: payments, key: token}
"""
    laptop.plant(
        f"  use: {{run: '{is_it('$DB/$PAY', 'from sops/from the vault')}', secrets: [DB, PAY]}}",
        rest=f"{declared}service: {{command: python app.py}}\nenvironments: {{production: {{port: 9999}}}}",
    )
    (laptop.top / "secrets.enc.yaml").write_bytes(encrypted({"db": {"password": "from sops"}}))
    try:
        laptop.fine()
        vault.vault.answer = 503, b'{"errors": ["Vault is sealed"]}'
        sealed = laptop.run()
        assert sealed.returncode == 75, "a store that is down is not the change's fault"
        assert "Vault is sealed, or not ready" in sealed.stdout
        assert places_of(laptop.folder / "cache", "from the vault") == []
    finally:
        vault.vault.close()
