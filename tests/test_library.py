"""Networks and losses agree with PyTorch's; initial weights have the right statistics; damaged files are errors."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ndgrad import Value, no_grad
from ndgrad.library import (
    ACTIVATIONS,
    INITIALIZERS,
    MLP,
    Layer,
    Module,
    Neuron,
    cross_entropy,
    hinge,
    mean_squared_error,
)
from ndgrad.optim import Adam

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

# Tolerances, relative to the largest number of an array: about 450 and 84 ULP, since sums have another order
# than PyTorch's. If digits cancel in a gradient, as in 1 - tanh(x)**2, the scale is given.
TOLERANCE = {np.dtype(np.float64): 1e-13, np.dtype(np.float32): 1e-5}

XS = [[2.0, 3.0, -1.0], [3.0, -1.0, 0.5], [0.5, 1.0, 1.0], [1.0, 1.0, -1.0]]
YS = [1.0, -1.0, -1.0, 1.0]


def same(actual: Array, expected: Any, scale: float = 0.0) -> None:
    """Assert that an array agrees with PyTorch's up to rounding of its largest number, or of `scale`."""
    if isinstance(expected, torch.Tensor):
        expected = expected.detach().numpy()
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    largest = np.max(np.abs(expected), initial=scale)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[expected.dtype] * largest)


def tensors(module: Module) -> dict[str, torch.Tensor]:
    """Copy a module's parameters to PyTorch."""
    return {name: torch.tensor(p.data, requires_grad=True) for name, p in module.named_parameters().items()}


def backward(y: torch.Tensor, cotangent: Array | None = None) -> None:
    """Run PyTorch's backward pass, which has no type annotations."""
    y.backward(None if cotangent is None else torch.tensor(cotangent))  # type: ignore[no-untyped-call]


# The article.


def test_the_article() -> None:
    """The article's program runs as written, and each of its 20 steps agrees with PyTorch."""
    xs, ys = XS, YS
    n = MLP(3, [4, 4, 1])
    for _ in range(20):
        ypred = [n(x) for x in xs]
        loss = sum((yout - ygt) ** 2 for ygt, yout in zip(ys, ypred, strict=True))
        for p in n.parameters():
            p.grad = 0.0
        assert isinstance(loss, Value)
        loss.backward()
        expected = _torch_step(n)
        for p in n.parameters():
            p.data += -0.5 * p.grad
        for p, t in zip(n.parameters(), expected, strict=True):
            same(p.data, t, scale=100.0)  # 30,000 such steps of parameters about 1 differed by 2e-14 at most


def _torch_step(n: MLP) -> list[torch.Tensor]:
    """Take the same step in PyTorch."""
    twins = tensors(n)
    y = torch.tensor(XS, dtype=torch.float64)
    for i in range(3):
        y = torch.tanh(y @ twins[f"layers.{i}.weight"] + twins[f"layers.{i}.bias"])
    backward(((y[:, 0] - torch.tensor(YS)) ** 2).sum())
    return [t - 0.5 * t.grad for t in twins.values() if t.grad is not None]


@pytest.mark.parametrize("seed", range(10))
def test_the_article_learns(seed: int) -> None:
    """With a learning rate of 0.05, which is stable, the loss halves in 20 steps."""
    n = MLP(3, [4, 4, 1], rng=seed)
    losses = []
    for _ in range(20):
        loss = mean_squared_error([n(x) for x in XS], YS, reduction="sum")
        n.zero_grad()
        loss.backward()
        for p in n.parameters():
            p.data += -0.05 * p.grad
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_a_training_run_is_pytorchs() -> None:
    """A classifier trained by Adam has PyTorch's loss at each step, and its parameters at the end."""
    rng = np.random.default_rng(3)
    n = MLP(5, [8, 3], "relu", output_activation="linear", init="kaiming_uniform", rng=rng)
    ours = Adam(n.parameters(), lr=0.05)
    twins = tensors(n)
    theirs = torch.optim.Adam(twins.values(), lr=0.05, foreach=False)
    for _ in range(10):
        x, labels = rng.normal(size=(16, 5)), rng.integers(0, 3, 16)
        loss = cross_entropy(n(x), labels)
        hidden = torch.relu(torch.tensor(x) @ twins["layers.0.weight"] + twins["layers.0.bias"])
        logits = hidden @ twins["layers.1.weight"] + twins["layers.1.bias"]
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
        same(loss.data, expected)
        ours.zero_grad()
        theirs.zero_grad()
        loss.backward()
        backward(expected)
        ours.step()
        theirs.step()
    for p, t in zip(n.parameters(), twins.values(), strict=True):
        same(p.data, t, scale=1.0)


# Networks.

TORCH_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu": torch.nn.functional.leaky_relu,
    "sigmoid": torch.sigmoid,
    "softplus": torch.nn.functional.softplus,
    "linear": lambda x: x,
}


def test_every_activation_is_compared() -> None:
    """Each activation has a counterpart in PyTorch above, and no others are listed."""
    assert ACTIVATIONS.keys() == TORCH_ACTIVATIONS.keys()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch", [(), (4,), (2, 4), (0,)])
