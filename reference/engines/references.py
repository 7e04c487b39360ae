"""Engines and references by name, for the command line and for sending them to other processes.

A name is in the table, or has the form `module:name` and tells where to import an engine from.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from reference.engines.protocol import Reference
from reference.ops import OPS
from reference.programs import Program

# fmt: off
ENGINES: Mapping[str, tuple[str, str]] = {
    # name        import path                                   required package
    "ndgrad":   ("reference.engines.ndgrad:NdgradEngine",       "numpy"),
    "torch":    ("reference.engines.torch:TorchEngine",         "torch"),
    "autograd": ("reference.engines.autograd:AutogradEngine",   "autograd"),
    "jax":      ("reference.engines.jax:JaxEngine",             "jax"),
}
# fmt: on
REFERENCES = ("torch", "autograd", "jax")


class NoEngine(ValueError):  # noqa: N818 - the name describes the argument
    """A name that is not the name of an engine or reference."""


def make_engine(name: str) -> Any:
    """Make an engine by its name.

    Args:
        name: one of `ENGINES`, or `module:name` for an engine, or for a class or function that makes one without
            arguments. Modules are also searched in the current folder.

    Raises:
        NoEngine: the name is unknown, it cannot be imported or called, or the result is not an engine.
    """
    return _make(name, "engine", ENGINES, ("name", "ops", "abilities", "run"))


def make_reference(name: str) -> Any:
    """Make a reference by its name, as `make_engine` makes an engine."""
    return _make(name, "reference", REFERENCES, ("name", "ops", "abilities", "run", "known", "conventions", "begin"))


def _make(name: str, role: str, known: Iterable[str], required: Sequence[str]) -> Any:
    path = ENGINES[name][0] if name in known else name
    module, _, attribute = path.partition(":")
    if not module or not attribute:
        raise NoEngine(f"{name!r} is not a known {role}: expected {', '.join(known)}, or yours as 'module:name'")
    if not {"", os.getcwd()} & set(sys.path):  # noqa: PTH109 - an entry of the path is a string
        sys.path.append(os.getcwd())  # noqa: PTH109 - as above
    engine = _imported(module, attribute)
    missing = [part for part in required if not hasattr(engine, part)]
    if missing:
        raise NoEngine(f"{name!r} is not a valid {role}: its {type(engine).__name__} lacks {', '.join(missing)}")
    return engine


def _imported(module: str, attribute: str) -> Any:
    """Import an object, and call it if it is callable. Any error comes from the imported module."""
    try:
        found = getattr(import_module(module), attribute)
        return found() if callable(found) else found
    except Exception as error:
        raise NoEngine(
            f"{module}:{attribute} cannot be imported and called: {type(error).__name__}: {error}"
        ) from error


def is_installed(name: str) -> bool:
    """Whether the package that an engine of the table requires is installed."""
    return name not in ENGINES or importlib.util.find_spec(ENGINES[name][1]) is not None


@dataclass(frozen=True)
class Scrutiny:
    """How closely an engine is looked at, beside the comparison with references.

    Args:
        audited: one in so many programs is audited by the exact witness, though both sides agree; 0 for none.
    """

    audited: int = 16


EVERY, NO_AUDIT = Scrutiny(audited=1), Scrutiny(audited=0)


class References:
    """Several references. The first is used where one is enough.

    Args:
        members: the references, at least one.
        scrutiny: how closely the engine is looked at beside them.
    """

    def __init__(self, members: Sequence[Reference], scrutiny: Scrutiny = Scrutiny()) -> None:
        self.members = tuple(members)
        self.scrutiny = scrutiny

    @property
    def name(self) -> str:
        """The names of all members."""
        return " and ".join(member.name for member in self.members)

    @property
    def ops(self) -> Sequence[str]:
        """The ops that at least one member supports."""
        known = {op for member in self.members for op in member.ops}
        return tuple(op for op in OPS if op in known)

    @property
    def few_shapes(self) -> bool:
        """Whether one of the members needs programs of few shapes."""
        return any(member.abilities.few_shapes for member in self.members)

    def supporting(self, program: Program) -> list[Reference]:
        """Return the members that support all ops of a program."""
        ops = {step.op for step in program.steps}
        return [member for member in self.members if ops <= set(member.ops)]

    def led_by(self, name: str) -> References:
        """Return the same references, the one of this name first."""
        return References(sorted(self.members, key=lambda member: member.name != name), self.scrutiny)

    def auditing_all(self) -> References:
        """Return the same references, with each program audited."""
        return References(self.members, replace(self.scrutiny, audited=1))

    def without_audits(self) -> References:
        """Return the same references, with no program audited."""
        return References(self.members, replace(self.scrutiny, audited=0))

    def by_name(self, name: str) -> Reference:
        """Return the member of this name; the first member, if there is none."""
        return next((member for member in self.members if member.name == name), self.members[0])

    def begin(self) -> None:
        """Prepare this process for all members."""
        for member in self.members:
            member.begin()
