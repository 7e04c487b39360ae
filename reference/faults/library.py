"""Faults of what stands on the engine: optimizers, losses, layers, initial weights, and how parameters are kept.

It knows how the library is written, and that training goes on with a wrong one, only worse. Who finds out, it does not know.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ndgrad import MLP, Module, Value, cross_entropy, hinge, library, optim
from ndgrad.library import ACTIVATIONS, INITIALIZERS
from ndgrad.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from ndgrad.rules import RULES, Rule
from reference.faults.planting import Fault, Plant, attribute, body, edited, entry, setter, together

# Pieces of the library that several faults change.
_BUFFER = 'self.momentum * state["momentum_buffer"] + (1 - self.dampening) * g'
_NESTEROV = "g + self.momentum * b if"
_ROOT = """\
denominator = np.sqrt(v)
    denominator /= (1 - beta2**t) ** 0.5
    denominator += self.eps
"""
_COUNTED = 't = int(state.get("step", 0)) + 1'
_LABELLED = 'return _reduced(RULES["label_cross_entropy"](logits, labels), reduction)'
_AFFINE = 'activation(RULES["matmul"](x, weight) + layer.bias)'

# Momentum that is worked out where it is kept.
_IN_PLACE = edited(SGD, "_moved", (f"b = {_BUFFER}", 'b = state["momentum_buffer"]\n        b[...] = ' + _BUFFER))

# For probabilities y and p = softmax(logits): the value as it is, and the slope p - y, which is right if y sums to 1.
_AS_IF_ONE = """\
right = -RULES["sum"](probabilities * RULES["log_softmax"](logits), axis=-1)
    short = RULES["logsumexp"](logits, axis=-1) - RULES["sum"](probabilities * logits, axis=-1)
    return _reduced(short + _plain(right - short), reduction)"""


def _heeding(name: str, heard: Any) -> Plant:
    """Give the library a function that leaves numbers as they are, and hears of its cotangent what `heard` gives."""
    rule = Rule(np.positive, lambda g, y, x: heard(g), numpy=())
    rule.__name__ = "loss"
    return attribute(library, name, rule)


def _first_of(g: Any) -> Any:
    """The first number of a cotangent, in every place."""
    return g.reshape(-1)[:1].reshape((1,) * g.ndim) + g * 0


# fmt: off
FAULTS: tuple[Fault, ...] = (
    #     name                        what is wrong                                                                   source                          rows
    #     how it is planted

    # SGD.
    Fault("b204-sgd",                 "without momentum there is no weight decay",                                    "ml-explore/mlx#440",           (),
          edited(SGD, "_moved", ("moved = self.lr * g\n", "moved = self.lr * (g - self.weight_decay * p)\n"))),
    Fault("b205-dampened",            "the first gradient is dampened, too",                                          "ml-explore/mlx#473",           (),
          edited(SGD, "_moved", ("b = g.copy()", "b = (1 - self.dampening) * g"))),
    Fault("b205-averaged",            "momentum is a running average: gradients count by 1 - momentum",               "ml-explore/mlx#87",            (),
          edited(SGD, "_moved", ("(1 - self.dampening) * g", "(1 - self.momentum) * g"))),
    Fault("b206-old-buffer",          "nesterov looks ahead along the sum before this step",                          "PaddlePaddle/Paddle#12231",    (),
          edited(SGD, "_moved", (_NESTEROV, 'g + self.momentum * state.get("momentum_buffer", 0.0 * g) if'))),
    Fault("b206-sign",                "nesterov looks back",                                                          "oysteijo/simd_neuralnet#17",   (),
          edited(SGD, "_moved", (_NESTEROV, "g - self.momentum * b if"))),
    Fault("b208-sgd",                 "the sum of gradients begins as the very array of the first one",               "pytorch/pytorch#194664",       (),
          edited(SGD, "_moved", ("b = g.copy()", "b = g"))),
    Fault("sgd-dampening-lost",       "dampening has no effect",                                                      "ours",                         (),
          edited(SGD, "_moved", ("(1 - self.dampening) * g", "g"))),
    Fault("sgd-rate-in-buffer",       "the sum is of gradients times their rate, which shows when the rate changes",  "ours",                         (),
          edited(SGD, "_moved", ("(1 - self.dampening) * g", "self.lr * (1 - self.dampening) * g"), ("b = g.copy()", "b = self.lr * g"),
                                ("self.lr * (g + self.momentum * b if self.nesterov else b)", "(self.lr * g + self.momentum * b if self.nesterov else b)"))),

    # Adam and AdamW.
    Fault("b211-late",                "bias is corrected as if one step more had been made",                          "tensorflow/tensorflow#35444",  (),
          edited(Adam, "_adapted", ("1 - beta1**t", "1 - beta1 ** (t + 1)"), ("1 - beta2**t", "1 - beta2 ** (t + 1)"))),
    Fault("b211-shared",              "all parameters count on one counter: right for the first of them",             "clab/dynet#77",                (),
          edited(Adam, "_adapted", (_COUNTED, 't = self._steps = getattr(self, "_steps", 0) + 1'))),
    Fault("b212-adam",                "a parameter counts the steps of all, those without a gradient of its own too", "InfiniTensor/InfiniTrain#235", (),
          edited(Adam, "_adapted", (_COUNTED, 't = max(int(s.get("step", 0)) for s in self.state) + 1'))),
    Fault("b213-square",              "the second moment is the average of the gradients' sizes, not their squares",  "pennylane#1929",               (),
          edited(Adam, "_adapted", ("v = (1 - beta2) * g ", "v = (1 - beta2) * np.sign(g) "))),
    Fault("b213-sign",                "the step goes uphill",                                                         "pytorch/pytorch#11678",        (),
          edited(Adam, "_adapted", ("return p - moved", "return p + moved"))),
    Fault("b214-adamw",               "AdamW's weight decay is added to the gradient, as Adam's is",                  "aiqm/torchani#261",            (),
          edited(AdamW, "_moved", ("p * (1 - self.lr * self.weight_decay), -g if self.maximize else g, state", "p, self._gradient(p, g), state"))),
    Fault("b214-adam",                "Adam's weight decay is decoupled, as AdamW's is",                              "folklore",                     (),
          edited(Adam, "_moved", ("p, self._gradient(p, g), state", "p * (1 - self.lr * self.weight_decay), -g if self.maximize else g, state"))),
    Fault("adam-eps-in-the-root",     "eps is added inside the root",                                                 "ours",                         (),
          edited(Adam, "_adapted", (_ROOT, "denominator = np.sqrt(v / (1 - beta2**t) + self.eps)\n"))),
    Fault("adam-eps-corrected",       "eps is added before the bias is corrected",                                    "ours",                         (),
          edited(Adam, "_adapted", (_ROOT, "denominator = (np.sqrt(v) + self.eps) / (1 - beta2**t) ** 0.5\n"))),
    Fault("adam-first-uncorrected",   "the bias of the first moment is not corrected",                                "ours",                         (),
          edited(Adam, "_adapted", ("self.lr / (1 - beta1**t) * m", "self.lr * m"))),
    Fault("adam-second-uncorrected",  "the bias of the second moment is not corrected",                               "ours",                         (),
          edited(Adam, "_adapted", (_ROOT, "denominator = np.sqrt(v) + self.eps\n"))),
    Fault("amsgrad-corrected",        "the largest is taken of second moments whose bias is corrected",               "ours",                         (),
          edited(Adam, "_adapted", ('state.get("max_exp_avg_sq", 0.0), v)', 'state.get("max_exp_avg_sq", 0.0), v / (1 - beta2**t))\n        v = v * (1 - beta2**t)'))),
    Fault("amsgrad-forgets",          "the largest is taken of the last two second moments only",                     "ours",                         (),
          edited(Adam, "_adapted", ('state["max_exp_avg_sq"] = v = np.maximum(state.get("max_exp_avg_sq", 0.0), v)',
                                    'state["max_exp_avg_sq"], v = v, np.maximum(state.get("max_exp_avg_sq", 0.0), v)'))),
    Fault("adamw-decay-late",         "the parameter shrinks after the step, and the step with it",                   "ours",                         (),
          edited(AdamW, "_moved", ("return self._adapted(p * (1 - self.lr * self.weight_decay), -g if self.maximize else g, state)",
                                   "p, state = self._adapted(p, -g if self.maximize else g, state)\n    return p * (1 - self.lr * self.weight_decay), state"))),
    Fault("adamw-decay-unrated",      "weight decay does not depend on the learning rate",                            "ours",                         (),
          edited(AdamW, "_moved", ("1 - self.lr * self.weight_decay", "1 - self.weight_decay"))),
    Fault("adamw-always-down",        "maximize has no effect",                                                       "ours",                         (),
          edited(AdamW, "_moved", ("-g if self.maximize else g", "g"))),

    # RMSprop.
    Fault("rmsprop-eps-in-the-root",  "eps is added inside the root",                                                 "ours",                         (),
          edited(RMSprop, "_moved", ("np.sqrt(s) + self.eps", "np.sqrt(s + self.eps)"))),
    Fault("rmsprop-center-unsquared", "the average gradient is taken off, not its square",                            "ours",                         (),
          edited(RMSprop, "_moved", ("s = s - a * a", "s = np.maximum(s - np.abs(a), 0.0)"))),
    Fault("rmsprop-alpha-exchanged",  "alpha says how much of a new gradient counts, not how much of the old ones",   "ours",                         (),
          edited(RMSprop, "_moved", ('self.alpha * state.get("square_avg", 0.0) + (1 - self.alpha)', '(1 - self.alpha) * state.get("square_avg", 0.0) + self.alpha'))),
    Fault("rmsprop-begins-at-1",      "the average of squares begins as 1",                                           "folklore",                     (),
          edited(RMSprop, "_moved", ('state.get("square_avg", 0.0)', 'state.get("square_avg", 1.0)'))),
    Fault("rmsprop-rate-in-buffer",   "the sum is of steps times their rate, which shows when the rate changes",      "ours",                         (),
          edited(RMSprop, "_moved", ("+ g / denominator", "+ self.lr * g / denominator"), ("return p - self.lr * b, state", "return p - b, state"))),

    # What all optimizers do.
    Fault("b176-optimizer",           "the learning rate is a NumPy number, and makes double of single precision",    "folklore",                     (),
          together(edited(optim, "_number", ("return float(array)", "return np.float64(array)")),
                   setter(Value, "data", ("new.astype(self._array.dtype)", "new.copy()")))),
    Fault("b216-optimizer",           "a step ends at the first parameter without a gradient",                        "oreilly/dezero@1b84c15",       (),
          edited(Optimizer, "step", ("if p.has_grad]", "if p.has_grad and all(q.has_grad for q in self.params[:i])]"))),
    Fault("b218-optimizer",           "parameters from a generator are found but once",                               "folklore",                     (),
          edited(optim, "_parameters", ("    distinct = list(", '    if hasattr(params, "__next__"):\n        return params\n    distinct = list('))),
    Fault("b219-optimizer",           "a parameter that comes twice moves twice",                                     "folklore",                     (),
          together(edited(optim, "_parameters", ("list({id(p): p for p in params}.values())", "list(params)")),
                   edited(Optimizer, "step", ("moved = [self._moved(*_data_and_grad(self.params[i]), self.state[i]) for i in moving]",
                                              "moved = (self._moved(*_data_and_grad(self.params[i]), self.state[i]) for i in moving)")))),
    Fault("b222-optimizer",           "zero_grad reaches the first parameter alone",                                  "torchforge#71",                (),
          edited(Optimizer, "zero_grad", ("in self.params:", "in self.params[:1]:"))),
    Fault("b222-module",              "a module's zero_grad reaches the first parameter alone",                       "DAB-DETR#58",                  (),
          edited(Module, "zero_grad", ("self.parameters():", "self.parameters()[:1]:"))),
    Fault("step-missing-as-0",        "a missing gradient is taken for 0: momentum and weight decay go on",           "ours",                         (),
          edited(Optimizer, "step", ("if p.has_grad]", "]"))),
    Fault("step-unnoticed",           "a step writes behind the graph's back: a pass back after it is wrong",         "ours",                         (),
          edited(Optimizer, "step", ("self.params[i].data = data", "self.params[i]._array = data"))),
    Fault("decay-into-gradient",      "weight decay is added to the parameter's own gradient, in place",              "ours",                         (),
          edited(Optimizer, "_gradient", ("return g + self.weight_decay * p if self.weight_decay else g",
                                          "if self.weight_decay:\n        g += self.weight_decay * p\n    return g"))),
    Fault("decay-maximized",          "maximize turns the penalty round, too",                                        "ours",                         (),
          edited(Optimizer, "_gradient", ("g = -g if self.maximize else g\n    return g + self.weight_decay * p if self.weight_decay else g",
                                          "g = g + self.weight_decay * p\n    return -g if self.maximize else g"))),
    Fault("rate-never-changes",       "hyperparameters stay as they were first set",                                  "ours",                         (),
          edited(type(vars(Optimizer)["lr"]), "__set__", ("optimizer.hyperparameters[self._name] = self._checked(self._name, given)",
                                                          "optimizer.hyperparameters.setdefault(self._name, self._checked(self._name, given))"))),
    Fault("state-given-shared",       "state_dict gives the buffers themselves, and later steps write into them",     "ours",                         (),
          together(edited(Optimizer, "state_dict", ("np.array(x)", "np.asarray(x)")), _IN_PLACE)),
    Fault("state-loaded-shared",      "what is loaded is not copied, and later steps write into it",                  "ours",                         (),
          together(edited(optim, "_buffer", ("array.astype(int if counts else p.dtype)", "array.astype(int if counts else p.dtype, copy=False)")), _IN_PLACE)),
    Fault("state-loaded-half",        "hyperparameters are not loaded",                                               "ours",                         (),
          edited(Optimizer, "load_state_dict", ("self.hyperparameters, self.state = loaded.hyperparameters, loaded.state", "self.state = loaded.state"))),
    Fault("state-loaded-at-0",        "the count of steps begins again when state is loaded",                         "ours",                         (),
          edited(optim, "_buffer", ("return array.astype(int if counts else p.dtype)", "return np.array(0) if counts else array.astype(p.dtype)"))),

    # Losses.
    Fault("b158-deaf",                "cross_entropy does not multiply by the cotangent: a half of it has its slope", "aprender#2182",                (),
          together(_heeding("_deaf", np.ones_like), body(cross_entropy, (_LABELLED, _LABELLED.replace("_reduced(", "_deaf(_reduced(") + ")")))),
    Fault("b158-first",               "cross_entropy reads the first number of the cotangent for all",                "microsoft/DirectML#739",       (),
          together(_heeding("_heard", _first_of), body(cross_entropy, (_LABELLED, _LABELLED.replace("RULES", "_heard(RULES").replace(", reduction", "), reduction"))))),
    Fault("b159-cross-entropy",       "the way back takes it that probabilities sum to 1",                            "tensorflow/tensorflow#60314",  (),
          body(cross_entropy, ('return _reduced(-RULES["sum"](probabilities * RULES["log_softmax"](logits), axis=-1), reduction)', _AS_IF_ONE))),
    Fault("b165-losses",              "a loss for each example does not multiply by the cotangent",                   "chainer/chainer@023b0a6",      (),
          together(_heeding("_deaf", np.ones_like), edited(library, "_reduced", ("return losses\n", "return _deaf(losses)\n")))),
    Fault("loss-mean-of-rows",        "the mean is over the first axis, and a sum over the others",                   "ours",                         (),
          edited(library, "_reduced", ("return RULES[reduction](losses)",
                                       'return RULES["sum"](losses) / (len(losses) if reduction == "mean" and losses.ndim else 1)'))),
    Fault("loss-sum-averaged",        'reduction="sum" gives the mean',                                               "ours",                         (),
          edited(library, "_reduced", ("RULES[reduction]", 'RULES["mean"]'))),
    Fault("loss-broadcast",           "shapes that differ by an axis of length 1 are broadcast, and not refused",     "folklore",                     (),
          edited(library, "_pair", ("if a.shape != b.shape:", "if a.shape != b.shape and 1 not in (*a.shape, *b.shape):"))),
    Fault("loss-target-constant",     "no gradient reaches a target that is a Value",                                 "ours",                         (),
          edited(library, "_pair", ("b = _array(b, a.dtype)", "b = _array(_plain(b), a.dtype)"))),
    Fault("hinge-at-the-margin",      "the slope at the margin is a half, though it is said to be 0",                 "ours",                         (),
          body(hinge, ('RULES["relu"](1 - target * score)', 'RULES["maximum"](1 - target * score, 0.0)'))),

    # Layers.
    Fault("b227-linear",              "the last layer is linear, though tanh was asked for in all",                   "karpathy/micrograd",           (),
          edited(MLP, "__init__", ("if output_activation is not None:\n        activations[-1] = output_activation",
                                   'activations[-1] = output_activation or "linear"'))),
    Fault("b227-activated",           "the last layer has the activation of the others",                              "karpathy/micrograd",           (),
          edited(MLP, "__init__", ("activations[-1] = output_activation", "pass"))),
    Fault("b227-off-by-one",          "the last layer but one has the activation of the last",                        "karpathy/micrograd",           (),
          edited(MLP, "__init__", ("activations[-1] = output_activation", "activations[max(len(nouts) - 2, 0)] = output_activation"))),
    Fault("layer-bias-left-out",      "there is no bias",                                                             "folklore",                     (),
          edited(library, "_activated", (_AFFINE, "activation(x @ weight)"))),
    Fault("layer-bias-constant",      "no gradient reaches the bias",                                                 "ours",                         (),
          edited(library, "_activated", (_AFFINE, "activation(x @ weight + layer.bias.data)"))),
    Fault("layer-bias-along-rows",    "where there are as many examples as neurons, each example gets a bias",        "ours",                         (),
          edited(library, "_activated", (_AFFINE, "activation(x @ weight + (layer.bias.reshape((-1, 1)) if x.shape[:-1] == layer.bias.shape != () else layer.bias))"))),
    Fault("layer-input-constant",     "no gradient reaches an input that no op made",                                 "ours",                         (),
          edited(library, "_activated", ("x = _array(x, weight.dtype)", "x = _array(x, weight.dtype)\n    x = x.detach() if isinstance(x, Value) and not x._prev else x"))),
    Fault("layer-output-squeezed",    "a batch of one loses its axis",                                                "ours",                         (),
          edited(library, "_alone", ("y.reshape(y.shape[:-1]) if y.shape[-1] == 1 else y", "y.squeeze()"))),
    Fault("layer-leaky-relu",         '"leaky_relu" is relu',                                                         "ours",                         (),
          entry(ACTIVATIONS, "leaky_relu", RULES["relu"])),

    # Initial weights.
    Fault("b224-fans",                "kaiming_uniform goes by the number of outputs: right for square layers",       "denizyuret/Knet.jl#311",       (),
          entry(INITIALIZERS, "kaiming_uniform", lambda rng, nin, nout: rng.uniform(-1, 1, (nin, nout)) * (3 * 2 / nout) ** 0.5)),
    Fault("b224-bound",               "xavier_uniform takes the standard deviation for the bound",                    "LBANN/lbann#316",              (),
          entry(INITIALIZERS, "xavier_uniform", lambda rng, nin, nout: rng.uniform(-1, 1, (nin, nout)) * (2 / (nin + nout)) ** 0.5)),
    Fault("b224-variance",            "normal weights have the variance for a standard deviation",                    "NVIDIA/Megatron-LM#814",       (),
          edited(library, "_normal", ("0.0, std,", "0.0, std**2,"))),
    Fault("b224-normal",              "uniform weights are normal ones, of their standard deviation",                 "keras-team/keras#2252",        (),
          edited(library, "_uniform", ("rng.uniform(-bound, bound,", "rng.normal(0.0, bound / 3**0.5,"))),
    Fault("b224-mean",                "uniform weights are all above 0",                                              "keras-team/keras#11773",       (),
          edited(library, "_uniform", ("-bound, bound,", "0.0, bound,"))),
    Fault("b226-bias-first",          "the bias is drawn before the weight",                                          "neetcode#5808",                (),
          edited(library, "_drawn", ("rng = np.random.default_rng(rng)\n", 'rng = np.random.default_rng(rng)\n    first = rng.uniform(-1.0, 1.0, nout) if init == "uniform" else np.zeros(nout)\n'),
                                    ('bias = rng.uniform(-1.0, 1.0, nout) if init == "uniform" else np.zeros(nout)', "bias = first"))),
    Fault("init-by-columns",          "weights are drawn neuron by neuron, not row by row",                           "ours",                         (),
          edited(library, "_uniform", ("(nin, nout))", "(nout, nin)).T"))),
    Fault("init-alike",               "each layer draws from the seed anew, so that equal layers are alike",          "ours",                         (),
          edited(MLP, "__init__", ("    rng = np.random.default_rng(rng)\n", ""))),
    Fault("init-bias-drawn",          "the bias is drawn, whatever the weights are drawn by",                         "ours",                         (),
          edited(library, "_drawn", (' if init == "uniform" else np.zeros(nout)', ""))),
    Fault("init-double",              "dtype has no effect",                                                          "ours",                         (),
          edited(library, "_drawn", ("return weight.astype(dtype), bias.astype(dtype)", "return weight, bias"))),

    # Parameters: found, saved, loaded.
    Fault("parameters-deep-lost",     "parameters that lie deeper than in a list of layers are not found",            "ours",                         (),
          edited(library, "_found_in", ("if _is_parameter(place):", "if _is_parameter(place) and len(path) < 4:"))),
    Fault("parameters-tuples-lost",   "tuples are not searched for parameters",                                       "ours",                         (),
          edited(library, "_contents", ("(list, tuple)", "list"))),
    Fault("parameters-dicts-lost",    "dicts are not searched for parameters",                                        "ours",                         (),
          edited(library, "_contents", ("elif isinstance(place, dict):", "elif isinstance(place, dict) and False:"))),
    Fault("parameters-tied-twice",    "a parameter that two layers share is listed twice",                            "ours",                         (),
          edited(library, "_found_in", ("if id(place) in seen:", "if id(place) in seen and not isinstance(place, Value):"))),
    Fault("parameters-frozen-lost",   "parameters that want no gradient are not listed, nor saved",                   "ours",                         (),
          edited(library, "_found_in", ("if _is_parameter(place):", "if _is_parameter(place) and place.requires_grad:"))),
    Fault("saved-single",             "parameters are saved in single precision",                                     "ours",                         (),
          edited(library, "_write", ("write_array(entry, array,", "write_array(entry, np.float32(array),"))),
    Fault("loaded-as-saved",          "parameters take the dtype of the file",                                        "ours",                         (),
          edited(Module, "load", ("arrays[name].astype(parameter.dtype)", "arrays[name]"), ("parameter.data = fitting[name]", "parameter._array = fitting[name]"))),
    Fault("loaded-unnoticed",         "loading writes behind the graph's back: a pass back after it is wrong",        "ours",                         (),
          edited(Module, "load", ("parameter.data = fitting[name]", "parameter._array = fitting[name]"))),
)
# fmt: on