@pytest.mark.parametrize("activation", TORCH_ACTIVATIONS)
def test_a_layer_is_pytorchs(activation: str, batch: tuple[int, ...], dtype: Any) -> None:
    """Outputs and all gradients of a layer agree with PyTorch's, for any leading axes."""
    rng = np.random.default_rng(1)
    layer = Layer(3, 5, activation, rng=rng, dtype=dtype)
    x = Value(rng.normal(size=(*batch, 3)).astype(dtype))
    cotangent = rng.normal(size=(*batch, 5)).astype(dtype)
    tx = torch.tensor(x.data, requires_grad=True)
    weight, bias = tensors(layer).values()
    expected = TORCH_ACTIVATIONS[activation](torch.nn.functional.linear(tx, weight.T, bias))
    y = layer(x)
    same(y.data, expected)
    y.backward(cotangent)
    backward(expected, cotangent)
    for p, t in zip([x, layer.weight, layer.bias], [tx, weight, bias], strict=True):
        same(p.grad, t.grad)


@pytest.mark.parametrize("batch", [(), (4,), (2, 4)])
def test_a_neuron_is_a_layer_of_one(batch: tuple[int, ...]) -> None:
    """A neuron has the outputs and gradients of a layer of one neuron, without its axis."""
    neuron, layer = Neuron(3, rng=7), Layer(3, 1, rng=7)
    x = np.random.default_rng(1).normal(size=(*batch, 3))
    y, expected = neuron(x), layer(x)
    assert y.shape == expected.shape == batch
    np.testing.assert_allclose(y.data, expected.data, rtol=1e-14)
    cotangent = np.random.default_rng(2).normal(size=batch)
    y.backward(cotangent)
    expected.backward(cotangent)
    np.testing.assert_allclose(neuron.weight.grad, layer.weight.grad[:, 0], rtol=1e-14)
    np.testing.assert_allclose(neuron.bias.grad, layer.bias.grad[0], rtol=1e-14)


@pytest.mark.parametrize("output", [None, "linear", "sigmoid"])
def test_every_layer_of_an_mlp_has_its_activation(output: str | None) -> None:
    """Hidden layers have the activation, and the last one has the output activation, by default the same."""
    n = MLP(2, [3, 4, 2], "relu", output_activation=output, rng=4)
    x = np.random.default_rng(1).normal(size=(6, 2))
    y = torch.tensor(x)
    twins = tensors(n)
    for i, activation in enumerate(["relu", "relu", output or "relu"]):
        y = TORCH_ACTIVATIONS[activation](y @ twins[f"layers.{i}.weight"] + twins[f"layers.{i}.bias"])
    same(n(x).data, y)


def test_the_articles_network() -> None:
    """MLP(3, [4, 4, 1]) has 41 numbers in 6 arrays, and returns one number for each row, a tanh."""
    n = MLP(3, [4, 4, 1])
    assert sum(p.size for p in n.parameters()) == 41
    assert {name: p.shape for name, p in n.named_parameters().items()} == {
        "layers.0.weight": (3, 4), "layers.0.bias": (4,), "layers.1.weight": (4, 4), "layers.1.bias": (4,),
        "layers.2.weight": (4, 1), "layers.2.bias": (1,),
    }  # fmt: skip
    assert n([2.0, 3.0, -1.0]).shape == ()
    assert n(XS).shape == (4,)
    assert n(np.zeros((2, 5, 3))).shape == (2, 5)
    for p in n.parameters():
        p.data = np.full(p.shape, 9.0)
    assert n([2.0, 3.0, -1.0]).data == 1.0


def test_a_hidden_layer_of_one() -> None:
    """A single neuron between layers keeps its axis; only a single output loses it."""
    assert MLP(2, [1, 3])([1.0, 2.0]).shape == (3,)
    assert MLP(2, [1, 3])([[1.0, 2.0]]).shape == (1, 3)
    assert Layer(2, 1)([[1.0, 2.0]]).shape == (1,)
    assert Layer(2, 1).outputs([[1.0, 2.0]]).shape == (1, 1)


def test_functions_as_activations() -> None:
    """An activation may be any function of a Value."""
    layer = Layer(2, 3, lambda x: x.sin() * 2, rng=1)
    plain = Layer(2, 3, "linear", rng=1)
    np.testing.assert_array_equal(layer([1, 2]).data, np.sin(plain([1, 2]).data) * 2)


ROWS = [[2, 3, -1], [3, -1, 0]]
INPUTS: dict[str, Any] = {
    "lists of ints": ROWS,
    "tuples of floats": tuple(tuple(float(x) for x in row) for row in ROWS),
    "array of ints": np.array(ROWS),
    "array of floats": np.array(ROWS, np.float32),
    "list of arrays": [np.array(row, np.int8) for row in ROWS],
    "Value": Value(np.array(ROWS, np.float32)),
    "list of Values": [Value(np.array(row, np.float32)) for row in ROWS],
    "Values and numbers": [[Value(np.float32(row[0])), row[1], np.int64(row[2])] for row in ROWS],
    "Values and rows": [Value(np.array(ROWS[0], np.float32)), ROWS[1]],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", INPUTS)
def test_inputs_of_every_kind(kind: str, dtype: Any) -> None:
    """Inputs of all types with the same numbers give the same outputs, in the network's dtype."""
    n = MLP(3, [4, 2], rng=1, dtype=dtype)
    y = n(INPUTS[kind])
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.data, n(np.array(ROWS, dtype)).data)


def test_booleans_are_numbers() -> None:
    """True counts as 1, in lists and arrays."""
    layer = Layer(2, 2, rng=1)
    expected = layer([1.0, 0.0]).data.tolist()
    assert layer([True, False]).data.tolist() == expected
    assert layer(np.array([True, False])).data.tolist() == expected


