"""The laws of a session: what must hold after each call and at its end.

After each call, everything visible is checked: the numbers and gradient of each value, the state of each optimizer,
each array of the user. Numbers that differ from the reference's in any bit are judged by the verdict. They agree at
once within a few ULP; otherwise they must agree within rounding error, which is measured by repeating the call with
all its inputs disturbed. The reference then takes over the engine's numbers. So each call starts from the same numbers
on both sides and is judged by itself, and rounding errors do not accumulate.

The margin, for ndgrad beside PyTorch: in 20,000 sessions with 2 million numbers, some 2,200 arrays were off by more
than 8 ULP, and none by more than 4 times the estimated rounding error. The verdict allows 16 times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from reference.checks.sessions.pairs import OptimizerPair, Pair
from reference.checks.sessions.state import Computed, State, Wrong, arrays_in, contents
from reference.engines import Noise
from reference.verdict import Finding, Kind, Part, compare
from reference.verdict.rounding import DISTURBANCE

# In single precision the verdict's disturbance would be rounded away. There it is enlarged by this factor, and its
# effect is divided by it. A disturbance of another size, which imitates rounding itself, is not scaled.
SINGLE = 2.0**22


class _Observed(NamedTuple):
    """Numbers that both sides have: a value's, a gradient's or a state's."""

    name: str
    kind: Kind
    mine: Any
    theirs: np.ndarray | None


class Laws:
    """Checks what must hold after each call.

    Attributes:
        numbers: how many numbers were compared.
        worst: the largest distance among those that agreed at once, in ULP.
    """

    def __init__(self) -> None:
        self.numbers = 0
        self.worst = 0.0
        self._agreed: dict[str, Any] = {}
        self._owned: dict[str, Any] = {}

    def check(self, session: State) -> None:
        """Check all laws.

        Raises:
            Wrong: a law does not hold.
        """
        computed, session.computed = session.computed, Computed()
        _check_graphs(session)
        _check_users_arrays(session)
        self._check_memory(session)
        self._check_numbers(session, computed)

    def _check_memory(self, session: State) -> None:
        """Check that no array that a user may write into shares its memory with another one."""
        owned = dict(_owned_arrays(session))
        new = [name for name, array in owned.items() if self._owned.get(name) is not array]
        self._owned = owned
        others = [*owned.items(), *_other_arrays(session)] if new else []
        for name in new:
            for other, array in others:
                if name != other and _share(owned[name], array):
                    raise Wrong(Finding(Kind.ALIASED, name, f"shares its memory with {other}"))

    def _check_numbers(self, session: State, computed: Computed) -> None:
        """Check numbers, dtypes and shapes against the reference's, and that nothing has changed without a call."""
        differ = [seen for seen in _all_seen(session) if not self._is_equal(seen)]
        for name, kind, mine, theirs in differ:
            if (mine is None) != (theirs is None):
                says = "is missing: no gradient arrived" if mine is None else "is there, but must be missing"
                raise Wrong(Finding(Kind.MISSING, name, says))
            if name not in computed.parts and self._agreed.get(name) == _bit_pattern(theirs):
                blame = Kind.INPUT_MUTATED if kind is Kind.FORWARD else Kind.ACCUMULATION
                raise Wrong(Finding(blame, name, "changed, though no call changed it"))
        if differ:
            self._compare(differ, computed)

    def _is_equal(self, seen: _Observed) -> bool:
        """Whether both sides have the same bits. New numbers are counted."""
        pattern = _bit_pattern(seen.mine)
        if pattern != _bit_pattern(seen.theirs):
            return False
        if pattern is not None and self._agreed.get(seen.name) != pattern:
            self.numbers += seen.mine.size
        self._agreed[seen.name] = pattern
        return True

    def _compare(self, differ: Sequence[_Observed], computed: Computed) -> None:
        """Judge parts that differ, and copy the engine's numbers into the reference's arrays if they agree."""
        got = [Part(seen.name, seen.kind, seen.mine) for seen in differ]
        expected = [Part(seen.name, seen.kind, seen.theirs) for seen in differ]

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
            del precision  # both sides start from the same numbers, in one precision
            if noise is None:
                return expected
            factor = SINGLE if computed.single and noise.size == DISTURBANCE else 1.0
            disturbed = computed.again(replace(noise, size=noise.size * factor))
            return [_less_moved(part, disturbed.get(part.name, part.array), factor) for part in expected]

        verdict = compare(got, expected, rerun, single=computed.single)
        if verdict.findings:
            raise Wrong(*verdict.findings)
        self.numbers += verdict.numbers
        self.worst = max(self.worst, verdict.worst)
        for seen in differ:
            if seen.theirs is not None:
                seen.theirs[...] = seen.mine
                self._agreed[seen.name] = _bit_pattern(seen.mine)


