"""The page as a whole: a standalone file with all six panels, in which every text is escaped."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import reference.__main__ as command_line
from reference.campaign import Failure, Record
from reference.checks import ProgramCase
from reference.checks.training import TASKS
from reference.commands.arguments import _shapes
from reference.programs import parse
from reference.report.page import records_of, render
from reference.report.page.agreeing import Row, Worst, agreement
from reference.report.page.exploring import POINTS, STEPS
from reference.report.page.learning import _shades
from reference.report.page.lessons import Lesson
from reference.report.page.loading import load_function
from reference.report.page.numbers import pack, script
from reference.report.page.stepping import walks
from reference.verdict import Result, Verdict
from reference.verdict.explanation import Explanation
from tests.reference.report.conftest import OPS, Written

PANELS = ("agreement", "step", "break", "explore", "train", "rounding")


class Reader(HTMLParser):
    """Records the elements of a page: whether each is closed, the ids, and what it would fetch."""

    VOID = frozenset({"meta", "link", "input", "br", "hr", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"] or "")
        if tag not in self.VOID:
            self.open.append(tag)
        self.fetched += [given[name] or "" for name in ("src", "srcset", "data") if name in given]
        self.fetched += [given["href"] or ""] if tag == "link" else []
        self.links += [given["href"] or ""] if tag == "a" else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def read(written: Written) -> Reader:
    """Parse the page."""
    reader = Reader()
    reader.feed(written.path.read_text(encoding="utf-8"))
    return reader


def test_the_page_is_one_small_file(written: Written, read: Reader) -> None:
    """The page is below a megabyte, fetches nothing, and every link leads to a place on it."""
    text = written.path.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000
    assert read.fetched == ["data:,"]
    assert not re.search(r"url\(|@import", text)
    assert set(read.links) <= {f"#{name}" for name in read.ids}


def test_the_page_is_well_formed(read: Reader) -> None:
    """Every element is closed, and no id occurs twice."""
    assert read.open == []
    assert len(set(read.ids)) == len(read.ids)
    assert [name for name in read.ids if name in PANELS] == list(PANELS)


def test_one_run_makes_one_page(written: Written) -> None:
    """The same data is rendered to the same bytes."""
    assert render(written.page) == render(written.page) == written.path.read_text(encoding="utf-8")


NASTY = "</script><img src=x onerror=alert(1)>&\"'"


def test_every_text_is_escaped(written: Written) -> None:
    """Names, programs and texts that contain markup are escaped."""
    page = written.page
    program = parse("x=f8(1.0); a=exp(x); back(a,f8(1.0))")
    program = replace(program, operands=(replace(program.operands[0], name=NASTY),))
    row = Row(Record(NASTY, worst=1.0), Worst(NASTY, NASTY, NASTY, NASTY, "1"))
    summary = replace(page.training.summaries[0], name=NASTY)
    spoilt = replace(
        page,
        subject=NASTY,
        agreement=replace(
            page.agreement,
            rows=[row],
            last_line=NASTY,
            failures=[replace(page.agreement.failures[0], description=NASTY)],
        ),
        walks=walks([Lesson("nasty", NASTY, NASTY, program)]),
        curves=[replace(page.curves[0], data={**page.curves[0].data, "title": NASTY})],
        training=replace(page.training, summaries=[summary], data={"runs": {NASTY: {}}, "maps": None}),
    )
    text = render(spoilt)
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert "<img" not in text
    assert text.count("onerror=alert(1)") >= 12


def test_numbers_arrive_to_the_bit() -> None:
    """Arrays packed for JavaScript are unpacked with equal bits, including NaN and the sign of zero."""
    array = np.array([[0.1, -0.0, np.nan], [np.inf, 5e-324, -1.7976931348623157e308]])
    held = pack(array)
    again = np.frombuffer(base64.b64decode(held["f8"])).reshape(held["shape"])
    assert again.tobytes() == array.tobytes()
    assert pack(np.arange(3, dtype=np.uint8)) == {"shape": [3], "u1": "AAEC"}


def test_data_cannot_end_its_element() -> None:
    """The data contains no `<`, and reads back equal."""
    text = str(script({"words": NASTY}))
    assert "<" not in text
    assert json.loads(text) == {"words": NASTY}


def test_each_op_has_its_worst_case(written: Written) -> None:
    """If numbers of an op differ, its row shows the program, the place and both numbers."""
    rows = {row.record.op: row for row in written.page.agreement.rows}
    assert set(OPS) <= set(rows)
    worst = rows["tanh"].worst
    assert worst is not None
    assert worst.mine != worst.theirs
    assert float(worst.ulp) >= rows["tanh"].record.worst >= 1
    assert parse(worst.line).steps


def test_failures_have_their_picture_and_their_program(written: Written) -> None:
    """A failure changes the page's verdict, and shows the harness's text and the graph with both sides' numbers."""
    found = written.page.agreement
    assert not found.agrees
    assert "disagrees with PyTorch" in found.last_line
    (failed,) = found.failures
    assert "again: python -m reference repro" in failed.description
    assert 'id="failure-tanh-box-0"' in failed.picture