def test_gradients_flow_into_inputs() -> None:
    """A Value as input gets its gradient, also in a list."""
    n = MLP(3, [4, 1], rng=1)
    whole, parts = Value([2.0, 3.0, -1.0]), [Value(2.0), Value(3.0), -1.0]
    n(whole).backward()
    n(parts).backward()
    assert np.all(whole.grad != 0)
    assert [p.grad.item() for p in parts if isinstance(p, Value)] == whole.grad.tolist()[:2]


@pytest.mark.parametrize("n", [Neuron(3), Layer(3, 2), MLP(3, [2, 1])], ids=repr)
@pytest.mark.parametrize(("x", "shape"), [([1.0] * 4, (4,)), (np.zeros((3, 2)), (3, 2)), (5.0, ()), ([], (0,))])
def test_a_wrong_last_axis(n: Any, x: Any, shape: tuple[int, ...]) -> None:
    """An input of another length is an error with both lengths."""
    with pytest.raises(ValueError, match=r"takes 3 numbers on the last axis, but got shape " + re.escape(str(shape))):
        n(x)


def test_the_error_of_a_wrong_last_axis_names_the_class() -> None:
    """The error names the class, and has the right plural."""
    with pytest.raises(ValueError, match=r"^Layer takes 3 numbers on the last axis, but got shape \(4,\)$"):
        Layer(3, 2)([1.0] * 4)
    with pytest.raises(ValueError, match=r"^Neuron takes 1 number on the last axis, but got shape \(2,\)$"):
        Neuron(1)([1.0] * 2)


@pytest.mark.parametrize("x", ["abc", ["1", "2", "3"], [None, 1, 2], np.zeros(3, complex)], ids=repr)
def test_inputs_that_are_no_numbers(x: Any) -> None:
    """Strings, None and complex numbers are errors."""
    with pytest.raises(TypeError, match="an input must be real numbers, but got dtype"):
        Layer(3, 2)(x)


