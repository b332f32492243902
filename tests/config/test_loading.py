"""What a valid file means."""

from __future__ import annotations

import pytest

from tests.config.samples import EVERYTHING, MINIMAL
from trimtab.config import load
from trimtab.core.errors import TrimtabError
from trimtab.core.model.secret import SecretSpec
from trimtab.core.model.specification import (
    AnalysisSpec,
    EnvironmentSpec,
    ErrorsSpec,
    LatencySpec,
    PromptSpec,
    ReleaseSpec,
    ServiceSpec,
    Specification,
    StepSpec,
    StickySpec,
)
from trimtab.core.model.strategy import RolloutStep, StrategySpec

INSTANT = StrategySpec(kind="instant", steps=())


def test_a_minimal_file_is_production_on_port_8080_with_a_canary() -> None:
    assert load(MINIMAL) == Specification(
        app="shop", service=ServiceSpec(command="run"), environments=(EnvironmentSpec(name="production", port=8080),)
    )


def test_every_setting_reaches_the_specification() -> None:
    assert load(EVERYTHING) == Specification(
        app="shop",
        service=ServiceSpec(
            command="python -m shop --port $HTTP_PORT",
            port_env="HTTP_PORT",
            health_path="/healthz",
            health_timeout_s=120.0,
            env={"LOG_LEVEL": "info"},
            replicas=2,
            drain_timeout_s=300.0,
            stop_timeout_s=30.0,
        ),
        steps=(
            StepSpec(name="test", run="python -m pytest"),
            StepSpec(name="lint", run="ruff check", needs=("test",), env={"CI": "true"}, timeout_s=5400.0, retries=1),
        ),
        release=ReleaseSpec(
            parts={
                "code": (".",),
                "prompts": ("prompts", "evals", "texts/judge.txt"),
                "model": ("models/small.gguf",),
                "flags": ("flags.json",),
            },
            model={
                "provider": "openai",
                "name": "gpt-x",
                "parameters": {"temperature": 0.2, "stop": None},
                "fallback": [{"file": "models/small.gguf"}],
            },
            prompts={
                "answer": PromptSpec("prompts/answer.txt"),
                "judge": PromptSpec("texts/judge.txt", ("answer",), {"answer": "42"}),
            },
            config={"passages": 4, "tags": ["a", "b"]},
            flags="flags.json",
        ),
        environments=(
            EnvironmentSpec(name="staging", port=8081, strategy=INSTANT),
            EnvironmentSpec(
                name="production",
                port=8080,
                host="0.0.0.0",
                strategy=StrategySpec(
                    kind="canary",
                    steps=(RolloutStep(5.0, 0.25, 7), RolloutStep(25.0), RolloutStep(50.0, evidence=True)),
                    deadline_s=21_600.0,
                ),
                analysis=AnalysisSpec(
                    errors=ErrorsSpec(margin_ratio=2.0, acceptable_pct=0.1),
                    latency=LatencySpec(
                        quantiles=(0.5, 0.99),
                        margin_ratio=3.0,
                        tolerance_pct=20.0,
                        floor_ms=50.0,
                        measure="first_byte",
                    ),
                    false_rollback_pct=0.5,
                    unit="user",
                    false_promotion_pct=2.0,
                ),
                env={"STAGE": "eu"},
                replicas=3,
                sticky=StickySpec(kind="header", name="X-User-Id"),
            ),
        ),
        on_newer_change="queue",
    )


def environments(text: str) -> tuple[EnvironmentSpec, ...]:
    return load(f"{MINIMAL}environments: {text}\n").environments


def test_without_a_strategy_the_last_environment_gets_a_canary_and_those_before_it_none() -> None:
    first, second, third = environments("{a: {port: 1}, b: {port: 2}, c: {port: 3}}")
    assert [first.strategy, second.strategy, third.strategy] == [INSTANT, INSTANT, StrategySpec()]


def test_a_strategy_can_be_a_word() -> None:
    first, second = environments("{a: {port: 1, strategy: canary}, b: {port: 2, strategy: instant}}")
    assert [first.strategy, second.strategy] == [StrategySpec(), INSTANT]


def test_a_canary_mapping_without_steps_has_the_default_ones() -> None:
    (only,) = environments("{a: {strategy: {canary: {deadline: 2h}}}}")
    assert only.strategy == StrategySpec(deadline_s=7200.0)


def test_false_switches_a_metric_off() -> None:
    (only,) = environments("{a: {analysis: {errors: false, latency: false}}}")
    assert only.analysis == AnalysisSpec(errors=None, latency=None)


