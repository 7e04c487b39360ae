"""Writes a program as a standalone script: in ndgrad as users write it, and in PyTorch.

A script needs NumPy, ndgrad and PyTorch, but not this package. This module depends on no particular op: the engine of
ndgrad has ndgrad's spelling of an op, and PyTorch's engine has PyTorch's. The source that a script needs of them is
copied into it.
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
from reference.report.excerpt import Excerpts, entries, inline, source_of

_HEAD = """\
# One program in ndgrad and in PyTorch, the results of both, and the differences.{refused}
# Made by: python -m reference repro --python {line}

{imports}
"""
_FRAME = '''\
def run(name, half):
    """Run one half, and print its results or its error."""
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
    """Return a result as an array; None if there is no gradient."""
    return given.detach().clone().numpy() if isinstance(given, torch.Tensor) else given


def written(array, indent):
    """Format all numbers with all digits."""
    if array is None:
        return "None"
    options = {"separator": ", ", "floatmode": "unique", "threshold": array.size + 1}
    return np.array2string(array, prefix=" " * indent, **options)


def difference(mine, theirs):
    """Return the largest difference. NaN equals NaN, and a missing gradient equals 0."""
    theirs = np.zeros_like(mine) if theirs is None else theirs
    if (mine.dtype, mine.shape) != (theirs.dtype, theirs.shape):
        return f"{mine.dtype} {mine.shape} beside {theirs.dtype} {theirs.shape}"
    alike = (mine == theirs) | (np.isnan(mine) & np.isnan(theirs))
    return np.max(np.abs(mine - theirs), where=~alike, initial=0.0)


np.seterr(all="ignore")  # infinities and NaN occur on purpose
ndgrads = run(f"ndgrad {ndgrad.__version__}", in_ndgrad)
pytorchs = run(f"PyTorch {torch.__version__}", in_pytorch)
if ndgrads and pytorchs:
    print("difference")
    for part in ndgrads:
        print(f"{part} = {difference(ndgrads[part], pytorchs[part])}")
'''


def script(program: Program) -> str:
    """Write a program as Python source that prints the values and gradients of both sides, or their errors.

    Args:
        program: the program. Its numbers are reproduced exactly.

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


# The two halves. Each is a function with one of three endings, which are templates here.


class _Half:
    """One side of a script.

    Args:
        program: the program.
        needs: collects what the script uses of our own source.
    """

    name = ""
    refused = once = twice = ""

    def __init__(self, program: Program, needs: Excerpts) -> None:
        self.program = program
        self.needs = needs
        self.names = [_variable(name) for name in program.names]

    def operand(self, operand: Operand) -> str:
        """Write the initial value of an operand."""
        raise NotImplementedError

    def step(self, step: Step) -> str:
        """Write a step on named values."""
        raise NotImplementedError

    def beside(self, value: int, array: np.ndarray) -> str:
        """Write a cotangent or direction for a value."""
        raise NotImplementedError

    def __str__(self) -> str:
        expressions = [*map(self.operand, self.program.operands), *map(self.step, self.program.steps)]
        lines = [f"{name} = {expression}" for name, expression in zip(self.names, expressions, strict=True)]
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
    """The half in ndgrad, with operators, NumPy's functions and ndgrad's functions, as the engine calls them."""

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
# Second order: differentiate the sum of the gradients times the directions.
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
        """Write leaves as Values, and constants as arrays with the program's memory layout or as Python numbers."""
        if operand.kind == NUMBER:
            return _literal(operand.array)
        array = _laid_out(operand)
        return f'Value({array}, "{operand.name}")' if operand.kind == LEAF else array

    def step(self, step: Step) -> str:
        """Inline the engine's function for the op; if that is impossible, call ndgrad's function."""
        function, rule = NdgradEngine().functions[step.op], RULES[step.op]
        operands = [self.names[i] for i in step.inputs]
        options = {name: _literal(option) for name, option in step.options.items()}
        if isinstance(function, FunctionType):
            self.needs.add(source_of(function), sys.modules[function.__module__])
            spelled = inline(function, operands, options)
        else:
            spelled = _operation(rule, operands) if function is not rule and not options else None
        return spelled or _call(f"ndgrad.{step.op}", operands, options)

    def beside(self, value: int, array: np.ndarray) -> str:
        """Write the array unchanged."""
        del value
        return _array("np", array)


