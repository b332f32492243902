"""A release with everything that one can be made of, and what it changes against another one."""

from __future__ import annotations

from tests.cli.scenario import APP, digest, play
from tests.views.test_release_diff import compare, side
from trimtab.core.model.pipeline import ForEachSpec, StepSpec
from trimtab.core.model.specification import EnvironmentSpec, PromptSpec, ReleaseSpec
from trimtab.views.model import ReleaseView
from trimtab.views.release_diff import ReleaseDetailView, ReleaseDiffView
from trimtab.views.releases import detail

_OLD = {
    "app.py": b"import json\n",
    "bin/serve": b"#!/bin/sh\n",
    "prompts/answer.txt": b"You help customers.\n\nBe kind and answer at length.\n\nQuestion: {{ question }}\n",
    "prompts/old.txt": b"{{ question }}\n",
    "requirements.txt": b"openai==1.90.0\nnumpy==2.1\n",
    "models/small.gguf": b"0" * 2_500_000,
    "flags.json": b'{"flags": {"cite": {"state": "DISABLED"}}}',
    "index/docs/refunds.md/vectors.f32": b"0" * 1536,
    "index/docs/gone.md/vectors.f32": b"0" * 1536,
}
_STEPS = (StepSpec("embed", "python3 embed.py", outputs=("index/",), for_each=ForEachSpec(("docs/**/*.md",))),)
_NEW = {
    **{
        path: content
        for path, content in _OLD.items()
        if path not in ("prompts/old.txt", "index/docs/gone.md/vectors.f32")
    },
    "app.py": b"import json\nimport re\n",
    "prompts/answer.txt": (
        b"You help customers.\n\nBe kind, and answer in at most two sentences that a hurried reader takes in at once.\n"
        b"{% for passage in passages %}\n- {{ passage }}{% endfor %}\n\nQuestion: {{ question }}\n"
    ),
    "prompts/judge.txt": b"Is it right? {{ answer }}\n",
    "requirements.txt": b"openai==1.91.0\nnumpy==2.1\ntiktoken\n",
    "models/small.gguf": b"1" * 2_600_000,
    "flags.json": b'{"flags": {"cite": {"state": "ENABLED"}}}',
    "index/docs/refunds.md/vectors.f32": b"1" * 1536,
    "index/docs/shipping.md/vectors.f32": b"1" * 1536,
}


def _release(temperature: float, prompts: dict[str, PromptSpec]) -> ReleaseSpec:
    model = {
        "provider": "openai",
        "name": "gpt-x",
        "parameters": {"temperature": temperature},
        "fallback": [{"provider": "local", "file": "models/small.gguf"}],
    }
    return ReleaseSpec(model=model, prompts=prompts, flags="flags.json", config={"passages": 4})


OLD = side(
    _OLD,
    _release(
        0.2,
        {
            "answer": PromptSpec("prompts/answer.txt", ("question",)),
            "old": PromptSpec("prompts/old.txt", ("question",)),
        },
    ),
    steps=_STEPS,
)
NEW = side(
    _NEW,
    _release(
        0.7,
        {
            "answer": PromptSpec("prompts/answer.txt", ("passages", "question")),
            "judge": PromptSpec("prompts/judge.txt", ("answer",)),
        },
    ),
    {"bin/serve": "755"},
    environments=(EnvironmentSpec("production", 9090),),
    steps=_STEPS,
)


def a_diff() -> ReleaseDiffView:
    return compare(OLD, NEW)


def a_release() -> ReleaseDetailView:
    manifest, scene = NEW[0].manifest, play()
    parts = {name: part.digest for name, part in manifest.parts.items()}
    view = ReleaseView(
        digest("new"), APP, 12, "1f" * 20, "Answer briefly", scene.now, parts, ("staging",), changed=("code", "prompts")
    )
    return detail(view, manifest)
