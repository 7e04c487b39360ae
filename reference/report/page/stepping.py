"""The second panel: expressions forward and backward, frame by frame, with numbers from three sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from reference.mutation import FAULTS
from reference.mutation.planting import UNCHANGED
from reference.programs import LEAF
from reference.report.page.diagram import Box, Line, draw, look, title
from reference.report.page.lessons import LESSONS, Lesson
from reference.report.page.numbers import FEW, full, lines
from reference.report.page.sides import Number, exact_gradient, gradients, numbers, three_sides
from reference.report.page.walking import Arrival, arrivals, rule, walk


@dataclass(frozen=True)
class Frame:
    """One step of a walk, in words and numbers.

    Args:
        link: its address in the page.
        heading: what happens.
        facts: descriptions and numbers, line by line.
        words: a note, which may be empty.
        caption: the caption of the table.
        rows: names and numbers from three sides; empty if nothing is compared.
        lit: the ids of highlighted boxes and edges.
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


_ONE = (
    "The gradient of a number says how much the result changes if that number changes a little. "
    "{} is the result itself, so it is 1."
)
_SEEDED = "This is the cotangent of {}: the slope of a later loss along each of its numbers."
_MIXED = (
    "This op mixes numbers. A number of {} that enters several numbers of {} gets a sum: the gradient of each of these "
    "times its local derivative. The rule computes all of it at once."
)
_DONE = "Every gradient is complete after one walk, in which each op was visited once."
_TOO_LATE = (
    "A contribution is lost if its value has already propagated its gradient. This cannot happen if values are visited "
    "in the reverse of the order in which they were made: every use of a value was made after it, and so is visited "
    "before it. That is a topological order."
)


def walks(lessons: Sequence[Lesson] = LESSONS) -> list[Walk]:
    """Make the walk of each lesson in ndgrad."""
    return [_Walker(lesson).walk() for lesson in lessons]


