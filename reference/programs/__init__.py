"""Programs: what engines compute, as data. What a training run is, as data. And where they come from: a generator.

Nothing here knows an engine.
"""

from reference.programs.program import (
    ARRAY,
    LEAF,
    NUMBER,
    NotAProgram,
    Operand,
    Program,
    Step,
    operand_names,
    parse,
    text,
)

__all__ = [
    "ARRAY",
    "LEAF",
    "NUMBER",
    "NotAProgram",
    "Operand",
    "Program",
    "Step",
    "operand_names",
    "parse",
    "text",
]
