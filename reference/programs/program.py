"""A program as data: operands, steps, and the cotangent of the result. It is written as one line, and parsed from it.

    x=f8([[4.0],[1.0]]); y=f8([1.0,2.0,4.0]); a=multiply(x,y); back(a,f8([[1.0,0.0,0.0],[0.0,2.0,0.0]]))

The line has Python's syntax. Python's parser reads it, and this module interprets the syntax tree without running any
code. `f8([...])` is an operand that requires a gradient, `const(f8([...]))` is a constant array, and a bare number is a
Python number. This module knows no op and no engine.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np

LEAF, ARRAY, NUMBER = "leaf", "array", "number"
LAYOUTS = ("C", "F", "reversed", "repeated")
_DTYPES = {"f2": "float16", "f4": "float32", "f8": "float64", "i8": "int64", "b1": "bool"}
_CODES = {np.dtype(dtype): code for code, dtype in _DTYPES.items()}


@dataclass(frozen=True, eq=False)
class Operand:
    """An operand of a program: an array or a number.

    Args:
        name: its name in the program's line and in reports.
        data: the numbers, in any layout; `array` gives them in `layout`.
        kind: `leaf`, which requires a gradient; `array`, a constant; `number`, a Python number.
        layout: the memory layout: `C`, `F`, `reversed` (negative strides) or `repeated` (a stride of 0).
    """

    name: str
    data: np.ndarray
    kind: str = LEAF
    layout: str = "C"

    @property
    def array(self) -> Any:
        """The operand as it is passed to engines: read-only and in its layout, or a Python number."""
        return self.data.item() if self.kind == NUMBER else with_layout(self.data, self.layout)


def with_layout(data: np.ndarray, layout: str) -> np.ndarray:
    """Make a read-only copy of an array in a layout."""
    if layout == "F":
        array = np.array(data, order="F")
    elif layout == "reversed" and data.ndim:
        array = np.flip(np.array(np.flip(data), order="C"))
    elif layout == "repeated" and data.ndim and data.shape[0]:
        array = np.broadcast_to(np.array(data[:1]), data.shape)
    else:
        array = np.array(data, order="C")
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Step:
    """One op on earlier values. Inputs index the operands first, and then the results of earlier steps."""

    op: str
    inputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Program:
    """A computation and the cotangent with which it is differentiated.

    Args:
        operands: arrays and numbers.
        steps: ops in order; the value of the last step is the result.
        cotangent: the cotangent of the result, of its shape. None if the last step must be refused.
        directions: for a second-order program, one array for each leaf, of the leaf's shape. The dot product of
            gradients and directions is differentiated again, which gives a Hessian-vector product.
    """

    operands: tuple[Operand, ...]
    steps: tuple[Step, ...]
    cotangent: np.ndarray | None
    directions: tuple[np.ndarray, ...] = ()

    @cached_property
    def leaves(self) -> tuple[Operand, ...]:
        """The operands that require a gradient, in order."""
        return tuple(o for o in self.operands if o.kind == LEAF)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each value: the operands' own names, and a, b, c, ... for the steps."""
        operands = {o.name for o in self.operands}
        letters = (n for n in _letters() if n not in operands)
        return (*(o.name for o in self.operands), *(next(letters) for _ in self.steps))

    @property
    def result(self) -> int:
        """The index of the result."""
        return len(self.operands) + len(self.steps) - 1

    def __str__(self) -> str:
        names = self.names
        lines = [f"{o.name}={_operand_text(o)}" for o in self.operands]
        for i, step in enumerate(self.steps, len(self.operands)):
            arguments = [names[j] for j in step.inputs] + [f"{k}={text(v)}" for k, v in step.options.items()]
            lines.append(f"{names[i]}={step.op}({','.join(arguments)})")
        if self.cotangent is not None:
            along = f",along={text(self.directions)}" if self.directions else ""
            lines.append(f"back({names[self.result]},{text(self.cotangent)}{along})")
        return "; ".join(lines)


def operand_names() -> Iterator[str]:
    """Give names for operands: x, y, z and so on."""
    yield from "xyzwuv"
    yield from (f"x{i}" for i in count(1))


def _letters() -> Iterable[str]:
    yield from "abcdefghijklmnop"
    yield from (f"t{i}" for i in count())


def _operand_text(operand: Operand) -> str:
    if operand.kind == NUMBER:
        return text(operand.data.item())
    layout = "" if operand.layout == "C" else f',layout="{operand.layout}"'
    array = text(operand.data)[:-1] + layout + ")"
    return f"const({array})" if operand.kind == ARRAY else array


