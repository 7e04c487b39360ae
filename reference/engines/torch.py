"""PyTorch behind the engine protocol: the reference. Also the same program disturbed, or in double precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from reference.catalog import CATALOG, Row
from reference.engines.protocol import Outcome
from reference.program import LEAF, NUMBER, Program

Tensor = torch.Tensor
_AS_WRITTEN = dict(CATALOG)  # another process has the same: rows that were put in later travel there, others do not


def one_thread() -> None:
    """Let PyTorch compute in one thread: on small arrays more would only wait for each other."""
    torch.set_num_threads(1)


@contextmanager
def in_one_thread() -> Iterator[None]:
    """The same for a while; whoever called may want their threads again."""
    before = torch.get_num_threads()
    one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Noise:
    """Disturbs each operand as it is used, and each number that is kept for the way back, by a factor 1 ± size.

    The signs are independent for each element and each use. How far results move, divided by `size`, is how much they
    magnify rounding: the condition of the computation, forward and backward. What is kept for the way back is disturbed
    too, for a formula such as 1 - tanh² magnifies the rounding of the result that it reads.

    Args:
        size: the relative disturbance.
        seed: of the signs.
    """

    def __init__(self, size: float, seed: int) -> None:
        self.size = size
        self._signs = torch.Generator().manual_seed(seed)
        self._logarithms: dict[int, Tensor] = {}  # that are kept, by the memory that they are in

    def on(self, x: Tensor, *, logarithms: bool = False) -> Tensor:
        """Disturb a tensor, and what comes back to it; logarithms by adding to them as well."""
        if not x.is_floating_point():
            return x
        moved = x * self._signed(x, 1.0)
        return moved + self._signed(x, 0.0) if logarithms else moved

    def _signed(self, x: Tensor, around: float) -> Tensor:
        """A number, more or less the disturbance: either, by chance. With powers of 2 no digit of it is lost."""
        either = torch.randint(0, 2, x.shape, generator=self._signs, dtype=x.dtype)
        return either.mul_(2 * self.size).add_(around - self.size)

    @contextmanager
    def kept(self, *, logarithms: bool = False) -> Iterator[None]:
        """Disturb what is kept for the way back by the ops within; logarithms by adding to them as well.

        A way back that records keeps them again, for one of its own: there they are known by their memory.
        """

        def disturbed(x: Tensor) -> Tensor:
            logarithm = logarithms or x.data_ptr() in self._logarithms
            moved = self.on(x.detach(), logarithms=logarithm)
            if logarithm:
                self._logarithms[moved.data_ptr()] = moved
            return moved

        with torch.autograd.graph.saved_tensors_hooks(disturbed, lambda x: x):
            yield


class TorchEngine:
    """PyTorch's eager autograd on the CPU, by way of the catalogue's mirrors.

    Args:
        catalog: the rows; the whole catalogue by default.
    """

    second_order = True
    name = f"PyTorch {torch.__version__.partition('+')[0]}"

    def __init__(self, catalog: Mapping[str, Row] = CATALOG) -> None:
        self._catalog = catalog

    def __getstate__(self) -> dict[str, Any]:
        rows = {op: None if row is _AS_WRITTEN.get(op) else row for op, row in self._catalog.items()}
        return {**vars(self), "_catalog": rows}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._catalog = {op: CATALOG[op] if row is None else row for op, row in state["_catalog"].items()}

    @property
    def catalog(self) -> Mapping[str, Row]:
        """The rows."""
        return self._catalog

    @property
    def ops(self) -> Sequence[str]:
        """Every row."""
        return tuple(self._catalog)

    def run(
        self,
        program: Program,
        noise: Noise | None = None,
        wide: bool | None = None,  # noqa: FBT001 - the three are given by place, as the verdict asks
        path: Sequence[Any] | None = None,
        *,
        inner: bool = False,
    ) -> Outcome:
        """Run a program.

        Args:
            program: what to run.
            noise: what disturbs it.
            wide: compute everything in double (True) or in single precision (False); by default as the operands are.
            path: values of the steps that another engine found: each step goes on from these in place of its own.
            inner: whether the gradients of the steps are wanted, too.
        """
        dtype = {None: None, True: torch.float64, False: torch.float32}[wide]
        values: list[Any] = []
        steps: list[Any] = []
        try:
            values += [_tensor(o, dtype) for o in program.operands]
            leaves = [v for v, o in zip(values, program.operands, strict=True) if o.kind == LEAF]
            for step in program.steps:
                row = self._catalog[step.op]
                inputs = _cast([values[i] for i in step.inputs], dtype)
                options = step.options
                if dtype is not None and "dtype" in options:
                    options = {**options, "dtype": str(dtype)[6:]}
                value = self._applied(row, inputs, options, noise)
                values.append(value if path is None else _instead(value, path[len(steps)]))
                steps.append(value.detach().numpy())
            if program.cotangent is None:
                return Outcome(tuple(steps))
            with noise.kept() if noise else nullcontext():
                outcome = self._back(program, values[-1], leaves, tuple(steps))
                return replace(outcome, inner=self._inner(program, values)) if inner else outcome
        except Exception as error:  # noqa: BLE001 - whatever the reference raises is what it answers
            return Outcome(tuple(steps), error=error)

    def again(self, program: Program) -> Outcome:
        """Run a program once more."""
        return self.run(program)

    def _applied(self, row: Row, inputs: list[Tensor], options: Mapping[str, Any], noise: Noise | None) -> Tensor:
        """One step. An op that only selects does not round, and disturbed it would select otherwise."""
        if noise is None or row.selects:
            return row.mirror(*inputs, **options)
        with noise.kept(logarithms=row.logarithmic):
            return row.mirror(*(noise.on(x, logarithms=row.logarithmic) for x in inputs), **options)

    def _back(self, program: Program, result: Tensor, leaves: list[Tensor], steps: tuple[np.ndarray, ...]) -> Outcome:
        cotangent = torch.tensor(np.array(program.cotangent)).to(result.dtype)
        first = torch.autograd.grad(
            result, leaves, cotangent, retain_graph=True, create_graph=bool(program.directions), allow_unused=True
        )
        second: tuple[Any, ...] = ()
        if program.directions:
            terms = [
                (g * torch.tensor(np.array(d)).to(g.dtype)).sum()
                for g, d in zip(first, program.directions, strict=True)
                if g is not None
            ]
            second = self._second(terms, leaves)
        return Outcome(steps, tuple(map(_array, first)), tuple(map(_array, second)))

    def _inner(self, program: Program, values: Sequence[Any]) -> tuple[Any, ...]:
        """The gradients of the steps' values; None where the result does not depend on one."""
        cotangent = torch.tensor(np.array(program.cotangent)).to(values[-1].dtype)
        steps = [v for v in values[len(program.operands) :] if v.requires_grad]
        found = iter(torch.autograd.grad(values[-1], steps, cotangent, retain_graph=True, allow_unused=True))
        return tuple(_array(next(found)) if v.requires_grad else None for v in values[len(program.operands) :])

    def _second(self, terms: list[Tensor], leaves: list[Tensor]) -> tuple[Any, ...]:
        along = sum(t for t in terms if t.requires_grad)
        if not isinstance(along, Tensor):
            return (None,) * len(leaves)
        return torch.autograd.grad(along, leaves, retain_graph=True, allow_unused=True)