# Construction.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Neuron(0), "nin must be a whole number from 1 on, but is 0"),
        (lambda: Layer(-1, 2), "nin must be a whole number from 1 on, but is -1"),
        (lambda: Layer(2, 0), "nout must be a whole number from 1 on, but is 0"),
        (lambda: Layer(2, 2.0), "nout must be a whole number from 1 on, but is 2.0"),  # type: ignore[arg-type]
        (lambda: Layer(2, True), "nout must be a whole number from 1 on, but is True"),  # noqa: FBT003
        (lambda: MLP(3, [4, 0]), "nout must be a whole number from 1 on, but is 0"),
        (lambda: MLP(3, []), "nouts must list each layer's neurons, as [4, 4, 1] does, but is []"),
        (lambda: MLP(3, 4), "nouts must list each layer's neurons, as [4, 4, 1] does, but is 4"),  # type: ignore[arg-type]
        (
            lambda: MLP(3, [4], "rellu"),
            "must be a function or one of tanh, relu, leaky_relu, sigmoid, softplus, linear, but is 'rellu'",
        ),
        (lambda: Layer(3, 4, init=[]), "init must be a function or one of uniform"),  # type: ignore[arg-type]
        (lambda: Neuron(3, None), "activation must be a function or one of tanh"),  # type: ignore[arg-type]
        (lambda: MLP(3, [4], output_activation="soft"), "linear, but is 'soft'"),
        (
            lambda: Layer(3, 4, init="kaiming"),
            "uniform, xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, but is 'kaiming'",
        ),
        (
            lambda: Layer(3, 4, init=lambda rng, nin, nout: rng.normal(size=(nout, nin))),
            "init must give an array of shape (3, 4), but gave shape (4, 3)",
        ),
        (lambda: Layer(3, 4, dtype=np.int64), "dtype must be of floats, but is int64"),
    ],
)
def test_wrong_arguments(make: Callable[[], Module], message: str) -> None:
    """Wrong arguments are errors at construction, which say what was given and what was expected."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared below
        make()
    assert message in str(error.value)


def test_reprs() -> None:
    """`repr` shows how to make a similar module."""
    assert repr(Neuron(3)) == "Neuron(3, activation='tanh')"
    assert repr(Layer(3, 4, "relu")) == "Layer(3, 4, activation='relu')"
    assert repr(MLP(3, [4, 4, 1])) == "MLP(3, [4, 4, 1], activation='tanh')"
    assert repr(MLP(3, (4, 1), "relu", output_activation="linear", dtype=np.float32)) == (
        "MLP(3, [4, 1], activation='relu', output_activation='linear', dtype=float32)"
    )
    assert repr(Neuron(2, np.tanh)) == "Neuron(2, activation=tanh)"


@pytest.mark.parametrize("make", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_copies(make: Callable[[MLP], MLP]) -> None:
    """A copy computes the same with its own parameters, and still shares those that were shared."""
    n = MLP(3, [3, 3], rng=1)
    n.layers[1].weight = n.layers[0].weight
    twin = make(n)
    np.testing.assert_array_equal(twin(XS).data, n(XS).data)
    assert twin.layers[1].weight is twin.layers[0].weight is not n.layers[0].weight
    assert repr(twin) == repr(n)


# Initial weights.

NIN, NOUT = 200, 50
# The standard deviation of a statistic over the 10,000 draws is 1 % of the spread for the mean, 0.7 % for the
# deviation of a normal distribution and 1.6 % for its fourth moment: the tolerance is four of each.


def moments(x: Array) -> Array:
    """Return mean by spread, spread, and fourth moment by spread: about 1.8 if uniform, about 3 if normal."""
    return np.array([x.mean() / x.std(), x.std(), np.mean((x - x.mean()) ** 4) / x.std() ** 4])


@pytest.mark.parametrize("init", [name for name in INITIALIZERS if name != "uniform"])
def test_schemes_are_pytorchs(init: str) -> None:
    """Weights have the mean, the spread and the distribution of torch.nn.init; biases are 0."""
    layer = Layer(NIN, NOUT, init=init, rng=11)
    theirs = torch.empty(NOUT, NIN, dtype=torch.float64)  # outputs first: fan_in is the second axis
    getattr(torch.nn.init, f"{init}_")(theirs, generator=torch.Generator().manual_seed(1))
    (mean, spread, fourth), (_, expected_spread, expected_fourth) = (
        moments(layer.weight.data),
        moments(theirs.numpy()),
    )
    assert abs(mean) < 0.04
    assert spread == pytest.approx(expected_spread, rel=0.03)
    assert fourth == pytest.approx(expected_fourth, rel=0.1)
    assert layer.bias.data.tolist() == [0.0] * NOUT


@pytest.mark.parametrize(
    ("init", "bound"),
    [("uniform", 1), ("xavier_uniform", np.sqrt(6 / (NIN + NOUT))), ("kaiming_uniform", np.sqrt(6 / NIN))],
)
def test_uniform_weights_fill_their_range(init: str, bound: float) -> None:
    """Uniform weights come within a thousandth of the range of both bounds, and never exceed them."""
    weight = Layer(NIN, NOUT, init=init, rng=11).weight.data
    assert -bound <= weight.min() < -0.998 * bound
    assert bound >= weight.max() > 0.998 * bound
    assert moments(weight) == pytest.approx([0, bound / np.sqrt(3), 1.8], abs=0.04)


@pytest.mark.parametrize("make", [lambda rng: Layer(1, 5_000, rng=rng), lambda rng: Neuron(5_000, rng=rng)])
def test_default_parameters_are_uniform(make: Callable[[int], Layer | Neuron]) -> None:
    """Weights and biases of a layer, and weights of a neuron, are uniform in [-1, 1] by default."""
    layer = make(11)
    for p in layer.parameters():
        if p.size > 1:
            assert p.data.min() >= -1
            assert p.data.max() <= 1
            assert moments(p.data) == pytest.approx([0, 1 / np.sqrt(3), 1.8], abs=0.05)


def test_draws_come_in_the_documented_order() -> None:
    """The first layer is drawn first; in each layer the weight, row by row, and then the bias."""
    rng = np.random.default_rng(5)
    n = MLP(2, [3, 4], rng=5)
    for (nin, nout), layer in zip(pairwise([2, 3, 4]), n.layers, strict=True):
        expected = [[rng.uniform(-1, 1) for _ in range(nout)] for _ in range(nin)]
        assert layer.weight.data.tolist() == expected
        assert layer.bias.data.tolist() == [rng.uniform(-1, 1) for _ in range(nout)]


def test_seeds() -> None:
    """A seed repeats, a Generator continues, and without either each network is different."""
    rng = np.random.default_rng(5)
    seeded, again, from_generator, next_from_generator, free, other = (
        MLP(2, [3], rng=given).layers[0].weight.data.tolist() for given in (5, 5, rng, rng, None, None)
    )
    assert seeded == again == from_generator
    assert seeded != next_from_generator
    assert free != other


def test_a_float32_network_is_a_rounded_one() -> None:
    """The same seed gives the same network in both dtypes, up to rounding to float32."""
    for p, q in zip(MLP(2, [3], rng=5).parameters(), MLP(2, [3], rng=5, dtype="float32").parameters(), strict=True):
        assert q.dtype == np.float32
        assert p.data.astype(np.float32).tolist() == q.data.tolist()


def test_functions_as_initializers() -> None:
    """A function of a Generator and two sizes returns the weights of layers and neurons. Their biases are 0."""
    n = MLP(2, [3, 1], init=lambda _, nin, nout: np.full((nin, nout), nin / nout), rng=1)
    assert n.layers[0].weight.data.tolist() == [[2 / 3] * 3] * 2
    assert n.layers[1].weight.data.tolist() == [[3.0]] * 3
    assert all(layer.bias.data.tolist() == [0.0] * layer.bias.size for layer in n.layers)
    assert Neuron(2, init=lambda *_: [[1], [2]]).weight.data.tolist() == [1.0, 2.0]


# Parameters.


class Tower(Module):
    """A module with parameters in every place that is searched."""

    def __init__(self) -> None:
        self.scale = Value([1.0])
        self.blocks = [Layer(2, 2, rng=1), (Neuron(2, rng=2), {"inner": Layer(2, 1, rng=3)})]
        self.name = "tower"
        self.frozen = Value([2.0], requires_grad=False)
        self.tied = self.scale
        self.latest = self.scale * 2
        self.itself = self


def test_named_parameters() -> None:
    """Parameters are found in attributes, lists, tuples and dicts, once and in order. Results are not parameters."""
    tower = Tower()
    found = tower.named_parameters()
    assert list(found) == [
        "scale", "blocks.0.weight", "blocks.0.bias", "blocks.1.0.weight", "blocks.1.0.bias",
        "blocks.1.1.inner.weight", "blocks.1.1.inner.bias", "frozen",
    ]  # fmt: skip
    assert found["scale"] is tower.scale
    assert tower.parameters() == list(found.values())


def test_equal_parameters_are_not_shared_ones() -> None:
    """Parameters with equal numbers are distinct: only the same object counts once."""
    n = MLP(2, [2, 2], init=lambda _, nin, nout: np.ones((nin, nout)))
    assert len(n.parameters()) == 4
    n.layers[1] = n.layers[0]
    assert len(n.parameters()) == 2


def test_two_parameters_of_one_name() -> None:
    """Two keys with the same text are an error, since a parameter would be lost."""
    tower = Tower()
    tower.blocks = [{1: Value(1.0), "1": Value(2.0)}]
    with pytest.raises(ValueError, match=r"two parameters have the name 'blocks\.0\.1'"):
        tower.parameters()


def test_zero_grad() -> None:
    """zero_grad removes every gradient, so that the next one is not added to it."""
    n = MLP(3, [4, 1], rng=1)
    n(XS).backward()
    once = [p.grad.copy() for p in n.parameters()]
    n.zero_grad()
    assert not any(p.has_grad for p in n.parameters())
    n(XS).backward()
    assert [p.grad.tolist() for p in n.parameters()] == [g.tolist() for g in once]


# Files.


@pytest.mark.parametrize("name", ["net.npz", "net", "net.weights", "ünd 1.npz"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_saved_and_loaded(tmp_path: Path, name: str, dtype: Any) -> None:
    """Parameters are restored bitwise from a file with exactly the given name, and no other file is written."""
    n, other = MLP(3, [4, 1], rng=1, dtype=dtype), MLP(3, [4, 1], rng=2, dtype=dtype)
    n.save(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == [tmp_path / name]
    other.load(tmp_path / name)
    assert {k: p.data.tolist() for k, p in other.named_parameters().items()} == {
        k: p.data.tolist() for k, p in n.named_parameters().items()
    }
    assert all(p.dtype == dtype for p in other.parameters())


def test_a_parameter_is_not_replaced_by_an_array() -> None:
    """To assign an array to a parameter is an error, since it would not be trained. Its data can be assigned."""
    layer: Any = Layer(2, 3)
    with pytest.raises(TypeError, match=r"weight is a parameter, and cannot become a ndarray: .* to weight\.data"):
        layer.weight = np.ones((2, 3))
    assert len(layer.parameters()) == 2
    layer.weight = Value(np.ones((2, 3)))
    layer.latest = layer(np.ones(2))  # a result is not a parameter
    layer.latest = 0.0
    layer.bias = None
    assert len(layer.parameters()) == 1


def test_files_are_numpys(tmp_path: Path) -> None:
    """np.load reads the file: one array for each parameter, under its name, even if that is `file`."""
    n = Tower()
    n.file = Value([[1.0, 2.0]])
    n.save(tmp_path / "tower.npz")
    with np.load(tmp_path / "tower.npz", allow_pickle=False) as file:
        assert file.files == list(n.named_parameters())
        assert file["file"].tolist() == [[1.0, 2.0]]


def test_loading_converts_floats(tmp_path: Path) -> None:
    """A float32 network reads a float64 file, and stays float32."""
    MLP(3, [1], rng=1).save(tmp_path / "net")
    n = MLP(3, [1], rng=2, dtype=np.float32)
    n.load(tmp_path / "net")
    assert [p.data.tolist() for p in n.parameters()] == [
        p.data.tolist() for p in MLP(3, [1], rng=1, dtype=np.float32).parameters()
    ]


def test_the_engine_notices_a_load(tmp_path: Path) -> None:
    """A graph that reads the parameters from before a load raises an error after it."""
    n = MLP(3, [4, 1], rng=1)
    n.save(tmp_path / "net")
    y = n([1.0, 2.0, 3.0])
    n.load(tmp_path / "net")
    with pytest.raises(RuntimeError, match="changed after it was used"):
        y.backward()


def test_saving_replaces_the_file(tmp_path: Path) -> None:
    """A second save replaces the first, and through a link the file that it points to."""
    (tmp_path / "link").symlink_to(tmp_path / "net")
    MLP(3, [4, 1]).save(tmp_path / "net")
    n = MLP(2, [1], rng=1)
    n.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    with np.load(tmp_path / "net") as file:
        assert file["layers.0.weight"].tolist() == n.layers[0].weight.data.tolist()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full after the first array, the old file is unchanged, and no other is left behind."""
    n = MLP(3, [4, 1], rng=1)
    n.save(tmp_path / "net")
    before = (tmp_path / "net").read_bytes()
    write = np.lib.format.write_array
    written: list[tuple[int, ...]] = []

    def fail(file: Any, array: Array, **options: Any) -> None:
        if written:
            raise OSError("no space left on device")
        write(file, array, **options)
        written.append(array.shape)

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="no space left"):
        MLP(3, [4, 1], rng=2).save(tmp_path / "net")
    assert written
    assert list(tmp_path.iterdir()) == [tmp_path / "net"]
    assert (tmp_path / "net").read_bytes() == before


