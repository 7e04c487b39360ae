"""The texts of reports: each kind of finding, the table's rows, the last line. They pin the exact wording."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reference.campaign import Failure, Record
from reference.checks import ProgramCase, parse_case
from reference.checks.training import TrainingRecord
from reference.engines.torch.ops import KNOWN
from reference.programs import parse
from reference.report import text
from reference.verdict import Finding, Kind, Result, Verdict
from reference.verdict.explanation import Explanation, explain
from reference.verdict.localise import Origin

LINE = "x=f8([[1.0],[2.0]]); y=2; a=multiply(x,y); b=sum(a,axis=0,keepdims=False); back(b,f8([1.0]))"


def failure(*findings: Finding) -> list[str]:
    """Return the text of a failing program with these findings."""
    verdict, program = Verdict(Result.ENGINE_WRONG, findings), parse(LINE)
    explanation = explain(program, verdict, Origin(0, "what it passes back to x and y"))
    failing = Failure("multiply", ProgramCase(program), verdict, explanation)
    return text.failure(failing, "ndgrad 0.1", "PyTorch 2").splitlines()


def numbers(kind: Kind, part: str) -> Finding:
    """Make a finding of two numbers that differ by a factor of 2."""
    got, wanted = np.array([[6.0], [4.0]]), np.array([[3.0], [2.0]])
    return Finding(
        kind, part, "", (1, 0), got[1, 0], wanted[1, 0], 4503599627370496.0, 8.0, np.float64(2.0), arrays=(got, wanted)
    )


def test_the_text_of_a_wrong_gradient() -> None:
    """The text has the part, the numbers, the program, the distance, the likely cause, and the command to replay it."""
    assert failure(numbers(Kind.GRADIENT, "grad[x]")) == [
        "multiply: grad[x][1, 0] is 4.0, but PyTorch 2 says 2.0 (exact: 2.0). ndgrad is wrong.",
        "  a=multiply(x,y)",
        "  b=sum(a,axis=0,keepdims=False)",
        "  x: float64 (2, 1)   y: 2   cotangent: (1,)",
        "  first wrong in a=multiply(x,y): what it passes back to x and y",
        "  4.5e+15 ULP, allowed 8; ratio 2 everywhere: a contribution counted twice, or a mean not taken?",
        f"  again: python -m reference repro '{LINE}'",
    ]


@pytest.mark.parametrize(
    ("case", "engine", "module", "options"),
    [
        (LINE, "ndgrad 0.1", "ndgrad", ""),
        (LINE, "Mine 1", "", ""),
        (LINE, "Mine 1", "mine:mine", "--engine mine:mine "),
        ("sessions 0 17", "ndgrad 0.1", "", ""),
        ("sessions 0 17", "Mine 1", "", "--engine module:name "),
        ("sessions 0 17", "Mine 1", "mine:mine", "--engine mine:mine "),
    ],
)
def test_the_last_line_replays_the_case_in_its_engine(case: str, engine: str, module: str, options: str) -> None:
    """If the engine's module is unknown, a program is replayed in ndgrad, and another case has a place for its name."""
    verdict = Verdict(Result.ENGINE_WRONG, (numbers(Kind.GRADIENT, "grad[x]"),))
    failing = Failure("multiply", parse_case(case), verdict, Explanation())
    last = text.failure(failing, engine, "PyTorch 2", module).splitlines()[-1]
    assert last == f"  again: python -m reference repro {options}'{case}'"


def test_the_heading_says_what_is_left_out() -> None:
    """With some ops only, there are no sessions, and the heading says so."""
    assert text.heading("a", "b", "quick", 0).splitlines()[0] == "a beside b: profile quick, seed 0"
    some = text.heading("a", "b", "quick", 0, programs_only=True).splitlines()[0]
    assert some == "a beside b: profile quick, seed 0; programs of some ops only, no sessions and no training"


def test_the_reason_stands_where_no_exact_number_does() -> None:
    """If the witness cannot decide, the judge's reason is printed below the distance."""
    three_sides = replace(numbers(Kind.GRADIENT, "grad[x]"), exact=None, reason="the witness cannot tell")
    assert failure(three_sides)[-2:-1] == ["  the witness cannot tell"]
    assert failure(replace(three_sides, exact=np.float64(2.0)))[-2] != "  the witness cannot tell"