class _Instead(torch.autograd.Function):
    """Another value in a tensor's place: what is computed from it is computed from that, and gradients pass through."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, value: Tensor) -> Tensor:  # noqa: ARG004 - nothing is kept
        """Give the other value, in the tensor's precision."""
        if value.shape != tensor.shape:
            raise ValueError(f"the step gives shape {tuple(tensor.shape)}, not {tuple(value.shape)}")
        return value.to(tensor.dtype)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        """Pass the cotangent through."""
        return g, None


def _instead(tensor: Tensor, value: Any) -> Tensor:
    replaced: Tensor = _Instead.apply(tensor, torch.tensor(np.array(value)))  # type: ignore[no-untyped-call]
    return replaced


def _cast(inputs: Sequence[Any], dtype: torch.dtype | None) -> list[Tensor]:
    """NumPy's promotion: the widest floating dtype; integers, booleans and Python numbers take it."""
    if dtype is None:
        floats = {x.dtype for x in inputs if isinstance(x, Tensor) and x.is_floating_point()}
        dtype = floats.pop() if len(floats) == 1 else max(floats, key=lambda d: d.itemsize, default=torch.float64)
    return [_as(x, dtype) for x in inputs]


def _as(x: Any, dtype: torch.dtype) -> Tensor:
    if not isinstance(x, Tensor):
        return torch.tensor(x, dtype=dtype)
    return x if x.dtype is dtype else x.to(dtype)


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
    )  # a copy, for PyTorch does not store some zeros
