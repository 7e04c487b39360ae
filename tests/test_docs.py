"""The documentation is true: its examples print what they show, and its commands and links exist.

`python -m tests.test_docs` writes the present output of the examples into the pages. Read the changes before you commit
them.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ndgrad.rules import RULES
from reference.commands.arguments import parser
from reference.engines.references import REFERENCES
from reference.mutation import FAULTS
from reference.ops import OPS
from reference.report import ops

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {str(page.relative_to(DOCS)): page.read_text("utf-8") for page in sorted(DOCS.rglob("*.md"))}
MEASURED = "explanation/verdict.md"  # its numbers are measured, and vary a little

EXAMPLE = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", flags=re.DOTALL)
SHELL = re.compile(r"```sh\n(.*?)```\n", flags=re.DOTALL)


def examples(page: str) -> list[tuple[str, str]]:
    """Return each Python block of a page, with the output that follows it."""
    return [(match[1], match[2] or "") for match in EXAMPLE.finditer(PAGES[page])]


def printed(code: str, names: dict[str, Any]) -> str:
    """Run a Python block, with the names of earlier blocks, and return its output."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, names)  # noqa: S102 - our own documentation
    return out.getvalue()


def renewed(page: str) -> str:
    """Return a page with the present output of its examples."""
    names: dict[str, Any] = {}

    def example(match: re.Match[str]) -> str:
        shown = printed(match[1], names)
        return f"```python\n{match[1]}```\n" + (f"\n```text\n{shown}```\n" if shown else "")

    return EXAMPLE.sub(example, PAGES[page])


def commands(page: str) -> list[str]:
    """Return the shell commands of a page, without comments."""
    lines = [line for block in SHELL.findall(PAGES[page]) for line in block.splitlines()]
    inline = re.findall(r"`((?:make|python -m) [^`\n]*)`", PAGES[page])
    return [line.partition("  #")[0].strip() for line in [*lines, *inline]]


def loosened(words: str, page: str) -> str:
    """Remove from a text what may vary between runs: the bound, the line of an error, and measured numbers."""
    words = re.sub(r"allowed \S+", "allowed N", words)
    words = re.sub(r"(raised at \S+):\d+", r"\1:N", words)
    return re.sub(r"\d[\d,.e+]*", "N", words) if page == MEASURED else words


@pytest.fixture
def _tables() -> Iterator[None]:
    """Restore the rule tables, also if an example stops in the middle of a change."""
    rows, pullbacks = dict(OPS), {name: rule.pullbacks for name, rule in RULES.items()}
    yield
    OPS.clear()
    OPS.update(rows)
    for name, rule in RULES.items():
        rule.pullbacks = pullbacks[name]


@pytest.mark.usefixtures("_tables")
@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)])
def test_examples_print_what_is_shown(page: str) -> None:
    """Run one after another, the examples of a page print the text that follows each, or nothing."""
    names: dict[str, Any] = {}
    for code, shown in examples(page):
        assert loosened(printed(code, names), page) == loosened(shown, page), code


def test_there_are_examples() -> None:
    """Examples are found on each page of the tutorial, the how-tos and the explanations."""
    with_examples = {page for page in PAGES if examples(page)}
    assert with_examples == {page for page in PAGES if not page.startswith("reference/")}
    assert sum(len(examples(page)) for page in PAGES) > 30


def test_every_page_is_in_the_contents() -> None:
    """The contents of the site list every page once."""
    config = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
    in_contents = re.findall(r"'([\w/-]+\.md)'", str(config["project"]["nav"]))
    assert sorted(in_contents) == sorted(PAGES)


def test_each_disagreement_of_a_reference_is_explained() -> None:
    """The page has a section for each reference, and each row of its tables gives a reason."""
    page = PAGES["reference/references.md"]
    rows = [re.split(r" \| ", line.strip("| ")) for line in page.splitlines() if line.startswith("| `")]
    assert len(re.findall(r"^## ", page, flags=re.MULTILINE)) == len(REFERENCES)
    assert [row[0] for row in rows if len(row) != 4 or not row[3]] == []
    assert {row[0].strip("`") for row in rows} <= set(OPS)


def test_the_page_of_ops_is_fresh() -> None:
    """The page of ops is the output of `python -m reference.report.ops`."""
    assert PAGES["reference/ops.md"] == ops.page()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link leads to a page or a picture, and every mentioned file exists."""
    for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", PAGES[page]):
        assert (DOCS / page).parent.joinpath(link).exists(), link
    for name in re.findall(r"`((?:ndgrad|reference|notebooks)/[\w/]*(?:\.\w+)?)`", PAGES[page]):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_commands_exist(page: str) -> None:
    """Every `make` target exists, and the parser of the harness accepts every command."""
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE)
    for line in commands(page):
        words = shlex.split(line)
        if words[0] == "make":
            assert words[1] in targets, line
        elif words[:3] == ["python", "-m", "reference"]:
            parser().parse_args(words[3:])
        else:
            tests = ("tests.test_readme", "tests.reference.corpus")
            modules = ("reference.report.ops", "reference.report.references", *tests)
            assert words[0] == "pip" or (words[:2] == ["python", "-m"] and words[2] in modules), line


def test_the_rows_of_a_new_op_are_tried() -> None:
    """The rows that the how-to adds are those of a test."""
    tried = (ROOT / "tests" / "reference" / "test_main.py").read_text("utf-8")
    for row in (
        "reciprocal = Rule(np.reciprocal, lambda g, y, x: -g * (y * y))",
        'Op("reciprocal", np.reciprocal, (NONZERO,))',
    ):
        assert row in PAGES["how-to/add-an-op.md"]
        assert row in tried


def test_as_many_faults_are_real_as_is_said() -> None:
    """About four hundred faults are planted, and more than a quarter of them are real bugs seen elsewhere."""
    real = [fault for fault in FAULTS if fault.source not in ("ours", "folklore")]
    assert 350 < len(FAULTS) < 450
    assert len(real) > len(FAULTS) / 4


if __name__ == "__main__":
    for name in PAGES:
        (DOCS / name).write_text(renewed(name), "utf-8")
