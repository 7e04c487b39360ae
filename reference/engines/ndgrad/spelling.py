"""The lines of ndgrad's statements in sessions, as its users write them."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference.engines.lines import COMMON, OPTIMIZERS, Lines, Refused, Write
from reference.ops import Op

HEADER = """\
import copy, pickle
from contextlib import suppress

import numpy as np

import ndgrad
from ndgrad import Value, enable_grad, no_grad
from ndgrad.optim import SGD, Adam, AdamW, RMSprop
"""

_SHAPES = ((), (2,), (3,), (2, 3), (3, 2), (1,), (2, 1), (1, 3), (2, 2), (2, 1, 3))
_DTYPES = ("float64",) * 7 + ("float32",)

# fmt: off
WRITES: tuple[Write, ...] = (
    #     a line                           its effect on numbers and gradient
    Write("{0}.data -= 0.125 * {0}.grad",  lambda x, g: x - 0.125 * g),
    Write("{0}.data += -0.5 * {0}.grad",   lambda x, g: x + -0.5 * g),
    Write("{0}.data += 0.25",              lambda x, g: x + 0.25),                   # noqa: ARG005
    Write("{0}.data *= 0.5",               lambda x, g: x * 0.5),                    # noqa: ARG005
    Write("{0}.data = {0}.data - 0.125",   lambda x, g: x - 0.125, in_place=False),  # noqa: ARG005
)
SUBSCRIPT_WRITES: tuple[Write, ...] = (
    Write("{0}.data[...] = 0.5",           lambda x, g: np.full_like(x, 0.5)),       # noqa: ARG005
    Write("{0}.data[...] += 0.25",         lambda x, g: x + 0.25),                   # noqa: ARG005
)
GRADIENT_WRITES = (
    # a line             its effect on a gradient
    ("{0}[...] = 0.0",   np.zeros_like),
    ("{0}[...] = 0.5",   lambda g: np.full_like(g, 0.5)),
    ("{0} *= 2.0",       lambda g: g * 2.0),
    ("{0}[...] += 1.0",  lambda g: g + 1.0),
)
MODES: tuple[tuple[str, bool], ...] = (
    # a line in a mode                                                             whether the result joins the graph
    ("with no_grad():\n    {line}",                                                False),
    ("{name} = no_grad()(lambda: {expression})()",                                 False),
    ("with no_grad(), no_grad():\n    {line}",                                     False),
    ("with no_grad():\n    with no_grad():\n        pass\n    {line}",             False),
    ("quiet = no_grad()\nwith quiet:\n    with quiet:\n        pass\n    {line}",  False),
    ("quiet = no_grad()\nwith quiet:\n    pass\nwith quiet:\n    {line}",          False),
    ("with suppress(KeyError), no_grad():\n    {line}\n    raise KeyError",        False),
    ("with no_grad():\n    with suppress(KeyError), enable_grad():\n        raise KeyError\n    {line}", False),
    ("with no_grad():\n    with enable_grad():\n        pass\n    {line}",         False),
    ("with no_grad(), enable_grad():\n    {line}",                                 True),
    ("with enable_grad():\n    with no_grad():\n        pass\n    {line}",         True),
    ("with suppress(KeyError), no_grad():\n    raise KeyError\n{line}",            True),
    ("with no_grad():\n    pass\n{line}",                                          True),
)
REFUSED: tuple[Refused, ...] = (
    #       a line                                   error            reason
    Refused("{0}.backward(2.0)",                     ValueError,      "the cotangent has another shape"),
    Refused("{0}.backward(np.ones((2, 5, 2)))",      ValueError,      "the cotangent has another shape"),
    Refused("{0}.detach().backward()",               RuntimeError,    "nothing requires a gradient"),
    Refused("ndgrad.backward([{0}.detach()])",       RuntimeError,    "nothing requires a gradient"),
    Refused("ndgrad.backward([{0}], [2.0, {0}])",    ValueError,      "there is a cotangent too many"),
    Refused("{0}.grad = np.ones((2, 5, 2))",         ValueError,      "the gradient has another shape"),
    Refused("{0}.data = np.ones((2, 5, 2))",         ValueError,      "the data have another shape"),
    Refused("np.add({0}, 1.0, out=np.ones((2, 2)))", TypeError,       "the graph would end in the array"),
    Refused("np.asarray({0})",                       TypeError,       "the graph would end in the array"),
    Refused("{0}[...] = 1.0",                        TypeError,       "a Value's numbers are assigned by its data"),
    Refused("SGD([{0} * 1.0], lr=0.1)",              ValueError,      "a parameter is the result of an op"),
)
# fmt: on

LINES = Lines(
    leaf="{name} = Value({given})",
    constant="{name} = Value({given}, requires_grad=False)",
    detached="{name} = {base}.detach()",
    copies=("copy.copy({base})", "copy.deepcopy({base})", "pickle.loads(pickle.dumps({base}))"),
    dropped="del {names}",
    backward="{root}.backward({given})",
    several="ndgrad.backward([{roots}], [{given}])",
    in_modes=("{}",) * 9 + ("with no_grad():\n    {}",),
    zero="{name}.zero_grad()",
    gradient="{base}.grad",
    assigned_gradient="{name}.grad = {given}",
    written_gradients=GRADIENT_WRITES,
    assigned="{name}.data = {given}",
    writes=WRITES,
    subscript_writes=SUBSCRIPT_WRITES,
    # The mode lasts for a whole session. A `with` statement would indent all its lines.
    careful="checking = ndgrad.check_writes()\nchecking.__enter__()",
    modes=MODES,
    indexed="{name} = {base}[{given}]",
    views=("{base}[None][0]", "{base}.T.T", "{base}.reshape(-1).reshape({shape})", "{base}[...][...]"),
    summed="{name} = sum([{base}] * {times})",
    rows="{name} = sum({base})",
    augmented=(
        ("{name} = {base}\n{name} += {number}", lambda x, number: x + number),
        ("{name} = {base}\n{name} *= {number}", lambda x, number: x * number),
    ),
    chain="{name} = {base}\nfor _ in range({times}):\n    {name} = {name} + 1.0 - 1.0",
    diamonds="{name} = {base}\nfor _ in range({times}):\n    {name} = 0.5 * {name}\n    {name} = {name} + {name}",
    halved="{name} = 0.5 * {base} - {other}",
    step="{name}.step()",
    optimizer_zero="{name}.zero_grad()",
    hyperparameter="{name}.{option} = {number}",
    saved="{name}.state_dict()",
    loaded="{name}.load_state_dict({saved})",
    optimizers=tuple(row.with_options(COMMON) for row in OPTIMIZERS),
    hyperparameters=("lr", "weight_decay"),
    odd_optimizers=25,
    index="{}",
    refused=REFUSED,
    cotangents=("ones", "array", "array", "list", "float32", "whole"),
    arrays=("array", "list", "whole", "float32"),
    scalars=("number", "np.float64", "int", "array"),
    shapes=_SHAPES,
    dtypes=_DTYPES,
    leaf_dtypes=(*_DTYPES, "int64"),
)


def ways(op: Op) -> tuple[str, ...]:
    """Return the ways to write an op: its row's, or a method, NumPy's function if there is one, and ndgrad's."""
    if op.written:
        return op.written
    first, *others = (f"{{{i}}}" for i in range(op.inputs.slots))
    options = ["{options}"] * bool(op.inputs.options)
    rest, arguments = ", ".join([*others, *options]), ", ".join([first, *others, *options])
    numpys = (f"np.{op.name}({arguments})",) if hasattr(np, op.name) else ()
    return (f"{first}.{op.name}({rest})", *numpys, f"ndgrad.{op.name}({arguments})")


def namespace() -> dict[str, Any]:
    """Return the names that every session imports."""
    names: dict[str, Any] = {}
    exec(HEADER, names)  # noqa: S102 - the imports of every session
    return names
