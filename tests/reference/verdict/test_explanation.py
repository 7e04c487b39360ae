"""An explanation holds a failure's origin, distance, likely cause, reason and known weaknesses."""

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
    """Make a finding about a gradient whose first numbers are the worst."""
    arrays = (np.array(got), np.array(wanted))
    return Finding(
        Kind.GRADIENT, "grad[x]", "", (0,), got[0], wanted[0], more.pop("ulp", 99.0), 8.0, arrays=arrays, **more
    )


def test_a_failing_program_is_explained() -> None:
    """The gravest finding gives distance and cause, with operands as possible lost factors; ops give what is known."""
    verdict = Verdict(Result.ENGINE_WRONG, (finding([1.0, 2.0], [3.0, 10.0]), finding([0.0, 0.0], [1.0, 1.0])))
    explanation = explain(PROGRAM, verdict, ORIGIN, KNOWN)
    assert explanation.origin is ORIGIN
    assert explanation.distance == "99 ULP, allowed 8"
    assert explanation.cause == "times y it would be right: a factor lost?"
    assert explanation.known == {"softplus": KNOWN["softplus"]}
    assert not explanation.convention


@pytest.mark.parametrize(("exact", "reason"), [(None, "nobody can tell"), (np.float64(3.0), "")])
def test_the_reason_is_given_if_there_is_no_exact_number(exact: Any, reason: str) -> None:
    """An exact number makes the judge's reason unnecessary."""
    seen = finding([1.0, 2.0], [3.0, 9.0], exact=exact, judge="a judge", reason="nobody can tell")
    assert explain_finding(seen).reason == reason


def test_a_convention_is_that_of_the_op_at_fault() -> None:
    """The explanation gives the convention of the op's row if conventions differ, and otherwise none."""
    program = parse("x=f8([0.0]); a=abs(x); back(a,f8([1.0]))")
    for result, words in ((Result.CONVENTION, "slope 0 at 0"), (Result.ENGINE_WRONG, "")):
        verdict = Verdict(result, (finding([1.0], [0.0], result=result),))
        assert explain(program, verdict, Origin(0, "")).convention == words


@pytest.mark.parametrize(
    ("got", "wanted", "distance"),
    [
        (np.nan, 1.0, "the engine has NaN, the reference a number"),
        (0.0, np.nan, "the engine has 0, the reference NaN"),
        (np.inf, 1.0, "the engine has infinity, the reference a number"),
        (np.inf, -np.inf, "the engine has infinity, the reference -infinity"),
        (3.0, 0.0, "the engine has a number, the reference 0"),
        (3.0, 1.0, ""),
    ],
)
def test_a_distance_without_meaning_is_described(got: float, wanted: float, distance: str) -> None:
    """NaN, infinities and 0 are described in words in place of a number of ULP; an infinite number is left out."""
    assert explain_finding(finding([got], [wanted], ulp=np.inf)).distance == distance


def test_a_finding_in_words_has_no_distance() -> None:
    """A finding about numbers that are told in words has neither a distance nor a cause."""
    told = explain_finding(Finding(Kind.FORWARD, "weight", "was saved as 1.0, but came back as 2.0"))
    assert (told.distance, told.cause) == ("", "")


def test_only_numbers_have_a_distance() -> None:
    """A wrong shape has only a likely cause, and a wrong dtype has neither."""
    arrays = (np.ones((3, 2)), np.ones((2, 3)))
    shape = explain_finding(Finding(Kind.SHAPE, "grad[x]", "has another shape", arrays=arrays))
    assert (shape.distance, shape.cause.partition(":")[0]) == ("", "the axes are reversed")
    dtype = explain_finding(Finding(Kind.DTYPE, "grad[x]", "has another dtype", arrays=arrays))
    assert (dtype.distance, dtype.cause, dtype.reason) == ("", "", "")


def test_the_op_at_fault() -> None:
    """It is the op of the origin's step; the last op, if no step is wrong by itself."""
    assert at_fault(PROGRAM, ORIGIN) == "multiply"
    assert at_fault(PROGRAM, Origin(None, "each step alone is right")) == "softplus"
    assert explain(PROGRAM, Verdict(Result.ENGINE_WRONG)).distance == ""
