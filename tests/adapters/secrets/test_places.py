"""What is particular about each place of secrets."""

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.secrets.benches import FileBench, SopsBench, VaultBench, encrypted
from trimtab.adapters.secrets import FileSecrets, SecretPlaces, SopsSecrets, VaultSecrets, vault_of
from trimtab.core.errors import TrimtabError
from trimtab.core.model.secret import SecretSpec
from trimtab.testing.memory_secrets import MemorySecrets
from trimtab.testing.secrets_contract import APP, VALUE, problem_of


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultBench]:
    bench = VaultBench(tmp_path)
    yield bench
    bench.vault.close()


# --- files ---


def test_files_are_private_and_whole(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "secrets", {})
    secrets.keep(APP, "TOKEN", "first value")
    secrets.keep(APP, "TOKEN", "second value")
    file = tmp_path / "secrets" / APP / "TOKEN"
    assert file.read_text() == "second value\n"
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "secrets", file.parent, file)]
    assert modes == [0o700, 0o700, 0o600]
    assert [path.name for path in file.parent.iterdir()] == ["TOKEN"]
    assert secrets.remove(APP, "TOKEN")
    assert not secrets.remove(APP, "TOKEN")


@pytest.mark.parametrize("name", ["../shop2/TOKEN", "forge-token", "", ".new-1", "a/b", "A" * 200])
def test_no_name_leads_elsewhere(tmp_path: Path, name: str) -> None:
    secrets = FileSecrets(tmp_path / "secrets", {})
    for attempt in (lambda: secrets.keep(APP, name, "a value"), lambda: secrets.remove(APP, name)):
        with pytest.raises(TrimtabError) as caught:
            attempt()
        assert caught.value.problem.code == "secret-form"


@pytest.mark.parametrize("value", ["", "abc", "abc\n\n", "with\0nul", "x" * 70_000])
def test_a_value_that_could_not_be_masked_or_passed_on_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(TrimtabError) as caught:
        FileSecrets(tmp_path / "secrets", {}).keep(APP, "TOKEN", value)
    assert caught.value.problem.code == "secret-form"
    assert not (tmp_path / "secrets").exists()


async def test_the_environment_comes_after_files_and_the_applications_own_before_all(tmp_path: Path) -> None:
    environment = {
        "TRIMTAB_SECRET_TOKEN": "of all",
        "TRIMTAB_SECRET_SHOP_TOKEN": "of the shop",
        "TRIMTAB_SECRET_OTHER": "other",
        "HOME": "/root",
    }
    bench = FileBench(tmp_path, environment)
    wanted = [SecretSpec("TOKEN")]
    assert await bench.secrets.values(APP, "", wanted) == {"TOKEN": "of the shop"}
    assert await bench.secrets.values("blog", "", wanted) == {"TOKEN": "of all"}
    assert (await problem_of(bench, SecretSpec("HOME"))).code == "secret-missing"
    await bench.put("TOKEN", "of a file")
    assert await bench.secrets.values(APP, "", wanted) == {"TOKEN": "of a file"}
    given = FileSecrets(bench.home, environment, {"TOKEN": "given"})
    assert await given.values(APP, "", wanted) == {"TOKEN": "given"}


def test_a_list_has_names_and_places_and_no_values(tmp_path: Path) -> None:
    secrets = FileSecrets(tmp_path / "secrets", {"TRIMTAB_SECRET_OTHER": VALUE, "TRIMTAB_SECRET_TOKEN": VALUE})
    secrets.keep(APP, "TOKEN", VALUE)
    (tmp_path / "secrets" / APP / "forge-token").write_text("ours")
    other, token = secrets.list(APP)
    assert (other.name, other.place, other.set_at) == ("OTHER", "the variable TRIMTAB_SECRET_OTHER", None)
    assert (token.name, token.place) == ("TOKEN", "a file of Trimtab's")
    assert token.set_at is not None
    assert VALUE not in repr(secrets.list(APP))


# --- SOPS ---


async def test_sops_without_a_key_that_opens_it(tmp_path: Path) -> None:
    bench = SopsBench(tmp_path)
    wanted = await bench.put("TOKEN", VALUE)
    bench.key.unlink()
    problem = await problem_of(bench, wanted)
    assert problem.code == "secret-unreadable"
    assert "SOPS_AGE_KEY_FILE" in problem.hint


async def test_sops_that_is_not_there_or_does_not_answer_is_tried_again(tmp_path: Path) -> None:
    bench = SopsBench(tmp_path, timeout_s=1.0)
    await bench.push(hang__yaml=b"HANG")
    problem = await problem_of(bench, SecretSpec("TOKEN", sops="hang.yaml"))
    assert problem.code == "secret-store-unreachable"
    absent = SopsSecrets(bench.source, bench.environment, str(tmp_path / "nowhere"))
    with pytest.raises(TrimtabError) as caught:
        await absent.values(APP, bench.commit, [SecretSpec("TOKEN", sops="secrets.yaml")])
    assert caught.value.problem.code == "secret-store-unreachable"
    assert "getsops.io" in caught.value.problem.hint


