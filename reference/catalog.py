"""The other table: what every op must agree with. One row an op; the rest of this package walks it.

A row names the op's mirror in PyTorch: dull, of the same name, and never the formula that an engine implements. Where
PyTorch means something else by the same words, the mirror translates, and says so. The row also says where operands may
lie, with what shapes and options the op is met, and what holds at kinks and ties.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own habit
from numpy.lib.array_utils import normalize_axis_tuple

from reference import exact, plans
from reference.plans import Plan, alone, broadcast, unmated

Tensor: TypeAlias = torch.Tensor


@dataclass(frozen=True)
class Domain:
    """Where an operand may lie.

    Args:
        name: for reports.
        least: the numbers lie above this one.
        numbers: the ordinary ones, the simplest first; short, so that a case can be redone by hand.
        edges: what is met on purpose: zeros of both signs, the domain's ends and beyond them, the tiny and the large.
        nonzero: whether 0 is outside.
        as_numbers: whether these are mostly written as Python numbers, as exponents are.
    """

    name: str
    least: float
    numbers: tuple[float, ...]
    edges: tuple[float, ...]
    nonzero: bool = False
    as_numbers: bool = False

    def holds(self, x: np.ndarray) -> bool:
        """Whether all numbers of an array lie here."""
        return bool((x > self.least).all()) and not (self.nonzero and not x.all())


_EIGHTHS = tuple(itertools.chain((1.0, 2.0, -1.0, 0.5, -2.0, 3.0, -0.5, 1.5), (k / 8 for k in range(-31, 32, 2))))
_EDGES = (0.0, -0.0, 1.0, -1.0, 2.0, 1e-12, -1e-12, 1000.0, -1000.0)

# fmt: off
REAL     = Domain("real",      -math.inf, _EIGHTHS, _EDGES)
FACTORS  = Domain("factors",   -math.inf, (*_EIGHTHS, *[0.0] * 10), _EDGES)  # a product without a 0 is half the story
NONZERO  = Domain("not 0",     -math.inf, _EIGHTHS, _EDGES, nonzero=True)
POSITIVE = Domain("above 0",   0.0,       tuple(x for x in _EIGHTHS if x > 0), _EDGES)
ABOVE_M1 = Domain("above -1",  -1.0,      tuple(x for x in _EIGHTHS if x > -1), (*_EDGES, -1.0))
POWERS   = Domain("exponents", -math.inf, (2.0, 3.0, -1.0, 0.5, 1.0, -2.0, 1.5, 0.25), (0.5, 0.0, 2.0, -1.0, 0.5, 1.0), as_numbers=True)
# fmt: on


@dataclass(frozen=True)
class Row:
    """What is known of an op beside what it computes.

    Args:
        op: its name.
        mirror: the same in PyTorch, `mirror(*tensors, **options)`.
        exact: the same on arrays of exact numbers; no gradient rule is in it.
        lie: where each operand may lie; the last holds for all further ones.
        plan: the shapes and options that it is met with.
        spoilt: shapes and options that NumPy refuses, and so must both sides.
        kinks: which slope is taken at its kinks and ties, where several could be defended.
        settled: whether releases of PyTorch agree on that. Where they do not, any of these slopes will do.
        selects: whether it only chooses among its operands' numbers, and so never rounds.
        finite: whether it is met with finite numbers alone. BLAS may leave out a product by 0, so that 0 times infinity
            is 0 in one library, and NaN in the other.
        logarithmic: whether it takes exponentials of its operand, or of what it keeps for the way back. Those round as if
            something had been added to the logarithm, near 0 as much as far from it.
        deviates: where PyTorch itself is poor, so that an engine may be better than its reference.
    """

    op: str
    mirror: Callable[..., Tensor]
    exact: Callable[..., np.ndarray]
    lie: tuple[Domain, ...]
    plan: Plan
    spoilt: Plan | None = None
    kinks: str = ""
    settled: bool = True
    selects: bool = False
    finite: bool = False
    logarithmic: bool = False
    deviates: str = ""

    def domain(self, position: int) -> Domain:
        """Where the operand at a position may lie."""
        return self.lie[min(position, len(self.lie) - 1)]


# Mirrors, where PyTorch's function is not the op as it stands.


def _dims(x: Tensor, axis: Any) -> tuple[int, ...]:
    """The dims that NumPy means, from 0 on; it refuses those that are not there, and one that is named twice."""
    return tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)


def _none(x: Tensor, axis: Any) -> bool:
    """Whether an axis is named of an array that has none. Many of NumPy's functions take 0 and -1 for one there."""
    return not x.ndim and axis in (0, -1)


