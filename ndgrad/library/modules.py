"""Modules: whatever has parameters. They are found, listed, saved and loaded.

It knows attributes, names and files. What a module computes, it does not know.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ndgrad.engine import Value
from ndgrad.files import whole

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


class Module:
    """Whatever has parameters: the leaf Values among its attributes, and those of the Modules among them.

    Lists, tuples and dicts of Values and Modules are searched as well. Frozen parameters, those with
    `requires_grad=False`, count too; the recorded results of ops do not. What is found in several places
    counts once, under the first name:

        class Residual(Module):
            def __init__(self, width):
                self.inner = [Layer(width, width), Layer(width, width)]
                self.scale = Value(np.ones(width))

            def __call__(self, x):
                return x + self.scale * self.inner[1](self.inner[0](x))

    has the parameters `inner.0.weight`, `inner.0.bias`, `inner.1.weight`, `inner.1.bias` and `scale`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse an array in place of a parameter, which would then be none, and not be trained."""
        if _is_parameter(vars(self).get(name)) and not isinstance(value, Value) and value is not None:
            raise TypeError(
                f"{name} is a parameter, and cannot become a {type(value).__name__}: assign numbers to {name}.data"
            )
        super().__setattr__(name, value)

    def named_parameters(self) -> dict[str, Value]:
        """Give the parameters by name, such as `layers.0.weight`, in the order in which they were assigned.

        Raises:
            ValueError: two parameters have the same name, as `{1: a, "1": b}` would give them.
        """
        found: dict[str, Value] = {}
        for name, parameter in _found_in(self, (), set()):
            if name in found:
                raise ValueError(f"two parameters have the name {name!r}: rename an attribute or a key")
            found[name] = parameter
        return found

    def parameters(self) -> list[Value]:
        """Give the parameters, each once, in the order of `named_parameters`."""
        return list(self.named_parameters().values())

    def zero_grad(self) -> None:
        """Make the gradient of every parameter missing, as it is before the first `backward`."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to an .npz file of exactly this name: one array for each, under its name.

        Whoever reads the path meanwhile, or after an error, finds the old file or the new one, never a half. A pipe or
        a character device is written to.

        Raises:
            OSError: the path cannot be written, or is a directory, a socket or a block device.
        """
        with whole(path) as file:
            _write(file, {name: parameter.data for name, parameter in self.named_parameters().items()})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the parameters from a file that `save` wrote. Each keeps its dtype. An error changes nothing.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no .npz file; or its names, shapes or kinds of dtype are not the parameters'.
        """
        parameters = self.named_parameters()
        arrays = _read(path)
        misfits = "".join(f"\n  {misfit}" for misfit in _misfits(arrays, parameters))
        if misfits:
            raise ValueError(f"{os.fspath(path)} does not fit this {type(self).__name__}:{misfits}")
        fitting = {name: arrays[name].astype(parameter.dtype) for name, parameter in parameters.items()}
        for name, parameter in parameters.items():
            parameter.data = fitting[name]


def _found_in(place: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, Value]]:
    """Walk what can hold parameters. Each object is entered once: shared ones count once, and circles end."""
    if id(place) in seen:
        return
    seen.add(id(place))
    if _is_parameter(place):
        yield ".".join(path), place
    for name, inner in _contents(place):
        yield from _found_in(inner, (*path, name), seen)


def _is_parameter(thing: Any) -> bool:
    """Whether it is a leaf, and not the result of an op."""
    return isinstance(thing, Value) and not thing._prev  # noqa: SLF001 - which says so


def _contents(place: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(place, Module):
        yield from vars(place).items()
    elif isinstance(place, dict):
        yield from ((str(key), inner) for key, inner in place.items())
    elif isinstance(place, (list, tuple)):
        yield from ((str(i), inner) for i, inner in enumerate(place))


def _write(file: Any, arrays: Mapping[str, Array]) -> None:
    """Write what `numpy.savez` would, whatever the names: it takes `file` for an argument of its own."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _read(path: str | os.PathLike[str]) -> dict[str, Array]:
    """All arrays of an .npz file. Nothing in it is unpickled, for a pickle may run anything."""
    with Path(path).open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return {name: np.asarray(array) for name, array in archive.items()}
        except Exception as error:  # damaged bytes raise whatever NumPy, zipfile and zlib happen to meet
            raise ValueError(f"{os.fspath(path)} is not an .npz file of numbers, or is damaged") from error


def _misfits(arrays: Mapping[str, Array], parameters: Mapping[str, Value]) -> Iterator[str]:
    """Each difference between what a file has and what is wanted, in a sentence."""
    for name in sorted(arrays.keys() - parameters.keys()):
        yield f"the file has {name}, which the module does not have"
    for name, parameter in parameters.items():
        if name not in arrays:
            yield f"the module wants {name}, which the file does not have"
            continue
        array = arrays[name]
        if array.shape != parameter.shape:
            yield f"{name} has shape {array.shape} in the file, but the module wants {parameter.shape}"
        if array.dtype.kind != "f":
            yield f"{name} has dtype {array.dtype} in the file, but the module wants {parameter.dtype}"
