"""PyTorch's functions for the ops. Only those with another name or meaning have a line here.

A mirror has NumPy's meaning, and never uses the formula that an engine implements. Docstrings tell where PyTorch's
meaning differs from NumPy's.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own habit
from numpy.lib.array_utils import normalize_axis_tuple

from reference.ops import Op

Tensor: TypeAlias = torch.Tensor
Mirror: TypeAlias = Callable[..., Tensor]


def _dims(x: Tensor, axis: Any) -> tuple[int, ...]:
    """Return NumPy's axes as dims counted from 0. Axes that are out of bounds or repeated are refused."""
    return tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim)


def _is_axis_of_scalar(x: Tensor, axis: Any) -> bool:
    """Whether `axis` is 0 or -1 and the array has no axes. Many of NumPy's functions accept that."""
    return not x.ndim and axis in (0, -1)


def _reduction(function: Callable[..., Tensor], *, lenient: bool = False) -> Callable[..., Tensor]:
    """Make the mirror of a reduction.

    `dim=()` reduces everything in PyTorch and nothing in NumPy, so a new axis of length 1 is reduced in its place. With
    `lenient`, an array without axes accepts the axes 0 and -1, as NumPy's reductions of ufuncs do.
    """

    def mirror(x: Tensor, *, axis: Any = None, keepdims: bool = False, **options: Any) -> Tensor:
        dims = () if lenient and _is_axis_of_scalar(x, axis) else _dims(x, axis)
        if dims:
            return function(x, dim=dims, keepdim=keepdims, **options)
        return function(x.unsqueeze(-1), dim=(-1,), keepdim=False, **options)

    return mirror


