"""What the pass back does, move by move, as the engine itself does it: what arrives, the rule, and what is passed on.

A move is one call of a pullback. Calls are recorded from outside, while the engine runs, so the order is the engine's
own, also where a fault is planted that spoils it.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ndgrad import Value
from ndgrad.rules import RULES, elementwise
from reference.engines.ndgrad import NdgradEngine
from reference.mutation.planting import Plant, around
from reference.programs import ARRAY, LEAF, Operand, Program, Step


@dataclass(frozen=True)
class Move:
    """One thing passed back: from a step to one of its operands.

    Args:
        step: the index of the step.
        position: which of its operands.
        arrives: the gradient of the step's value, as it was at that time.
        local: the local derivative, number by number; None where an op mixes numbers, as a sum does.
        gives: what is passed on.
    """

    step: int
    position: int
    arrives: np.ndarray
    local: np.ndarray | None
    gives: np.ndarray


def walk(program: Program, plant: Plant = nullcontext) -> list[Move]:
    """Let ndgrad pass back, and record its moves."""
    with plant():
        calls = list(_calls(program))
        return [_move(*call) for call in calls]


def _calls(program: Program) -> Iterator[tuple[Program, int, int, np.ndarray]]:
    """Each call of a pullback: the step by itself, its index, the position, and what arrived."""
    heard: list[tuple[int, int, np.ndarray]] = []
    made: dict[int, int] = {}  # the index of each step, by its value's array
    with ExitStack() as stack:
        for op in {step.op for step in program.steps}:
            for position in range(len(RULES[op].pullbacks)):
                stack.enter_context(around(op, position, _listening(heard, position))())
        values = _run(program)
        made.update({id(value.data): i for i, value in enumerate(values[len(program.operands) :])})
        values[-1].backward(program.cotangent)
    for key, position, g in heard:
        yield _alone(program, values, made[key], g), made[key], position, g


def _run(program: Program) -> list[Any]:
    functions = NdgradEngine().functions
    values: list[Any] = [Value(o.data, o.name) if o.kind == LEAF else o.array for o in program.operands]
    for step in program.steps:
        values.append(functions[step.op](*(values[i] for i in step.inputs), **step.options))
    return values


def _listening(heard: list[tuple[int, int, np.ndarray]], position: int) -> Callable[[Any], Any]:
    def change(right: Callable[..., Any]) -> Callable[..., Any]:
        def pullback(g: Any, y: Any, *operands: Any, **options: Any) -> Any:
            heard.append((id(y), options.get("position", position), np.array(g)))
            return right(g, y, *operands, **options)

        return pullback

    return change


def _alone(program: Program, values: list[Any], index: int, g: np.ndarray) -> Program:
    """A step by itself, with an operand for each position: what is used twice is two here."""
    step = program.steps[index]
    operands = tuple(
        Operand(f"x{k}", np.asarray(values[i].data if isinstance(values[i], Value) else values[i]), _kind(values[i]))
        for k, i in enumerate(step.inputs)
    )
    return Program(operands, (Step(step.op, tuple(range(len(operands))), step.options),), g)


def _kind(value: Any) -> str:
    return LEAF if isinstance(value, Value) else ARRAY


def _move(alone: Program, step: int, position: int, g: np.ndarray) -> Move:
    return Move(step, position, g, _local(alone, position), _given(alone, position))


def _given(alone: Program, position: int) -> np.ndarray:
    """What a step by itself passes to one of its operands."""
    leaf = sum(o.kind == LEAF for o in alone.operands[:position])
    gradients = NdgradEngine().run(alone).gradients
    return np.asarray(gradients[leaf] if gradients else np.nan)


def _local(alone: Program, position: int) -> np.ndarray | None:
    """The slope of each number of the result towards the one number that it was made of; None where several were."""
    if alone.steps[0].op not in vars(elementwise):
        return None
    shape = np.asarray(alone.cotangent).shape
    wide = tuple(replace(o, data=np.broadcast_to(o.data, shape).copy()) for o in alone.operands)
    return _given(replace(alone, operands=wide, cotangent=np.ones(shape)), position)


# What becomes of moves.


@dataclass(frozen=True)
class Arrival:
    """A move, and what it is to the value that it reaches.

    Args:
        move: the move.
        of: the step that passes on, by its place among all values.
        to: the operand or step that is reached, likewise.
        before: what that had; None if this is the first.
        after: what it has now.
        number: how many have reached it now.
        uses: how many will.
        had: how many had reached the step that passes on.
        due: how many should have.
        late: whether what is reached has passed on already, so that this is lost.
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
        """Whether the step passes on before all has reached it."""
        return self.had < self.due


