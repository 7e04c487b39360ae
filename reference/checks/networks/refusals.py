"""Checks that the library refuses what its docstrings say it refuses, with the documented error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reference.checks.networks.check import NetworkCheck
from reference.engines.training import Raised
from reference.ops.source import Source, pick
from reference.verdict import Finding, Kind

# fmt: off
# Lines that must be refused, each with its error. Fields in braces are drawn from CHOICES: some name what is called,
# others are invalid arguments.
CHOICES: Mapping[str, Sequence[str]] = {
    "Module":    ("Neuron(2", "Layer(2, 3", "MLP(2, [3, 1]"),
    "Loss":      ("mean_squared_error", "hinge"),
    "Adaptive":  ("Adam", "AdamW"),
    "Optimizer": ("SGD", "Adam", "AdamW", "RMSprop"),
    "count":     ("0", "-1", "2.0", "True"),
    "name":      ("'Tanh'", "''", "3"),
    "dtype":     ("'int64'", "bool", "complex"),
    "input":     ("np.ones(3)", "1.0", "[1.0]", "np.ones((2, 1))", "[[1.0, 2.0, 3.0]]"),
    "unlike":    ("np.ones(2), np.ones(3)", "np.ones((2, 1)), np.ones(2)", "[[1.0]], [[1.0], [1.0]]", "p[0], 1.0"),
    "sign":      ("0", "0.5", "-2", "2"),
    "label":     ("-1", "3", "7"),
    "labels":    ("[0, 1]", "[[0]]", "0", "[[0.5, 0.5]]", "[0.5]"),
    "nothing":   ("[]", "iter([])"),
    "negative":  ("-0.1", "np.nan", "np.inf", "'0.1'", "[0.1]"),
    "flag":      ("1", "'yes'", "None"),
    "betas":     ("(0.9, 1.0)", "(1.0, 0.9)", "(-0.1, 0.9)", "0.9", "(0.9,)"),
    "nesterov":  ("nesterov=True", "nesterov=True, momentum=0.0", "nesterov=True, momentum=0.9, dampening=0.1"),
    "other":     ("SGD(p, lr=0.1)", "AdamW(p)", "Adam([*p, Value(1.0)])"),
    "entry":     ("'0.step': 1", "'more': 1", "'lr': -1.0", "'betas': 0.9", "'0.exp_avg': [1.0]"),
}
REFUSED: Sequence[tuple[str, type[Exception]]] = (
    ("Neuron({count})",                                   ValueError),
    ("Layer({count}, 2)",                                 ValueError),
    ("Layer(2, {count})",                                 ValueError),
    ("MLP(2, [3, {count}])",                              ValueError),
    ("MLP(2, {nothing})",                                 ValueError),
    ("{Module}, {name})",                                 ValueError),
    ("{Module}, init={name})",                            ValueError),
    ("{Module}, dtype={dtype})",                          ValueError),
    ("{Module})({input})",                                ValueError),
    ("{Loss}({unlike})",                                  ValueError),
    ("{Loss}(np.ones(2), np.ones(2), reduction={name})",  ValueError),
    ("hinge(np.ones(2), [1, {sign}])",                    ValueError),
    ("cross_entropy(np.ones((2, 3)), [0, {label}])",      ValueError),
    ("cross_entropy(np.ones((1, 3)), {labels})",          ValueError),
    ("cross_entropy(np.ones((1, 3)), [True])",            TypeError),
    ("{Optimizer}(p, lr={negative})",                     ValueError),
    ("{Optimizer}(p, lr=0.1, weight_decay={negative})",   ValueError),
    ("{Optimizer}(p, lr=0.1, maximize={flag})",           ValueError),
    ("{Optimizer}({nothing}, lr=0.1)",                    ValueError),
    ("{Optimizer}(p[0], lr=0.1)",                         TypeError),
    ("{Optimizer}([p[0] * 2], lr=0.1)",                   ValueError),
    ("{Adaptive}(p, betas={betas})",                      ValueError),
    ("{Adaptive}(p, eps={negative})",                     ValueError),
    ("RMSprop(p, alpha={negative})",                      ValueError),
    ("SGD(p, lr=0.1, {nesterov})",                        ValueError),
    ("Adam(p).load_state_dict({other}.state_dict())",     ValueError),
    ("Adam(p).load_state_dict(Adam(p).state_dict() | {{entry}})", ValueError),
)
# fmt: on


def check_refusals(source: Source, check: NetworkCheck) -> None:
    """Check that each line is refused with its error."""
    check.run("p = [Value([1.0, 2.0])]")
    for template, expected in REFUSED:
        written = re.sub(r"\{(\w+)\}", lambda field: pick(source, CHOICES[field[1]]), template)
        says = f"was accepted, but must raise {expected.__name__}"
        try:
            check.run(written)
        except Raised as raised:
            if isinstance(raised.__cause__, expected):
                continue
            says = f"{raised}, but must raise {expected.__name__}"
            check.raised = check.raised or raised.place
        check.findings.append(Finding(Kind.RAISED, f"`{written}`", says))
