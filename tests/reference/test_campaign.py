"""Campaigns: what is planted is found, by the name of the op, in words that help; and they repeat themselves."""

from __future__ import annotations

import pickle
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ndgrad import Value
from ndgrad.rules import RULES, Rule
from reference.campaign import PROFILES, Campaign, Failure, Profile, Record, checked, drawn
from reference.engines import Engine
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine
from reference.faults import BY_NAME
from reference.kept import Kept
from reference.ops import OPS, Op
from reference.program import Program, parse
from reference.report import text
from reference.sides import TravelError
from reference.verdict import Kind, Result, Verdict, judge
from reference.workers import Workers

SMALL = Profile(for_each_op=40, expressions=0)


class AsFound(Campaign):
    """A campaign that reports what failed as it was found: shrinking has tests of its own."""

    def _smallest(self, program: Program, verdict: Verdict) -> Program:
        del verdict
        return program


def first_failure(*ops: str, profile: Profile = SMALL, kind: type[Campaign] = AsFound) -> Failure:
    """The first failure of a campaign over some ops."""
    for record in kind(NdgradEngine(), TorchEngine(), ops).run(profile):
        if record.failures:
            (failure,) = record.failures
            assert isinstance(failure, Failure)
            return failure
    pytest.fail(f"a fault in {', '.join(ops)} went unnoticed")


def said(failure: Failure) -> str:
    """What is printed of a failure."""
    return text.failure(failure, "ndgrad 0", "PyTorch 0")


def plant_pullback(monkeypatch: pytest.MonkeyPatch, op: str, position: int, pullback: Callable[..., Any]) -> None:
    """Replace one pullback of a rule."""
    pullbacks = list(RULES[op].pullbacks)
    pullbacks[position] = pullback
    monkeypatch.setattr(RULES[op], "pullbacks", tuple(pullbacks))


def test_broadcasting_that_is_not_undone_is_found() -> None:
    """Without the sum over broadcast axes a gradient has the result's shape: found, on the op that broadcasts."""
    with BY_NAME["b001-engine"].plant():
        failure = first_failure("multiply")
    assert failure.op == "multiply"
    assert failure.verdict.findings[0].kind is Kind.SHAPE
    assert "but must have shape" in said(failure)


def test_an_assignment_for_an_addition_is_found() -> None:
    """`=` for `+=` where a node is used twice loses a contribution: half of a product of a number with itself."""
    with BY_NAME["b035-engine"].plant():
        failure = first_failure("multiply")
    assert failure.op == "multiply"
    assert failure.verdict.findings[0].kind is Kind.GRADIENT


def test_a_sum_that_is_not_expanded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """sum(axis) whose cotangent is not given its axis back is found, and the op is named."""
    plant_pullback(monkeypatch, "sum", 0, lambda g, y, x, *, axis, keepdims: np.broadcast_to(g, x.shape))
    assert first_failure("sum").op == "sum"


def test_a_sum_that_is_not_expanded_is_found_on_a_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a square the shapes fit, and only the numbers are wrong: the words say how."""
    plant_pullback(monkeypatch, "sum", 0, lambda g, y, x, *, axis, keepdims: np.broadcast_to(g, x.shape))
    line = "x=f8([[1.0,2.0],[3.0,4.0]]); a=sum(x,axis=1,keepdims=False); back(a,f8([1.0,2.0]))"
    failure = Campaign(NdgradEngine(), TorchEngine()).explained(parse(line), (0, "sum", 0))
    assert (failure.op, failure.verdict.findings[0].kind) == ("sum", Kind.GRADIENT)
    assert "the right numbers, transposed" in said(failure)


def test_a_permutation_that_is_not_inverted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """transpose applied again in place of its inverse is right for all but cycles, and those are drawn."""
    plant_pullback(monkeypatch, "transpose", 0, lambda g, y, x, *, axes: np.transpose(g, axes))
    failure = first_failure("transpose")
    assert failure.op == "transpose"


def test_a_permutation_that_is_not_inverted_is_found_on_a_cube(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cube the shapes fit, and only the numbers are wrong: the words say so."""
    plant_pullback(monkeypatch, "transpose", 0, lambda g, y, x, *, axes: np.transpose(g, axes))
    cube = ",".join(f"[[{8 * i + 1.0},{8 * i + 2.0}],[{8 * i + 3.0},{8 * i + 4.0}]]" for i in range(2))
    program = parse(f"x=f8([{cube}]); a=transpose(x,axes=(1,2,0)); back(a,f8([{cube}]))")
    campaign = Campaign(NdgradEngine(), TorchEngine())
    failure = campaign.explained(program, (0, "transpose", 0))
    assert failure.op == "transpose"
    assert "the right numbers in other places: a permutation not inverted?" in said(failure)


