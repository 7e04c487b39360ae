"""Activations and initial weights of layers, by name or as functions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ndgrad.rules import RULES
from ndgrad.rules.plain import check_plain

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Activation: TypeAlias = Callable[[Any], Any]
Initializer: TypeAlias = (
    "Callable[[np.random.Generator, int, int], Any]"  # a string, so that numpy.random is imported only when it is used
)
Seed: TypeAlias = "int | np.random.Generator | None"
Choice = TypeVar("Choice", bound=Callable[..., Any])

ACTIVATIONS: dict[str, Activation] = {
    "tanh": RULES["tanh"],
    "relu": RULES["relu"],
    "leaky_relu": RULES["leaky_relu"],
    "sigmoid": RULES["sigmoid"],
    "softplus": RULES["softplus"],
    "linear": lambda x: x,
}


def _uniform(rng: np.random.Generator, nin: int, nout: int, bound: float) -> Array:
    return rng.uniform(-bound, bound, (nin, nout))


def _normal(rng: np.random.Generator, nin: int, nout: int, std: float) -> Array:
    return rng.normal(0.0, std, (nin, nout))


# fmt: off
# Weights have shape (nin, nout): fan_in is nin, fan_out is nout. The gains are the defaults of torch.nn.init:
# 1 for Xavier (Glorot and Bengio 2010, eq. 16); sqrt(2), that of relu, for Kaiming (He et al. 2015, eq. 10).
# A uniform distribution within ±b has the standard deviation b / sqrt(3): hence the 3 below.
INITIALIZERS: dict[str, Initializer] = {
    #                                                                  bound, or standard deviation
    "uniform":         lambda rng, nin, nout: _uniform(rng, nin, nout, 1.0),
    "xavier_uniform":  lambda rng, nin, nout: _uniform(rng, nin, nout, (3 * 2 / (nin + nout)) ** 0.5),
    "xavier_normal":   lambda rng, nin, nout: _normal( rng, nin, nout, (2 / (nin + nout)) ** 0.5),
    "kaiming_uniform": lambda rng, nin, nout: _uniform(rng, nin, nout, (3 * 2 / nin) ** 0.5),
    "kaiming_normal":  lambda rng, nin, nout: _normal( rng, nin, nout, (2 / nin) ** 0.5),
}
# fmt: on


def lookup(what: str, choice: str | Choice, table: Mapping[str, Choice]) -> Choice:
    """Return a choice that is a function, or look it up by name."""
    if callable(choice):
        return choice
    if not isinstance(choice, str) or choice not in table:
        raise ValueError(f"{what} must be a function or one of {', '.join(table)}, but is {choice!r}")
    return table[choice]


def sample_parameters(
    nin: int, nout: int, init: str | Initializer, rng: Seed, dtype: np.typing.DTypeLike
) -> tuple[Array, Array]:
    """Draw the weights, (nin, nout), and then the biases, (nout,), of a layer, in float64, and cast them."""
    nin, nout, dtype = _count("nin", nin), _count("nout", nout), _float_dtype(dtype)
    rng = np.random.default_rng(rng)
    given = lookup("init", init, INITIALIZERS)(rng, nin, nout)
    check_plain(given, "the result of init")
    weight = np.asarray(given)
    if weight.shape != (nin, nout):
        raise ValueError(f"init must give an array of shape {(nin, nout)}, but gave shape {weight.shape}")
    bias = rng.uniform(-1.0, 1.0, nout) if init == "uniform" else np.zeros(nout)
    return weight.astype(dtype), bias.astype(dtype)


def _count(name: str, n: Any) -> int:
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
        raise ValueError(f"{name} must be a whole number from 1 on, but is {n!r}")
    return operator.index(n)


def _float_dtype(dtype: np.typing.DTypeLike) -> np.dtype[Any]:
    if np.dtype(dtype).kind != "f":
        raise ValueError(f"dtype must be of floats, but is {np.dtype(dtype)}")
    return np.dtype(dtype)
