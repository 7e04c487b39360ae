"""Source cut out of a module runs elsewhere: with the imports and definitions that it needs, and no others."""

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
from reference.report.excerpt import Excerpts, entries, filled, written
from reference.verdict import rounding

HERE = sys.modules[__name__]


def cut(source: str, module: ModuleType) -> tuple[list[str], dict[str, Any]]:
    """The imports that a piece of source needs, and what it and all that it needs define, run by themselves."""
    excerpts = Excerpts()
    excerpts.add(source, module)
    names: dict[str, Any] = {"__name__": "builtins"}  # the module that dataclasses will say they stand in
    exec("\n".join([*excerpts.imports, *excerpts.definitions]), names)  # noqa: S102 - our own source
    return excerpts.imports, names


# Definitions.


def test_a_function_comes_with_all_that_it_uses() -> None:
    """Functions that it calls, what those call, aliases and imports; nothing else of the module."""
    imports, names = cut("_getitem", mirrors)
    assert {"import math", "import numpy as np", "import torch"} <= set(imports)
    assert {"_getitem", "_taken", "_places", "Tensor"} <= names.keys()
    assert not {"_reduction", "Op", "MIRRORS", "warnings"} & names.keys()


def test_names_inside_a_function_are_its_own() -> None:
    """What a function calls its variables is not taken for what the module calls the same."""
    assert "broadcast" in vars(HERE)
    _, names = cut("shadowing", HERE)
    assert names["shadowing"](2) == 4
    assert "broadcast" not in names


def broadcast() -> None:
    """Have the name that a variable has elsewhere."""


def shadowing(x: int) -> int:
    """Use a variable of that name."""
    broadcast = x
    return sum(broadcast for _ in range(x))


def test_constants_come_too() -> None:
    """With the numbers that they have."""
    _, names = cut("allowed_ulps", rounding)
    assert (names["AT_ONCE"], names["MARGIN"]) == (rounding.AT_ONCE, rounding.MARGIN)
    numbers = np.float64(2), np.float64(1), 1.0
    assert names["allowed_ulps"](*numbers, single=False) == rounding.allowed_ulps(*numbers, single=False)


def test_what_comes_from_another_module_of_ours_is_copied_from_there() -> None:
    """No import of this package is left. Classes come whole, with their decorators."""
    imports, names = cut("Op", mirrors)
    assert not any("reference" in line for line in imports)
    assert [f.name for f in fields(names["Op"])] == [f.name for f in fields(Op)]
    assert names["Inputs"].__doc__


def test_each_definition_comes_once_and_after_what_it_uses() -> None:
    """However often it is needed: the pieces run in the order in which they are given."""
    excerpts = Excerpts()
    for mirror in ("_getitem", "_pad", "_split", "_getitem"):
        excerpts.add(mirror, mirrors)
    heads = [d.split("(")[0] for d in excerpts.definitions]
    assert len(set(heads)) == len(heads)
    assert heads.index("def _places") < heads.index("def _getitem")


def test_imports_come_merged_and_narrowed() -> None:
    """A module a line, with the names that are used, as they are called."""
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


def test_a_name_that_is_nowhere_is_refused() -> None:
    """It would be missed only where the piece is run."""
    with pytest.raises(LookupError, match=r"nowhere is nothing that reference\.engines\.torch\.ops defines"):
        Excerpts().add("torch.tanh(nowhere)", mirrors)


# Tables.


def test_entries_are_read_as_they_are_written() -> None:
    """Each entry of a table by its key; what is no table is refused."""
    table = entries(mirrors, "MIRRORS")
    assert list(table) == list(mirrors.MIRRORS)
    assert table["sum"] == "_reduction(torch.sum, lenient=True)"
    with pytest.raises(LookupError, match=r"_sum is no table of reference\.engines\.torch\.ops"):
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


def f(*given: Any) -> Any:
    """Be called by a lambda."""
    return given


@pytest.mark.parametrize(
    ("function", "operands", "options", "wanted"), FILLED, ids=lambda x: x if isinstance(x, str) else ""
)
def test_a_lambda_is_written_out(
    function: Any, operands: list[str], options: dict[str, str], wanted: str | None
) -> None:
    """What it is given stands in the place of parameters; slices in brackets have colons. What does not fit, not."""
    assert filled(function, operands, options) == wanted
    assert filled(function, operands, options) == wanted  # and the lambda itself is not changed by it


def test_what_is_written_out_does_the_same() -> None:
    """A lambda called, and its expression run, give the same array."""
    x, index = np.arange(12.0).reshape(3, 4), (slice(None, None, -2), np.array([0, -1]))
    function: Any = FILLED[10][0]
    names = {"np": np, "x": x}
    expression = filled(function, ["x"], {"index": "(slice(None, None, -2), np.array([0, -1]))"})
    exec(f"result = {expression}", names)  # noqa: S102 - made a line earlier
    assert (names["result"] == function(x, index=index)).all()


def test_the_source_of_a_lambda() -> None:
    """It is the lambda alone, without the table that it stands in."""
    function: Any = FILLED[4][0]
    assert written(function) == "lambda *xs, axis: np.stack(xs, axis)"
