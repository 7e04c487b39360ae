"""README.md and CONTRIBUTING.md are true: their examples run, and print what they show."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import reference.__main__ as command_line
from ndgrad import draw_dot
from ndgrad.rules import RULES
from reference.campaign import PROFILES, Sides, run_shard, shards_of
from reference.campaign.records import merged
from reference.checks import EXPRESSIONS
from reference.checks.training import TASKS, train
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.ops import OPS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
GREEN = next(block for kind, block in BLOCKS if kind == "text" and block.startswith("op "))


def printed(code: str) -> tuple[str, dict[str, Any]]:
    """Run a Python block, and return its output and its names."""
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)  # noqa: S102 - our own README
    return out.getvalue(), names


def examples() -> Iterator[tuple[str, str]]:
    """Return each Python block that prints, with the text block that follows it."""
    for i, (kind, block) in enumerate(BLOCKS):
        if kind == "python" and "print(" in block:
            yield block, next(text for later, text in BLOCKS[i:] if later == "text")


def loosened(text: str) -> str:
    """Remove from a text what may vary between runs: the bound, and which of two smallest cases was found."""
    text = re.sub(r"allowed \d+", "allowed N", text)
    text = re.sub(r"again: .*", "again: ...", text)
    return re.sub(r"\[[xy]\]|\([0-9, ]*\)", "_", text)


def test_every_example_has_its_output() -> None:
    """The README shows the output for a caught bug and for a plugged-in engine."""
    assert len(list(examples())) == 2


@pytest.mark.parametrize(("code", "shown"), list(examples()), ids=["a caught bug", "your own engine"])
def test_an_example_prints_what_is_shown(code: str, shown: str) -> None:
    """An example prints the text that follows it."""
    assert loosened(printed(code)[0]) == loosened(shown)


def test_pytorchs_own_error_is_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The line that shows PyTorch's error prints what is shown."""
    (place,) = [
        i for i, (kind, block) in enumerate(BLOCKS) if kind == "sh" and block.startswith("python -m reference ")
    ]
    assert command_line.main(shlex.split(BLOCKS[place][1])[3:]) == 0
    assert loosened(capsys.readouterr().out) == loosened(BLOCKS[place + 1][1])


def test_the_picture_is_what_the_first_example_draws() -> None:
    """The picture at the top is drawn by the code below it, with the same labels and numbers."""
    code = next(block for kind, block in BLOCKS if kind == "python")
    _, names = printed(code)
    fresh = draw_dot(names["o"], format="svg").pipe(encoding="utf-8")
    assert _texts((ROOT / "docs" / "neuron.svg").read_text()) == _texts(fresh)


def _texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize("op", ["add", "tanh"])
def test_the_table_shows_what_verify_counts(op: str) -> None:
    """The rows in the README have the programs and numbers that `make verify` compares."""
    sides = Sides("ndgrad", ("torch",), tuple(OPS), seed=0)
    shards = shards_of({op: PROFILES["standard"].for_each_op})
    record, _ = merged(op, [run_shard(shard, sides) for shard in shards])
    assert re.search(rf"^{op} +{record.programs:,} +{record.numbers:,} ", GREEN, flags=re.MULTILINE)


def test_the_article_run_is_as_shown() -> None:
    """The article's run has as many steps and numbers as the README says."""
    record = train(TASKS["article"](), NdgradEngine(), TorchEngine())
    assert re.search(rf"^article +{record.steps} +{record.numbers:,} ", GREEN, flags=re.MULTILINE)


def test_the_last_line_names_every_op() -> None:
    """The last line counts the ops and the training runs that exist."""
    last = GREEN.splitlines()[-1]
    assert last.startswith(f"{len(OPS)} ops, ")
    assert f" {len(TASKS)} training runs: ndgrad agrees with " in last
    assert EXPRESSIONS in GREEN


def test_its_links_lead_somewhere() -> None:
    """Every relative link of the README and of CONTRIBUTING leads to a file or a folder."""
    for page in ("README.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
            assert (ROOT / link).exists(), f"{page} links to {link}"


def test_the_rows_in_contributing_are_not_there_yet() -> None:
    """The op that CONTRIBUTING adds is new, and its rows are those of a test."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    row = "reciprocal = Rule(np.reciprocal, lambda g, y, x: -g * (y * y))"
    assert row in text
    assert row in (ROOT / "tests" / "reference" / "test_main.py").read_text()
    assert "reciprocal" not in RULES


def renewed(readme: str, told: str) -> str:
    """Return the README with the lines of a new run of `verify`."""
    lines = {line.split("  ")[0]: line for line in told.splitlines()}
    last = told.strip().splitlines()[-1]
    shown = GREEN.splitlines()
    fresh = [lines.get(line.split("  ")[0], line) for line in shown[:-1]]
    return readme.replace(GREEN, "\n".join([*fresh, f"{last}\n"]))


def test_the_table_can_be_renewed() -> None:
    """Rows are found by their first words, and the last line by its position."""
    rows = GREEN.splitlines()
    told = "\n".join([*(row.replace("  8 ULP", "  7 ULP") for row in rows[:-1]), "a last line"])
    fresh = renewed(README, told)
    assert fresh.count("  7 ULP") == "\n".join(rows[:-1]).count("  8 ULP") > 3
    assert "a last line\n```" in fresh
    assert renewed(README, GREEN) == README


if __name__ == "__main__":
    done = subprocess.run([sys.executable, "-m", "reference", "verify"], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"verify does not agree, so nothing is renewed:\n{done.stdout}{done.stderr}")
    (ROOT / "README.md").write_text(renewed(README, done.stdout.partition("the page:")[0]), "utf-8")