def _over(function: Callable[..., Tensor], *, lenient: bool = False) -> Callable[..., Tensor]:
    """A reduction over dims. `dim=()` reduces everything in PyTorch and nothing in NumPy: an axis of 1 stands in.

    Where NumPy's function is a ufunc's, it is `lenient`: of an array without axes it takes 0 and -1 for one.
    """

    def mirror(x: Tensor, *, axis: Any = None, keepdims: bool = False, **options: Any) -> Tensor:
        dims = () if lenient and _none(x, axis) else _dims(x, axis)
        if dims:
            return function(x, dim=dims, keepdim=keepdims, **options)
        return function(x.unsqueeze(-1), dim=(-1,), keepdim=False, **options)

    return mirror


def _prod(x: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """PyTorch multiplies along one dim: the others are brought there, in the order in which NumPy multiplies them."""
    dims = sorted(d % x.ndim for d in dim)
    rest = [d for d in range(x.ndim) if d not in dims]
    y = x.permute(*rest, *dims).flatten(len(rest)).prod(-1)
    return y.reshape([1 if d in dims else n for d, n in enumerate(x.shape)]) if keepdim else y


def _spread(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """PyTorch warns where too few numbers are left, or none at all; that they are met is meant."""

    def mirror(x: Tensor, *, dim: tuple[int, ...], keepdim: bool, ddof: int = 0) -> Tensor:
        if x.numel() and math.prod(x.shape[d] for d in dim) > ddof:
            return function(x, dim=dim, keepdim=keepdim, correction=ddof)
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return function(x, dim=dim, keepdim=keepdim, correction=ddof)

    return mirror


def _cumsum(x: Tensor, *, axis: int | None = None) -> Tensor:
    return x.reshape(-1).cumsum(0) if axis is None or _none(x, axis) else x.cumsum(*_dims(x, axis))


def _along(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def mirror(x: Tensor, *, axis: int = -1) -> Tensor:
        return function(x.reshape(1), 0).reshape(()) if _none(x, axis) else function(x, *_dims(x, axis))

    return mirror


def _transpose(x: Tensor, *, axes: tuple[int, ...] | None = None) -> Tensor:
    return torch.permute(x, tuple(range(x.ndim))[::-1] if axes is None else axes)


def _broadcast_to(x: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    """For PyTorch -1 means the length that is there."""
    if min(shape, default=0) < 0:
        raise ValueError(f"lengths below 0 in {shape}")
    return torch.broadcast_to(x, shape)


def _expand_dims(x: Tensor, *, axis: Any) -> Tensor:
    several = len(axis) if isinstance(axis, tuple) else 1
    for a in sorted(normalize_axis_tuple(axis, x.ndim + several)):
        x = x.unsqueeze(a)
    return x


def _squeeze(x: Tensor, *, axis: Any = None) -> Tensor:
    """PyTorch leaves an axis that is too long; NumPy refuses."""
    every = axis is None or _none(x, axis)
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1) if every else _dims(x, axis)
    if any(x.shape[a] != 1 for a in axes):
        raise ValueError(f"cannot squeeze {axes} of {tuple(x.shape)}")
    return x.squeeze(axes) if axes else x.clone()


def _flip(x: Tensor, *, axis: Any = None) -> Tensor:
    return x.flip(_dims(x, axis))


def _concatenate(*xs: Tensor, axis: int | None = 0) -> Tensor:
    """PyTorch passes over arrays of shape (0,); NumPy wants the same number of axes."""
    if axis is None:
        return torch.cat([x.reshape(-1) for x in xs])
    if len({x.ndim for x in xs}) > 1:
        raise ValueError("numbers of axes differ")
    return torch.cat(xs, dim=axis)


def _places(x: Tensor) -> np.ndarray:
    """Each number's place in the flattened operand, in the operand's shape."""
    return np.arange(math.prod(x.shape)).reshape(tuple(x.shape))


def _taken(x: Tensor, places: np.ndarray) -> Tensor:
    """The numbers at these places: NumPy's indexing of places stands in for PyTorch's, which has other rules."""
    return x.reshape(-1)[torch.from_numpy(np.array(places))]


def _scatter(x: Tensor, *, index: Any, shape: tuple[int, ...]) -> Tensor:
    places = torch.from_numpy(np.array(np.arange(math.prod(shape)).reshape(shape)[index]))
    zeros = torch.zeros(math.prod(shape), dtype=x.dtype)
    return zeros.index_put((places,), x.broadcast_to(places.shape), accumulate=True).reshape(shape)


def _split(x: Tensor, *, indices_or_sections: Any, axis: int = 0, piece: int) -> Tensor:
    if isinstance(indices_or_sections, int) and indices_or_sections < 1:  # NumPy divides by it, and says only that
        raise ValueError(f"{indices_or_sections} sections")
    return _taken(x, np.split(_places(x), indices_or_sections, axis=axis)[piece])


def _pad(x: Tensor, *, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """PyTorch pads the last axes first; its other modes know fewer shapes than NumPy's."""
    if mode != "constant":
        return _taken(x, np.pad(_places(x), pad_width, mode=mode))  # type: ignore[call-overload]
    widths = np.broadcast_to(pad_width, (x.ndim, 2))
    if np.asarray(pad_width).dtype.kind not in "iu" or np.min(pad_width, initial=0) < 0:
        raise ValueError("widths must be whole numbers from 0 on; PyTorch would round, or cut")
    return F.pad(x, [int(w) for w in widths[::-1].ravel()], value=constant_values)


def _clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """PyTorch refuses an upper bound that makes the result larger than the operand and the lower bound do."""
    whole = np.broadcast_shapes(x.shape, low.shape, high.shape)
    return torch.clamp(x.expand(whole), low.expand(whole), high.expand(whole))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """PyTorch's tensordot stretches an axis of 1 to any length; NumPy refuses."""
    if not a.ndim or not b.ndim:
        return a * b
    along = -1 if b.ndim == 1 else -2
    if a.shape[-1] != b.shape[along]:
        raise ValueError(f"{tuple(a.shape)} and {tuple(b.shape)} are not aligned")
    product: Tensor = torch.tensordot(a, b, dims=([-1], [along]))
    return product


def _where(a: Tensor, b: Tensor, *, condition: np.ndarray) -> Tensor:
    return torch.where(torch.tensor(condition), a, b)


def _astype(x: Tensor, *, dtype: str) -> Tensor:
    return x.to(getattr(torch, dtype))


def _swapaxes(x: Tensor, *, axis1: int, axis2: int) -> Tensor:
    return torch.swapaxes(x, *_dims(x, axis1), *_dims(x, axis2))


def _stack(*xs: Tensor, axis: int = 0) -> Tensor:
    return torch.stack(xs, dim=axis)


def _getitem(x: Tensor, *, index: Any) -> Tensor:
    return _taken(x, _places(x)[index])


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return torch.outer(a.reshape(-1), b.reshape(-1))


def _label_cross_entropy(x: Tensor, *, labels: np.ndarray) -> Tensor:
    """PyTorch's classes are on the second axis; and it takes a label of -100 for one to leave out."""
    if not ((labels >= 0) & (labels < x.shape[-1])).all() or labels.shape != x.shape[:-1]:
        raise ValueError(f"{labels} are no labels for scores of shape {tuple(x.shape)}")
    return F.cross_entropy(x.movedim(-1, min(1, x.ndim - 1)), torch.tensor(labels, dtype=torch.long), reduction="none")


_SOFTPLUS = "PyTorch leaves out log1p(exp(-x)) above 20, which is up to 2e-9"
_LOGSUMEXP = "PyTorch's gradient exp(x - y) loses digits where x is large; the probabilities themselves do not"

# fmt: off
CATALOG: dict[str, Row] = {row.op: row for row in (
    #   op                 PyTorch                           exact              operands lie in        shapes and options                                            what NumPy refuses
    Row("add",             torch.add,                        np.add,            (REAL,),              broadcast(2),                                                 unmated(2)),
    Row("subtract",        torch.subtract,                   np.subtract,       (REAL,),              broadcast(2),                                                 unmated(2)),
    Row("multiply",        torch.multiply,                   np.multiply,       (REAL,),              broadcast(2),                                                 unmated(2)),
    Row("divide",          torch.divide,                     np.divide,         (REAL, NONZERO),      broadcast(2),                                                 unmated(2)),
    Row("power",           torch.pow,                        np.power,          (POSITIVE, POWERS),   broadcast(2, ways=3),                                         unmated(2),
        kinks="slope 0 towards the base where the exponent is 0, and towards the exponent where the base is 0"),
    Row("negative",        torch.negative,                   np.negative,       (REAL,),              alone()),
    Row("positive",        torch.positive,                   np.positive,       (REAL,),              alone()),
    Row("abs",             torch.abs,                        np.abs,            (REAL,),              alone(),
        kinks="slope 0 at 0", selects=True),
    Row("exp",             torch.exp,                        exact.exp,         (REAL,),              alone()),
    Row("log",             torch.log,                        exact.log,         (POSITIVE,),          alone()),
    Row("log1p",           torch.log1p,                      exact.log1p,       (ABOVE_M1,),          alone()),
    Row("expm1",           torch.expm1,                      exact.expm1,       (REAL,),              alone()),
    Row("sqrt",            torch.sqrt,                       exact.sqrt,        (POSITIVE,),          alone()),
    Row("square",          torch.square,                     exact.square,      (REAL,),              alone()),
    Row("sin",             torch.sin,                        exact.sin,         (REAL,),              alone()),
    Row("cos",             torch.cos,                        exact.cos,         (REAL,),              alone()),
    Row("tan",             torch.tan,                        exact.tan,         (REAL,),              alone()),
    Row("tanh",            torch.tanh,                       exact.tanh,        (REAL,),              alone()),
    Row("sigmoid",         torch.sigmoid,                    exact.sigmoid,     (REAL,),              alone()),
    Row("relu",            torch.relu,                       exact.relu,        (REAL,),              alone(),
        kinks="slope 0 at 0", selects=True),
    Row("leaky_relu",      F.leaky_relu,                     exact.leaky_relu,  (REAL,),              alone(plans.fixed("negative_slope", [0.01, 0.5, 0.0, 2.0])),
        kinks="the negative side's slope at 0"),
    Row("softplus",        F.softplus,                       exact.softplus,    (REAL,),              alone(),
        deviates=_SOFTPLUS),
    Row("maximum",         torch.maximum,                    exact.maximum,     (REAL,),              broadcast(2),                                                 unmated(2),
        kinks="operands that tie share equally", selects=True),
    Row("minimum",         torch.minimum,                    exact.minimum,     (REAL,),              broadcast(2),                                                 unmated(2),
        kinks="operands that tie share equally", selects=True),
    Row("clip",            _clip,                            exact.clip,        (REAL,),              broadcast(3),                                                 unmated(3),
        kinks="at a bound all goes to the operand, none to the bound", settled=False, selects=True),
    Row("where",           _where,                           exact.where,       (REAL,),              broadcast(2, plans.condition),                                unmated(2, plans.condition)),
    Row("astype",          _astype,                          exact.astype,      (REAL,),              alone(plans.fixed("dtype", ["float64", "float32"]))),

    Row("sum",             _over(torch.sum, lenient=True),   np.sum,            (REAL,),              alone(plans.reduced, plans.many_axes, ways=2),                alone(plans.axis_outside_reduced)),
    Row("mean",            _over(torch.mean),                exact.mean,        (REAL,),              alone(plans.reduced_full, plans.many_axes, ways=2),           alone(plans.axis_outside_reduced)),
    Row("prod",            _over(_prod, lenient=True),       np.prod,           (FACTORS,),           alone(plans.reduced, plans.many_axes, ways=2),                alone(plans.axis_outside_reduced)),
    Row("var",             _over(_spread(torch.var)),        exact.var,         (REAL,),              alone(plans.spread, plans.many_axes, ways=2),                 alone(plans.axis_outside_spread)),
    Row("std",             _over(_spread(torch.std)),        exact.std,         (REAL,),              alone(plans.spread, plans.many_axes, ways=2),                 alone(plans.axis_outside_spread),
        kinks="slope 0 where the spread is 0"),
    Row("max",             _over(torch.amax, lenient=True),  exact.amax,        (REAL,),              alone(plans.reduced_full, plans.many_axes, ways=2),           alone(plans.axis_outside_reduced),
        kinks="numbers that tie share equally", selects=True),
    Row("min",             _over(torch.amin, lenient=True),  exact.amin,        (REAL,),              alone(plans.reduced_full, plans.many_axes, ways=2),           alone(plans.axis_outside_reduced),
        kinks="numbers that tie share equally", selects=True),
    Row("logsumexp",       _over(torch.logsumexp, lenient=True), exact.logsumexp,   (REAL,),              alone(plans.reduced_full, plans.many_axes, ways=2),           alone(plans.axis_outside_reduced),
        logarithmic=True, deviates=_LOGSUMEXP),
    Row("softmax",         _along(torch.softmax),            exact.softmax,     (REAL,),              alone(plans.one_axis),                                        alone(plans.axis_outside)),
    Row("log_softmax",     _along(torch.log_softmax),        exact.log_softmax, (REAL,),              alone(plans.one_axis),                                        alone(plans.axis_outside),
        logarithmic=True),
    Row("label_cross_entropy", _label_cross_entropy,         exact.label_cross_entropy, (REAL,),      alone(plans.labels, plans.many_axes),                         alone(plans.labels_outside),
        logarithmic=True),
    Row("cumsum",          _cumsum,                          np.cumsum,         (REAL,),              alone(plans.axis_or_none, ways=2),                            alone(plans.axis_outside)),

    Row("reshape",         torch.reshape,                    np.reshape,        (REAL,),              alone(plans.new_shape, ways=2),                               alone(plans.wrong_shape)),
    Row("transpose",       _transpose,                       np.transpose,      (REAL,),              alone(plans.permutation, ways=2),                             alone(plans.wrong_permutation)),
    Row("swapaxes",        _swapaxes,                        np.swapaxes,       (REAL,),              alone(plans.axis_pair),                                       alone(plans.axis_pair_outside)),
    Row("expand_dims",     _expand_dims,                     np.expand_dims,    (REAL,),              alone(plans.new_axes, ways=2),                                alone(plans.axis_outside)),
    Row("squeeze",         _squeeze,                         np.squeeze,        (REAL,),              alone(plans.ones, plans.with_ones, ways=2),                                    alone(plans.not_one)),
    Row("broadcast_to",    _broadcast_to,                    np.broadcast_to,   (REAL,),              alone(plans.target_shape),                                    alone(plans.narrow_target)),
    Row("flip",            _flip,                            np.flip,           (REAL,),              alone(plans.axes),                                            alone(plans.axis_outside)),
    Row("concatenate",     _concatenate,                     exact.concatenate, (REAL,),              plans.joined,                                                 plans.misjoined),
    Row("stack",           _stack,                           exact.stack,       (REAL,),              plans.stacked,                                                plans.misstacked),
    Row("split",           _split,                           exact.split,       (REAL,),              alone(plans.pieces, ways=2),                                  alone(plans.uneven)),
    Row("pad",             _pad,                             exact.pad,         (REAL,),              alone(plans.padding, ways=2),                                 alone(plans.negative_padding)),

    Row("getitem",         _getitem,                         exact.getitem,     (REAL,),              alone(plans.index, ways=4),                                   alone(plans.index_outside)),
    Row("scatter",         _scatter,                         exact.scatter,     (REAL,),              alone(plans.scattered, ways=2),                               alone(plans.scattered_outside)),

    Row("matmul",          torch.matmul,                     np.matmul,         (REAL,),              plans.matrices,                                               plans.mismatched,
        finite=True),
    Row("dot",             _dot,                             np.dot,            (REAL,),              plans.dotted,                                                 plans.mismatched,
        finite=True),
    Row("outer",           _outer,                           np.outer,          (REAL,),              plans.outers),
)}
# fmt: on


def promoted(operands: Sequence[Any]) -> np.dtype[Any]:
    """The dtype that operands are cast to before they meet: NumPy's promotion of those that are floating.

    Integers, booleans and Python numbers take the dtype of the floats beside them.
    """
    floats = [o.dtype for o in operands if isinstance(o, np.ndarray) and o.dtype.kind == "f"]
    return np.result_type(*floats) if floats else np.dtype(float)


def forward(row: Row, operands: Sequence[Any], options: dict[str, Any]) -> np.ndarray:
    """Compute an op on plain arrays, by its mirror: what the generator needs to know of a value it goes on from."""
    dtype = promoted(operands)
    tensors = [torch.from_numpy(np.array(o, dtype, order="C")) for o in operands]
    result: np.ndarray = row.mirror(*tensors, **options).numpy()
    return result


def shape_of(row: Row, shapes: Sequence[tuple[int, ...]], options: dict[str, Any]) -> tuple[int, ...]:
    """Work out the shape of an op's result, by its mirror on tensors that have no numbers, and so take no memory."""
    result: Tensor = row.mirror(
        *(torch.empty(shape, dtype=torch.float64, device="meta") for shape in shapes), **options
    )
    return tuple(result.shape)