# What is checked.


def _check_graphs(session: State) -> None:
    """Check that the graph is recorded outside of modes, and that values outside of a graph hold no operands."""
    speaker = session.speaker
    if not speaker.is_recording():
        raise Wrong(Finding(Kind.MISSING, "the graph", "is no longer recorded, though no mode is active"))
    for name, pair in session.pairs.items():
        value = session.space[name]
        wants = speaker.wants(value)
        if wants is not None and wants != pair.requires_grad:
            says = f"has requires_grad={wants}, but must have {pair.requires_grad}"
            raise Wrong(Finding(Kind.MISSING, name, says))
        if not pair.operands and speaker.remembers(value):
            raise Wrong(Finding(Kind.LEAK, name, "is not part of a graph, but still holds its operands"))


def _check_users_arrays(session: State) -> None:
    """Check that the engine wrote into none of the user's arrays."""
    for name, users in session.arrays.items():
        if contents(session.space[name]) != users.contents:
            kind = Kind.ALIASED if users.is_gradient else Kind.INPUT_MUTATED
            raise Wrong(Finding(kind, name, "was written into by the engine, but belongs to the user"))


def _owned_arrays(session: State) -> Iterator[tuple[str, Any]]:
    """Yield the arrays that must not share memory: data, gradients, optimizers' states, and the user's arrays.

    Results that are views and gradients of inner nodes may share memory; the engine says which of them own theirs.
    """
    speaker = session.speaker
    for name, pair in session.pairs.items():
        value = session.space[name]
        data, gradient = speaker.data(value), _gradient(session, pair)
        if speaker.owns(data, is_result=pair.is_result):
            yield pair.value_name, data
        if gradient is not None and (not pair.is_result or speaker.owns(gradient, is_result=True)):
            yield pair.gradient_name, gradient
    for name in session.optimizers:
        for i, state in enumerate(speaker.states(session.space[name])):
            yield from arrays_in(f"{name}.state[{i}]", state)
    for name, users in session.arrays.items():
        if not users.is_gradient:
            yield from arrays_in(name, session.space[name])


def _other_arrays(session: State) -> Iterator[tuple[str, Any]]:
    """Yield the gradients that the user holds, and those of inner nodes."""
    for name, users in session.arrays.items():
        if users.is_gradient:
            yield name, session.space[name]
    for pair in session.pairs.values():
        gradient = _gradient(session, pair) if pair.is_result else None
        if gradient is not None:
            yield pair.gradient_name, gradient


def _gradient(session: State, pair: Pair) -> Any:
    """Return the engine's gradient of a value; None if the engine does not show it."""
    speaker = session.speaker
    return speaker.gradient(session.space[pair.name]) if pair.is_leaf or speaker.shows_inner else None


def _share(a: Any, b: Any) -> bool:
    """Whether two arrays overlap. Other objects, from a wrong engine, are left to another law."""
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.may_share_memory(a, b)


def _all_seen(session: State) -> Iterator[_Observed]:
    for name, pair in session.pairs.items():
        if not pair.stale:
            yield _Observed(pair.value_name, Kind.FORWARD, session.speaker.data(session.space[name]), pair.numbers)
            if pair.is_leaf or session.speaker.shows_inner:
                yield from _gradients(session, pair)
    for name, optimizer in session.optimizers.items():
        yield from _states(session, session.space[name], optimizer)