class _InPyTorch(_Half):
    """The half in PyTorch, with the functions of PyTorch's engine. Operands of several dtypes are cast first."""

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
# Second order: differentiate the sum of the gradients times the directions.
along = [(g * d).sum() for g, d in zip(first, directions) if g is not None and g.requires_grad]
second = torch.autograd.grad(sum(along), leaves, allow_unused=True) if along else [None] * len(leaves)
found = {{"value": {result}}} | {{f"grad[{{name}}]": g for name, g in zip(names, first)}}
return found | {{f"second-order grad[{{name}}]": g for name, g in zip(names, second)}}
"""

    def __init__(self, program: Program, needs: Excerpts) -> None:
        super().__init__(program, needs)
        self.dtypes = _dtypes(program)

    def operand(self, operand: Operand) -> str:
        """Write leaves and constants as tensors."""
        if operand.kind == NUMBER:
            return _literal(operand.array)
        return _array("torch", operand.data, *["requires_grad=True"] * (operand.kind == LEAF))

    def step(self, step: Step) -> str:
        """Call PyTorch's function for the op."""
        mirror = entries(mirrors, "MIRRORS").get(step.op) or mirrors.source_of(OPS[step.op])
        self.needs.add(mirror, mirrors)
        mirror = f"({mirror})" if mirror.startswith("lambda") else mirror
        dtypes = [self.dtypes[i] for i in step.inputs]
        wide = promoted([np.empty(0, dtype) for dtype in dtypes if dtype is not None])
        operands = [_cast(self.names[i], dtype, wide) for i, dtype in zip(step.inputs, dtypes, strict=True)]
        return _call(mirror, operands, {name: _literal(option) for name, option in step.options.items()})

    def beside(self, value: int, array: np.ndarray) -> str:
        """Write the array in the value's dtype."""
        return _cast(_array("torch", array), array.dtype, self.dtypes[value] or array.dtype)


# Formatting of arrays, numbers, names and calls.


def _variable(name: str) -> str:
    """Return a name with no other meaning in a script, whose other names neither end in an underscore nor look so."""
    return name if re.fullmatch(r"[a-z]\d*", name) else f"{name}_"


def _array(library: str, array: np.ndarray, *more: str) -> str:
    """Write an array of `np` or a tensor of `torch`, with the dtype if it is not clear from the numbers."""
    clear = array.dtype.kind in "ib" if array.size else False
    clear |= library == "np" and array.dtype == np.float64
    dtype = [] if clear else [f"dtype={library}.{array.dtype}"]
    if not array.size:
        return _call(f"{library}.zeros", [str(array.shape), *dtype, *more], {})
    numbers = _numbers(text(array).partition("(")[2].removesuffix(")"))
    return _call(f"{library}.{'array' if library == 'np' else 'tensor'}", [numbers, *dtype, *more], {})


def _numbers(line: str) -> str:
    """Convert the numbers of a program's line to Python."""
    return re.sub(r"\b(nan|inf)\b", r"np.\1", line).replace(",", ", ")


def _laid_out(operand: Operand) -> str:
    """Write an array with the operand's memory layout."""
    array = operand.data
    if operand.layout == "F":
        return _array("np", array, 'order="F"')
    if operand.layout == "reversed" and array.ndim:
        return f"np.flip(np.flip({_array('np', array)}).copy())"
    if operand.layout == "repeated" and array.ndim and array.shape[0]:
        return f"np.broadcast_to({_array('np', array[:1])}, {array.shape})"
    return _array("np", array)


def _literal(option: Any) -> str:
    """Write a number or an option: None, a string, a slice, an array, or a tuple of these."""
    if isinstance(option, np.ndarray):
        return _array("np", option)
    if isinstance(option, tuple):
        return f"({', '.join(map(_literal, option))}{',' * (len(option) == 1)})"
    return _numbers(text(option)) if isinstance(option, (float, slice)) else text(option)


def _call(function: str, operands: Sequence[str], options: Mapping[str, str]) -> str:
    return f"{function}({', '.join([*operands, *(f'{name}={option}' for name, option in options.items())])})"


def _operation(rule: Rule, operands: Sequence[str]) -> str | None:
    """Write a Python operator with its operands; None if their number does not fit."""
    if len(operands) != len(rule.pullbacks):
        return None
    if len(operands) > 1:
        return f" {rule.symbol} ".join(operands)
    sign = {"neg": "-", "pos": "+"}.get(rule.operator)
    return f"{sign}{operands[0]}" if sign else f"{rule.operator}({operands[0]})"  # such as abs(x)


def _dtypes(program: Program) -> list[np.dtype[Any] | None]:
    """Return each value's dtype in the reference; None for a Python number, anything after a refused step."""
    operands = [None if o.kind == NUMBER else o.data.dtype for o in program.operands]
    steps = [value.dtype for value in TorchEngine().run(program).values]
    return [*operands, *steps, *[np.dtype(float)] * (len(program.steps) - len(steps))]


def _cast(tensor: str, dtype: np.dtype[Any] | None, target: np.dtype[Any]) -> str:
    """Write a tensor, or a Python number, converted to a dtype."""
    if dtype is None:
        return f"torch.tensor({tensor}, dtype=torch.{target})"
    return tensor if dtype == target else f"{tensor}.to(torch.{target})"
