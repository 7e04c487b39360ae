"""The words of the report: what was measured, and why something was not."""

from __future__ import annotations

import json

import numpy as np

from benchmarks import report
from benchmarks.cells import Cell, Result, Weight, Weights

RESULT = Result(
    "chain-4", 1,
    [Cell("ndgrad", [4e-4, 5e-4], [0.0, 2.0]), Cell("torch", [1e-3, 1.25e-3], [3.0, 3.0]), Cell("jax", reason="absent"),
     Cell("mygrad", reason="WRONG NUMBERS: array 0 is 5 off"), Cell("autograd", reason="fails: RecursionError: deep")],
)  # fmt: skip
WEIGHTS = Weights(
    "nodes-100k", [Weight("ndgrad", 50_000_000), Weight("torch", 100_000_000), Weight("jax", 0, "absent")]
)
NAMES = ["ndgrad", "torch", "jax", "mygrad", "autograd"]


def test_a_row_says_times_ratios_and_aims() -> None:
    """A row has ndgrad's time and page faults, the others' times with their ratios, and whether the aim was met."""
    assert report.row(RESULT) == [
        "chain-4", "1", "450 µs", "1", "2.2 met", "1.12 ms 2.50× (2.50–2.50)", "3", "–", "WRONG NUMBERS", "fails",
    ]  # fmt: skip


def test_an_aim_may_be_missed() -> None:
    """An aim that is not reached is said not to be; without PyTorch nothing is said of it."""
    slow = Result("chain-4", 1, [Cell("ndgrad", [1.0], [0.0]), Cell("torch", [2.0], [0.0])])
    assert report.aim(slow) == "2.2 not met"
    assert report.aim(Result("chain-4", 1, slow.cells[:1])) == "2.2"


def test_every_empty_cell_has_its_reason() -> None:
    """Under the table stands why each cell is empty, with the lines that it is about."""
    assert report.reasons([RESULT]).splitlines() == [
        "JAX (jit): absent (chain-4)",
        "MyGrad: WRONG NUMBERS: array 0 is 5 off (chain-4)",
        "autograd: fails: RecursionError: deep (chain-4)",
    ]


def test_memory_is_compared_with_pytorch() -> None:
    """A row of memory says what an op takes, and whether it is no more than the aim allows."""
    assert report.weights_row(WEIGHTS) == ["nodes-100k", "50 MB", "500 B", "≤ 1 met", "100 MB 2.00×", "–"]


def test_the_heading_names_all_that_figures_depend_on() -> None:
    """Versions, BLAS, the processor and the date stand on top."""
    about = report.machine()
    words = report.heading(about)
    for part in (f"numpy {np.__version__}", f"BLAS {about['blas']}", "cores", about["date"], "tinygrad "):
        assert part in words


def test_the_tables_are_aligned() -> None:
    """Each row of the text is as long as its head, and Markdown has as many bars in each."""
    speed, memory = report.tables(NAMES, [RESULT], [WEIGHTS])
    assert len({len(line) for line in report.aligned(speed).splitlines()}) == 1
    assert len({line.count("|") for line in report.markdown(speed).splitlines()}) == 1
    assert memory[0][0] == "memory"


def test_the_document_is_json() -> None:
    """Everything that was measured is in the JSON, rounds and page faults included."""
    document = json.loads(json.dumps(report.document(report.machine(), [RESULT], [WEIGHTS]), allow_nan=False))
    (line,) = document["lines"]
    assert line["peers"]["torch"]["ratio"] == {"median": 2.5, "quartiles": [2.5, 2.5]}
    assert line["peers"]["ndgrad"]["rounds"] == [4e-4, 5e-4]
    assert line["peers"]["jax"] == {"reason": "absent"}
    assert document["memory"][0]["peers"]["torch"] == {"bytes": 100_000_000}