def test_an_exponents_gradient_without_the_power_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """power's gradient to the exponent without the factor y: found, wherever y is not 1."""
    plant_pullback(monkeypatch, "power", 1, lambda g, y, a, b: g * np.where(np.equal(a, 0) & (b >= 0), 0.0, np.log(a)))
    failure = first_failure("power")
    assert failure.op == "power"
    assert failure.verdict.findings[0].kind is Kind.GRADIENT


def test_a_gradient_that_is_not_copied_is_found() -> None:
    """Two leaves that are handed one array share their gradient: whoever writes into one writes into the other."""
    program = parse("x=f8([1.0,2.0]); y=f8([3.0,5.0]); a=add(x,y); back(a,f8([1.0,2.0]))")
    with BY_NAME["grad-shared"].plant():
        assert first_failure("add").op == "add"
        failure = Campaign(NdgradEngine(), TorchEngine()).explained(program)
    assert failure.verdict.findings[0].kind is Kind.ALIASED
    assert "shares its memory with" in said(failure)


def test_an_index_that_repeats_is_found_where_it_adds_once() -> None:
    """`out[index] += x` in place of `np.add.at` adds once where an index repeats."""
    with BY_NAME["b117-getitem"].plant():
        failure = first_failure("getitem")
    assert failure.op == "getitem"
    assert failure.verdict.findings[0].kind is Kind.GRADIENT


def test_a_factor_of_1_plus_1e_7_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """tanh's gradient too large by a ten-millionth: found, and the ratio is told."""
    plant_pullback(monkeypatch, "tanh", 0, lambda g, y, x: g * (1 - y * y) * (1 + 1e-7))
    failure = first_failure("tanh", kind=Campaign)
    assert failure.op == "tanh"
    assert "ratio 1 + 1e-07 everywhere: a factor lost, or one too many?" in said(failure)


def test_a_wrong_forward_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is off is told as such, not only by its gradient."""
    monkeypatch.setattr(RULES["log_softmax"], "keep", None)  # so the pair of result and kept is taken for the result
    assert first_failure("log_softmax").op == "log_softmax"
    monkeypatch.undo()
    right = RULES["softmax"].forward
    monkeypatch.setattr(RULES["softmax"], "forward", lambda x, *, axis: right(x, axis=axis) * (1 + 1e-9))
    failure = first_failure("softmax")
    assert failure.op == "softmax"
    assert Kind.FORWARD in {finding.kind for finding in failure.verdict.findings}


def test_the_smallest_case_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found in some program is shrunk to one step on one number, and printed by one grammar."""
    plant_pullback(monkeypatch, "exp", 0, lambda g, y, x: 2 * g * y)
    failure = first_failure("exp", kind=Campaign)
    distance = said(failure).splitlines()[3]
    assert re.fullmatch(r"  4\.5e\+15 ULP, allowed \d+; ratio 2 everywhere: a contribution counted twice\?", distance)
    assert said(failure).splitlines() == [
        f"exp: grad[x] is 5.43656365691809, but {TorchEngine().name} says {np.e} (exact: {np.e}). ndgrad is wrong.",
        "  a=exp(x)",
        "  x: float64 ()   cotangent: ()",
        distance,
        "  again: python -m reference repro 'x=f8(1.0); a=exp(x); back(a,f8(1.0))'",
    ]


