"""ndgrad's side of a training run: a task's network, loss and optimizer. The numbers are checked elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ndgrad import Value, library, no_grad, optim
from reference.engines.training import answering
from reference.programs.task import BY_HAND, Batch, Cleared, Given, ListedAs, Numbers, Stage, Task


def sum_of_squares(predicted: Any, wanted: Any) -> Any:
    """The article's loss: Python's sum over single predictions."""
    return sum((out - target) ** 2 for target, out in zip(wanted, predicted, strict=True))


# Looked up at each call, so that faults planted in the library take effect.
LOSSES: Mapping[str, Callable[[], Callable[..., Any]]] = {
    "sum of squares": lambda: sum_of_squares,
    "mean squared error": lambda: library.mean_squared_error,
    "hinge": lambda: library.hinge,
    "cross-entropy": lambda: library.cross_entropy,
}


class NdgradTrainer:
    """The engine's side of a training run."""

    @answering()
    def __init__(self, task: Task) -> None:
        self._task = task
        self._optimizer: Any = None  # an optimizer of ndgrad's
        self._frozen: tuple[str, ...] = ()
        self._build(task.seed)

    @property
    def start(self) -> Mapping[str, np.ndarray]:
        """The initial parameters by name: weight and bias of each layer in turn."""
        return {name: p.data for name, p in self.parameters.items()}

    def _build(self, seed: int) -> None:
        self._network = _network(self._task, seed)
        self.parameters = _parameters_of(self._network)

    @answering()
    def begin(self, stage: Stage) -> None:
        """Begin a stage."""
        self._stage = stage
        if stage.saved:
            self._save()
        if stage.reloaded:
            self._load(new=stage.saved)
        if not stage.goes_on:
            kind = None if stage.optimizer == BY_HAND else getattr(optim, stage.optimizer)
            self._optimizer = kind and kind(self._parameters(), **stage.options)
        elif self._optimizer is not None:
            for name, option in stage.options.items():
                setattr(self._optimizer, name, option)
        for name, p in self.parameters.items():
            if name in stage.frozen or name in self._frozen:  # the others must require a gradient by themselves
                p.requires_grad = name not in stage.frozen
        self._frozen = stage.frozen

    def _parameters(self) -> Iterable[Value]:
        """Return the parameters in the form in which the stage passes them to an optimizer."""
        parameters: list[Value] = self._network.parameters()
        if self._stage.listed == ListedAs.GENERATOR:
            return (p for p in parameters)
        return parameters * 2 if self._stage.listed == ListedAs.TWICE else parameters

    def _save(self) -> None:
        """Save network and optimizer. A saved state is a copy, which the test overwrites to prove it."""
        with TemporaryDirectory() as folder:
            file = Path(folder, "network.npz")
            self._network.save(file)
            self._saved = file.read_bytes(), self._optimizer and self._optimizer.state_dict()
        if self._optimizer is not None:
            _overwrite(self._optimizer.state_dict())

    def _load(self, *, new: bool) -> None:
        """Load the latest save, into new objects or into these. The optimizer must copy it, so it is overwritten."""
        network, optimizer = self._saved
        if new:
            self._build(self._task.seed + 1)
        with TemporaryDirectory() as folder:
            file = Path(folder, "network.npz")
            file.write_bytes(network)
            self._network.load(file)
        if self._optimizer is not None:
            if new:
                self._optimizer = getattr(optim, self._stage.optimizer)(self._network.parameters(), lr=1.0)
            self._optimizer.load_state_dict(optimizer)
            _overwrite(optimizer)

    @answering()
    def step(self, batch: Batch) -> Numbers:
        """Do one step: loss, backward pass, update."""
        x, wanted, given = self._given(*batch)
        one_by_one = self._task.given in (Given.ROWS, Given.ROWS_OF_VALUES)
        predicted = [self._network(row) for row in x] if one_by_one else self._network(x)
        loss: Value = LOSSES[self._task.loss]()(predicted, wanted, **self._task.reduction)
        self._clear()
        loss.backward(self._task.cotangent)
        self._update()
        inputs = {("grad", name): _gradient(value) for name, value in given.items()}
        return {("loss", ""): loss.data, **inputs, **self.numbers()}

    def _given(self, x: np.ndarray, wanted: np.ndarray) -> tuple[Any, Any, dict[str, Any]]:
        """Return inputs and targets in the task's form, and by name those that get a gradient."""
        given = self._task.given
        if given in (Given.LISTS, Given.ROWS):
            return x.tolist(), wanted.tolist(), {}
        if given == Given.ROWS_OF_VALUES:
            rows = [Value(row) for row in x]
            return rows, wanted, {"x": rows}
        if given == Given.VALUES:
            values = {"x": Value(x), **({"target": Value(wanted)} if wanted.dtype.kind == "f" else {})}
            return values["x"], values.get("target", wanted), values
        return x, wanted, {}

    def _clear(self) -> None:
        cleared = self._stage.cleared
        if cleared in (Cleared.BY_NETWORK, Cleared.BY_OPTIMIZER):
            (self._network if cleared == Cleared.BY_NETWORK else self._optimizer or self._network).zero_grad()
        for p in self.parameters.values():
            if cleared == Cleared.ZEROS:
                p.grad = 0.0
            elif cleared == Cleared.IN_PLACE and p.has_grad:
                p.grad[...] = 0.0

    def _update(self) -> None:
        if self._optimizer is not None:
            self._optimizer.step()
            return
        for p in self.parameters.values():
            p.data += -self._stage.options["lr"] * p.grad

    def numbers(self) -> Numbers:
        """Return gradients, parameters and the optimizer's state, without copying the arrays."""
        pairs = zip(self._optimizer.params, self._optimizer.state, strict=True) if self._optimizer is not None else ()
        states = {id(p): state for p, state in pairs}
        return {
            **{("grad", name): _gradient(p) for name, p in self.parameters.items()},
            **{("parameter", name): p.data for name, p in self.parameters.items()},
            **{(key, name): x for name, p in self.parameters.items() for key, x in states.get(id(p), {}).items()},
        }

    @answering()
    def sync(self, theirs: Numbers) -> None:
        """Copy the other side's numbers into the arrays, so that arrays which share memory still do."""
        for name, array in self.numbers().items():
            if array is not None and theirs.get(name) is not None:
                array[...] = theirs[name]

    @answering()
    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return the network's outputs."""
        with no_grad():
            return self._network(x).data  # type: ignore[no-any-return]


