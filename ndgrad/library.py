"""A small neural-network library: Neuron, Layer and MLP under micrograd's names, and three losses.

It knows how parameters are drawn, found, saved and loaded, and what networks and losses compute. How
gradients arise, and how an optimizer uses them, it does not know.
"""

from __future__ import annotations

import operator
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ndgrad.engine import Value
from ndgrad.files import whole
from ndgrad.rules import RULES
from ndgrad.rules.plain import check_plain

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Activation: TypeAlias = Callable[[Any], Any]
Initializer: TypeAlias = "Callable[[np.random.Generator, int, int], Any]"  # numpy.random is loaded when it is used
Seed: TypeAlias = "int | np.random.Generator | None"
Choice = TypeVar("Choice", bound=Callable[..., Any])


# Modules: whatever has parameters.


class Module:
    """Whatever has parameters: the leaf Values among its attributes, and those of the Modules among them.

    Lists, tuples and dicts of Values and Modules are searched as well. Frozen parameters, those with
    `requires_grad=False`, count too; the recorded results of ops do not. What is found in several places
    counts once, under the first name:

        class Residual(Module):
            def __init__(self, width):
                self.inner = [Layer(width, width), Layer(width, width)]
                self.scale = Value(np.ones(width))

            def __call__(self, x):
                return x + self.scale * self.inner[1](self.inner[0](x))

    has the parameters `inner.0.weight`, `inner.0.bias`, `inner.1.weight`, `inner.1.bias` and `scale`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse an array in place of a parameter, which would then be none, and not be trained."""
        if _is_parameter(vars(self).get(name)) and not isinstance(value, Value) and value is not None:
            raise TypeError(
                f"{name} is a parameter, and cannot become a {type(value).__name__}: assign numbers to {name}.data"
            )
        super().__setattr__(name, value)

    def named_parameters(self) -> dict[str, Value]:
        """Give the parameters by name, such as `layers.0.weight`, in the order in which they were assigned.

        Raises:
            ValueError: two parameters have the same name, as `{1: a, "1": b}` would give them.
        """
        found: dict[str, Value] = {}
        for name, parameter in _found_in(self, (), set()):
            if name in found:
                raise ValueError(f"two parameters have the name {name!r}: rename an attribute or a key")
            found[name] = parameter
        return found

    def parameters(self) -> list[Value]:
        """Give the parameters, each once, in the order of `named_parameters`."""
        return list(self.named_parameters().values())

    def zero_grad(self) -> None:
        """Make the gradient of every parameter missing, as it is before the first `backward`."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to an .npz file of exactly this name: one array for each, under its name.

        Whoever reads the path meanwhile, or after an error, finds the old file or the new one, never a half. A pipe or
        a character device is written to.

        Raises:
            OSError: the path cannot be written, or is a directory, a socket or a block device.
        """
        with whole(path) as file:
            _write(file, {name: parameter.data for name, parameter in self.named_parameters().items()})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the parameters from a file that `save` wrote. Each keeps its dtype. An error changes nothing.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no .npz file; or its names, shapes or kinds of dtype are not the parameters'.
        """
        parameters = self.named_parameters()
        arrays = _read(path)
        misfits = "".join(f"\n  {misfit}" for misfit in _misfits(arrays, parameters))
        if misfits:
            raise ValueError(f"{os.fspath(path)} does not fit this {type(self).__name__}:{misfits}")
        fitting = {name: arrays[name].astype(parameter.dtype) for name, parameter in parameters.items()}
        for name, parameter in parameters.items():
            parameter.data = fitting[name]


def _found_in(place: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, Value]]:
    """Walk what can hold parameters. Each object is entered once: shared ones count once, and circles end."""
    if id(place) in seen:
        return
    seen.add(id(place))
    if _is_parameter(place):
        yield ".".join(path), place
    for name, inner in _contents(place):
        yield from _found_in(inner, (*path, name), seen)


def _is_parameter(thing: Any) -> bool:
    """Whether it is a leaf, and not the result of an op."""
    return isinstance(thing, Value) and not thing._prev  # noqa: SLF001 - which says so


def _contents(place: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(place, Module):
        yield from vars(place).items()
    elif isinstance(place, dict):
        yield from ((str(key), inner) for key, inner in place.items())
    elif isinstance(place, (list, tuple)):
        yield from ((str(i), inner) for i, inner in enumerate(place))


def _write(file: Any, arrays: Mapping[str, Array]) -> None:
    """Write what `numpy.savez` would, whatever the names: it takes `file` for an argument of its own."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _read(path: str | os.PathLike[str]) -> dict[str, Array]:
    """All arrays of an .npz file. Nothing in it is unpickled, for a pickle may run anything."""
    with Path(path).open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return {name: np.asarray(array) for name, array in archive.items()}
        except Exception as error:  # damaged bytes raise whatever NumPy, zipfile and zlib happen to meet
            raise ValueError(f"{os.fspath(path)} is not an .npz file of numbers, or is damaged") from error


