"""Records the engine's backward pass move by move: the incoming gradient, the rule, and the contribution.

A move is one call of a pullback. Calls are recorded from outside while the engine runs, so their order is the
engine's own, even if a planted fault breaks it.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ndgrad import Value
from ndgrad.rules import RULES, elementwise
from reference.engines.ndgrad import NdgradEngine
from reference.mutation.planting import UNCHANGED, Plant, around
from reference.programs import ARRAY, LEAF, Operand, Program, Step


@dataclass(frozen=True)
class Move:
    """A contribution from a step to one of its operands.

    Args:
        step: the index of the step.
        position: the position of the operand.
        arrives: the gradient of the step's value at that time.
        local: the elementwise local derivative; None if the op mixes numbers, as a sum does.
        gives: the contribution.
    """

    step: int
    position: int
    arrives: np.ndarray
    local: np.ndarray | None
    gives: np.ndarray


def walk(program: Program, plant: Plant = UNCHANGED) -> list[Move]:
    """Run ndgrad's backward pass and record its moves."""
    with plant():
        calls = list(_calls(program))
        return [_move(*call) for call in calls]


def _calls(program: Program) -> Iterator[tuple[Program, int, int, np.ndarray]]:
    """Yield each call of a pullback: the single step, its index, the position, and the incoming gradient."""
    calls: list[tuple[int, int, np.ndarray]] = []
    step_of: dict[int, int] = {}  # the index of each step, by its value's array
    with ExitStack() as stack:
        for op in {step.op for step in program.steps}:
            for position in range(len(RULES[op].pullbacks)):
                stack.enter_context(around(op, position, _listening(calls, position))())
        values = _run(program)
        step_of.update({id(value.data): i for i, value in enumerate(values[len(program.operands) :])})
        values[-1].backward(program.cotangent)
    for key, position, g in calls:
        yield _alone(program, values, step_of[key], g), step_of[key], position, g


def _run(program: Program) -> list[Any]:
    functions = NdgradEngine().functions
    values: list[Any] = [Value(o.data, o.name) if o.kind == LEAF else o.array for o in program.operands]
    for step in program.steps:
        values.append(functions[step.op](*(values[i] for i in step.inputs), **step.options))
    return values


def _listening(calls: list[tuple[int, int, np.ndarray]], position: int) -> Callable[[Any], Any]:
    def change(right: Callable[..., Any]) -> Callable[..., Any]:
        def pullback(g: Any, y: Any, *operands: Any, **options: Any) -> Any:
            calls.append((id(y), options.get("position", position), np.array(g)))
            return right(g, y, *operands, **options)

        return pullback

    return change


def _alone(program: Program, values: list[Any], index: int, g: np.ndarray) -> Program:
    """Return a step as a program, with a separate operand for each position."""
    step = program.steps[index]
    operands = tuple(
        Operand(f"x{k}", np.asarray(values[i].data if isinstance(values[i], Value) else values[i]), _kind(values[i]))
        for k, i in enumerate(step.inputs)
    )
    return Program(operands, (Step(step.op, tuple(range(len(operands))), step.options),), g)


def _kind(value: Any) -> str:
    return LEAF if isinstance(value, Value) else ARRAY


def _move(alone: Program, step: int, position: int, g: np.ndarray) -> Move:
    return Move(step, position, g, _local(alone, position), _contribution(alone, position))


def _contribution(alone: Program, position: int) -> np.ndarray:
    """Compute the contribution of a single step to one of its operands."""
    leaf = sum(o.kind == LEAF for o in alone.operands[:position])
    gradients = NdgradEngine().run(alone).gradients
    return np.asarray(gradients[leaf] if gradients else np.nan)


def _local(alone: Program, position: int) -> np.ndarray | None:
    """Compute the elementwise local derivative; None if a number of the result depends on several."""
    if alone.steps[0].op not in vars(elementwise):
        return None
    shape = np.asarray(alone.cotangent).shape
    wide = tuple(replace(o, data=np.broadcast_to(o.data, shape).copy()) for o in alone.operands)
    return _contribution(replace(alone, operands=wide, cotangent=np.ones(shape)), position)


