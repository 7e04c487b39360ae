"""Sessions from seeds: they repeat themselves, run as they are printed, reach every call, and leave nothing behind."""

from __future__ import annotations

import gc
import re
from collections import Counter
from functools import cache
from typing import Any

import pytest

from ndgrad import Value, modes
from reference.checks.sessions import CALLS, SessionRecord, SessionRun, replay, run_session, unsupported
from reference.engines.ndgrad.spelling import HEADER, LINES, ways
from reference.engines.torch import KNOWN
from reference.mutation import BY_NAME
from reference.mutation.planting import attribute
from reference.ops import OPS
from reference.ops.source import Seeded, pick
from reference.verdict import Kind
from tests.reference.both import BOTH, shrunk

# A gradient that replaces what a leaf has, instead of adding to it. This is wrong, on purpose.
REPLACED = BY_NAME["grad-replaced"].plant


@cache
def session(number: int) -> SessionRecord:
    """Run a session of this file's seed."""
    return run_session(Seeded("tests", number), *BOTH)


@cache
def many() -> tuple[SessionRecord, ...]:
    """Some hundred sessions, the same in each run."""
    return tuple(session(number) for number in range(300))


@cache
def lines() -> str:
    """All that these sessions have printed."""
    return "\n".join(record.text for record in many())


def first_wrong(seed: str = "wrong") -> SessionRecord:
    """The first session of a seed that goes wrong."""
    records = (run_session(Seeded(seed, number), *BOTH) for number in range(300))
    return next(record for record in records if record.findings)


def test_a_right_engine_agrees() -> None:
    """Nothing is found in 300 sessions, each of twenty calls, and tens of thousands of numbers are compared."""
    assert [record.text for record in many() if record.findings] == []
    assert {record.calls for record in many()} == {20}
    assert sum(record.numbers for record in many()) > 20_000
    assert 0 < max(record.worst for record in many()) <= 8


def test_a_session_depends_on_its_seed_alone() -> None:
    """In any order of runs, and whatever was run before."""
    again = {number: run_session(Seeded("tests", number), *BOTH) for number in (7, 3, 12, 5)}
    assert all(record == session(number) for number, record in again.items())
    assert len({record.text for record in many()}) == len(many())


def test_it_has_as_many_calls_as_are_asked_for() -> None:
    """Fewer than usual, or more."""
    assert [run_session(Seeded(0), *BOTH, calls).calls for calls in (3, 40)] == [3, 40]


@pytest.mark.parametrize("number", range(10))
def test_the_text_runs_by_itself(number: int) -> None:
    """As a person would run it: it begins with its imports, and makes Values."""
    space: dict[str, Any] = {}
    assert session(number).text.startswith(HEADER)
    exec(session(number).text, space)  # noqa: S102 - that it runs is the point
    assert any(isinstance(made, Value) for made in space.values())
    if session(number).careful:
        space["checking"].__exit__(None, None, None)


# What is reached.


def test_ndgrad_is_given_every_call() -> None:
    """It has all statements, and none of them is tried first: where it raises, it is wrong."""
    assert unsupported(*BOTH) == {}


def test_every_call_is_made() -> None:
    """The rarest about once in ten sessions."""
    made = Counter(name for record in many() for name, _ in record.script)
    assert made.keys() == CALLS.keys()
    assert min(made.values()) >= len(many()) / 20


@pytest.mark.parametrize("op", sorted(OPS.keys() - KNOWN.keys()))
def test_every_op_is_met_in_each_of_its_spellings(op: str) -> None:
    """As methods, operators, and functions of NumPy and of ndgrad; but for those that PyTorch is poor in."""
    for way in set(ways(OPS[op])):
        assert re.search("= " + re.sub(r"\\{\w+\\}", ".*", re.escape(way)) + "$", lines(), re.MULTILINE), way


@pytest.mark.parametrize("form", [form for form, _ in LINES.modes])
def test_every_mode_is_met(form: str) -> None:
    """Nested, entered again, left by an exception, as a decorator."""
    assert re.search(re.sub(r"\\{\w+\\}", ".*", re.escape(form)), lines()), form


