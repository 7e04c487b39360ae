"""The expressions that the page steps through."""

from __future__ import annotations

from dataclasses import dataclass

from reference.programs import Program, parse


@dataclass(frozen=True)
class Lesson:
    """An expression to step through.

    Args:
        name: its name in links.
        title: its title for readers.
        words: what to look at.
        program: the program.
        fault: the name of a fault that is planted in ndgrad meanwhile; empty for none.
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
           "A neuron, tanh(x1·w1 + x2·w2 + b): five ops, and five numbers with a gradient.",
           parse("x1=f8(2.0); w1=f8(-3.0); x2=f8(0.0); w2=f8(1.0); b=f8(6.8813735870195432); a=multiply(x1,w1); "
                 "c=multiply(x2,w2); d=add(a,c); e=add(d,b); f=tanh(e); back(f,f8(1.0))")),
    Lesson("reused", "a value used twice",
           "a is used twice, in its square and beside it. The contributions of both uses are added up. Every number can be checked by hand.",
           parse(_REUSED)),
    Lesson("disorder", "the same in a wrong order",
           "The same expression, but depth first: a propagates its gradient as soon as the first contribution arrives. "
           "This is a bug of a real engine, planted in ndgrad for this walk.",
           parse(_REUSED), "b016-depth-first"),
    Lesson("broadcast", "a broadcast",
           "x has one column and y has three numbers, so each number of x is used three times: three contributions are added up.",
           parse("x=f8([[1.0],[2.0]]); y=f8([3.0,4.0,5.0]); a=multiply(x,y); b=sum(a,axis=None,keepdims=False); back(b,f8(1.0))")),
    Lesson("layer", "a layer of an MLP",
           "Two examples of three numbers go through a layer of two neurons. The cotangent has four different numbers: "
           "with ones alone, many mistakes would not show.",
           parse("X=f8([[1.0,-2.0,0.5],[0.25,1.0,-1.0]]); W=f8([[0.5,-0.25],[0.25,1.0],[-1.0,0.75]]); b=f8([0.125,-0.5]); "
                 "a=matmul(X,W); c=add(a,b); d=tanh(c); back(d,f8([[1.0,-0.5],[2.0,0.25]]))")),
)
# fmt: on
