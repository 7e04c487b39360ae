"""Sessions from seeds: they are reproducible, run as printed, reach every call, and leave nothing behind."""

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

# A gradient replaces a leaf's gradient instead of adding to it. This is wrong on purpose.
REPLACED = BY_NAME["grad-replaced"].plant


@cache
def session(number: int) -> SessionRecord:
    """Run a session of this file's seed."""
    return run_session(Seeded("tests", number), *BOTH)


@cache
def many() -> tuple[SessionRecord, ...]:
    """Run 300 sessions, once."""
    return tuple(session(number) for number in range(300))


@cache
def lines() -> str:
    """Return the text of all these sessions."""
    return "\n".join(record.text for record in many())


def first_wrong(seed: str = "wrong") -> SessionRecord:
    """Return the first session of a seed that goes wrong."""
    records = (run_session(Seeded(seed, number), *BOTH) for number in range(300))
    return next(record for record in records if record.findings)


def test_a_right_engine_agrees() -> None:
    """300 sessions of twenty calls find nothing wrong, and compare tens of thousands of numbers."""
    assert [record.text for record in many() if record.findings] == []
    assert {record.calls for record in many()} == {20}
    assert sum(record.numbers for record in many()) > 20_000
    assert 0 < max(record.worst for record in many()) <= 8


def test_a_session_depends_on_its_seed_alone() -> None:
    """A session does not depend on the order of runs or on what was run before."""
    again = {number: run_session(Seeded("tests", number), *BOTH) for number in (7, 3, 12, 5)}
    assert all(record == session(number) for number, record in again.items())
    assert len({record.text for record in many()}) == len(many())


def test_the_number_of_calls_can_be_chosen() -> None:
    """A session has the requested number of calls, fewer than usual or more."""
    assert [run_session(Seeded(0), *BOTH, calls).calls for calls in (3, 40)] == [3, 40]


@pytest.mark.parametrize("number", range(10))
def test_the_text_runs_by_itself(number: int) -> None:
    """The text is a complete program: it begins with its imports and makes Values."""
    space: dict[str, Any] = {}
    assert session(number).text.startswith(HEADER)
    exec(session(number).text, space)  # noqa: S102 - the test is that it runs
    assert any(isinstance(made, Value) for made in space.values())
    if session(number).careful:
        space["checking"].__exit__(None, None, None)


# Coverage.


def test_ndgrad_supports_every_call() -> None:
    """ndgrad declares all statements, so no call is tried first: an error is a bug."""
    assert unsupported(*BOTH) == {}


def test_every_call_is_made() -> None:
    """Every call is made, the rarest about once in ten sessions."""
    made = Counter(name for record in many() for name, _ in record.script)
    assert made.keys() == CALLS.keys()
    assert min(made.values()) >= len(many()) / 20


@pytest.mark.parametrize("op", sorted(OPS.keys() - KNOWN.keys()))
def test_every_op_occurs_in_each_spelling(op: str) -> None:
    """Ops occur as methods, operators and functions of NumPy and ndgrad, except those in which PyTorch is limited."""
    for way in set(ways(OPS[op])):
        assert re.search("= " + re.sub(r"\\{\w+\\}", ".*", re.escape(way)) + "$", lines(), re.MULTILINE), way


@pytest.mark.parametrize("form", [form for form, _ in LINES.modes])
def test_every_mode_occurs(form: str) -> None:
    """Modes are nested, reentered, left by an exception, and used as decorators."""
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
def test_every_choice_occurs(piece: str) -> None:
    """Each choice that calls can make occurs."""
    assert piece in lines()


def test_an_unsuited_call_does_nothing() -> None:
    """If a session lacks something that a call needs, no line is run."""
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
    """All calls but those that make a value are unsuited to an empty session."""
    assert [name for name in CALLS if SessionRun(*BOTH, careful=False).make(name, Seeded(name))] == ["leaf", "constant"]


# Sessions that go wrong.


def test_it_stops_at_the_first_call_that_goes_wrong() -> None:
    """The record holds the finding; the text ends with the failing line and the finding in words."""
    with REPLACED():
        record = first_wrong()
    assert record.calls == len(record.script) < 20
    assert record.findings[0].kind is Kind.GRADIENT
    *_, call = [line for line in record.text.splitlines() if not line.startswith("#")]
    found = record.text.splitlines()[-1]
    assert ".backward(" in call
    assert re.fullmatch(r"# GRADIENT: grad\[\w\].* is .*, but PyTorch says .*", found)


def test_a_script_is_replayed() -> None:
    """A script reproduces its session, whether right or wrong."""
    for number in range(20):
        assert replay(session(number).script, *BOTH, careful=session(number).careful) == session(number)
    with REPLACED():
        record = first_wrong()
        assert replay(record.script, *BOTH, careful=record.careful).text == record.text


def test_sessions_are_shrunk() -> None:
    """Shrinking drops needless calls and simplifies choices: the same bug shows in a few lines."""
    with REPLACED():
        wrong = [record for number in range(15) if (record := run_session(Seeded("wrong", number), *BOTH)).findings][:5]
        short = [shrunk(record, *BOTH) for record in wrong]
    assert [record.findings[0].kind for record in short] == [record.findings[0].kind for record in wrong]
    assert max(len(record.script) for record in short) <= 4
    shortest = "a = Value(1.0)\na.backward()\na.backward()\n# GRADIENT: grad[a] is 1.0, but PyTorch says 2.0"
    assert shortest in {record.text.removeprefix(HEADER).strip() for record in short}


# Side effects.


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_left_as_it_was(*, enabled: bool) -> None:
    """The collector is off while a session runs, and afterwards as it was before."""
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        run_session(Seeded("collector"), *BOTH)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_sessions_leave_no_objects_behind() -> None:
    """With the collector off, two hundred sessions leave no additional objects."""
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
    """A mode that a wrong engine never leaves ends with its session."""
    with plant():
        assert first_wrong().findings[0].kind is Kind.MISSING
    assert [
        record.text for number in range(10) if (record := run_session(Seeded("after", number), *BOTH)).findings
    ] == []
    assert (Value(1.0) * 2.0).requires_grad
