"""The page in a real Chromium: each panel works as a person uses it, without errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from reference.report.page.lessons import LESSONS
from tests.reference.report.browser import CHROMIUM, Tab, chromium
from tests.reference.report.conftest import Written

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    """Open a tab for all tests."""
    with chromium() as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab, written: Written) -> Iterator[Tab]:
    """Open the page in a wide window. It must make no network requests and raise no errors."""
    browser.look(1280)
    browser.open(written.path)
    yield browser
    assert browser.complaints == []
    assert {url.partition(":")[0] for url in browser.requests} <= {"file", "data", "about"}


def text(tab: Tab, selector: str) -> str:
    """Return the text of an element."""
    return str(tab.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))


def shown(tab: Tab, selector: str) -> list[str]:
    """Return the ids of the visible elements."""
    found: list[str] = tab.evaluate(
        f"[...document.querySelectorAll({json.dumps(selector)})].filter((e) => e.checkVisibility()).map((e) => e.id)"
    )
    return found


def slide(tab: Tab, name: str, value: int) -> None:
    """Move a slider."""
    tab.evaluate(f"(() => {{ const e = document.getElementById('{name}'); e.value = {value};"
                 " e.dispatchEvent(new Event('input', {bubbles: true})); })()")  # fmt: skip


def choose(tab: Tab, name: str, option: str) -> None:
    """Select an option of a list."""
    tab.evaluate(f"(() => {{ const e = document.getElementById('{name}'); e.value = {json.dumps(option)};"
                 " e.dispatchEvent(new Event('input', {bubbles: true})); })()")  # fmt: skip


def ink(tab: Tab, selector: str) -> int:
    """Count the colours on a canvas; an empty one has 1."""
    return int(
        tab.evaluate(
            f"(() => {{ const c = document.querySelector({json.dumps(selector)});"
            " const image = c.getContext('2d').getImageData(0, 0, c.width, c.height);"
            " return new Set(new Uint32Array(image.data.buffer)).size; })()"
        )
    )


# Agreement.


def ops(tab: Tab) -> list[str]:
    """Return the ops of the visible rows."""
    rows: list[str] = tab.evaluate(
        "[...document.querySelectorAll('#ops tbody tr')].filter((r) => !r.hidden).map((r) => r.dataset.op)"
    )
    return rows


def test_the_table_is_filtered(tab: Tab) -> None:
    """The filter keeps rows with one of the words, and shows their number."""
    every = ops(tab)
    choose(tab, "filter", "TAN, soft")
    assert ops(tab) == ["tanh", "softplus"]
    assert text(tab, "#filtered") == f"2 of {len(every)} shown"
    choose(tab, "filter", "")
    assert ops(tab) == every


def test_the_table_is_sorted(tab: Tab) -> None:
    """A click on a column's head sorts by it, another click reverses; numbers start with the largest."""
    for name, first in ((1, "ascending"), (3, "descending")):
        head = f"#ops thead th:nth-child({name})"
        for way in (first, {"ascending": "descending", "descending": "ascending"}[first]):
            tab.click(f"{head} button")
            assert tab.evaluate(f"document.querySelector('{head}').getAttribute('aria-sort')") == way
            keys = tab.evaluate(
                "[...document.querySelectorAll('#ops tbody tr')].map((r) => "
                + ("r.dataset.op)" if name == 1 else f"Number(r.cells[{name - 1}].dataset.value))")
            )
            assert keys == sorted(keys, reverse=way == "descending")


def test_a_failure_opens(tab: Tab) -> None:
    """A click on a failure shows the harness's text and the picture."""
    assert not tab.evaluate("document.querySelector('.failure pre').checkVisibility()")
    tab.click(".failure summary")
    assert tab.evaluate("document.querySelector('.failure pre').checkVisibility()")
    assert "again: python -m reference repro" in text(tab, ".failure pre")
    assert tab.evaluate("document.querySelector('.failure svg').getBoundingClientRect().width") > 100


# Step through.