def _prod(x: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """PyTorch multiplies along one dim, so the dims are flattened into one, in the order of NumPy's products."""
    dims = sorted(d % x.ndim for d in dim)
    rest = [d for d in range(x.ndim) if d not in dims]
    y = x.permute(*rest, *dims).flatten(len(rest)).prod(-1)
    return y.reshape([1 if d in dims else n for d, n in enumerate(x.shape)]) if keepdim else y


def _variance(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """PyTorch warns if there are no degrees of freedom, or no numbers. Programs have such cases on purpose."""

    def mirror(x: Tensor, *, dim: tuple[int, ...], keepdim: bool, ddof: int = 0) -> Tensor:
        if x.numel() and math.prod(x.shape[d] for d in dim) > ddof:
            return function(x, dim=dim, keepdim=keepdim, correction=ddof)
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return function(x, dim=dim, keepdim=keepdim, correction=ddof)

    return mirror


def _cumsum(x: Tensor, *, axis: int | None = None) -> Tensor:
    return x.reshape(-1).cumsum(0) if axis is None or _is_axis_of_scalar(x, axis) else x.cumsum(*_dims(x, axis))


def _cumprod(x: Tensor, *, axis: int | None = None) -> Tensor:
    return x.reshape(-1).cumprod(0) if axis is None or _is_axis_of_scalar(x, axis) else x.cumprod(*_dims(x, axis))


def _along(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def mirror(x: Tensor, *, axis: int = -1) -> Tensor:
        return function(x.reshape(1), 0).reshape(()) if _is_axis_of_scalar(x, axis) else function(x, *_dims(x, axis))

    return mirror


def _transpose(x: Tensor, *, axes: tuple[int, ...] | None = None) -> Tensor:
    return torch.permute(x, tuple(range(x.ndim))[::-1] if axes is None else axes)


def _broadcast_to(x: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    """In PyTorch, -1 means the present length; NumPy refuses it."""
    if min(shape, default=0) < 0:
        raise ValueError(f"shape {shape} has negative lengths")
    return torch.broadcast_to(x, shape)


def _expand_dims(x: Tensor, *, axis: Any) -> Tensor:
    several = len(axis) if isinstance(axis, tuple) else 1
    for a in sorted(normalize_axis_tuple(axis, x.ndim + several)):
        x = x.unsqueeze(a)
    return x


def _squeeze(x: Tensor, *, axis: Any = None) -> Tensor:
    """PyTorch ignores an axis whose length is not 1; NumPy refuses it."""
    every = axis is None or _is_axis_of_scalar(x, axis)
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1) if every else _dims(x, axis)
    if any(x.shape[a] != 1 for a in axes):
        raise ValueError(f"cannot squeeze {axes} of {tuple(x.shape)}")
    return x.squeeze(axes) if axes else x.clone()


def _flip(x: Tensor, *, axis: Any = None) -> Tensor:
    return x.flip(_dims(x, axis))


def _concatenate(*xs: Tensor, axis: int | None = 0) -> Tensor:
    """PyTorch ignores arrays of shape (0,); NumPy requires equal ranks."""
    if axis is None:
        return torch.cat([x.reshape(-1) for x in xs])
    if len({x.ndim for x in xs}) > 1:
        raise ValueError("the arrays have different numbers of axes")
    return torch.cat(xs, dim=axis)


def _places(x: Tensor) -> np.ndarray:
    """Return each number's place in the flattened operand, in the operand's shape."""
    return np.arange(math.prod(x.shape)).reshape(tuple(x.shape))


def _taken(x: Tensor, places: np.ndarray) -> Tensor:
    """Select the numbers at these places. They come from NumPy's indexing, for PyTorch's has other rules."""
    return x.reshape(-1)[torch.from_numpy(np.array(places))]


def _scatter(x: Tensor, *, index: Any, shape: tuple[int, ...]) -> Tensor:
    places = torch.from_numpy(np.array(np.arange(math.prod(shape)).reshape(shape)[index]))
    zeros = torch.zeros(math.prod(shape), dtype=x.dtype)
    return zeros.index_put((places,), x.broadcast_to(places.shape), accumulate=True).reshape(shape)


def _split(x: Tensor, *, indices_or_sections: Any, axis: int = 0, piece: int) -> Tensor:
    if isinstance(indices_or_sections, int) and indices_or_sections < 1:  # NumPy would raise ZeroDivisionError
        raise ValueError(f"{indices_or_sections} sections")
    return _taken(x, np.split(_places(x), indices_or_sections, axis=axis)[piece])


def _pad(x: Tensor, *, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """PyTorch pads the last axes first, and its other modes support fewer shapes than NumPy's."""
    if mode != "constant":
        return _taken(x, np.pad(_places(x), pad_width, mode=mode))  # type: ignore[call-overload]
    widths = np.broadcast_to(pad_width, (x.ndim, 2))
    if np.asarray(pad_width).dtype.kind not in "iu" or np.min(pad_width, initial=0) < 0:
        raise ValueError("widths must be non-negative integers; PyTorch would round them, or crop the array")
    return F.pad(x, [int(w) for w in widths[::-1].ravel()], value=constant_values)


def _clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Broadcast first, for PyTorch refuses an upper bound that does not broadcast to the other operands' shape."""
    whole = np.broadcast_shapes(x.shape, low.shape, high.shape)
    return torch.clamp(x.expand(whole), low.expand(whole), high.expand(whole))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """PyTorch's tensordot broadcasts an axis of length 1; NumPy refuses it."""
    if not a.ndim or not b.ndim:
        return a * b
    along = -1 if b.ndim == 1 else -2
    if a.shape[-1] != b.shape[along]:
        raise ValueError(f"{tuple(a.shape)} and {tuple(b.shape)} are not aligned")
    product: Tensor = torch.tensordot(a, b, dims=([-1], [along]))
    return product


def _logaddexp2(a: Tensor, b: Tensor) -> Tensor:
    """Use PyTorch's logaddexp, which has base e. For distant operands, its second derivative underflows or is NaN."""
    far = ((a - b).abs() > 60) & (torch.maximum(a, b) < math.inf)  # noqa: PLR2004
    near = torch.logaddexp(*(torch.where(far, 0, x) * math.log(2) for x in (a, b))) / math.log(2)
    larger, smaller = torch.where(far, torch.maximum(a, b), 0), torch.where(far, torch.minimum(a, b), 0)
    m = larger.detach()
    rest = torch.log1p(torch.expm1((larger - m) * math.log(2)) + torch.exp2(smaller - m))
    return torch.where(far, m + rest / math.log(2), near)


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
    """PyTorch has the classes on the second axis, and ignores examples with label -100."""
    if not ((labels >= 0) & (labels < x.shape[-1])).all() or labels.shape != x.shape[:-1]:
        raise ValueError(f"labels {labels} do not fit scores of shape {tuple(x.shape)}")
    return F.cross_entropy(x.movedim(-1, min(1, x.ndim - 1)), torch.tensor(labels, dtype=torch.long), reduction="none")


# fmt: off
MIRRORS: Mapping[str, Mirror] = {
    # op           PyTorch
    "logaddexp2":   _logaddexp2,
    "clip":         _clip,
    "where":        _where,
    "astype":       _astype,

    "sum":          _reduction(torch.sum, lenient=True),
    "mean":         _reduction(torch.mean),
    "prod":         _reduction(_prod, lenient=True),
    "var":          _reduction(_variance(torch.var)),
    "std":          _reduction(_variance(torch.std)),
    "max":          _reduction(torch.amax, lenient=True),
    "min":          _reduction(torch.amin, lenient=True),
    "logsumexp":    _reduction(torch.logsumexp, lenient=True),
    "softmax":      _along(torch.softmax),
    "log_softmax":  _along(torch.log_softmax),
    "label_cross_entropy": _label_cross_entropy,
    "cumsum":       _cumsum,
    "cumprod":      _cumprod,

    "transpose":    _transpose,
    "swapaxes":     _swapaxes,
    "expand_dims":  _expand_dims,
    "squeeze":      _squeeze,
    "broadcast_to": _broadcast_to,
    "flip":         _flip,
    "concatenate":  _concatenate,
    "stack":        _stack,
    "split":        _split,
    "pad":          _pad,

    "getitem":      _getitem,
    "scatter":      _scatter,

    "dot":          _dot,
    "outer":        _outer,
}
KNOWN: Mapping[str, str] = {
    # op           where PyTorch is poor, so that an engine may be better
    "arctan2":      "PyTorch's slopes divide by x² + y², which over- and underflows",
    "softplus":     "PyTorch leaves out log1p(exp(-x)) above 20, which is up to 2e-9",
    "logsumexp":    "PyTorch's gradient exp(x - y) loses digits where x is large; the probabilities themselves do not",
}
# fmt: on
_MODULES = {"torch": torch, "F": F}  # searched for functions by name, in this order


def source_of(op: Op) -> str:
    """Return the source of a mirror without a line: PyTorch's function with the op's name.

    Raises:
        LookupError: PyTorch has no function of this name.
    """
    for name in (op.name, *op.aliases):
        for space, module in _MODULES.items():
            if callable(getattr(module, name, None)):
                return f"{space}.{name}"
    raise LookupError(f"PyTorch has no function {op.name}: the op needs a line in MIRRORS")


@cache
def mirror(op: Op) -> Mirror:
    """Return PyTorch's function for an op, `mirror(*tensors, **options)`.

    Raises:
        LookupError: PyTorch has no such function.
    """
    if op.name in MIRRORS:
        return MIRRORS[op.name]
    space, _, name = source_of(op).partition(".")
    function: Mirror = getattr(_MODULES[space], name)
    return function


def shape_of(op: Op, shapes: Sequence[tuple[int, ...]], options: Mapping[str, Any]) -> tuple[int, ...]:
    """Compute the shape of an op's result on tensors of the device `meta`, which have no numbers and take no memory."""
    tensors = [torch.empty(shape, dtype=torch.float64, device="meta") for shape in shapes]
    return tuple(mirror(op)(*tensors, **options).shape)
