"""How NumPy's functions are called: their names in full, their arguments, and the options that say nothing.

NumPy hands a call over as it was written. `np.sum(x, 0, None)` and `np.sum(x, axis=0, out=None)` mean
`np.sum(x, axis=0)`, and that is all that a rule has to know.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from ndgrad.rules import Rule

# What an option may be given as, and mean what it means if it is left out.
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
    """A function's name as its users write it: `np.linalg.solve`. A ufunc that is not NumPy's is called by its name."""
    module = str(getattr(function, "__module__", None) or _home(function))
    name = str(getattr(function, "__qualname__", None) or getattr(function, "__name__", function))
    return f"np{module.removeprefix('numpy')}.{name}" if module.startswith("numpy") else name


def _home(function: Any) -> str:
    return "numpy" if getattr(np, getattr(function, "__name__", ""), None) is function else ""


def by_signature(
    function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A call with its operands and options told apart as NumPy tells them, without those left at their defaults.

    Args:
        function: NumPy's.
        args: as it was called with.
        options: likewise.
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
    in_place = True  # until one is left out: those after it go by name
    for name, parameter in signature.parameters.items():
        argument = given.get(name, parameter.empty)
        if parameter.kind is parameter.VAR_KEYWORD:
            keywords.update({} if argument is parameter.empty else argument)
        elif parameter.kind is parameter.VAR_POSITIONAL:
            positional += () if argument is parameter.empty else argument
        elif argument is parameter.empty or _same(argument, parameter.default):
            in_place = False
        elif in_place and name not in _NEUTRAL and parameter.kind is not parameter.KEYWORD_ONLY:
            positional.append(argument)
        else:
            keywords[name] = argument
    return tuple(positional), keywords


@lru_cache(maxsize=256)
def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # written in C, in a NumPy that tells no signatures
        return None


def _same(argument: Any, default: Any) -> bool:
    """Whether an argument is the default: the same object, or an equal word or number."""
    return argument is default or (
        argument.__class__ is default.__class__ and isinstance(default, (str, int)) and bool(argument == default)
    )


def stated(name: str, rule: Rule, options: dict[str, Any]) -> dict[str, Any]:
    """The options that say something.

    Raises:
        TypeError: the rule has no such option.
    """
    said = {key: option for key, option in options.items() if not _says_nothing(key, option)}
    known = _options_of(rule)
    for key in said:
        if key == "out":
            raise TypeError(f"{name} {NO_OUT}")
        if known is not None and key not in known:
            raise TypeError(f"{name} takes no {key}= when an operand is a Value" + _others(known))
    return said


def _says_nothing(key: str, option: Any) -> bool:
    return option is np._NoValue or any(_same(option, neutral) for neutral in _NEUTRAL.get(key, ()))  # noqa: SLF001


@lru_cache(maxsize=256)
def _options_of(rule: Rule) -> tuple[str, ...] | None:
    """The names that a rule's options may have; None if it takes any."""
    parameters = inspect.signature(rule.bind).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return tuple(p.name for p in parameters if p.kind is not p.VAR_POSITIONAL)


def _others(known: tuple[str, ...]) -> str:
    return f": it takes {', '.join(known)}" if known else ""
