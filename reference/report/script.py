"""A program as a script that stands by itself: in ndgrad as its users write it, in PyTorch as its engine does.

A script needs NumPy, ndgrad and PyTorch, and nothing of this package. Nothing here knows an op: how ndgrad spells one,
its engine says; how PyTorch does, that engine's table; and what of their source a script needs is copied into it.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from ndgrad.rules import RULES, Rule
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.engines.torch import ops as mirrors
from reference.ops import OPS, promoted
from reference.programs import LEAF, NUMBER, Operand, Program, Step, text
from reference.report.excerpt import Excerpts, entries, filled, written

_HEAD = """\
# One program in ndgrad and in PyTorch: what each makes of it, and how far they are apart.{refused}
# Made by: python -m reference repro --python {line}

{imports}
"""
_FRAME = '''\
def run(name, half):
    """Print what one half gives, or what it says instead."""
    print(name)
    try:
        found = {part: numbers(given) for part, given in half().items()}
    except Exception as error:
        found = {}
        print(f"{type(error).__name__}: {error}")
    for part, array in found.items():
        print(f"{part} = {written(array, indent=len(part) + 3)}")
    print()
    return found


def numbers(given):
    """An array of its own; None if no gradient arrived."""
    return given.detach().clone().numpy() if isinstance(given, torch.Tensor) else given


def written(array, indent):
    """All digits of all numbers."""
    if array is None:
        return "None"
    options = {"separator": ", ", "floatmode": "unique", "threshold": array.size + 1}
    return np.array2string(array, prefix=" " * indent, **options)


def difference(mine, theirs):
    """The largest there is. NaN is as good as NaN, and a gradient that did not arrive as good as 0."""
    theirs = np.zeros_like(mine) if theirs is None else theirs
    if (mine.dtype, mine.shape) != (theirs.dtype, theirs.shape):
        return f"{mine.dtype} {mine.shape} beside {theirs.dtype} {theirs.shape}"
    alike = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
    return np.max(np.abs(mine - theirs), where=~alike, initial=0.0)


np.seterr(all="ignore")  # infinities and NaN are met on purpose
ndgrads = run(f"ndgrad {ndgrad.__version__}", in_ndgrad)
pytorchs = run(f"PyTorch {torch.__version__}", in_pytorch)
if ndgrads and pytorchs:
    print("difference")
    for part in ndgrads:
        print(f"{part} = {difference(ndgrads[part], pytorchs[part])}")
'''


def script(program: Program) -> str:
    """Write a program as Python that prints what both sides make of it: values and gradients, or what they say instead.

    Args:
        program: what to run. Its numbers come out to the bit.

    Returns:
        The source, which runs by itself.
    """
    needs = Excerpts()
    needs.add("ndgrad, np, Value", sys.modules[NdgradEngine.__module__])
    needs.add("np, torch", mirrors)
    halves = (str(_InNdgrad(program, needs)), str(_InPyTorch(program, needs)))
    head = _HEAD.format(
        refused=" Both must refuse it." if program.cotangent is None else "",
        line=shlex.quote(str(program)),
        imports="\n".join(needs.imports),
    )
    return "\n\n".join([head, halves[0], *needs.definitions, halves[1], _FRAME])


# The two halves. Each is a function, and ends in one of three ways, written here with gaps that are filled in.


class _Half:
    """One side of a script.

    Args:
        program: what it runs.
        needs: told what it uses of our own source.
    """

    name = ""
    refused = once = twice = ""

    def __init__(self, program: Program, needs: Excerpts) -> None:
        self.program = program
        self.needs = needs
        self.names = [_variable(name) for name in program.names]

    def operand(self, operand: Operand) -> str:
        """Write what an operand starts as."""
        raise NotImplementedError

    def step(self, step: Step) -> str:
        """Write a step on values that have their names."""
        raise NotImplementedError

    def beside(self, value: int, array: np.ndarray) -> str:
        """Write an array that is multiplied with the gradient of a value."""
        raise NotImplementedError

    def __str__(self) -> str:
        made = [*map(self.operand, self.program.operands), *map(self.step, self.program.steps)]
        lines = [f"{name} = {expression}" for name, expression in zip(self.names, made, strict=True)]
        return "\n    ".join([f"def {self.name}():", *lines, *self._end().splitlines()]) + "\n"

    def _end(self) -> str:
        program, result = self.program, self.names[-1]
        if program.cotangent is None:
            return self.refused.format(result=result)
        places = [i for i, operand in enumerate(program.operands) if operand.kind == LEAF]
        leaves = [(program.names[i], self.names[i]) for i in places]
        return (self.twice if program.directions else self.once).format(
            result=result,
            cotangent=self.beside(program.result, program.cotangent),
            directions=", ".join(map(self.beside, places, program.directions)),
            names=", ".join(f'"{name}"' for name, _ in leaves),
            leaves=", ".join(variable for _, variable in leaves),
            gradients=", ".join(f'"grad[{name}]": {variable}.grad' for name, variable in leaves),
        )


class _InNdgrad(_Half):
    """Operators where there are some, NumPy's functions and ndgrad's: as the engine behind the protocol calls them."""

    name = "in_ndgrad"
    refused = """\
