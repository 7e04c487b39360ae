"""The documentation's page of ops, in Markdown: `python -m reference.report.ops > docs/reference/ops.md`.

It walks both tables, and knows no op.
"""

from __future__ import annotations

from collections.abc import Iterator

from ndgrad.rules import RULES
from reference.engines.torch import TorchEngine
from reference.ops import OPS, Op

HEAD = """\
# The ops

Each is a function of `ndgrad` under this name, and goes by it in programs and in the tables that `verify` prints. Given
plain arrays, it gives a plain array. An operator or a function of NumPy, given a Value, is the same op.

| op | also written | kinks, ties, and where PyTorch is poor |
|---|---|---|
"""


def page() -> str:
    """Write the page."""
    return HEAD + "".join(f"| `{name}` | {_spellings(name)} | {_said(op)} |\n" for name, op in OPS.items())


def _spellings(name: str) -> str:
    """How else an op is written: as an operator, as a method, as NumPy's function."""
    rule = RULES[name]
    method = [f"`x.{name}()`"] if rule.method else []
    operator = [f"`{_OPERATORS.get(rule.operator, rule.operator)}`"] if rule.operator else []
    return ", ".join([*operator, *method, *dict.fromkeys(f"`np.{_numpys(f)}`" for f in rule.numpy)])


def _numpys(function: object) -> str:
    """NumPy's name of a function; of a ufunc's method, both of theirs."""
    owner = getattr(function, "__self__", None)
    name: str = getattr(function, "__name__", "")
    return f"{owner.__name__}.{name}" if hasattr(owner, "reduce") else name  # type: ignore[union-attr] # a ufunc


def _said(op: Op) -> str:
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
