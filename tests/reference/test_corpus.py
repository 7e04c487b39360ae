"""The verdicts on the corpus are unchanged: a sample is checked here, and all of it in `make deep`."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.reference import corpus

PROGRAMS, ENTRIES = corpus.read()
SHARE = 250  # entries: some two seconds for ndgrad, and a few more for the wrong engines


def test_the_corpus_is_large() -> None:
    """It has 20,000 programs, all judged for ndgrad, and some two hundred for each of thirty wrong engines."""
    assert len(PROGRAMS) == len(set(PROGRAMS)) == 20_000
    counts = Counter(entry.engine for entry in ENTRIES)
    assert counts.pop(corpus.NDGRAD) == len(PROGRAMS)
    assert counts.keys() == corpus.WRONG.keys()
    assert len(counts) == 30
    assert min(counts.values()) > 150
    for engine, number in ((e.engine, e.program) for e in ENTRIES if e.engine != corpus.NDGRAD):
        assert f"={engine.partition(':')[0]}(" in PROGRAMS[number]


def test_each_wrong_engine_is_found() -> None:
    """Each wrong engine is found in at least 4 of its programs."""
    wrong = Counter(e.engine for e in ENTRIES if not e.answers[0].startswith("agrees"))
    assert min(wrong[engine] for engine in corpus.WRONG) >= 4


@pytest.mark.parametrize("kind", ["ndgrad", "wrong engines"])
def test_the_answers_are_unchanged(kind: str) -> None:
    """The result, and each finding's kind, part and place, are those of the corpus."""
    entries = [e for e in ENTRIES if (e.engine == corpus.NDGRAD) == (kind == "ndgrad")]
    some = sorted(random.Random(0).sample(entries, SHARE), key=lambda e: e.engine)  # noqa: S311 - the same each time
    for engine in dict.fromkeys(e.engine for e in some):
        own = [e for e in some if e.engine == engine]
        said = corpus.answers(engine, [PROGRAMS[e.program] for e in own])
        assert [
            f"{answer}, not {' or '.join(e.answers)}: {engine}: {PROGRAMS[e.program]}"
            for e, answer in zip(own, said, strict=True)
            if answer not in e.answers
        ] == []
