"""Rule: a row of the rule tables, made of a forward and one pullback per operand.

A rule knows arrays and nothing of graphs. It is written in NumPy, and NumPy dispatches on the type of the operands: a
pullback computes when it is called with arrays, and is recorded when it is called with Values. That is how derivatives
of derivatives come without a second set of rules.
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


_COMPUTED = frozenset({np.ndarray, float, int})  # types known to have no `__apply_rule__`
_TYPED = (np.ndarray, np.generic)  # types that have a dtype


class Rule:
    """A differentiable op. Called with arrays it returns an array; called with Values it returns a Value.

    Args:
        forward: `forward(*operands, **options)`, the op on arrays. With `residual`, it returns `(result, residual)`.
        pullbacks: one per operand, `pullback(g, y, *operands, **options)`: it carries the cotangent `g` of the
            result `y` to that operand. It may leave the broadcasting in: the engine sums it out. A parameter whose
            name begins with an underscore is not read: the pullback uses its shape or dtype at most, and `lean()`
            need not store its numbers. `None` for an operand that has no gradient.
        residual: `residual(y, *operands, **options)`, which recomputes what `forward` saves for the pullbacks beside
            its result, so that it can be recorded. Pullbacks receive it as the option `residual`.
        bind: `bind(*args, **kwargs) -> (operands, options)`, the op's public signature; a list of such pairs
            for an op with several results. The default takes operands only.
        numpy: the NumPy functions that mean this op. The default is `forward`, if it is a function of NumPy.
        operator: the Python operator without its underscores: `"add"` gives `__add__` and `__radd__`.
        symbol: the short name shown in pictures. The default is the name of the rule.
        method: whether `Value` has a method of this name.
        variadic: whether the op takes any number of operands. Its single pullback takes the option `position`.
        views: whether the result may share the operand's memory.
        doc: the docstring of the function and the method.
    """

    def __init__(  # a row has many fields, most of them given by name
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
        self.operands_alone = bind is None  # there are no options to separate from the operands
        self.alone = self.operands_alone and len(pullbacks) == 1 and not residual  # a plain function of one operand
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
        """Compute the op, or record it if an operand is of a type that records."""
        bound = self.bound(*args, **kwargs)
        if isinstance(bound, list):
            return [self.apply(operands, options) for operands, options in bound]
        return self.apply(*bound)

    def bound(self, *args: Any, **kwargs: Any) -> Call | list[Call]:
        """Separate operands from options. Errors name the op, where Python's would name the function `bind`."""
        try:
            return self.bind(*args, **kwargs)
        except np.exceptions.AxisError:  # its message is complete, and its constructor takes other arguments
            raise
        except (TypeError, ValueError) as error:
            _, call, words = str(error).rpartition("() ")
            raise _like(error, f"{self.__name__}{' ' if call or words.startswith('takes ') else ': '}{words}") from None

    def apply(self, operands: Operands, options: Options) -> Any:
        """Compute or record the op, given operands and options as `bind` returns them."""
        for operand in operands:
            if operand.__class__ not in _COMPUTED:
                record = getattr(operand, "__apply_rule__", None)
                if record is not None:
                    return record(self, operands, options)
        arrays = [o if isinstance(o, np.ndarray) else self._array(o) for o in operands]
        if not self.weak and not any(isinstance(x, _TYPED) for x in arrays):
            arrays = [np.asarray(x) for x in arrays]  # Python numbers only: beside an array they would be weak
        try:
            y = self.forward(*arrays, **options)
        except TypeError as error:
            raise TypeError(f"{self.__name__}: {error}") from error
        return y[0] if self.residual else y

    def _array(self, operand: Any) -> Any:
        """Convert lists to arrays. Python numbers stay as they are, since NumPy treats them as weak."""
        if isinstance(operand, (int, float, complex, np.generic)):
            return operand
        array = np.asarray(operand)
        if array.dtype.kind not in "fciub":
            raise TypeError(f"{self.__name__} takes numbers, but got {type(operand).__name__} (dtype {array.dtype})")
        return array

    def reads(self, positions: Iterable[int]) -> frozenset[int]:
        """Return which numbers the pullbacks to some operands read: 0 for the result, 1 for the first operand, ...

        The names of a pullback's parameters tell. What the recomputation of the residual reads counts as well.
        """
        pullbacks = [self.pullbacks[0 if self.variadic else i] for i in positions]
        read = [_read(pullback, 1) for pullback in pullbacks if pullback is not None]
        return frozenset().union(*read, _read(self.residual, 0) if self.residual else ())

    def each_pullback(self, operands: int) -> Sequence[Callable[..., Any] | None]:
        """Return a pullback for each of this many operands. That of a variadic op gets the operand's position."""
        only = self.pullbacks[0]
        if not self.variadic or only is None:
            return self.pullbacks
        return [partial(only, position=i) for i in range(operands)]

    def _no_options(self, *operands: Any) -> Call:
        if len(operands) != len(self.pullbacks):
            expected = len(self.pullbacks)
            raise TypeError(f"takes {expected} operand{'s' * (expected != 1)}, but got {len(operands)}")
        return operands, {}

    def __repr__(self) -> str:
        return f"<rule {self.__name__}>"


def _like(error: TypeError | ValueError, words: str) -> TypeError | ValueError:
    """Make an error of the same kind. Subclasses of NumPy's take other arguments, so the base class is used."""
    return TypeError(words) if isinstance(error, TypeError) else ValueError(words)


_ALL = frozenset(range(100))  # more than any pullback has parameters


@lru_cache
def _read(function: Callable[..., Any], start: int) -> frozenset[int]:
    """Return the positions, counted from `start`, of the parameters that a function reads, by its signature."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some functions written in C have no signature
        return _ALL
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
    if any(p.kind is p.VAR_POSITIONAL and not p.name.startswith("_") for p in placed):
        return _ALL
    return frozenset(i for i, p in enumerate(placed[start:]) if not p.name.startswith("_"))


def rules_of(table: ModuleType) -> Iterator[tuple[str, Rule]]:
    """Iterate over the rules of a table, and give each the name of the variable that it was assigned to."""
    for name, rule in vars(table).items():
        if isinstance(rule, Rule) and rule.__name__ in ("", name):
            rule.__name__ = name
            rule.symbol = rule.symbol or name
            rule.__doc__ = rule.__doc__ or f"{name}, as NumPy's or, where NumPy has none, as PyTorch's."
            yield name, rule


def whole(name: str, number: Any) -> int:
    """Convert an option to an int. A float is an error, also one without a fraction."""
    try:
        return operator.index(number)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, but is {number!r}") from None


def floats(x: Any) -> Any:
    """Convert integers and booleans to double precision, for ops whose results are floats.

    Complex numbers stay: `ndgrad.numeric` takes slopes by a step along the imaginary axis.
    """
    x = np.asarray(x)
    if x.dtype.kind not in "fciub":
        raise TypeError(f"an operand must be numbers, but got dtype {x.dtype}")
    return x if x.dtype.kind in "fc" else x.astype(np.float64)


def _is_numpys(function: Callable[..., Any]) -> bool:
    return isinstance(function, np.ufunc) or (getattr(function, "__module__", None) or "").split(".")[0] == "numpy"