# fmt: off
KINK = (np.float64(1.0), np.float64(0.0))
SENTENCES = [
    (Finding(Kind.SHAPE, "grad[x]", "has shape (3,), but must have shape (1,)"),
     "multiply: grad[x] has shape (3,), but must have shape (1,) (SHAPE). ndgrad is wrong."),
    (Finding(Kind.DTYPE, "value", "has dtype float64, but must have float32"),
     "multiply: value has dtype float64, but must have float32 (DTYPE). ndgrad is wrong."),
    (Finding(Kind.MISSING, "grad[x]", "is missing: no gradient arrived"),
     "multiply: grad[x] is missing: no gradient arrived (MISSING). ndgrad is wrong."),
    (Finding(Kind.RAISED, "step 1 (multiply)", "raised ValueError: no"),
     "multiply: step 1 (multiply) raised ValueError: no (RAISED). ndgrad is wrong."),
    (Finding(Kind.ALIASED, "grad[x]", "shares its memory with grad[y]"),
     "multiply: grad[x] shares its memory with grad[y] (ALIASED). ndgrad is wrong."),
    (Finding(Kind.INPUT_MUTATED, "x", "was written into by the engine"),
     "multiply: x was written into by the engine (INPUT-MUTATED). ndgrad is wrong."),
    (Finding(Kind.ACCUMULATION, "grad[x] after a second backward", "", (1,), np.float64(3.0), np.float64(2.0)),
     "multiply: grad[x] after a second backward[1] is 3.0, but must be 2.0 (ACCUMULATION). ndgrad is wrong."),
    (Finding(Kind.NON_DETERMINISTIC, "value", "differs from one run to the next"),
     "multiply: value differs from one run to the next (NON-DETERMINISTIC). ndgrad is wrong."),
    (Finding(Kind.CONVENTION, "grad[x]", "", (), *KINK, result=Result.CONVENTION),
     ("multiply: grad[x] is 1.0, where PyTorch 2 takes 0.0, and both are slopes at this kink (CONVENTION). "
      "Conventions differ.")),
    (Finding(Kind.GRADIENT, "grad[x]", "its slopes are 0 and 2 on the two sides", (), np.float64(3.0), np.float64(0.0)),
     "multiply: grad[x] is 3.0, but PyTorch 2 says 0.0 (its slopes are 0 and 2 on the two sides). ndgrad is wrong."),
    (Finding(Kind.FORWARD, "value", "", (), *KINK, exact=np.float64(1.0), result=Result.REFERENCE_WRONG),
     "multiply: value is 1.0, but PyTorch 2 says 0.0 (exact: 1.0). PyTorch is wrong."),
]
# fmt: on


@pytest.mark.parametrize(("finding", "words"), SENTENCES, ids=lambda x: x.kind if isinstance(x, Finding) else "")
def test_each_kind_has_its_words(finding: Finding, words: str) -> None:
    """Each kind of finding has its own sentence."""
    assert failure(finding)[0] == words


def test_further_findings_follow() -> None:
    """Two more findings follow the first one; the rest are left out."""
    many = [numbers(Kind.GRADIENT, f"grad[{name}]") for name in "xyzw"]
    also = [line for line in failure(*many) if line.startswith("  also: ")]
    assert [line[8:15] for line in also] == ["grad[y]", "grad[z]"]


def test_a_number_has_all_its_digits() -> None:
    """A number is printed so that it reads back equal, in its own precision."""
    finding = Finding(Kind.FORWARD, "value", "", (), np.float32(0.1), np.float32(np.nan), np.inf, 8.0)
    lines = failure(finding)
    assert lines[0] == "multiply: value is 0.1, but PyTorch 2 says nan. ndgrad is wrong."
    assert "  the engine has a number, the reference NaN" in lines


def record(**counts: Any) -> Record:
    """Make a record with these counts."""
    made = Record("tanh")
    for name, count in counts.items():
        setattr(made, name, count)
    return made


def test_a_row_lines_up_with_its_head() -> None:
    """Numbers stand under the names of their columns."""
    head = text.heading("ndgrad", "PyTorch", "quick", 0).splitlines()[-1]
    row = text.row(record(programs=1234, numbers=5678901, worst=4, conditioned=56, inconclusive=7, reference_wrong=89))
    for name, shown in [("programs", "1,234"), ("numbers", "5,678,901"), ("worst", "4 ULP"), ("conditioned", "56"),
                        ("inconclusive", "7"), ("reference wrong", "89")]:  # fmt: skip
        assert head.index(name) + len(name) == row.rindex(shown) + len(shown)


