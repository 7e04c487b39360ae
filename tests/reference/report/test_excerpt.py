"""Source extracted from a module runs elsewhere, with exactly the imports and definitions that it needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from reference.engines.torch import ops as mirrors
from reference.ops import Op
from reference.report.excerpt import Excerpts, entries, inline, source_of
from reference.verdict import rounding

HERE = sys.modules[__name__]


def cut(source: str, module: ModuleType) -> tuple[list[str], dict[str, Any]]:
    """Extract a piece of source and run it; return its imports and its namespace."""
    excerpts = Excerpts()
    excerpts.add(source, module)
    names: dict[str, Any] = {"__name__": "builtins"}  # the module name that dataclasses will show
    exec("\n".join([*excerpts.imports, *excerpts.definitions]), names)  # noqa: S102 - our own source
    return excerpts.imports, names


# Definitions.


def test_a_function_comes_with_all_that_it_uses() -> None:
    """A function is extracted with the functions it calls directly or indirectly, aliases and imports, and no more."""
    imports, names = cut("_getitem", mirrors)
    assert {"import math", "import numpy as np", "import torch"} <= set(imports)
    assert {"_getitem", "_taken", "_places", "Tensor"} <= names.keys()
    assert not {"_reduction", "Op", "MIRRORS", "warnings"} & names.keys()


def test_names_inside_a_function_are_its_own() -> None:
    """Local variables of a function are not mistaken for the module's names."""
    assert "broadcast" in vars(HERE)
    _, names = cut("shadowing", HERE)
    assert names["shadowing"](2) == 4
    assert "broadcast" not in names


def broadcast() -> None:
    """Do nothing; a variable elsewhere has this name."""


def shadowing(x: int) -> int:
    """Use a variable named like a function."""
    broadcast = x
    return sum(broadcast for _ in range(x))


def test_constants_come_too() -> None:
    """Constants are extracted with their numbers."""
    _, names = cut("allowed_ulps", rounding)
    assert (names["AT_ONCE"], names["MARGIN"]) == (rounding.AT_ONCE, rounding.MARGIN)
    numbers = np.float64(2), np.float64(1), 1.0
    assert names["allowed_ulps"](*numbers, single=False) == rounding.allowed_ulps(*numbers, single=False)


def test_definitions_of_our_other_modules_are_copied() -> None:
    """Definitions of our other modules are copied, classes with their decorators, and no import of ours is left."""
    imports, names = cut("Op", mirrors)
    assert not any("reference" in line for line in imports)
    assert [f.name for f in fields(names["Op"])] == [f.name for f in fields(Op)]
    assert names["Inputs"].__doc__


def test_each_definition_comes_once_and_after_what_it_uses() -> None:
    """Each definition is extracted once, after those it uses, so that the pieces run in order."""
    excerpts = Excerpts()
    for mirror in ("_getitem", "_pad", "_split", "_getitem"):
        excerpts.add(mirror, mirrors)
    heads = [d.split("(")[0] for d in excerpts.definitions]
    assert len(set(heads)) == len(heads)
    assert heads.index("def _places") < heads.index("def _getitem")


def test_imports_come_merged_and_narrowed() -> None:
    """Imports are merged by module and contain only the names used, with their aliases."""
    excerpts = Excerpts()
    excerpts.add("F, np, Any, Sequence", mirrors)
    assert excerpts.imports == [
        "import numpy as np",
        "import torch.nn.functional as F",
        "from collections.abc import Sequence",
        "from typing import Any",
    ]
    excerpts.add("Callable", mirrors)
    assert "from collections.abc import Callable, Sequence" in excerpts.imports


def test_an_undefined_name_is_refused() -> None:
    """An undefined name is refused."""
    with pytest.raises(LookupError, match=r"ops does not define nowhere"):
        Excerpts().add("torch.tanh(nowhere)", mirrors)


# Tables.


def test_entries_are_read_as_they_are_written() -> None:
    """Each entry of a table is read by its key; anything else is refused."""
    table = entries(mirrors, "MIRRORS")
    assert list(table) == list(mirrors.MIRRORS)
    assert table["sum"] == "_reduction(torch.sum, lenient=True)"
    with pytest.raises(LookupError, match=r"_sum is not a table of reference\.engines\.torch\.ops"):
        entries(mirrors, "_sum")


# Lambdas.

# fmt: off
FILLED: list[tuple[Callable[..., Any], Sequence[str], dict[str, str], str | None]] = [
    (lambda a, b: a + b * a,                  ["x", "y"], {},                         "x + y * x"),
    (lambda a, b: (a + b) * a,                ["x", "y"], {},                         "(x + y) * x"),
    (lambda a: a[0] ** 2,                     ["f(x)"],   {},                         "f(x)[0] ** 2"),
    (lambda a: a * 2,                         ["x + 1"],  {},                         "(x + 1) * 2"),
    (lambda *xs, axis: np.stack(xs, axis),    ["x"],      {"axis": "-1"},             "np.stack((x,), -1)"),
    (lambda *xs: sum(xs),                     [],         {},                         "sum(())"),
    (lambda x, **more: np.pad(x, 1, **more),  ["x"],      {"mode": "2", "b": "3"},    "np.pad(x, 1, mode=2, b=3)"),
    (lambda x, **more: np.pad(x, 1, **more),  ["x"],      {},                         "np.pad(x, 1)"),
    (lambda x, *, axes=None: np.sum(x, axes), ["x"],      {},                         "np.sum(x, None)"),
    (lambda x, *, axes=(0, 1): f(x, axes),    ["x"],      {},                         "f(x, (0, 1))"),
    (lambda x, *, index: x[index],            ["x"],      {"index": "(slice(None, None, -2), 0)"},  "x[::-2, 0]"),
    (lambda x, *, index: x[index],            ["x"],      {"index": "(slice(1, 5, None),)"},       "x[1:5]"),
    (lambda x, *, index: x[index],            ["x"],      {"index": "()"},            "x[()]"),
    (lambda x, *, index: x[index],            ["x"],      {"index": "((0, 1),)"},     "x[(0, 1),]"),
    (lambda x, *, index: x[index],            ["x"],      {"axis": "0"},              None),
    (lambda x: x,                             ["x", "y"], {},                         None),
]
# fmt: on


def f(*args: Any) -> Any:
    """Stand in for a function that a lambda calls."""
    return args


@pytest.mark.parametrize(
    ("function", "operands", "options", "expected"), FILLED, ids=lambda x: x if isinstance(x, str) else ""
)
def test_a_lambda_is_inlined(function: Any, operands: list[str], options: dict[str, str], expected: str | None) -> None:
    """Arguments replace parameters, and slices in brackets have colons; arguments that do not fit give None."""
    assert inline(function, operands, options) == expected
    assert inline(function, operands, options) == expected  # and the lambda itself is unchanged


def test_an_inlined_lambda_gives_the_same() -> None:
    """The inlined expression gives the same array as the call of the lambda."""
    x, index = np.arange(12.0).reshape(3, 4), (slice(None, None, -2), np.array([0, -1]))
    function: Any = FILLED[10][0]
    names = {"np": np, "x": x}
    expression = inline(function, ["x"], {"index": "(slice(None, None, -2), np.array([0, -1]))"})
    exec(f"result = {expression}", names)  # noqa: S102 - made a line earlier
    assert (names["result"] == function(x, index=index)).all()


def test_the_source_of_a_lambda() -> None:
    """The source of a lambda does not include the table around it."""
    function: Any = FILLED[4][0]
    assert source_of(function) == "lambda *xs, axis: np.stack(xs, axis)"
