"""How many documents a step builds, in the view of its run and in words."""

from __future__ import annotations

import pytest

from trimtab.cli.pictures.draw import lines
from trimtab.cli.pictures.local import step_line
from trimtab.cli.pictures.run import run_picture
from trimtab.core.model import facts as f
from trimtab.core.model.pipeline import DocumentCount, DocumentWork, ForEachSpec, StepResult, StepSpec
from trimtab.core.model.specification import ServiceSpec, Specification
from trimtab.views.board import Board
from trimtab.views.model import RunView

STEP = StepSpec("embed", "embed", for_each=ForEachSpec(("docs/",)), outputs=("index",))
PROCESS = "step/shop/1/embed/1"


def seen(*facts: f.Fact) -> RunView:
    board = Board()
    begun = (
        f.RunRequested(1, f.Change("c" * 40, "main", "ann", "Correct it", 0.0)),
        f.SpecificationRead(Specification("shop", ServiceSpec("serve"), (), (STEP,))),
    )
    for seq, fact in enumerate((*begun, *facts), start=1):
        board.apply([f.Recorded("run/shop/1", fact, seq=seq, at=float(seq))])
    run = board.run("shop", 1)
    assert run is not None
    return run


def started(built: int, taken: int) -> f.StepStarted:
    return f.StepStarted("embed", 1, PROCESS, documents=DocumentWork("sha256:1", None, DocumentCount(built, taken)))


PASSED = f.StepFinished("embed", 1, "passed", 0, 1.0, "")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((started(10, 9_990),), "10 of 10,000 documents"),
        ((started(10, 9_990), PASSED), "10 of 10,000 documents"),
        ((started(30, 0), PASSED), "30 documents"),
        ((started(1, 1), f.StepFinished("embed", 1, "failed", 1, 1.0, "it broke")), "1 of 2 documents, it broke"),
        ((f.StepTaken("embed", StepResult(None, "", 0.0, documents=DocumentCount(0, 30))),), "none of 30 documents is"),
        ((f.StepTaken("embed", StepResult(None, "step/shop/0/embed/1", 2.0)),), "as in run 0"),
    ],
)
def test_a_run_says_how_many_documents_it_builds(facts: tuple[f.Fact, ...], words: str) -> None:
    run = seen(*facts)
    assert words in "\n".join(lines(run_picture(run, 10.0), 110))
    if facts[-1] is PASSED or isinstance(facts[-1], f.StepTaken):
        assert words in step_line(run.steps[0]).plain


def test_what_another_run_has_built_is_not_built_now() -> None:
    (step,) = seen(f.StepTaken("embed", StepResult(None, PROCESS, 2.0, documents=DocumentCount(10, 20)))).steps
    assert step.documents == DocumentCount(0, 30)
