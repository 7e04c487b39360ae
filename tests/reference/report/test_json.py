"""The JSON report is valid JSON for any numbers, and has every count of the text."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reference.campaign import Failure, Record
from reference.checks import ProgramCase
from reference.checks.training import TrainingRecord
from reference.programs import parse
from reference.report import json as report
from reference.verdict import Finding, Kind, Result, Verdict
from reference.verdict.explanation import Explanation, explain
from reference.verdict.localise import Origin

LINE = "x=f8(1.0); a=exp(x); back(a,f8(1.0))"


def document() -> dict[str, Any]:
    """Make a document with a failing op, a right one and a failing run."""
    finding = Finding(Kind.GRADIENT, "grad[x]", "", (0,), np.float64(np.nan), np.float64(np.inf), np.inf, 8.0)
    finding = replace(finding, judge="a judge", reason="for a reason")
    wrong = Record("exp", programs=3, numbers=10, inconclusive=1, conditioned=2, refused=1)
    verdict = Verdict(Result.ENGINE_WRONG, (finding,), judge="a judge", reason="for a reason")
    explanation = explain(parse(LINE), verdict, Origin(0, "what it passes back to x"))
    wrong.failures = [Failure("exp", ProgramCase(parse(LINE)), verdict, explanation, found=(7, "exp", 2))]
    right = Record("sum", programs=5, numbers=20)
    run = TrainingRecord("article", steps=1, numbers=83, losses=[(np.nan, 1.0)], drift=[0.5])
    run.failures = [(1, "SGD", finding)]
    return report.document(
        [wrong, right, Record("expressions", programs=2)], [run], engine="e 1", reference="r 2", profile="quick", seed=7
    )


def test_it_is_json_whatever_the_numbers(tmp_path: Path) -> None:
    """NaN and infinity, which JSON lacks, are written as strings, and the file reads back equal."""
    path = tmp_path / "new" / "found.json"
    report.write(path, document())
    found = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found == document()
    assert found["failures"][0]["findings"][0]["got"] == "nan"


def test_it_counts_what_the_records_count() -> None:
    """Counts are sums over the records; expressions do not count as an op."""
    assert document()["counts"] == {
        "ops": 2, "programs": 10, "numbers": 113, "audits": 0, "audited": 0, "conditioned": 2, "imprecise": 0,
        "inconclusive": 1, "reference_imprecise": 0, "reference_wrong": 0, "witnessed": 0, "refused": 1,
        "failures": 1, "training_runs": 1,
    }  # fmt: skip


def test_a_failure_can_be_run_again_from_it() -> None:
    """A failure has the line that `repro` takes, and the seed and number it was drawn from."""
    (failure,) = document()["failures"]
    assert (failure["kind"], str(parse(failure["case"]))) == ("program", LINE)
    assert failure["found"] == {"seed": 7, "for": "exp", "number": 2}
    assert failure["origin"] == {"step": 0, "says": "what it passes back to x"}


def test_a_failure_says_who_decided_and_why() -> None:
    """A failure has the judge and the reason of the verdict and of each finding, and the likely cause."""
    (failure,) = document()["failures"]
    assert (failure["judge"], failure["reason"]) == ("a judge", "for a reason")
    assert (failure["findings"][0]["judge"], failure["findings"][0]["reason"]) == ("a judge", "for a reason")
    assert failure["cause"] == ""
    assert failure["distance"] == "the engine has NaN, the reference infinity"


def test_it_has_the_facts_of_the_text() -> None:
    """A failure has the line that raised; a row names where it is told; a run has its transcript and explanation."""
    finding = Finding(Kind.RAISED, "the backward pass", "raised ValueError: no")
    verdict, explanation = Verdict(Result.ENGINE_WRONG, (finding,)), Explanation(raised="mine.py:12: return x.foo")
    row = Record("sin", programs=1, failures=[Failure("exp", ProgramCase(parse(LINE)), verdict, explanation)])
    run = TrainingRecord("article", failures=[(1, "SGD", finding)], transcript="loss: hinge", raised="mine.py:3: x")
    names = {"engine": "e", "reference": "r", "profile": "quick"}
    found = report.document([row, Record("sinh", told="exp")], [run, TrainingRecord("moons")], seed=0, **names)
    assert found["failures"][0]["raised"] == "mine.py:12: return x.foo"
    assert [op["told"] for op in found["ops"]] == [["exp"], ["exp"]]
    wrong, right = found["training"]
    assert (wrong["text"], wrong["raised"], wrong["distance"], wrong["cause"]) == (
        "loss: hinge",
        "mine.py:3: x",
        "",
        "",
    )
    assert (right["text"], right["raised"]) == ("", "")


def test_a_failing_run_alone_is_no_agreement() -> None:
    """A single failing training run means no agreement."""
    right = Record("sum", programs=5, numbers=20)
    options: dict[str, Any] = {"engine": "e", "reference": "r", "profile": "quick", "seed": 0}
    assert report.document([right], [], **options)["agrees"]
    assert not report.document([right], [TrainingRecord("article")], **options)["agrees"]


def test_a_run_that_did_not_finish_never_agrees() -> None:
    """A run that did not finish, or compared nothing, does not agree; the report says how it ended and why."""
    names = {"engine": "ndgrad 0", "reference": "PyTorch 0", "profile": "quick"}
    whole = report.document([Record("exp", programs=1, numbers=10)], [], **names, seed=0)
    assert (whole["ended"], whole["error"], whole["agrees"]) == ("finished", None, True)
    assert not report.document([Record("exp")], [], **names, seed=0)["agrees"]  # nothing was compared
    for ended in (report.INTERRUPTED, report.FAILED):
        found = report.document(
            [Record("exp", programs=1, numbers=10)], [], **names, seed=0, ended=ended, error="SIGTERM"
        )
        assert (found["ended"], found["error"], found["agrees"]) == (ended, "SIGTERM", False)


def test_the_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """On a full disk the error names the file, the old report stays, and no partial one is left."""
    path = tmp_path / "made" / "found.json"
    report.write(path, document())
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: .*found\.json"):
            report.write(path, document())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before
