"""The same calls as rules of a Hypothesis state machine, which shrinks what fails, and prints the session."""

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


class Drawn(Source):
    """Choices that Hypothesis makes."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))


class Machine(RuleBasedStateMachine):
    """A session whose calls Hypothesis chooses. The rules are attached below, one for each row of the calls' table."""

    running: SessionRun

    @initialize(data=st.data(), careful=st.booleans())
    def begin(self, data: st.DataObject, *, careful: bool) -> None:
        self.running = SessionRun(*BOTH, careful=careful)
        self.make("leaf", data)

    def make(self, name: str, data: st.DataObject) -> None:
        self.running.make(name, Drawn(data))
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


def _attached(name: str) -> Callable[[Machine, st.DataObject], None]:
    def call(self: Machine, data: st.DataObject) -> None:
        self.make(name, data)

    call.__name__ = name
    return call


for _name in CALLS:
    setattr(Machine, _name, rule(data=st.data())(_attached(_name)))


def test_sessions_that_hypothesis_chooses_agree() -> None:
    """As many and as long ones as the profile says."""
    run_state_machine_as_test(Machine, settings=settings())


def test_every_call_is_a_rule() -> None:
    """No more, and no fewer."""
    assert {r.function.__name__ for r in Machine().rules} == CALLS.keys()


def test_what_fails_is_shrunk_and_printed() -> None:
    """A gradient that replaces what a leaf has, wrong on purpose, is shown by a session of few lines."""
    quick = settings(
        max_examples=200, derandomize=True, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, print_blob=False,
    )  # fmt: skip
    with (
        BY_NAME["grad-replaced"].plant(),
        pytest.raises(AssertionError) as caught,
    ):
        run_state_machine_as_test(Machine, settings=quick)
    text = str(caught.value)
    assert text.startswith(HEADER)
    assert re.search(r"\n# GRADIENT: grad\[\w\].* is .*, but PyTorch says .*\n$", text)
    assert len(text.removeprefix(HEADER).strip().splitlines()) <= 12
