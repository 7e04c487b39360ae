"""Renders the page into one file: the templates, the style sheet, the scripts and the recorded data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
from markupsafe import Markup

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.report.page.agreeing import Agreement, remarks
from reference.report.page.breaking import BreakResult
from reference.report.page.exploring import CurveData
from reference.report.page.learning import Training
from reference.report.page.numbers import script
from reference.report.page.rounding import Rounding
from reference.report.page.stepping import Walk

SCRIPTS = ("data.js", "charts.js", "choosing.js", "stepping.js", "table.js", "exploring.js", "training.js")


@dataclass(frozen=True)
class Page:
    """The contents of the page, panel by panel.

    Args:
        subject: the subject: ndgrad, or a user's function.
        agreement: the first panel.
        walks: the second.
        breaks: the third.
        curves: the fourth.
        training: the fifth.
        rounding: the sixth.
    """

    subject: str
    agreement: Agreement
    walks: Sequence[Walk]
    breaks: Sequence[BreakResult]
    curves: Sequence[CurveData]
    training: Training
    rounding: Rounding


def render(page: Page) -> str:
    """Render the page as standalone HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _text("templates", name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    recorded = {
        "curves": [curves.data for curves in page.curves],
        "training": page.training.data,
    }
    return environment.get_template("page.html").render(
        page=page,
        engine=NdgradEngine().name,
        reference=TorchEngine().name,
        remarks=remarks,
        data=script(recorded),
        styles=Markup("\n").join(_source(*name) for name in (("uplot", "uPlot.min.css"), ("page.css",))),
        scripts=[_source("uplot", "uPlot.iife.min.js"), *(_source(name) for name in SCRIPTS)],
        licence=_text("static", "uplot", "LICENSE"),
    )


def _text(*path: str) -> str:
    return files("reference.report.page").joinpath(*path).read_text(encoding="utf-8")


def _source(*path: str) -> Markup:
    """Return a style sheet or script of this package, unescaped."""
    return Markup(_text("static", *path))  # noqa: S704 - it is ours