return {{"value": {result}.data}}
"""
    once = """\
{result}.backward({cotangent})
return {{"value": {result}.data, {gradients}}}
"""
    twice = """\
leaves, directions = [{leaves}], [{directions}]
cotangent = {cotangent}
{result}.backward(cotangent)
found = {{"value": {result}.data, {gradients}}}
# Second order: the gradients times the directions, added up, are differentiated again.
for leaf in leaves:
    leaf.zero_grad()
{result}.backward(cotangent, create_graph=True)
along = sum((leaf.grad * d).sum() for leaf, d in zip(leaves, directions) if leaf.has_grad)
for leaf in leaves:
    leaf.zero_grad()
if isinstance(along, Value) and along.requires_grad:
    along.backward()
return found | {{f"second-order grad[{{leaf.label}}]": leaf.grad for leaf in leaves}}
"""

    def operand(self, operand: Operand) -> str:
        """Leaves are Values; constants arrays, laid out in memory as the program says, and Python numbers."""
        if operand.kind == NUMBER:
            return _literal(operand.array)
        array = _laid_out(operand)
        return f'Value({array}, "{operand.name}")' if operand.kind == LEAF else array

    def step(self, step: Step) -> str:
        """What an engine's function does is written in its place; failing that, ndgrad's function is called."""
        function, rule = NdgradEngine().functions[step.op], RULES[step.op]
        operands = [self.names[i] for i in step.inputs]
        options = {name: _literal(option) for name, option in step.options.items()}
        if isinstance(function, FunctionType):
            self.needs.add(written(function), sys.modules[function.__module__])
            spelled = filled(function, operands, options)
        else:
            spelled = _operation(rule, operands) if function is not rule and not options else None
        return spelled or _call(f"ndgrad.{step.op}", operands, options)

    def beside(self, value: int, array: np.ndarray) -> str:
        """As it is."""
        del value
        return _array("np", array)


class _InPyTorch(_Half):
    """The mirrors, as PyTorch's engine has them. Operands of several dtypes are cast before they meet."""

    name = "in_pytorch"
    refused = """\
return {{"value": {result}}}
"""
    once = """\
{result}.backward({cotangent})
return {{"value": {result}, {gradients}}}
"""
    twice = """\
names, leaves, directions = [{names}], [{leaves}], [{directions}]
first = torch.autograd.grad({result}, leaves, {cotangent}, create_graph=True, allow_unused=True)
# Second order: the gradients times the directions, added up, are differentiated again.
along = [(g * d).sum() for g, d in zip(first, directions) if g is not None and g.requires_grad]
second = torch.autograd.grad(sum(along), leaves, allow_unused=True) if along else [None] * len(leaves)
found = {{"value": {result}}} | {{f"grad[{{name}}]": g for name, g in zip(names, first)}}
return found | {{f"second-order grad[{{name}}]": g for name, g in zip(names, second)}}
"""

    def __init__(self, program: Program, needs: Excerpts) -> None:
        super().__init__(program, needs)
        self.dtypes = _dtypes(program)

    def operand(self, operand: Operand) -> str:
        """Leaves and constants are tensors."""
        if operand.kind == NUMBER:
            return _literal(operand.array)
        return _array("torch", operand.data, *["requires_grad=True"] * (operand.kind == LEAF))

    def step(self, step: Step) -> str:
        """The op's mirror, called."""
        mirror = entries(mirrors, "MIRRORS").get(step.op) or mirrors.source_of(OPS[step.op])
        self.needs.add(mirror, mirrors)
        mirror = f"({mirror})" if mirror.startswith("lambda") else mirror
        dtypes = [self.dtypes[i] for i in step.inputs]
        wide = promoted([np.empty(0, dtype) for dtype in dtypes if dtype is not None])
        operands = [_cast(self.names[i], dtype, wide) for i, dtype in zip(step.inputs, dtypes, strict=True)]
        return _call(mirror, operands, {name: _literal(option) for name, option in step.options.items()})

    def beside(self, value: int, array: np.ndarray) -> str:
        """In the value's dtype."""
        return _cast(_array("torch", array), array.dtype, self.dtypes[value] or array.dtype)


