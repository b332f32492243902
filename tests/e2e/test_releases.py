"""A change of a prompt and one of the model, from the push to the instance's environment and to `trimtab diff`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.world import World

RELEASE = """
release:
  prompts: {{answer: {{file: prompts/answer.txt, variables: [{variables}]}}}}
  model: {{name: gpt-x, parameters: {{temperature: {temperature}}}}}
"""


def test_prompts_and_models_are_checked_released_and_compared(world: World) -> None:
    def prompt(text: str) -> Path:
        file = world.repository / "prompts" / "answer.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def said(*words: str) -> str:
        command = [sys.executable, "-m", "trimtab.cli.main", *words, "--home", str(world.home)]
        done = subprocess.run(command, cwd=world.repository, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def configure(temperature: float, variables: str = "question") -> None:
        world.configure(strategy="instant", pipeline=RELEASE.format(temperature=temperature, variables=variables))

    world.plant(strategy="instant")
    configure(0.2)
    prompt("Be kind.\n{{ question }}\n")
    world.up()
    first = world.ended(world.push(version=1)).release
    world.live(first)
    seen = [process.environ() for process in world.processes("app.py")]
    environment = next(variables for variables in seen if "TRIMTAB_PROMPTS" in variables)
    prompts = json.loads(environment["TRIMTAB_PROMPTS"])
    assert prompts["answer"]["variables"] == ["question"]
    assert Path(prompts["answer"]["file"]).read_text() == "Be kind.\n{{ question }}\n"
    assert json.loads(environment["TRIMTAB_MODEL"])["parameters"] == {"temperature": 0.2}

    prompt("{% for a in range(10**9) %}{% endfor %}{{ question }}")
    refused = world.finished(world.push(version=1))
    assert (refused.status, refused.release) == ("failed", None)
    assert "prompts/answer.txt: rendering it takes too long" in refused.reason

    prompt("Be brief.\n{{ question }} {{ tone }}\n")
    configure(0.2, "question, tone")
    second = world.ended(world.push(version=1)).release
    configure(0.7, "question, tone")
    third = world.ended(world.push(version=1)).release
    world.live(third)
    assert first is not None
    assert second is not None
    changed = said("diff", second, first)
    for words in ("~ changed  prompt answer  prompts/answer.txt", "new: tone", "- Be kind.", "+ Be brief."):
        assert words in changed
    assert "temperature" not in changed
    changed = said("diff", third or "", second)
    assert "parameters.temperature  0.2     →  0.7" in changed
    assert "prompt answer" not in changed
    assert "nothing changed" in said("diff", third or "")
    assert "code, model" in said("releases")
    assert "prompts/answer.txt  question, tone" in said("releases", third or "")


def test_a_rollback_is_the_same_to_the_last_byte_and_builds_nothing(world: World) -> None:
    """Also of a release whose steps would build something else by now."""
    build = "pipeline: {build: {run: date +%s%N > built, outputs: built, cache: false}}"
    world.plant(strategy="instant", pipeline=f"{build}\nrelease: {{parts: {{code: [., built]}}}}")
    world.up()
    first = world.ended(world.push(version=1)).release
    assert first is not None
    folder = world.home / "artifacts" / "releases" / first.removeprefix("sha256:")
    before = contents(folder)
    world.ended(world.push(version=2))
    newest = world.ended(world.push(version=3)).release
    world.live(newest)
    # Somebody has been at it.
    (folder / "built").chmod(0o644)
    (folder / "built").write_text("something else")
    world.client.rollback("shop", "production", first)
    world.live(first)
    assert contents(folder) == before
    assert len(world.client.runs("shop")) == 3


def test_a_model_that_a_step_has_fetched_is_stored_once(world: World) -> None:
    """It is large, and nothing copies it on its way from the step into the release."""
    fetch = "pipeline: {fetch: {run: head -c 20000000 /dev/urandom > model.gguf, inputs: app.py, outputs: model.gguf}}"
    release = "release: {parts: {code: [.]}, model: {name: small, file: model.gguf}}"
    world.plant(strategy="instant", pipeline=f"{fetch}\n{release}")
    world.up()
    first = world.ended(world.push(version=1)).release
    assert first is not None
    folder = world.home / "artifacts" / "releases" / first.removeprefix("sha256:")
    assert (folder / "model.gguf").stat().st_size == 20_000_000
    second = world.ended(world.push(version=2)).release
    assert second not in (None, first)
    files = [path for path in world.home.rglob("*") if path.is_file() and path.stat().st_size == 20_000_000]
    # In the cache of steps, in the artifact store, and in the folders of both releases.
    assert len(files) == 4, files
    assert len({path.stat().st_ino for path in files}) == 1


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes()) for path in files}
