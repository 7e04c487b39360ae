"""Steps of a program as programs of their own."""

from __future__ import annotations

from reference.engines.torch import TorchEngine
from reference.programs import Program, parse
from reference.verdict.steps import steps_alone

LINE = "x=f8([1.0,2.0]); y=f8([3.0,0.5]); a=multiply(x,y); b=tanh(a); c=exp(b); d=add(c,x); back(d,f8([2.0,-1.0]))"


def test_steps_alone_have_their_operands() -> None:
    """Each step by itself has the operands that it had in the program, and gives the same value."""
    program: Program = parse(LINE)
    outcome = TorchEngine().run(program)
    for step, alone in steps_alone(program, outcome):
        assert (TorchEngine().run(alone).values[0] == outcome.values[step]).all()
