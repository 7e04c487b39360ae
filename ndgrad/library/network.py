"""Networks: Neuron, Layer and MLP, under micrograd's names."""

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
    """A neuron: `activation(x · weight + bias)`, a single number.

    Args:
        nin: the number of inputs.
        activation: a name in `ACTIVATIONS`, or a function of a Value.
        init: a name in `INITIALIZERS`, or a function `(rng, nin, 1) -> array` of shape (nin, 1). With
            "uniform" weight and bias are uniform in [-1, 1]; otherwise the bias is 0.
        rng: a seed or a NumPy Generator. The weight is drawn first, then the bias.
        dtype: the dtype of the parameters, `weight` (nin,) and `bias` ().

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
        """Compute one number for each row of `x`, a Value, an array or a list: shape (..., nin) to (...)."""
        return _apply_layer(self, x)

    def __repr__(self) -> str:
        return _as_call(self, self.weight.size, dtype=self.weight.dtype, activation=self.activation)


class Layer(Module):
    """A layer of neurons, computed by one matmul: `activation(x @ weight + bias)`.

    Args:
        nin: the number of inputs.
        nout: the number of outputs.
        activation: a name in `ACTIVATIONS`, or a function of a Value.
        init: a name in `INITIALIZERS`, or a function `(rng, nin, nout) -> array` of shape (nin, nout). With
            "uniform" weight and bias are uniform in [-1, 1]; otherwise the bias is 0.
        rng: a seed or a NumPy Generator. The weight is drawn first, row by row, then the bias.
        dtype: the dtype of the parameters, `weight` (nin, nout) and `bias` (nout,).

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
        """Compute the outputs, always with an axis of their own: shape (..., nin) to (..., nout)."""
        return _apply_layer(self, x)

    def __call__(self, x: Any) -> Value:
        """Compute the outputs as `outputs` does, but without the axis of a single one: (..., nin) to (...)."""
        return _without_single_axis(self.outputs(x))

    def __repr__(self) -> str:
        return _as_call(self, *self.weight.shape, dtype=self.weight.dtype, activation=self.activation)


class MLP(Module):
    """A multi-layer perceptron: a sequence of layers. The default activation of all, including the last, is tanh.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons of each layer.
        activation: the activation of every layer, a name in `ACTIVATIONS` or a function of a Value.
        output_activation: the activation of the last layer. By default, that of all layers.
        init: the initializer of weights and biases, as for `Layer`.
        rng: a seed or a NumPy Generator. The first layer is drawn first; in each the weight, then the bias.
        dtype: the dtype of the parameters, `layers.0.weight`, `layers.0.bias`, `layers.1.weight` and so on.

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
        """Compute the outputs of the last layer: shape (..., nin) to (..., nouts[-1]), or (...) if that is 1."""
        for layer in self.layers:
            x = layer.outputs(x)
        return _without_single_axis(x)

    def __repr__(self) -> str:
        first, last = self.layers[0], self.layers[-1]
        options = {"activation": first.activation, "output_activation": last.activation}
        if last.activation == first.activation:
            del options["output_activation"]
        nouts = [layer.bias.size for layer in self.layers]
        return _as_call(self, first.weight.shape[0], nouts, dtype=first.weight.dtype, **options)


def _apply_layer(layer: Neuron | Layer, x: Any) -> Value:
    weight = layer.weight
    check_plain(x, "the input")
    x = array_of(x, weight.dtype)
    nin = weight.shape[0]
    if x.shape[-1:] != (nin,):
        takes = f"{type(layer).__name__} takes {nin} {'number' if nin == 1 else 'numbers'}"
        raise ValueError(f"{takes} on the last axis, but got shape {x.shape}")
    activation = lookup("activation", layer.activation, ACTIVATIONS)
    return activation(RULES["matmul"](x, weight) + layer.bias)  # type: ignore[no-any-return]


def _without_single_axis(y: Value) -> Value:
    """Remove the last axis if it has length 1."""
    return y.reshape(y.shape[:-1]) if y.shape[-1] == 1 else y


def _as_argument(x: Any) -> str:
    """Format an option as an argument; functions by name."""
    return getattr(x, "__name__", repr(x)) if callable(x) else repr(x)


def _as_call(module: Module, *sizes: Any, dtype: np.dtype[Any], **options: Any) -> str:
    """Format a module as the call that makes a similar one. The dtype is left out if it is float64."""
    keywords = [f"{name}={_as_argument(option)}" for name, option in options.items()]
    keywords += [f"dtype={dtype}"] if dtype != np.float64 else []
    return f"{type(module).__name__}({', '.join([*map(str, sizes), *keywords])})"