def arrivals(program: Program, moves: Sequence[Move]) -> list[Arrival]:
    """Follow moves to where they go."""
    first = len(program.operands)
    uses = Counter(i for step in program.steps for i in step.inputs)
    came: Counter[int] = Counter()
    has: dict[int, np.ndarray] = {}
    passed: set[int] = set()
    found = []
    for move in moves:
        of, to = first + move.step, program.steps[move.step].inputs[move.position]
        passed.add(of)
        came[to] += 1
        before, late = has.get(to), to in passed
        after = move.gives if before is None else before if late else before + move.gives
        has[to] = after
        found.append(Arrival(move, of, to, before, after, came[to], uses[to], came[of], uses[of], late))
    return found


# The rule in words: the very text of the table.

ARRIVES = "arrives"  # what the cotangent is called in a rule that is shown


def rule(op: str, position: int, names: Sequence[str] = (), *, vectors: bool = False) -> str:
    """What stands in the table of rules for the way back to an operand: its formula, or the call of a function.

    Args:
        op: the op.
        position: of the operand.
        names: what the op's result and its operands are called; by default as in the table.
        vectors: whether an operand is a vector. A function may treat it otherwise than it ends: so its call is given.
    """
    pullbacks = RULES[op].pullbacks
    pullback: Any = pullbacks[min(position, len(pullbacks) - 1)]
    if pullback is None:
        return ""
    parameters = pullback.__code__.co_varnames[: pullback.__code__.co_argcount]
    called = {name: name.removeprefix("_") for name in parameters}  # `_x`: it is not read
    called |= dict(zip(parameters, [ARRIVES, *names], strict=False)) if names else {}
    return ast.unparse(_Renamed(called).visit(copy.deepcopy(_formula(pullback, parameters, vectors=vectors))))


class _Renamed(ast.NodeTransformer):
    """Gives names other names."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Rename one."""
        return ast.Name(self._names.get(node.id, node.id))


@lru_cache
def _formula(pullback: Any, parameters: tuple[str, ...], *, vectors: bool) -> ast.expr:
    """The expression that a pullback is, if it is a row's own; what a function ends in; or else a call of it.

    An ellipsis, if the file has changed since it was imported, and no longer says what is run.
    """
    code = pullback.__code__
    if code.co_name != "<lambda>":
        end = None if vectors else _end(pullback)
        if end is not None and all(n.id in parameters for n in ast.walk(end) if isinstance(n, ast.Name)):
            return end
        return ast.Call(ast.Name(code.co_name), [*map(ast.Name, parameters)], [])
    return next((node.body for node in _lambdas(pullback) if _is_at(node, code)), ast.Constant(...))


def _end(function: Any) -> ast.expr | None:
    """What a function returns at its end."""
    (defined,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    last = defined.body[-1] if isinstance(defined, ast.FunctionDef) else None
    return last.value if isinstance(last, ast.Return) else None


def _lambdas(function: Any) -> Iterator[ast.Lambda]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.getmodule(function) or function)))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Lambda))


def _is_at(node: ast.Lambda, code: Any) -> bool:
    """Whether the code was compiled from this expression: its first positions lie there."""
    at = [(line, column) for line, _, column, _ in code.co_positions() if line and column]
    body = node.body
    start, end = (body.lineno, body.col_offset), (body.end_lineno or 0, body.end_col_offset or 0)
    return any(start <= place < end for place in at)
