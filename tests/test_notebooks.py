"""The notebooks run without the `dot` program, and the stored output is theirs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import jupytext
import pytest
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def _loaded() -> Any:
    """Load `notebooks/execute.py`, which is a script outside of any package."""
    spec = importlib.util.spec_from_file_location("execute", NOTEBOOKS / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute = _loaded()


def stored(script: Path) -> Any:
    """Return the notebook that belongs to a script."""
    return jupytext.read(script.with_suffix(".ipynb"))


def loosened(words: str) -> str:
    """Return an output without its numbers, and without what depends on them: lengths, and marks in a plot."""
    words = re.sub(r"the same to the bit|\d+ ULP apart", "N", words)
    words = re.sub(r"[-+]?\d+(\.\d*)?(e[-+]?\d+)?%?", "N", words)
    return re.sub(r"[fc* ]+\n|\s+", " ", words)


def shown(cell: Any) -> list[str]:
    """Return the text that a cell showed. For a picture, it is the sorted texts in it, without the layout."""
    words = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        if "image/svg+xml" in data:
            words.append(
                " ".join(sorted(map(loosened, re.findall(r"<text[^>]*>([^<]*)</text>", data["image/svg+xml"]))))
            )
        else:
            words.append(loosened(data.get("text/plain", output.get("text", ""))))
    return words


@pytest.fixture(scope="module", params=execute.SCRIPTS, ids=lambda script: script.stem)
def script(request: pytest.FixtureRequest) -> Path:
    """Return the script of each notebook."""
    path: Path = request.param
    return path


def test_both_are_there() -> None:
    """The lesson, and the notebook on verifying an engine, exist."""
    assert [script.stem for script in execute.SCRIPTS] == ["autograd", "your_engine"]


def test_script_and_notebook_are_in_step(script: Path) -> None:
    """The notebook has the cells of its script: `python notebooks/execute.py` rewrites it."""
    fresh, stored_notebook = execute.read(script), stored(script)
    assert [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in fresh.cells] == [
        (cell.id, cell.cell_type, cell.source, cell.metadata) for cell in stored_notebook.cells
    ]
    assert fresh.metadata["kernelspec"] == stored_notebook.metadata["kernelspec"]


def test_it_runs_and_shows_what_is_stored(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs without a `dot` program, its asserts hold, and it shows the stored text and pictures."""
    monkeypatch.setenv("PATH", "")
    for executed, old in zip(execute.executed(script).cells, stored(script).cells, strict=True):
        assert shown(executed) == shown(old), executed.source


def test_pictures_are_stored() -> None:
    """The stored lesson has its pictures: twice the neuron and a loss, arrays, and a layer."""
    (lesson,) = [stored(script) for script in execute.SCRIPTS if script.stem == "autograd"]
    outputs = [output for cell in lesson.cells for output in cell.get("outputs", ())]
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) == 6


def test_every_exercise_has_a_checked_answer(script: Path) -> None:
    """The cell below an exercise is folded, and checks the answer by assert."""
    cells = execute.read(script).cells
    places = [i for i, cell in enumerate(cells) if "**Exercise.**" in cell.source]
    answers = [i for i, cell in enumerate(cells) if "answer" in cell.metadata.get("tags", ())]
    assert places
    assert answers == [i + 1 for i in places]
    for i in answers:
        assert cells[i].metadata["jupyter"] == {"source_hidden": True}
        assert "assert " in cells[i].source


def test_a_wrong_answer_fails(tmp_path: Path) -> None:
    """A failing assert, in any cell, is an error."""
    script = tmp_path / "wrong.py"
    script.write_text("# %%\n1 + 1\n\n# %%\nassert 1 + 1 == 3\n")
    with pytest.raises(CellExecutionError, match="AssertionError"):
        execute.executed(script)