def test_a_run_that_trained_nothing_says_so(written: Written) -> None:
    """Without training runs, as with `--ops`, the panel has no empty charts."""
    empty = replace(written.page.training, summaries=[], data={"runs": {}, "maps": None})
    text = render(replace(written.page, training=empty))
    assert "This run of the harness trained nothing." in text
    assert 'id="loss-chart"' not in text


def test_maps_are_drawn_every_few_steps(written: Written) -> None:
    """There are maps of both sides after the first step and every fifth, and they are close to each other."""
    maps = written.page.training.data["maps"]
    assert maps["steps"] == [1, 5, 10]
    assert maps["mine"]["shape"] == maps["theirs"]["shape"] == [3, 32 * 32]
    assert all(float(difference) < 1e-12 for difference in maps["differences"])


def test_a_shade_keeps_the_sign() -> None:
    """Outputs become bytes; a byte from 128 on means a positive output, however small."""
    shades = _shades(np.array([-2.0, -1.0, -1e-9, 0.0, 1e-9, 0.5, 1.0, 3.0]))
    assert shades.tolist() == [1, 1, 127, 128, 129, 192, 255, 255]


def test_the_sliders_have_their_points(written: Written) -> None:
    """Each function has about 40 points and 25 steps h, and a slope everywhere except at a kink."""
    for record_curves in written.page.curves:
        assert len(record_curves.data["points"]) == POINTS == 41
        assert len(STEPS) == 25
        assert record_curves.data["errors"]["shape"] == [41, 25]
        kinks = [point for point in record_curves.data["points"] if point[3] == "–"]
        assert [point[0] for point in kinks] == (["0.0"] if record_curves.curve.name == "relu" else [])


def test_slopes_beside_each_other(written: Written) -> None:
    """ndgrad's slope, PyTorch's and the exact one are close at every point except a kink."""
    for record_curves in written.page.curves:
        for _, mine, theirs, exact, _ in record_curves.data["points"]:
            assert float(mine) == pytest.approx(float(theirs), rel=1e-12, abs=1e-15)
            assert exact == "–" or float(mine) == pytest.approx(float(exact), rel=1e-12, abs=1e-15)


def test_the_error_of_a_difference_is_a_v(written: Written) -> None:
    """For sin the best h lies between 1e-10 and 1e-6, and the error is larger on both sides of it."""
    record_curves = next(e for e in written.page.curves if e.curve.name == "sin")
    errors = np.frombuffer(base64.b64decode(record_curves.data["errors"]["f8"])).reshape(41, 25)[24]
    best = int(errors.argmin())
    assert 1e-10 < STEPS[best] < 1e-6
    assert errors[0] > 1e4 * errors[best]
    assert errors[-1] > 1e4 * errors[best]


