"""The lines of the benchmark: the program, the size and the aim of each, one per row.

It draws the numbers, as plain arrays; each peer's module says how that peer computes with them. It does not know what is
measured, or how.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

Rng = np.random.Generator


class Numbers(SimpleNamespace):
    """The numbers that a line computes with.

    A line that is differentiated has its operands in `leaves` and the `cotangent` of its result. A line that trains
    has `params`, a batch `x`, its `target`, and the learning rate `lr`. Other numbers have names of their own.
    """


@dataclass(frozen=True)
class Workload:
    """A line of the benchmark.

    Attributes:
        name: the name of the line.
        program: the program, an entry of `PROGRAMS`.
        what: a description of the program.
        dtype: the dtype of all floats.
        aim: the smallest ratio of PyTorch's time to ndgrad's.
        size: the options of the program's draw function.
        ops: the number of ops that a step records, if the figure for one op is of interest.
        collector: whether Python's cyclic garbage collector is enabled.
        slow: whether a step takes so long that fewer rounds are measured.
        again: whether it is measured with two threads as well.
        memory_aim: the largest ratio of ndgrad's memory to PyTorch's; None where memory is not measured.
        fresh: whether each round is a new process, like a user's script, with few steps before those timed.
    """

    name: str
    program: str
    what: str
    dtype: str
    aim: float | None
    size: Mapping[str, Any]
    ops: int | None = None
    collector: bool = True
    slow: bool = False
    again: bool = False
    memory_aim: float | None = None
    fresh: bool = False

    @property
    def label(self) -> str:
        """The name in tables and pictures, which tells if each round is a fresh process."""
        return f"{self.name} (fresh process)" if self.fresh else self.name

    def numbers(self, *, small: bool = False) -> Numbers:
        """Draw the numbers, at full size or small. They are the same at each call and in every process."""
        draw, few = PROGRAMS[self.program]
        rng = np.random.default_rng(zlib.crc32(self.program.encode()))
        numbers = draw(rng, **(few if small else self.size))
        return Numbers(**{name: _cast(x, self.dtype) for name, x in vars(numbers).items()})


def _cast(x: Any, dtype: str) -> Any:
    """Cast arrays of floats, also in tuples, to a dtype. Anything else stays as it is."""
    if isinstance(x, tuple):
        return tuple(_cast(inner, dtype) for inner in x)
    return x.astype(dtype, copy=False) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


# Functions that draw the numbers. Cotangents are never ones, because some engines have a fast path for ones.


def _chain(rng: Rng, n: int, times: int) -> Numbers:
    return Numbers(leaves=(rng.normal(size=n),), times=times, cotangent=rng.normal(size=n))


def _tanh(rng: Rng, n: int) -> Numbers:
    return Numbers(leaves=tuple(rng.normal(size=n) for _ in range(3)), cotangent=np.array(1.25))


def _picked(rng: Rng, shape: tuple[int, ...], picks: int) -> Numbers:
    index = rng.integers(0, shape[0], picks)
    return Numbers(leaves=(rng.normal(size=shape),), index=index, cotangent=rng.normal(size=(picks, *shape[1:])))


def _classified(rng: Rng, batch: int, classes: int) -> Numbers:
    scores = 3 * rng.normal(size=(batch, classes))
    return Numbers(leaves=(scores,), labels=rng.integers(0, classes, batch), cotangent=np.array(1.25))


def _mapped(rng: Rng, *shapes: tuple[int, ...], result: tuple[int, ...], **others: Any) -> Numbers:
    leaves = tuple(rng.normal(size=shape) for shape in shapes)
    return Numbers(leaves=leaves, cotangent=rng.normal(size=result), **others)


def _added(rng: Rng, rows: int, columns: int) -> Numbers:
    return _mapped(rng, (rows, columns), (columns,), result=(rows, columns))


def _products(rng: Rng, batch: int, n: int) -> Numbers:
    return _mapped(rng, (batch, n, n), (batch, n, n), result=(batch, n, n))


def _columns(rng: Rng, rows: int, columns: int) -> Numbers:
    return _mapped(rng, (rows, columns), result=(columns,))


def _rows(rng: Rng, rows: int, columns: int) -> Numbers:
    return _mapped(rng, (rows, columns), result=(rows,))


def _windows(rng: Rng, n: int, times: int) -> Numbers:
    return _mapped(rng, (n + times,), result=(n,), n=n, times=times)


def _normalised(rng: Rng, rows: int, columns: int) -> Numbers:
    return _mapped(rng, (rows, columns), (columns,), (columns,), result=(rows, columns))


def _attended(rng: Rng, batch: int, length: int, width: int) -> Numbers:
    return _mapped(rng, *[(batch, length, width)] * 3, result=(batch, length, width))


def _layers(rng: Rng, sizes: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Draw weights of shape (nin, nout) and biases, in turn."""
    shapes = [shape for nin, nout in pairwise(sizes) for shape in ((nin, nout), (nout,))]
    return tuple(rng.normal(size=shape) / shape[0] ** 0.5 for shape in shapes)


