"""Faults of the library: losses, layers, initial weights, and how parameters are found, saved and loaded.

The table knows the library's functions. With a wrong one training still works, only worse. The table does not know
which checks notice it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ndgrad import MLP, Layer, Module, Value, cross_entropy, hinge
from ndgrad.library import ACTIVATIONS, INITIALIZERS
from ndgrad.library.initial import _normal, _uniform, sample_parameters
from ndgrad.library.inputs import array_of, holds_values
from ndgrad.library.losses import _pair, _reduced
from ndgrad.library.modules import _children, _parameters_in, _read, _write
from ndgrad.library.network import _apply_layer, _without_single_axis
from ndgrad.rules import RULES, Rule
from reference.mutation.faults.steps import writes_unnoticed
from reference.mutation.planting import Change, Fault, around, entry, function, method, plain

Right = Callable[..., Any]

# Losses.

_DEAF = Rule(np.positive, lambda g, y, x: np.ones_like(g), numpy=())  # uses only the shape of its cotangent
_DEAF.__name__ = "loss"


def _first_of(g: Any) -> Any:
    """Return the first number of a cotangent in every place."""
    return g.reshape(-1)[:1].reshape((1,) * g.ndim) + g * 0


def _is_labels(given: Any) -> bool:
    return not holds_values(given) and np.asarray(given).dtype.kind in "iu"


def _deaf_of_labels(right: Right) -> Right:
    def loss(logits: Any, labels: Any, **options: Any) -> Any:
        made = right(logits, labels, **options)
        return _DEAF(made) if _is_labels(labels) else made

    return loss


def _as_if_one(right: Right) -> Right:
    """Use the slope p - y for probabilities y and p = softmax(logits), which is right only if y sums to 1."""

    def loss(logits: Any, labels: Any, *, reduction: str = "mean") -> Any:
        made = right(logits, labels, reduction=reduction)
        if _is_labels(labels):
            return made
        logits, y = _pair("", array_of(logits, np.dtype(np.float64)), "", labels)
        short = RULES["logsumexp"](logits, axis=-1) - RULES["sum"](y * logits, axis=-1)
        short = _reduced(short, reduction)
        return short + plain(made - short)

    return loss


def _rows_averaged(right: Right) -> Right:
    def reduced(losses: Any, reduction: str) -> Any:
        if reduction != "mean" or not losses.ndim:
            return right(losses, reduction)
        return RULES["sum"](losses) / len(losses)

    return reduced


def _broadcast(right: Right) -> Right:
    def pair(name_a: str, a: Any, name_b: str, b: Any) -> tuple[Any, Any]:
        first = array_of(a, np.dtype(np.float64))
        second = array_of(b, first.dtype)
        return (first, second) if 1 in (*first.shape, *second.shape) else right(name_a, a, name_b, b)

    return pair


def _constant_target(right: Right) -> Right:
    def pair(*given: Any) -> tuple[Any, Any]:
        a, b = right(*given)
        return a, plain(b)

    return pair


def _halved_at_the_margin(right: Right) -> Right:
    def loss(score: Any, target: Any, *, reduction: str = "mean") -> Any:
        right(score, target, reduction=reduction)  # raises the right one's errors
        score, target = _pair("score", score, "target", plain(target))
        return _reduced(RULES["maximum"](1 - target * score, 0.0), reduction)

    return loss


# Layers.


def _with_options(**changes: Callable[[Any], Any]) -> Change:
    """Make a network with other options, each computed from the given one."""

    def change(right: Right) -> Right:
        def made(net: MLP, *args: Any, **options: Any) -> None:
            right(net, *args, **{**options, **{name: of(options.get(name)) for name, of in changes.items()}})

        return made

    return change


def _last_but_one(right: Right) -> Right:
    def made(net: MLP, nin: int, nouts: Any, activation: Any = "tanh", **options: Any) -> None:
        right(net, nin, nouts, activation, **options)
        if options.get("output_activation") is not None:
            net.layers[-1].activation = activation
            net.layers[max(len(nouts) - 2, 0)].activation = options["output_activation"]

    return made


def _redrawn(right: Right) -> Right:
    def made(net: MLP, *args: Any, **options: Any) -> None:
        right(net, *args, **options)
        if not isinstance(options.get("rng"), np.random.Generator):
            sampling = {name: option for name, option in options.items() if not name.endswith("activation")}
            for i, layer in enumerate(net.layers):
                nin, nout = layer.weight.shape
                net.layers[i] = Layer(nin, nout, layer.activation, **sampling)

    return made


def _with_bias(changed: Callable[[Any, Any], Any]) -> Change:
    """Compute a layer with another bias, `changed(bias, input)`."""

    def change(right: Right) -> Right:
        def activated(layer: Any, x: Any) -> Any:
            other = copy.copy(layer)
            vars(other)["bias"] = changed(layer.bias, x)
            return right(other, x)

        return activated

    return change


def _along_rows(bias: Any, x: Any) -> Any:
    return bias.reshape((-1, 1)) if array_of(x, bias.dtype).shape[:-1] == bias.shape != () else bias


def _constant_input(right: Right) -> Right:
    return lambda layer, x: right(layer, x.detach() if isinstance(x, Value) and not x._prev else x)


# Initial weights.


def _bias_first(right: Right) -> Right:
    def weights(nin: int, nout: int, init: Any, rng: Any, dtype: Any) -> tuple[Any, Any]:
        rng = np.random.default_rng(rng)
        first = rng.uniform(-1.0, 1.0, nout) if init == "uniform" else np.zeros(nout)
        weight, bias = right(nin, nout, INITIALIZERS.get(init, init) if isinstance(init, str) else init, rng, dtype)
        return weight, first.astype(bias.dtype)

    return weights


def _bias_always(right: Right) -> Right:
    def weights(nin: int, nout: int, init: Any, rng: Any, dtype: Any) -> tuple[Any, Any]:
        rng = np.random.default_rng(rng)
        weight, bias = right(nin, nout, init, rng, dtype)
        return weight, bias if init == "uniform" else rng.uniform(-1.0, 1.0, nout).astype(bias.dtype)

    return weights


def _in_double(right: Right) -> Right:
    def weights(nin: int, nout: int, init: Any, rng: Any, dtype: Any) -> tuple[Any, Any]:
        return right(nin, nout, init, rng, np.float64 if np.dtype(dtype).kind == "f" else dtype)  # type: ignore[no-any-return]

    return weights


# Parameters: found, saved, loaded.


def _not_found(is_lost: Callable[[Any, tuple[str, ...]], bool]) -> Change:
    """Do not find parameters for which `is_lost(parameter, path)` is true."""

    def change(right: Right) -> Right:
        def found(place: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[Any]:
            return iter(()) if isinstance(place, Value) and is_lost(place, path) else right(place, path, seen)

        return found

    return change


def _not_searched(kind: type) -> Change:
    return lambda right: lambda place: iter(()) if isinstance(place, kind) else right(place)


def _refound(right: Right) -> Right:
    return lambda place, path, seen: right(place, path, set() if isinstance(place, Value) else seen)


def _dtypes_loaded(right: Right) -> Right:
    def load(module: Module, path: Any) -> None:
        right(module, path)
        arrays = _read(path)
        for name, parameter in module.named_parameters().items():
            parameter._array = arrays[name]

    return load


def _unnoticed_load(right: Right) -> Right:
    def load(module: Module, path: Any) -> None:
        with writes_unnoticed(module.parameters()):
            right(module, path)

    return load


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                        what is wrong                                                                   source                          rows
    #     its plant

    # Losses.
    Fault("b158-deaf",                "cross_entropy ignores its cotangent: half of it has the slope of all of it",   "aprender#2182",                (),
          function(cross_entropy, _deaf_of_labels)),
    Fault("b158-first",               "cross_entropy uses the first number of the cotangent for all",                 "microsoft/DirectML#739",       (),
          around("label_cross_entropy", 0, lambda right: lambda g, *args, **options: right(_first_of(g), *args, **options))),
    Fault("b159-cross-entropy",       "the pullback assumes that the probabilities sum to 1",                         "tensorflow/tensorflow#60314",  (),
          function(cross_entropy, _as_if_one)),
    Fault("b165-losses",              "a loss per example ignores its cotangent",                                     "chainer/chainer@023b0a6",      (),
          function(_reduced, lambda right: lambda losses, reduction: _DEAF(losses) if reduction == "none" else right(losses, reduction))),
    Fault("loss-mean-of-rows",        "the mean is over the first axis only, and the others are summed",              "ours",                         (),
          function(_reduced, _rows_averaged)),
    Fault("loss-sum-averaged",        'reduction="sum" gives the mean',                                               "ours",                         (),
          function(_reduced, lambda right: lambda losses, reduction: right(losses, "mean" if reduction == "sum" else reduction))),
    Fault("loss-broadcast",           "shapes that differ by an axis of length 1 are broadcast instead of refused",   "folklore",                     (),
          function(_pair, _broadcast)),
    Fault("loss-target-constant",     "a target that is a Value gets no gradient",                                    "ours",                         (),
          function(_pair, _constant_target)),
    Fault("hinge-at-the-margin",      "the slope at the margin is a half, though it is documented as 0",              "ours",                         (),
          function(hinge, _halved_at_the_margin)),

    # Layers.
    Fault("b227-linear",              "the last layer is linear, though tanh was chosen for all",                     "karpathy/micrograd",           (),
          method(MLP, "__init__", _with_options(output_activation=lambda given: given or "linear"))),
    Fault("b227-activated",           "the last layer has the activation of the hidden layers",                       "karpathy/micrograd",           (),
          method(MLP, "__init__", _with_options(output_activation=lambda given: None))),
    Fault("b227-off-by-one",          "the last layer but one has the activation of the last",                        "karpathy/micrograd",           (),
          method(MLP, "__init__", _last_but_one)),
    Fault("layer-bias-left-out",      "there is no bias",                                                             "folklore",                     (),
          function(_apply_layer, _with_bias(lambda bias, x: np.zeros(bias.shape, bias.dtype)))),
    Fault("layer-bias-constant",      "the bias gets no gradient",                                                    "ours",                         (),
          function(_apply_layer, _with_bias(lambda bias, x: bias.data))),
    Fault("layer-bias-along-rows",    "if there are as many examples as neurons, the bias is added per example",      "ours",                         (),
          function(_apply_layer, _with_bias(_along_rows))),
    Fault("layer-input-constant",     "an input that is a leaf gets no gradient",                                     "ours",                         (),
          function(_apply_layer, _constant_input)),
    Fault("layer-output-squeezed",    "a batch of one loses its axis",                                                "ours",                         (),
          function(_without_single_axis, lambda right: lambda y: y.squeeze())),
    Fault("layer-leaky-relu",         '"leaky_relu" is relu',                                                         "ours",                         (),
          entry(ACTIVATIONS, "leaky_relu", RULES["relu"])),

    # Initial weights.
    Fault("b224-fans",                "kaiming_uniform uses the number of outputs: right for square layers",          "denizyuret/Knet.jl#311",       (),
          entry(INITIALIZERS, "kaiming_uniform", lambda rng, nin, nout: rng.uniform(-1, 1, (nin, nout)) * (3 * 2 / nout) ** 0.5)),
    Fault("b224-bound",               "xavier_uniform uses the standard deviation as the bound",                      "LBANN/lbann#316",              (),
          entry(INITIALIZERS, "xavier_uniform", lambda rng, nin, nout: rng.uniform(-1, 1, (nin, nout)) * (2 / (nin + nout)) ** 0.5)),
    Fault("b224-variance",            "normal weights have the variance as their standard deviation",                 "NVIDIA/Megatron-LM#814",       (),
          function(_normal, lambda right: lambda rng, nin, nout, std: right(rng, nin, nout, std**2))),
    Fault("b224-normal",              "uniform weights are normal, with the same standard deviation",                 "keras-team/keras#2252",        (),
          function(_uniform, lambda right: lambda rng, nin, nout, bound: rng.normal(0.0, bound / 3**0.5, (nin, nout)))),
    Fault("b224-mean",                "uniform weights are all above 0",                                              "keras-team/keras#11773",       (),
          function(_uniform, lambda right: lambda rng, nin, nout, bound: rng.uniform(0.0, bound, (nin, nout)))),
    Fault("b226-bias-first",          "the bias is drawn before the weight",                                          "neetcode#5808",                (),
          function(sample_parameters, _bias_first)),
    Fault("init-by-columns",          "weights are drawn neuron by neuron, not row by row",                           "ours",                         (),
          function(_uniform, lambda right: lambda rng, nin, nout, bound: right(rng, nout, nin, bound).T)),
    Fault("init-alike",               "each layer draws from the seed again, so that equal layers are alike",         "ours",                         (),
          method(MLP, "__init__", _redrawn)),
    Fault("init-bias-drawn",          "the bias is random for every scheme of the weights",                           "ours",                         (),
          function(sample_parameters, _bias_always)),
    Fault("init-double",              "dtype has no effect",                                                          "ours",                         (),
          function(sample_parameters, _in_double)),

    # Parameters: found, saved, loaded.
    Fault("parameters-deep-lost",     "parameters nested deeper than in a list of layers are not found",              "ours",                         (),
          function(_parameters_in, _not_found(lambda parameter, path: len(path) >= 4))),
    Fault("parameters-tuples-lost",   "tuples are not searched for parameters",                                       "ours",                         (),
          function(_children, _not_searched(tuple))),
    Fault("parameters-dicts-lost",    "dicts are not searched for parameters",                                        "ours",                         (),
          function(_children, _not_searched(dict))),
    Fault("parameters-tied-twice",    "a parameter that two layers share is listed twice",                            "ours",                         (),
          function(_parameters_in, _refound)),
    Fault("parameters-frozen-lost",   "parameters that require no gradient are not listed or saved",                  "ours",                         (),
          function(_parameters_in, _not_found(lambda parameter, path: not parameter.requires_grad))),
    Fault("saved-single",             "parameters are saved in single precision",                                     "ours",                         (),
          function(_write, lambda right: lambda file, arrays: right(file, {name: np.float32(x) for name, x in arrays.items()}))),
    Fault("loaded-as-saved",          "parameters take on the dtype of the file",                                     "ours",                         (),
          method(Module, "load", _dtypes_loaded)),
    Fault("loaded-unnoticed",         "loading goes unnoticed: a later backward pass is silently wrong",              "ours",                         (),
          method(Module, "load", _unnoticed_load)),
)
# fmt: on