def test_rounding_is_measured(written: Written) -> None:
    """Sums and products have equal bits, one ULP of tanh is many of its slope, and another order gives another sum."""
    rounding = written.page.rounding
    shares = {row.op: row.alike for row in rounding.equal}
    assert shares["add"] == shares["multiply"] == shares["divide"] == 1.0
    assert [float(row.magnified) for row in rounding.slopes] == sorted(float(row.magnified) for row in rounding.slopes)
    assert len({row.total for row in rounding.totals}) > 3
    assert [row.total for row in rounding.grouped] == ["0.6000000000000001", "0.6"]


# The command.


def test_verify_writes_the_page_of_its_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--page`, `verify` prints where the page is, and the page repeats the run's last line."""
    monkeypatch.chdir(tmp_path)  # stored failures of other runs must not be found
    path = tmp_path / "made" / "page.html"
    assert command_line.main(["verify", "--ops", "tanh", "--profile", "quick", "--page", str(path)]) == 0
    *_, last, where = capsys.readouterr().out.splitlines()
    assert where == f"the page: {path}"
    assert last in path.read_text(encoding="utf-8")


FUNCTION = """
from ndgrad import Value, exp

def bell(x, w):
    y = (x @ w).tanh()
    return exp(-(y * y)) + 2.0

def nothing(x, w):
    return 3

def raising(x, w):
    return x.reshape(5) * w

def idle(x, w):
    return x

OTHER = Value([3.0])

def other(x, w):
    return OTHER * 2

def leaving(x, w):
    raise SystemExit(0)

def frozen(x, w):
    return Value(x.data, requires_grad=False)

def deep(x, w):
    for _ in range(61):
        x = x + w
    return x
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """Write a user's file."""
    path = tmp_path / "mine.py"
    path.write_text(FUNCTION)
    return path


def test_the_page_of_a_function(
    module: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page of a function has its verdict, its walk, a planted bug, and its slopes along each operand."""
    monkeypatch.setattr("reference.checks.training.TASKS", {"article": TASKS["article"]})
    path = module.parent / "bell.html"
    arguments = ["page", f"{module}:bell", "--shapes", "(2,3),(3,)", "--out", str(path)]
    assert command_line.main(arguments) == 0
    *lines, where = capsys.readouterr().out.splitlines()
    assert where == f"the page: {path}"
    assert [line.split()[:2] for line in lines if line.startswith("bell")] == [["bell", "100"]]
    text = path.read_text(encoding="utf-8")
    assert "<b>bell, number by number.</b>" in text
    assert ">x</tspan>" in text[text.index('id="graph-function-box-0"') :][:300]
    assert "<h3>a bug in bell</h3>" in text
    assert re.findall(r"<option>(bell[^<]*)", text) == ["bell along x[0, 0]", "bell along w[0]"]


def test_a_wrong_rule_in_a_function_is_found(module: Path) -> None:
    """With a wrong pullback planted, the function's record has a failure that names the op."""
    from reference.mutation.planting import scaled  # noqa: PLC0415 - for this test alone

    with load_function(module, "bell") as function, scaled("exp", 0, 1.001)():
        records = records_of(function, "bell", [(2,), (2,)], 0)
    assert records[0].failures
    assert not agreement(records[:1], [], ["exp"], profile="quick", seed=0).agrees


# fmt: off
WRONG_USE = [
    (["missing.py:f", "--shapes", "(3,)"],   "there is no file 'missing.py'"),
    (["mine.py", "--shapes", "(3,)"],        "must name a file and a function in it"),
    (["mine.py:bell", "--shapes", "three"],  "must be shapes, as '(3,4),(4,)'"),
    (["mine.py:bell", "--shapes", "(-1,)"],  "must be shapes"),
    (["mine.py:bell"],                       "go together"),
    (["--shapes", "(3,)"],                   "go together"),
    (["mine.py:rings", "--shapes", "(3,)"],  "there is no function 'rings'"),
    (["mine.py:nothing", "--shapes", "(2,),(2,)"], "that depends on its operands, but returned int"),
    (["mine.py:raising", "--shapes", "(2,),(2,)"], "called with Values of shapes [(2,), (2,)], it raised"),
    (["mine.py:raising", "--shapes", "(2,),(2,)"], "(mine.py, line "),
    (["mine.py:idle", "--shapes", "(2,),(2,)"],    "it returns one of its operands"),
    (["mine.py:other", "--shapes", "(2,),(2,)"],   "its result does not depend on its operands"),
    (["mine.py:frozen", "--shapes", "(2,),(2,)"],  "but returned a Value without a gradient"),
    (["mine.py:leaving", "--shapes", "(2,),(2,)"], "it raised SystemExit: 0 (mine.py, line "),
    (["mine.py:bell", "--shapes", "(0,)"],         "is empty: there is nothing"),
    (["mine.py:deep", "--shapes", "(2,),(2,)"],    "it has 61 steps, but the page shows at most 60"),
    (["mine.py:deep", "--shapes", "(2,),(999,)"],  "its operands have 1,001 numbers"),
]
# fmt: on


@pytest.mark.parametrize(
    ("arguments", "words"), WRONG_USE, ids=lambda x: " ".join(x)[:30] if isinstance(x, list) else ""
)
def test_wrong_use_of_the_page_says_what_is_wrong(
    arguments: list[str], words: str, module: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage ends with status 2, and says what was given and what is expected."""
    monkeypatch.chdir(module.parent)
    try:
        status = command_line.main(["page", *arguments])
    except SystemExit as leaving:  # argparse's own way out
        status = int(leaving.code or 0)
    assert status == 2
    assert words in capsys.readouterr().err


def test_a_page_that_cannot_be_written(
    module: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unwritable file ends the command with status 3 and one line, before any work."""
    monkeypatch.chdir(module.parent)
    for arguments in ([], ["mine.py:bell", "--shapes", "(2,),(2,)"]):
        assert command_line.main(["page", *arguments, "--out", "/dev/null/x.html"]) == 3
        printed = capsys.readouterr()
        assert (printed.out, printed.err) == ("", "error: cannot write /dev/null/x.html: Not a directory\n")
    assert [path.name for path in module.parent.iterdir()] == ["mine.py"]


def test_an_operand_that_is_not_used(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function may ignore an operand: its gradient is 0, and the page is written."""
    monkeypatch.setattr("reference.checks.training.TASKS", {})
    module.write_text("def f(x, w):\n    return x * 2\n")
    path = module.parent / "f.html"
    assert command_line.main(["page", f"{module}:f", "--shapes", "(2,),(2,)", "--out", str(path)]) == 0
    assert "f along w[0]" in path.read_text("utf-8")


def test_shapes_as_they_are_written() -> None:
    """A single shape needs no comma after it, and the shape of a number is empty."""
    assert _shapes("(3,4),(4,)") == [(3, 4), (4,)]
    assert _shapes("(3,4)") == [(3, 4)]
    assert _shapes("(),()") == [(), ()]
    assert _shapes("()") == [()]


def test_a_row_says_where_its_failures_are_told() -> None:
    """A row of the table names the other ops under which its failures are told, as the text does."""
    verdict = Verdict(Result.ENGINE_WRONG)
    wrong = Failure("exp", ProgramCase(parse("x=f8(1.0); a=exp(x); back(a,f8(1.0))")), verdict, Explanation())
    assert Row(Record("sin"), None).verdict == "✓ agrees"
    assert Row(Record("exp", failures=[wrong]), None).verdict == "✗ wrong"
    assert Row(Record("sin", failures=[wrong]), None).verdict == "✗ wrong, see exp"
    assert Row(Record("sin", told="exp"), None).verdict == "✗ wrong, see exp"
