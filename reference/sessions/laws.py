"""The laws of a session: what holds after each call, and at its end.

After each call everything is looked at that can be seen: each Value's numbers and gradient, each optimizer's state,
each array that the user has. Numbers must be PyTorch's. Those that differ in a bit go to the verdict: they agree at
once within a few ULP, or else within what rounding explains, which is measured by doing again what the call has done,
with all that it read disturbed. What agreed, PyTorch's side takes over to the bit. So each call starts from the same
numbers on both sides and is judged by itself, sharply: rounding has no time to add up.

How near a right engine comes to that bound: in 20,000 sessions with 2 million numbers some 2,200 arrays were off by
more than 8 ULP, and none by more than 4 times the error that rounding was estimated to cause. 16 times are let pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from ndgrad import Value, check_writes
from reference.engines import Noise
from reference.engines.torch import Disturbance
from reference.sessions.mirror import OptimizerPair, Pair, Tensor
from reference.sessions.state import Computed, State, Wrong, arrays_in, contents
from reference.verdict import Finding, Kind, Part, compare
from reference.verdict.rounding import DISTURBANCE

# In single precision the verdict's disturbance would be rounded away: there it is made larger by this factor, and what
# has moved is taken to be as much smaller. Of one that shows rounding as it is, nothing is taken.
SINGLE = 2.0**22


_PROBE = Value(1.0)


class _Seen(NamedTuple):
    """Something that both sides have numbers of."""

    name: str
    kind: Kind
    mine: Any
    theirs: Tensor | None


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
        """Numbers, dtypes and shapes are PyTorch's; and nothing has changed that no call changed."""
        differ = [seen for seen in _all_seen(session) if not self._is_equal(seen)]
        for name, kind, mine, theirs in differ:
            if (mine is None) != (theirs is None):
                says = "is missing: no gradient arrived" if mine is None else "is there, but none arrived"
                raise Wrong(Finding(Kind.MISSING, name, says))
            if name not in computed.parts and self._agreed.get(name) == _bits(theirs):
                unasked = Kind.INPUT_MUTATED if kind is Kind.FORWARD else Kind.ACCUMULATION
                raise Wrong(Finding(unasked, name, "changed, and no call has changed it"))
        if differ:
            self._compare(differ, computed)

    def _is_equal(self, seen: _Seen) -> bool:
        """Whether both sides have the same bits. Those that are new are counted."""
        bits = _bits(seen.mine)
        if bits != _bits(seen.theirs):
            return False
        if bits is not None and self._agreed.get(seen.name) != bits:
            self.numbers += seen.mine.size
        self._agreed[seen.name] = bits
        return True

    def _compare(self, differ: Sequence[_Seen], computed: Computed) -> None:
        """Ask the verdict, and let PyTorch's side take over what agrees."""
        got = [Part(seen.name, seen.kind, seen.mine) for seen in differ]
        wanted = [Part(s.name, s.kind, s.theirs.detach().numpy()) for s in differ if s.theirs is not None]

        def rerun(noise: Noise | None, precision: str | None) -> list[Part]:
            del precision  # both sides start from the same numbers: there is no other to start from
            if noise is None:
                return wanted
            factor = SINGLE if computed.single and noise.size == DISTURBANCE else 1.0
            disturbed = computed.again(Disturbance(replace(noise, size=noise.size * factor)))
            return [_less_moved(part, disturbed.get(part.name, part.array), factor) for part in wanted]

        verdict = compare(got, wanted, rerun, single=computed.single)
        if verdict.findings:
            raise Wrong(*verdict.findings)
        self.numbers += verdict.numbers
        self.worst = max(self.worst, verdict.worst)
        for seen in differ:
            if seen.theirs is not None:
                seen.theirs.data.copy_(torch.from_numpy(np.array(seen.mine)))
                self._agreed[seen.name] = _bits(seen.mine)


# What is looked at.


def _check_graphs(session: State) -> None:
    """Outside of modes results join the graph; what is no part of a graph remembers nothing."""
    if not is_recording():
        raise Wrong(Finding(Kind.MISSING, "the graph", "is no longer recorded, though no mode is entered"))
    for name, pair in session.pairs.items():
        value: Value = session.space[name]
        if value.requires_grad != pair.tensor.requires_grad:
            says = f"has requires_grad={value.requires_grad}, but must have {pair.tensor.requires_grad}"
            raise Wrong(Finding(Kind.MISSING, name, says))
        if not pair.operands and value._prev:  # noqa: SLF001 - what learners and draw_dot read
            raise Wrong(Finding(Kind.LEAK, name, "is no part of a graph, but holds on to its operands"))


def _check_users_arrays(session: State) -> None:
    """Nothing that the user has was written into."""
    for name, handed in session.arrays.items():
        if contents(session.space[name]) != handed.bits:
            kind = Kind.ALIASED if handed.kept else Kind.INPUT_MUTATED
            raise Wrong(Finding(kind, name, "was written into by the engine, though it is the user's"))


