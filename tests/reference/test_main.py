"""The command line, run as users run it: its output, its files and its exit status."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import reference.__main__ as command_line
from ndgrad.rules import RULES
from reference.checks.training import TASKS, TrainingRecord
from reference.mutation.planting import scaled

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a folder of its own, for failing cases are saved in the working directory and tried first."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))


def run(*arguments: str, cwd: Path | None = None, code: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, after `code`."""
    start = (
        ["-c", f"{code}\nimport sys\nfrom reference.__main__ import main\nsys.exit(main())"]
        if code
        else ["-m", "reference"]
    )
    return subprocess.run(
        [sys.executable, "-W", "error", *start, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_verify_of_some_ops_ends_in_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints a row for each given op and a last line with the result, and writes the same as JSON."""
    path = tmp_path / "made" / "found.json"
    options = ["--ops", "tanh,sum", "--profile", "quick", "--seed", "3", "--json", str(path)]
    assert command_line.main(["verify", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line[:5].strip() in ("tanh", "sum", "expre")] == [
        "tanh",
        "sum",
        "expressions",
    ]
    assert lines[-1].startswith("2 ops, ")
    assert " 0 training runs: ndgrad agrees with PyTorch " in lines[-1]
    found = json.loads(path.read_text())
    assert (found["schema"], found["seed"], found["agrees"]) == (2, 3, True)
    assert found["counts"]["programs"] == sum(row["programs"] for row in found["ops"])
    assert found["counts"]["numbers"] == sum(row["numbers"] for row in found["ops"]) > 500
    assert f"{found['counts']['programs']:,} programs" in lines[-1]
    assert {"python", "numpy", "torch", "ndgrad"} <= set(found["versions"])


def test_one_seed_gives_the_same_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Two runs with one seed, in two processes, print exactly the same."""
    once = run("verify", "--ops", "where", "--profile", "quick", "--seed", "11").stdout
    assert command_line.main(["verify", "--ops", "where", "--profile", "quick", "--seed", "11"]) == 0
    assert capsys.readouterr().out == once


def test_a_fault_ends_in_disagreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a planted fault, it exits with 1, prints the shrunk case and writes it, and the case can be replayed."""
    path = tmp_path / "found.json"
    with scaled("tanh", 0, 2.0)():
        assert command_line.main(["verify", "--ops", "tanh,exp", "--profile", "quick", "--json", str(path)]) == 1
        printed = capsys.readouterr().out
        assert "disagrees with PyTorch" in printed.splitlines()[-1]
        assert "\ntanh: grad[x] is " in printed
        found = json.loads(path.read_text())
        assert not found["agrees"]
        assert {failure["op"] for failure in found["failures"]} == {"tanh"}
        line = found["failures"][0]["case"]
        assert f"again: python -m reference repro '{line}'" in printed
        assert command_line.main(["repro", line]) == 1
    assert command_line.main(["repro", line]) == 0
    assert "ndgrad 0.1.0 and PyTorch" in capsys.readouterr().out


def test_agreement_within_conditioning_has_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """The judge's reason follows the result, and nothing follows if the sides agree at once."""
    far = "x=f8([1e16,1e16]); a=logsumexp(x,axis=0,keepdims=False); back(a,f8(1.0))"
    assert command_line.main(["repro", far]) == 0
    agrees, why = capsys.readouterr().out.splitlines()
    assert agrees.endswith("agrees within conditioning (3 numbers)")
    assert why == "  both are right, each by the exact number at its own values"


def test_an_imprecise_number_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no failure, but it is shown with the exact number."""
    assert command_line.main(["repro", "x=f8([20.0]); a=tanh(x); back(a,f8([1.0]))"]) == 0
    told = capsys.readouterr().out
    assert (
        "grad[x][0] is 0.0, but PyTorch 2.13.0 says 0.0 (exact: 1.6993417021166355e-17). ndgrad is imprecise." in told
    )


def test_nothing_follows_where_both_agree_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """One line says that they agree."""
    assert command_line.main(["repro", "x=f8([0.5]); a=square(x); back(a,f8([1.0]))"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


AGREES = "x=f8([0.5,-1.0]); a=tanh(x); back(a,f8([1.0,3.0]))"

# fmt: off
WRONG_USE = [
    (["verify", "--ops", "tahn"],             "there is no op 'tahn'; did you mean tan or tanh"),
    (["verify", "--ops", "zzz"],              "there is no op 'zzz'; known are add, "),
    (["verify", "--profile", "thorough"],     "invalid choice: 'thorough'"),
    (["verify", "--seed", "x"],               "invalid int value: 'x'"),
    (["repro", "x=f8(1.0)"],                  "the program has no step"),
    (["repro", "x=f8(1.0); a=sinn(x); back(a,f8(1.0))"], "there is no op 'sinn'; did you mean sin"),
    (["repro", "import os"],                  "expected name=op(...)"),
    (["repro", AGREES, "--picture", "x.doc"], "'x.doc' must end in one of .svg, .png, .pdf, .dot"),
    (["repro", AGREES, "--picture", "x.svg", "--python"], "not allowed with argument --picture"),
    (["repro", "x=f8(1.0)", "--python"],      "the program has no step"),
    (["faults", "b04-sum"],                   "there is no fault 'b04-sum'; did you mean "),
    (["faults", "--seeds", "x"],              "'x' must be a whole number from 1 to 1,000,000"),
    (["faults", "--seeds", "0"],              "'0' must be a whole number from 1 to 1,000,000"),
    (["faults", "--seeds", "9" * 20],         "must be a whole number from 1 to 1,000,000"),
    (["faults", "--workers", "0"],            "'0' must be a whole number from 1 to 1,000,000"),
    (["verify", "--workers", "²"],            "'²' must be a whole number from 1 to 1,000,000"),
    (["verify", "--workers", "9" * 5000],     "9999...' must be a whole number"),
    (["verify", "--seed", "-1"],              "'-1' must be a whole number from 0 on"),
    (["verify", "--seed", "9" * 5000],        "9999...' must be a whole number from 0 on"),
    (["verify", "--json", ""],                "'' must be the name of a file"),
    (["verify", "--failures", "a\0b"],        "must be the name of a file"),
    (["verify", "--ops", "\udcff"],           "there is no op '\\udcff'; known are add, "),
    (["repro", ""],                           "the program has no step"),
    (["repro", "x\0"],                        "source code string cannot contain null bytes"),
    (["repro", "sessions ² 1"],               "'sessions ² 1'; a case is its kind, a seed and a number"),
    (["repro", "sessions 0 -1"],              "a case is its kind, a seed and a number"),
    (["repro", "library 0 " + "9" * 5000],    "a case is its kind, a seed and a number, as 'library 0 3'"),
    (["repro", "training 1 2 3"],             "a case is its kind, a seed and a number, as 'training 0 3'"),
    (["repro", "sessions 0 1", "--python"],   "--python and --picture are for programs"),
    (["repro", "sessions 0"],                 "not a program"),
    (["repro", "x=f8(1.0); a=broadcast_to(x,shape=(100000,100000))"], "but a step may have at most 100,000"),
    (["repro", "x=f8([1.0]); a=pad(x,pad_width=100000000); back(a,f8(1.0))"], "but a step may have at most 100,000"),
    (["repro", "x=i8([1,2]); a=negative(x); back(a,f8([1.0,1.0]))"], "only floats have a gradient: write const(i8("),
    ([],                                      "the following arguments are required: command"),
]
# fmt: on


@pytest.mark.parametrize(
    ("arguments", "words"), WRONG_USE, ids=lambda x: " ".join(x)[:30] if isinstance(x, list) else ""
)
def test_wrong_use_is_explained(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It exits with 2, and the error tells what was given and what is expected."""
    try:
        status = command_line.main(arguments)
    except SystemExit as leaving:  # argparse's own way out
        status = int(leaving.code or 0)
    assert status == 2
    assert words in capsys.readouterr().err


# fmt: off
UNWRITABLE = [
    (["verify", "--json", "/dev/null/x"],                       "/dev/null/x: Not a directory"),
    (["verify", "--page", "made/here"],                         "made/here: is a directory: name a file in it"),
    (["page", "--out", "/dev/null/x.html"],                     "/dev/null/x.html: Not a directory"),
    (["page", "--out", "/proc/x"],                              "/proc/x: No such file or directory"),
    (["repro", AGREES, "--picture", "/dev/null/x.svg"],         "/dev/null/x.svg: Not a directory"),
    (["repro", AGREES, "--picture", "full.svg"],                "full.svg: No space left on device"),
    (["verify", "--ops", "tanh", "--profile", "quick", "--json", "/dev/full"], "/dev/full: No space left on device"),
    (["verify", "--ops", "tanh", "--profile", "quick", "--page", "/dev/full"], "/dev/full: No space left on device"),
]
# fmt: on


@pytest.mark.parametrize(("arguments", "words"), UNWRITABLE, ids=lambda x: x if isinstance(x, str) else "")
def test_an_unwritable_file_is_reported(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It exits with 3 and one line on standard error, and leaves no empty or partial file."""
    Path("made/here").mkdir(parents=True)
    Path("full.svg").symlink_to("/dev/full")
    assert command_line.main(arguments) == 3
    assert capsys.readouterr().err.removeprefix("error: ").removeprefix("cannot write ") == f"{words}\n"
    assert sorted(map(str, Path().rglob("*"))) == ["full.svg", "made", "made/here"]


def test_a_file_of_another_kind_is_not_touched(capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused before any work."""
    Path("notes.txt").write_text("Buy milk\n", encoding="utf-8")
    assert command_line.main(["verify", "--ops", "tanh", "--failures", "notes.txt"]) == 2
    printed = capsys.readouterr()
    words = "error: notes.txt holds something other than failing cases: line 1 is 'Buy milk'. "
    assert (printed.out, printed.err.startswith(words)) == ("", True)
    assert Path("notes.txt").read_text(encoding="utf-8") == "Buy milk\n"


def test_json_on_standard_output() -> None:
    """A device can be given in place of a file, so that the result can be read from a pipe."""
    done = run("verify", "--ops", "tanh", "--profile", "quick", "--json", "/dev/stdout")
    assert done.returncode == 0, done.stderr
    start = done.stdout.index("{")
    assert json.JSONDecoder().raw_decode(done.stdout[start:])[0]["agrees"]
    assert "1 op, " in done.stdout


def test_a_wrong_file_leaves_the_others_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that cannot begin does not empty a file of an earlier run."""
    found = tmp_path / "found.json"
    found.write_text("old")
    assert command_line.main(["verify", "--json", str(found), "--page", "/dev/null/x"]) == 3
    assert capsys.readouterr().err == "error: cannot write /dev/null/x: Not a directory\n"
    assert found.read_text() == "old"


FAULT = """
from ndgrad.rules import RULES
right = RULES["square"].pullbacks[0]
RULES["square"].pullbacks = (lambda g, y, x: right(g, y, x) * 2,)
"""


def test_a_program_as_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the script is printed. It runs by itself, and shows a planted fault."""
    exact = AGREES.replace("tanh", "square")  # which both sides compute alike to the bit, on any processor
    assert command_line.main(["repro", exact, "--python"]) == 0
    script = capsys.readouterr().out
    printed = [
        subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
        for source in (script, FAULT + script)
    ]
    assert printed[0].endswith("difference\nvalue = 0.0\ngrad[x] = 0.0\n")
    assert re.search(r"difference\nvalue = 0\.0\ngrad\[x\] = 6\.0\n$", printed[1])


def test_a_picture_of_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The picture names the step at fault, and the exit status is that of the verdict."""
    right, wrong = tmp_path / "made" / "right.svg", tmp_path / "wrong.dot"
    assert command_line.main(["repro", AGREES, "--picture", str(right)]) == 0
    assert capsys.readouterr().out.endswith(f": agrees (4 numbers)\n  picture: {right}\n")
    assert "first wrong" not in right.read_text()
    with scaled("tanh", 0, 2.0)():
        assert command_line.main(["repro", AGREES, "--picture", str(wrong)]) == 1
    assert capsys.readouterr().out.startswith("tanh: grad[x]")
    assert "<B>first&#160;wrong&#160;here:" in wrong.read_text()


def test_a_picture_without_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Its source is written in place of the picture, and standard error tells what to install."""
    monkeypatch.setattr("ndgrad.graph.picture._PYGRAPHVIZ", None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert command_line.main(["repro", AGREES, "--picture", str(tmp_path / "picture.svg")]) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith(f"  picture: {tmp_path / 'picture.dot'}\n")
    assert 'pip install "ndgrad[viz]"' in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["picture.dot"]


def test_an_environment_without_torch_is_reported() -> None:
    """Without PyTorch it exits with 3, and tells what to install."""
    done = run("verify", code="import sys; sys.modules['torch'] = None")
    assert done.returncode == 3
    assert "pip install 'ndgrad[reference]'" in done.stderr


def test_help_needs_no_torch() -> None:
    """Help imports neither PyTorch nor NumPy."""
    done = run("--help", code="import sys; sys.modules['torch'] = sys.modules['numpy'] = None")
    assert done.returncode == 0
    assert "verify" in done.stdout


@pytest.mark.parametrize("ops", ["", ",", " "])
def test_no_op_at_all_is_a_mistake(ops: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list of ops, as from an empty variable of a script, exits with 2."""
    assert command_line.main(["verify", "--ops", ops]) == 2
    assert capsys.readouterr().err == f"error: --ops names no op, but is {ops!r}\n"


def test_an_op_that_raises_disagrees(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that raises is wrong, although no number is compared; a repeated op counts once."""

    def undefined(*_: Any) -> Any:
        raise NameError("planted")

    monkeypatch.setattr(RULES["sqrt"], "pullbacks", (undefined,))
    assert command_line.main(["verify", "--ops", "sqrt,sqrt", "--profile", "quick"]) == 1
    last = r"1 op, \d+ programs, 0 numbers, 0 training runs: ndgrad disagrees with PyTorch [\d.]+ in 1 case, .*"
    assert re.fullmatch(last, capsys.readouterr().out.splitlines()[-1])


def test_a_refusal_by_both_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """If both sides refuse a program, nothing is compared, and both errors are printed."""
    assert command_line.main(["repro", "x=f8([1.0]); a=sum(x,axis=3,keepdims=False); back(a,f8(1.0))"]) == 5
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "nothing was compared"
    assert printed[1].startswith("  ndgrad 0.1.0 says: axis 3 is out of bounds")
    assert printed[2].startswith("  PyTorch")


def test_a_training_run_that_fails_counts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If a training run disagrees, the result is disagreement, although every op agrees."""
    monkeypatch.setattr("reference.campaign.PROFILES", {"quick": command_line_profile()})
    monkeypatch.setattr("reference.checks.training.TASKS", {"article": TASKS["article"]})
    monkeypatch.setattr(
        "reference.checks.training.train", lambda task, *_: TrainingRecord(task.name, goal=0.9, accuracy=(0.5, 0.5))
    )
    status = command_line.main(["verify", "--profile", "quick"])
    printed = capsys.readouterr().out
    assert status == 1
    assert "article: the goal of 90% was not reached" in printed
    assert "in 1 case, shown above." in printed.splitlines()[-1]


def command_line_profile() -> Any:
    """Make a profile of one program for each op."""
    from reference.campaign import Profile  # noqa: PLC0415

    return Profile(1, 1)


NEW_RULE = """
reciprocal = Rule(np.reciprocal, lambda g, y, x: -g * (y * y))
"""
NEW_ROW = """    Op("reciprocal", np.reciprocal, (NONZERO,)),
    Op("exp", """
USE = """
import numpy as np
from ndgrad import Value, reciprocal
x = Value([1.0, -4.0])
reciprocal(x).backward(np.array([1.0, 2.0]))
print(x.grad.tolist(), x.reciprocal().data.tolist(), np.reciprocal(x).requires_grad)
"""
RIGHT_THEN_WRONG = """
from ndgrad.rules import RULES
from reference.__main__ import main
assert main(["verify", "--ops", "reciprocal,add", "--profile", "quick"]) == 0
print("---")
assert main(["repro", "x=f8(2.0); a=reciprocal(x); back(a,f8(1.0))", "--python"]) == 0
print("---")
RULES["reciprocal"].pullbacks = (lambda g, y, x: g,)
"""


def test_a_new_op_is_one_row_in_each_table(tmp_path: Path) -> None:
    """One row in the rules and one in the op table give a new op its function, its method and all checks."""
    assert "reciprocal" not in RULES
    for package in ("ndgrad", "reference"):
        shutil.copytree(ROOT / package, tmp_path / package)
    rules, ops = tmp_path / "ndgrad/rules/elementwise.py", tmp_path / "reference/ops/elementwise.py"
    rules.write_text(rules.read_text() + NEW_RULE)
    ops.write_text(ops.read_text().replace('    Op("exp", ', NEW_ROW, 1))
    used = subprocess.run([sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert used.stdout.strip() == "[-1.0, -0.125] [1.0, -0.25] True"
    done = run("verify", "--ops", "reciprocal", "--profile", "quick", cwd=tmp_path, code=RIGHT_THEN_WRONG)
    assert done.stdout.count("---\n") == 2, done.stdout + done.stderr
    right, script, wrong = done.stdout.split("---\n")
    assert "\nreciprocal " in right
    assert "a = ndgrad.reciprocal(x)" in script
    assert "a = torch.reciprocal(x)" in script
    assert done.returncode == 1
    assert "\nreciprocal: grad[x]" in wrong


def test_faults_are_planted_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Each fault has a row that tells what caught it and after how many cases; the last line counts caught faults."""
    assert command_line.main(["faults", "b040-sum", "b101-divide", "--workers", "1", "--seed", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["b040-sum", "b101-divide"]
    assert lines[-1] == "2 / 2 caught"


def test_a_case_of_another_check_is_run_again(capsys: pytest.CaptureFixture[str]) -> None:
    """A session, a training run or a check of the library can be replayed by its check, seed and number."""
    assert command_line.main(["repro", "sessions 0 3"]) == 0
    assert re.fullmatch(r"ndgrad 0.1.0 and PyTorch [\d.]+: agrees \([\d,]+ numbers\)\n", capsys.readouterr().out)


@pytest.mark.parametrize("line", ["sessions -3 5", "library 0 99999999999999999999"])
def test_any_seed_and_number_name_a_case(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Negative seeds and numbers of any size are valid."""
    assert command_line.main(["repro", line]) == 0
    assert ": agrees (" in capsys.readouterr().out
