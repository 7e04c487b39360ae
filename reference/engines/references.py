"""Engines and references by name: how they are asked for on the command line, and how they travel between processes.

A name is one of the table, or says where to import an engine from: `module:name`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from reference.engines.protocol import Reference
from reference.ops import OPS
from reference.programs import Program

# fmt: off
ENGINES: Mapping[str, tuple[str, str]] = {
    # name        where it is imported from                     what it needs
    "ndgrad":   ("reference.engines.ndgrad:NdgradEngine",       "numpy"),
    "torch":    ("reference.engines.torch:TorchEngine",         "torch"),
    "autograd": ("reference.engines.autograd:AutogradEngine",   "autograd"),
    "jax":      ("reference.engines.jax:JaxEngine",             "jax"),
}
# fmt: on
REFERENCES = ("torch", "autograd", "jax")


class NoEngine(ValueError):  # noqa: N818 - it says what the name is
    """A name that leads to no engine, or to no reference."""


def made(name: str) -> Any:
    """Make an engine by its name.

    Args:
        name: one of `ENGINES`, or `module:name`. What is imported is an engine, or a class or function without
            arguments that makes one. Modules are also looked for in the current folder.

    Raises:
        NoEngine: there is nothing of this name, it cannot be imported or made, or it is no engine.
    """
    return _made(name, "engine", ENGINES, ("name", "ops", "abilities", "run"))


def made_reference(name: str) -> Any:
    """Make a reference by its name, as `made` does an engine."""
    return _made(name, "reference", REFERENCES, ("name", "ops", "abilities", "run", "known", "conventions", "begin"))


def _made(name: str, what: str, known: Iterable[str], needed: Sequence[str]) -> Any:
    where = ENGINES[name][0] if name in known else name
    module, _, attribute = where.partition(":")
    if not module or not attribute:
        raise NoEngine(f"{name!r} is no {what}; known are {', '.join(known)}, and yours as 'module:name'")
    if not {"", os.getcwd()} & set(sys.path):  # noqa: PTH109 - an entry of the path is a string
        sys.path.append(os.getcwd())  # noqa: PTH109 - as above
    engine = _imported(module, attribute)
    missing = [part for part in needed if not hasattr(engine, part)]
    if missing:
        raise NoEngine(f"{name!r} is no {what}: a {type(engine).__name__} without {', '.join(missing)}")
    return engine


def _imported(module: str, attribute: str) -> Any:
    """Import something, and call it if it can be. Whatever goes wrong is the module's own."""
    try:
        found = getattr(import_module(module), attribute)
        return found() if callable(found) else found
    except Exception as error:
        raise NoEngine(f"{module}:{attribute} cannot be imported and made: {type(error).__name__}: {error}") from error


def is_installed(name: str) -> bool:
    """Whether what an engine of the table needs is installed."""
    return name not in ENGINES or importlib.util.find_spec(ENGINES[name][1]) is not None


class References:
    """Several references, the first of which is asked where one is enough.

    Args:
        members: the references, at least one.
    """

    def __init__(self, members: Sequence[Reference]) -> None:
        self.members = tuple(members)

    @property
    def name(self) -> str:
        """All their names."""
        return " and ".join(member.name for member in self.members)

    @property
    def ops(self) -> Sequence[str]:
        """The ops that at least one of them knows."""
        known = {op for member in self.members for op in member.ops}
        return tuple(op for op in OPS if op in known)

    @property
    def few_shapes(self) -> bool:
        """Whether one of them is given programs of few shapes."""
        return any(member.abilities.few_shapes for member in self.members)

    def that_know(self, program: Program) -> list[Reference]:
        """Those that know all ops of a program."""
        ops = {step.op for step in program.steps}
        return [member for member in self.members if ops <= set(member.ops)]

    def led_by(self, name: str) -> References:
        """The same, the one of this name first."""
        return References(sorted(self.members, key=lambda member: member.name != name))

    def called(self, name: str) -> Reference:
        """The one of this name; the first, if there is none."""
        return next((member for member in self.members if member.name == name), self.members[0])

    def begin(self) -> None:
        """Make this process fit for all of them."""
        for member in self.members:
            member.begin()
