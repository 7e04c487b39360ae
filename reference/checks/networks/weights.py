"""What weights and biases begin as: drawn in which order from a Generator, and spread as torch.nn.init's are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from reference.checks.networks.check import NetworkCheck
from reference.ops.source import Source, pick
from reference.verdict import Finding, Kind

# Of how many right checks of a distribution one is called wrong: so few that a campaign never meets it.
FALSE_ALARM = 1e-9
_SIZES = ((50, 200), (200, 50), (100, 100), (25, 400), (400, 25))  # 10,000 numbers each, fan_in and fan_out apart

Draw = Callable[[np.random.Generator, float, tuple[int, ...]], np.ndarray]


def _uniform(rng: np.random.Generator, bound: float, shape: tuple[int, ...]) -> np.ndarray:
    return rng.uniform(-bound, bound, shape)


def _normal(rng: np.random.Generator, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
    return rng.normal(0.0, deviation, shape)


# fmt: off
# What torch.nn.init's documentation says of each scheme: the distribution, and its bound or standard deviation.
SCHEMES: Mapping[str, tuple[Draw, Callable[[int, int], float]]] = {
    "uniform":         (_uniform, lambda fan_in, fan_out: 1.0),  # noqa: ARG005
    "xavier_uniform":  (_uniform, lambda fan_in, fan_out: math.sqrt(6 / (fan_in + fan_out))),
    "xavier_normal":   (_normal,  lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out))),
    "kaiming_uniform": (_uniform, lambda fan_in, fan_out: math.sqrt(6 / fan_in)),  # noqa: ARG005
    "kaiming_normal":  (_normal,  lambda fan_in, fan_out: math.sqrt(2 / fan_in)),  # noqa: ARG005
}
# fmt: on


def drawn(rng: np.random.Generator, init: str, nin: int, nout: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw what the next layer must begin as: the weight, row by row, and then the bias, which mostly is 0."""
    draw, size = SCHEMES[init]
    weight = draw(rng, size(nin, nout), (nin, nout))
    return weight, _uniform(rng, 1.0, (nout,)) if init == "uniform" else np.zeros(nout)


def check_weights(source: Source, check: NetworkCheck) -> None:
    """Are weights spread as the reference's are? Kolmogorov and Smirnov's test says so, which knows no distribution."""
    init, (nin, nout), seed = pick(source, list(SCHEMES)), pick(source, _SIZES), source.integer(0, 10**6)
    check.run(f"weight = Layer({nin}, {nout}, init={init!r}, rng={seed}).weight")
    mine = np.sort(check.made["weight"].data, axis=None)
    theirs = check.reference.weights(init, nin, nout, seed)
    check.numbers += mine.size
    check.findings += differ(mine, np.sort(theirs, axis=None))


def differ(a: np.ndarray, b: np.ndarray) -> Iterator[Finding]:
    """Whether two sorted samples, as large as each other, come from one distribution.

    The largest difference of their distribution functions exceeds d with a probability of at most 2 exp(-n d²), from
    n = 458 on (Wei and Dudley 2012).
    """
    allowed = math.sqrt(math.log(2 / FALSE_ALARM) / a.size)
    below = np.arange(1, a.size + 1) - np.searchsorted(b, a, side="right")
    worst = int(np.argmax(np.abs(below)))
    if abs(below[worst]) / a.size > allowed:
        part = f"weight number {worst + 1} of {a.size:,}, by size,"
        yield Finding(Kind.FORWARD, part, got=a[worst], wanted=b[worst], ulp=math.inf)
