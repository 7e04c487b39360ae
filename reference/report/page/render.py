"""Puts everything into one file: the template, the style sheet, the scripts and all that was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
from markupsafe import Markup

from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.report.page.agreeing import Agreement, known
from reference.report.page.bits import Bits
from reference.report.page.breaking import Broken
from reference.report.page.exploring import Explored
from reference.report.page.learning import Learned
from reference.report.page.numbers import script
from reference.report.page.stepping import Walk

SCRIPTS = ("data.js", "charts.js", "choosing.js", "stepping.js", "table.js", "exploring.js", "training.js")


@dataclass(frozen=True)
class Page:
    """All that stands on the page, panel by panel.

    Args:
        subject: what the page is about: ndgrad, or a user's function.
        agreement: the first panel.
        walks: the second.
        broken: the third.
        explored: the fourth.
        learned: the fifth.
        bits: the sixth.
    """

    subject: str
    agreement: Agreement
    walks: Sequence[Walk]
    broken: Sequence[Broken]
    explored: Sequence[Explored]
    learned: Learned
    bits: Bits


def render(page: Page) -> str:
    """The page as one HTML text that needs nothing else."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _text("templates", name)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    recorded = {
        "curves": [explored.data for explored in page.explored],
        "training": page.learned.data,
    }
    return environment.get_template("page.html").render(
        page=page,
        engine=NdgradEngine().name,
        reference=TorchEngine().name,
        known=known,
        data=script(recorded),
        styles=Markup("\n").join(_source(*name) for name in (("uplot", "uPlot.min.css"), ("page.css",))),
        scripts=[_source("uplot", "uPlot.iife.min.js"), *(_source(name) for name in SCRIPTS)],
        licence=_text("static", "uplot", "LICENSE"),
    )


def _text(*path: str) -> str:
    return files("reference.report.page").joinpath(*path).read_text(encoding="utf-8")


def _source(*path: str) -> Markup:
    """A style sheet or script of this package, which is taken as it is."""
    return Markup(_text("static", *path))  # noqa: S704 - it is ours