def test_the_last_line_of_agreement() -> None:
    """The last line of agreement has all counts, the verdict, the worst distance and the open cases."""
    records, runs = (
        [
            record(
                programs=9000,
                numbers=2_000_000,
                worst=4,
                inconclusive=3,
                reference_wrong=2,
                witnessed=5,
                whose={"PyTorch 2.13.0": 2},
            )
        ],
        [TrainingRecord("a", steps=1, numbers=100_000)],
    )
    assert text.last_line(records, runs, 71, "ndgrad 0.1", "PyTorch 2.13.0") == (
        "71 ops, 9,000 programs, 2.1 M numbers, 1 training run: "
        "ndgrad agrees with PyTorch 2.13.0 (worst 4 ULP; 3 inconclusive; 2 in which PyTorch is wrong; "
        "5 settled by the witness)."
    )


def test_the_last_line_of_disagreement() -> None:
    """A failing program or run is counted in the last line, which says where it is shown."""
    wrong = record(programs=5, numbers=10)
    wrong.failures = [Failure("tanh", ProgramCase(parse(LINE)), Verdict(Result.ENGINE_WRONG), Explanation())]
    assert text.last_line([wrong], [], 1, "ndgrad 0.1", "PyTorch 2").endswith(
        "ndgrad disagrees with PyTorch 2 in 1 case, shown above."
    )


def test_the_last_line_of_nothing() -> None:
    """If nothing was compared, the last line says so and claims no agreement."""
    assert text.last_line([], [], 0, "ndgrad", "PyTorch").endswith("nothing was compared.")


IS_WRONG = "is 4.0, but PyTorch 2 says 2.0 (exact: 2.0). ndgrad is wrong."


def test_a_training_failure_names_its_step() -> None:
    """The text of a failing run has the step, the optimizer and the finding, what was done, and two more findings."""
    run = TrainingRecord("digits", steps=3, transcript="loss: hinge\nsteps 1 to 3: Adam(lr=0.1)")
    run.failures = [(3, "Adam", numbers(Kind.FORWARD, f"parameter[{name}]")) for name in "wxyz"]
    assert text.training_failure(run, "ndgrad 0.1", "PyTorch 2").splitlines() == [
        f"digits, step 3 (Adam): parameter[w][1, 0] {IS_WRONG}",
        "  loss: hinge",
        "  steps 1 to 3: Adam(lr=0.1)",
        "  4.5e+15 ULP, allowed 8; ratio 2 everywhere: a contribution counted twice, or a mean not taken?",
        f"  also: parameter[x][1, 0] {IS_WRONG}",
        f"  also: parameter[y][1, 0] {IS_WRONG}",
    ]


def test_the_line_that_raised_is_shown() -> None:
    """A failure of a program, of another case and of a training run shows the line that raised."""
    finding = Finding(Kind.RAISED, "the backward pass", "raised ValueError: no")
    verdict, line = Verdict(Result.ENGINE_WRONG, (finding,)), "  raised at mine.py:12: return x.foo"
    explanation = Explanation(raised="mine.py:12: return x.foo")
    for case in (LINE, "sessions 0 17"):
        failing = Failure("multiply", parse_case(case), verdict, explanation)
        assert line in text.failure(failing, "ndgrad 0.1", "PyTorch 2").splitlines()
    run = TrainingRecord("digits", failures=[(1, "SGD", finding)], raised="mine.py:12: return x.foo")
    assert line in text.training_failure(run, "ndgrad 0.1", "PyTorch 2").splitlines()


def test_a_finding_in_words_is_told_in_its_words() -> None:
    """A wrong number that is told in words is not told as the difference of two numbers."""
    finding = Finding(Kind.FORWARD, "weight", "was saved as 1.0, but came back as 2.0")
    assert failure(finding)[0] == (
        "multiply: weight was saved as 1.0, but came back as 2.0 (FORWARD). ndgrad is wrong."
    )


@pytest.mark.parametrize(
    ("ops", "told", "end"),
    [
        ((), "", ""),
        (("tanh",), "", "  WRONG"),
        (("exp",), "", "  WRONG, see `exp`"),
        (("tanh", "exp"), "", "  WRONG, see `exp`"),
        ((), "exp", "  WRONG, see `exp`"),
        (("exp",), "sin", "  WRONG, see `exp` and `sin`"),
    ],
)
def test_a_row_says_where_its_failures_are_told(ops: tuple[str, ...], told: str, end: str) -> None:
    """If a failure of a row is told under the name of another op, the row names it."""
    wrong = record(told=told)
    verdict = Verdict(Result.ENGINE_WRONG)
    wrong.failures = [Failure(op, ProgramCase(parse(LINE)), verdict, Explanation()) for op in ops]
    assert text.row(wrong) == text.row(record()) + end


