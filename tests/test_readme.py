"""What README.md and CONTRIBUTING.md say is true: their examples run, and print what they show."""

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
    """What a block of Python prints, and the names that it leaves."""
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)  # noqa: S102 - our own README
    return out.getvalue(), names


def examples() -> Iterator[tuple[str, str]]:
    """Each block of Python that prints, with the block of text that follows it."""
    for i, (kind, block) in enumerate(BLOCKS):
        if kind == "python" and "print(" in block:
            yield block, next(text for later, text in BLOCKS[i:] if later == "text")


def loosened(text: str) -> str:
    """The text without what may differ from one run to the next: the bound, and which of two smallest cases was met."""
    text = re.sub(r"allowed \d+", "allowed N", text)
    text = re.sub(r"again: .*", "again: ...", text)
    return re.sub(r"\[[xy]\]|\([0-9, ]*\)", "_", text)


def test_every_example_has_its_output() -> None:
    """The README shows what a caught bug and a plugged-in engine print."""
    assert len(list(examples())) == 2


@pytest.mark.parametrize(("code", "shown"), list(examples()), ids=["a caught bug", "your own engine"])
def test_an_example_prints_what_is_shown(code: str, shown: str) -> None:
    """Run as it stands, an example prints the text that follows it."""
    assert loosened(printed(code)[0]) == loosened(shown)


def test_pytorchs_own_error_is_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The line that shows PyTorch to be wrong, typed as it stands, prints what is shown."""
    (place,) = [
        i for i, (kind, block) in enumerate(BLOCKS) if kind == "sh" and block.startswith("python -m reference ")
    ]
    assert command_line.main(shlex.split(BLOCKS[place][1])[3:]) == 0
    assert loosened(capsys.readouterr().out) == loosened(BLOCKS[place + 1][1])


def test_the_picture_is_what_the_first_example_draws() -> None:
    """The picture at the top was drawn by the code below it: same labels, same numbers."""
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
    """The last line counts the ops of the table and the training runs that there are."""
    last = GREEN.splitlines()[-1]
    assert last.startswith(f"{len(OPS)} ops, ")
    assert f" {len(TASKS)} training runs: ndgrad agrees with " in last
    assert EXPRESSIONS in GREEN


def test_its_links_lead_somewhere() -> None:
    """Every relative link of the README and of CONTRIBUTING leads to a file or folder."""
    for page in ("README.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text()):
            assert (ROOT / link).exists(), f"{page} links to {link}"


def test_the_rows_in_contributing_are_not_there_yet() -> None:
    """CONTRIBUTING adds an op that is new, in the very words that a test adds it with."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    row = "reciprocal = Rule(np.reciprocal, lambda g, y, x: -g * (y * y))"
    assert row in text
    assert row in (ROOT / "tests" / "reference" / "test_main.py").read_text()
    assert "reciprocal" not in RULES


def renewed(readme: str, told: str) -> str:
    """The README with the lines of another run of `verify` in place of those that it shows."""
    lines = {line.split("  ")[0]: line for line in told.splitlines()}
    last = told.strip().splitlines()[-1]
    shown = GREEN.splitlines()
    fresh = [lines.get(line.split("  ")[0], line) for line in shown[:-1]]
    return readme.replace(GREEN, "\n".join([*fresh, f"{last}\n"]))


def test_the_table_can_be_renewed() -> None:
    """Rows are found by what they begin with; the last line is the last line."""
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
