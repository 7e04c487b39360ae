"""Writes the documentation's page of ops in Markdown: `python -m reference.report.ops > docs/reference/ops.md`.

It is derived from the rules and the op table, and depends on no particular op.
"""

from __future__ import annotations

from collections.abc import Iterator

from ndgrad.rules import RULES
from reference.engines.torch import TorchEngine
from reference.ops import OPS, Op

HEAD = """\
# The ops

Each op is a function of `ndgrad` with this name, which programs and the tables of `verify` use, too. For plain arrays
it returns a plain array. An operator or a NumPy function that is applied to a Value is the same op.

| op | also written | kinks, ties, and limits of PyTorch |
|---|---|---|
"""


def page() -> str:
    """Write the page."""
    return HEAD + "".join(f"| `{name}` | {_spellings(name)} | {_remarks(op)} |\n" for name, op in OPS.items())


def _spellings(name: str) -> str:
    """Return an op's other spellings: as an operator, a method, a NumPy function."""
    rule = RULES[name]
    method = [f"`x.{name}()`"] if rule.method else []
    operator = [f"`{_OPERATORS.get(rule.operator, rule.operator)}`"] if rule.operator else []
    return ", ".join([*operator, *method, *dict.fromkeys(f"`np.{_numpys(f)}`" for f in rule.numpy)])


def _numpys(function: object) -> str:
    """Return NumPy's name of a function, or of a ufunc's method with the ufunc."""
    owner = getattr(function, "__self__", None)
    name: str = getattr(function, "__name__", "")
    return f"{owner.__name__}.{name}" if hasattr(owner, "reduce") else name  # type: ignore[union-attr] # a ufunc


def _remarks(op: Op) -> str:
    return "; ".join(_sentences(op))


def _sentences(op: Op) -> Iterator[str]:
    if op.kink:
        yield op.kink.convention + ("" if op.kink.settled else " (releases of PyTorch differ: any subgradient will do)")
    if op.name in TorchEngine.known:
        yield TorchEngine.known[op.name]


_OPERATORS = {
    "add": "a + b", "sub": "a - b", "mul": "a * b", "truediv": "a / b", "pow": "a ** b", "matmul": "a @ b",
    "neg": "-x", "pos": "+x", "abs": "abs(x)", "getitem": "x[...]",
}  # fmt: skip


if __name__ == "__main__":
    print(page(), end="")
