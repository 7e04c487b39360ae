"""The laws of a session: what holds after each call, and at its end.

After each call everything is looked at that can be seen: each value's numbers and gradient, each optimizer's state,
each array that the user has. Numbers must be the reference's. Those that differ in a bit go to the verdict: they agree
at once within a few ULP, or else within what rounding explains, which is measured by doing again what the call has
done, with all that it read disturbed. What agreed, the reference takes over to the bit. So each call starts from the
same numbers on both sides and is judged by itself, sharply: rounding has no time to add up.

How near ndgrad comes to that bound beside PyTorch: in 20,000 sessions with 2 million numbers some 2,200 arrays were off
by more than 8 ULP, and none by more than 4 times the error that rounding was estimated to cause. 16 times are let pass.
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

# In single precision the verdict's disturbance would be rounded away: there it is made larger by this factor, and what
# has moved is taken to be as much smaller. Of one that shows rounding as it is, nothing is taken.
SINGLE = 2.0**22


class _Observed(NamedTuple):
    """Something that both sides have numbers of."""

    name: str
    kind: Kind
    mine: Any
    theirs: np.ndarray | None


class Laws:
    """What holds of a session after each of its calls.

    Attributes:
        numbers: how many were compared.
        worst: the largest distance among those that agreed at once, in ULP.
    """

    def __init__(self) -> None:
        self.numbers = 0
        self.worst = 0.0
        self._agreed: dict[str, Any] = {}
        self._owned: dict[str, Any] = {}

    def check(self, session: State) -> None:
        """Look at everything.

        Raises:
            Wrong: something is not as it must be.
        """
        computed, session.computed = session.computed, Computed()
        _check_graphs(session)
        _check_users_arrays(session)
        self._check_memory(session)
        self._check_numbers(session, computed)

    def _check_memory(self, session: State) -> None:
        """What a user may write into shares its memory with nothing else."""
        owned = dict(_owned_arrays(session))
        new = [name for name, array in owned.items() if self._owned.get(name) is not array]
        self._owned = owned
        others = [*owned.items(), *_other_arrays(session)] if new else []
        for name in new:
            for other, array in others:
                if name != other and _share(owned[name], array):
                    raise Wrong(Finding(Kind.ALIASED, name, f"shares its memory with {other}"))

    def _check_numbers(self, session: State, computed: Computed) -> None:
        """Numbers, dtypes and shapes are the reference's; and nothing has changed that no call changed."""
        differ = [seen for seen in _all_seen(session) if not self._is_equal(seen)]
        for name, kind, mine, theirs in differ:
            if (mine is None) != (theirs is None):
                says = "is missing: no gradient arrived" if mine is None else "is there, but none arrived"
                raise Wrong(Finding(Kind.MISSING, name, says))
            if name not in computed.parts and self._agreed.get(name) == _bit_pattern(theirs):
                unasked = Kind.INPUT_MUTATED if kind is Kind.FORWARD else Kind.ACCUMULATION
                raise Wrong(Finding(unasked, name, "changed, and no call has changed it"))
        if differ:
            self._compare(differ, computed)

    def _is_equal(self, seen: _Observed) -> bool:
        """Whether both sides have the same bits. Those that are new are counted."""
        bits = _bit_pattern(seen.mine)
        if bits != _bit_pattern(seen.theirs):
            return False
        if bits is not None and self._agreed.get(seen.name) != bits:
            self.numbers += seen.mine.size
        self._agreed[seen.name] = bits
        return True

    def _compare(self, differ: Sequence[_Observed], computed: Computed) -> None:
        """Ask the verdict, and let the reference take over what agrees: its arrays are its own memory."""
        got = [Part(seen.name, seen.kind, seen.mine) for seen in differ]
        expected = [Part(seen.name, seen.kind, seen.theirs) for seen in differ]

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
            del precision  # both sides start from the same numbers: there is no other to start from
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


# What is looked at.


def _check_graphs(session: State) -> None:
    """Outside of modes results join the graph; what is no part of a graph remembers nothing."""
    speaker = session.speaker
    if not speaker.is_recording():
        raise Wrong(Finding(Kind.MISSING, "the graph", "is no longer recorded, though no mode is entered"))
    for name, pair in session.pairs.items():
        value = session.space[name]
        wants = speaker.wants(value)
        if wants is not None and wants != pair.requires_grad:
            says = f"has requires_grad={wants}, but must have {pair.requires_grad}"
            raise Wrong(Finding(Kind.MISSING, name, says))
        if not pair.operands and speaker.remembers(value):
            raise Wrong(Finding(Kind.LEAK, name, "is no part of a graph, but holds on to its operands"))


def _check_users_arrays(session: State) -> None:
    """Nothing that the user has was written into."""
    for name, users in session.arrays.items():
        if contents(session.space[name]) != users.contents:
            kind = Kind.ALIASED if users.is_gradient else Kind.INPUT_MUTATED
            raise Wrong(Finding(kind, name, "was written into by the engine, though it is the user's"))


def _owned_arrays(session: State) -> Iterator[tuple[str, Any]]:
    """Data, gradients, optimizers' states, and the user's arrays, copies that the engine gave among them.

    Results that are views, and gradients inside the graph, may share what they have; of those the engine is asked.
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
    """Gradients that the user keeps, and those inside the graph."""
    for name, users in session.arrays.items():
        if users.is_gradient:
            yield name, session.space[name]
    for pair in session.pairs.values():
        gradient = _gradient(session, pair) if pair.is_result else None
        if gradient is not None:
            yield pair.gradient_name, gradient


def _gradient(session: State, pair: Pair) -> Any:
    """The engine's gradient of a value, as far as it shows it."""
    speaker = session.speaker
    return speaker.gradient(session.space[pair.name]) if pair.is_leaf or speaker.shows_inner else None


def _share(a: Any, b: Any) -> bool:
    """Whether two arrays overlap. What is no array, as a wrong engine may give it, another law names."""
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
    """An optimizer's state, parameter by parameter. Steps are counted in whole numbers here, and in floats there."""
    moved = session.speaker.moved(mine)
    if moved is None:
        return
    if len(moved) != len(pair.params):
        says = f"moves {len(moved)} parameters, but must move {len(pair.params)}"
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
    """An array to the last bit, with its dtype and shape; of what is none, what it shows."""
    if isinstance(array, np.ndarray):
        return array.dtype, array.shape, array.tobytes()
    return None if array is None else repr(array)


def _less_moved(part: Part, disturbed: np.ndarray, factor: float) -> Part:
    """How a part had moved, had it been disturbed less by a factor."""
    base = np.asarray(part.array, float)
    with np.errstate(all="ignore"):
        return part._replace(array=base + (disturbed - base) / factor)


# The end.


def check_repeated(session: State, again: Mapping[str, Any]) -> None:
    """A second run of the same lines has given the same bits.

    Raises:
        Wrong: it has not.
    """
    once, twice = (dict(_all_bit_patterns(session, space)) for space in (session.space, again))
    for name, bits in once.items():
        if twice.get(name) != bits:
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
    """What no name and no graph leads to is freed, without the help of the cyclic collector.

    Raises:
        Wrong: something is still held.
    """
    held = {id(pair) for root in reachable for pair in root.ancestors()}
    for pair in session.every:
        if id(pair) not in held and pair.value() is not None:
            raise Wrong(Finding(Kind.LEAK, pair.name, "is still held, though no name and no graph leads to it"))
    session.every = [pair for pair in session.every if id(pair) in held]