def arrays_of(module: Module) -> dict[str, Array]:
    """Return the arrays in the file of a module."""
    return {name: p.data for name, p in module.named_parameters().items()}


WRONG_FILES: dict[str, Any] = {
    "layers.1.bias has shape (2,) in the file, but the module wants (1,)": {"layers.1.bias": np.zeros(2)},
    "layers.1.weight has shape (1, 4) in the file, but the module wants (4, 1)": {"layers.1.weight": np.zeros((1, 4))},
    "layers.1.bias has dtype int64 in the file, but the module wants float64": {"layers.1.bias": np.zeros(1, int)},
    "layers.1.bias has dtype complex128 in the file": {"layers.1.bias": np.zeros(1, complex)},
    "the module wants layers.1.bias, which the file does not have": {"layers.1.bias": None},
    "the file has layers.2.bias, which the module does not have": {"layers.2.bias": np.zeros(1)},
    "is not an .npz file of numbers, or is damaged": {"layers.1.bias": np.array([None])},
}


@pytest.mark.parametrize("message", WRONG_FILES)
def test_a_file_that_does_not_fit(tmp_path: Path, message: str) -> None:
    """If the last array does not fit, nothing is loaded, and the error says why."""
    n = MLP(3, [4, 1], rng=1)
    before = {name: x.tolist() for name, x in arrays_of(n).items()}
    arrays = {**arrays_of(MLP(3, [4, 1], rng=2)), **WRONG_FILES[message]}
    path = tmp_path / "net.npz"
    np.savez(path, **{name: x for name, x in arrays.items() if x is not None})
    with pytest.raises(ValueError, match=re.escape(str(path))) as error:
        n.load(path)
    assert message in str(error.value)
    assert {name: x.tolist() for name, x in arrays_of(n).items()} == before


