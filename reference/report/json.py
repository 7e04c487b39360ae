"""The JSON report: all results of a campaign, in a file whose schema has a version."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ndgrad import files
from reference.campaign import Failure, Found, Record
from reference.checks.training import TrainingRecord
from reference.ops import OPS
from reference.verdict import Finding

SCHEMA = 2  # increased when a field is removed or changes its meaning, but not when one is added
FINISHED, INTERRUPTED, FAILED = "finished", "interrupted", "harness failed"  # how a run ends


def versions() -> dict[str, str]:
    """Return the versions of Python and the packages."""
    installed = {"python": platform.python_version()}
    for name in ("ndgrad", "numpy", "torch", "hypothesis", "scikit-learn"):
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            installed[name] = "not installed as a package"
    return installed


def document(
    records: Sequence[Record],
    runs: Sequence[TrainingRecord],
    *,
    engine: str,
    reference: str,
    profile: str,
    seed: int,
    ended: str = FINISHED,
    error: str | None = None,
) -> dict[str, Any]:
    """Return the report as plain dicts and lists. Numbers in findings are strings, since JSON has no NaN.

    Args:
        records: the campaign's records.
        runs: the training runs.
        engine: the engine's name.
        reference: the reference's name.
        profile: the campaign's profile.
        seed: the campaign's seed.
        ended: `finished`, `interrupted` or `harness failed`. A run that did not finish or compared nothing never
            agrees.
        error: the error that ended the run, if it did not finish.
    """
    failures = [failure for record in records for failure in record.failures]
    numbers = sum(r.numbers for r in records) + sum(r.numbers for r in runs)
    return {
        "schema": SCHEMA,
        "engine": engine,
        "reference": reference,
        "versions": versions(),
        "profile": profile,
        "seed": seed,
        "ended": ended,
        "error": error,
        "agrees": ended == FINISHED and numbers > 0 and not failures and all(run.agrees for run in runs),
        "counts": {
            "ops": sum(record.op in OPS for record in records),
            "programs": sum(record.programs for record in records),
            "numbers": numbers,
            "conditioned": sum(record.conditioned for record in records),
            "audits": sum(record.audits for record in records),
            "audited": sum(record.audited for record in records),
            "imprecise": sum(record.imprecise for record in records),
            "inconclusive": sum(record.inconclusive for record in records),
            "reference_imprecise": sum(record.reference_imprecise for record in records),
            "reference_wrong": sum(record.reference_wrong for record in records),
            "witnessed": sum(record.witnessed for record in records),
            "refused": sum(record.refused for record in records),
            "failures": len(failures),
            "training_runs": len(runs),
        },
        "ops": [_op(record) for record in records],
        "failures": [_failure(failure) for failure in failures],
        "training": [_run(run) for run in runs],
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write the file; make its folder if that is missing."""
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    files.write(path, text.encode())


def _op(record: Record) -> dict[str, Any]:
    names = ("op", "programs", "numbers", "audits", "audited", "worst", "conditioned", "imprecise", "inconclusive",
             "reference_imprecise", "reference_wrong", "witnessed", "refused", "unsuited")  # fmt: skip
    counts = {name: getattr(record, name) for name in names}
    return {**counts, "failures": len(record.failures), "told": list(record.elsewhere)}


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "op": failure.op,
        "kind": failure.case.kind,
        "case": str(failure.case),
        "text": failure.transcript,
        "result": str(failure.verdict.result),
        "judge": failure.verdict.judge,
        "reason": failure.verdict.reason,
        "origin": {"step": failure.explanation.origin.step, "says": failure.explanation.origin.says},
        "raised": failure.explanation.raised,
        "distance": failure.explanation.distance,
        "cause": failure.explanation.cause,
        "convention": failure.explanation.convention,
        "known": dict(failure.explanation.known),
        "findings": [_finding(finding) for finding in failure.verdict.findings],
        "found": failure.found and _case_id(failure.found),
    }


def _case_id(found: Found) -> dict[str, Any]:
    return dict(zip(("seed", "for", "number"), found, strict=True))


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": str(finding.kind),
        "part": finding.part,
        "says": finding.says,
        "place": list(finding.place),
        "got": _text(finding.got),
        "wanted": _text(finding.wanted),
        "ulp": str(finding.ulp),
        "allowed": str(finding.allowed),
        "exact": _text(finding.exact),
        "result": str(finding.result),
        "judge": finding.judge,
        "reason": finding.reason,
    }


def _text(number: Any) -> str | None:
    return None if number is None else str(np.asarray(number))


def _run(run: TrainingRecord) -> dict[str, Any]:
    return {
        "name": run.name,
        "agrees": run.agrees,
        "steps": run.steps,
        "numbers": run.numbers,
        "worst": run.worst,
        "conditioned": run.conditioned,
        "drift": run.drift,
        "first_difference": run.first_difference,
        "losses": [list(map(str, pair)) for pair in run.losses],
        "accuracy": None if run.accuracy is None else list(run.accuracy),
        "goal": run.goal,
        "text": run.transcript,
        "raised": run.explanation.raised,
        "distance": run.explanation.distance,
        "cause": run.explanation.cause,
        "failures": [
            {"step": step, "optimizer": optimizer, **_finding(finding)} for step, optimizer, finding in run.failures
        ],
    }
