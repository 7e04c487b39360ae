"""A corpus of programs with their verdicts, which a change of the harness must not change.

    python -m tests.reference.corpus             judge all, and print differences
    python -m tests.reference.corpus --renew     write the present answers

The corpus has 20,000 programs of five seeds, for each op and for any ops, and the smallest program that shows each
planted fault. All are judged for ndgrad, and those with a certain op for engines in which that op is wrong. An answer
is the result and, for each finding, its kind, part and place. Rounding depends on the processor: if the answer does,
too, the corpus has all answers that occurred when NumPy and PyTorch did not use AVX-512, or no vector instructions.
"""

from __future__ import annotations

import argparse
import copy
import gc
import lzma
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ndgrad.rules import RULES, Rule
from reference.engines.ndgrad import NdgradEngine
from reference.engines.references import NO_AUDIT
from reference.engines.torch import TorchEngine, one_thread
from reference.processes.workers import Workers
from reference.programs import parse
from reference.verdict import Verdict, judge

PROGRAMS, ANSWERS = (Path(__file__).with_name(f"corpus.{name}.txt.xz") for name in ("programs", "answers"))
NDGRAD = "ndgrad"
FOR_EACH_ENGINE = 200  # programs at most
_CHUNK = 250


class Entry(NamedTuple):
    """The answers for one engine and one program.

    Args:
        engine: `ndgrad`, or the name of a wrong engine.
        program: the index of the program in the corpus.
        answers: the answers on different processors.
    """

    engine: str
    program: int
    answers: tuple[str, ...]


# Engines that are wrong on purpose.


def _pullbacks(op: str, change: Callable[..., Any]) -> Rule:
    """Return an op's rule with each pullback changed by `change(gradient, position, g, y, operands, options)`."""
    right = RULES[op]

    def changed(position: int, pullback: Callable[..., Any]) -> Callable[..., Any]:
        def wrong(g: Any, y: Any, *operands: Any, **options: Any) -> Any:
            at = options.get("position", position)
            return change(pullback(g, y, *operands, **options), at, g, y, operands, options)

        return wrong

    rule = copy.copy(right)
    rule.pullbacks = tuple(p and changed(i, p) for i, p in enumerate(right.pullbacks))
    return rule


def _forward(op: str, change: Callable[[Any], Any]) -> Rule:
    right = RULES[op]

    def wrong(*operands: Any, **options: Any) -> Any:
        y = right.forward(*operands, **options)
        return (change(y[0]), y[1]) if right.residual else change(y)

    rule = copy.copy(right)
    rule.forward = wrong
    return rule


def _times(op: str, factor: float) -> Rule:
    return _pullbacks(op, lambda d, *_: d * factor)


def _plain(x: Any) -> Any:
    """Return the numbers without the graph, so that results computed from them have no slope."""
    return x.data if hasattr(x, "__apply_rule__") else x


def _last_wins(*arguments: Any) -> Any:
    """Write repeated places once in place of adding."""
    _, _, g, _, operands, options = arguments
    out = np.zeros(operands[0].shape, operands[0].dtype)
    out[options["index"]] = _plain(g)
    return out


# fmt: off
WRONG: Mapping[str, Callable[[], Rule]] = {
    # op: the fault                        its rule
    "add: 1e-9 too much":                  lambda: _times("add", 1 + 1e-9),
    "subtract: the sign of the second":    lambda: _pullbacks("subtract", lambda d, i, *_: -d if i else d),
    "multiply: the value of another":      lambda: _pullbacks("multiply", lambda d, i, g, y, xs, o: g * xs[i]),
    "divide: a square lost":               lambda: _pullbacks("divide", lambda d, i, g, y, xs, o: -g * xs[0] / xs[1] if i else d),
    "power: nothing towards the exponent": lambda: _pullbacks("power", lambda d, i, *_: d * (1 - i)),
    "abs: slope 1 at 0":                   lambda: _pullbacks("abs", lambda d, i, g, y, xs, o: np.where(np.equal(xs[0], 0), g, d)),
    "exp: 1e-7 too little":                lambda: _times("exp", 1 - 1e-7),
    "log1p: that of log":                  lambda: _pullbacks("log1p", lambda d, i, g, y, xs, o: g / xs[0]),
    "sqrt: no slope of the slope":         lambda: _pullbacks("sqrt", lambda d, i, g, y, xs, o: g * _plain(0.5 / y)),
    "tan: minus the square":               lambda: _pullbacks("tan", lambda d, i, g, y, xs, o: g * (1 - y * y)),
    "tanh: the square lost":               lambda: _pullbacks("tanh", lambda d, i, g, y, xs, o: g * (1 - y)),
    "tanh: the value, 1e-9 too much":      lambda: _forward("tanh", lambda y: y * (1 + 1e-9)),
    "sigmoid: no slope of the slope":      lambda: _pullbacks("sigmoid", lambda d, i, g, y, xs, o: g * _plain(y * (1 - y))),
    "relu: slope 1/2 at 0":                lambda: _pullbacks("relu", lambda d, i, g, y, xs, o: np.where(np.equal(xs[0], 0), g / 2, d)),
    "softplus: in single precision":       lambda: _forward("softplus", lambda y: np.asarray(y, np.float32).astype(y.dtype)),
    "maximum: ties go to the first":       lambda: _pullbacks("maximum", lambda d, i, g, y, xs, o: np.where(np.greater_equal(xs[0], xs[1]), g * (1 - i), g * i)),
    "clip: nothing at the bounds":         lambda: _pullbacks("clip", lambda d, i, g, y, xs, o: np.where(np.equal(xs[0], xs[1]) | np.equal(xs[0], xs[2]), 0.0, d)),
    "where: the branches exchanged":       lambda: _pullbacks("where", lambda d, i, g, y, xs, o: np.where(o["condition"], g * i, g * (1 - i))),
    "sum: counted twice":                  lambda: _times("sum", 2.0),
    "mean: one too few":                   lambda: _pullbacks("mean", lambda d, i, g, y, xs, o: d * (xs[0].size / max(xs[0].size - y.size, 1))),
    "prod: divided by 0":                  lambda: _pullbacks("prod", lambda d, i, g, y, xs, o: np.where(np.equal(xs[0], 0), np.nan, d)),
    "var: ddof forgotten":                 lambda: _pullbacks("var", lambda d, i, g, y, xs, o: d * (1 - o["ddof"] / max(xs[0].size, 1))),
    "std: NaN where there is no spread":   lambda: _pullbacks("std", lambda d, i, g, y, xs, o: np.where(np.equal(d, 0), np.nan, d)),
    "max: ties take all":                  lambda: _pullbacks("max", lambda d, i, g, y, xs, o: np.where(np.equal(d, 0), d, d * 2)),
    "logsumexp: the axis reversed":        lambda: _pullbacks("logsumexp", lambda d, i, *_: np.flip(d)),
    "softmax: a term lost":                lambda: _pullbacks("softmax", lambda d, i, g, y, xs, o: g * y),
    "cumsum: from the wrong end":          lambda: _pullbacks("cumsum", lambda d, i, *_: np.flip(d)),
    "transpose: not undone":               lambda: _pullbacks("transpose", lambda d, i, g, y, xs, o: np.transpose(g, o["axes"]) if np.transpose(g, o["axes"]).shape == d.shape else d),
    "getitem: the last one wins":          lambda: _pullbacks("getitem", _last_wins),
    "matmul: not transposed if square":    lambda: _pullbacks("matmul", lambda d, i, g, y, xs, o: d.mT if d.ndim > 1 and d.shape[-1] == d.shape[-2] else d),
}
# fmt: on


