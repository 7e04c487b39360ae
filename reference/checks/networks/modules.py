"""Draws modules and checks their parameters: names, order and initial numbers.

Each line that builds a part of a module comes with the parameters that the part must have. The module then lists its
parameters, clears their gradients, is saved, and is loaded into a second module of the same structure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from reference.checks.networks.check import NetworkCheck
from reference.checks.networks.weights import SCHEMES, draw_weights
from reference.engines.training import Raised, answering
from reference.ops.source import Recording, Replaying, Source, chance, pick, shuffled
from reference.verdict import Finding, Kind, Part

_ACTIVATIONS = ("tanh", "relu", "leaky_relu", "sigmoid", "softplus", "linear")
_DTYPES = ("float64", "float32")


class _Expected(NamedTuple):
    """A parameter that a module must have.

    Args:
        name: the name it must have in the module.
        value: the parameter itself.
        numbers: its expected initial numbers.
        size: the size of the numbers they were computed from, which bounds the rounding error.
    """

    name: str
    value: Any
    numbers: np.ndarray
    size: float

    def under(self, name: object) -> _Expected:
        """Return this parameter as it is named inside a part of the given name."""
        return self._replace(name=f"{name}.{self.name}" if self.name else str(name))


class _Part(NamedTuple):
    """Something that may stand in a module: its name in Python and its expected parameters."""

    name: str
    expected: Sequence[_Expected]


class _Built(NamedTuple):
    """One of the library's modules: its Python name, the module, and how its layers are initialized."""

    name: str
    namespace: Any
    rng: np.random.Generator
    init: str
    dtype: str

    def parameters(self, layer: Any, nin: int, nout: int) -> list[_Expected]:
        """Return the weight and the bias that the next layer must have."""
        weight, bias = draw_weights(self.rng, self.init, nin, nout)
        _, size = SCHEMES[self.init]
        with answering():
            values = layer.weight, layer.bias
        return [
            _Expected("weight", values[0], weight.astype(self.dtype), size(nin, nout)),
            _Expected("bias", values[1], bias.astype(self.dtype), 1.0),
        ]


