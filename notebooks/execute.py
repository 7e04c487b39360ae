"""Runs the notebooks and writes each, with what it showed, beside its script: `python notebooks/execute.py`.

It knows how a notebook is run and stored. The scripts are what is edited; what is written here is made from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient

HERE = Path(__file__).parent
SCRIPTS = tuple(sorted(path for path in HERE.glob("*.py") if path != Path(__file__)))
PATIENCE = 120  # seconds a cell: the slowest takes three


def read(script: Path) -> Any:
    """Read a script as a notebook. Its cells are named by their place, so that it is the same notebook each time."""
    notebook = jupytext.read(script)
    for i, cell in enumerate(notebook.cells):
        cell["id"], cell["source"] = f"cell-{i}", cell.source.strip("\n")
    return notebook


def executed(script: Path) -> Any:
    """Run a script as a notebook, and give it with what its cells showed.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = read(script)
    resources = {"metadata": {"path": str(HERE.parent)}}
    # What a cell prints may come in several messages, as the machine is busy: they are one.
    client = NotebookClient(notebook, timeout=PATIENCE, resources=resources, record_timing=False, coalesce_streams=True)
    client.execute()
    notebook.metadata.pop("language_info", None)  # which Python it was
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if "image/svg+xml" in output.get("data", {}):
            output["data"] = {"image/svg+xml": output["data"]["image/svg+xml"]}  # words would tell an address in memory
    return notebook


def main() -> None:
    """Run and write all of them."""
    for script in SCRIPTS:
        jupytext.write(executed(script), script.with_suffix(".ipynb"))
        print(script.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
