"""What the verdict says of the corpus is what it said: a share of it here, all of it in `make deep`."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.reference import corpus

PROGRAMS, ENTRIES = corpus.read()
SHARE = 250  # entries: some two seconds for ndgrad's, and a few more for those of engines that are wrong


def test_the_corpus_is_large() -> None:
    """20,000 programs, each judged for ndgrad; and for thirty engines some two hundred that meet the op they spoil."""
    assert len(PROGRAMS) == len(set(PROGRAMS)) == 20_000
    counts = Counter(entry.engine for entry in ENTRIES)
    assert counts.pop(corpus.NDGRAD) == len(PROGRAMS)
    assert counts.keys() == corpus.WRONG.keys()
    assert len(counts) == 30
    assert min(counts.values()) > 150
    for engine, number in ((e.engine, e.program) for e in ENTRIES if e.engine != corpus.NDGRAD):
        assert f"={engine.partition(':')[0]}(" in PROGRAMS[number]


def test_each_wrong_engine_is_told_to_be_wrong() -> None:
    """On 4 of its programs at least."""
    wrong = Counter(e.engine for e in ENTRIES if not e.answers[0].startswith("agrees"))
    assert min(wrong[engine] for engine in corpus.WRONG) >= 4


@pytest.mark.parametrize("kind", ["ndgrad", "wrong engines"])
def test_the_corpus_says_the_same(kind: str) -> None:
    """The result, and of each finding its kind, part and place."""
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
