"""Optimizers agree with PyTorch's: parameters and state after each step, for all hyperparameters."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ndgrad.engine import Value
from ndgrad.optim import SGD, Adam, AdamW, Optimizer, RMSprop

Options: TypeAlias = dict[str, Any]
Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

KINDS: list[Callable[..., Optimizer]] = [SGD, Adam, AdamW, RMSprop]
SHAPES = [(), (3,), (2, 3)]

# Tolerances, relative to the largest number that an array has held: PyTorch fuses products and sums.
# With 40 seeds, the grid below differs by 7e-16 and 3e-7 at most; if RMSprop is centered, and takes the
# root of a difference, by 1e-14 and 5e-6.
TOLERANCE = {np.dtype(np.float64): 1e-13, np.dtype(np.float32): 1e-5}


class Pair:
    """An optimizer of ndgrad and its counterpart of PyTorch, with equal parameters."""

    def __init__(self, kind: Callable[..., Optimizer], dtype: Any = np.float64, **options: Any) -> None:
        rng = np.random.default_rng(5)
        start = [rng.uniform(-2, 2, shape).astype(dtype) for shape in SHAPES]
        self.values = [Value(x) for x in start]
        self.tensors = [torch.tensor(x, requires_grad=True) for x in start]
        self.ours = kind(self.values, **options)
        self.theirs = getattr(torch.optim, type(self.ours).__name__)(self.tensors, foreach=False, **options)
        self.largest: dict[tuple[int, str], float] = {}

    def step(self, gradients: list[Array | None]) -> None:
        """Take a step with a gradient for each parameter; None is a missing one."""
        for value, tensor, gradient in zip(self.values, self.tensors, gradients, strict=True):
            value.grad = gradient
            tensor.grad = None if gradient is None else torch.tensor(gradient.astype(value.dtype))
        self.ours.step()
        self.theirs.step()

    def set(self, **options: Any) -> None:
        """Change hyperparameters of both."""
        for name, option in options.items():
            setattr(self.ours, name, option)
            self.theirs.param_groups[0][name] = option

    def compare(self, factor: float = 1.0) -> None:
        """Assert that parameters and state are equal up to rounding, with the same names and dtypes."""
        for i, (value, tensor) in enumerate(zip(self.values, self.tensors, strict=True)):
            ours, theirs = self.ours.state[i], dict(self.theirs.state.get(tensor, {}))
            theirs = {name: x.numpy() for name, x in theirs.items() if x is not None}
            assert ours.keys() == theirs.keys()
            assert ours.get("step", 0) == theirs.pop("step", 0)
            self._compare(i, "data", value.data, tensor.detach().numpy(), factor)
            for name, expected in theirs.items():
                self._compare(i, name, ours[name], expected, factor)

    def _compare(self, i: int, name: str, actual: Array, expected: Array, factor: float) -> None:
        assert actual.dtype == expected.dtype
        assert actual.shape == expected.shape
        largest = max(self.largest.get((i, name), 0.0), float(np.max(np.abs(expected))))
        self.largest[i, name] = largest
        allowed = factor * TOLERANCE[expected.dtype] * largest
        np.testing.assert_allclose(actual, expected, rtol=0, atol=allowed, err_msg=name)


def gradients(rng: np.random.Generator, missing: tuple[int, ...] = ()) -> list[Array | None]:
    """Draw a gradient for each shape, of very different magnitudes."""
    sizes = [10.0, 1e-3, 1.0]
    gradients = [rng.normal(0, size, shape) for size, shape in zip(sizes, SHAPES, strict=True)]
    return [None if i in missing else g for i, g in enumerate(gradients)]


def grid(**choices: list[Any]) -> Iterator[Options]:
    """Return all combinations of the choices."""
    for chosen in product(*choices.values()):
        yield dict(zip(choices, chosen, strict=True))


GRIDS: dict[Callable[..., Optimizer], list[Options]] = {
    SGD: [
        {"lr": 0.1, **options}
        for options in grid(
            momentum=[0, 0.9],
            dampening=[0, 0.3],
            weight_decay=[0, 0.2],
            nesterov=[False, True],
            maximize=[False, True],
        )
        if not options["nesterov"] or (options["momentum"] and not options["dampening"])
    ],
    Adam: [
        *grid(lr=[0.1], weight_decay=[0, 0.2], amsgrad=[False, True], maximize=[False, True]),
        *grid(lr=[0.1], betas=[(0.3, 0.4), (0.0, 0.0)], eps=[0.01], amsgrad=[False, True]),
    ],
    AdamW: [
        *grid(lr=[0.1], weight_decay=[0, 0.2], amsgrad=[False, True], maximize=[False, True]),
        *grid(lr=[0.1], betas=[(0.3, 0.4)], eps=[0.01], amsgrad=[False, True]),
    ],
    RMSprop: [
        *grid(
            weight_decay=[0, 0.2],
            momentum=[0, 0.9],
            centered=[False, True],
            maximize=[False, True],
            alpha=[0.3, 0.99],
        )
    ],
}  # fmt: skip
CASES = [(kind, options) for kind, table in GRIDS.items() for options in table]


def case_id(case: Any) -> str:
    """Return a test's id: the optimizer's name and its options."""
    return case.__name__ if isinstance(case, type) else ",".join(f"{k}={v}" for k, v in case.items())


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("kind", "options"), CASES, ids=case_id)
def test_every_combination_of_options_is_pytorchs(kind: Callable[..., Optimizer], options: Options, dtype: Any) -> None:
    """After each of six steps, some with missing gradients, parameters and state agree with PyTorch's."""
    pair, rng = Pair(kind, dtype, **options), np.random.default_rng(7)
    for missing in [(0,), (), (1, 2), (), (), (0, 1, 2)]:
        pair.step(gradients(rng, missing))
        pair.compare()


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_defaults_are_pytorchs(kind: Callable[..., Optimizer]) -> None:
    """With default options, an optimizer agrees with PyTorch's."""
    pair, rng = Pair(kind, lr=0.01), np.random.default_rng(7)
    for _ in range(3):
        pair.step(gradients(rng))
        pair.compare()


