"""The page of `cfsso report --html` as a browser shows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find_browser
from needs import lacking
from pages import mixed, recorded, report

from cfsso.cli import html_report


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return a browser, if the machine has one."""
    path = find_browser()
    if path is None:
        lacking("chromium")
    with Browser(path) as running:
        yield running


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_a_browser_shows_it(
    width: int, scheme: str, browser: Browser, tmp_path: Path
) -> None:
    """It is shown whole, asks for nothing, complains of nothing, and fits a phone and a desk."""
    file = tmp_path / "report.html"
    html_report.save(mixed(), str(file))

    async with browser.tab(width, scheme) as tab:
        await tab.show(file.as_uri())
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert await tab.ask(fits)
        assert width == await tab.ask("innerWidth")
        ground = await tab.ask("getComputedStyle(document.body).backgroundColor")
        assert {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 21, 26)"}[scheme] == ground
        assert "rollout.cfsso: 5 of 8 not green" == await tab.ask("document.title")
        assert (await tab.ask("document.body.lastElementChild.textContent")).startswith("Written ")
        assert [file.as_uri()] == tab.requests
        assert [] == tab.complaints


async def test_the_choice_works_without_scripts(browser: Browser, tmp_path: Path) -> None:
    """A choice of status leaves the rows of that status, and only the accounts that have some."""
    file = tmp_path / "report.html"
    html_report.save(mixed(), str(file))
    shown = "[...document.querySelectorAll('.results {}')].filter(e => e.offsetHeight).length"

    async with browser.tab(1280, "light") as tab:
        await tab.call("Emulation.setScriptExecutionDisabled", value=True)
        await tab.show(file.as_uri())
        counts = [
            await tab.ask(shown.format(each)) for each in ("td b", "tbody.unknown", ".account")
        ]
        await tab.ask("document.getElementById('show-unknown').click()")
        chosen = [
            await tab.ask(shown.format(each)) for each in ("td b", ".unknown td b", ".account")
        ]

    assert [13, 1, 3] == counts
    assert [2, 2, 1] == chosen


async def test_ten_thousand_targets_are_usable(browser: Browser, tmp_path: Path) -> None:
    """A page of 10,000 targets is laid out, and fits a phone, while all folds are closed."""
    file = tmp_path / "report.html"
    statuses = ["changed"] * 29 + ["failed"]
    html_report.save(report(*(recorded(n, statuses[n % 30], n) for n in range(10_000))), str(file))

    async with browser.tab(360, "dark") as tab:
        await tab.show(file.as_uri())
        assert 100 == await tab.ask("document.querySelectorAll('details:not([open])').length")
        assert await tab.ask("document.documentElement.scrollWidth <= innerWidth")
        assert [] == tab.complaints


async def test_a_printed_page_shows_no_choice(browser: Browser, tmp_path: Path) -> None:
    """On paper all is black on white, even for whoever likes it dark, and nothing is cut off."""
    file = tmp_path / "report.html"
    html_report.save(mixed(), str(file))

    async with browser.tab(1000, "dark", media="print") as tab:
        await tab.show(file.as_uri())
        style = "getComputedStyle(document.querySelector('{}')).{}"
        assert "rgb(255, 255, 255)" == await tab.ask(style.format("body", "backgroundColor"))
        assert "none" == await tab.ask(style.format(".filter", "display"))
        assert await tab.ask("document.documentElement.scrollWidth <= innerWidth")