def test_every_misfit_is_listed(tmp_path: Path) -> None:
    """A single error lists all misfits."""
    MLP(2, [4, 4, 1]).save(tmp_path / "net")
    with pytest.raises(ValueError, match="does not fit this MLP") as error:
        MLP(3, [4, 1]).load(tmp_path / "net")
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "the file has layers.2.bias, which the module does not have",
        "the file has layers.2.weight, which the module does not have",
        "layers.0.weight has shape (2, 4) in the file, but the module wants (3, 4)",
        "layers.1.weight has shape (4, 4) in the file, but the module wants (4, 1)",
        "layers.1.bias has shape (4,) in the file, but the module wants (1,)",
    ]


def test_files_of_other_kinds(tmp_path: Path) -> None:
    """Text, an empty file, a single array, a pickle and damaged files are the same error."""
    n = MLP(3, [4, 1], rng=1)
    before = {name: x.tolist() for name, x in arrays_of(n).items()}
    n.save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "flipped").write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text").write_text("weights")
    (tmp_path / "nothing").touch()
    (tmp_path / "pickle").write_bytes(pickle.dumps([1.0]))
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("flipped", "half", "text", "nothing", "pickle", "array.npy"):
        with pytest.raises(ValueError, match=f"{name} is not an .npz file of numbers, or is damaged"):
            n.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        n.load(tmp_path / "missing")
    assert {name: x.tolist() for name, x in arrays_of(n).items()} == before


def test_no_damage_goes_unnoticed(tmp_path: Path) -> None:
    """If a file is changed or cut anywhere, it gives the same numbers, or an error names it and nothing changes."""
    n, other = Layer(1, 1, rng=1), Layer(1, 1, rng=2)
    n.save(tmp_path / "net")
    content = (tmp_path / "net").read_bytes()
    damaged = [content[:end] for end in range(len(content))]
    for i, byte in enumerate(content):
        damaged += [content[:i] + bytes([byte ^ flip]) + content[i + 1 :] for flip in (1, 8, 64, 128, 255)]
    right = {name: x.tolist() for name, x in arrays_of(n).items()}
    before = {name: x.tolist() for name, x in arrays_of(other).items()}
    refused = 0
    for bytes_ in damaged:
        (tmp_path / "net").write_bytes(bytes_)
        wanted = right
        try:
            other.load(tmp_path / "net")
        except ValueError as error:
            assert str(tmp_path / "net") in str(error)  # noqa: PT017 - some damage does not matter
            wanted, refused = before, refused + 1
        assert {name: x.tolist() for name, x in arrays_of(other).items()} == wanted
        for name, parameter in other.named_parameters().items():
            parameter.data = np.array(before[name])
    assert refused > len(content)


MASKED = np.ma.array([[1.0, 0.0]], mask=[[False, True]])
# fmt: off
MASKED_PLACES: dict[str, Callable[[], Any]] = {
    "the input":          lambda: Layer(2, 1)(MASKED),
    "the result of init": lambda: Layer(1, 2, init=lambda rng, nin, nout: MASKED),
    "prediction":         lambda: mean_squared_error(MASKED, np.zeros((1, 2))),
    "target":             lambda: hinge(np.ones((1, 2)), MASKED),
    "logits":             lambda: cross_entropy(MASKED, [0]),
    "labels":             lambda: cross_entropy(np.zeros((1, 2)), MASKED[0].astype(int)[:1]),
    "labels ":            lambda: cross_entropy(np.zeros((1, 2)), [MASKED[0]]),
}
# fmt: on


@pytest.mark.parametrize("what", MASKED_PLACES)
def test_masks_are_not_dropped(what: str) -> None:
    """A masked array is an error in every argument, which the error names."""
    with pytest.raises(TypeError, match=rf"^{what.strip()} is a MaskedArray, whose mask would be lost"):
        MASKED_PLACES[what]()


# Losses.