class _Builder:
    """Builds a module line by line.

    Args:
        source: the source of the choices.
        check: runs the lines.
        dtypes: the dtypes that parameters may have, the simplest first.
    """

    def __init__(self, source: Source, check: NetworkCheck, dtypes: Sequence[str] = _DTYPES) -> None:
        self._source = source
        self._check = check
        self._dtypes = dtypes
        self._parts: list[_Part] = []
        seed = source.integer(0, 999)
        self._rng = np.random.default_rng(seed)
        check.run(f"rng = np.random.default_rng({seed})")

    def root(self) -> _Part:
        """Build a module: one of the library's, or one of any parts."""
        return pick(self._source, [self._layer, self._network, self._neuron, *[self._module] * 6])()

    def _part(self, depth: int) -> _Part:
        """Build anything that may stand in a module, or reuse a part that stands elsewhere."""
        if self._parts and chance(self._source, 30):
            return pick(self._source, self._parts)
        kinds: list[Callable[[], _Part]] = [self._value, self._layer, self._neuron, self._network, self._other]
        if depth:
            kinds += [lambda: self._list(depth), lambda: self._dict(depth), lambda: self._module(depth)] * 3
        self._parts.append(pick(self._source, [self._value, *kinds])())
        return self._parts[-1]

    def _assign(self, word: str, source_text: str) -> str:
        """Run a line that assigns something to a new name; return the name."""
        name = f"{word}{len(self._check.lines)}"
        self._check.run(f"{name} = {source_text}")
        return name

    # Parts that are or hold parameters.

    def _value(self) -> _Part:
        shape = pick(self._source, [(), (2,), (1, 3)])
        numbers = np.array(self._source.integers(-8, 8, math.prod(shape))).reshape(shape) / 4
        dtype, wants = pick(self._source, self._dtypes), not chance(self._source, 25)
        name = self._assign("value", f"Value(np.array({numbers.tolist()}, {dtype!r}), requires_grad={wants})")
        return _Part(name, [_Expected("", self._check.namespace[name], numbers.astype(dtype), 1.0)])

    def _layer(self) -> _Part:
        sizes = self._source.integer(1, 4), self._source.integer(1, 4)
        built = self._built("Layer", *sizes)
        return _Part(built.name, built.parameters(built.namespace, *sizes))

    def _neuron(self) -> _Part:
        nin = self._source.integer(1, 4)
        built = self._built("Neuron", nin)
        weight, bias = built.parameters(built.namespace, nin, 1)
        single = [weight._replace(numbers=weight.numbers[:, 0]), bias._replace(numbers=bias.numbers[0])]
        return _Part(built.name, single)

    def _network(self) -> _Part:
        nin, nouts = self._source.integer(1, 4), [self._source.integer(1, 4) for _ in range(self._source.integer(1, 3))]
        built = self._built("MLP", nin, nouts)
        expected: list[_Expected] = []
        for i, sizes in enumerate(pairwise([nin, *nouts])):
            expected += [p.under(f"layers.{i}") for p in built.parameters(built.namespace.layers[i], *sizes)]
        return _Part(built.name, expected)

    def _built(self, kind: str, *sizes: Any) -> _Built:
        """Build one of the library's modules, from a seed or from the generator that it shares with others."""
        seed = self._source.integer(0, 999) if chance(self._source, 60) else None
        init, dtype = pick(self._source, list(SCHEMES)), pick(self._source, self._dtypes)
        options = {"activation": pick(self._source, _ACTIVATIONS), "init": init, "dtype": dtype}
        arguments = ", ".join([*map(repr, sizes), *(f"{name}={option!r}" for name, option in options.items())])
        name = self._assign(kind.lower(), f"{kind}({arguments}, rng={'rng' if seed is None else seed})")
        rng = self._rng if seed is None else np.random.default_rng(seed)
        return _Built(name, self._check.namespace[name], rng, init, dtype)

    # Containers of such parts, and parts without parameters.

    def _list(self, depth: int) -> _Part:
        parts = [self._part(depth - 1) for _ in range(self._source.integer(0, 4))]
        kind = pick(self._source, ["list", "tuple"])
        name = self._assign(kind, f"{kind}([{', '.join(part.name for part in parts)}])")
        return _Part(name, [parameter.under(i) for i, part in enumerate(parts) for parameter in part.expected])

    def _dict(self, depth: int) -> _Part:
        parts = {key: self._part(depth - 1) for key in _some(self._source, ["inner", 3, "head"])}
        name = self._assign("dict", f"{{{', '.join(f'{key!r}: {part.name}' for key, part in parts.items())}}}")
        return _Part(name, [parameter.under(key) for key, part in parts.items() for parameter in part.expected])

    def _module(self, depth: int = 2) -> _Part:
        name = self._assign("module", "Module()")
        expected: list[_Expected] = []
        for attribute in _some(self._source, ["first", "scale", "blocks", "last"]):
            part = self._part(depth - 1)
            self._check.run(f"{name}.{attribute} = {part.name}")
            expected += [parameter.under(attribute) for parameter in part.expected]
        if chance(self._source, 10):
            self._check.run(f"{name}.itself = {name}")
        return _Part(name, expected)

    def _other(self) -> _Part:
        """Build something that is not a parameter: a number, a string, an array, None, or the result of an op."""
        source_text = pick(self._source, ["3", "'x'", "np.ones(2)", "None", "Value(1.5) * 2"])
        return _Part(self._assign("other", source_text), [])


def _some(source: Source, names: Sequence[Any]) -> list[Any]:
    """Pick at least one of several names, in any order."""
    return shuffled(source, names)[: source.integer(1, len(names))]


