"""A session: the engine's lines so far, and the same calls in the reference.

The engine's side consists of lines of Python. They are run exactly as they are printed, in a namespace of their own.
The reference's side consists of its own values. The laws compare both.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from string import ascii_lowercase
from typing import Any

import numpy as np

from reference.checks.sessions.execution import Line, execute
from reference.checks.sessions.laws import Laws, check_freed, check_repeated
from reference.checks.sessions.pairs import OptimizerPair, Pair
from reference.checks.sessions.spelling import literal
from reference.checks.sessions.state import Computed, State, UsersArray, Wrong, contents
from reference.engines import Noise
from reference.engines.lines import Lines
from reference.engines.speaker import Speaker
from reference.engines.stateful import StatefulReference
from reference.ops import OPS
from reference.verdict import Finding, Kind


class Session(State):
    """Calls on shared state, made on both sides.

    Args:
        speaker: the engine.
        reference: a new reference.
        careful: whether the session runs in a mode in which the engine notices writes by subscript, if it has one.

    Attributes:
        repeats: whether the engine allows a second backward pass over one graph. Otherwise a pass uses the graph up.
    """

    def __init__(self, speaker: Speaker, reference: StatefulReference, *, careful: bool = False) -> None:
        super().__init__(speaker, reference, speaker.space())
        self.careful = careful and bool(speaker.lines.careful)
        self.laws = Laws()
        self.repeats = True
        self.saved: dict[str, tuple[OptimizerPair, Any]] = {}
        self._lines: list[Line] = []
        self._letters = 0
        if self.careful:
            self.do(speaker.lines.careful)

    @property
    def text(self) -> str:
        """All lines so far, as a program that can be run."""
        header = [self.speaker.header] if self.speaker.header else []
        return "\n".join([*header, *map(str, self._lines)]) + "\n"

    @property
    def lines(self) -> Lines:
        """The templates of the engine's statements."""
        return self.speaker.lines

    @cached_property
    def tickets(self) -> tuple[str, ...]:
        """One ticket for each op that both sides know, each spelling of it and each operand's place."""
        known = set(self.speaker.ops) & set(self.reference.ops)
        chosen = [op for name, op in OPS.items() if name in known]
        return tuple(f"{op.name} {i}" for op in chosen for i in range(len(self.speaker.ways(op)) * op.inputs.slots))

    def check(self) -> None:
        """Check all laws."""
        self.laws.check(self)

    # Lines.

    def do(self, text: str) -> None:
        """Run a line, which must not raise."""
        self._run(text, None)

    def refuse(self, text: str, kind: type[Exception], why: str) -> None:
        """Run a line that must raise an error of this kind."""
        if self._run(text, kind):
            raise Wrong(Finding(Kind.RAISED, _last(text), f"was accepted, but must be refused: {why}"))

    def try_line(self, text: str, kind: type[Exception]) -> bool:
        """Run a line that may raise an error of this kind; return whether it did not."""
        return self._run(text, kind)

    def _run(self, text: str, allowed: type[Exception] | None) -> bool:
        line = Line(text, compile(text, "<session>", "exec"))
        self._lines.append(line)
        raising = execute(line.code, self.space)
        if raising is None:
            return True
        error, place = raising
        if not (allowed and isinstance(error, allowed)):
            raise Wrong(Finding(Kind.RAISED, _last(text), f"raised {type(error).__name__}: {error}"), place=place)
        line.refused = allowed.__name__
        return False

    # Names.

    def letter(self) -> str:
        """Return a new name for a value: a, b, c and so on."""
        turn, place = divmod(self._letters, len(ascii_lowercase))
        self._letters += 1
        return ascii_lowercase[place] + "_" * turn

    def numbered(self, kind: str) -> str:
        """Return a new name for something else: its kind and a number."""
        return f"{kind}{1 + sum(name.startswith(kind) for name in (*self.arrays, *self.optimizers))}"

    def users_array(self, array: np.ndarray, operand: Any = None) -> str:
        """Assign an array of the user's to a new name and return it. `operand` is the reference's value, if any."""
        name = self.numbered("n")
        self.do(f"{name} = {literal(array)}")
        self.arrays[name] = UsersArray(contents(self.space[name]), operand)
        return name

    def keep(self, name: str, text: str, *, is_gradient: bool = False) -> None:
        """Let the user hold an object of the engine's: a gradient, which may be shared, or a copy."""
        self.do(f"{name} = {text}")
        self.arrays[name] = UsersArray(contents(self.space[name]), is_gradient=is_gradient)

    def pair(self, name: str, theirs: Any, operands: Sequence[Pair] = (), *, single: bool = False) -> Pair:
        """Pair the value that a line has assigned with the reference's value of the same operands."""
        value = self.space[name]
        if not self.speaker.is_value(value):
            says = f"is of type {type(value).__name__}, not a Value: the graph ends here"
            raise Wrong(Finding(Kind.MISSING, name, says))
        held = weakref.ref(value) if self.lines.dropped else lambda: value
        recorded = tuple(operands) if self.reference.wants(theirs) else ()
        pair = Pair(name, self.reference, theirs, held, recorded)
        pair.single = single or pair.numbers.dtype == np.float32 or any(p.single for p in operands)
        self.pairs[name] = pair
        self.every.append(pair)
        return pair

    def forget(self, names: Sequence[str]) -> None:
        """Delete values by name. Those that no name and no graph refers to any more must be freed at once."""
        self.do(self.lines.dropped.format(names=", ".join(names)))
        for name in names:
            del self.pairs[name]
        moved = [p for optimizer in self.optimizers.values() for p in optimizer.params]
        check_freed(self, [*self.pairs.values(), *moved])

    # Writes.

    def is_used(self, pair: Pair) -> bool:
        """Whether a graph that still exists uses it."""
        return any(pair in other.operands and other.value() is not None for other in self.every)

    def overwrite(self, pair: Pair, *, in_place: bool = False) -> None:
        """Tell the reference that a value's numbers are about to change; if in place, those of its views as well."""
        self.reference.overwrite(pair.theirs)
        pair.rewritten = pair.is_result
        for view in self._views_of(pair) if in_place else ():
            view.stale = True
            self.reference.overwrite(view.theirs)

    def _views_of(self, pair: Pair) -> list[Pair]:
        data = self.speaker.data(self.space[pair.name])
        others = [(other, other.value()) for other in self.every if other is not pair]
        return [p for p, value in others if value is not None and np.shares_memory(self.speaker.data(value), data)]

    # The backward pass.

    def backward(self, root: Pair, given: str, cotangent: np.ndarray, form: str = "{}") -> None:
        """Run backward from one value. The cotangent is given as text and as an array."""
        line = self.lines.backward.format(root=root.name, given=given, then=f", {given}" if given else "")
        self.run_backward([(root, cotangent)], form.format(line))

    def run_backward(
        self, roots: Sequence[tuple[Pair, np.ndarray]], line: str, within: AbstractContextManager[None] | None = None
    ) -> None:
        """Run backward from one or several values, on both sides.

        If the pass needs overwritten numbers, the engine may refuse, or give the gradient at the former numbers.

        Args:
            roots: the values to start from, each with its cotangent for the reference. Each requires a gradient.
            line: the engine's line.
            within: a context that the line runs in.
        """
        reached = dict.fromkeys(p for root, _ in roots for p in root.ancestors())  # each once
        towards = [p for p in reached if p.requires_grad]
        values = [p.theirs for p in towards]
        starts = [(root.theirs, cotangent) for root, cotangent in roots]
        arriving = self.reference.gradients(starts, values)
        may_refuse = self.reference.read_overwritten or any(p.rewritten for p in towards)
        with within or nullcontext():
            if not self._run(line, self.speaker.refuses if may_refuse else None):
                return
        if not self.repeats:
            self._spend({id(p) for p in towards if p.is_result})
        before = [None if p.is_result else p.gradient for p in towards]
        for pair, gradient in zip(towards, arriving, strict=True):
            pair.accumulate(gradient)

        def again(noise: Noise) -> dict[str, np.ndarray]:
            disturbed = self.reference.gradients(starts, values, noise)
            return {
                p.gradient_name: np.asarray(g if old is None else old + g)
                for p, g, old in zip(towards, disturbed, before, strict=True)
                if g is not None
            }

        names = frozenset(p.gradient_name for p in towards)
        self.computed = Computed(again, names, any(p.single for p in (*(root for root, _ in roots), *towards)))

    def _spend(self, passed: set[int]) -> None:
        """Mark all values whose graph includes one of the passed nodes."""
        for pair in self.every:
            pair.spent |= any(id(p) in passed for p in pair.ancestors())

    # The end.

    def close(self) -> None:
        """Check that a second run of all lines gives the same bits, and that everything is freed.

        Raises:
            Wrong: the bits differ, or something is still held.
        """
        again = self.speaker.space()
        for line in self._lines:
            execute(line.code, again)
        try:
            check_repeated(self, again)
        finally:
            again.clear()
            self.leave()
        if self.lines.dropped:
            check_freed(self, [])

    def leave(self) -> None:
        """Release everything."""
        self.space.clear()
        self.computed = Computed()


def _last(text: str) -> str:
    return text.rpartition("\n")[-1].strip()