def _misfits(arrays: Mapping[str, Array], parameters: Mapping[str, Value]) -> Iterator[str]:
    """Each difference between what a file has and what is wanted, in a sentence."""
    for name in sorted(arrays.keys() - parameters.keys()):
        yield f"the file has {name}, which the module does not have"
    for name, parameter in parameters.items():
        if name not in arrays:
            yield f"the module wants {name}, which the file does not have"
            continue
        array = arrays[name]
        if array.shape != parameter.shape:
            yield f"{name} has shape {array.shape} in the file, but the module wants {parameter.shape}"
        if array.dtype.kind != "f":
            yield f"{name} has dtype {array.dtype} in the file, but the module wants {parameter.dtype}"


# What a layer is made from: activations and initial weights, by name or as functions.

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


def _chosen(what: str, choice: str | Choice, table: Mapping[str, Choice]) -> Choice:
    """The function that a choice means: itself, or the one of that name."""
    if callable(choice):
        return choice
    if not isinstance(choice, str) or choice not in table:
        raise ValueError(f"{what} must be a function or one of {', '.join(table)}, but is {choice!r}")
    return table[choice]


def _drawn(nin: int, nout: int, init: str | Initializer, rng: Seed, dtype: np.typing.DTypeLike) -> tuple[Array, Array]:
    """The weights, (nin, nout), and then the biases, (nout,), of a layer, drawn as float64, then cast."""
    nin, nout, dtype = _count("nin", nin), _count("nout", nout), _float_dtype(dtype)
    rng = np.random.default_rng(rng)
    given = _chosen("init", init, INITIALIZERS)(rng, nin, nout)
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


def _array(x: Any, dtype: np.dtype[Any]) -> Any:
    """An input: Values and arrays of floats as they are, Values in lists stacked, the rest as `dtype`."""
    if isinstance(x, Value) or (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
        return x
    if _holds_values(x):
        return RULES["stack"]([_array(inner, dtype) for inner in x])
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"an input must be real numbers, but got dtype {array.dtype}")
    return array.astype(dtype)


def _holds_values(x: Any) -> bool:
    return isinstance(x, Value) or (isinstance(x, (list, tuple)) and any(map(_holds_values, x)))


def _shown(x: Any) -> str:
    """An option as it would be written: functions by their name."""
    return getattr(x, "__name__", repr(x)) if callable(x) else repr(x)


def _described(module: Module, *sizes: Any, dtype: np.dtype[Any], **options: Any) -> str:
    """A module as a call that would make one like it. Float64 goes without saying."""
    named = [f"{name}={_shown(option)}" for name, option in options.items()]
    named += [f"dtype={dtype}"] if dtype != np.float64 else []
    return f"{type(module).__name__}({', '.join([*map(str, sizes), *named])})"


# The network.


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
        _chosen("activation", activation, ACTIVATIONS)
        weight, bias = _drawn(nin, 1, init, rng, dtype)
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
        _chosen("activation", activation, ACTIVATIONS)
        weight, bias = _drawn(nin, nout, init, rng, dtype)
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
            Layer(*sizes, chosen, init=init, rng=rng, dtype=dtype)
            for sizes, chosen in zip(pairwise([nin, *nouts]), activations, strict=True)
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
    x = _array(x, weight.dtype)
    nin = weight.shape[0]
    if x.shape[-1:] != (nin,):
        takes = f"{type(layer).__name__} takes {nin} {'number' if nin == 1 else 'numbers'}"
        raise ValueError(f"{takes} on the last axis, but got shape {x.shape}")
    activation = _chosen("activation", layer.activation, ACTIVATIONS)
    return activation(RULES["matmul"](x, weight) + layer.bias)  # type: ignore[no-any-return]


