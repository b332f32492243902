"""Releases are attested when they are cut, and what is not trusted does not start: the engine on in-memory ports."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.world import CONFIGURATION, PRODUCTION, World
from trimtab.core.errors import failure
from trimtab.core.model.envelope import Envelope, decode_bundle, encode_bundle
from trimtab.core.model.facts import ReleaseCut, RerunRequested, RollbackRequested, RunRequested
from trimtab.core.model.identity import Digest
from trimtab.engine.attesting import MOST_RUNS
from trimtab.testing.memory_keys import MemoryKeys
from trimtab.views.model import RolloutView

INSTANT = """
app: shop
pipeline: {test: pytest, lint: ruff check}
service: {command: serve}
environments:
  production:
    strategy: instant
    require: %s
"""


def the_rollout(world: World, number: int) -> RolloutView:
    return next(each for each in world.board.rollouts(PRODUCTION) if each.number == number)


def statements(world: World, release: Digest) -> list[dict[str, Any]]:
    bundles = world.artifacts.attested[release].values()
    envelopes = [each for bundle in bundles for each in decode_bundle(bundle)]
    return [json.loads(each.payload) for each in envelopes if isinstance(each, Envelope)]


def live(world: World) -> Digest:
    place = world.board.environment(PRODUCTION)
    assert place is not None
    assert place.live is not None
    return place.live


def again(world: World, run: int, *, deploy: bool = False) -> None:
    """Somebody wants a run once more."""
    asked = [each.fact for each in world.facts() if isinstance(each.fact, RunRequested)]
    world.append(RerunRequested(run, asked[run - 1].change, "Ada", deploy=deploy))


async def deployed(world: World, *subjects: str, configuration: str = CONFIGURATION) -> list[Digest]:
    """These changes, one after the other; their releases."""
    releases = []
    for subject in subjects:
        number = len(world.board.rollouts(PRODUCTION)) + 1
        world.push(subject, configuration)
        await world.until(lambda number=number: world.ended(number))  # type: ignore[misc]
        releases.append(live(world))
    return releases


@pytest.fixture
async def world(tmp_path: Path) -> Any:
    world = World(tmp_path)
    world.register()
    world.start()
    yield world
    await world.stop()


async def test_a_release_says_where_it_comes_from_before_anybody_hears_of_it(world: World) -> None:
    (release,) = await deployed(world, "first", configuration=INSTANT % "{gates: [test, lint]}")
    source, *tests = statements(world, release)
    parameters = source["predicate"]["buildDefinition"]["externalParameters"]
    cut = next(recorded for recorded in world.facts() if isinstance(recorded.fact, ReleaseCut))
    assert isinstance(cut.fact, ReleaseCut)
    assert (parameters["app"], parameters["commit"]) == ("shop", cut.fact.commit)
    metadata = source["predicate"]["runDetails"]["metadata"]
    assert metadata["invocationId"] == "urn:trimtab:run:shop/1"
    assert metadata["startedOn"] <= metadata["finishedOn"]
    results = {each["predicate"]["configuration"][0]["name"]: each["predicate"]["result"] for each in tests}
    assert results == {"test": "PASSED", "lint": "PASSED"}
    assert the_rollout(world, 1).status == "promoted"


async def test_a_release_without_attestations_is_refused_and_the_live_one_serves_on(world: World) -> None:
    first, second = await deployed(world, "first", "second")
    world.artifacts.attested[first].clear()
    world.append(RollbackRequested(first, "Ada"), PRODUCTION.object_id)
    await world.until(lambda: world.ended(3))
    rollout = the_rollout(world, 3)
    assert rollout.status == "failed"
    assert f"release {first[7:19]} is refused: it is not signed: nothing is attested of it" in rollout.reason
    assert "start the run of its commit again" in rollout.reason
    assert live(world) == second
    assert world.traffic.share(PRODUCTION).candidate_pct == 0
    assert [i.release for i in await world.runtime.instances(PRODUCTION) if i.phase == "ready"] == [second]
    # What the hint says helps.
    again(world, 1, deploy=True)
    await world.until(lambda: world.ended(4))
    assert (the_rollout(world, 4).status, live(world)) == ("promoted", first)


async def test_a_damaged_attestation_is_enough_until_the_release_is_cut_again(world: World) -> None:
    first, second = await deployed(world, "first", "second")
    bundle = world.artifacts.attested[first]["run-1"]
    world.artifacts.attested[first]["run-1"] = bundle.replace(b'"sig":"', b'"sig":"A', 1)
    world.append(RollbackRequested(first, "Ada"), PRODUCTION.object_id)
    await world.until(lambda: world.ended(3))
    assert "run-1, attestation 1" in the_rollout(world, 3).reason
    assert live(world) == second
    again(world, 1, deploy=True)
    await world.until(lambda: world.ended(4))
    assert live(world) == first
    assert set(world.artifacts.attested[first]) == {"run-3"}


async def test_another_run_that_cuts_the_same_adds_its_own(world: World) -> None:
    (first,) = await deployed(world, "first")
    again(world, 1)
    await world.until(lambda: len([r for r in world.facts() if isinstance(r.fact, ReleaseCut)]) == 2)
    assert set(world.artifacts.attested[first]) == {"run-1", "run-2"}


async def test_only_the_newest_runs_that_cut_the_same_attest_it(world: World) -> None:
    (first,) = await deployed(world, "first")
    kept = world.artifacts.attested[first]
    kept |= {f"run-{number}": kept["run-1"] for number in range(2, 2 + MOST_RUNS)}
    again(world, 1)
    await world.until(lambda: len([r for r in world.facts() if isinstance(r.fact, ReleaseCut)]) == 2)
    assert len(world.artifacts.attested[first]) == MOST_RUNS
    assert "run-1" not in world.artifacts.attested[first]
    assert f"run-{MOST_RUNS + 1}" in world.artifacts.attested[first]


async def test_what_a_key_signed_that_was_revoked_stays_live_and_does_not_come_back(world: World) -> None:
    first, second = await deployed(world, "first", "second")
    signature = await world.keys.sign(b"")
    world.keys.revoke(signature.keyid)
    await world.until(lambda: ready(world) == [second])
    world.runtime.lose_all()  # it dies
    await world.until(lambda: ready(world) == [second])
    world.append(RollbackRequested(first, "Ada"), PRODUCTION.object_id)
    await world.until(lambda: world.ended(3))
    assert "which was revoked" in the_rollout(world, 3).reason
    (third,) = await deployed(world, "third")
    assert third not in (first, second)


def ready(world: World) -> list[Digest]:
    return [each.release for _, each in world.runtime.everywhere() if each.phase == "ready"]


async def test_another_installation_s_signature_does_not_count(world: World) -> None:
    first, _ = await deployed(world, "first", "second")
    stranger = MemoryKeys()
    stranger.new()
    envelopes = [each for each in decode_bundle(world.artifacts.attested[first]["run-1"]) if isinstance(each, Envelope)]
    forged = [Envelope(each.payload, (await stranger.sign(each.signed),)) for each in envelopes]
    world.artifacts.attested[first]["run-1"] = encode_bundle(forged)
    world.append(RollbackRequested(first, "Ada"), PRODUCTION.object_id)
    await world.until(lambda: world.ended(3))
    assert "which is not trusted here" in the_rollout(world, 3).reason


async def test_who_may_have_made_it(world: World) -> None:
    (first,) = await deployed(world, "first", configuration=INSTANT % "{}")
    world.push("second", INSTANT % "{builders: [https://elsewhere.example]}")
    await world.until(lambda: world.ended(2))
    assert "http://trimtab made it, which is none of the builders that may" in the_rollout(world, 2).reason
    assert live(world) == first


async def test_what_is_too_old_does_not_come_back(world: World) -> None:
    first, second = await deployed(world, "first", "second", configuration=INSTANT % "{max_age: 60s}")
    await world.clock.run_for(120.0)
    world.append(RollbackRequested(first, "Ada"), PRODUCTION.object_id)
    await world.until(lambda: world.ended(3))
    assert "by run shop/1, and 1 min are allowed" in the_rollout(world, 3).reason
    assert live(world) == second


async def test_where_nothing_is_required_nothing_is_asked(world: World) -> None:
    first, _ = await deployed(world, "first", "second", configuration=INSTANT % "none")
    world.artifacts.attested[first] = {"run-1": b"anything"}
    world.append(RollbackRequested(first, "Ada"), PRODUCTION.object_id)
    await world.until(lambda: world.ended(3))
    assert live(world) == first


async def test_a_rollout_that_began_in_time_is_not_too_old_at_its_end(world: World) -> None:
    """Its last instances start when it is."""
    configuration = CONFIGURATION.replace(
        "analysis:", "require: {max_age: 60s}\n    replicas: 2\n    analysis:"
    ).replace("hold: 1s, requests: 20", "hold: 3m, requests: 20, scale: 1")
    await deployed(world, "first", configuration=configuration)
    world.push("second", configuration)
    await world.until(lambda: world.ended(2), within_s=600.0)
    assert the_rollout(world, 2).status == "promoted"


async def test_a_gate_does_not_run_in_files_that_are_not_trusted_any_more(world: World) -> None:
    steps = "[{weight: 20%, hold: 1s, requests: 10}, {gate: ./may-i}]"
    configuration = f"""