async def test_sops_reads_the_file_of_that_very_commit(tmp_path: Path) -> None:
    bench = SopsBench(tmp_path)
    wanted = await bench.put("TOKEN", "the old value")
    old = bench.commit
    await bench.put("TOKEN", "the new value")
    assert await bench.secrets.values(APP, old, [wanted]) == {"TOKEN": "the old value"}
    problem = await problem_of(bench, SecretSpec("TOKEN", sops="nowhere.yaml"))
    assert (problem.code, problem.message) == ("secret-missing", "the commit has no file nowhere.yaml")


async def test_sops_gives_numbers_as_text_and_no_mappings(tmp_path: Path) -> None:
    bench = SopsBench(tmp_path)
    await bench.push(n__json=encrypted({"PORT": 5432, "DB": {"a": "b"}}))
    found = await bench.secrets.values(APP, bench.commit, [SecretSpec("PORT", sops="n.json")])
    assert found == {"PORT": "5432"}
    assert (await problem_of(bench, SecretSpec("DB", sops="n.json"))).code == "secret-unreadable"


# --- Vault ---


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, b'{"errors": []}', "secret-missing"),
        (403, b'{"errors": ["permission denied"]}', "secret-unreadable"),
        (400, b"{}", "secret-unreadable"),
        (200, b"<html>", "secret-unreadable"),
        (200, b'{"data": {"TOKEN": "of version 1"}}', "secret-unreadable"),
        (200, b"x" * 2_000_000, "secret-unreadable"),
        (500, b"", "secret-store-unreachable"),
        (502, b"", "secret-store-unreachable"),
        (503, b'{"errors": ["Vault is sealed"]}', "secret-store-unreachable"),
        (473, b"", "secret-store-unreachable"),
        (429, b"", "secret-store-unreachable"),
        (307, b"", "secret-store-unreachable"),
    ],
)
async def test_what_vault_may_answer(vault: VaultBench, status: int, body: bytes, code: str) -> None:
    vault.vault.answer = status, body
    problem = await problem_of(vault, SecretSpec("TOKEN", vault="a"))
    assert problem.code == code
    assert vault.vault.token not in str(problem)


async def test_a_vault_that_hangs_or_is_not_there_is_tried_again(tmp_path: Path) -> None:
    bench = VaultBench(tmp_path, timeout_s=0.5)
    bench.vault.hang = threading.Event()
    assert (await problem_of(bench, SecretSpec("TOKEN", vault="a"))).code == "secret-store-unreachable"
    bench.vault.close()
    assert (await problem_of(bench, SecretSpec("TOKEN", vault="a"))).code == "secret-store-unreachable"


@pytest.mark.parametrize(
    "path", ["../blog/token", "a/../../blog", "/secret/data/blog", "a//b", "a?b", "a%2e%2e/b", "..", ""]
)
async def test_no_path_leads_to_what_is_anothers(vault: VaultBench, path: str) -> None:
    vault.vault.kept["secret/data/trimtab/blog/token"] = {"TOKEN": VALUE}
    assert (await problem_of(vault, SecretSpec("TOKEN", vault=path))).code == "secret-unreadable"
    assert vault.vault.asked == []


async def test_the_prefix_is_the_operators(vault: VaultBench, tmp_path: Path) -> None:
    vault.vault.kept["team/data/shop-ci/token"] = {"TOKEN": VALUE}
    (tmp_path / "token").write_text(f"{vault.vault.token}\n")
    environment = {
        "VAULT_ADDR": f"{vault.vault.address}/",
        "VAULT_TOKEN_FILE": str(tmp_path / "token"),
        "VAULT_NAMESPACE": "team",
        "TRIMTAB_VAULT_PREFIX": "team/data/{app}-ci/",
    }
    wanted = [SecretSpec("TOKEN", vault="token")]
    assert await vault_of(environment).values(APP, "", wanted) == {"TOKEN": VALUE}
    assert vault.vault.asked == [("/v1/team/data/shop-ci/token", "team")]
    for prefix in ("secret/data/all/", "secret/{other}/{app}"):
        with pytest.raises(TrimtabError) as caught:
            vault_of({"TRIMTAB_VAULT_PREFIX": prefix})
        assert caught.value.problem.code == "vault-prefix"
    assert vault.vault.token not in repr(VaultSecrets("", vault.vault.token))


async def test_a_vault_that_nobody_named(tmp_path: Path) -> None:
    with pytest.raises(TrimtabError) as caught:
        await vault_of({"HOME": str(tmp_path)}).values(APP, "", [SecretSpec("TOKEN", vault="a")])
    assert "VAULT_ADDR" in caught.value.problem.hint


# --- all of them ---


async def test_each_is_asked_for_its_own(tmp_path: Path) -> None:
    own, sops, vault = MemorySecrets(), MemorySecrets(), MemorySecrets()
    own.known |= {(APP, "A"): "of files", (APP, "C"): "given"}
    sops.known[APP, "B"], vault.known[APP, "C"] = "of sops", "of vault"
    wanted = [SecretSpec("A"), SecretSpec("B", sops="b.yaml"), SecretSpec("C", vault="c")]
    places = SecretPlaces(own, sops, vault)
    assert await places.values(APP, "", wanted) == {"A": "of files", "B": "of sops", "C": "of vault"}
    given = SecretPlaces(own, sops, vault, frozenset({"C"}))
    assert await given.values(APP, "", wanted) == {"A": "of files", "B": "of sops", "C": "given"}
