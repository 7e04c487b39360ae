"""Drawn modules, and the parameters that must be in them: under which names, in what order, with what numbers.

Beside each line that builds a part of a module stands what must come of it. The module is then asked for its
parameters, told to clear their gradients, saved, and loaded into a twin.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from reference.checks.networks.check import NetworkCheck
from reference.checks.networks.weights import SCHEMES, drawn
from reference.engines.training import answering
from reference.ops.source import Recording, Replaying, Source, chance, pick, shuffled
from reference.verdict import Finding, Kind, Part

_ACTIVATIONS = ("tanh", "relu", "leaky_relu", "sigmoid", "softplus", "linear")
_DTYPES = ("float64", "float32")


class _Wanted(NamedTuple):
    """A parameter that a module must have.

    Args:
        name: what the module must call it.
        value: the parameter itself.
        numbers: what it must begin as.
        size: that of the numbers that these were computed from: so much may cancel.
    """

    name: str
    value: Any
    numbers: np.ndarray
    size: float

    def under(self, name: object) -> _Wanted:
        """The same, in a place of that name."""
        return self._replace(name=f"{name}.{self.name}" if self.name else str(name))


class _Thing(NamedTuple):
    """Something that was built: its name in Python, and the parameters in it."""

    name: str
    wanted: Sequence[_Wanted]


class _Built(NamedTuple):
    """One of the library's modules: its name in Python, itself, and what its layers are drawn from in turn."""

    name: str
    made: Any
    rng: np.random.Generator
    init: str
    dtype: str

    def parameters(self, layer: Any, nin: int, nout: int) -> list[_Wanted]:
        """The weight and the bias that the next layer must have."""
        weight, bias = drawn(self.rng, self.init, nin, nout)
        _, size = SCHEMES[self.init]
        with answering():
            values = layer.weight, layer.bias
        return [
            _Wanted("weight", values[0], weight.astype(self.dtype), size(nin, nout)),
            _Wanted("bias", values[1], bias.astype(self.dtype), 1.0),
        ]


class _Growing:
    """A module while it is built, line by line.

    Args:
        source: where the choices come from.
        check: what runs the lines.
        dtypes: those of its parameters, the simplest first.
    """

    def __init__(self, source: Source, check: NetworkCheck, dtypes: Sequence[str] = _DTYPES) -> None:
        self._source = source
        self._check = check
        self._dtypes = dtypes
        self._things: list[_Thing] = []
        seed = source.integer(0, 999)
        self._rng = np.random.default_rng(seed)
        check.run(f"rng = np.random.default_rng({seed})")

    def root(self) -> _Thing:
        """A module: one of the library's, or one of any things."""
        return pick(self._source, [self._layer, self._network, self._neuron, *[self._module] * 6])()

    def _thing(self, depth: int) -> _Thing:
        """Anything that may stand in a module, one that stands elsewhere included."""
        if self._things and chance(self._source, 30):
            return pick(self._source, self._things)
        kinds: list[Callable[[], _Thing]] = [self._value, self._layer, self._neuron, self._network, self._other]
        if depth:
            kinds += [lambda: self._list(depth), lambda: self._dict(depth), lambda: self._module(depth)] * 3
        self._things.append(pick(self._source, [self._value, *kinds])())
        return self._things[-1]

    def _named(self, word: str, written: str) -> str:
        """Run a line that makes something, and give its name."""
        name = f"{word}{len(self._check.lines)}"
        self._check.run(f"{name} = {written}")
        return name

    # What holds parameters.

    def _value(self) -> _Thing:
        shape = pick(self._source, [(), (2,), (1, 3)])
        numbers = np.array(self._source.integers(-8, 8, math.prod(shape))).reshape(shape) / 4
        dtype, wants = pick(self._source, self._dtypes), not chance(self._source, 25)
        name = self._named("value", f"Value(np.array({numbers.tolist()}, {dtype!r}), requires_grad={wants})")
        return _Thing(name, [_Wanted("", self._check.made[name], numbers.astype(dtype), 1.0)])

    def _layer(self) -> _Thing:
        sizes = self._source.integer(1, 4), self._source.integer(1, 4)
        built = self._built("Layer", *sizes)
        return _Thing(built.name, built.parameters(built.made, *sizes))

    def _neuron(self) -> _Thing:
        nin = self._source.integer(1, 4)
        built = self._built("Neuron", nin)
        weight, bias = built.parameters(built.made, nin, 1)
        single = [weight._replace(numbers=weight.numbers[:, 0]), bias._replace(numbers=bias.numbers[0])]
        return _Thing(built.name, single)

    def _network(self) -> _Thing:
        nin, nouts = self._source.integer(1, 4), [self._source.integer(1, 4) for _ in range(self._source.integer(1, 3))]
        built = self._built("MLP", nin, nouts)
        wanted: list[_Wanted] = []
        for i, sizes in enumerate(pairwise([nin, *nouts])):
            wanted += [p.under(f"layers.{i}") for p in built.parameters(built.made.layers[i], *sizes)]
        return _Thing(built.name, wanted)

    def _built(self, kind: str, *sizes: Any) -> _Built:
        """One of the library's modules, from a seed or from the generator that others are drawn from, too."""
        seed = self._source.integer(0, 999) if chance(self._source, 60) else None
        init, dtype = pick(self._source, list(SCHEMES)), pick(self._source, self._dtypes)
        options = {"activation": pick(self._source, _ACTIVATIONS), "init": init, "dtype": dtype}
        written = ", ".join([*map(repr, sizes), *(f"{name}={option!r}" for name, option in options.items())])
        name = self._named(kind.lower(), f"{kind}({written}, rng={'rng' if seed is None else seed})")
        rng = self._rng if seed is None else np.random.default_rng(seed)
        return _Built(name, self._check.made[name], rng, init, dtype)

    # What holds what holds parameters, and what holds none.

    def _list(self, depth: int) -> _Thing:
        things = [self._thing(depth - 1) for _ in range(self._source.integer(0, 4))]
        kind = pick(self._source, ["list", "tuple"])
        name = self._named(kind, f"{kind}([{', '.join(thing.name for thing in things)}])")
        return _Thing(name, [parameter.under(i) for i, thing in enumerate(things) for parameter in thing.wanted])

    def _dict(self, depth: int) -> _Thing:
        things = {key: self._thing(depth - 1) for key in _some(self._source, ["inner", 3, "head"])}
        name = self._named("dict", f"{{{', '.join(f'{key!r}: {thing.name}' for key, thing in things.items())}}}")
        return _Thing(name, [parameter.under(key) for key, thing in things.items() for parameter in thing.wanted])

    def _module(self, depth: int = 2) -> _Thing:
        name = self._named("module", "Module()")
        wanted: list[_Wanted] = []
        for attribute in _some(self._source, ["first", "scale", "blocks", "last"]):
            thing = self._thing(depth - 1)
            self._check.run(f"{name}.{attribute} = {thing.name}")
            wanted += [parameter.under(attribute) for parameter in thing.wanted]
        if chance(self._source, 10):
            self._check.run(f"{name}.itself = {name}")
        return _Thing(name, wanted)

    def _other(self) -> _Thing:
        """No parameter: a number, a word, an array, nothing, or the result of an op."""
        written = pick(self._source, ["3", "'x'", "np.ones(2)", "None", "Value(1.5) * 2"])
        return _Thing(self._named("other", written), [])