def _engine(name: str) -> NdgradEngine:
    if name == NDGRAD:
        return NdgradEngine()
    if name not in WRONG:
        raise LookupError(f"{name!r} is no engine of the corpus; the wrong rules are those of WRONG, in this file")
    return NdgradEngine({**RULES, name.partition(":")[0]: WRONG[name]()})


# Answers.


def answer(verdict: Verdict) -> str:
    """Return the result, and each finding's kind, part and place, as one line."""
    findings = [f"{f.kind} {f.part} {list(f.place)}".replace(", ", ",") for f in verdict.findings]
    return " | ".join([str(verdict.result), *findings])


def answers(engine: str, lines: Sequence[str]) -> list[str]:
    """Judge an engine on each program, and return the answers."""
    judged, reference = _engine(engine), TorchEngine()
    return [answer(judge(parse(line), judged, reference, scrutiny=NO_AUDIT)) for line in lines]


# The file.


def read() -> tuple[list[str], list[Entry]]:
    """Unpack the programs and the answers."""
    programs, answers = (lzma.decompress(packed.read_bytes()).decode().splitlines() for packed in (PROGRAMS, ANSWERS))
    entries = [line.split("\t") for line in answers]
    return programs, [Entry(engine, int(number), tuple(said)) for engine, number, *said in entries]


def write(entries: Sequence[Entry]) -> None:
    """Pack the answers."""
    lines = ["\t".join([e.engine, str(e.program), *e.answers]) for e in entries]
    ANSWERS.write_bytes(lzma.compress("\n".join([*lines, ""]).encode(), preset=9))


def judged(programs: Sequence[str], entries: Sequence[Entry], workers: int) -> Iterator[tuple[Entry, str]]:
    """Judge all entries again, and give each with its present answer."""
    chunks = list(_chunks(entries))
    lines = [[programs[e.program] for e in chunk] for chunk in chunks]
    with Workers(workers, _ready) as pool:
        for chunk, said in zip(chunks, pool.map(answers, [c[0].engine for c in chunks], lines), strict=True):
            yield from zip(chunk, said, strict=True)


def _chunks(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Split the entries into chunks of one engine each."""
    for engine in dict.fromkeys(e.engine for e in entries):
        own = [e for e in entries if e.engine == engine]
        yield from (own[i : i + _CHUNK] for i in range(0, len(own), _CHUNK))


def _ready() -> None:
    one_thread()
    gc.freeze()


def main() -> int:
    """Judge the corpus, and print differences."""
    parser = argparse.ArgumentParser(prog="python -m tests.reference.corpus", description=__doc__.partition("\n")[0])
    parser.add_argument("--renew", action="store_true", help="write the present answers")
    parser.add_argument("--also", action="store_true", help="add the present answers, as those of another processor")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    programs, entries = read()
    renewed: list[Entry] = []
    different = 0
    for entry, said in judged(programs, entries, options.workers):
        known = said in entry.answers
        different += not known
        if not known:
            print(f"{entry.engine}\n  was: {' or '.join(entry.answers)}\n  is:  {said}\n  {programs[entry.program]}")
        also = entry.answers if known or options.also else ()  # where one is known, the others are other processors'
        renewed.append(entry._replace(answers=tuple(dict.fromkeys([*also, said]))))
    if options.renew or options.also:
        write(renewed)
    print(f"{len(entries)} answers, {different} differ")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