SHAPES = st.lists(st.integers(1, 4), max_size=3).map(tuple)
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


def draw_array(data: st.DataObject, shape: tuple[int, ...], dtype: Any, label: str) -> Array:
    """Draw short numbers of a shape."""
    size = int(np.prod(shape))
    numbers = data.draw(st.lists(st.integers(-20, 20), min_size=size, max_size=size), label=label)
    return (np.array(numbers, dtype) / 4).reshape(shape).astype(dtype)


def compare(ours: Callable[..., Any], theirs: Callable[..., torch.Tensor], data: st.DataObject, *arrays: Array) -> None:
    """Assert that a loss of some arrays agrees with PyTorch's, and so do its gradients for a drawn cotangent."""
    values = [Value(x) for x in arrays]
    twins = [torch.tensor(x, requires_grad=True) for x in arrays]
    y, expected = ours(*values), theirs(*twins)
    same(y.data, expected)
    cotangent = draw_array(data, y.shape, y.dtype, "cotangent")
    y.backward(cotangent)
    backward(expected, cotangent)
    scale = float(np.max(np.abs(cotangent)))  # in cross_entropy a slope is p - 1, where digits cancel
    for value, twin in zip(values, twins, strict=True):
        same(value.grad, twin.grad, scale)


@given(data=st.data(), shape=SHAPES, dtype=st.sampled_from([np.float64, np.float32]), reduction=REDUCTIONS)
@settings(max_examples=60)
def test_mean_squared_error_is_pytorchs(data: st.DataObject, shape: Any, dtype: Any, reduction: str) -> None:
    """mean_squared_error agrees with PyTorch's, with gradients of predictions and targets."""
    compare(
        lambda p, t: mean_squared_error(p, t, reduction=reduction),
        lambda p, t: torch.nn.functional.mse_loss(p, t, reduction=reduction),
        data,
        draw_array(data, shape, dtype, "prediction"),
        draw_array(data, shape, dtype, "target"),
    )


def torch_reduced(losses: torch.Tensor, reduction: str) -> torch.Tensor:
    """Return the mean, the sum, or the losses themselves."""
    return {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]


@given(data=st.data(), shape=SHAPES, dtype=st.sampled_from([np.float64, np.float32]), reduction=REDUCTIONS)
@settings(max_examples=60)
def test_hinge_is_pytorchs(data: st.DataObject, shape: Any, dtype: Any, reduction: str) -> None:
    """The hinge loss agrees with margin_ranking_loss, and its slopes with those of PyTorch's relu."""
    score = draw_array(data, shape, dtype, "score")
    target = np.where(draw_array(data, shape, dtype, "target") < 0, -1, 1).astype(dtype)
    t = torch.tensor(target)
    compare(
        lambda s: hinge(s, target, reduction=reduction),
        lambda s: torch_reduced(torch.relu(1 - t * s), reduction),
        data,
        score,
    )
    ranking = torch.nn.functional.margin_ranking_loss
    zeros = torch.zeros(shape, dtype=t.dtype)
    expected = ranking(torch.tensor(score), zeros, t, margin=1, reduction=reduction)
    same(hinge(Value(score), target, reduction=reduction).data, expected)


def test_hinge_at_its_kink() -> None:
    """At the kink of the hinge loss the slope is 0."""
    score = Value([1.0, -1.0, 0.5])
    loss = hinge(score, [1, -1, 1], reduction="sum")
    loss.backward()
    assert loss.item() == 0.5
    assert score.grad.tolist() == [0.0, 0.0, -1.0]


def torch_cross_entropy(logits: torch.Tensor, labels: torch.Tensor, reduction: str) -> torch.Tensor:
    """PyTorch's loss, with the classes on the last axis."""
    if logits.ndim > 1:
        logits = torch.movedim(logits, -1, 1)
        labels = torch.movedim(labels, -1, 1) if labels.is_floating_point() else labels
    return torch.nn.functional.cross_entropy(logits, labels, reduction=reduction)


@given(data=st.data(), shape=SHAPES, classes=st.integers(1, 4), reduction=REDUCTIONS)
@settings(max_examples=60)
def test_cross_entropy_is_pytorchs(data: st.DataObject, shape: Any, classes: int, reduction: str) -> None:
    """With labels of any integer dtype, cross_entropy agrees with PyTorch's in both float dtypes."""
    dtype = data.draw(st.sampled_from([np.float64, np.float32]), label="dtype")
    integer = data.draw(st.sampled_from([np.int64, np.uint8, np.int16]), label="integer")
    logits = draw_array(data, (*shape, classes), dtype, "logits")
    labels = np.abs(draw_array(data, shape, np.float64, "labels") * 4).astype(integer) % classes
    t = torch.tensor(labels.astype(np.int64))
    compare(
        lambda x: cross_entropy(x, labels, reduction=reduction),
        lambda x: torch_cross_entropy(x, t, reduction),
        data,
        logits,
    )


@given(data=st.data(), shape=SHAPES, classes=st.integers(1, 4), reduction=REDUCTIONS)
@settings(max_examples=60)
def test_cross_entropy_of_probabilities(data: st.DataObject, shape: Any, classes: int, reduction: str) -> None:
    """With probabilities as labels it agrees with PyTorch's, with gradients of logits and probabilities."""
    compare(
        lambda x, p: cross_entropy(x, p, reduction=reduction),
        lambda x, p: torch_cross_entropy(x, p, reduction),
        data,
        draw_array(data, (*shape, classes), np.float64, "logits"),
        np.abs(draw_array(data, (*shape, classes), np.float64, "probabilities")),
    )


