"""A number of a gradient, with the slopes on both sides and a bound on their error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gmpy2

from reference.engines.exact.numbers import precisely


@dataclass(frozen=True)
class Slopes:
    """The slopes on both sides of a number. They differ at a kink, and are None if they are not finite, or unknown.

    Args:
        left: the slope towards smaller numbers.
        right: the slope towards larger numbers.
        bound: an estimate of the error of both; None if nobody has estimated it.
    """

    left: Any
    right: Any
    bound: Any = None

    @classmethod
    def single(cls, number: Any) -> Slopes:
        """Return a number in place of both slopes; None if it is not finite."""
        return cls(number, number) if gmpy2.is_finite(number) else UNKNOWN

    @property
    def middle(self) -> Any:
        """The mean of both. None if unknown."""
        if self.left is None or self.right is None:
            return None
        with precisely():
            return (self.left + self.right) / 2

    @property
    def exact(self) -> Any:
        """The single slope; None at a kink and if unknown."""
        return self.left if self.left is not None and self.left == self.right else None


UNKNOWN = Slopes(None, None)
