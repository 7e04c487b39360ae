"""The references by name; and several of them as one, each asked about the programs that it knows all ops of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from reference.engines.protocol import Reference
from reference.ops import OPS
from reference.program import Program

# fmt: off
REFERENCES: Mapping[str, tuple[str, str, str]] = {
    # name        where it stands             its class         what it needs
    "torch":    ("reference.engines.torch",    "TorchEngine",    "torch"),
    "autograd": ("reference.engines.autograd", "AutogradEngine", "autograd"),
    "jax":      ("reference.engines.jax",      "JaxEngine",      "jax"),
}
# fmt: on


def made(name: str) -> Reference:
    """Make a reference by its name.

    Raises:
        ImportError: what it needs is not installed.
    """
    module, kind, _ = REFERENCES[name]
    make: Callable[[], Reference] = getattr(import_module(module), kind)
    return make()


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

    def begin(self) -> None:
        """Make this process fit for all of them."""
        for member in self.members:
            member.begin()
