"""Fixtures: the page of a small run, written once for all tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from reference.campaign import Campaign, Failure, Profile
from reference.checks.training import article, moons, train
from reference.engines.ndgrad import NdgradEngine
from reference.engines.torch import TorchEngine
from reference.mutation.planting import scaled
from reference.report.page import Maps, Page, page_of, write
from tests.reference.both import BOTH

OPS = ("tanh", "add", "softplus", "sum")


class Written(NamedTuple):
    """A page and its file."""

    page: Page
    path: Path


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Write the page of a few programs, short runs, and one failure from a planted fault."""
    campaign = Campaign(NdgradEngine(), TorchEngine(), OPS)
    records = list(campaign.run(Profile(12, 12, {"sessions": 2})))
    records[0].failures.append(failure())
    short = replace(moons(), stages=(replace(moons().stages[0], epochs=10),), test=None, goal=None)
    maps = Maps(short)
    page = page_of(records, [train(article(), *BOTH), train(short, *BOTH, maps)], [maps], OPS, profile="quick", seed=0)
    path = tmp_path_factory.mktemp("page") / "made" / "agreement.html"
    write(page, path)
    return Written(page, path)


def failure() -> Failure:
    """Return the failure of a tanh with twice its slope."""
    with scaled("tanh", 0, 2.0)():
        records = list(Campaign(NdgradEngine(), TorchEngine(), ["tanh"]).run(Profile(12, 0)))
    found = records[0].failures[0]
    assert isinstance(found, Failure)
    return found