@pytest.mark.parametrize("kind", [Adam, AdamW, RMSprop], ids=case_id)
def test_default_learning_rates_are_pytorchs(kind: Callable[..., Optimizer]) -> None:
    """The default learning rates are PyTorch's."""
    pair = Pair(kind)
    pair.step(gradients(np.random.default_rng(7)))
    pair.compare()


SHORT = st.integers(-24, 24).map(lambda n: n / 8)
PART = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 0.9, 0.99])
COMMON = {"lr": st.sampled_from([0.0, 0.001, 0.1, 1.0]), "weight_decay": PART, "maximize": st.booleans()}
EPS = st.sampled_from([0.01, 1.0])  # the default is in the grid: see the factor below
DRAWN: dict[Callable[..., Optimizer], dict[str, st.SearchStrategy[Any]]] = {
    SGD: {**COMMON, "momentum": PART, "dampening": PART},
    Adam: {**COMMON, "betas": st.tuples(PART, PART), "eps": EPS, "amsgrad": st.booleans()},
    AdamW: {**COMMON, "betas": st.tuples(PART, PART), "eps": EPS, "amsgrad": st.booleans()},
    RMSprop: {**COMMON, "alpha": PART, "eps": EPS, "momentum": PART},  # centered: see the grid
}


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
@given(data=st.data())
@settings(max_examples=60)
def test_random_runs_are_pytorchs(kind: Callable[..., Optimizer], data: st.DataObject) -> None:
    """Random runs, with zero and missing gradients, agree with PyTorch for all hyperparameters."""
    options = data.draw(st.fixed_dictionaries(DRAWN[kind]), label="options")
    pair = Pair(kind, data.draw(st.sampled_from([np.float64, np.float32]), label="dtype"), **options)
    for _ in range(data.draw(st.integers(1, 5), label="steps")):
        grads = st.tuples(*(st.none() | _arrays(shape) for shape in SHAPES))
        pair.step(list(data.draw(grads, label="gradients")))
        # A gradient and its weight decay may almost cancel. Division by the difference magnifies rounding, by
        # up to 1 / eps, and again in another such step. 40,000 runs differed by 3e-14 and 8e-6 at most.
        pair.compare(factor=100)


