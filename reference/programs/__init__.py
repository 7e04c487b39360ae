"""Programs and training tasks as data, and the generator of programs. Nothing here knows an engine."""

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