app: shop
pipeline: {{test: pytest}}
service: {{command: serve}}
environments:
  production: {{strategy: {{canary: {{steps: {steps}}}}}, analysis: {{latency: false}}}}
"""
    (first,) = await deployed(world, "first", configuration=configuration)
    world.push("second", configuration)
    await world.until(lambda: world.highest_share_pct > 0)
    second = the_rollout(world, 2).release
    world.artifacts.attested[second].clear()
    await world.until(lambda: world.ended(2))
    assert "is refused: it is not signed" in the_rollout(world, 2).reason
    assert live(world) == first
    assert not [name for name in world.processes.started if name.startswith("gate/")]


async def test_what_could_not_be_signed_is_not_released(world: World) -> None:
    world.artifacts.faults.fail("attest", failure("artifact-io", "no space"))
    world.push("first")
    await world.until(lambda: bool(world.board.runs("shop") and world.board.runs("shop")[0].status == "failed"))
    assert "no space" in world.board.runs("shop")[0].reason
    assert not [recorded for recorded in world.facts() if isinstance(recorded.fact, ReleaseCut)]


def test_the_payload_is_plain_in_toto() -> None:
    """(What others read.)"""
    line = encode_bundle([Envelope(b'{"_type":"x"}', ())])
    assert json.loads(base64.b64decode(json.loads(line)["payload"])) == {"_type": "x"}