def test_steps_by_buttons_and_keys(tab: Tab) -> None:
    """One frame is shown at a time; buttons and arrow keys move; the address and the announcement follow."""
    assert shown(tab, ".frame") == ["step/neuron/0"]
    tab.click("#step-neuron [data-go=on]")
    assert shown(tab, ".frame") == ["step/neuron/1"]
    for key, frame in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2)):
        tab.press(key)
        assert shown(tab, ".frame") == [f"step/neuron/{frame}"]
    assert tab.evaluate("location.hash") == "#step/neuron/2"
    assert text(tab, "#announcement").startswith("Forward: c = x2 * w2")
    tab.click("#step-neuron [data-go=last]")
    assert shown(tab, ".frame") == ["step/neuron/16"]
    assert tab.evaluate("document.querySelector('#step-neuron [data-go=on]').disabled")


def test_a_link_leads_to_a_step(tab: Tab, written: Written) -> None:
    """An address with a step opens the page at this step of its expression."""
    tab.open(written.path, "#step/layer/8")
    assert shown(tab, ".walk") == ["step-layer"]
    assert shown(tab, ".frame") == ["step/layer/8"]
    assert text(tab, "#step-layer .count") == "step 8 of 10"
    tab.evaluate("location.hash = '#step/reused/5'")
    tab.look(1280)
    assert shown(tab, ".frame") == ["step/reused/5"]


def gradients(tab: Tab) -> list[str]:
    """Return the gradients in the picture."""
    found: list[str] = tab.evaluate(
        "[...document.querySelectorAll('.walk.on .graph .grad')].filter((e) => getComputedStyle(e).display !== 'none')"
        ".map((e) => e.textContent)"
    )
    return found


def test_the_picture_fills_step_by_step(tab: Tab) -> None:
    """Gradients appear and change in the picture as contributions arrive, and the active parts are highlighted."""
    tab.click("[data-choose=step-reused]")
    assert gradients(tab) == []
    three_sides = []
    for _ in range(10):
        tab.press("ArrowRight")
        three_sides.append(gradients(tab))
    assert three_sides[3] == ["grad 1"]
    assert sorted(three_sides[6]) == ["grad 1", "grad 108", "grad 6"]
    assert sorted(three_sides[-1]) == ["grad 1", "grad 108", "grad 216", "grad 324", "grad 6"]
    assert tab.evaluate("document.querySelectorAll('.walk.on .lit').length") == 0
    tab.press("ArrowLeft")
    assert tab.evaluate("document.querySelectorAll('.walk.on .lit').length") == 3


def test_arrow_keys_keep_their_meaning_elsewhere(tab: Tab) -> None:
    """An arrow key on a slider moves the slider, not the step."""
    tab.evaluate("document.getElementById('x-slider').focus()")
    before = tab.evaluate("document.getElementById('x-slider').value")
    tab.press("ArrowRight")
    assert tab.evaluate("document.getElementById('x-slider').value") == str(int(before) + 1)
    assert shown(tab, ".frame") == ["step/neuron/0"]


# Break it, and explore.


def test_each_bug_can_be_chosen(tab: Tab, written: Written) -> None:
    """A button shows one bug, is marked as pressed, and hides the others."""
    for bug in written.page.breaks:
        tab.click(f"[data-choose=break-of-{bug.shown.name}]")
        assert shown(tab, "#break .choice") == [f"break-of-{bug.shown.name}"]
        pressed = tab.evaluate("document.querySelector('#break [aria-pressed=true]').textContent")
        assert pressed == bug.shown.title


def test_sliders_go_along_what_was_recorded(tab: Tab, written: Written) -> None:
    """For each function, the sliders show the recorded numbers, and both charts are drawn."""
    for record_curves in written.page.curves:
        choose(tab, "curve", record_curves.curve.title)
        for i, j in ((0, 24), (20, 12), (40, 0)):
            slide(tab, "x-slider", i)
            slide(tab, "h-slider", j)
            x, mine, theirs, exact, ulp = record_curves.data["points"][i]
            assert text(tab, "#x-out") == x
            assert [text(tab, f"#slope-{side}") for side in ("mine", "theirs", "ulp")] == [mine, theirs, ulp]
            assert text(tab, "#slope-exact").startswith(exact)
        assert ink(tab, "#curve-chart canvas") > 3
        assert ink(tab, "#error-chart canvas") > 3


# Train.


