"""The command line of the benchmark."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main


def test_a_line_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run with one line and two peers prints a table and writes a JSON file."""
    file = tmp_path / "new" / "bench.json"
    arguments = ["speed", "--lines", "article", "--peers", "ndgrad,by_hand", "--threads", "1", "--rounds", "1"]
    assert main([*arguments, "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert "numpy" in out
    assert "\narticle " in out
    (line,) = json.loads(file.read_text())["lines"]
    assert line["peers"]["by_hand"]["ratio"]["median"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--lines", "chain-5"], "there is no 'chain-5'; there are chain-4, "),
        (["--peers", "theano"], "there is no 'theano'; there are ndgrad, "),
        (["--rounds", "0"], "'0' is not a number from 1 on"),
    ],
)
def test_wrong_usage_is_reported(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error quotes an unknown name, and lists the known ones."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err
