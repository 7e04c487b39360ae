"""Failing programs are kept, each once, and are there the next time; those that agree again go."""

from __future__ import annotations

from pathlib import Path

from reference.kept import MOST, Kept
from reference.program import parse

LINE = "x=f8(1.0); a=exp(x); back(a,f8(1.0))"


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    """Programs are read as they were written, each once, from a file that is made where there is none."""
    kept = Kept(tmp_path / "made" / "failures")
    assert kept.programs() == []
    kept.keep([parse(LINE), parse(LINE), parse(LINE.replace("exp", "sin"))])
    assert [str(program) for program in kept.programs()] == [LINE, LINE.replace("exp", "sin")]


def test_what_agrees_again_goes(tmp_path: Path) -> None:
    """With nothing to keep, the file is taken away; and none is made."""
    path = tmp_path / "failures"
    Kept(path).keep([])
    assert not path.exists()
    Kept(path).keep([parse(LINE)])
    Kept(path).keep([])
    assert not path.exists()


def test_a_line_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """A line of another version, or of an editor, keeps nobody from the others."""
    path = tmp_path / "failures"
    path.write_text(f"no program\n{LINE}\n")
    assert [str(program) for program in Kept(path).programs()] == [LINE]


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    """Of very many the latest are kept."""
    kept = Kept(tmp_path / "failures")
    kept.keep(parse(LINE.replace("f8(1.0);", f"f8({i}.0);")) for i in range(MOST + 5))
    assert str(kept.programs()[-1]) == LINE.replace("f8(1.0);", f"f8({MOST + 4}.0);")
    assert len(kept.programs()) == MOST


def test_without_a_file_nothing_is_kept() -> None:
    """Nothing is written where no file is named."""
    Kept(None).keep([parse(LINE)])
    assert Kept(None).programs() == []