def test_runs_can_be_chosen(tab: Tab) -> None:
    """Losses and drift of each run are drawn, and the text says from which step on a bit differs."""
    for run in ("article", "two moons"):
        choose(tab, "run", run)
        assert "A bit differs for the first time after step" in text(tab, "#run-words")
        assert ink(tab, "#loss-chart canvas") > 3
        assert ink(tab, "#drift-chart canvas") > 3


def test_maps_follow_the_slider(tab: Tab) -> None:
    """Each recorded step has maps of both sides, which change between steps."""
    pictures = []
    for k, step in enumerate(("1", "5", "10")):
        slide(tab, "map-slider", k)
        assert text(tab, "#map-out") == step
        pictures.append(tab.evaluate("document.getElementById('map-mine').toDataURL()"))
    assert len(set(pictures)) == 3
    assert ink(tab, "#map-theirs") > 20


# Accessibility.


@pytest.mark.parametrize("width", [375, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_every_width(tab: Tab, width: int, *, dark: bool) -> None:
    """Nothing is wider than the window, except elements that scroll."""
    tab.look(width, dark=dark)
    assert tab.evaluate("document.documentElement.scrollWidth") == width


def luminance(colour: str) -> float:
    """Compute the luminance of a colour such as `rgb(1, 2, 3)` by the formula of WCAG 2."""
    channels = [int(c) / 255 for c in colour[4:-1].split(",")]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["ink", "faint", "mine", "theirs", "good", "bad"])
def test_words_stand_out_from_the_paper(tab: Tab, name: str, *, dark: bool) -> None:
    """The contrast of every text colour is at least 4.5, as WCAG 2 requires, in light and dark schemes."""
    tab.look(1280, dark=dark)
    colours = [computed(tab, f"var(--{name})"), computed(tab, "var(--paper)")]
    low, high = sorted(map(luminance, colours))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def computed(tab: Tab, colour: str) -> str:
    """Return a colour as the browser computes it."""
    return str(tab.evaluate(f"(() => {{ document.body.style.caretColor = '{colour}';"
                            " return getComputedStyle(document.body).caretColor; })()"))  # fmt: skip


def test_charts_are_redrawn_in_the_dark(tab: Tab) -> None:
    """The charts follow the page's colour scheme."""
    pixel = "document.querySelector('#loss-chart canvas').toDataURL()"
    light = tab.evaluate(pixel)
    tab.look(1280, dark=True)
    assert tab.evaluate(pixel) != light


def test_everything_has_a_name(tab: Tab) -> None:
    """Buttons, fields, pictures and scrolling parts have accessible names, and each table has a caption."""
    unnamed: list[Any] = tab.evaluate(
        "[...document.querySelectorAll('button, input, select, [role=img], [role=group], #moons canvas')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert unnamed == []
    assert (
        tab.evaluate("[...document.querySelectorAll('table')].filter((t) => !t.caption?.textContent.trim()).length")
        == 0
    )
    assert tab.evaluate("[...document.querySelectorAll('th')].filter((h) => !h.scope).length") == 0


def test_without_scripts_everything_is_there(tab: Tab, written: Written) -> None:
    """Without JavaScript all frames and bugs are shown, tables replace charts, and no useless button is shown."""
    tab.open(written.path, scripts=False)
    frames = sum(len(walk.frames) for walk in written.page.walks)
    assert len(shown(tab, ".frame")) == frames
    assert len(shown(tab, "#break .choice")) == len(written.page.breaks)
    assert (
        tab.evaluate(
            "[...document.querySelectorAll('button')].filter((b) => b.checkVisibility() && !b.disabled).length"
        )
        == 0
    )
    assert "Without JavaScript" in text(tab, "header")
    assert len(LESSONS) == len(shown(tab, ".walk"))


def test_on_paper_nothing_is_cut_off(tab: Tab) -> None:
    """On paper, tables are complete, all steps of a walk are shown, and controls are hidden."""
    tab.look(900, printed=True)
    assert tab.evaluate("getComputedStyle(document.querySelector('.tall')).maxHeight") == "none"
    assert not tab.evaluate("document.querySelector('nav').checkVisibility()")
    assert shown(tab, ".frame") == [f"step/neuron/{i}" for i in range(17)]
    assert len(gradients(tab)) == 10