def _article(rng: Rng) -> Numbers:
    """Draw the article's four points of three numbers, and the parameters of its network 3-4-4-1."""
    x = np.array([[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]])
    target = np.array([[1.0], [-1.0], [-1.0], [1.0]])
    params = _layers(rng, (3, 4, 4, 1))
    directions = tuple(rng.normal(size=p.shape) for p in params)
    return Numbers(x=x, target=target, params=params, directions=directions, lr=0.05)


def _images(rng: Rng, batch: int, sizes: tuple[int, ...], lr: float) -> Numbers:
    x, target = rng.uniform(size=(batch, sizes[0])), rng.integers(0, sizes[-1], batch)
    return Numbers(x=x, target=target, params=_layers(rng, sizes), lr=lr)


# fmt: off
# The programs of the lines: the function that draws the numbers, and the small size, for tests.
PROGRAMS: Mapping[str, tuple[Callable[..., Numbers], Mapping[str, Any]]] = {
    "chain":           (_chain,      {"n": 3, "times": 4}),
    "chain-lean":      (_chain,      {"n": 3, "times": 4}),
    "leaf":            (_chain,      {"n": 3, "times": 4}),
    "article":         (_article,    {}),
    "article-library": (_article,    {}),
    "article-program": (_article,    {}),
    "hvp":             (_article,    {}),
    "mlp":             (_images,     {"batch": 5, "sizes": (7, 6, 5, 3), "lr": 0.01}),
    "adam":            (_images,     {"batch": 5, "sizes": (7, 6, 5, 3), "lr": 0.001}),
    "cross-entropy":   (_classified, {"batch": 4, "classes": 5}),
    "tanh":            (_tanh,       {"n": 7}),
    "pick":            (_picked,     {"shape": (5,), "picks": 9}),
    "embedding":       (_picked,     {"shape": (5, 3), "picks": 9}),
    "layer-norm":      (_normalised, {"rows": 5, "columns": 4}),
    "attention":       (_attended,   {"batch": 2, "length": 4, "width": 3}),
    "logsumexp":       (_rows,       {"rows": 5, "columns": 4}),
    "bias":            (_added,      {"rows": 5, "columns": 4}),
    "matmuls":         (_products,   {"batch": 2, "n": 3}),
    "column-sums":     (_columns,    {"rows": 5, "columns": 4}),
    "windows":         (_windows,    {"n": 3, "times": 4}),
}

_LINK = "y = y * 0.999 + x"
_MLP = {"batch": 64, "sizes": (784, 128, 64, 10), "lr": 0.01}
_MEGA = {"rows": 1000, "columns": 1000}

