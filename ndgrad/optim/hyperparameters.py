"""Hyperparameters, which are checked at each assignment, at construction or between two steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

from ndgrad.rules.plain import check_plain

T = TypeVar("T")


class Hyperparameter(Generic[T]):
    """An attribute that converts and checks assigned values. They are stored in `hyperparameters`."""

    def __init__(self, checked: Callable[[str, Any], T]) -> None:
        self._checked = checked

    def __set_name__(self, kind: type[Any], name: str) -> None:
        self._name = name

    def __get__(self, optimizer: Any, kind: type[Any]) -> T:
        value: T = optimizer.hyperparameters[self._name]
        return value

    def __set__(self, optimizer: Any, given: Any) -> None:
        optimizer.hyperparameters[self._name] = self._checked(self._name, given)


def number(name: str, given: Any) -> float:
    """Check a finite number, and convert it to float: a NumPy scalar would promote float32 parameters to float64."""
    check_plain(given, name)
    array = np.asarray(given)
    if array.ndim or array.dtype.kind not in "fiu" or not math.isfinite(array):
        raise ValueError(f"{name} must be a finite number, but is {given!r}")
    return float(array)


def from_0(name: str, given: Any) -> float:
    """Check a number that is 0 or more."""
    x = number(name, given)
    if x < 0:
        raise ValueError(f"{name} must be 0 or more, but is {given!r}")
    return x


def from_0_to_1(name: str, given: Any) -> float:
    """Check a number from 0 to 1."""
    x = number(name, given)
    if not 0 <= x <= 1:
        raise ValueError(f"{name} must be from 0 to 1, but is {given!r}")
    return x


def two_below_1(name: str, given: Any) -> tuple[float, float]:
    """Check a pair of numbers that are 0 or more and less than 1."""
    if np.shape(given) != (2,):
        raise ValueError(f"{name} must be two numbers, but is {given!r}")
    first, second = from_0(name, given[0]), from_0(name, given[1])
    if max(first, second) >= 1:
        raise ValueError(f"{name} must be below 1, but are {given!r}")
    return first, second


def flag(name: str, given: Any) -> bool:
    """Check a boolean."""
    if np.ndim(given) or np.asarray(given).dtype != bool:
        raise ValueError(f"{name} must be True or False, but is {given!r}")
    return bool(given)