def text(value: Any) -> str:
    """Write an array or an option so that `parse` reads back exactly the same value."""
    if isinstance(value, np.ndarray):
        shape = f",shape={value.shape}".replace(" ", "") if not value.size else ""
        return f"{_CODES[value.dtype]}({_numbers(value, value.dtype)}{shape})"
    if isinstance(value, tuple):
        return f"({','.join(map(text, value))}{',' * (len(value) == 1)})"
    if isinstance(value, slice):
        return f"slice({text(value.start)},{text(value.stop)},{text(value.step)})"
    if value is Ellipsis:
        return "..."
    if isinstance(value, (float, np.floating)):
        return _float(value)
    if isinstance(value, str):
        return json.dumps(value)  # double quotes, for a command line puts the whole program in single quotes
    return repr(value.item() if isinstance(value, np.generic) else value)


def _numbers(array: np.ndarray, dtype: np.dtype[Any]) -> str:
    if array.ndim:
        return f"[{','.join(_numbers(row, dtype) for row in array)}]"
    return _float(array[()]) if dtype.kind == "f" else repr(array.item())


def _float(number: Any) -> str:
    if not math.isfinite(number):
        return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    short = str(number)
    return short if type(number)(short) == number else repr(float(number))


class NotAProgram(ValueError):  # noqa: N818 - the name describes the text
    """A text that is not a program. The message tells where it goes wrong."""


def parse(line: str) -> Program:
    """Parse a program from its line, without running any of it.

    Raises:
        NotAProgram: the line is not a program; the message tells where it goes wrong.
    """
    try:
        return _Parser().parse(ast.parse(line.strip()).body)
    except SyntaxError as error:
        raise NotAProgram(f"not a program: {error.msg} at character {error.offset}") from None
    except (RecursionError, MemoryError):
        raise NotAProgram("not a program: it is nested too deeply") from None
    except NotAProgram:
        raise
    except ValueError as error:  # a character that Python's source may not contain, or too many digits
        raise NotAProgram(f"not a program: {error}") from None


class _Parser:
    """Turns the statements of a line into a program."""

    def __init__(self) -> None:
        self.operands: list[Operand] = []
        self.steps: list[Step] = []
        self.names: dict[str, int] = {}

    def parse(self, statements: list[ast.stmt]) -> Program:
        last = statements[-1] if statements else None
        ends = isinstance(last, ast.Expr) and _function_name(last.value) == "back"
        for statement in statements[:-1] if ends else statements:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in self.names:
                    self._assign(name, value)
                case _:
                    raise NotAProgram(
                        "expected name=op(...) with a new name, or back(...) at the end, "
                        f"but got: {_excerpt(statement)}"
                    )
        if not self.steps:
            raise NotAProgram("the program has no step: expected name=op(...)")
        cotangent, directions = self._back(last.value) if isinstance(last, ast.Expr) else (None, ())
        return Program(tuple(self.operands), tuple(self.steps), cotangent, directions)

    def _assign(self, name: str, value: ast.expr) -> None:
        function = _function_name(value)
        if function is None or function in _DTYPES or function == "const":
            if self.steps:
                raise NotAProgram(f"operand {name} follows a step: operands come first")
            self.operands.append(_read_operand(name, value))
        else:
            self.steps.append(self._step(function, value))
        self.names[name] = len(self.operands) + len(self.steps) - 1

    def _step(self, op: str, call: Any) -> Step:
        return Step(op, tuple(map(self._value, call.args)), _keywords(call, None))

    def _value(self, node: ast.expr) -> int:
        if not isinstance(node, ast.Name) or node.id not in self.names:
            raise NotAProgram(f"{_excerpt(node)} is not the name of an earlier value")
        return self.names[node.id]

    def _back(self, call: Any) -> tuple[Any, tuple[Any, ...]]:
        if len(call.args) != 2:  # noqa: PLR2004 - the value and its cotangent
            raise NotAProgram(f"expected back(value, cotangent), but got: {_excerpt(call)}")
        if self._value(call.args[0]) != len(self.operands) + len(self.steps) - 1:
            raise NotAProgram("back(...) must take the last value")
        directions = _keywords(call, ("along",)).get("along", ())
        return _float_array(_read(call.args[1]), "the cotangent"), self._directions(directions)

    def _directions(self, directions: Any) -> tuple[np.ndarray, ...]:
        shapes = [o.data.shape for o in self.operands if o.kind == LEAF]
        if not isinstance(directions, tuple):
            raise NotAProgram("along=... must be a tuple of arrays, one for each leaf")
        arrays = tuple(_float_array(array, "a direction") for array in directions)
        if arrays and [array.shape for array in arrays] != shapes:
            raise NotAProgram(f"along=... must have an array for each leaf, of shapes {shapes}")
        return arrays


