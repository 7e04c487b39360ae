"""What explains a failure is data: where it goes wrong, what the numbers suggest, the reason and what is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reference.engines.torch.ops import KNOWN
from reference.programs import parse
from reference.verdict import Finding, Kind, Result, Verdict
from reference.verdict.explanation import at_fault, explain, explain_finding
from reference.verdict.localise import Origin

PROGRAM = parse("x=f8([1.0,2.0]); y=f8([3.0,5.0]); a=multiply(x,y); b=softplus(a); back(b,f8([1.0,2.0]))")
ORIGIN = Origin(0, "what it passes back to x and y")


def finding(got: Any, wanted: Any, **more: Any) -> Finding:
    """A finding of a gradient, whose first numbers are the worst."""
    arrays = (np.array(got), np.array(wanted))
    return Finding(
        Kind.GRADIENT, "grad[x]", "", (0,), got[0], wanted[0], more.pop("ulp", 99.0), 8.0, arrays=arrays, **more
    )


def test_a_failing_program_is_explained() -> None:
    """By its gravest finding, with the operands as factors that may have been lost; and by what is known of its ops."""
    verdict = Verdict(Result.ENGINE_WRONG, (finding([1.0, 2.0], [3.0, 10.0]), finding([0.0, 0.0], [1.0, 1.0])))
    explanation = explain(PROGRAM, verdict, ORIGIN, KNOWN)
    assert explanation.origin is ORIGIN
    assert explanation.distance == "99 ULP, allowed 8"
    assert explanation.cause == "times y it would be right: a factor lost?"
    assert explanation.known == {"softplus": KNOWN["softplus"]}
    assert not explanation.convention


@pytest.mark.parametrize(("exact", "reason"), [(None, "nobody can tell"), (np.float64(3.0), "")])
def test_the_reason_stands_where_no_exact_number_shows_it(exact: Any, reason: str) -> None:
    """Where there is one, it is the reason."""
    seen = finding([1.0, 2.0], [3.0, 9.0], exact=exact, judge="a judge", reason="nobody can tell")
    assert explain_finding(seen).reason == reason


def test_a_convention_is_that_of_the_op_at_fault() -> None:
    """What the row says of its kink, where conventions differ, and nowhere else."""
    program = parse("x=f8([0.0]); a=abs(x); back(a,f8([1.0]))")
    for result, words in ((Result.CONVENTION, "slope 0 at 0"), (Result.ENGINE_WRONG, "")):
        verdict = Verdict(result, (finding([1.0], [0.0], result=result),))
        assert explain(program, verdict, Origin(0, "")).convention == words


@pytest.mark.parametrize(
    ("got", "wanted", "distance"),
    [
        (np.nan, 1.0, "one side is NaN, the other is not"),
        (np.inf, 1.0, "one side is infinite, the other is not"),
        (np.inf, -np.inf, "infinitely many ULP, allowed 8"),
    ],
)
def test_an_infinite_distance_is_put_into_words(got: float, wanted: float, distance: str) -> None:
    """It is no number of ULP."""
    assert explain_finding(finding([got], [wanted], ulp=np.inf)).distance == distance


def test_what_is_no_number_has_no_distance() -> None:
    """A shape has a likely cause, and other kinds have nothing."""
    arrays = (np.ones((3, 2)), np.ones((2, 3)))
    shape = explain_finding(Finding(Kind.SHAPE, "grad[x]", "has another shape", arrays=arrays))
    assert (shape.distance, shape.cause.partition(":")[0]) == ("", "the axes are reversed")
    dtype = explain_finding(Finding(Kind.DTYPE, "grad[x]", "has another dtype", arrays=arrays))
    assert (dtype.distance, dtype.cause, dtype.reason) == ("", "", "")


def test_the_op_at_fault() -> None:
    """The step that goes wrong; the last, where none does by itself, or where nothing was found."""
    assert at_fault(PROGRAM, ORIGIN) == "multiply"
    assert at_fault(PROGRAM, Origin(None, "each step alone is right")) == "softplus"
    assert explain(PROGRAM, Verdict(Result.ENGINE_WRONG)).distance == ""
