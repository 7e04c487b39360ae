"""check_engine: what an author of another engine is told."""

from __future__ import annotations

import numpy as np
import pytest

from ndgrad.rules import RULES
from reference.check import check_engine
from reference.engines import NdgradEngine


def test_a_right_engine_is_told_nothing() -> None:
    """Where all agrees, there is no text."""
    assert check_engine(NdgradEngine(), ["exp", "sum"]) == []


def test_a_wrong_op_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that fails alone and in expressions is told of once, under its name; a right one beside it is not."""
    monkeypatch.setattr(RULES["exp"], "pullbacks", (lambda g, y, x: -g * y,))
    (words,) = check_engine(NdgradEngine(), ["exp", "sum"])
    assert words.startswith("exp: grad[x] is ")
    assert "ratio -1 everywhere: a sign?" in words


def test_what_is_not_known_is_refused() -> None:
    """An op outside the catalogue, one that the engine has not, and a profile that is none are errors that say so."""
    with pytest.raises(ValueError, match="expp: not in the catalogue, or not among the engine's ops"):
        check_engine(NdgradEngine(), ["exp", "expp"])
    few = NdgradEngine({"exp": RULES["exp"]})
    with pytest.raises(ValueError, match="sum: not in the catalogue"):
        check_engine(few, ["sum"])
    with pytest.raises(ValueError, match="profile is 'thorough', but must be one of quick, standard, deep"):
        check_engine(few, profile="thorough")


def test_nothing_compared_is_an_error() -> None:
    """An engine without ops is not told that it is right."""
    with pytest.raises(ValueError, match="nothing was compared"):
        check_engine(NdgradEngine({}))


class Refusing(NdgradEngine):
    """An engine that cannot do a thing: wrong, on purpose."""

    def data(self, value: object) -> np.ndarray:
        raise NotImplementedError("not yet")


def test_an_engine_that_only_raises_is_told_so() -> None:
    """Errors of the engine are findings, with its own words, and no agreement."""
    (words,) = check_engine(Refusing({"exp": RULES["exp"]}))
    assert "raised NotImplementedError: not yet (RAISED)" in words