def _arrays(shape: tuple[int, ...]) -> st.SearchStrategy[Array]:
    size = int(np.prod(shape))
    return st.lists(SHORT, min_size=size, max_size=size).map(lambda numbers: np.reshape(numbers, shape))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_changed_hyperparameters_are_pytorchs(momentum: float) -> None:
    """Learning rates and momenta changed between steps, also to 0 and back, have the same effect as in PyTorch."""
    pair, rng = Pair(SGD, lr=0.1, momentum=momentum), np.random.default_rng(7)
    for lr, changed in [(0.1, 0.9), (0.2, 0.0), (0.0, 0.5), (0.3, 0.9)]:
        pair.set(lr=lr, momentum=changed)
        pair.step(gradients(rng))
        pair.compare()


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_state_copied_from_pytorch(kind: Callable[..., Optimizer]) -> None:
    """State copied from PyTorch's optimizer continues as that would, and is not written to."""
    options = {"momentum": 0.9} if kind is SGD else {}
    ahead, behind = Pair(kind, lr=0.1, **options), Pair(kind, lr=0.1, **options)
    rng = np.random.default_rng(7)
    ahead.step(gradients(rng))
    for i, tensor in enumerate(ahead.tensors):
        behind.values[i].data = tensor.detach().numpy()
        behind.ours.state[i] = {name: x.numpy() for name, x in ahead.theirs.state[tensor].items()}
    second = gradients(rng)
    for value, gradient in zip(behind.values, second, strict=True):
        value.grad = gradient
    behind.ours.step()
    ahead.step(second)
    ahead.ours, ahead.values = behind.ours, behind.values
    ahead.compare()


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_missing_gradients(kind: Callable[..., Optimizer]) -> None:
    """A parameter without a gradient is unchanged, has no state, and does not affect the others."""
    still, moving = Value([1.0, 2.0]), Value([3.0])
    opt = kind([still, moving], lr=0.1)
    moving.grad = [1.0]
    opt.step()
    assert still.data.tolist() == [1.0, 2.0]
    assert opt.state[0] == {}
    assert moving.data[0] < 3.0


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_zero_gradients_are_not_missing(kind: Callable[..., Optimizer]) -> None:
    """A gradient of zeros is not a missing one: weight decay shrinks the parameter."""
    p = Value([4.0])
    opt = kind([p], lr=0.1, weight_decay=0.5)
    p.grad = 0.0
    opt.step()
    assert p.data[0] < 4.0


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_parameters_from_a_generator(kind: Callable[..., Optimizer]) -> None:
    """Parameters may come from a generator: step and zero_grad reach all of them."""
    values = [Value([1.0]), Value([2.0])]
    opt = kind((p for p in values), lr=0.1)
    for _ in range(2):
        before = [p.data.copy() for p in values]
        (values[0] * 3 + values[1] * 2).backward()
        opt.step()
        opt.zero_grad()
        assert all(p.data < old for p, old in zip(values, before, strict=True))
        assert not any(p.has_grad for p in values)


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_tied_parameters_step_once(kind: Callable[..., Optimizer]) -> None:
    """A parameter that is listed twice takes one step, and the next parameter keeps its own state."""
    tied, other = Value([1.0, 2.0]), Value([3.0])
    opt = kind([tied, tied, other], lr=0.1)
    alone, beside = Value([1.0, 2.0]), Value([3.0])
    once = kind([alone, beside], lr=0.1)
    for _ in range(2):
        tied.grad = alone.grad = [0.5, -1.0]
        other.grad = beside.grad = [0.25]
        opt.step()
        once.step()
    assert tied.data.tolist() == alone.data.tolist()
    assert other.data.tolist() == beside.data.tolist()
    assert len(opt.params) == len(opt.state) == 2


@pytest.mark.parametrize(("kind", "options"), CASES, ids=case_id)
def test_state_does_not_alias(kind: Callable[..., Optimizer], options: Options) -> None:
    """No array of the state shares memory with the gradient, the data, or another array."""
    p = Value([1.0, 2.0])
    opt = kind([p], **options)
    for _ in range(2):
        p.grad = [0.5, -1.0]
        opt.step()
        arrays = [p.grad, p.data, *opt.state[0].values()]
        assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
