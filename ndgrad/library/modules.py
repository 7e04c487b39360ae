"""Modules: objects with parameters, which are found, listed, saved and loaded.

It knows attributes, names and files, and not what a module computes.
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
    """The base class of objects with parameters: leaf Values among the attributes, and the parameters of Modules there.

    Lists, tuples and dicts of Values and Modules are searched as well. Frozen parameters, with `requires_grad=False`,
    count too; results of ops do not. A parameter that is found in several places counts once, under the first name:

        class Residual(Module):
            def __init__(self, width):
                self.inner = [Layer(width, width), Layer(width, width)]
                self.scale = Value(np.ones(width))

            def __call__(self, x):
                return x + self.scale * self.inner[1](self.inner[0](x))

    has the parameters `inner.0.weight`, `inner.0.bias`, `inner.1.weight`, `inner.1.bias` and `scale`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        """Raise TypeError if an array is to replace a parameter, which would then not be trained."""
        if _is_parameter(vars(self).get(name)) and not isinstance(value, Value) and value is not None:
            raise TypeError(
                f"{name} is a parameter, and cannot become a {type(value).__name__}: assign numbers to {name}.data"
            )
        super().__setattr__(name, value)

    def named_parameters(self) -> dict[str, Value]:
        """Return the parameters by name, such as `layers.0.weight`, in the order of assignment.

        Raises:
            ValueError: two parameters have the same name, as in `{1: a, "1": b}`.
        """
        found: dict[str, Value] = {}
        for name, parameter in _parameters_in(self, (), set()):
            if name in found:
                raise ValueError(f"two parameters have the name {name!r}: rename an attribute or a key")
            found[name] = parameter
        return found

    def parameters(self) -> list[Value]:
        """Return the parameters, each once, in the order of `named_parameters`."""
        return list(self.named_parameters().values())

    def zero_grad(self) -> None:
        """Remove the gradient of every parameter: it is missing, as before the first `backward`."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the parameters to an .npz file with exactly this path: one array for each, under its name.

        The write is atomic: at any time, and after any error, the path holds the old file or the new one. A pipe or a
        character device is written to.

        Raises:
            OSError: the path cannot be written, or is a directory, a socket or a block device.
        """
        with whole(path) as file:
            _write(file, {name: parameter.data for name, parameter in self.named_parameters().items()})

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the parameters from a file that `save` wrote. Each keeps its dtype. After an error nothing is changed.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not an .npz file; or names, shapes or kinds of dtype differ from those of the parameters.
        """
        parameters = self.named_parameters()
        arrays = _read(path)
        misfits = "".join(f"\n  {misfit}" for misfit in _misfits(arrays, parameters))
        if misfits:
            raise ValueError(f"{os.fspath(path)} does not fit this {type(self).__name__}:{misfits}")
        fitting = {name: arrays[name].astype(parameter.dtype) for name, parameter in parameters.items()}
        for name, parameter in parameters.items():
            parameter.data = fitting[name]


def _parameters_in(place: Any, path: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, Value]]:
    """Yield the parameters in an object, with their names. Each object is visited once, so cycles end."""
    if id(place) in seen:
        return
    seen.add(id(place))
    if _is_parameter(place):
        yield ".".join(path), place
    for name, inner in _children(place):
        yield from _parameters_in(inner, (*path, name), seen)


def _is_parameter(thing: Any) -> bool:
    """Return whether an object is a leaf, and not the result of an op."""
    return isinstance(thing, Value) and not thing._prev  # noqa: SLF001 - it tells results from leaves


def _children(place: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(place, Module):
        yield from vars(place).items()
    elif isinstance(place, dict):
        yield from ((str(key), inner) for key, inner in place.items())
    elif isinstance(place, (list, tuple)):
        yield from ((str(i), inner) for i, inner in enumerate(place))


def _write(file: Any, arrays: Mapping[str, Array]) -> None:
    """Write the file that `numpy.savez` would write. An array named `file` would be taken for its argument."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _read(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read all arrays of an .npz file. Nothing in it is unpickled, because a pickle can run any code."""
    with Path(path).open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return {name: np.asarray(array) for name, array in archive.items()}
        except Exception as error:  # damaged files raise various errors of NumPy, zipfile and zlib
            raise ValueError(f"{os.fspath(path)} is not an .npz file of numbers, or is damaged") from error


def _misfits(arrays: Mapping[str, Array], parameters: Mapping[str, Value]) -> Iterator[str]:
    """Yield each difference between the arrays of a file and the parameters, as a sentence."""
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
