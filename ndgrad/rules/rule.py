"""What one row of the rule tables is: a forward, and one pullback per operand.

A rule knows arrays and nothing of graphs. It is written in NumPy, and NumPy hands a call over to whatever
type its operands have. So the same row computes when it is given arrays, and records itself when it is given
`Value`s, which is how derivatives of derivatives come without a second set of rules.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

Operands: TypeAlias = tuple[Any, ...]
Options: TypeAlias = Mapping[str, Any]
Call: TypeAlias = tuple[Operands, dict[str, Any]]


_COMPUTED = frozenset({np.ndarray, float, int})  # types known to record nothing: they are not asked
_TYPED = (np.ndarray, np.generic)  # whatever has a dtype


class Rule:
    """One differentiable op, callable with arrays (it gives an array) or with Values (it gives a Value).

    Args:
        forward: `forward(*operands, **options)`, the op on arrays. With `keep`, it returns `(result, kept)`.
        pullbacks: one per operand, `pullback(g, y, *operands, **options)`: it carries the cotangent `g` of the
            result `y` to that operand. It may leave the broadcasting in: the engine sums it out. A parameter whose
            name begins with an underscore is not read: the pullback uses its shape or dtype at the most, and `lean()`
            need not keep its numbers. `None` for an operand that has no gradient.
        keep: `keep(y, *operands, **options)`, the second thing that `forward` returned, recomputed so that it can
            record itself. Pullbacks are given it as the option `kept`.
        bind: `bind(*args, **kwargs) -> (operands, options)`, the op's public signature; a list of such pairs
            for an op with several results. The default takes operands alone.
        numpy: the NumPy functions that mean this op. The default is `forward`, where NumPy wrote it.
        operator: the Python operator without its underscores: `"add"` gives `__add__` and `__radd__`.
        symbol: the short name that pictures show. The default is the rule's own name.
        method: whether `Value` has a method of this name.
        variadic: whether the op takes any number of operands. Its one pullback is told `position`.
        views: whether the result may share the operand's memory.
    """

    def __init__(  # a row states many things, each by name
        self,
        forward: Callable[..., Any],
        *pullbacks: Callable[..., Any] | None,
        residual: Callable[..., Any] | None = None,
        bind: Callable[..., Call | list[Call]] | None = None,
        numpy: tuple[Callable[..., Any], ...] | None = None,
        operator: str = "",
        symbol: str = "",
        method: bool = True,
        variadic: bool = False,
        views: bool = False,
        doc: str = "",
    ) -> None:
        self.forward = forward
        self.pullbacks = pullbacks
        self.residual = residual
        self.bind = bind or self._no_options
        self.operands_alone = bind is None  # nothing is to be told apart
        self.alone = (
            self.operands_alone and len(pullbacks) == 1 and not residual
        )  # one operand, and nothing else to say
        self.numpy = (forward,) if numpy is None and _is_numpys(forward) else numpy or ()
        self.operator = operator
        self.symbol = symbol
        self.method = method
        self.variadic = variadic
        self.views = views
        self.weak = isinstance(forward, np.ufunc) or bool(operator)  # NumPy's operators let Python numbers be weak
        self.__doc__ = doc
        self.__name__ = ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the op, or record it where an operand is of a type that records."""
        bound = self.bound(*args, **kwargs)
        if isinstance(bound, list):
            return [self.apply(operands, options) for operands, options in bound]
        return self.apply(*bound)

    def bound(self, *args: Any, **kwargs: Any) -> Call | list[Call]:
        """Tell operands and options apart. An error names the op, where Python would name the function that binds."""
        try:
            return self.bind(*args, **kwargs)
        except np.exceptions.AxisError:  # which says all there is to say, in arguments of its own
            raise
        except (TypeError, ValueError) as error:
            _, call, words = str(error).rpartition("() ")
            raise _like(error, f"{self.__name__}{' ' if call or words.startswith('takes ') else ': '}{words}") from None

    def apply(self, operands: Operands, options: Options) -> Any:
        """Compute the op on operands and options that are already told apart."""
        for operand in operands:
            if operand.__class__ not in _COMPUTED:
                record = getattr(operand, "__apply_rule__", None)
                if record is not None:
                    return record(self, operands, options)
        arrays = [o if isinstance(o, np.ndarray) else self._array(o) for o in operands]
        if not self.weak and not any(isinstance(x, _TYPED) for x in arrays):
            arrays = [np.asarray(x) for x in arrays]  # Python numbers alone: beside an array they would be weak
        try:
            y = self.forward(*arrays, **options)
        except TypeError as error:
            raise TypeError(f"{self.__name__}: {error}") from error
        return y[0] if self.residual else y

    def _array(self, operand: Any) -> Any:
        """Python numbers stay as they are, for NumPy treats them as weak; lists become arrays."""
        if isinstance(operand, (int, float, complex, np.generic)):
            return operand
        array = np.asarray(operand)
        if array.dtype.kind not in "fciub":
            raise TypeError(f"{self.__name__} takes numbers, but got {type(operand).__name__} (dtype {array.dtype})")
        return array

    def reads(self, positions: Iterable[int]) -> frozenset[int]:
        """Whose numbers the pullbacks to some operands read: 0 stands for the result, 1 for the first operand ...

        A pullback says so by the names of its parameters. What a derivative of the derivative computes again counts as
        well.
        """
        pullbacks = [self.pullbacks[0 if self.variadic else i] for i in positions]
        read = [_read(pullback, 1) for pullback in pullbacks if pullback is not None]
        return frozenset().union(*read, _read(self.residual, 0) if self.residual else ())

    def each_pullback(self, operands: int) -> Sequence[Callable[..., Any] | None]:
        """The pullbacks to so many operands. A variadic op's one is told which it is for."""
        only = self.pullbacks[0]
        if not self.variadic or only is None:
            return self.pullbacks
        return [partial(only, position=i) for i in range(operands)]

    def _no_options(self, *operands: Any) -> Call:
        if len(operands) != len(self.pullbacks):
            wanted = len(self.pullbacks)
            raise TypeError(f"takes {wanted} operand{'s' * (wanted != 1)}, but got {len(operands)}")
        return operands, {}

    def __repr__(self) -> str:
        return f"<rule {self.__name__}>"