@pytest.mark.parametrize("number", [np.float64, np.float32, np.int64, np.array], ids=lambda f: f.__name__)
def test_numpy_scalars_keep_the_dtype(kind: Callable[..., Optimizer], number: Callable[[int], Any]) -> None:
    """With a NumPy scalar as learning rate, float32 parameters and state stay float32."""
    p = Value(np.array([1.0, 2.0], np.float32))
    opt = kind([p], lr=number(1), weight_decay=number(1))
    p.grad = [0.5, -1.0]
    opt.step()
    opt.lr = number(2)
    opt.step()
    assert p.dtype == np.float32
    assert all(x.dtype == np.float32 for name, x in opt.state[0].items() if name != "step")
    assert opt.lr == 2.0
    assert type(opt.lr) is float


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_the_engine_notices_a_step(kind: Callable[..., Optimizer]) -> None:
    """A graph that reads the data from before a step raises an error after it; a new graph does not."""
    p = Value([1.0, 2.0])
    opt = kind([p], lr=0.1)
    loss = (p * p).sum()
    loss.backward()
    opt.step()
    with pytest.raises(RuntimeError, match="changed after it was used"):
        loss.backward()
    (p * p).sum().backward()


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_gradients_that_are_values(kind: Callable[..., Optimizer]) -> None:
    """After backward(create_graph=True) gradients are Values, and a step uses their data."""
    p, q = Value([1.0, 2.0]), Value([1.0, 2.0])
    (p**3).sum().backward(create_graph=True)
    (q**3).sum().backward()
    for value in (p, q):
        kind([value], lr=0.1).step()
    assert isinstance(p.data, np.ndarray)
    assert p.data.tolist() == q.data.tolist()


@pytest.mark.parametrize("kind", KINDS, ids=case_id)
def test_an_error_in_a_step_changes_nothing(kind: Callable[..., Optimizer]) -> None:
    """If the new numbers of the last parameter overflow, and that is an error, the first is unchanged."""
    first, last = Value([1.0]), Value(np.array([1.0], np.float32))
    opt = kind([first, last], lr=0.1, weight_decay=0.1)
    first.grad, last.grad = [1.0], [1.0]
    opt.step()
    data, state = [p.data.copy() for p in opt.params], opt.state_dict()
    last.grad, opt.lr = [1e38], 1e30
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        opt.step()
    assert [p.data.tolist() for p in opt.params] == [x.tolist() for x in data]
    opt.lr = 0.1
    assert {name: x.tolist() for name, x in opt.state_dict().items()} == {name: x.tolist() for name, x in state.items()}


# Arguments.

WRONG: list[tuple[Callable[..., Optimizer], Options, str]] = [
    *((kind, {"lr": -0.1}, "lr must be 0 or more, but is -0.1") for kind in KINDS),
    *((kind, {"lr": 0.1, "weight_decay": -1}, "weight_decay must be 0 or more, but is -1") for kind in KINDS),
    *((kind, {"lr": 0.1, "maximize": 1}, "maximize must be True or False, but is 1") for kind in KINDS),
    (SGD, {"lr": "0.1"}, "lr must be a finite number, but is '0.1'"),
    (SGD, {"lr": True}, "lr must be a finite number, but is True"),
    (SGD, {"lr": None}, "lr must be a finite number, but is None"),
    (SGD, {"lr": [0.1]}, "lr must be a finite number, but is [0.1]"),
    (SGD, {"lr": float("nan")}, "lr must be a finite number, but is nan"),
    (SGD, {"lr": float("inf")}, "lr must be a finite number, but is inf"),
    (SGD, {"lr": 0.1, "momentum": -0.5}, "momentum must be 0 or more, but is -0.5"),
    (SGD, {"lr": 0.1, "dampening": None}, "dampening must be a finite number, but is None"),
    (SGD, {"lr": 0.1, "nesterov": True}, "nesterov needs a momentum above 0 and a dampening of 0"),
    (SGD, {"lr": 0.1, "nesterov": True, "momentum": 0.9, "dampening": 0.1}, "but they are 0.9 and 0.1"),
    (Adam, {"betas": (1.0, 0.999)}, "betas must be below 1, but are (1.0, 0.999)"),
    (Adam, {"betas": (0.9, 1.0)}, "betas must be below 1, but are (0.9, 1.0)"),
    (Adam, {"betas": (0.9, -0.1)}, "betas must be 0 or more, but is -0.1"),
    (AdamW, {"betas": 0.9}, "betas must be two numbers, but is 0.9"),
    (Adam, {"eps": -1e-8}, "eps must be 0 or more, but is -1e-08"),
    (Adam, {"amsgrad": None}, "amsgrad must be True or False, but is None"),
    (RMSprop, {"alpha": 1.5}, "alpha must be from 0 to 1, but is 1.5"),
    (RMSprop, {"alpha": -0.5}, "alpha must be from 0 to 1, but is -0.5"),
    (RMSprop, {"eps": -1}, "eps must be 0 or more, but is -1"),
    (RMSprop, {"momentum": -1}, "momentum must be 0 or more, but is -1"),
]


