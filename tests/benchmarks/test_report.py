"""The report: measurements, and the reasons for missing ones."""

from __future__ import annotations

import json

import numpy as np

from benchmarks import report
from benchmarks.cells import Cell, MemoryResult, PeerMemory, Result

RESULT = Result(
    "chain-4", 1,
    [Cell("ndgrad", [4e-4, 5e-4], [0.0, 2.0]), Cell("torch", [1e-3, 1.25e-3], [3.0, 3.0]), Cell("jax", reason="absent"),
     Cell("mygrad", reason="WRONG NUMBERS: array 0 is 5 off"), Cell("autograd", reason="fails: RecursionError: deep")],
)  # fmt: skip
MEMORY = MemoryResult(
    "nodes-100k", [PeerMemory("ndgrad", 50_000_000), PeerMemory("torch", 100_000_000), PeerMemory("jax", 0, "absent")]
)
NAMES = ["ndgrad", "torch", "jax", "mygrad", "autograd"]


def test_a_row_says_times_ratios_and_aims() -> None:
    """A row has the time and page faults of ndgrad, whether the aim was met, and the times and ratios of the others."""
    assert report.row(RESULT) == [
        "chain-4", "1", "450 µs", "1", "2.2 met", "1.12 ms 2.50× (2.50–2.50)", "3", "–", "WRONG NUMBERS", "fails",
    ]  # fmt: skip


def test_an_aim_may_be_missed() -> None:
    """An aim that is not met is reported as such; without PyTorch only the aim is shown."""
    slow = Result("chain-4", 1, [Cell("ndgrad", [1.0], [0.0]), Cell("torch", [2.0], [0.0])])
    assert report.aim(slow) == "2.2 not met"
    assert report.aim(Result("chain-4", 1, slow.cells[:1])) == "2.2"


def test_every_empty_cell_has_its_reason() -> None:
    """The reason for each empty cell is listed, with the lines that it applies to."""
    assert report.reasons([RESULT]).splitlines() == [
        "JAX (jit): absent (chain-4)",
        "MyGrad: WRONG NUMBERS: array 0 is 5 off (chain-4)",
        "autograd: fails: RecursionError: deep (chain-4)",
    ]


def test_memory_is_compared_with_pytorch() -> None:
    """A memory row has the bytes per op, and whether the aim was met."""
    assert report.memory_row(MEMORY) == ["nodes-100k", "50 MB", "500 B", "≤ 1 met", "100 MB 2.00×", "–"]


def test_the_heading_names_all_that_figures_depend_on() -> None:
    """The heading has the versions, the BLAS, the processor and the date."""
    about = report.system_info()
    words = report.heading(about)
    for part in (f"numpy {np.__version__}", f"BLAS {about['blas']}", "cores", about["date"], "tinygrad "):
        assert part in words


def test_the_tables_are_aligned() -> None:
    """All rows of the text have the same length, and all rows of Markdown the same number of bars."""
    speed, memory = report.tables(NAMES, [RESULT], [MEMORY])
    assert len({len(line) for line in report.aligned(speed).splitlines()}) == 1
    assert len({line.count("|") for line in report.markdown(speed).splitlines()}) == 1
    assert memory[0][0] == "memory"


def test_the_document_is_json() -> None:
    """All measurements are in the JSON, including rounds and page faults."""
    document = json.loads(json.dumps(report.document(report.system_info(), [RESULT], [MEMORY]), allow_nan=False))
    (line,) = document["lines"]
    assert line["peers"]["torch"]["ratio"] == {"median": 2.5, "quartiles": [2.5, 2.5]}
    assert line["peers"]["ndgrad"]["rounds"] == [4e-4, 5e-4]
    assert line["peers"]["jax"] == {"reason": "absent"}
    assert document["memory"][0]["peers"]["torch"] == {"bytes": 100_000_000}
