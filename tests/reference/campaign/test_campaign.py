"""Campaigns: they find planted faults, name the op, print helpful messages, and are reproducible."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ndgrad.library import Module
from ndgrad.optim import SGD
from ndgrad.rules import RULES, Rule
from reference.campaign import (
    PROFILES,
    Campaign,
    Failure,
    FailureStore,
    Pool,
    Profile,
    Record,
    Shard,
    Sides,
    Tally,
    run_shard,
)
from reference.checks import ProgramCase, Trial, parse_case
from reference.engines import Engine
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import References
from reference.engines.torch import TorchEngine
from reference.mutation import BY_NAME
from reference.mutation.planting import around, method
from reference.ops import OPS
from reference.processes.workers import Workers
from reference.programs import Program, parse
from reference.report import text
from reference.verdict import Kind, Result, judge

SMALL = Profile(for_each_op=40, expressions=0)


class Unshrunk(Campaign):
    """A campaign that does not shrink failing cases: shrinking has its own tests."""

    def smallest(self, trial: Trial) -> Trial:
        return trial


def first_failure(*ops: str, profile: Profile = SMALL, kind: type[Campaign] = Unshrunk) -> Failure:
    """Run a campaign over some ops and return its first failure."""
    for record in kind(NdgradEngine(), TorchEngine(), ops).run(profile):
        if record.failures:
            (failure,) = record.failures
            assert isinstance(failure, Failure)
            return failure
    pytest.fail(f"a fault in {', '.join(ops)} went unnoticed")


def explained(program: Program, found: tuple[int, str, int] | None = None) -> Failure:
    """A program that fails, explained."""
    campaign = Campaign(NdgradEngine(), TorchEngine())
    return campaign.explained(ProgramCase(program).run(campaign.engine, campaign.references), found)


def message(failure: Failure) -> str:
    """Return the printed message of a failure."""
    return text.failure(failure, "ndgrad 0", "PyTorch 0")


def plant_pullback(monkeypatch: pytest.MonkeyPatch, op: str, position: int, pullback: Callable[..., Any]) -> None:
    """Replace one pullback of a rule."""
    pullbacks = list(RULES[op].pullbacks)
    pullbacks[position] = pullback
    monkeypatch.setattr(RULES[op], "pullbacks", tuple(pullbacks))


def test_broadcasting_that_is_not_undone_is_found() -> None:
    """A gradient that is not summed over broadcast axes is found by its shape, on the op that broadcasts."""
    with BY_NAME["b001-engine"].plant():
        failure = first_failure("multiply")
    assert failure.op == "multiply"
    assert failure.verdict.findings[0].kind is Kind.SHAPE
    assert "but must have shape" in message(failure)


def test_an_assignment_for_an_addition_is_found() -> None:
    """`=` instead of `+=` loses a contribution if a node is used twice, as in x * x."""
    with BY_NAME["b035-engine"].plant():
        failure = first_failure("multiply")
    assert failure.op == "multiply"
    assert failure.verdict.findings[0].kind is Kind.GRADIENT


def test_a_sum_that_is_not_expanded_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pullback of sum that does not restore the axis is found, and the op is named."""
    plant_pullback(monkeypatch, "sum", 0, lambda g, y, x, *, axis, keepdims: np.broadcast_to(g, x.shape))
    assert first_failure("sum").op == "sum"


def test_a_sum_that_is_not_expanded_is_found_on_a_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a square the shapes fit and only the numbers are wrong; the message says how."""
    plant_pullback(monkeypatch, "sum", 0, lambda g, y, x, *, axis, keepdims: np.broadcast_to(g, x.shape))
    line = "x=f8([[1.0,2.0],[3.0,4.0]]); a=sum(x,axis=1,keepdims=False); back(a,f8([1.0,2.0]))"
    failure = explained(parse(line), (0, "sum", 0))
    assert (failure.op, failure.verdict.findings[0].kind) == ("sum", Kind.GRADIENT)
    assert "the right numbers, transposed" in message(failure)


def test_a_permutation_that_is_not_inverted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transposing again instead of inverting is wrong only for cycles of axes, and is found."""
    plant_pullback(monkeypatch, "transpose", 0, lambda g, y, x, *, axes: np.transpose(g, axes))
    failure = first_failure("transpose")
    assert failure.op == "transpose"


