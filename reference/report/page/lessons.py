"""The expressions that the page steps through."""

from __future__ import annotations

from dataclasses import dataclass

from reference.programs import Program, parse


@dataclass(frozen=True)
class Lesson:
    """An expression to be stepped through.

    Args:
        name: what links call it.
        title: what readers do.
        words: what is to be seen.
        program: what is walked.
        fault: the name of the fault that is planted in ndgrad while it is walked; empty for none.
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
           "A neuron, tanh(x1·w1 + x2·w2 + b): five ops, and five numbers whose gradient is wanted.",
           parse("x1=f8(2.0); w1=f8(-3.0); x2=f8(0.0); w2=f8(1.0); b=f8(6.8813735870195432); a=multiply(x1,w1); "
                 "c=multiply(x2,w2); d=add(a,c); e=add(d,b); f=tanh(e); back(f,f8(1.0))")),
    Lesson("reused", "a value used twice",
           "a is used twice, in its square and beside it. What comes back along both ways is added up. Every number can be redone by hand.",
           parse(_REUSED)),
    Lesson("disorder", "the same in a wrong order",
           "The same expression, but depth first: a passes on what it has as soon as it has something. "
           "This is a bug of a real engine, planted in ndgrad for this walk.",
           parse(_REUSED), "b016-depth-first"),
    Lesson("broadcast", "a broadcast",
           "x has one column and y has three numbers, so each number of x is used three times: three contributions are added up.",
           parse("x=f8([[1.0],[2.0]]); y=f8([3.0,4.0,5.0]); a=multiply(x,y); b=sum(a,axis=None,keepdims=False); back(b,f8(1.0))")),
    Lesson("layer", "a layer of an MLP",
           "Two examples of three numbers go through a layer of two neurons. What arrives at the end is four unlike numbers: "
           "with ones alone, many a mistake would not show.",
           parse("X=f8([[1.0,-2.0,0.5],[0.25,1.0,-1.0]]); W=f8([[0.5,-0.25],[0.25,1.0],[-1.0,0.75]]); b=f8([0.125,-0.5]); "
                 "a=matmul(X,W); c=add(a,b); d=tanh(c); back(d,f8([[1.0,-0.5],[2.0,0.25]]))")),
)
# fmt: on