def check_module(source: Source, check: NetworkCheck) -> None:
    """Check a module's parameters: their listing, initial numbers, zero_grad, saving and loading."""
    recording = Recording(source, "module")
    name, expected = _build(recording, check, _DTYPES)
    check.findings += _check_listing(check, name, expected)
    got = [Part(parameter.name, Kind.FORWARD, parameter.value.data) for parameter in expected]
    initial = [Part(parameter.name, Kind.FORWARD, parameter.numbers) for parameter in expected]
    check.judge(got, initial, [parameter.size for parameter in expected])
    check.findings += _check_zero_grad(check, name, expected)
    if chance(source, 30) and not check.findings:
        twin = _build(Replaying(recording.script), check, _DTYPES[::-1])
        check.lines.append("# The last module loads what the one before it, of the same structure, has saved.")
        check.findings += _check_loading(check, _Part(name, expected), twin)


def _build(source: Source, check: NetworkCheck, dtypes: Sequence[str]) -> _Part:
    """Build a module; return its name in Python and its parameters. A shared parameter has the first of its names."""
    root = _Builder(source, check, dtypes).root()
    once: dict[int, _Expected] = {}
    for parameter in root.expected:
        once.setdefault(id(parameter.value), parameter)
    return _Part(root.name, list(once.values()))


def _check_listing(check: NetworkCheck, module: str, expected: Sequence[_Expected]) -> Iterator[Finding]:
    """Check that a module lists its parameters, each once and in order."""
    check.run(f"named = {module}.named_parameters()")
    check.run(f"listed = {module}.parameters()")
    by_name, listed = check.namespace["named"], check.namespace["listed"]
    names = [parameter.name for parameter in expected]
    if list(by_name) != names:
        yield Finding(Kind.MISSING, f"{module}.named_parameters()", f"has {list(by_name)}, but must have {names}")
    for method, values in (("named_parameters()", by_name.values()), ("parameters()", listed)):
        if list(map(id, values)) != [id(parameter.value) for parameter in expected]:
            says = f"must have these Values, each once and in order: {names}"
            yield Finding(Kind.MISSING, f"{module}.{method}", says)


def _check_zero_grad(check: NetworkCheck, module: str, expected: Sequence[_Expected]) -> Iterator[Finding]:
    """Check that zero_grad reaches every parameter."""
    with answering():
        for parameter in expected:
            parameter.value.grad = 1.0
    check.run(f"{module}.zero_grad()")
    with answering():
        left = [parameter.name for parameter in expected if parameter.value.has_grad]
    says = f"is still there after {module}.zero_grad()"
    yield from (Finding(Kind.ACCUMULATION, f"grad[{name}]", says) for name in left)


def _check_loading(check: NetworkCheck, saved: _Part, loaded: _Part) -> Iterator[Finding]:
    """Check that a module of other dtypes loads the saved numbers, and that older graphs detect the change."""
    with answering():
        for parameter in loaded.expected:
            parameter.value.data = parameter.numbers + 1
        graph = [p.value * p.value for p in loaded.expected if p.value.requires_grad]
    _save_and_load(check, saved.name, loaded.name)
    yield from _check_loaded(saved.expected, loaded.expected)
    for node in graph:
        try:
            node.backward()
        except RuntimeError:
            continue
        yield Finding(
            Kind.INPUT_MUTATED, "a backward pass", "reads the loaded numbers instead of the parameter's former ones"
        )


def _save_and_load(check: NetworkCheck, saved: str, loaded: str) -> None:
    check.run("from tempfile import TemporaryDirectory")
    check.run("folder = TemporaryDirectory()")
    try:
        check.run(f"{saved}.save(folder.name + '/module.npz')")
        check.run(f"{loaded}.load(folder.name + '/module.npz')")
    except Raised:  # the line that raised stays the last one
        check.namespace["folder"].cleanup()
        raise
    check.run("folder.cleanup()")


def _check_loaded(saved: Sequence[_Expected], loaded: Sequence[_Expected]) -> Iterator[Finding]:
    for before, after in zip(saved, loaded, strict=True):
        array, numbers = after.value.data, before.value.data.astype(after.numbers.dtype)
        if (array.dtype, array.tobytes()) != (numbers.dtype, numbers.tobytes()):
            says = f"was saved as {before.value.data!r}, but came back as {array!r}"
            yield Finding(Kind.FORWARD, after.name, says)
