"""The calls as rules of a Hypothesis state machine, which shrinks a failing session and prints it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from reference.checks.sessions import CALLS, SessionRun
from reference.engines.ndgrad.spelling import HEADER
from reference.mutation import BY_NAME
from reference.ops.source import Source
from tests.reference.both import BOTH


class HypothesisSource(Source):
    """A source whose choices Hypothesis makes."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))


class SessionMachine(RuleBasedStateMachine):
    """A session whose calls Hypothesis chooses. Its rules are attached below, one for each call of the table."""

    running: SessionRun

    @initialize(data=st.data(), careful=st.booleans())
    def begin(self, data: st.DataObject, *, careful: bool) -> None:
        self.running = SessionRun(*BOTH, careful=careful)
        self.make("leaf", data)

    def make(self, name: str, data: st.DataObject) -> None:
        self.running.make(name, HypothesisSource(data))
        if self.running.findings:
            self.end()

    def end(self) -> None:
        record = self.running.end()
        del self.running
        if record.findings:
            raise AssertionError(record.text)

    def teardown(self) -> None:
        if hasattr(self, "running"):
            self.end()


def _attached(name: str) -> Callable[[SessionMachine, st.DataObject], None]:
    def call(self: SessionMachine, data: st.DataObject) -> None:
        self.make(name, data)

    call.__name__ = name
    return call


for _name in CALLS:
    setattr(SessionMachine, _name, rule(data=st.data())(_attached(_name)))


def test_sessions_that_hypothesis_chooses_agree() -> None:
    """Sessions chosen by Hypothesis agree, in the number and length that the profile sets."""
    run_state_machine_as_test(SessionMachine, settings=settings())


def test_every_call_is_a_rule() -> None:
    """The rules are exactly the calls of the table."""
    assert {r.function.__name__ for r in SessionMachine().rules} == CALLS.keys()


def test_a_failing_session_is_shrunk_and_printed() -> None:
    """A gradient that replaces a leaf's gradient, wrong on purpose, is shown by a session of few lines."""
    quick = settings(
        max_examples=200, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    with (
        BY_NAME["grad-replaced"].plant(),
        pytest.raises(AssertionError) as caught,
    ):
        run_state_machine_as_test(SessionMachine, settings=quick)
    text = str(caught.value)
    assert text.startswith(HEADER)
    assert re.search(r"\n# GRADIENT: grad\[\w\].* is .*, but PyTorch says .*\n$", text)
    assert len(text.removeprefix(HEADER).strip().splitlines()) <= 12
