"""PyTorch behind the engine protocol: the reference. Also the same program disturbed, or in double precision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

from reference.catalog import CATALOG, Row
from reference.engines.protocol import Outcome
from reference.program import LEAF, NUMBER, Program, Step

Tensor = torch.Tensor


def one_thread() -> None:
    """Let PyTorch compute in one thread: on small arrays more would only wait for each other."""
    torch.set_num_threads(1)


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

    def on(self, x: Tensor, *, logarithms: bool = False) -> Tensor:
        """Disturb a tensor, and what comes back to it; logarithms by adding to them as well."""
        if not x.is_floating_point():
            return x
        moved = x * (1 + self._signed(x))
        return moved + self._signed(x) if logarithms else moved

    def _signed(self, x: Tensor) -> Tensor:
        signs = torch.randint(0, 2, x.shape, generator=self._signs) * 2 - 1
        return self.size * signs.to(x.dtype)

    @contextmanager
    def kept(self, *, logarithms: bool = False) -> Iterator[None]:
        """Disturb what is kept for the way back by the ops within; logarithms by adding to them as well."""

        def disturbed(x: Tensor) -> Tensor:
            return self.on(x.detach(), logarithms=logarithms)

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

    @property
    def ops(self) -> Sequence[str]:
        """Every row."""
        return tuple(self._catalog)

    def run(self, program: Program, noise: Noise | None = None, wide: bool | None = None) -> Outcome:  # noqa: FBT001
        """Run a program.

        Args:
            program: what to run.
            noise: what disturbs it.
            wide: compute everything in double (True) or in single precision (False); by default as the operands are.
        """
        dtype = {None: None, True: torch.float64, False: torch.float32}[wide]
        values: list[Any] = []
        try:
            values += [_tensor(o, dtype) for o in program.operands]
            leaves = [v for v, o in zip(values, program.operands, strict=True) if o.kind == LEAF]
            for step in program.steps:
                row = self._catalog[step.op]
                inputs = self._cast([values[i] for i in step.inputs], dtype)
                options = {**step.options, **({"dtype": str(dtype)[6:]} if dtype and "dtype" in step.options else {})}
                values.append(self._applied(row, inputs, options, noise))
            steps = tuple(v.detach().numpy() for v in values[len(program.operands) :])
            if program.cotangent is None:
                return Outcome(steps)
            with noise.kept() if noise else nullcontext():
                return self._back(program, values[-1], leaves, steps)
        except Exception as error:  # noqa: BLE001 - whatever the reference raises is what it answers
            return Outcome(tuple(v.detach().numpy() for v in values[len(program.operands) :]), error=error)

    def undecided(self, program: Program, got: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> int | None:
        """Find the first step with a kink that rounding decided: then either side's slope is right.

        Its operands differ, by no more than rounding, and it has other slopes for an engine's than for its own. Or the
        result is 0, where the kink is, on one side alone.
        """
        given = [np.asarray(o.array) for o in program.operands]
        mine, own = [*given, *got], [*given, *wanted]
        scale = max(float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) for x in own)
        for number, step in enumerate(program.steps):
            if not self._catalog[step.op].kinks or not all(_alike(mine[i], own[i], scale) for i in step.inputs):
                continue
            result = len(given) + number
            if ((mine[result] == 0) != (own[result] == 0)).any():
                return number
            slopes = [self._slopes(step, [values[i] for i in step.inputs]) for values in (mine, own)]
            if any(not np.allclose(a, b, rtol=1e-3, atol=1e-6, equal_nan=True) for a, b in zip(*slopes, strict=True)):
                return number
        return None

    def _slopes(self, step: Step, operands: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The gradients of one step alone, for a cotangent of ones."""
        tensors = [torch.tensor(np.array(o, float), requires_grad=True) for o in operands]
        y = self._catalog[step.op].mirror(*tensors, **step.options)
        gradients = torch.autograd.grad(y, tensors, torch.ones_like(y), allow_unused=True)
        return [np.zeros(()) if g is None else g.numpy() for g in gradients]

    def _cast(self, inputs: list[Any], dtype: torch.dtype | None) -> list[Tensor]:
        """NumPy's promotion: the widest floating dtype; integers, booleans and Python numbers take it."""
        floats = [x.dtype for x in inputs if isinstance(x, Tensor) and x.is_floating_point()]
        wide = dtype or max(floats, key=lambda d: d.itemsize, default=torch.float64)
        return [x.to(wide) if isinstance(x, Tensor) else torch.tensor(x, dtype=wide) for x in inputs]

    def _applied(self, row: Row, inputs: list[Tensor], options: dict[str, Any], noise: Noise | None) -> Tensor:
        """One step. An op that only selects does not round, and disturbed it would select otherwise."""
        if noise is None or row.selects:
            return row.mirror(*inputs, **options)
        with noise.kept(logarithms=row.logarithmic):
            return row.mirror(*(noise.on(x, logarithms=row.logarithmic) for x in inputs), **options)

    def _back(self, program: Program, result: Tensor, leaves: list[Tensor], steps: tuple[np.ndarray, ...]) -> Outcome:
        cotangent = torch.tensor(np.array(program.cotangent)).to(result.dtype)
        first = torch.autograd.grad(result, leaves, cotangent, create_graph=bool(program.directions), allow_unused=True)
        second: tuple[Any, ...] = ()
        if program.directions:
            terms = [
                (g * torch.tensor(np.array(d)).to(g.dtype)).sum()
                for g, d in zip(first, program.directions, strict=True)
                if g is not None
            ]
            second = self._second(terms, leaves)
        return Outcome(steps, tuple(map(_array, first)), tuple(map(_array, second)))

    def _second(self, terms: list[Tensor], leaves: list[Tensor]) -> tuple[Any, ...]:
        along = sum(t for t in terms if t.requires_grad)
        if not isinstance(along, Tensor):
            return (None,) * len(leaves)
        return torch.autograd.grad(along, leaves, allow_unused=True)


def _alike(a: np.ndarray, b: np.ndarray, scale: float) -> bool:
    """Whether two operands differ by no more than rounding, of which single precision has more."""
    near = 1e-4 if np.float32 in (a.dtype, b.dtype) else 1e-9
    return np.allclose(a, b, rtol=near, atol=near * scale, equal_nan=True)


def _tensor(operand: Any, dtype: torch.dtype | None) -> Any:
    if operand.kind == NUMBER:
        return operand.array
    tensor = torch.tensor(np.array(operand.data))
    if dtype is not None and tensor.is_floating_point():
        tensor = tensor.to(dtype)
    return tensor.requires_grad_(operand.kind == LEAF)


def _array(gradient: Tensor | None) -> np.ndarray | None:
    return (
        None if gradient is None else gradient.detach().clone().numpy()
    )  # a copy, for PyTorch does not store some zeros