@pytest.mark.parametrize(("kind", "options", "message"), WRONG)
def test_wrong_hyperparameters(kind: Callable[..., Optimizer], options: Options, message: str) -> None:
    """A hyperparameter out of range is an error, which says what was given and what was expected."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared below
        kind([Value([1.0])], **options)
    assert message in str(error.value)


def test_wrong_hyperparameters_between_steps() -> None:
    """Later assignments are checked as well, and a rejected value is not stored."""
    opt = SGD([Value([1.0])], lr=0.1)
    with pytest.raises(ValueError, match="lr must be 0 or more, but is -1"):
        opt.lr = -1
    assert opt.lr == 0.1


def test_wrong_parameters() -> None:
    """Parameters must be leaf Values, and at least one."""
    p = Value([1.0, 2.0])
    with pytest.raises(TypeError, match=r"params must be a list of Values, but is a Value: write \[value\]"):
        SGD(p, lr=0.1)
    with pytest.raises(TypeError, match="a parameter must be a Value, but one is of type ndarray"):
        SGD([p, p.data], lr=0.1)  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"a parameter must be a leaf, but .* is the result of "):
        SGD([p * 2], lr=0.1)
    with pytest.raises(ValueError, match="there are no parameters"):
        SGD([], lr=0.1)


def test_repr() -> None:
    """`repr` shows the hyperparameters."""
    assert repr(SGD([Value(1.0)], 0.1, 0.9)) == (
        "SGD(1 parameters, lr=0.1, weight_decay=0.0, maximize=False, momentum=0.9, dampening=0.0, nesterov=False)"
    )


# Saved and loaded state.


def trained(kind: Callable[..., Optimizer], **options: Any) -> Optimizer:
    """Return an optimizer after two steps, the first without a gradient for one of its three parameters."""
    pair, rng = Pair(kind, **{"lr": 0.1, **options}), np.random.default_rng(7)
    pair.step(gradients(rng, (1,)))
    pair.step(gradients(rng, (2,)))
    return pair.ours


@pytest.mark.parametrize(("kind", "options"), CASES, ids=case_id)
def test_training_resumes(kind: Callable[..., Optimizer], options: Options) -> None:
    """A run resumes from a file with the same bits, in an optimizer that had other hyperparameters."""
    whole = trained(kind, **options)
    file = io.BytesIO()
    np.savez(file, **whole.state_dict())  # type: ignore[arg-type]  # it might be `allow_pickle`
    file.seek(0)
    resumed = kind([Value(p.data) for p in whole.params], lr=5.0)
    resumed.load_state_dict(np.load(file, allow_pickle=False))
    rng = np.random.default_rng(8)
    for _ in range(2):
        for i, gradient in enumerate(gradients(rng)):
            whole.params[i].grad = resumed.params[i].grad = gradient
        whole.step()
        resumed.step()
    assert [p.data.tolist() for p in resumed.params] == [p.data.tolist() for p in whole.params]
    assert resumed.hyperparameters == whole.hyperparameters


def test_loaded_state_takes_the_parameters_dtype() -> None:
    """State of a float64 run is cast for float32 parameters, as in PyTorch."""
    opt = Adam([Value(p.data.astype(np.float32)) for p in trained(Adam).params])
    opt.load_state_dict(trained(Adam).state_dict())
    assert opt.state[0]["exp_avg"].dtype == np.float32
    assert opt.state[0]["step"] == 2


def test_state_dict_is_a_copy() -> None:
    """Writes to a state dict change neither the optimizer it is from nor the one it was loaded into."""
    opt = trained(Adam)
    saved, other = opt.state_dict(), trained(Adam, lr=1.0)
    other.load_state_dict(saved)
    for name, array in saved.items():
        if "exp_avg" in name:
            array[...] = 9
    assert not any(np.any(x == 9) for o in (opt, other) for state in o.state for x in state.values())


DAMAGES: list[tuple[dict[str, Any], str]] = [  # None: without this entry
    ({"optimizer": None}, "the state lacks optimizer"),
    ({"optimizer": "AdamW"}, "the state is for optimizer 'AdamW', but this is for 'Adam'"),
    ({"parameters": 4}, "the state is for parameters 4, but this is for 3"),
    ({"lr": None}, "the state lacks lr"),
    ({"lr": -1.0}, "lr must be 0 or more"),
    ({"amsgrad": 0.5}, "amsgrad must be True or False"),
    ({"0.exp_avg": None}, "the state lacks 0.exp_avg"),
    ({"2.step": None}, "the state lacks 2.step"),
    ({"0.exp_avg": np.zeros(2)}, "0.exp_avg must have shape (), but has (2,)"),
    ({"2.exp_avg_sq": np.zeros((3, 2))}, "2.exp_avg_sq must have shape (2, 3), but has (3, 2)"),
    ({"1.exp_avg": np.zeros(3, int)}, "1.exp_avg must have shape (3,), but has (3,) of dtype int64"),
    ({"1.step": np.ones(3)}, "1.step must have shape (), but has (3,)"),
    ({"1.momentum_buffer": np.zeros(3)}, "the state has unknown entries: 1.momentum_buffer"),
    ({"3.step": 1}, "the state has unknown entries: 3.step"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_wrong_state_changes_nothing(damage: dict[str, Any], message: str) -> None:
    """State that does not fit is an error with a reason, and nothing changes."""
    opt = trained(Adam, lr=0.7)
    before = opt.state_dict()
    entries = {**trained(Adam, amsgrad=True).state_dict(), **damage}
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared below
        opt.load_state_dict({name: x for name, x in entries.items() if x is not None})
    assert message in str(error.value)
    after = opt.state_dict()
    assert {name: x.tolist() for name, x in after.items()} == {name: x.tolist() for name, x in before.items()}


WRONG_STATES: dict[str, list[Any]] = {
    "step": [-5, np.nan, 1.7, 1e300, 2**53 + 1, np.inf, True, 1j, [1]],
    "squares": [[-1e-300, 1.0]],
    "buffer": [1.0, [1.0], [1, 2], [1j, 1j], ["a", "b"], np.ma.array([1.0, 2.0], mask=[False, True])],
    "lr": [-1.0, np.nan, np.inf, 1j, True, "a", [0.1], np.ma.array(0.1, mask=True)],
    "weight_decay": [-1.0, np.nan, -np.inf, 1j],
    "maximize": [1, 0.0, "yes"],
}


@pytest.mark.parametrize("make", [SGD, Adam, AdamW, RMSprop])
def test_states_that_no_optimizer_has_are_refused(make: Any) -> None:
    """For each way in which an entry can be wrong, the error names it, and state and hyperparameters are unchanged."""
    p = Value([1.0, 2.0])
    opt = make([p], lr=0.1, **({"momentum": 0.9} if make in (SGD, RMSprop) else {"amsgrad": True}))
    p.sum().backward()
    opt.step()
    before = opt.state_dict()
    for name in before:
        last = name.rpartition(".")[2]
        wrong = WRONG_STATES.get(last, WRONG_STATES["buffer"] if name.startswith("0.") else [])
        for value in [*wrong, *(WRONG_STATES["squares"] if "sq" in last else [])]:
            with pytest.raises((ValueError, TypeError), match=re.escape(name)):
                opt.load_state_dict({**before, name: value})
            after = opt.state_dict()
            assert all(np.array_equal(after[key], x) for key, x in before.items())
    opt.load_state_dict(before)
    opt.step()


def test_the_error_names_a_parameter_that_is_a_result() -> None:
    """The error names the parameter, and the op that it is the result of."""
    w = Value([1.0, 2.0]) * 3.0
    with pytest.raises(ValueError, match=r"a parameter must be a leaf, but Value\(.*\) is the result of "):
        SGD([w], lr=0.1)
    w.label = "w"
    with pytest.raises(ValueError, match=rf"a parameter must be a leaf, but `w` is the result of {re.escape(w._op)}$"):
        SGD([w], lr=0.1)