def is_recording() -> bool:
    """Whether results join the graph: as things are, and under a mode that has no say in it."""
    with check_writes():
        under_another = (_PROBE * 1.0).requires_grad
    return under_another and (_PROBE * 1.0).requires_grad


def _owned_arrays(session: State) -> Iterator[tuple[str, Any]]:
    """Data, gradients, optimizers' states, and what the user has handed in, or was given as a copy.

    Results that are views, and gradients inside the graph, may share what they have; but then they are read-only.
    """
    for name, pair in session.pairs.items():
        value: Value = session.space[name]
        if value.data.flags.writeable:
            yield pair.value_name, value.data
        if value.has_grad and (pair.tensor.is_leaf or value.grad.flags.writeable):
            yield pair.gradient_name, value.grad
    for name in session.optimizers:
        for i, state in enumerate(session.space[name].state):
            yield from arrays_in(f"{name}.state[{i}]", state)
    for name, handed in session.arrays.items():
        if not handed.kept:
            yield from arrays_in(name, session.space[name])


def _other_arrays(session: State) -> Iterator[tuple[str, Any]]:
    """Gradients that the user keeps, and those inside the graph."""
    for name, handed in session.arrays.items():
        if handed.kept:
            yield name, session.space[name]
    for name, pair in session.pairs.items():
        if not pair.tensor.is_leaf and session.space[name].has_grad:
            yield pair.gradient_name, session.space[name].grad


def _share(a: Any, b: Any) -> bool:
    """Whether two arrays overlap. What is no array, as a wrong engine may give it, another law names."""
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.may_share_memory(a, b)


def _all_seen(session: State) -> Iterator[_Seen]:
    for name, pair in session.pairs.items():
        if pair.stale:
            continue
        value: Value = session.space[name]
        yield _Seen(pair.value_name, Kind.FORWARD, value.data, pair.tensor)
        gradient = value.grad if value.has_grad else None
        yield _Seen(pair.gradient_name, Kind.GRADIENT, gradient, pair.gradient)
    for name, pair_of_two in session.optimizers.items():
        yield from _states(name, session.space[name], pair_of_two)


def _states(name: str, mine: Any, theirs: OptimizerPair) -> Iterator[_Seen]:
    """An optimizer's state, parameter by parameter. Steps are counted in whole numbers here, and in floats there."""
    if len(mine.params) != len(theirs.params):
        says = f"moves {len(mine.params)} parameters, but must move {len(theirs.params)}"
        raise Wrong(Finding(Kind.MISSING, name, says))
    for i, (state, wanted) in enumerate(zip(mine.state, theirs.states(), strict=True)):
        part = f"{name}.state[{i}]"
        if state.keys() != wanted.keys():
            raise Wrong(Finding(Kind.MISSING, part, f"has {sorted(state)}, but must have {sorted(wanted)}"))
        steps, steps_wanted = int(state.get("step", 0)), int(wanted.get("step", 0))
        if steps != steps_wanted:
            raise Wrong(Finding(Kind.FORWARD, f"{part}['step']", f"is {steps}, but must be {steps_wanted}"))
        for entry, tensor in wanted.items():
            if entry != "step":
                yield _Seen(f"{part}[{entry!r}]", Kind.FORWARD, state[entry], tensor)


def _bits(x: Any) -> Any:
    """An array or a tensor to the last bit, with its dtype and shape; of what is neither, what it shows."""
    array = x.detach().numpy() if isinstance(x, Tensor) else x
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
    once, twice = (dict(_all_bits(session, space)) for space in (session.space, again))
    for name, bits in once.items():
        if twice.get(name) != bits:
            raise Wrong(Finding(Kind.NON_DETERMINISTIC, name, "differs from one run of these lines to the next"))


def _all_bits(session: State, space: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, pair in session.pairs.items():
        value = space.get(name)
        if isinstance(value, Value):
            yield pair.value_name, _bits(value.data)
            yield pair.gradient_name, _bits(value.grad) if value.has_grad else None
    for name in session.arrays:
        yield name, contents(space.get(name))
    for name in session.optimizers:
        for i, state in enumerate(getattr(space.get(name), "state", ())):
            yield f"{name}.state[{i}]", contents(state)


def check_freed(session: State, reachable: Sequence[Pair]) -> None:
    """What no name and no graph leads to is freed, without the help of the cyclic collector.

    Raises:
        Wrong: something is still held.
    """
    held = {id(pair) for root in reachable for pair in root.made_of()}
    for pair in session.every:
        if id(pair) not in held and pair.value() is not None:
            raise Wrong(Finding(Kind.LEAK, pair.name, "is still held, though no name and no graph leads to it"))
    session.every = [pair for pair in session.every if id(pair) in held]
