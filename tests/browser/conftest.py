"""Pages with apps in every state, and one Chromium to look at them.

BERTH_BUILD names the build to test (default: build), BERTH_AXE the file axe.min.js of the npm package axe-core.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from browser.chromium import Chromium, program  # noqa: E402
from support import fleet  # noqa: E402
from support.pages import Pages  # noqa: E402


@pytest.fixture(scope="session")
def pages():
    made = Pages()
    try:
        fleet.seed(made.postgres)
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def chromium():
    assert program(), "Chromium is not installed: script/setup --test"
    made = Chromium()
    yield made
    made.end()


@pytest.fixture
def browse(pages, chromium):
    """browse("/apps/shop", 360, "dark"): opens the page and returns the browser."""

    def open_page(path, width=1440, scheme="light", media=""):
        chromium.look_like(width, scheme, media)
        chromium.open(pages.url + path, pages.sign_in("operator"))
        return chromium
    return open_page