def _alone(y: Value) -> Value:
    """Without the last axis, where it has length 1."""
    return y.reshape(y.shape[:-1]) if y.shape[-1] == 1 else y


# Losses: how far predictions are from what they should be.


def mean_squared_error(prediction: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Square the differences: `(prediction - target) ** 2`, as PyTorch's `mse_loss`.

    Args:
        prediction: a Value, an array, or numbers or Values in lists.
        target: the same, and of the same shape. If it is a Value, the gradient flows into it as well.
        reduction: "mean" or "sum" over all numbers, or "none": a loss for each.

    Raises:
        ValueError: the shapes differ; or `reduction` is none of these.
    """
    prediction, target = _pair("prediction", prediction, "target", target)
    return _reduced(RULES["square"](prediction - target), reduction)


def hinge(score: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Charge what a score lacks of being 1 on the right side: `max(0, 1 - target * score)`.

    At its kink it has slope 0, as `relu` has. The loss of a support-vector machine (Cortes and Vapnik 1995).

    Args:
        score: a Value, an array, or numbers or Values in lists.
        target: -1 or 1 for each score, in the same shape.
        reduction: "mean" or "sum" over all scores, or "none": a loss for each.

    Raises:
        ValueError: the shapes differ; a target is neither -1 nor 1; or `reduction` is none of these.
    """
    score, target = _pair("score", score, "target", _plain(target))
    strange = target[np.abs(target) != 1]
    if strange.size:
        raise ValueError(f"targets of the hinge loss are -1 and 1, but one is {strange[0]}")
    return _reduced(RULES["relu"](1 - target * score), reduction)


def cross_entropy(logits: Any, labels: Any, *, reduction: str = "mean") -> Any:
    """Charge the negative logarithm of the probability that `softmax(logits)` gives to what is right.

    As PyTorch's `cross_entropy`, but always with the classes on the last axis.

    Args:
        logits: scores of shape (..., classes): a Value, an array, or numbers or Values in lists.
        labels: the right class for each, integers from 0 on, of shape (...); or a probability of each class,
            floats of the logits' shape.
        reduction: "mean" or "sum" over all but the axis of classes, or "none": a loss for each.

    Raises:
        ValueError: a shape is not as above; a label is no class; or `reduction` is none of these.
        TypeError: labels are neither integers nor floats.
    """
    check_plain(logits, "logits")
    check_plain(labels, "labels")
    logits = _array(logits, np.dtype(np.float64))
    if not logits.ndim:
        raise ValueError("logits must have an axis of classes, but are a single number")
    given = labels
    if not isinstance(labels, Value) and not _holds_values(labels):
        labels = np.asarray(labels)
        if labels.dtype.kind in "iu":
            return _reduced(RULES["label_cross_entropy"](logits, labels), reduction)
        if labels.dtype.kind != "f":
            raise TypeError(f"labels must be integers, or probabilities, but have dtype {labels.dtype}")
    # As they were given: numbers in lists take the logits' dtype, which those of an array do not.
    _, probabilities = _pair("logits", logits, "label probabilities (floats)", given)
    return _reduced(-RULES["sum"](probabilities * RULES["log_softmax"](logits), axis=-1), reduction)


def _pair(name_a: str, a: Any, name_b: str, b: Any) -> tuple[Any, Any]:
    """Two inputs of one shape. Nothing is broadcast: that would compare each number with many, in silence."""
    check_plain(a, name_a)
    check_plain(b, name_b)
    a = _array(a, np.dtype(np.float64))
    b = _array(b, a.dtype)
    if a.shape != b.shape:
        raise ValueError(f"{name_a} and {name_b} must have the same shape, but have {a.shape} and {b.shape}")
    return a, b


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, Value) else x


def _reduced(losses: Any, reduction: str) -> Any:
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', but is {reduction!r}")
    return RULES[reduction](losses)