# Effects of moves.


@dataclass(frozen=True)
class Arrival:
    """A move and its effect on its target.

    Args:
        move: the move.
        of: the step that contributes, by its index among all values.
        to: the target, an operand or step, by the same index.
        before: the target's gradient before; None if this is the first contribution.
        after: the target's gradient now.
        number: how many contributions the target has now.
        uses: how many it will get.
        had: how many contributions the contributing step had.
        due: how many it should have had.
        late: whether the target has already propagated its gradient, so that this contribution is lost.
    """

    move: Move
    of: int
    to: int
    before: np.ndarray | None
    after: np.ndarray
    number: int
    uses: int
    had: int
    due: int
    late: bool

    @property
    def early(self) -> bool:
        """Whether the step contributes before it has all its own contributions."""
        return self.had < self.due


def arrivals(program: Program, moves: Sequence[Move]) -> list[Arrival]:
    """Follow the effects of moves."""
    first = len(program.operands)
    uses = Counter(i for step in program.steps for i in step.inputs)
    counts: Counter[int] = Counter()
    has: dict[int, np.ndarray] = {}
    passed: set[int] = set()
    result = []
    for move in moves:
        of, to = first + move.step, program.steps[move.step].inputs[move.position]
        passed.add(of)
        counts[to] += 1
        before, late = has.get(to), to in passed
        after = move.gives if before is None else before if late else before + move.gives
        has[to] = after
        result.append(Arrival(move, of, to, before, after, counts[to], uses[to], counts[of], uses[of], late))
    return result


# The source text of a rule.

ARRIVES = "arrives"  # the name of the cotangent in a rule that is shown


def rule(op: str, position: int, names: Sequence[str] = (), *, vectors: bool = False) -> str:
    """Return the source of an operand's pullback in the table of rules: its formula, or the call of a function.

    Args:
        op: the op.
        position: the position of the operand.
        names: names for the op's result and operands; by default those of the table.
        vectors: whether an operand is a vector. A function may treat vectors specially, so its call is returned.
    """
    pullbacks = RULES[op].pullbacks
    pullback: Any = pullbacks[min(position, len(pullbacks) - 1)]
    if pullback is None:
        return ""
    parameters = pullback.__code__.co_varnames[: pullback.__code__.co_argcount]
    called = {name: name.removeprefix("_") for name in parameters}  # `_x` marks an unused parameter
    called |= dict(zip(parameters, [ARRIVES, *names], strict=False)) if names else {}
    return ast.unparse(_Renamed(called).visit(copy.deepcopy(_formula(pullback, parameters, vectors=vectors))))


class _Renamed(ast.NodeTransformer):
    """Renames names."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Rename one name."""
        return ast.Name(self._names.get(node.id, node.id))


@lru_cache
def _formula(pullback: Any, parameters: tuple[str, ...], *, vectors: bool) -> ast.expr:
    """Return the body of a row's lambda; of a function, the expression it returns at its end, or else a call of it.

    It is an ellipsis if the file has changed since it was imported, so that its text no longer matches the code.
    """
    code = pullback.__code__
    if code.co_name != "<lambda>":
        end = None if vectors else _end(pullback)
        if end is not None and all(n.id in parameters for n in ast.walk(end) if isinstance(n, ast.Name)):
            return end
        return ast.Call(ast.Name(code.co_name), [*map(ast.Name, parameters)], [])
    return next((node.body for node in _lambdas(pullback) if _is_at(node, code)), ast.Constant(...))


def _end(function: Any) -> ast.expr | None:
    """Return the expression of a function's final return statement."""
    (defined,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    last = defined.body[-1] if isinstance(defined, ast.FunctionDef) else None
    return last.value if isinstance(last, ast.Return) else None


def _lambdas(function: Any) -> Iterator[ast.Lambda]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.getmodule(function) or function)))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Lambda))


def _is_at(node: ast.Lambda, code: Any) -> bool:
    """Whether the code was compiled from this expression, judged by its positions."""
    at = [(line, column) for line, _, column, _ in code.co_positions() if line and column]
    body = node.body
    start, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    return any(start <= place < end for place in at)