def _function_name(node: ast.expr) -> str | None:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def _excerpt(node: ast.AST) -> str:
    """The source of a node, or its beginning."""
    source = ast.unparse(node)
    return source if len(source) < 60 else source[:60] + "..."  # noqa: PLR2004 - enough to find it


def _float_array(value: Any, name: str) -> np.ndarray:
    if not isinstance(value, np.ndarray):
        raise NotAProgram(f"{name} must be an array, such as f8([1.0])")
    if value.dtype.kind != "f":
        raise NotAProgram(f"{name} has dtype {value.dtype}, but must be floating: write f8([1.0])")
    return value


def _keywords(call: ast.Call, known: tuple[str, ...] | None) -> dict[str, Any]:
    """Read the keyword options of a call. If `known` is a tuple, no other names are allowed."""
    options: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None or keyword.arg in options or (known is not None and keyword.arg not in known):
            raise NotAProgram(f"{keyword.arg or '**'}=... is unknown or repeated in {_excerpt(call)}")
        options[keyword.arg] = _read(keyword.value)
    return options


def _read_operand(name: str, node: ast.expr) -> Operand:
    if not isinstance(node, ast.Call):
        number = _read(node)
        if type(number) not in (int, float, bool):
            raise NotAProgram(f"operand {name} must be an array or a number, but is {_excerpt(node)}")
        return Operand(name, np.asarray(number), NUMBER)
    kind, array = LEAF, node
    if _function_name(node) == "const":
        if len(node.args) != 1 or node.keywords or _function_name(node.args[0]) not in _DTYPES:
            raise NotAProgram(f"expected const(f8(...)) or another dtype, but got: {_excerpt(node)}")
        kind, array = ARRAY, node.args[0]  # type: ignore[assignment]
    data, layout = _array(array)
    if kind == LEAF and data.dtype.kind != "f":
        code = _CODES[data.dtype]
        raise NotAProgram(
            f"operand {name} has dtype {data.dtype}, but only floats have a gradient: "
            f"write const({code}(...)) for a constant, or f8(...)"
        )
    if layout not in LAYOUTS:
        raise NotAProgram(f"layout of {name} is {layout!r}, but must be one of {', '.join(LAYOUTS)}")
    if not np.array_equal(with_layout(data, layout), data, equal_nan=data.dtype.kind == "f"):
        raise NotAProgram(f"the rows of {name} differ, so it cannot have the layout {layout!r}")
    return Operand(name, data, kind, layout)


def _array(call: ast.Call) -> tuple[np.ndarray, Any]:
    """Read an array and its layout from `f8([...], shape=..., layout=...)`."""
    options = _keywords(call, ("shape", "layout"))
    code = _function_name(call)
    if code not in _DTYPES or len(call.args) != 1:
        raise NotAProgram(f"expected an array, such as f8([1.0]), but got: {_excerpt(call)}")
    dtype = np.dtype(_DTYPES[code])
    numbers = _read(call.args[0])
    if not all(_fits(number, dtype) for number in _leaves(numbers)):
        raise NotAProgram(f"{_excerpt(call)} has an entry that is not a number of dtype {dtype}")
    try:
        array = np.array(numbers, dtype)
        return (array.reshape(options["shape"]) if "shape" in options else array), options.get("layout", "C")
    except (ValueError, TypeError, OverflowError) as error:
        raise NotAProgram(f"{_excerpt(call)} is not an array: {error}") from None


def _leaves(numbers: Any) -> Iterable[Any]:
    if isinstance(numbers, list):
        for entry in numbers:
            yield from _leaves(entry)
    else:
        yield numbers


def _fits(number: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a number has the dtype's kind, so that it is not truncated or converted."""
    kinds = {"f": (int, float), "i": (int,), "b": (bool,)}[dtype.kind]
    return type(number) in kinds


def _read(node: ast.expr) -> Any:  # noqa: C901 - one case per kind of value
    """Read an array, a number or an option."""
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.Constant(value=value) if value is Ellipsis:
            return value
        case ast.Name(id="nan" | "inf" as name):
            return float(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            number = _read(operand)
            if type(number) in (int, float):
                return -number
        case ast.Tuple(elts=entries):
            return tuple(map(_read, entries))
        case ast.List(elts=entries):
            return list(map(_read, entries))
        case ast.Call(func=ast.Name(id="slice"), args=[start, stop, step], keywords=[]):
            return slice(_read(start), _read(stop), _read(step))
        case ast.Call(func=ast.Name(id=code)) if code in _DTYPES:
            array, layout = _array(node)
            if layout == "C":
                return array
    raise NotAProgram(f"cannot read {_excerpt(node)}")