def test_cross_entropy_far_out() -> None:
    """Large logits neither overflow nor lose the loss, and an impossible class costs nothing."""
    logits = Value([[1000.0, 0.0, -np.inf], [-1000.0, 1000.0, 0.0]])
    loss = cross_entropy(logits, [1, 1], reduction="none")
    assert loss.data.tolist() == [1000.0, 0.0]
    loss.backward()
    assert logits.grad.tolist() == [[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("loss", [mean_squared_error, hinge])
def test_losses_of_lists(loss: Callable[..., Value]) -> None:
    """Predictions may be a list of Values, and targets a list of ints, without leaving float32."""
    predictions = [Value(np.float32(0.5)), Value(np.float32(-3.0))]
    result = loss(predictions, [1, -1])
    assert result.dtype == np.float32
    assert result.item() == float(loss(np.array([0.5, -3.0]), np.array([1.0, -1.0])))
    result.backward()
    assert predictions[0].grad != 0


def test_cross_entropy_of_lists() -> None:
    """Logits may be a list of Values, one for each example, and labels a list."""
    rows = [Value(np.array([1, 2, 3], np.float32)), Value(np.array([1, 0, 1], np.float32))]
    loss = cross_entropy(rows, [2, 0])
    assert loss.dtype == np.float32
    loss.backward()
    assert rows[1].grad[0] < 0 < rows[1].grad[1]


def test_probabilities_of_lists() -> None:
    """Probabilities may be a list, too, without leaving float32."""
    logits = Value(np.array([[1, 2, 3]], np.float32))
    loss = cross_entropy(logits, [[0.25, 0.25, 0.5]])
    assert loss.dtype == np.float32
    assert loss.item() == cross_entropy(logits, np.array([[0.25, 0.25, 0.5]], np.float32)).item()


def test_losses_of_arrays() -> None:
    """For plain arrays, losses are plain numbers."""
    assert mean_squared_error(np.array([1.0, 2.0]), [0.0, 4.0]) == 2.5
    assert not isinstance(mean_squared_error(np.array([1.0]), [0.0]), Value)
    with no_grad():
        assert not mean_squared_error(Value([1.0]), [0.0]).requires_grad


TWO, COLUMN, LOGITS = Value([1.0, 2.0]), Value([[1.0], [2.0]]), Value([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
WRONG_LOSSES: list[tuple[Callable[[], Any], str]] = [
    (lambda: mean_squared_error(TWO, COLUMN), "prediction and target must have the same shape, but have"),
    (lambda: mean_squared_error(TWO, COLUMN), "but have (2,) and (2, 1)"),
    (lambda: mean_squared_error(TWO, 1.0), "but have (2,) and ()"),
    (lambda: mean_squared_error(TWO, [1.0]), "but have (2,) and (1,)"),
    (lambda: hinge(COLUMN, [1, -1]), "score and target must have the same shape, but have (2, 1) and (2,)"),
    (lambda: hinge(TWO, [0, 1]), "targets of the hinge loss are -1 and 1, but one is 0.0"),
    (lambda: hinge(TWO, [1, 0.5]), "targets of the hinge loss are -1 and 1, but one is 0.5"),
    (lambda: hinge(TWO, [1, np.nan]), "targets of the hinge loss are -1 and 1, but one is nan"),
    (lambda: hinge(Value(2.0), 0), "targets of the hinge loss are -1 and 1, but one is 0.0"),
    (lambda: cross_entropy(LOGITS, [0, 3]), "with 3 classes, labels go from 0 to 2, but one is 3"),
    (lambda: cross_entropy(LOGITS, [0, -1]), "with 3 classes, labels go from 0 to 2, but one is -1"),
    (lambda: cross_entropy(LOGITS, [0]), "labels must have shape (2,), the logits' without the 3 classes"),
    (lambda: cross_entropy(LOGITS, [[0], [1]]), "but have shape (2, 1)"),
    (lambda: cross_entropy(LOGITS, [[0, 0, 1], [1, 0, 0]]), "if they are probabilities, make them floats"),
    (lambda: cross_entropy(LOGITS, [0.0, 1.0]), "logits and label probabilities (floats) must have the same"),
    (lambda: cross_entropy(Value(1.0), 0), "logits must have an axis of classes"),
]


@pytest.mark.parametrize(("make", "message"), WRONG_LOSSES)
def test_wrong_operands_of_losses(make: Callable[[], Any], message: str) -> None:
    """Different shapes and invalid labels are errors: nothing is broadcast, and labels are not negative."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared below
        make()
    assert message in str(error.value)


@pytest.mark.parametrize(("loss", "y"), [(mean_squared_error, TWO), (hinge, TWO), (cross_entropy, LOGITS)])
def test_unknown_reductions(loss: Callable[..., Value], y: Value) -> None:
    """An unknown reduction is an error, which lists the three."""
    with pytest.raises(ValueError, match="reduction must be 'mean', 'sum' or 'none', but is 'average'"):
        loss(y, np.ones(y.shape), reduction="average")


def test_labels_that_are_no_numbers() -> None:
    """Labels of booleans or text are errors."""
    for labels in ([True, False], ["a", "b"]):
        with pytest.raises(TypeError, match="labels must be integers, or probabilities, but have dtype"):
            cross_entropy(LOGITS, labels)
