"""Checks initial weights and biases: the order of their draws from a Generator, and torch.nn.init's distributions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from reference.checks.networks.check import NetworkCheck
from reference.ops.source import Source, pick
from reference.verdict import Finding, Kind

# The probability that a correct distribution is called wrong: so small that no campaign ever sees it.
FALSE_ALARM = 1e-9
_SIZES = (
    (50, 200),
    (200, 50),
    (100, 100),
    (25, 400),
    (400, 25),
)  # 10,000 numbers each

Draw = Callable[[np.random.Generator, float, tuple[int, ...]], np.ndarray]


def _uniform(rng: np.random.Generator, bound: float, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(-bound, bound, shape)


def _normal(rng: np.random.Generator, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(0.0, deviation, shape)


# fmt: off
# Each scheme as torch.nn.init documents it: the distribution, and its bound or standard deviation.
SCHEMES: Mapping[str, tuple[Draw, Callable[[int, int], float]]] = {
    "uniform":         (_uniform, lambda fan_in, fan_out: 1.0),  # noqa: ARG005
    "xavier_uniform":  (_uniform, lambda fan_in, fan_out: math.sqrt(6 / (fan_in + fan_out))),
    "xavier_normal":   (_normal,  lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out))),
    "kaiming_uniform": (_uniform, lambda fan_in, fan_out: math.sqrt(6 / fan_in)),  # noqa: ARG005
    "kaiming_normal":  (_normal,  lambda fan_in, fan_out: math.sqrt(2 / fan_in)),  # noqa: ARG005
}
# fmt: on


def draw_weights(rng: np.random.Generator, init: str, nin: int, nout: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the initial weight of the next layer, row by row, and then its bias, which is 0 in most schemes."""
    draw, size = SCHEMES[init]
    weight = draw(rng, size(nin, nout), (nin, nout))
    return weight, _uniform(rng, 1.0, (nout,)) if init == "uniform" else np.zeros(nout)


def check_weights(source: Source, check: NetworkCheck) -> None:
    """Check that weights have the reference's distribution, by the Kolmogorov-Smirnov test for two samples."""
    init, (nin, nout), seed = pick(source, list(SCHEMES)), pick(source, _SIZES), source.integer(0, 10**6)
    check.run(f"weight = Layer({nin}, {nout}, init={init!r}, rng={seed}).weight")
    mine = np.sort(check.namespace["weight"].data, axis=None)
    theirs = check.reference.weights(init, nin, nout, seed)
    check.numbers += mine.size
    check.findings += differ(mine, np.sort(theirs, axis=None))


def differ(a: np.ndarray, b: np.ndarray) -> Iterator[Finding]:
    """Compare two sorted samples of equal size n, and report a difference of their distributions.

    For samples of one distribution, the largest difference of their empirical distribution functions exceeds d with a
    probability of at most 2 exp(-n d²), for n >= 458 (Wei and Dudley 2012).
    """
    allowed = math.sqrt(math.log(2 / FALSE_ALARM) / a.size)
    below = np.arange(1, a.size + 1) - np.searchsorted(b, a, side="right")
    worst = int(np.argmax(np.abs(below)))
    if abs(below[worst]) / a.size > allowed:
        part = f"weight number {worst + 1} of {a.size:,}, by size,"
        yield Finding(Kind.FORWARD, part, got=a[worst], wanted=b[worst], ulp=math.inf)