def test_what_was_found_fails_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that is printed, read back, fails in the same way; and without the fault it agrees."""
    with monkeypatch.context() as planting:
        plant_pullback(planting, "sqrt", 0, lambda g, y, x: g / y)
        failure = first_failure("sqrt", kind=Campaign)
        again = judge(parse(str(failure.program)), NdgradEngine(), TorchEngine())
        assert again.findings == failure.verdict.findings
    right = judge(parse(str(failure.program)), NdgradEngine(), TorchEngine())
    assert right.result in (Result.AGREES, Result.CONDITIONED)


def test_a_campaign_repeats_itself() -> None:
    """One seed gives one campaign; another gives another."""
    once, again, other = (
        [_counts(r) for r in Campaign(NdgradEngine(), TorchEngine(), ["exp", "sum"], seed).run(Profile(5, 5))]
        for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other


def _counts(record: Record) -> tuple[str, int, int]:
    return record.op, record.programs, record.numbers


def test_an_op_alone_is_tested_with_itself() -> None:
    """A campaign over one op draws no other, so that an engine with one op can be judged."""
    (record, expressions) = Campaign(NdgradEngine(), TorchEngine(), ["sin"]).run(Profile(10, 10))
    assert record.numbers
    assert expressions.numbers


def test_nothing_asked_for_is_nothing_compared() -> None:
    """A campaign over no ops has no records."""
    assert list(Campaign(NdgradEngine(), TorchEngine(), []).run(Profile(5, 5))) == []


TOWARDS = [(op, i) for op in OPS for i, pullback in enumerate(RULES[op].pullbacks) if pullback]


@pytest.mark.parametrize(("op", "position"), TOWARDS)
@pytest.mark.parametrize("factor", [1 + 1e-7, -1.0])
def test_a_wrong_factor_is_found_on_every_op(op: str, position: int, factor: float, monkeypatch: Any) -> None:
    """Each gradient of each op, a ten-millionth too large, or of the other sign: found, and the op is named."""
    right = RULES[op].pullbacks[position]
    assert right is not None
    plant_pullback(monkeypatch, op, position, lambda *args, **options: right(*args, **options) * factor)
    assert first_failure(op).op == op


def test_the_profiles_grow() -> None:
    """Each profile runs more than the one before."""
    sizes = [(p.for_each_op, p.expressions) for p in (PROFILES["quick"], PROFILES["standard"], PROFILES["deep"])]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_what_failed_is_tried_first_the_next_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A failing program is kept; the next campaign begins with it, and lets it go when it agrees."""
    path, profile = tmp_path / "failures", Profile(20, 0)
    with monkeypatch.context() as planting:
        plant_pullback(planting, "exp", 0, lambda g, y, x: 2 * g * y)
        list(AsFound(NdgradEngine(), TorchEngine(), ["exp"], kept=path).run(profile))
        first, second, *_ = AsFound(NdgradEngine(), TorchEngine(), ["exp"], seed=1, kept=path).run(profile)
        assert (first.op, len(first.failures)) == ("kept", 1)
        assert (second.op, second.failures, second.repeats) == ("exp", [], True)
    again = list(AsFound(NdgradEngine(), TorchEngine(), ["exp"], kept=path).run(profile))
    assert (again[0].op, again[0].programs, again[0].failures) == ("kept", 1, [])
    assert not path.exists()


def test_an_op_fails_but_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that fails for an op which has failed before is not made small once more: it has nothing new to say."""
    plant_pullback(monkeypatch, "exp", 0, lambda g, y, x: 2 * g * y)
    records = list(AsFound(NdgradEngine(), TorchEngine(), ["exp", "sin"]).run(Profile(40, 40)))
    assert sum(len(record.failures) for record in records) == 1
    assert any(record.repeats for record in records)


def test_the_other_checks_are_made() -> None:
    """Sessions, training runs and the library's checks are counted; one that goes wrong is told, to be run again."""
    profile = Profile(0, 0, {"sessions": 3, "training": 3, "library": 3})
    *_, sessions, training, library = Campaign(NdgradEngine(), TorchEngine(), ["exp"]).run(profile)
    assert [(r.op, r.programs, bool(r.numbers), r.failures) for r in (sessions, training, library)] == [
        (check, 3, True, []) for check in ("sessions", "training", "library")
    ]
    with BY_NAME["grad-replaced"].plant():
        (failure,) = checked(0, "sessions", 40).failures
    words = text.failure(failure, "ndgrad 0", "PyTorch 0")
    assert words.startswith("sessions: ")
    assert re.search(r"\n  again: python -m reference repro 'sessions 0 \d+'$", words)


# Several processes.


def test_several_processes_find_what_one_finds() -> None:
    """The records of a campaign are the same, whoever runs its programs, and in the same order."""
    profile = Profile(6, 30, {"sessions": 3, "library": 2})
    ops = ["exp", "sum", "multiply", "getitem"]
    with Workers(2) as pool:
        shared = list(Campaign(NdgradEngine(), TorchEngine(), ops).run(profile, pool))
    assert shared == list(Campaign(NdgradEngine(), TorchEngine(), ops).run(profile))
    assert [record.op for record in shared] == [*ops, "expressions", "sessions", "library"]


def test_what_fails_in_a_process_comes_back_to_be_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record and a failing program are plain data: they go from one process to another and say the same there."""
    plant_pullback(monkeypatch, "tanh", 0, lambda g, y, x: g * (1 - y))
    record, failing = drawn((NdgradEngine(), References([TorchEngine()])), ["tanh"], 0, "tanh", 40)
    again, same = pickle.loads(pickle.dumps((record, failing)))
    assert failing
    assert again == record
    assert (str(same[0]), same[1].result, same[2]) == (str(failing[0]), Result.ENGINE_WRONG, failing[2])


WRONG = {
    "tanh": Rule(np.tanh, lambda g, y, x: g * (1 - y)),
    "multiply": Rule(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: 2 * g * a),
}


def through_a_pool(engine: Engine, *ops: str, reference: TorchEngine | None = None) -> list[Record]:
    """The records of a campaign whose programs others run."""
    with Workers(2) as pool:
        return list(Campaign(engine, reference or TorchEngine(), ops).run(SMALL, pool))


@pytest.mark.parametrize("op", WRONG)
def test_a_pool_judges_the_engine_it_is_given(op: str) -> None:
    """A wrong rule is found by other processes, whether ndgrad has an operator for it or not."""
    record, *_ = through_a_pool(NdgradEngine({**RULES, op: WRONG[op]}), op)
    assert [failure.op for failure in record.failures] == [op]


@pytest.mark.parametrize("op", WRONG)
def test_a_pool_judges_rules_that_were_changed_here(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug that was planted in this process is found in others."""
    monkeypatch.setattr(RULES[op], "pullbacks", WRONG[op].pullbacks)
    record, *_ = through_a_pool(NdgradEngine(), op)
    assert [failure.op for failure in record.failures] == [op]


