"""PyTorch as an engine and the main reference. It also runs programs disturbed or in another precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from reference.engines.protocol import Abilities, Noise, Outcome
from reference.engines.torch.disturbance import Disturbance
from reference.engines.torch.library import TorchLibrary
from reference.engines.torch.ops import KNOWN, Mirror, mirror
from reference.engines.torch.promotion import cast
from reference.engines.torch.stateful import TorchStateful
from reference.engines.torch.threads import one_thread
from reference.engines.torch.training import TorchTrainer
from reference.ops import OPS, Op
from reference.programs import LEAF, NUMBER, Program
from reference.programs.task import Task

Tensor = torch.Tensor


@cache
def _name() -> str:
    return f"PyTorch {version('torch').partition('+')[0]}"


class TorchEngine:
    """PyTorch's eager autograd on the CPU.

    Args:
        mirrors: PyTorch's function for each supported op; by default for all ops of the table that PyTorch has,
            including rows that are added later.
    """

    abilities = Abilities(second_order=True, disturb=True, precision=True, path=True, inner=True)
    known = KNOWN
    conventions: frozenset[str] = frozenset()  # the rows follow PyTorch

    def __init__(self, mirrors: Mapping[str, Mirror] | None = None) -> None:
        self._mirrors = mirrors

    @property
    def name(self) -> str:
        """Its name in reports, with its version."""
        return _name()

    @property
    def ops(self) -> Sequence[str]:
        """The names of the supported ops."""
        return tuple(op.name for op in OPS.values() if _has(op)) if self._mirrors is None else tuple(self._mirrors)

    def stateful(self) -> TorchStateful:
        """Make its side of a session."""
        return TorchStateful()

    def trainer(self, task: Task, start: Mapping[str, np.ndarray]) -> TorchTrainer:
        """Make its side of a training run that starts from these parameters."""
        return TorchTrainer(task, start)

    def library(self) -> TorchLibrary:
        """Return its losses and initial weights."""
        return TorchLibrary()

    def begin(self) -> None:
        """Set PyTorch to one thread: on small arrays, several threads would only wait for each other."""
        one_thread()

    def _mirror(self, op: str) -> Mirror:
        return mirror(OPS[op]) if self._mirrors is None else self._mirrors[op]

    def run(
        self,
        program: Program,
        *,
        noise: Noise | None = None,
        precision: str | None = None,
        path: Sequence[Any] | None = None,
        inner: bool = False,
    ) -> Outcome:
        """Run a program.

        Args:
            program: the program.
            noise: a disturbance.
            precision: `float32` or `float64` for the whole computation; by default that of the operands.
            path: another engine's values of the steps, from which later steps continue.
            inner: whether to return the gradients of the steps' values, too.
        """
        dtype = None if precision is None else getattr(torch, precision)
        disturbance = None if noise is None else Disturbance(noise)
        values: list[Any] = []
        steps: list[Any] = []
        try:
            values += [_tensor(o, dtype) for o in program.operands]
            leaves = [v for v, o in zip(values, program.operands, strict=True) if o.kind == LEAF]
            for step in program.steps:
                inputs = cast([values[i] for i in step.inputs], dtype)
                options = step.options
                if dtype is not None and "dtype" in options:
                    options = {**options, "dtype": precision}
                value = self._applied(step.op, inputs, options, disturbance)
                values.append(value if path is None else _replaced(value, path[len(steps)]))
                steps.append(value.detach().numpy())
            if program.cotangent is None:
                return Outcome(tuple(steps))
            with disturbance.on_saved() if disturbance else nullcontext():
                outcome = self._back(program, values[-1], leaves, tuple(steps))
                return replace(outcome, inner=self._inner(program, values)) if inner else outcome
        except Exception as error:  # noqa: BLE001 - any error is the reference's answer
            return Outcome(tuple(steps), error=error)

    def again(self, program: Program) -> Outcome:
        """Run a program again."""
        return self.run(program)

    def _applied(
        self, op: str, inputs: list[Tensor], options: Mapping[str, Any], disturbance: Disturbance | None
    ) -> Tensor:
        """Apply one op. One that only selects is not disturbed: it does not round, and would select other numbers."""
        function = self._mirror(op)
        if disturbance is None or OPS[op].selects:
            return function(*inputs, **options)
        logarithms = OPS[op].logarithmic
        with disturbance.on_saved(logarithms=logarithms):
            return function(*(disturbance.on(x, logarithms=logarithms) for x in inputs), **options)

    def _back(self, program: Program, result: Tensor, leaves: list[Tensor], steps: tuple[np.ndarray, ...]) -> Outcome:
        """Run the backward passes.

        First-order gradients come from an ordinary pass, for one with `create_graph` may use other formulas.
        """
        cotangent = torch.tensor(np.array(program.cotangent)).to(result.dtype)

        def gradients(*, recorded: bool) -> tuple[Tensor | None, ...]:
            return torch.autograd.grad(
                result, leaves, cotangent, retain_graph=True, create_graph=recorded, allow_unused=True
            )

        second: tuple[Any, ...] = ()
        if program.directions:
            terms = [
                (g * torch.tensor(np.array(d)).to(g.dtype)).sum()
                for g, d in zip(gradients(recorded=True), program.directions, strict=True)
                if g is not None
            ]
            second = self._second(terms, leaves)
        first = gradients(recorded=False)
        return Outcome(steps, tuple(map(_array, first)), tuple(map(_array, second)))

    def _inner(self, program: Program, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return the gradients of the steps' values; None if the result does not depend on one."""
        cotangent = torch.tensor(np.array(program.cotangent)).to(values[-1].dtype)
        steps = [v for v in values[len(program.operands) :] if v.requires_grad]
        found = iter(torch.autograd.grad(values[-1], steps, cotangent, retain_graph=True, allow_unused=True))
        return tuple(_array(next(found)) if v.requires_grad else None for v in values[len(program.operands) :])

    def _second(self, terms: list[Tensor], leaves: list[Tensor]) -> tuple[Any, ...]:
        along = sum(t for t in terms if t.requires_grad)
        if not isinstance(along, Tensor):
            return (None,) * len(leaves)
        return torch.autograd.grad(along, leaves, retain_graph=True, allow_unused=True)


def _has(op: Op) -> bool:
    try:
        mirror(op)
    except LookupError:
        return False
    return True


class _Replace(torch.autograd.Function):
    """Replace a tensor's value for all later steps. The backward pass is the identity."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, value: Tensor) -> Tensor:  # noqa: ARG004 - nothing is saved
        """Return the other value in the tensor's precision."""
        if value.shape != tensor.shape:
            raise ValueError(f"the step's value has shape {tuple(tensor.shape)}, but the path has {tuple(value.shape)}")
        return value.to(tensor.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        """Return the cotangent unchanged."""
        return g, None


def _replaced(tensor: Tensor, value: Any) -> Tensor:
    replaced: Tensor = _Replace.apply(tensor, torch.tensor(np.array(value)))  # type: ignore[no-untyped-call]
    return replaced


def _tensor(operand: Any, dtype: torch.dtype | None) -> Any:
    if operand.kind == NUMBER:
        return operand.array
    tensor = torch.from_numpy(np.array(operand.data, order="C"))
    if dtype is not None and tensor.is_floating_point():
        tensor = tensor.to(dtype)
    return tensor.requires_grad_(operand.kind == LEAF)


def _array(gradient: Tensor | None) -> np.ndarray | None:
    return (
        None if gradient is None else gradient.detach().clone().numpy()
    )  # a copy, for PyTorch expands some zeros without storing them