def _gradients(session: State, pair: Pair) -> Iterator[_Observed]:
    mine, theirs = _gradient(session, pair), pair.gradient
    missing = (mine is None) != (theirs is None)
    if not (missing and session.speaker.none_or_zeros and not np.any(theirs if mine is None else mine)):
        yield _Observed(pair.gradient_name, Kind.GRADIENT, mine, theirs)


def _states(session: State, mine: Any, pair: OptimizerPair) -> Iterator[_Observed]:
    """Yield an optimizer's state for each parameter. Step counts, which may be int or float, are compared here."""
    moved = session.speaker.moved(mine)
    if moved is None:
        return
    if len(moved) != len(pair.params):
        says = f"has {len(moved)} parameters, but must have {len(pair.params)}"
        raise Wrong(Finding(Kind.MISSING, pair.name, says))
    for i, (state, expected) in enumerate(zip(session.speaker.states(mine), pair.theirs.states(), strict=True)):
        part = f"{pair.name}.state[{i}]"
        if state.keys() != expected.keys():
            raise Wrong(Finding(Kind.MISSING, part, f"has {sorted(state)}, but must have {sorted(expected)}"))
        steps, expected_steps = int(state.get("step", 0)), int(expected.get("step", 0))
        if steps != expected_steps:
            raise Wrong(Finding(Kind.FORWARD, f"{part}['step']", f"is {steps}, but must be {expected_steps}"))
        for entry, array in expected.items():
            if entry != "step":
                yield _Observed(f"{part}[{entry!r}]", Kind.FORWARD, state[entry], array)


def _bit_pattern(array: Any) -> Any:
    """Return an array's dtype, shape and bytes; the repr of anything else."""
    if isinstance(array, np.ndarray):
        return array.dtype, array.shape, array.tobytes()
    return None if array is None else repr(array)


def _less_moved(part: Part, disturbed: np.ndarray, factor: float) -> Part:
    """Return a part with its change divided by a factor, as if it had been disturbed less."""
    base = np.asarray(part.array, float)
    with np.errstate(all="ignore"):
        return part._replace(array=base + (disturbed - base) / factor)


# The end.


def check_repeated(session: State, again: Mapping[str, Any]) -> None:
    """Check that a second run of the same lines gave the same bits.

    Raises:
        Wrong: it did not.
    """
    once, twice = (dict(_all_bit_patterns(session, space)) for space in (session.space, again))
    for name, pattern in once.items():
        if twice.get(name) != pattern:
            raise Wrong(Finding(Kind.NON_DETERMINISTIC, name, "differs from one run of these lines to the next"))


def _all_bit_patterns(session: State, space: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, pair in session.pairs.items():
        value = space.get(name)
        if value is not None and session.speaker.is_value(value):
            yield pair.value_name, _bit_pattern(session.speaker.data(value))
            is_shown = pair.is_leaf or session.speaker.shows_inner
            yield pair.gradient_name, _bit_pattern(session.speaker.gradient(value)) if is_shown else None
    for name in session.arrays:
        yield name, contents(space.get(name))
    for name in session.optimizers:
        optimizer = space.get(name)
        for i, state in enumerate(() if optimizer is None else session.speaker.states(optimizer)):
            yield f"{name}.state[{i}]", contents(state)


def check_freed(session: State, reachable: Sequence[Pair]) -> None:
    """Check that values which no name and no graph refers to are freed, without the cyclic collector.

    Raises:
        Wrong: something is still held.
    """
    held = {id(pair) for root in reachable for pair in root.ancestors()}
    for pair in session.every:
        if id(pair) not in held and pair.value() is not None:
            raise Wrong(Finding(Kind.LEAK, pair.name, "is still held, though no name and no graph refers to it"))
    session.every = [pair for pair in session.every if id(pair) in held]