def test_a_permutation_that_is_not_inverted_is_found_on_a_cube(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a cube the shapes fit and only the numbers are wrong; the message says how."""
    plant_pullback(monkeypatch, "transpose", 0, lambda g, y, x, *, axes: np.transpose(g, axes))
    cube = ",".join(f"[[{8 * i + 1.0},{8 * i + 2.0}],[{8 * i + 3.0},{8 * i + 4.0}]]" for i in range(2))
    program = parse(f"x=f8([{cube}]); a=transpose(x,axes=(1,2,0)); back(a,f8([{cube}]))")
    failure = explained(program, (0, "transpose", 0))
    assert failure.op == "transpose"
    assert "the right numbers in other places: a wrong order, or a permutation not inverted?" in message(failure)


def test_an_exponents_gradient_without_the_power_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exponent's gradient of power without the factor y is found."""
    plant_pullback(monkeypatch, "power", 1, lambda g, y, a, b: g * np.where(np.equal(a, 0) & (b >= 0), 0.0, np.log(a)))
    failure = first_failure("power")
    assert failure.op == "power"
    assert failure.verdict.findings[0].kind is Kind.GRADIENT


def test_a_gradient_that_is_not_copied_is_found() -> None:
    """Two leaves that receive the same array as their gradient are reported as sharing memory."""
    program = parse("x=f8([1.0,2.0]); y=f8([3.0,5.0]); a=add(x,y); back(a,f8([1.0,2.0]))")
    with BY_NAME["grad-shared"].plant():
        assert first_failure("add").op == "add"
        failure = explained(program)
    assert failure.verdict.findings[0].kind is Kind.ALIASED
    assert "shares its memory with" in message(failure)


def test_an_index_that_repeats_is_found_where_it_adds_once() -> None:
    """`out[index] += x` instead of `np.add.at` adds a repeated index only once, and is found."""
    with BY_NAME["b117-getitem"].plant():
        failure = first_failure("getitem")
    assert failure.op == "getitem"
    assert failure.verdict.findings[0].kind is Kind.GRADIENT


def test_a_factor_of_1_plus_1e_7_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient of tanh that is too large by a relative 1e-7 is found, and the message gives the ratio."""
    plant_pullback(monkeypatch, "tanh", 0, lambda g, y, x: g * (1 - y * y) * (1 + 1e-7))
    failure = first_failure("tanh", kind=Campaign)
    assert failure.op == "tanh"
    assert "ratio 1 + 1e-07 everywhere: a factor lost, or one too many?" in message(failure)


def test_a_wrong_forward_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value is reported as a value, not only by its gradient."""
    monkeypatch.setattr(
        RULES["log_softmax"], "residual", None
    )  # so the pair of result and residual is taken for the result
    assert first_failure("log_softmax").op == "log_softmax"
    monkeypatch.undo()
    right = RULES["softmax"].forward
    monkeypatch.setattr(RULES["softmax"], "forward", lambda x, *, axis: right(x, axis=axis) * (1 + 1e-9))
    failure = first_failure("softmax")
    assert failure.op == "softmax"
    assert Kind.FORWARD in {finding.kind for finding in failure.verdict.findings}


def test_the_smallest_case_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing program is shrunk to one step on one number and printed in the common format."""
    plant_pullback(monkeypatch, "exp", 0, lambda g, y, x: 2 * g * y)
    failure = first_failure("exp", kind=Campaign)
    distance = message(failure).splitlines()[3]
    assert re.fullmatch(
        r"  4\.5e\+15 ULP, allowed \d+; ratio 2 everywhere: a contribution counted twice, or a mean not taken\?",
        distance,
    )
    assert message(failure).splitlines() == [
        f"exp: grad[x] is 5.43656365691809, but {TorchEngine().name} says {np.e} (exact: {np.e}). ndgrad is wrong.",
        "  a=exp(x)",
        "  x: float64 ()   cotangent: ()",
        distance,
        "  again: python -m reference repro 'x=f8(1.0); a=exp(x); back(a,f8(1.0))'",
    ]


def test_the_printed_line_fails_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The printed line, parsed again, fails in the same way, and agrees without the fault."""
    with monkeypatch.context() as planting:
        plant_pullback(planting, "sqrt", 0, lambda g, y, x: g / y)
        failure = first_failure("sqrt", kind=Campaign)
        again = judge(parse(str(failure.case)), NdgradEngine(), TorchEngine())
        assert again.findings == failure.verdict.findings
    right = judge(parse(str(failure.case)), NdgradEngine(), TorchEngine())
    assert right.result in (Result.AGREES, Result.CONDITIONED)


def test_a_campaign_repeats_itself() -> None:
    """A campaign depends on its seed: the same seed gives the same records, another seed gives others."""
    once, again, other = (
        [_counts(r) for r in Campaign(NdgradEngine(), TorchEngine(), ["exp", "sum"], seed).run(Profile(5, 5))]
        for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other


def _counts(record: Record) -> tuple[str, int, int]:
    return record.op, record.programs, record.numbers


def test_an_op_alone_is_tested_with_itself() -> None:
    """A campaign over one op draws no other op, so that an engine with one op can be judged."""
    (record, expressions) = Campaign(NdgradEngine(), TorchEngine(), ["sin"]).run(Profile(10, 10))
    assert record.numbers
    assert expressions.numbers


def test_no_ops_give_no_records() -> None:
    """A campaign over no ops has no records."""
    assert list(Campaign(NdgradEngine(), TorchEngine(), []).run(Profile(5, 5))) == []


TOWARDS = [(op, i) for op in OPS for i, pullback in enumerate(RULES[op].pullbacks) if pullback]


@pytest.mark.parametrize(("op", "position"), TOWARDS)
@pytest.mark.parametrize("factor", [1 + 1e-7, -1.0])
def test_a_wrong_factor_is_found_on_every_op(op: str, position: int, factor: float, monkeypatch: Any) -> None:
    """A relative error of 1e-7 or a wrong sign is found in each gradient of each op in ten programs, and is named."""
    right = RULES[op].pullbacks[position]
    assert right is not None
    plant_pullback(monkeypatch, op, position, lambda *args, **options: right(*args, **options) * factor)
    assert first_failure(op, profile=Profile(10, 0)).op == op


def test_the_profiles_grow() -> None:
    """Each profile runs more cases than the one before."""
    sizes = [(p.for_each_op, p.expressions) for p in (PROFILES["quick"], PROFILES["standard"], PROFILES["deep"])]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_what_failed_is_tried_first_the_next_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A failing program is stored; the next campaign begins with it, and removes it once it agrees."""
    path, profile = tmp_path / "failures", Profile(20, 0)
    with monkeypatch.context() as planting:
        plant_pullback(planting, "exp", 0, lambda g, y, x: 2 * g * y)
        list(Unshrunk(NdgradEngine(), TorchEngine(), ["exp"], failures=path).run(profile))
        first, second, *_ = Unshrunk(NdgradEngine(), TorchEngine(), ["exp"], seed=1, failures=path).run(profile)
        assert (first.op, len(first.failures)) == ("failed before", 1)
        assert (second.op, second.failures, second.told) == ("exp", [], "exp")
    again = list(Unshrunk(NdgradEngine(), TorchEngine(), ["exp"], failures=path).run(profile))
    assert (again[0].op, again[0].programs, again[0].failures) == ("failed before", 1, [])
    assert not path.exists()


def test_an_op_is_not_hidden_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """If all ops of a program are wrong, each of them is reported, although the last one is always located first."""
    ops = ["exp", "multiply", "tanh", "sum"]
    for op in ops:
        for position, right in enumerate(RULES[op].pullbacks):
            plant_pullback(monkeypatch, op, position, lambda *args, right=right, **options: 3 * right(*args, **options))
    records = list(Unshrunk(NdgradEngine(), TorchEngine(), ops).run(Profile(20, 0)))
    assert {failure.op for record in records for failure in record.failures} == set(ops)


def test_an_op_fails_but_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second failing program of the same op is not shrunk or reported again."""
    plant_pullback(monkeypatch, "exp", 0, lambda g, y, x: 2 * g * y)
    records = list(Unshrunk(NdgradEngine(), TorchEngine(), ["exp", "sin"]).run(Profile(40, 40)))
    assert sum(len(record.failures) for record in records) == 1
    assert {record.told for record in records} == {"", "exp"}
    assert {record.elsewhere for record in records if record.told and record.op != "exp"} == {("exp",)}


def test_the_other_checks_are_run() -> None:
    """Sessions, training runs and checks of the library are counted; a failing one is printed with a line to replay."""
    profile = Profile(0, 0, {"sessions": 3, "training": 3, "library": 3})
    *_, sessions, training, library = Campaign(NdgradEngine(), TorchEngine(), ["exp"]).run(profile)
    assert [(r.op, r.programs, bool(r.numbers), r.failures) for r in (sessions, training, library)] == [
        (check, 3, True, []) for check in ("sessions", "training", "library")
    ]
    with BY_NAME["grad-replaced"].plant():
        (sessions,) = Campaign(NdgradEngine(), TorchEngine(), []).run(Profile(0, 0, {"sessions": 40}))
        (failure,) = sessions.failures
        words = message(failure)
        assert words.startswith("sessions: ")
        again = re.search(r"\n  again: python -m reference repro '(sessions case 0; leaf .*)'$", words)
        assert again
        assert parse_case(again[1]).run(NdgradEngine(), References([TorchEngine()])).verdict.findings


# Several processes.


@pytest.fixture(scope="module", name="pool")
def _pool() -> Iterator[Pool]:
    """Two processes, which import PyTorch once for all tests of this file."""
    with Workers(2) as workers:
        yield Pool(workers)


@pytest.fixture(name="_small_shards")
def _make_small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few cases fill several shards."""
    monkeypatch.setattr("reference.campaign.shards.AT_A_TIME", 20)
    monkeypatch.setattr("reference.campaign.shards.SCRIPTED_AT_A_TIME", 20)


@pytest.mark.usefixtures("_small_shards")
def test_several_processes_find_what_one_finds(pool: Pool) -> None:
    """A pool of processes gives the same records as one process, in the same order."""
    profile = Profile(6, 50, {"sessions": 22, "library": 2})
    ops = ["exp", "sum", "multiply", "getitem"]
    shared = list(Campaign.by_name("ndgrad", ["torch"], ops).run(profile, pool))
    assert shared == list(Campaign.by_name("ndgrad", ["torch"], ops).run(profile))
    assert [record.op for record in shared] == [*ops, "expressions", "sessions", "library"]


def test_a_shard_is_plain_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tally and its failing case survive pickling unchanged."""
    plant_pullback(monkeypatch, "tanh", 0, lambda g, y, x: g * (1 - y))
    tally = run_shard(Shard("tanh", 0, 40), Sides("ndgrad", ("torch",), ("tanh",), 0))
    again = pickle.loads(pickle.dumps(tally))
    assert tally.failing
    assert tally.is_ended
    assert str(again) == str(tally)


def wrong_tanh() -> NdgradEngine:
    """Make an engine that is wrong on purpose; other processes import it by name."""
    return NdgradEngine({**RULES, "tanh": Rule(np.tanh, lambda g, y, x: g * (1 - y))})


def wrong_multiply() -> NdgradEngine:
    """Make an engine that is wrong on purpose in an op that has an operator."""
    return NdgradEngine(
        {**RULES, "multiply": Rule(np.multiply, lambda g, y, a, b: g * b, lambda g, y, a, b: 2 * g * a)}
    )


@pytest.mark.usefixtures("_small_shards")
@pytest.mark.parametrize("op", ["tanh", "multiply"])
def test_a_pool_judges_an_engine_by_name(op: str, pool: Pool) -> None:
    """Other processes, which import the engine by name, find the same failures as this process."""
    engine, profile = f"{__name__}:wrong_{op}", Profile(70, 0)
    shared = list(Campaign.by_name(engine, ["torch"], [op]).run(profile, pool))
    assert [failure.op for failure in shared[0].failures] == [op]
    assert comparable(shared) == comparable(list(Campaign.by_name(engine, ["torch"], [op]).run(profile)))


def comparable(records: Sequence[Record]) -> list[tuple[Record, list[str]]]:
    """Return records with the messages of their failures, for comparison."""
    return [(replace(record, failures=[]), list(map(message, record.failures))) for record in records]


def test_without_a_name_nothing_runs_elsewhere() -> None:
    """A campaign without names refuses a pool before any work, and says what is missing."""
    with Workers(1) as workers, pytest.raises(ValueError, match="must be given by name"):
        list(Campaign(NdgradEngine(), TorchEngine(), ["exp"]).run(SMALL, Pool(workers)))


class Reversed:
    """Runs the shards in reverse order, each of them twice."""

    def run(self, shards: Iterator[Shard], sides: Sides, on_tally: Callable[[Shard, Tally], None]) -> Iterator[Shard]:
        """Run them as a cluster might whose workers die."""
        for shard in list(shards)[::-1]:
            for _ in range(2):
                on_tally(shard, run_shard(shard, sides))
            yield shard


@pytest.mark.usefixtures("_small_shards")
@pytest.mark.parametrize("engine", ["ndgrad", f"{__name__}:wrong_tanh"])
def test_the_order_makes_no_difference(engine: str) -> None:
    """Shards may run in any order and more than once; those after the first failure are not counted."""
    profile = Profile(50, 30, {})
    there = list(Campaign.by_name(engine, ["torch"], ["tanh", "exp"]).run(profile, Reversed()))
    assert comparable(there) == comparable(list(Campaign.by_name(engine, ["torch"], ["tanh", "exp"]).run(profile)))


@pytest.mark.parametrize("engine", [NdgradEngine({"exp": RULES["exp"]}), type("Mine", (NdgradEngine,), {})()])
def test_other_engines_have_sessions_and_no_library(engine: Engine) -> None:
    """For an engine without training and a library nothing is counted, and the records say why."""
    profile = Profile(1, 1, {"sessions": 2, "training": 2, "library": 2})
    *_, sessions, training, library = Campaign(engine, TorchEngine(), ["exp"]).run(profile)
    assert (sessions.op, sessions.programs, bool(sessions.numbers), sessions.failures) == ("sessions", 2, True, [])
    assert sessions.left_out.startswith("the calls backward_several, twice, ")
    for record, check in ((training, "training"), (library, "library")):
        assert (record.op, record.programs, record.numbers) == (check, 0, 0)
        assert record.left_out == f"{engine.name} offers none"


def test_a_reference_without_state_has_no_other_checks() -> None:
    """With a reference that offers no other checks nothing is counted, and the records say why."""

    class Stateless(TorchEngine):
        stateful = trainer = library = None  # type: ignore[assignment]

    profile = Profile(1, 1, {"sessions": 2, "training": 2, "library": 2})
    *_, sessions, training, library = Campaign(NdgradEngine(), Stateless(), ["exp"]).run(profile)
    for record in (sessions, training, library):
        assert (record.programs, record.left_out) == (0, f"{TorchEngine().name} offers none")


def test_two_stored_programs_of_one_op_both_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two stored programs of one op that still fail both stay stored."""
    path = tmp_path / "failures"
    lines = [f"x=f8({x}); a=exp(x); back(a,f8(1.0))" for x in (1.0, 2.0)]
    path.write_text("\n".join(lines) + "\n")
    plant_pullback(monkeypatch, "exp", 0, lambda g, y, x: 2 * g * y)
    list(Unshrunk(NdgradEngine(), TorchEngine(), ["exp"], failures=path).run(Profile(1, 0)))
    assert set(lines) <= set(path.read_text().splitlines())


def test_an_interrupted_run_keeps_stored_programs(tmp_path: Path) -> None:
    """Stored programs that an interrupted run did not reach stay stored."""
    path = tmp_path / "failures"
    lines = [f"x=f8({x}); a=exp(x); back(a,f8(1.0))" for x in (1.0, 2.0, 3.0)]
    path.write_text("\n".join(lines) + "\n")

    class Impatient(NdgradEngine):
        def run(self, program: Program) -> Any:
            if str(program) == lines[1]:
                raise KeyboardInterrupt
            return super().run(program)

    with pytest.raises(KeyboardInterrupt):
        list(Campaign(Impatient(), TorchEngine(), ["exp"], failures=path).run(Profile(1, 0)))
    assert list(map(str, FailureStore(path).cases())) == lines[1:]


# Explanations of shrunk failures.


def told(line: str) -> list[str]:
    """Shrink a failing program, and return the lines of its message."""
    campaign = Campaign(NdgradEngine(), TorchEngine())
    trial = campaign.smallest(ProgramCase(parse(line)).run(campaign.engine, campaign.references))
    return message(campaign.explained(trial)).splitlines()


def from_the_start(right: Callable[..., Any]) -> Callable[..., Any]:
    """Return a pullback of a join that always takes the first piece of the cotangent."""
    return lambda g, y, *xs, axis, position: right(g, y, *xs[position:], *xs[:position], axis=axis, position=0)


WRONG_PLACE = "numbers of the cotangent in wrong places: a wrong offset, index or mask?"


@pytest.mark.parametrize(
    ("op", "change", "line", "numbers"),
    [
        ("concatenate", from_the_start,
         "x=f8([2.5,-1.0]); y=f8([0.5,3.0]); a=concatenate(x,y,axis=0); back(a,f8([2.0,3.0,-1.0,4.0]))",
         "grad[y][0] is 1.0"),
        ("stack", from_the_start,
         "x=f8([2.5,-1.0]); y=f8([0.5,3.0]); a=stack(x,y,axis=0); back(a,f8([[2.0,3.0],[-1.0,4.0]]))",
         "grad[y][0] is 1.0"),
        ("pad", lambda right: lambda g, y, x, **options: g[: x.size],
         'x=f8([2.5,-1.0]); a=pad(x,pad_width=((1,2),),mode="constant"); back(a,f8([2.0,3.0,-1.0,4.0,5.0]))',
         "grad[x][0] is 1.0"),
    ],
    ids=["concatenate", "stack", "pad"],
)  # fmt: skip
def test_a_wrong_offset_is_told_by_different_numbers(
    op: str, change: Callable[..., Any], line: str, numbers: str
) -> None:
    """The shrunk cotangent has different numbers, so that a wrong offset is seen and is no lost contribution."""
    with around(op, 0, change)():
        lines = told(line)
    assert f"{numbers}, but {TorchEngine().name} says 2.0" in lines[0]
    assert any(line.endswith(f"; {WRONG_PLACE}") for line in lines)


def against_the_bare_extreme(right: Callable[..., Any]) -> Callable[..., Any]:
    """Return a pullback of an extreme over axis 1 that compares with the extreme as it is, without the axis."""

    def wrong(g: Any, y: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        if y.shape != x.shape[1:] or keepdims:
            return right(g, y, x, axis=axis, keepdims=keepdims)
        return g[:, None] * (x == y)

    return wrong


@pytest.mark.parametrize(("op", "numbers"), [("max", "[[5.0,3.0],[3.0,1.0]]"), ("min", "[[1.0,3.0],[3.0,5.0]]")])
def test_a_wrong_mask_is_no_permutation(op: str, numbers: str) -> None:
    """A mask against an extreme without its axis puts numbers in wrong places, but permutes nothing."""
    line = f"x=f8({numbers}); a={op}(x,axis=1,keepdims=False); back(a,f8([1.0,1.0]))"
    with around(op, 0, against_the_bare_extreme)():
        lines = [*told(line), *message(explained(parse(line))).splitlines()]
    assert not any("permutation" in line or "transposed" in line for line in lines)


@pytest.mark.parametrize("op", ["sum", "mean"])
def test_a_wrong_axis_is_told_as_one(op: str) -> None:
    """A cotangent that is expanded at the wrong end gives the right numbers, transposed."""
    line = f"x=f8([[2.0,1.0],[0.5,2.0]]); a={op}(x,axis=1,keepdims=False); back(a,f8([2.0,3.0]))"

    def wrong(g: Any, y: Any, x: Any, **options: Any) -> Any:
        return np.broadcast_to(g if op == "sum" else g / x.shape[1], x.shape)

    with around(op, 0, lambda right: wrong)():
        lines = told(line)
    assert any("the right numbers, transposed: axes exchanged, or expanded at the wrong end?" in line for line in lines)


def test_a_ratio_that_is_a_coincidence_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 1, the square and the number itself are alike; a ratio that other numbers do not have is no cause."""
    plant_pullback(monkeypatch, "tanh", 0, lambda g, y, x: g * (1 - y))
    assert not any("ratio" in line for line in told("x=f8([0.5,2.0]); a=tanh(x); back(a,f8([2.0,3.0]))"))


@pytest.mark.parametrize("op", ["multiply", "divide"])
def test_the_line_that_raised_is_named(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message of an error has the line of the engine's file that raised it."""
    plant_pullback(monkeypatch, op, 0, lambda g, y, a, b: g.missing)
    words = message(explained(parse(f"x=f8([2.0]); y=f8([3.0]); a={op}(x,y); back(a,f8([1.0]))")))
    assert re.search(r"\n  raised at \S*test_campaign\.py:\d+: plant_pullback\(.* g\.missing\)\n", words)


def test_the_line_that_raised_in_another_check_is_named() -> None:
    """So has the message of a session, of a training run and of a check of the library."""

    def boom(right: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(*args: Any, **options: Any) -> Any:
            raise TypeError("boom")

        return wrong

    plants = {
        "sessions": around("multiply", 0, boom), "training": method(SGD, "step", boom),
        "library": method(Module, "zero_grad", boom),
    }  # fmt: skip
    for kind, plant in plants.items():
        with plant():
            records = Unshrunk(NdgradEngine(), TorchEngine(), ()).run(Profile(0, 0, {kind: 30}))
            (failure,) = next(record.failures for record in records if record.op == kind)
        assert re.search(r'\n  raised at \S*test_campaign\.py:\d+: raise TypeError\("boom"\)\n', message(failure)), kind
