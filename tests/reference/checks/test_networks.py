"""Checks of the library: they find nothing wrong in it, and they find each planted fault."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import numpy as np
import pytest

from ndgrad.library import INITIALIZERS, Module, initial
from ndgrad.optim import SGD, hyperparameters
from reference.checks.networks import NetworkCheck, run_network_check, start_check
from reference.checks.networks.modules import check_module
from reference.checks.networks.refusals import CHOICES, REFUSED, check_refusals
from reference.checks.networks.weights import FALSE_ALARM, SCHEMES, check_weights, differ, draw_weights
from reference.engines import TapeEngine
from reference.mutation import BY_NAME
from reference.mutation.planting import Plant, entry, function, method
from reference.ops.source import Seeded
from reference.verdict import Kind
from tests.reference.both import BOTH


def checked(number: int, seed: str = "tests") -> NetworkCheck:
    """Check `number` of a seed."""
    return run_network_check(Seeded(seed, number), *BOTH)


@pytest.mark.parametrize("number", range(60))
def test_the_library_is_right(number: int) -> None:
    """Drawn checks find nothing wrong."""
    assert not checked(number).findings


def test_a_source_draws_the_same_check_again() -> None:
    """The same choices give the same lines."""
    assert [str(checked(i)) for i in range(20)] == [str(checked(i)) for i in range(20)]
    assert len({str(checked(i)) for i in range(20)}) > 15


@pytest.mark.parametrize("number", range(10))
def test_lines_are_python_that_runs(number: int) -> None:
    """The lines of a check are a program that builds the same modules and parameters again."""
    check = start_check(*BOTH)
    check_module(Seeded("lines", number), check)
    again: dict[str, Any] = {}
    exec(str(check), again)  # noqa: S102 - the test is that it runs
    modules = [name for name, item in check.namespace.items() if isinstance(item, Module)]
    assert modules
    assert [_parameters(again[name]) for name in modules] == [_parameters(check.namespace[name]) for name in modules]


def _parameters(module: Module) -> list[Any]:
    return [(name, p.shape, p.dtype, p.requires_grad) for name, p in module.named_parameters().items()]


def test_parameters_stand_in_every_kind_of_place() -> None:
    """Drawn modules hold lists, tuples, dicts, modules, shared parts, themselves, and parts without parameters."""
    checks = [str(checked(i)) for i in range(200)]
    for sign in ("list([", "tuple([", "= {", "Module()", ".itself = ", "None", "Value(1.5) * 2", "requires_grad=False"):
        assert any(sign in lines for lines in checks)
    assert any(re.search(r"(\b\w+\d), .*\b\1\b", lines) for lines in checks)


def test_every_initializer_is_drawn() -> None:
    """The schemes are exactly the library's initializers, and all of them are drawn."""
    assert set(SCHEMES) == set(INITIALIZERS)
    checks = "".join(str(checked(i)) for i in range(200))
    assert all(f"init={init!r}" in checks for init in SCHEMES)


def test_an_engine_without_a_library_is_refused() -> None:
    """An engine or a reference without a library is refused by name."""
    ndgrad, torch = BOTH
    with pytest.raises(ValueError, match="Bare 1 has no library"):
        start_check(TapeEngine("Bare 1", {}), torch)
    with pytest.raises(ValueError, match=r"ndgrad .* has no library"):
        start_check(ndgrad, type("Mute", (), {"name": "ndgrad 0"})())


# Distributions.


@pytest.mark.parametrize("init", SCHEMES)
def test_an_initializer_has_pytorchs_distribution(init: str) -> None:
    """Ten thousand weights of each scheme have the distribution of torch.nn.init's."""
    for number in range(40):
        check = start_check(*BOTH)
        check_weights(Seeded(init, number), check)
        assert check.numbers == 10_000
        assert not check.findings


def test_a_scale_that_is_off_by_a_fifth_is_found() -> None:
    """10,000 numbers tell a normal distribution from a wider, a shifted, and a uniform one of equal deviation."""
    rng = np.random.default_rng(0)
    normal, other = (np.sort(rng.normal(size=10_000)) for _ in range(2))
    assert not list(differ(normal, other))
    assert list(differ(normal, other * 1.2))
    assert list(differ(normal, np.sort(rng.uniform(-(3**0.5), 3**0.5, 10_000))))
    assert list(differ(normal, other + 0.15))


def test_false_alarms_are_as_rare_as_promised() -> None:
    """Two thousand pairs of samples from one distribution never exceed the bound, which one in 1e9 may exceed."""
    assert FALSE_ALARM == 1e-9
    rng = np.random.default_rng(1)
    pairs = np.sort(rng.uniform(size=(2_000, 2, 1_000)))
    assert not any(list(differ(a, b)) for a, b in pairs)


def test_draws_are_in_order() -> None:
    """The weight is drawn first, row by row, and then the bias, from the same Generator."""
    rng = np.random.default_rng(3)
    weight, bias = draw_weights(np.random.default_rng(3), "uniform", 2, 3)
    assert weight.tolist() == [[rng.uniform(-1, 1) for _ in range(3)] for _ in range(2)]
    assert bias.tolist() == [rng.uniform(-1, 1) for _ in range(3)]


# Refusals.

LINES = [
    (re.sub(r"\{(\w+)\}", lambda field: filled[field[1]], template), expected)  # noqa: B023 - called at once
    for template, expected in REFUSED
    for fields in [re.findall(r"\{(\w+)\}", template)]
    for filled in (dict(zip(fields, choice, strict=True)) for choice in product(*(CHOICES[name] for name in fields)))
]


