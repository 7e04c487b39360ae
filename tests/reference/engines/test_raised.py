"""The line that raised an error is that of the engine's author, not of the harness or of an installed package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reference.engines.raised import Place, place_raised
from reference.engines.training import Raised, answering
from reference.ops import definitions

HERE = Path(__file__)


def caught(function: Callable[..., object], *args: object) -> Exception:
    """Call a function and return the error that it raises."""
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - any error will do
        return error
    pytest.fail("nothing was raised")


def wrong_axis() -> None:
    """Call NumPy wrongly."""
    np.stack([np.ones(2), np.ones(3)])


def test_the_line_is_that_of_the_caller_of_numpy() -> None:
    """Lines of NumPy and of the harness do not count beside others, though they are further inside."""
    place = place_raised(caught(wrong_axis))
    assert place is not None
    assert place.file == str(HERE)
    assert str(place).endswith(f"test_raised.py:{place.line}: np.stack([np.ones(2), np.ones(3)])")
    inside = place_raised(caught(definitions.log_softmax, 1))
    assert inside is not None
    assert inside.file == str(HERE)


def test_an_installed_engine_counts_if_there_is_no_other() -> None:
    """If all lines are of installed packages or of the harness, the innermost of the former is shown."""
    error = caught(wrong_axis)
    assert error.__traceback__ is not None
    inner = error.__traceback__
    while Path(inner.tb_frame.f_code.co_filename) == HERE and inner.tb_next:
        inner = inner.tb_next
    place = place_raised(error.with_traceback(inner))
    assert place is not None
    assert "numpy" in place.file


def test_lines_without_a_file_do_not_count() -> None:
    """Lines that the harness has written itself, and errors that were never raised, have no place."""
    code = compile("1 / 0", "<session>", "exec")
    place = place_raised(caught(exec, code))
    assert place is not None
    assert place.file == str(HERE)
    assert place_raised(ValueError()) is place_raised(None) is None


def test_a_path_is_relative_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the current folder is printed as a user would name it; a file that is gone has no source."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("\n\n    return x.foo\n")
    assert str(Place(str(tmp_path / "mine.py"), 3)) == "mine.py:3: return x.foo"
    assert str(Place("/gone/mine.py", 3)) == "/gone/mine.py:3"


def test_an_error_of_a_trainer_keeps_its_place() -> None:
    """`Raised` gives the line of the error that it stands for."""

    @answering()
    def step() -> None:
        wrong_axis()

    error = caught(step)
    assert isinstance(error, Raised)
    assert error.place.endswith("np.stack([np.ones(2), np.ones(3)])")
    assert Raised("alone").place == ""
