"""Engines and references of the cases that bought the judges: some are right, and some are wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reference.engines import Abilities, Engine, Outcome, Reference
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.programs import Program
from tests.reference import corpus

Spoil = Callable[[Outcome], Outcome]


class Spoilt:
    """ndgrad with changed outcomes: an engine that is wrong on purpose."""

    name = "spoilt 0"
    abilities = Abilities(second_order=True)

    def __init__(self, spoil: Spoil, again: Spoil | None = None) -> None:
        self._right = NdgradEngine()
        self._spoil = spoil
        self._spoil_again = again or spoil

    @property
    def ops(self) -> Sequence[str]:
        return self._right.ops

    def run(self, program: Program) -> Outcome:
        return self._spoil(self._right.run(program))

    def again(self, program: Program) -> Outcome:
        return self._spoil_again(self._right.again(program))


class SpoiltTorch(TorchEngine):
    """PyTorch with changed outcomes or fewer abilities: a reference that is weak on purpose."""

    def __init__(self, spoil: Spoil = lambda o: o, abilities: Abilities = TorchEngine.abilities) -> None:
        super().__init__()
        self._spoil = spoil
        self.abilities = abilities

    def run(self, program: Program, **options: Any) -> Outcome:
        return self._spoil(super().run(program, **options))


def gradients(change: Callable[[Any], Any]) -> Spoil:
    """Change the first gradient, in all passes alike."""

    def spoil(outcome: Outcome) -> Outcome:
        if not outcome.gradients or outcome.gradients[0] is None:
            return outcome
        changed = change(outcome.gradients[0].copy())
        twice = (changed + changed, *outcome.twice[1:]) if outcome.twice else ()
        return replace(outcome, gradients=(changed, *outcome.gradients[1:]), twice=twice)

    return spoil


def refusing(error: Exception, *, in_a_step: bool = False) -> Spoil:
    """Refuse everything, in a step or in the backward pass."""
    return lambda outcome: Outcome(() if in_a_step else outcome.values, error=error)


def accepting(outcome: Outcome) -> Outcome:
    """Accept everything."""
    return Outcome((np.zeros(()),)) if outcome.error else outcome


def half_more(outcome: Outcome) -> Outcome:
    """Change the first value by one ULP, and add 1/2 to the last gradient in both passes."""
    *others, last = outcome.gradients
    half = (*others, last + 0.5)
    values = (np.nextafter(outcome.values[0], np.inf), *outcome.values[1:])
    return replace(outcome, values=values, gradients=half, twice=tuple(g + g for g in half))


def result(change: Callable[[Any], Any]) -> Spoil:
    """Change the result."""
    return lambda o: replace(o, values=(*o.values[:-1], change(o.values[-1])))


def second(change: Callable[[Any], Any]) -> Spoil:
    """Replace the second-order gradients by a function of the first-order ones."""
    return lambda o: replace(o, second=tuple(map(change, o.gradients)))


# fmt: off
SPOILT: Mapping[str, Spoil] = {
    "a shape":                   gradients(lambda g: g[:1]),
    "a dtype":                   gradients(lambda g: g.astype(np.float32)),
    "a NumPy scalar":            gradients(lambda g: g[0]),
    "NaN":                       gradients(lambda g: g * np.nan),
    "infinity":                  gradients(lambda g: g + np.inf),
    "another order":             gradients(lambda g: g + 2**-9),
    "half too much":             gradients(lambda g: g + 0.5),
    "missing":                   lambda o: replace(o, gradients=(None, *o.gradients[1:])),
    "the value":                 result(lambda y: y * (1 + 1e-9)),
    "the value, 1e-10 off":      result(lambda y: y * (1 + 1e-10)),
    "the value, 16 ULP off":     result(lambda y: y + 16 * np.spacing(y)),
    "the value, 1e-6 off":       result(lambda y: y * (1 + 1e-6)),
    "met otherwise":             half_more,
    "a second derivative of 1":  second(lambda g: np.eye(1, g.size)[0]),
    "a raised error":            refusing(RuntimeError("no")),
    "all accepted":              accepting,
    "tripled":                   lambda o: replace(o, twice=tuple(3 * g for g in o.gradients)),
    "not summed":                lambda o: replace(o, twice=o.gradients),
    "shared":                    lambda o: replace(o, gradients=(o.gradients[1], o.gradients[1])),
    "the cotangent returned":    lambda o: replace(o, gradients=(o.held[-1], *o.gradients[1:])),
    "a cotangent overwritten":   lambda o: replace(o, inner=(*o.inner[:-1], o.gradients[0])),
    "written into":              lambda o: replace(o, held=(o.held[0] + 1, *o.held[1:])),
}
WEAK = Abilities(second_order=True)
REFERENCES: Mapping[str, Callable[[], Reference]] = {
    "PyTorch":                     TorchEngine,
    "PyTorch that accepts":        lambda: SpoiltTorch(accepting),
    "PyTorch that refuses":        lambda: SpoiltTorch(refusing(ValueError("no"))),
    "PyTorch without this":        lambda: SpoiltTorch(refusing(NotImplementedError("no"))),
    "PyTorch in one row":          lambda: SpoiltTorch(gradients(np.ravel)),
    "PyTorch, 1e-9 off":           lambda: SpoiltTorch(gradients(lambda g: g * (1 + 1e-9))),
    "PyTorch, its value 1e-6 off": lambda: SpoiltTorch(result(lambda y: y * (1 + 1e-6))),
    "PyTorch, NaN twice":          lambda: SpoiltTorch(second(lambda g: g * np.nan)),
    "weak PyTorch":                lambda: SpoiltTorch(abilities=WEAK),
    "weak PyTorch, slope 1 at 0":  lambda: SpoiltTorch(gradients(np.ones_like), WEAK),
}
# fmt: on


def engine(name: str) -> Engine:
    """Return an engine by its name: ndgrad, a wrong engine of the corpus, or one that is spoilt here."""
    if name == "another each time":
        return Spoilt(lambda o: o, gradients(lambda g: np.nextafter(g, np.inf)))
    return Spoilt(SPOILT[name]) if name in SPOILT else corpus._engine(name)


def references(names: str) -> list[Reference]:
    """Return references by their names, separated by semicolons."""
    return [REFERENCES[name]() for name in names.split("; ")]