# Words for arrays, numbers, names and calls.


def _variable(name: str) -> str:
    """A name that means nothing else in a script, where no other ends in an underscore or is a letter with a number."""
    return name if re.fullmatch(r"[a-z]\d*", name) else f"{name}_"


def _array(library: str, array: np.ndarray, *more: str) -> str:
    """An array of `np`, or a tensor of `torch`; the dtype is named where it is not clear from the numbers."""
    clear = array.dtype.kind in "ib" if array.size else False
    clear |= library == "np" and array.dtype == np.float64
    dtype = [] if clear else [f"dtype={library}.{array.dtype}"]
    if not array.size:
        return _call(f"{library}.zeros", [str(array.shape), *dtype, *more], {})
    numbers = _numbers(text(array).partition("(")[2].removesuffix(")"))
    return _call(f"{library}.{'array' if library == 'np' else 'tensor'}", [numbers, *dtype, *more], {})


def _numbers(line: str) -> str:
    """Numbers of a program's line, as Python reads them."""
    return re.sub(r"\b(nan|inf)\b", r"np.\1", line).replace(",", ", ")


def _laid_out(operand: Operand) -> str:
    """An array that lies in memory as the program says."""
    array = operand.data
    if operand.layout == "F":
        return _array("np", array, 'order="F"')
    if operand.layout == "reversed" and array.ndim:
        return f"np.flip(np.flip({_array('np', array)}).copy())"
    if operand.layout == "repeated" and array.ndim and array.shape[0]:
        return f"np.broadcast_to({_array('np', array[:1])}, {array.shape})"
    return _array("np", array)


def _literal(option: Any) -> str:
    """A number, or what an option may be: None, text, slices, arrays, tuples of such."""
    if isinstance(option, np.ndarray):
        return _array("np", option)
    if isinstance(option, tuple):
        return f"({', '.join(map(_literal, option))}{',' * (len(option) == 1)})"
    return _numbers(text(option)) if isinstance(option, (float, slice)) else text(option)


def _call(function: str, operands: Sequence[str], options: Mapping[str, str]) -> str:
    return f"{function}({', '.join([*operands, *(f'{name}={option}' for name, option in options.items())])})"


def _operation(rule: Rule, operands: Sequence[str]) -> str | None:
    """A Python operator between its operands; None if there are too few or too many."""
    if len(operands) != len(rule.pullbacks):
        return None
    if len(operands) > 1:
        return f" {rule.symbol} ".join(operands)
    sign = {"neg": "-", "pos": "+"}.get(rule.operator)
    return f"{sign}{operands[0]}" if sign else f"{rule.operator}({operands[0]})"  # as abs(x)


def _dtypes(program: Program) -> list[np.dtype[Any] | None]:
    """The dtype of each value, as the reference has it; None of a Python number. Past a step that it refuses, any."""
    operands = [None if o.kind == NUMBER else o.data.dtype for o in program.operands]
    steps = [value.dtype for value in TorchEngine().run(program).values]
    return [*operands, *steps, *[np.dtype(float)] * (len(program.steps) - len(steps))]


def _cast(tensor: str, dtype: np.dtype[Any] | None, wanted: np.dtype[Any]) -> str:
    """A tensor, or the name of a Python number, in the dtype that is wanted."""
    if dtype is None:
        return f"torch.tensor({tensor}, dtype=torch.{wanted})"
    return tensor if dtype == wanted else f"{tensor}.to(torch.{wanted})"