WORKLOADS: Mapping[str, Workload] = {w.name: w for w in [
    #        name               program            what                                                   dtype      aim   size
    Workload("chain-4",         "chain",           f"chain of 200 ops {_LINK} on 4 numbers",              "float64", 2.2,  {"n": 4, "times": 100},       ops=200),
    Workload("chain-1k",        "chain",           f"chain of 200 ops {_LINK} on 1,000",                  "float64", 1.8,  {"n": 1_000, "times": 100},   ops=200),
    Workload("chain-100k",      "chain",           f"chain of 200 ops {_LINK} on 100,000",                "float64", 1.0,  {"n": 100_000, "times": 100}, ops=200, memory_aim=2.0),
    Workload("chain-100k-lean", "chain-lean",      "the same, asked to keep nothing for the user",        "float64", 1.5,  {"n": 100_000, "times": 100}, ops=200, memory_aim=1.2),
    Workload("article",         "article",         "the article's MLP step, 4×3-4-4-1, in formulas",      "float64", 3.5,  {}),
    Workload("article-library", "article-library", "the same with layers, loss and SGD of the library",   "float64", 3.5,  {}),
    Workload("article-program", "article-program", "the article's program: four calls, sum of squares",   "float64", 2.2,  {}),
    Workload("mlp-784-f32",     "mlp",             "MLP step 64×784-128-64-10, float32",                  "float32", 1.5,  _MLP, again=True, memory_aim=1.0),
    Workload("mlp-784",         "mlp",             "MLP step 64×784-128-64-10",                           "float64", 1.5,  _MLP, again=True, memory_aim=1.0),
    Workload("cross-entropy",   "cross-entropy",   "softmax cross-entropy on 256×1000, float32",          "float32", 0.95, {"batch": 256, "classes": 1000}, again=True),
    Workload("tanh-1m",         "tanh",            "tanh(x * y + z).sum() on a million",                  "float64", 1.7,  {"n": 1_000_000}, again=True),
    Workload("fresh-100k",      "tanh",            "tanh(x * y + z).sum() on 100,000",                    "float64", 1.0,  {"n": 100_000}, fresh=True),
    Workload("fresh-100k-f32",  "tanh",            "tanh(x * y + z).sum() on 100,000, float32",           "float32", 1.0,  {"n": 100_000}, fresh=True),
    Workload("fresh-1m",        "tanh",            "tanh(x * y + z).sum() on a million",                  "float64", 1.0,  {"n": 1_000_000}, fresh=True),
    Workload("fresh-1m-f32",    "tanh",            "tanh(x * y + z).sum() on a million, float32",         "float32", 1.0,  {"n": 1_000_000}, fresh=True),
    Workload("tanh-1m-f32",     "tanh",            "tanh(x * y + z).sum() on a million, float32",         "float32", 1.7,  {"n": 1_000_000}, again=True),
    Workload("pick",            "pick",            "x[index], 100,000 out of 10,000, with repeats",       "float64", 2.0,  {"shape": (10_000,), "picks": 100_000}),
    Workload("embedding",       "embedding",       "rows by index, 4,096 out of 1000×64, float32",        "float32", 1.0,  {"shape": (1000, 64), "picks": 4096}),
    Workload("nodes-100k",      "chain",           "chain of 100,000 ops on 4 numbers",                   "float64", 1.8,  {"n": 4, "times": 50_000}, ops=100_000, slow=True, memory_aim=1.0),
    Workload("nodes-100k-nogc", "chain",           "the same, Python's garbage collector off",            "float64", None, {"n": 4, "times": 50_000}, ops=100_000, slow=True, collector=False),
    Workload("leaf-10k",        "leaf",            "one leaf of 4 numbers used 10,000 times",             "float64", 2.0,  {"n": 4, "times": 10_000}, ops=10_000),
    Workload("hvp-article",     "hvp",             "Hessian-vector product of the article's MLP",         "float64", 1.3,  {}),
    # Further lines that users ask for.
    Workload("adam-784",        "adam",            "MLP step 64×784-128-64-10 with Adam, float32",        "float32", None, {**_MLP, "lr": 0.001}, again=True),
    Workload("layer-norm",      "layer-norm",      "layer norm written out, 256×512, float32",            "float32", None, {"rows": 256, "columns": 512}),
    Workload("attention",       "attention",       "attention written out, 8×64×32, float32",             "float32", None, {"batch": 8, "length": 64, "width": 32}),
    Workload("logsumexp",       "logsumexp",       "logsumexp of each row, 1000×1000",                    "float64", None, _MEGA),
    Workload("bias",            "bias",            "x + b, 1000×1000 and 1000",                           "float64", None, _MEGA),
    Workload("matmuls",         "matmuls",         "64 products of 16×16 at once",                        "float64", None, {"batch": 64, "n": 16}),
    Workload("column-sums",     "column-sums",     "x.sum(axis=0), 1000×1000",                            "float64", None, _MEGA),
    Workload("windows",         "windows",         "sum of 100 slices x[i : i + 1000]",                   "float64", None, {"n": 1000, "times": 100}, ops=199),
]}
# fmt: on