def _network(task: Task, seed: int) -> Any:
    """Make the task's network. Options with default values are not passed, for a default may be wrong."""
    nin, *nouts = task.widths
    hidden, last = task.activations
    first = hidden if task.network == "MLP" else last
    options = {"activation": first, "output_activation": last, "init": task.init, "dtype": task.dtype}
    default = {"activation": "tanh", "output_activation": first, "init": "uniform", "dtype": "float64"}
    changed: dict[str, Any] = {name: option for name, option in options.items() if option != default[name]}
    sizes = {"Neuron": (nin,), "Layer": (nin, *nouts), "MLP": (nin, nouts)}[task.network]
    return getattr(library, task.network)(*sizes, rng=seed, **changed)


def _parameters_of(network: Any) -> dict[str, Value]:
    """Return the parameters that a network must have, by name, without calling its `parameters` method."""
    layers = {f"layers.{i}.": layer for i, layer in enumerate(getattr(network, "layers", ()))} or {"": network}
    return {f"{at}{name}": getattr(layer, name) for at, layer in layers.items() for name in ("weight", "bias")}


def _overwrite(state: Mapping[str, np.ndarray]) -> None:
    for array in state.values():
        array.fill(0)


def _gradient(x: Value | list[Value]) -> Any:
    """Return the gradient of a Value, or those of several in one array; None if it is missing."""
    if isinstance(x, list):
        return np.stack([value.grad for value in x])
    return x.grad if x.has_grad else None