class _Walker:
    """Makes the walk of an expression."""

    def __init__(self, lesson: Lesson) -> None:
        plants = {fault.name: fault.plant for fault in FAULTS}
        self.lesson = lesson
        self.program = lesson.program
        self.names = self.program.names
        self.first = len(self.program.operands)
        self.cotangent = np.asarray(self.program.cotangent)
        self.start = len(self.program.steps) + 1  # the frame at which the backward pass starts
        self.sides = three_sides(self.program)
        self.arrivals = arrivals(self.program, walk(self.program, plants.get(lesson.fault, UNCHANGED)))

    def walk(self) -> Walk:
        """Return the picture and its frames."""
        words = f"The graph of {self.lesson.title}: {'; '.join(title(self.program, i) for i in range(len(self.names)))}"
        picture = draw(f"graph-{self.lesson.name}", self.program, self._boxes(), words)
        frames = [self._before(), *self._forward(), self._seed(), *self._backward(), self._end()]
        return Walk(self.lesson, picture, frames)

    def _value(self, i: int) -> np.ndarray:
        return np.asarray(self.program.operands[i].data if i < self.first else self.sides.mine.values[i - self.first])

    def _reached(self, i: int) -> int:
        """Return the first frame in which a value exists."""
        return max(0, i - self.first + 1)

    # The picture.

    def _boxes(self) -> list[Box]:
        return [
            Box(title(self.program, i), look(self.program, i), [*self._rows(i)], self._reached(i))
            for i in range(len(self.names))
        ]

    def _rows(self, i: int) -> Iterator[list[Line]]:
        """Yield the rows of a box: its value, and its gradient, which changes from frame to frame."""
        yield [Line(_labelled("value", self._value(i)), "value", self._reached(i))]
        versions = [(self.start, self.cotangent)] if i == self.program.result else []
        versions += [(k, arrival.after) for k, arrival in enumerate(self.arrivals, self.start + 1) if arrival.to == i]
        ends = [*(since for since, _ in versions[1:]), None]
        if versions:
            both = zip(versions, ends, strict=True)
            yield [Line(_labelled("grad", total), "grad", since, until) for (since, total), until in both]

    # The frames.

    def _link(self, number: int) -> str:
        return f"step/{self.lesson.name}/{number}"

    def _lit(self, box: int, *edges: tuple[int, int]) -> list[str]:
        name = f"graph-{self.lesson.name}"
        return [f"{name}-box-{box}", *(f"{name}-edge-{step}-{position}" for step, position in edges)]

    def _before(self) -> Frame:
        words = "Blue boxes with square corners are leaves. Forward, each op computes its value from earlier ones."
        return Frame(self._link(0), "Before the first step", words=words)

    def _forward(self) -> Iterator[Frame]:
        for k, step in enumerate(self.program.steps):
            i = self.first + k
            edges = [(k, position) for position in range(len(step.inputs))]
            facts = [(self.names[j], _inline(self._value(j))) for j in dict.fromkeys(step.inputs)]
            yield Frame(
                self._link(k + 1),
                f"Forward: {title(self.program, i)}",
                [*facts, (self.names[i], _inline(self._value(i)))],
                caption=f"The value of {self.names[i]}",
                rows=self._with_names(i, self.sides.value(i)),
                lit=self._lit(i, *edges),
            )

    def _with_names(self, i: int, rows: Sequence[Number]) -> list[tuple[str, Number]]:
        return [(f"{self.names[i]}{row.place}", row) for row in rows]

    def _seed(self) -> Frame:
        name = self.names[self.program.result]
        words = (_ONE if np.array_equal(self.cotangent, 1) else _SEEDED).format(name)
        facts = [(f"gradient of {name}", _inline(self.cotangent))]
        return Frame(self._link(self.start), "Backward: the start", facts, words, lit=self._lit(self.program.result))

    def _backward(self) -> Iterator[Frame]:
        for number, arrival in enumerate(self.arrivals, self.start + 1):
            of, to = self.names[arrival.of], self.names[arrival.to]
            whole = arrival.number == arrival.uses and not self.lesson.fault
            yield Frame(
                self._link(number),
                f"Backward: from {of} to {to}",
                [*self._facts(arrival)],
                self._note(arrival),
                f"The gradient of {to}",
                self._complete(arrival.to) if whole else (),
                self._lit(arrival.to, (arrival.move.step, arrival.move.position)) + self._lit(arrival.of),
                warns=arrival.early or arrival.late,
            )

    def _facts(self, arrival: Arrival) -> Iterator[tuple[str, str]]:
        """Yield the chain rule in numbers, line by line."""
        move, of, to = arrival.move, self.names[arrival.of], self.names[arrival.to]
        yield f"gradient of {of}", _inline(move.arrives)
        uses = 1
        if move.local is not None:
            yield f"× local derivative of {title(self.program, arrival.of)} with respect to {to}", _inline(move.local)
            uses = move.local.size // max(1, move.gives.size)
        yield f"= contribution to {to}{f', summed over {uses} uses each' if uses > 1 else ''}", _inline(move.gives)
        if arrival.before is not None and not arrival.late:
            added = f"{_inline(arrival.before)} + {_inline(move.gives)} = {_inline(arrival.after)}"
            yield f"gradient of {to}, added up", added
        step = self.program.steps[move.step]
        vectors = any(self._value(i).ndim == 1 for i in step.inputs)
        names = [of, *(self.names[i] for i in step.inputs)]
        yield "by this rule of ndgrad", rule(step.op, move.position, names, vectors=vectors)

    def _note(self, arrival: Arrival) -> str:
        of, to = self.names[arrival.of], self.names[arrival.to]
        if arrival.late:
            return f"Too late: {to} has already propagated its gradient, so this contribution is lost."
        if arrival.early:
            return f"Too early: {of} has {arrival.had} of its {arrival.due} contributions, so it propagates too little."
        if arrival.number < arrival.uses:
            left = arrival.uses - arrival.number
            return f"{to} is used {arrival.uses} times: it waits for {left} more."
        if arrival.move.local is None:
            return _MIXED.format(to, of)
        return ""

    def _complete(self, i: int) -> list[tuple[str, Number]]:
        return self._with_names(i, self.sides.gradient(i))

    def _end(self) -> Frame:
        leaves = [i for i in range(self.first) if self.program.operands[i].kind == LEAF]
        last = {arrival.to: arrival.after for arrival in self.arrivals}
        rows = [row for i in leaves for row in (self._wrong(i, last) if self.lesson.fault else self._complete(i))]
        wrong = self.lesson.fault and any(row.ulp != "0" for _, row in rows)
        words = _TOO_LATE if wrong else _DONE
        number = self.start + 1 + len(self.arrivals)
        return Frame(self._link(number), "Done", (), words, "The gradients", rows, warns=bool(wrong))

    def _wrong(self, i: int, last: dict[int, np.ndarray]) -> list[tuple[str, Number]]:
        """Return the gradient of a faulty walk beside the right one."""
        theirs = gradients(self.program, self.sides.theirs)[i]
        mine = last.get(i, np.zeros_like(theirs))
        return self._with_names(i, numbers(mine, theirs, exact_gradient(self.program, i, self.sides.exact[i])))


def _labelled(what: str, array: np.ndarray) -> list[str]:
    first, *others = lines(array)
    return [f"{what} {first}", *(f"{' ' * (len(what) + 1)}{line}" for line in others)]


def _inline(array: np.ndarray) -> str:
    """Format an array in one line, with all digits if it is a single number."""
    array = np.asarray(array)
    if array.ndim == 0:
        return full(array[()])
    if array.size > FEW:
        return " ".join(lines(array))
    return f"[{', '.join(lines(array))}]" if array.ndim > 1 else lines(array)[0]
