"""Calls of NumPy's functions: full names, arguments, and options that have no effect.

NumPy passes a call to the engine as it was written. `np.sum(x, 0, None)` and `np.sum(x, axis=0, out=None)` mean
`np.sum(x, axis=0)`, and a rule needs to know only the latter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ndgrad.rules import Rule

# Values of options that are equivalent to leaving the option out.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "out": (None,),
    "dtype": (None,),
    "where": (True,),
    "casting": ("same_kind",),
    "subok": (True,),
    "signature": (None,),
    "sig": (None,),
    "order": ("K", "C"),
    "copy": (None,),
}


NO_OUT = "cannot write into an array (out=) when an operand is a Value: the graph would end"


def full_name(function: Any) -> str:
    """Return a function's name as users write it: `np.linalg.solve`. A ufunc from elsewhere has no prefix."""
    module = str(getattr(function, "__module__", None) or _home(function))
    name = str(getattr(function, "__qualname__", None) or getattr(function, "__name__", function))
    return f"np{module.removeprefix('numpy')}.{name}" if module.startswith("numpy") else name


def _home(function: Any) -> str:
    return "numpy" if getattr(np, getattr(function, "__name__", ""), None) is function else ""


def by_signature(
    function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Bind a call to NumPy's signature: operands by position, options by keyword, defaults left out.

    Args:
        function: a function of NumPy.
        args: the positional arguments of the call.
        options: the keyword arguments of the call.
    """
    signature = _signature(function)
    if signature is None:
        return args, options
    try:
        given = signature.bind(*args, **options).arguments
    except TypeError as error:
        raise TypeError(f"{full_name(function)}: {error}") from None
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    by_position = True  # until an argument is left out: those after it are passed by keyword
    for name, parameter in signature.parameters.items():
        argument = given.get(name, parameter.empty)
        if parameter.kind is parameter.VAR_KEYWORD:
            keywords.update({} if argument is parameter.empty else argument)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            positional += () if argument is parameter.empty else argument
        elif argument is parameter.empty or _same(argument, parameter.default):
            by_position = False
        elif by_position and name not in _NEUTRAL and parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(argument)
        else:
            keywords[name] = argument
    return tuple(positional), keywords


@lru_cache(maxsize=256)
def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # written in C, in a version of NumPy without signatures
        return None


def _same(argument: Any, default: Any) -> bool:
    """Return whether an argument is the default: the same object, or an equal string or integer."""
    return argument is default or (
        argument.__class__ is default.__class__ and isinstance(default, (str, int)) and bool(argument == default)
    )


def stated(name: str, rule: Rule, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that have an effect.

    Raises:
        TypeError: the rule does not have such an option.
    """
    effective = {key: option for key, option in options.items() if not _is_neutral(key, option)}
    known = _options_of(rule)
    for key in effective:
        if key == "out":
            raise TypeError(f"{name} {NO_OUT}")
        if known is not None and key not in known:
            raise TypeError(f"{name} takes no {key}= when an operand is a Value" + _others(known))
    return effective


def _is_neutral(key: str, option: Any) -> bool:
    return option is np._NoValue or any(_same(option, neutral) for neutral in _NEUTRAL.get(key, ()))  # noqa: SLF001


@lru_cache(maxsize=256)
def _options_of(rule: Rule) -> tuple[str, ...] | None:
    """Return the names of a rule's options; None if it takes any."""
    parameters = inspect.signature(rule.bind).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return tuple(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)


def _others(known: tuple[str, ...]) -> str:
    return f": it takes {', '.join(known)}" if known else ""