def _some(source: Source, names: Sequence[Any]) -> list[Any]:
    """At least one of several names, in any order."""
    return shuffled(source, names)[: source.integer(1, len(names))]


def check_module(source: Source, check: NetworkCheck) -> None:
    """Has a module the parameters that it must have? Are they cleared, saved and loaded?"""
    recording = Recording(source, "module")
    module, wanted = _grown(recording, check, _DTYPES)
    check.findings += _listed(module, wanted)
    got = [Part(parameter.name, Kind.FORWARD, parameter.value.data) for parameter in wanted]
    begun = [Part(parameter.name, Kind.FORWARD, parameter.numbers) for parameter in wanted]
    check.judge(got, begun, [parameter.size for parameter in wanted])
    check.findings += _cleared(module, wanted)
    if chance(source, 30) and not check.findings:
        twin, loaded = _grown(Replaying(recording.script), check, _DTYPES[::-1])
        check.lines.append("# The last module is loaded from what the one before it, its twin, has saved.")
        check.findings += _stored(module, wanted, twin, loaded)


def _grown(source: Source, check: NetworkCheck, dtypes: Sequence[str]) -> tuple[Any, Sequence[_Wanted]]:
    """A module, and what parameters it must have: what stands in several places has the first of its names."""
    root = _Growing(source, check, dtypes).root()
    once: dict[int, _Wanted] = {}
    for parameter in root.wanted:
        once.setdefault(id(parameter.value), parameter)
    return check.made[root.name], list(once.values())


def _listed(module: Any, wanted: Sequence[_Wanted]) -> Iterator[Finding]:
    """Whether a module lists its parameters, each once, and in order."""
    with answering():
        named, listed = module.named_parameters(), module.parameters()
    names = [parameter.name for parameter in wanted]
    if list(named) != names:
        yield Finding(Kind.MISSING, "named_parameters()", f"has the names {list(named)}, but must have {names}")
    for by, found in (("named_parameters()", named.values()), ("parameters()", listed)):
        if list(map(id, found)) != [id(parameter.value) for parameter in wanted]:
            yield Finding(Kind.MISSING, by, f"has not these Values, each once and in order: {names}")


def _cleared(module: Any, wanted: Sequence[_Wanted]) -> Iterator[Finding]:
    """Whether zero_grad reaches every parameter."""
    with answering():
        for parameter in wanted:
            parameter.value.grad = 1.0
        module.zero_grad()
        left = [parameter.name for parameter in wanted if parameter.value.has_grad]
    yield from (Finding(Kind.ACCUMULATION, f"grad[{name}]", "is still there after zero_grad()") for name in left)


def _stored(module: Any, wanted: Sequence[_Wanted], twin: Any, loaded: Sequence[_Wanted]) -> Iterator[Finding]:
    """Whether a twin of other dtypes gets a module's numbers from a file; and whether a graph notices that it did."""
    with answering(), TemporaryDirectory() as folder:
        module.save(Path(folder, "module.npz"))
        for parameter in loaded:
            parameter.value.data = parameter.numbers + 1
        graph = [parameter.value * parameter.value for parameter in loaded if parameter.value.requires_grad]
        twin.load(Path(folder, "module.npz"))
    for before, after in zip(wanted, loaded, strict=True):
        array, numbers = after.value.data, before.value.data.astype(after.numbers.dtype)
        if (array.dtype, array.tobytes()) != (numbers.dtype, numbers.tobytes()):
            says = f"was saved as {before.value.data!r}, but came back as {array!r}"
            yield Finding(Kind.FORWARD, after.name, says)
    for node in graph:
        try:
            node.backward()
        except RuntimeError:
            continue
        yield Finding(Kind.INPUT_MUTATED, "a pass back", "reads what was loaded for what a parameter was before")