@pytest.mark.parametrize(
    "piece",
    [
        *(f"{name}=" for kind in LINES.optimizers for name in {**kind.always, **kind.sometimes}),
        "lr=np.float64(", "weight_decay=", "maximize=True", "(p for p in [", ".load_state_dict(saved", ".zero_grad()",
        "requires_grad=False", "np.float32)", " += ", "copy.deepcopy(", "pickle.loads(", ".detach()", "del ",
        "= np.float64(", "check_writes()", ".data[...] = 0.5", "with suppress(RuntimeError):", "for _ in range(30):",
        ".backward()", ".backward(n", "ndgrad.backward([", ".backward([", ".grad = 0.0", ".grad = n", ".grad[...] = ",
        "= [", ".T.T",
    ],
)  # fmt: skip
def test_every_manner_is_met(piece: str) -> None:
    """What calls may draw, they do draw."""
    assert piece in lines()


def test_an_unsuited_call_does_nothing() -> None:
    """Where a session does not have what a call takes, no line is run."""
    unsuited = 0
    for number in range(40):
        running, source = SessionRun(*BOTH, careful=False), Seeded("unsuited", number)
        for name in ["leaf", *(pick(source, list(CALLS)) for _ in range(12))]:
            before = running._session.text
            if not running.make(name, source):
                unsuited += 1
                assert running._session.text == before
        assert not running.end().findings
    assert unsuited > 40


def test_a_session_begins_with_a_value() -> None:
    """All other calls are unsuited to a session that has none."""
    assert [name for name in CALLS if SessionRun(*BOTH, careful=False).make(name, Seeded(name))] == ["leaf", "constant"]


# Sessions that go wrong.


def test_it_stops_at_the_first_call_that_goes_wrong() -> None:
    """The record has what was found; the text ends with the line that shows it, and what was found in words."""
    with REPLACED():
        record = first_wrong()
    assert record.calls == len(record.script) < 20
    assert record.findings[0].kind is Kind.GRADIENT
    *_, call = [line for line in record.text.splitlines() if not line.startswith("#")]
    found = record.text.splitlines()[-1]
    assert ".backward(" in call
    assert re.fullmatch(r"# GRADIENT: grad\[\w\].* is .*, but PyTorch says .*", found)


def test_a_script_is_replayed() -> None:
    """Calls with their choices give the same session again, right or wrong."""
    for number in range(20):
        assert replay(session(number).script, *BOTH, careful=session(number).careful) == session(number)
    with REPLACED():
        record = first_wrong()
        assert replay(record.script, *BOTH, careful=record.careful).text == record.text


def test_sessions_are_made_short() -> None:
    """Calls that do not matter are left out, and choices become the simplest: the same bug, in a few lines."""
    with REPLACED():
        wrong = [record for number in range(15) if (record := run_session(Seeded("wrong", number), *BOTH)).findings][:5]
        short = [shrunk(record, *BOTH) for record in wrong]
    assert [record.findings[0].kind for record in short] == [record.findings[0].kind for record in wrong]
    assert max(len(record.script) for record in short) <= 4
    shortest = "a = Value(1.0)\na.backward()\na.backward()\n# GRADIENT: grad[a] is 1.0, but PyTorch says 2.0"
    assert shortest in {record.text.removeprefix(HEADER).strip() for record in short}


# What is left behind.


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(*, enabled: bool) -> None:
    """It is off while a session runs, and on again only if it was on before."""
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        run_session(Seeded("collector"), *BOTH)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_sessions_leave_no_objects_behind() -> None:
    """With the collector off, two hundred sessions leave as many objects as there were before them."""
    was = gc.isenabled()
    gc.disable()
    try:
        for number in range(60):
            run_session(Seeded("leak", number), *BOTH)
        gc.collect()
        before = len(gc.get_objects())
        for number in range(200):
            run_session(Seeded("leak", number), *BOTH)
        assert len(gc.get_objects()) - before < 200
    finally:
        if was:
            gc.enable()


@pytest.mark.parametrize(
    "plant",
    [
        attribute(modes._Context, "__exit__", lambda *_: None),
        attribute(modes.no_grad, "__exit__", lambda *_: None),
    ],
)
def test_a_wrong_engine_does_no_harm_to_the_sessions_after_it(plant: Any) -> None:
    """A mode that is never left ends with the session that shows it."""
    with plant():
        assert first_wrong().findings[0].kind is Kind.MISSING
    assert [
        record.text for number in range(10) if (record := run_session(Seeded("after", number), *BOTH)).findings
    ] == []
    assert (Value(1.0) * 2.0).requires_grad