def test_every_refusal_is_one() -> None:
    """Each line, with any choices filled in, raises the error of its row."""
    assert len(LINES) > 150
    for line, expected in LINES:
        check = start_check(*BOTH)
        check.run("p = [Value([1.0, 2.0])]")
        with pytest.raises(Exception, match="raised") as raised:
            check.run(line)
        assert isinstance(raised.value.__cause__, expected), line


def test_a_wrongly_accepted_line_is_reported() -> None:
    """A line that is wrongly accepted is reported with the error it must raise."""
    with function(initial._count, lambda right: lambda name, n: int(n))():
        check = start_check(*BOTH)
        check_refusals(Seeded(4), check)
    assert {finding.kind for finding in check.findings} == {Kind.RAISED}
    assert any(finding.says == "was accepted, but must raise ValueError" for finding in check.findings)
    assert any(finding.part.startswith("`Layer(") for finding in check.findings)


# Faults, wrong on purpose. The checks that find them are written without knowledge of them.

# fmt: off
FAULTS: dict[str, Plant] = {
    "fan_in and fan_out are exchanged":
        entry(INITIALIZERS, "kaiming_normal", lambda rng, nin, nout: rng.normal(0, (2 / nout) ** 0.5, (nin, nout))),
    "uniform weights are above 0":
        BY_NAME["b224-mean"].plant,
    "the variance is taken for the deviation":
        BY_NAME["b224-variance"].plant,
    "a scale is off by 1e-12":
        function(initial._normal, lambda right: lambda rng, nin, nout, std: right(rng, nin, nout, std * (1 + 1e-12))),
    "the bias is drawn first":
        BY_NAME["b226-bias-first"].plant,
    "each layer begins with the seed anew":
        BY_NAME["init-alike"].plant,
    "dtype has no effect":
        BY_NAME["init-double"].plant,
    "tuples are not searched":
        BY_NAME["parameters-tuples-lost"].plant,
    "dicts are not searched":
        BY_NAME["parameters-dicts-lost"].plant,
    "what is shared is listed twice":
        BY_NAME["parameters-tied-twice"].plant,
    "frozen parameters are left out":
        BY_NAME["parameters-frozen-lost"].plant,
    "zero_grad reaches the first alone":
        BY_NAME["b222-module"].plant,
    "parameters take the file's dtype":
        BY_NAME["loaded-as-saved"].plant,
    "loading goes unnoticed":
        BY_NAME["loaded-unnoticed"].plant,
    "unlike shapes are broadcast":
        BY_NAME["loss-broadcast"].plant,
    "the slope at the margin is a half":
        BY_NAME["hinge-at-the-margin"].plant,
    "any rate is accepted":
        function(hyperparameters.from_0, lambda right: hyperparameters.number),
}
# fmt: on


@pytest.mark.parametrize("fault", FAULTS)
def test_drawn_checks_find_a_fault(fault: str) -> None:
    """A hundred checks are enough to find each of these faults."""
    with FAULTS[fault]():
        assert any(checked(i, "faults").findings for i in range(100))


def test_an_error_is_reported_with_its_line() -> None:
    """A line that wrongly raises is reported with its error."""

    def refusing(*args: Any, **options: Any) -> None:
        raise ValueError("no")

    with function(initial.sample_parameters, lambda right: refusing)():
        findings = [
            finding for i in range(20) for finding in checked(i).findings if finding.says == "raised ValueError: no"
        ]
    assert findings
    assert {finding.kind for finding in findings} == {Kind.RAISED}
    assert re.fullmatch(r"`\w+ = (Layer|Neuron|MLP)\(.*\)(\.weight)?`", findings[0].part)


# The lines of a failure.


def wrong_method(name: str, change: Any, kind: type = Module) -> NetworkCheck:
    """Plant a wrong method, and return the first check that finds it."""
    with method(kind, name, change)():
        return next(check for check in map(checked, range(100)) if check.findings)


def raising(right: Any) -> Any:
    """Return a method that raises."""

    def wrong(*args: Any, **options: Any) -> Any:
        raise TypeError("boom")

    return wrong


@pytest.mark.parametrize("name", ["named_parameters", "parameters", "zero_grad", "save", "load"])
def test_the_call_that_raises_is_the_last_line(name: str) -> None:
    """The call with its arguments is the last line, is named by the finding, and the line that raised is known."""
    check = wrong_method(name, raising)
    (finding,) = check.findings
    assert re.fullmatch(rf"\w+ = \w+\.{name}\(.*\)|\w+\.{name}\(.*\)", check.lines[-1])
    assert (finding.part, finding.says) == (f"`{check.lines[-1]}`", "raised TypeError: boom")
    assert check.raised.endswith('raise TypeError("boom")')


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("zero_grad", lambda self: None),
        ("load", lambda self, path: None),
        ("parameters", lambda self: []),
    ],
)
def test_the_call_that_does_nothing_is_among_the_lines(name: str, wrong: Any) -> None:
    """A wrong result has the call it comes from among its lines, with the arguments."""
    check = wrong_method(name, lambda right: wrong)
    assert any(re.search(rf"\.{name}\(", line) for line in check.lines)


def test_the_first_error_of_refused_lines_has_its_place() -> None:
    """A line that is refused with another error than documented shows where that was raised."""
    check = start_check(*BOTH)
    with method(SGD, "__init__", raising)():
        check_refusals(Seeded("tests", 0), check)
    assert check.findings
    assert check.raised.endswith('raise TypeError("boom")')
