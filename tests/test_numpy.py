"""Public functions of NumPy, called with a Value: each returns a Value or raises an error, and ends no graph silently.

A graph ends silently if a plain result depends on a Value's numbers without an error. So each function is called with
Values of several numbers: a plain result must be the same for all, unless the function is flat almost everywhere, so
that its results are plain by contract.
"""

from __future__ import annotations

import inspect
import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from ndgrad import Value
from ndgrad.engine.dispatch import _FLAT

SHAPES = ((), (3,), (3, 3))
MOST = 3  # arguments
METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")

# Not called: what writes files, changes NumPy's settings, prints, runs NumPy's own tests, or reads memory and files as
# if they held numbers.
EXCLUDED = {
    "frombuffer", "fromfile",
    "save", "savez", "savez_compressed", "savetxt", "memmap", "seterr", "seterrcall", "setbufsize", "set_printoptions",
    "errstate", "printoptions", "show_config", "show_runtime", "info", "test",
}  # fmt: skip
# Their results are text, or uninitialised memory, or cannot be compared.
NO_NUMBERS = {
    "np.str_",
    "np.ma.mvoid",
    "np.nditer",
    "np.nested_iters",
    "np.ma.ndenumerate",
    "np.empty_like",
    "np.ma.empty_like",
    "np.ma.masked_all_like",
}
# They use a Value as a flag, as `if value:` does: `rowvar`, `allow_masked`, `equal_nan` ...
FLAGGED = {"np.ma.cov", "np.ma.corrcoef"}


def callables() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every public callable, and the methods of ufuncs, under the name that users write."""
    for module, prefix in ((np, "np"), (np.linalg, "np.linalg"), (np.fft, "np.fft"), (np.ma, "np.ma")):
        for name in sorted(set(dir(module)) - EXCLUDED):
            function = None if name.startswith("_") else getattr(module, name)
            if not callable(function) or (isinstance(function, type) and issubclass(function, Exception)):
                continue
            yield f"{prefix}.{name}", function
            if isinstance(function, np.ufunc):
                yield from ((f"{prefix}.{name}.{method}", getattr(function, method)) for method in METHODS)


def calls(function: Callable[..., Any]) -> Iterator[partial[Any]]:
    """Yield calls of a function with a Value by position, in a list, and by keyword."""
    for total in range(1, MOST + 1):
        for place, shape, other in itertools.product(range(total), SHAPES, ("array", "number")):
            rest: list[Any] = [numbers(shape) if other == "array" else 0 for _ in range(total)]
            for made in (value, two_values):
                yield partial(called, function, rest[:place], rest[place + 1 :], partial(made, shape))
    for name, shape in itertools.product(keywords(function), ((), (3,))):
        yield partial(called_by_name, function, name, shape)


def called(
    function: Callable[..., Any], before: list[Any], after: list[Any], made: Callable[[float], Any], k: float
) -> Any:
    """Call the function with a Value, or Values in a list, among its arguments."""
    return function(*before, made(k), *after)


def called_by_name(function: Callable[..., Any], name: str, shape: tuple[int, ...], k: float) -> Any:
    """Call the function with a Value for an option."""
    return function(numbers((3,)), **{name: value(shape, k)})


def keywords(function: Callable[..., Any]) -> set[str]:
    """Return the keywords that a function accepts after its first argument."""
    method = {"initial", "where", "out", "axis", "dtype"} if isinstance(function, type(np.add.reduce)) else set[str]()
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return method
    by_keyword = {p.name for p in parameters[1:] if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return method | by_keyword


def numbers(shape: tuple[int, ...]) -> Any:
    """Return plain numbers."""
    return np.arange(np.prod(shape, dtype=int)).reshape(shape) / 4 + 0.25


def value(shape: tuple[int, ...], k: float) -> Value:
    """Return a Value, with other numbers for each k."""
    return Value(numbers(shape) * k - k)


def two_values(shape: tuple[int, ...], k: float) -> list[Value]:
    """Return Values in a list."""
    return [value(shape, k), value(shape, k)]


TOLD = ""


def outcome(call: Callable[[float], Any], k: float) -> str:
    """Return `TOLD` for a Value, an error or a warning; otherwise the plain result, as text."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "float.. takes", UserWarning)
        try:
            result = call(k)
        except Exception as error:  # noqa: BLE001 - any error is accepted
            check_name(str(error))
            return TOLD
    return TOLD if holds_value(result) else plain(result)


def check_name(words: str) -> None:
    """Check that the name of a function in an error is the one under which users find it."""
    name, says, _ = words.partition(" has no rule in ndgrad")
    if says and name.startswith("np."):
        found: Any = np
        for part in name.split(".")[1:]:
            found = getattr(found, part)
        assert callable(found)


def holds_value(result: Any) -> bool:
    """Return whether a result contains a Value."""
    if isinstance(result, (list, tuple)):
        return any(map(holds_value, result))
    if isinstance(result, np.ndarray) and result.dtype == object:
        return any(isinstance(x, Value) for x in result.flat)
    return isinstance(result, Value)


def plain(result: Any) -> str:
    """Return a plain result as text, for comparison."""
    if isinstance(result, (list, tuple)):
        return repr([plain(x) for x in result])
    if isinstance(result, np.ndarray):
        return repr(result.tolist())
    return re.sub(r" at 0x\w+", "", repr(result))  # of an object without a text


@pytest.mark.parametrize(("name", "function"), list(callables()), ids=lambda x: x if isinstance(x, str) else "")
def test_no_function_ends_a_graph_silently(name: str, function: Callable[..., Any]) -> None:
    """No plain result depends on a Value's numbers, unless the function is flat by contract."""
    if function in _FLAT or name in NO_NUMBERS | FLAGGED:
        return
    for call in calls(function):
        results = {outcome(call, k) for k in (1.0, -1.75, 0.5)} - {TOLD}
        assert len(results) < 2, call
