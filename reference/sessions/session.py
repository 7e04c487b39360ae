"""A session: what ndgrad did so far, line by line, and what PyTorch did beside it.

ndgrad's side is lines of Python. They run as they are printed, in a namespace of their own, so what a report shows is
what was done. PyTorch's side is tensors. The laws look at both.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from string import ascii_lowercase
from types import CodeType
from typing import Any

import numpy as np
import torch

from ndgrad.engine import Value
from reference.engines.torch import Disturbance
from reference.sessions.laws import Laws, check_freed, check_repeated
from reference.sessions.mirror import Graph, OptimizerPair, Pair, Tensor
from reference.sessions.spelling import literal
from reference.sessions.state import Computed, Handed, State, Wrong, contents
from reference.verdict import Finding, Kind

HEADER = """\
import copy, pickle
from contextlib import suppress

import numpy as np

import ndgrad
from ndgrad import Value, enable_grad, no_grad
from ndgrad.optim import SGD, Adam, AdamW, RMSprop
"""
# A whole session under a mode: a `with` around all of it would indent all of it.
CAREFUL = "checking = ndgrad.check_writes()\nchecking.__enter__()"

_NAMESPACE: dict[str, Any] = {}
exec(HEADER, _NAMESPACE)  # noqa: S102 - imports, as every session begins with them


@dataclass
class _Line:
    """A line that was run, and what it was refused with; empty if it was not."""

    text: str
    code: CodeType
    refused: str = ""

    def __str__(self) -> str:
        indented = self.text.replace("\n", "\n    ")
        return f"with suppress({self.refused}):\n    {indented}" if self.refused else self.text


class Session(State):
    """Calls on shared state, made on both sides.

    Args:
        careful: whether all of it is under `check_writes()`, so that writes by subscript are allowed at any time.
    """

    def __init__(self, *, careful: bool = False) -> None:
        super().__init__(dict(_NAMESPACE))
        self.careful = careful
        self.graph = Graph()
        self.laws = Laws()
        self.saved: dict[str, tuple[OptimizerPair, Any]] = {}
        self._lines: list[_Line] = []
        self._letters = 0
        if careful:
            self.do(CAREFUL)

    @property
    def text(self) -> str:
        """All lines so far, to be run by whoever wants to see for themselves."""
        return "\n".join([HEADER, *map(str, self._lines)]) + "\n"

    def check(self) -> None:
        """See that all laws hold."""
        self.laws.check(self)

    # Lines.

    def do(self, text: str) -> None:
        """Run a line, which must not be refused."""
        self._run(text, None)

    def refuse(self, text: str, kind: type[Exception], why: str) -> None:
        """Run a line that must be refused, with an error of this kind."""
        if self._run(text, kind):
            raise Wrong(Finding(Kind.RAISED, _last(text), f"was accepted, but must be refused: {why}"))

    def attempt(self, text: str, kind: type[Exception]) -> bool:
        """Run a line that may be refused; say whether it was not."""
        return self._run(text, kind)

    def _run(self, text: str, allowed: type[Exception] | None) -> bool:
        line = _Line(text, compile(text, "<session>", "exec"))
        self._lines.append(line)
        error = _executed(line.code, self.space)
        if error is not None and not (allowed and isinstance(error, allowed)):
            raise Wrong(Finding(Kind.RAISED, _last(text), f"raised {type(error).__name__}: {error}"))
        if error is not None and allowed:
            line.refused = allowed.__name__
        return error is None

    # Names.

    def letter(self) -> str:
        """A new name for a Value: a, b, c and so on."""
        turn, place = divmod(self._letters, len(ascii_lowercase))
        self._letters += 1
        return ascii_lowercase[place] + "_" * turn

    def numbered(self, kind: str) -> str:
        """A new name for something else: its kind, and a number."""
        return f"{kind}{1 + sum(name.startswith(kind) for name in (*self.arrays, *self.optimizers))}"

    def hand(self, array: np.ndarray, operand: Tensor | None = None) -> str:
        """Make an array of the user's, and give its name. An operand has a tensor beside it."""
        name = self.numbered("n")
        self.do(f"{name} = {literal(array)}")
        self.arrays[name] = Handed(contents(self.space[name]), operand)
        return name

    def keep(self, name: str, text: str, *, shared: bool = False) -> None:
        """Let the user keep what the engine gives: a gradient, which is shared, or something of the user's own."""
        self.do(f"{name} = {text}")
        self.arrays[name] = Handed(contents(self.space[name]), kept=shared)

    def pair(self, name: str, tensor: Tensor, operands: Sequence[Pair] = (), *, single: bool = False) -> Pair:
        """Note that a line has made a Value, and that PyTorch has made this of the same operands."""
        value = self.space[name]
        if not isinstance(value, Value):
            says = f"is of type {type(value).__name__}, and no Value: the graph ends here"
            raise Wrong(Finding(Kind.MISSING, name, says))
        recorded = tuple(operands) if tensor.requires_grad else ()
        single = single or tensor.dtype == torch.float32 or any(p.single for p in operands)
        self.pairs[name] = Pair(name, tensor, weakref.ref(value), recorded, single)
        self.every.append(self.pairs[name])
        return self.pairs[name]

    def forget(self, names: Sequence[str]) -> None:
        """Delete Values by name. What no other name leads to must be freed at once: nothing but the graph holds it."""
        self.do(f"del {', '.join(names)}")
        for name in names:
            del self.pairs[name]
        moved = [p for optimizer in self.optimizers.values() for p in optimizer.params]
        check_freed(self, [*self.pairs.values(), *moved])

    # Writes.

    def is_used(self, pair: Pair) -> bool:
        """Whether a graph that is still there was made of it."""
        return any(pair in other.operands and other.value() is not None for other in self.every)

    def overwrite(self, pair: Pair, *, in_place: bool = False) -> None:
        """Tell PyTorch's graph that a Value's numbers are about to change; in place, those of all its views as well."""
        self.graph.overwrite(pair.tensor)
        pair.rewritten = not pair.tensor.is_leaf
        for view in self._views_of(pair) if in_place else ():
            view.stale = True
            self.graph.overwrite(view.tensor)

    def _views_of(self, pair: Pair) -> list[Pair]:
        data = self.space[pair.name].data
        others = [(other, other.value()) for other in self.every if other is not pair]
        return [other for other, value in others if value is not None and np.shares_memory(value.data, data)]

    # The pass back.

    def pass_back(
        self, roots: Sequence[tuple[Pair, Tensor]], line: str, within: AbstractContextManager[None] | None = None
    ) -> None:
        """Pass back from one value or several, on both sides.

        Where it reads what was overwritten, ndgrad may refuse, or give the gradient of the numbers that there were.

        Args:
            roots: where to start, each with its cotangent for PyTorch. Each requires a gradient.
            line: ndgrad's half of it.
            within: a context that the line runs in.
        """
        reached = dict.fromkeys(p for root, _ in roots for p in root.made_of())  # each once
        towards = [p for p in reached if p.tensor.requires_grad]
        tensors = [p.tensor for p in towards]
        starts = [(root.tensor, cotangent) for root, cotangent in roots]
        arriving = self.graph.pass_back(starts, tensors)
        may_refuse = self.graph.read_overwritten or any(p.rewritten for p in towards)
        with within or nullcontext():
            if not self._run(line, RuntimeError if may_refuse else None):
                return
        before = [p.tensor.grad if p.tensor.is_leaf else None for p in towards]
        for pair, gradient in zip(towards, arriving, strict=True):
            pair.arrived(gradient)

        def again(disturbance: Disturbance) -> dict[str, np.ndarray]:
            disturbed = self.graph.pass_back(starts, tensors, disturbance)
            return {
                p.gradient_name: np.array((g if old is None else old + g).numpy())
                for p, g, old in zip(towards, disturbed, before, strict=True)
                if g is not None
            }

        names = frozenset(p.gradient_name for p in towards)
        self.computed = Computed(again, names, any(p.single for p in (*(root for root, _ in roots), *towards)))

    # The end.

    def close(self) -> None:
        """Run all lines once more, which must give the same bits; and see that everything is freed.

        Raises:
            Wrong: it does not, or something is still held.
        """
        again = dict(_NAMESPACE)
        for line in self._lines:
            _executed(line.code, again)
        try:
            check_repeated(self, again)
        finally:
            again.clear()
            self.leave()
        check_freed(self, [])

    def leave(self) -> None:
        """Let go of everything."""
        self.space.clear()
        self.computed = Computed()


def _executed(code: CodeType, space: dict[str, Any]) -> Exception | None:
    """Run a line. What it raised is given without its traceback, which would hold on to what the line used."""
    try:
        with np.errstate(all="ignore"):
            exec(code, space)  # noqa: S102 - lines that were written here
    except Exception as error:  # noqa: BLE001 - whatever it raises is what was found
        return error.with_traceback(None)
    return None


def _last(text: str) -> str:
    return text.rpartition("\n")[-1].strip()
