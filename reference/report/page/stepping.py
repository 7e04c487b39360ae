"""The second panel: an expression forward and backward, frame by frame, each with its numbers from three sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from reference.faults import FAULTS
from reference.program import LEAF, Program, parse
from reference.report.page.diagram import Box, Line, draw, look, title
from reference.report.page.numbers import FEW, full, lines
from reference.report.page.sides import Number, Sides, exact_gradient, gradients, numbers, seen
from reference.report.page.walking import Move, rule, walk


@dataclass(frozen=True)
class Lesson:
    """An expression to be stepped through.

    Args:
        name: what links call it.
        title: what readers do.
        words: what is to be seen.
        program: what is walked.
        fault: the name of the fault that is planted in ndgrad while it is walked; empty for none.
    """

    name: str
    title: str
    words: str
    program: Program
    fault: str = ""


# fmt: off
_REUSED = "x=f8(2.0); y=f8(3.0); a=multiply(x,y); b=square(a); c=multiply(b,a); back(c,f8(1.0))"
LESSONS = (
    Lesson("neuron", "a neuron",
           "The article's neuron, tanh(x1·w1 + x2·w2 + b): five ops, and five numbers whose gradient is wanted.",
           parse("x1=f8(2.0); w1=f8(-3.0); x2=f8(0.0); w2=f8(1.0); b=f8(6.8813735870195432); a=multiply(x1,w1); "
                 "c=multiply(x2,w2); d=add(a,c); e=add(d,b); f=tanh(e); back(f,f8(1.0))")),
    Lesson("reused", "a value used twice",
           "a is used twice, in its square and beside it. What comes back along both ways is added up. Every number can be redone by hand.",
           parse(_REUSED)),
    Lesson("disorder", "the same in a wrong order",
           "The same expression, but depth first: a passes on what it has as soon as it has something. "
           "This is a bug of a real engine, planted in ndgrad for this walk.",
           parse(_REUSED), "b016-depth-first"),
    Lesson("broadcast", "a broadcast",
           "x has one column and y has three numbers, so each number of x is used three times: three contributions are added up.",
           parse("x=f8([[1.0],[2.0]]); y=f8([3.0,4.0,5.0]); a=multiply(x,y); b=sum(a,axis=None,keepdims=False); back(b,f8(1.0))")),
    Lesson("layer", "a layer of an MLP",
           "Two examples of three numbers go through a layer of two neurons. What arrives at the end is four unlike numbers: "
           "with ones alone, many a mistake would not show.",
           parse("X=f8([[1.0,-2.0,0.5],[0.25,1.0,-1.0]]); W=f8([[0.5,-0.25],[0.25,1.0],[-1.0,0.75]]); b=f8([0.125,-0.5]); "
                 "a=matmul(X,W); c=add(a,b); d=tanh(c); back(d,f8([[1.0,-0.5],[2.0,0.25]]))")),
)
# fmt: on


@dataclass(frozen=True)
class Frame:
    """A moment: what just happened, in words and numbers.

    Args:
        link: its address in the page.
        heading: what happened.
        facts: what and how much, line by line.
        words: what is to be noted; empty for nothing.
        caption: of the table.
        rows: a name, and a number from three sides; none where nothing is compared.
        lit: the boxes and edges that light up, by their ids.
        warns: whether something goes wrong here.
    """

    link: str
    heading: str
    facts: Sequence[tuple[str, str]] = ()
    words: str = ""
    caption: str = ""
    rows: Sequence[tuple[str, Number]] = ()
    lit: Sequence[str] = ()
    warns: bool = False


@dataclass(frozen=True)
class Walk:
    """An expression with its picture and its frames."""

    lesson: Lesson
    picture: Markup
    frames: Sequence[Frame]


def walks(lessons: Sequence[Lesson] = LESSONS) -> list[Walk]:
    """Walk each lesson's expression in ndgrad."""
    return [_Walker(lesson).walk() for lesson in lessons]