def test_variables_are_text_as_it_is_written() -> None:
    service = load(
        "app: shop\nservice: {command: run, env: {A: 1.10, B: off, C: True, D: 0x1F, E: '5', F: 2026-01-02, G: ''}}"
    ).service
    assert service.env == {"A": "1.10", "B": "off", "C": "True", "D": "0x1F", "E": "5", "F": "2026-01-02", "G": ""}


@pytest.mark.parametrize("short", ["src/", "[src]", "{code: src}", "{code: [./src/]}"])
def test_paths_alone_are_the_code_part(short: str) -> None:
    assert load(f"{MINIMAL}release: {{parts: {short}}}").release.parts == {"code": ("src",)}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ("{code: [.]}", {"code": (".",), "prompts": ("p/a.txt",), "config": ("c.toml",)}),
        ("{code: [.], texts: [p/]}", {"code": (".",), "texts": ("p",), "config": ("c.toml",)}),
        ("{code: [src/, p/a.txt, c.toml]}", {"code": ("src", "p/a.txt", "c.toml")}),
        ("{code: [.], prompts: [p/more]}", {"code": (".",), "prompts": ("p/more", "p/a.txt"), "config": ("c.toml",)}),
    ],
)
def test_what_is_named_by_itself_is_in_a_part(parts: str, expected: dict[str, tuple[str, ...]]) -> None:
    """Whatever names it or a folder above it keeps it; `.` does not name it."""
    release = load(f"{MINIMAL}release: {{parts: {parts}, prompts: {{a: ./p/a.txt}}, config: c.toml}}").release
    assert release.parts == expected
    assert release.config_file == "c.toml"


def test_what_an_instance_is_handed_must_fit_its_environment() -> None:
    data = "".join(f"    k{number}: {'x' * 10_000}\n" for number in range(7))
    for setting in ("  config:\n", "  model:\n    name: m\n    parameters:\n"):
        deeper = data if "config" in setting else data.replace("    k", "      k")
        with pytest.raises(TrimtabError) as caught:
            load(f"{MINIMAL}release:\n{setting}{deeper}")
        assert "put it in a file" in caught.value.problem.hint


def test_a_health_path_can_stand_alone() -> None:
    assert load("app: shop\nservice: {command: run, health: /up}").service.health_path == "/up"


def test_two_environments_share_a_port_on_different_addresses() -> None:
    first, second = environments('{a: {listen: "127.0.0.1:80"}, b: {listen: "[::1]:80"}}')
    assert [(spec.host, spec.port) for spec in (first, second)] == [("127.0.0.1", 80), ("::1", 80)]


def test_an_alias_stands_for_the_whole_value() -> None:
    first, second = environments("{a: {port: 1, env: &env {A: 1}}, b: {port: 2, env: *env}}")
    assert first.env == second.env == {"A": "1"}


def test_bytes_with_a_byte_order_mark_are_read() -> None:
    assert load(b"\xef\xbb\xbf" + MINIMAL.encode()) == load(MINIMAL)


def test_problems_carry_the_name_of_the_file() -> None:
    with pytest.raises(TrimtabError) as caught:
        load("app: shop\n", filename="apps/shop.yaml")
    assert [problem.where for problem in caught.value.problems] == ["apps/shop.yaml:1:1"]


MIB = 1024 * 1024
HOSTILE = {
    "too large": "a" * (MIB + 1),
    "too large in bytes": "\n".join(["é" * 1000] * 600),
    "one long line": "app: " + "!" * MIB,
    "many lines": "".join(f"k{number}: x\n" for number in range(90_000)),
    "open brackets": "[\n" * (MIB // 2),
    "nested lists": "- " * 9_000,
    "chain of aliases": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 3000)),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_text_that_is_made_to_be_slow_is_refused(text: str) -> None:
    with pytest.raises(TrimtabError) as caught:
        load(text)
    assert [problem.code for problem in caught.value.problems] == ["config-too-large"]


def test_steps_know_where_their_secrets_are() -> None:
    text = (
        "app: shop\nservice: {command: run}\n"
        "secrets: {A: {}, B: {sops: b.yaml, key: x.y}, C: {vault: c}}\n"
        "pipeline: {test: {run: pytest, secrets: [A, B]}, other: {run: pytest, secrets: [C]}}\n"
    )
    first, second = load(text).steps
    assert (first.secrets, first.secret_places) == (("A", "B"), (SecretSpec("B", sops="b.yaml", key="x.y"),))
    assert second.secret_places == (SecretSpec("C", vault="c"),)
    assert second.secret_places[0].found_at == "C"