def test_a_pool_judges_a_class_that_cannot_be_imported() -> None:
    """An engine of a test, a notebook or a script travels as it is; each record is what this process finds."""

    class Mine(NdgradEngine):
        def gradient(self, leaf: Value) -> Any:
            right = super().gradient(leaf)
            return None if right is None else right * 3

    (shared, _), (alone, _) = through_a_pool(Mine(), "exp"), Campaign(Mine(), TorchEngine(), ["exp"]).run(SMALL)
    assert shared.failures
    assert [str(f.program) for f in shared.failures if isinstance(f, Failure)] == [
        str(f.program) for f in alone.failures if isinstance(f, Failure)
    ]
    assert (shared.programs, shared.numbers) == (alone.programs, alone.numbers)


def test_a_pool_draws_from_rows_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that was put into the op table here goes along with the reference, and a rule with the engine."""
    monkeypatch.setitem(OPS, "softsign", SOFTSIGN)
    for factor, wrong in ((1, []), (2, ["softsign"])):
        rule = Rule(lambda x: x / (1 + abs(x)), lambda g, y, x, factor=factor: factor * g / (1 + abs(x)) ** 2)
        record, *_ = through_a_pool(NdgradEngine({**RULES, "softsign": rule}), "softsign")
        assert record.programs
        assert [failure.op for failure in record.failures] == wrong


SOFTSIGN = Op("softsign", lambda x: x / (1 + np.abs(x)))


def test_an_engine_that_cannot_travel_is_refused() -> None:
    """Before any work, with its name and the reason."""

    class Holding(NdgradEngine):
        def __init__(self) -> None:
            super().__init__()
            self.lock = threading.Lock()

    with pytest.raises(TravelError, match=r"ndgrad .* cannot be sent to another process: .* Run the campaign without"):
        through_a_pool(Holding(), "exp")


@pytest.mark.parametrize("engine", [NdgradEngine({"exp": RULES["exp"]}), type("Mine", (NdgradEngine,), {})()])
def test_other_checks_judge_no_other_engine(engine: Engine) -> None:
    """They run ndgrad itself: for another engine nothing is counted, and the record says why."""
    *_, sessions, library = Campaign(engine, TorchEngine(), ["exp"]).run(Profile(1, 1, {"sessions": 2, "library": 2}))
    for record, check in ((sessions, "sessions"), (library, "library")):
        assert (record.op, record.programs, record.numbers) == (check, 0, 0)
        assert record.left_out == f"{check} run ndgrad as it is installed, and cannot judge {engine.name}"


def test_two_kept_programs_of_one_op_are_both_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each of them fails still, so each is tried the next time."""
    path = tmp_path / "failures"
    lines = [f"x=f8({x}); a=exp(x); back(a,f8(1.0))" for x in (1.0, 2.0)]
    path.write_text("\n".join(lines) + "\n")
    plant_pullback(monkeypatch, "exp", 0, lambda g, y, x: 2 * g * y)
    list(AsFound(NdgradEngine(), TorchEngine(), ["exp"], kept=path).run(Profile(1, 0)))
    assert set(lines) <= set(path.read_text().splitlines())


def test_what_was_kept_is_kept_when_a_run_is_cut_short(tmp_path: Path) -> None:
    """Programs whose turn had not come are there the next time."""
    path = tmp_path / "failures"
    lines = [f"x=f8({x}); a=exp(x); back(a,f8(1.0))" for x in (1.0, 2.0, 3.0)]
    path.write_text("\n".join(lines) + "\n")

    class Impatient(NdgradEngine):
        def run(self, program: Program) -> Any:
            if str(program) == lines[1]:
                raise KeyboardInterrupt
            return super().run(program)

    with pytest.raises(KeyboardInterrupt):
        list(Campaign(Impatient(), TorchEngine(), ["exp"], kept=path).run(Profile(1, 0)))
    assert list(map(str, Kept(path).programs())) == lines[1:]