def origin(step: int | None, says: str, result: Result = Result.ENGINE_WRONG) -> list[str]:
    """Return the lines that say where a failure first goes wrong."""
    verdict = Verdict(result, (numbers(Kind.GRADIENT, "grad[x]"),))
    program = parse(LINE.replace("multiply(x,y)", "abs(x)"))
    failing = Failure("abs", ProgramCase(program), verdict, explain(program, verdict, Origin(step, says)))
    return text.failure(failing, "ndgrad 0.1", "PyTorch 2").splitlines()[4:-2]


def test_the_first_wrong_step_is_quoted() -> None:
    """The step at fault is quoted with what is wrong there; or the text says that no single step is wrong."""
    assert origin(1, "the value of b") == ["  first wrong in b=sum(a,axis=0,keepdims=False): the value of b"]
    assert origin(None, "each step alone is right; contributions to a do not meet as they should") == [
        "  each step alone is right; contributions to a do not meet as they should"
    ]


def test_a_convention_quotes_the_row() -> None:
    """If conventions differ, the text quotes the row's convention."""
    assert origin(0, "what it passes back to x", Result.CONVENTION) == [
        "  first wrong in a=abs(x): what it passes back to x",
        "  the convention of abs: slope 0 at 0",
    ]


def test_a_wrong_reference_is_shown_with_the_known_reason() -> None:
    """If the reference is wrong, the text names it, with the exact number and the known reason."""
    finding = Finding(
        Kind.FORWARD, "value", "", (), np.float64(20.5), np.float64(20.0), 9e9, 8.0, np.float64(20.5),
        Result.REFERENCE_WRONG,
    )  # fmt: skip
    program = parse("x=f8(20.5); a=softplus(x); back(a,f8(1.0))")
    verdict = Verdict(Result.REFERENCE_WRONG, (finding,))
    texts = text.reference_failure(program, verdict, "ndgrad 0.1", "PyTorch 2", explain(program, verdict, known=KNOWN))
    assert texts.splitlines() == [
        "softplus: value is 20.5, but PyTorch 2 says 20.0 (exact: 20.5). PyTorch is wrong.",
        "  a=softplus(x)",
        "  x: float64 ()   cotangent: ()",
        "  9e+09 ULP, allowed 8",
        "  known of softplus: PyTorch leaves out log1p(exp(-x)) above 20, which is up to 2e-9",
    ]


def test_infinity_is_explained() -> None:
    """An infinite distance is explained in words instead of ULP."""
    one = Finding(Kind.FORWARD, "value", "", (), np.float64(np.inf), np.float64(3.0), np.inf, 8.0)
    assert "  the engine has infinity, the reference a number" in failure(one)


def test_names_are_suggested() -> None:
    """Near names are suggested, or else all names, up to a limit; if there are none, the text says so."""
    assert text.nearest("tahn", ["tanh", "exp"]) == "did you mean tanh?"
    assert text.nearest("zzz", ["tanh", "exp"]) == "known are tanh, exp"
    assert text.nearest("zzz", []) == "there is none to choose from"
    assert text.nearest("zzz", [f"op{i}" for i in range(70)]).endswith("op59 and 10 more")


def test_the_last_line_of_an_interrupted_run() -> None:
    """The last line of an interrupted run says how it ended and how far it came, and never that the engine agrees."""
    records, runs = [record(programs=1200, numbers=3000)], [TrainingRecord("a", steps=1, numbers=100, goal=0.9)]
    names = {"engine": "ndgrad 0.1", "reference": "PyTorch 2"}
    assert text.cut_short("interrupted", (12, 62), records, runs, **names) == (
        "interrupted after 12 of 62 rows: 1,200 programs, 3,100 numbers, ndgrad disagrees with PyTorch 2 in 1 case, "
        "shown above."
    )
    assert text.cut_short("interrupted", (1, 62), records, [], **names) == (
        "interrupted after 1 of 62 rows: 1,200 programs, 3,000 numbers, no disagreement so far."
    )


def test_skipped_cases_are_in_their_row() -> None:
    """A row in which nothing was run says why."""
    left = Record("training", left_out="Toy 1 offers none")
    assert text.row(left).endswith("  left out: Toy 1 offers none")