class _Walker:
    """Puts together what happens in an expression."""

    def __init__(self, lesson: Lesson) -> None:
        plant = {fault.name: fault.plant for fault in FAULTS}.get(lesson.fault, nullcontext)
        self.lesson = lesson
        self.program = program = lesson.program
        self.first = len(program.operands)
        self.cotangent = np.asarray(program.cotangent)
        self.start = len(program.steps) + 1  # the frame at which the pass back starts
        self.moves = walk(program, plant)
        self.sides: Sides = seen(program)
        self.uses = Counter(i for k, step in enumerate(program.steps) for i in self._wanting(k))
        self.late = self._late()
        self.totals = self._totals()

    def _wanting(self, step: int) -> list[int]:
        """The operands of a step to which something is passed back."""
        inputs = self.program.steps[step].inputs
        return [i for i in inputs if i >= self.first or self.program.operands[i].kind == LEAF]

    def _operand(self, move: Move) -> int:
        return self.program.steps[move.step].inputs[move.position]

    def _totals(self) -> list[np.ndarray]:
        """For each move, what its operand has after it."""
        had: dict[int, np.ndarray] = {}
        totals = []
        for move, late in zip(self.moves, self.late, strict=True):
            i = self._operand(move)
            had[i] = had[i] if late else had[i] + move.gives if i in had else move.gives
            totals.append(had[i])
        return totals

    def _late(self) -> list[bool]:
        """For each move, whether its operand has passed on already, so that it is lost."""
        passed: set[int] = set()
        late = []
        for move in self.moves:
            passed.add(self.first + move.step)
            late.append(self._operand(move) in passed)
        return late

    def walk(self) -> Walk:
        words = f"The graph of {self.lesson.title}: {'; '.join(title(self.program, i) for i in range(self._count))}"
        picture = draw(f"graph-{self.lesson.name}", self.program, self._boxes(), words)
        return Walk(self.lesson, picture, list(self._frames()))

    @property
    def _count(self) -> int:
        return len(self.program.names)

    # The picture.

    def _boxes(self) -> list[Box]:
        return [
            Box(title(self.program, i), look(self.program, i), [*self._rows(i)], max(0, i - self.first + 1))
            for i in range(self._count)
        ]

    def _rows(self, i: int) -> Iterator[list[Line]]:
        value = self.program.operands[i].data if i < self.first else self.sides.mine.values[i - self.first]
        yield [Line(_labelled("value", value), "value", max(0, i - self.first + 1))]
        versions = [(self.start, self.cotangent)] if i == self.program.result else []
        versions += [
            (self.start + 1 + k, total)
            for k, (move, total) in enumerate(zip(self.moves, self.totals, strict=True))
            if self._operand(move) == i
        ]
        ends = [*(since for since, _ in versions[1:]), None]
        if versions:
            yield [
                Line(_labelled("grad", total), "grad", since, until)
                for (since, total), until in zip(versions, ends, strict=True)
            ]

    # The frames.

    def _frames(self) -> Iterator[Frame]:
        frames = [self._before(), *self._forward(), self._seed(), *self._backward(), self._end()]
        yield from frames

    def _link(self, number: int) -> str:
        return f"step/{self.lesson.name}/{number}"

    def _lit(self, box: int, *edges: tuple[int, int]) -> list[str]:
        name = f"graph-{self.lesson.name}"
        return [f"{name}-box-{box}", *(f"{name}-edge-{step}-{position}" for step, position in edges)]

    def _before(self) -> Frame:
        words = "Blue boxes with square corners are given. Forward, each op computes its value from those before it."
        return Frame(self._link(0), "Before the first step", words=words)

    def _forward(self) -> Iterator[Frame]:
        for k, step in enumerate(self.program.steps):
            i = self.first + k
            edges = [(k, position) for position in range(len(step.inputs))]
            facts = [(self.program.names[j], _inline(self._value(j))) for j in dict.fromkeys(step.inputs)]
            yield Frame(
                self._link(k + 1),
                f"Forward: {title(self.program, i)}",
                [*facts, (self.program.names[i], _inline(self._value(i)))],
                caption=f"The value of {self.program.names[i]}",
                rows=self._named(i, self.sides.value(i)),
                lit=self._lit(i, *edges),
            )

    def _value(self, i: int) -> np.ndarray:
        return np.asarray(self.program.operands[i].data if i < self.first else self.sides.mine.values[i - self.first])

    def _named(self, i: int, rows: Sequence[Number]) -> list[tuple[str, Number]]:
        return [(f"{self.program.names[i]}{row.place}", row) for row in rows]

    def _seed(self) -> Frame:
        name = self.program.names[self.program.result]
        words = (
            f"The gradient of a number says how far the result moves if that number moves a little. {name} is the result "
            "itself, so it is 1." if np.array_equal(self.cotangent, 1) else
            f"Something that comes after {name} passes this back to it: the slope of a loss towards each of its numbers."
        )  # fmt: skip
        facts = [(f"gradient of {name}", _inline(self.cotangent))]
        return Frame(self._link(self.start), "Backward: the start", facts, words, lit=self._lit(self.program.result))

    def _backward(self) -> Iterator[Frame]:
        came: Counter[int] = Counter()
        moves = zip(self.moves, self.totals, self.late, strict=True)
        for number, (move, total, late) in enumerate(moves, self.start + 1):
            of, to = self.first + move.step, self._operand(move)
            early = of != self.program.result and came[of] < self.uses[of]
            came[to] += 1
            yield Frame(
                self._link(number),
                f"Backward: from {self.program.names[of]} to {self.program.names[to]}",
                [*self._facts(move), *([] if late else self._sum(move, total, came[to])), self._rule(move)],
                self._note(move, came, early=early, late=late),
                f"The gradient of {self.program.names[to]}",
                self._complete(to) if came[to] == self.uses[to] and not self.lesson.fault else (),
                self._lit(to, (move.step, move.position)) + self._lit(of),
                warns=early or late,
            )

    def _facts(self, move: Move) -> Iterator[tuple[str, str]]:
        of = self.first + move.step
        names, step = self.program.names, self.program.steps[move.step]
        to = names[step.inputs[move.position]]
        yield f"arrives at {names[of]}", _inline(move.arrives)
        if move.local is not None:
            yield f"× local derivative, of {title(self.program, of)} towards {to}", _inline(move.local)
        summed = move.local is not None and move.gives.shape != move.local.shape
        how = (
            f", summed over {move.local.size // move.gives.size} uses each" if summed and move.local is not None else ""
        )
        yield f"= contribution to {to}{how}", _inline(move.gives)

    def _rule(self, move: Move) -> tuple[str, str]:
        return "by this rule of ndgrad, where g is what arrives", rule(self.program.steps[move.step].op, move.position)

    def _sum(self, move: Move, total: np.ndarray, came: int) -> list[tuple[str, str]]:
        """What an operand has so far, where it is a sum."""
        to = self._operand(move)
        if came == 1:
            return []
        return [
            (
                f"gradient of {self.program.names[to]}, added up",
                f"{_inline(total - move.gives)} + {_inline(move.gives)} = {_inline(total)}",
            )
        ]

    def _note(self, move: Move, came: Counter[int], *, early: bool, late: bool) -> str:
        names, of, to = self.program.names, self.first + move.step, self._operand(move)
        if late:
            return f"Too late: {names[to]} has passed on already, and this never goes any further."
        if early:
            return (
                f"Too early: {names[of]} has {came[of]} of its {self.uses[of]} contributions, and passes on too little."
            )
        if came[to] < self.uses[to]:
            left = self.uses[to] - came[to]
            return f"{names[to]} is used {self.uses[to]} times: {left} more to come, and until then it has to wait."
        if move.local is None:
            return (
                f"This op mixes numbers. A number of {names[to]} that goes into several of {names[of]} gets a sum: what "
                "arrives at each of those, times its own local derivative. The rule does it all at once."
            )
        return ""

    def _complete(self, i: int) -> list[tuple[str, Number]]:
        return self._named(i, self.sides.gradient(i))

    def _end(self) -> Frame:
        leaves = [i for i in range(self.first) if self.program.operands[i].kind == LEAF]
        last = {self._operand(move): total for move, total in zip(self.moves, self.totals, strict=True)}
        rows = [row for i in leaves for row in (self._wrong(i, last) if self.lesson.fault else self._complete(i))]
        wrong = self.lesson.fault and any(row.ulp != "0" for _, row in rows)
        words = (
            "What arrives at a value that has passed on already is lost. If values are taken in the order in which they were "
            "made, backwards, this cannot happen: whatever uses a value was made after it, and passes back before its turn "
            "comes. That is a topological order."
            if wrong else
            "Every gradient that was asked for is there, after one walk: each op was passed once."
        )  # fmt: skip
        number = self.start + 1 + len(self.moves)
        return Frame(self._link(number), "Done", (), words, "The gradients", rows, warns=bool(wrong))

    def _wrong(self, i: int, last: dict[int, np.ndarray]) -> list[tuple[str, Number]]:
        """The gradient that a faulty walk came to, beside the right one."""
        theirs = gradients(self.program, self.sides.theirs)[i]
        mine = last.get(i, np.zeros_like(theirs))
        return self._named(i, numbers(mine, theirs, exact_gradient(self.program, i, self.sides.exact[i])))


def _labelled(what: str, array: np.ndarray) -> list[str]:
    first, *others = lines(array)
    return [f"{what} {first}", *(f"{' ' * (len(what) + 1)}{line}" for line in others)]


def _inline(array: np.ndarray) -> str:
    """An array in one line: with all digits if it is one number."""
    array = np.asarray(array)
    if array.ndim == 0:
        return full(array[()])
    if array.size > FEW:
        return " ".join(lines(array))
    return f"[{', '.join(lines(array))}]" if array.ndim > 1 else lines(array)[0]