def _like(error: TypeError | ValueError, words: str) -> TypeError | ValueError:
    """An error of the same kind: of a kind of their own, NumPy's have other arguments."""
    return TypeError(words) if isinstance(error, TypeError) else ValueError(words)


_ALL = frozenset(range(100))  # more operands than any pullback names


@lru_cache
def _read(function: Callable[..., Any], start: int) -> frozenset[int]:
    """The positions, counted from `start`, of the parameters whose numbers a function reads: its signature says so."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some of C's functions have none
        return _ALL
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    if any(p.kind is p.VAR_POSITIONAL and not p.name.startswith("_") for p in placed):
        return _ALL
    return frozenset(i for i, p in enumerate(placed[start:]) if not p.name.startswith("_"))


def rules_of(table: ModuleType) -> Iterator[tuple[str, Rule]]:
    """Walk the rules of a table, each told its name: that of the variable it was assigned to."""
    for name, rule in vars(table).items():
        if isinstance(rule, Rule) and rule.__name__ in ("", name):
            rule.__name__ = name
            rule.symbol = rule.symbol or name
            rule.__doc__ = rule.__doc__ or f"{name}, as NumPy's or, where NumPy has none, as PyTorch's."
            yield name, rule


def whole(name: str, number: Any) -> int:
    """The whole number that an option is given: a Python integer, or one of NumPy's."""
    try:
        return operator.index(number)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, but is {number!r}") from None


def floats(x: Any) -> Any:
    """Whole numbers and booleans in double precision, for ops whose results are floats.

    Complex numbers stay: by a step along the imaginary axis `ndgrad.numeric` takes slopes.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "fciub":
        raise TypeError(f"an operand must be numbers, but got dtype {x.dtype}")
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def _is_numpys(function: Callable[..., Any]) -> bool:
    return isinstance(function, np.ufunc) or (getattr(function, "__module__", None) or "").split(".")[0] == "numpy"
