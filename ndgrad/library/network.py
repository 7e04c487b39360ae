"""The network: Neuron, Layer and MLP under micrograd's names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ndgrad.engine import Value
from ndgrad.library.initial import ACTIVATIONS, Activation, Initializer, Seed, lookup, sample_parameters
from ndgrad.library.inputs import array_of
from ndgrad.library.modules import Module
from ndgrad.rules import RULES
from ndgrad.rules.plain import check_plain


class Neuron(Module):
    """One number from many: `activation(x · weight + bias)`.

    Args:
        nin: how many numbers it takes.
        activation: a name of `ACTIVATIONS`, or a function of a Value.
        init: a name of `INITIALIZERS`, or a function `(rng, nin, 1) -> array` of shape (nin, 1). With
            "uniform" weight and bias are uniform in [-1, 1]; with everything else the bias is 0.
        rng: a seed or a NumPy Generator. The weight is drawn first, then the bias.
        dtype: that of the parameters, `weight` (nin,) and `bias` ().

    Raises:
        ValueError: an argument is none of these.
    """

    def __init__(
        self,
        nin: int,
        activation: str | Activation = "tanh",
        *,
        init: str | Initializer = "uniform",
        rng: Seed = None,
        dtype: np.typing.DTypeLike = np.float64,
    ) -> None:
        lookup("activation", activation, ACTIVATIONS)
        weight, bias = sample_parameters(nin, 1, init, rng, dtype)
        self.weight = Value(weight[:, 0], label="weight")
        self.bias = Value(bias[0], label="bias")
        self.activation = activation

    def __call__(self, x: Any) -> Value:
        """Give one number for each row of `x`: numbers, Values or an array, of shape (..., nin) to (...)."""
        return _activated(self, x)

    def __repr__(self) -> str:
        return _described(self, self.weight.size, dtype=self.weight.dtype, activation=self.activation)


class Layer(Module):
    """Neurons side by side, computed by one matmul: `activation(x @ weight + bias)`.

    Args:
        nin: how many numbers it takes.
        nout: how many numbers it gives.
        activation: a name of `ACTIVATIONS`, or a function of a Value.
        init: a name of `INITIALIZERS`, or a function `(rng, nin, nout) -> array` of shape (nin, nout). With
            "uniform" weight and bias are uniform in [-1, 1]; with everything else the bias is 0.
        rng: a seed or a NumPy Generator. The weight is drawn first, row by row, then the bias.
        dtype: that of the parameters, `weight` (nin, nout) and `bias` (nout,).

    Raises:
        ValueError: an argument is none of these.
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        activation: str | Activation = "tanh",
        *,
        init: str | Initializer = "uniform",
        rng: Seed = None,
        dtype: np.typing.DTypeLike = np.float64,
    ) -> None:
        lookup("activation", activation, ACTIVATIONS)
        weight, bias = sample_parameters(nin, nout, init, rng, dtype)
        self.weight = Value(weight, label="weight")
        self.bias = Value(bias, label="bias")
        self.activation = activation

    def outputs(self, x: Any) -> Value:
        """Give the outputs on an axis of their own, even a single one: shape (..., nin) to (..., nout)."""
        return _activated(self, x)

    def __call__(self, x: Any) -> Value:
        """Give the outputs as `outputs` does, but a single one without its axis: (..., nin) to (...)."""
        return _alone(self.outputs(x))

    def __repr__(self) -> str:
        return _described(self, *self.weight.shape, dtype=self.weight.dtype, activation=self.activation)


class MLP(Module):
    """A multi-layer perceptron: layers one after the other. By default tanh in all, the last included.

    Args:
        nin: how many numbers it takes.
        nouts: how many neurons each layer has.
        activation: that of every layer, a name of `ACTIVATIONS` or a function of a Value.
        output_activation: that of the last layer. The same, if none is given.
        init: how weights and biases are drawn, as for `Layer`.
        rng: a seed or a NumPy Generator. The first layer is drawn first; in each the weight, then the bias.
        dtype: that of the parameters, `layers.0.weight`, `layers.0.bias`, `layers.1.weight` and so on.

    Raises:
        ValueError: an argument is none of these, or there are no layers.
    """

    def __init__(
        self,
        nin: int,
        nouts: Sequence[int],
        activation: str | Activation = "tanh",
        *,
        output_activation: str | Activation | None = None,
        init: str | Initializer = "uniform",
        rng: Seed = None,
        dtype: np.typing.DTypeLike = np.float64,
    ) -> None:
        if np.ndim(nouts) != 1 or not len(nouts):
            raise ValueError(f"nouts must list each layer's neurons, as [4, 4, 1] does, but is {nouts!r}")
        rng = np.random.default_rng(rng)
        activations = [activation] * len(nouts)
        if output_activation is not None:
            activations[-1] = output_activation
        self.layers = [
            Layer(*sizes, each, init=init, rng=rng, dtype=dtype)
            for sizes, each in zip(pairwise([nin, *nouts]), activations, strict=True)
        ]

    def __call__(self, x: Any) -> Value:
        """Give the last layer's outputs: shape (..., nin) to (..., nouts[-1]), or (...) if that is 1."""
        for layer in self.layers:
            x = layer.outputs(x)
        return _alone(x)

    def __repr__(self) -> str:
        first, last = self.layers[0], self.layers[-1]
        options = {"activation": first.activation, "output_activation": last.activation}
        if last.activation == first.activation:
            del options["output_activation"]
        nouts = [layer.bias.size for layer in self.layers]
        return _described(self, first.weight.shape[0], nouts, dtype=first.weight.dtype, **options)


def _activated(layer: Neuron | Layer, x: Any) -> Value:
    weight = layer.weight
    check_plain(x, "the input")
    x = array_of(x, weight.dtype)
    nin = weight.shape[0]
    if x.shape[-1:] != (nin,):
        takes = f"{type(layer).__name__} takes {nin} {'number' if nin == 1 else 'numbers'}"
        raise ValueError(f"{takes} on the last axis, but got shape {x.shape}")
    activation = lookup("activation", layer.activation, ACTIVATIONS)
    return activation(RULES["matmul"](x, weight) + layer.bias)  # type: ignore[no-any-return]


def _alone(y: Value) -> Value:
    """Without the last axis, where it has length 1."""
    return y.reshape(y.shape[:-1]) if y.shape[-1] == 1 else y


def _shown(x: Any) -> str:
    """An option as it would be written: functions by their name."""
    return getattr(x, "__name__", repr(x)) if callable(x) else repr(x)


def _described(module: Module, *sizes: Any, dtype: np.dtype[Any], **options: Any) -> str:
    """A module as a call that would make one like it. Float64 goes without saying."""
    named = [f"{name}={_shown(option)}" for name, option in options.items()]
    named += [f"dtype={dtype}"] if dtype != np.float64 else []
    return f"{type(module).__name__}({', '.join([*map(str, sizes), *named])})"
