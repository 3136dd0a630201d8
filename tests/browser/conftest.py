"""Pages with apps in every state, and one Chromium to look at them.

BERTH_BUILD names the build to test (default: build), BERTH_AXE the file axe.min.js of the npm package axe-core, BERTH_SCREENSHOTS the folder that
pictures are kept in (default: build/screenshots; script/screenshots makes the README's from them).
"""

import os
import pathlib
import sys
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS / "aws"))

from browser import scenes  # noqa: E402
from browser.chromium import Chromium, program  # noqa: E402
from support import fleet  # noqa: E402
from support.live import LivePages  # noqa: E402
from support.pages import Pages  # noqa: E402
from support.parts import TOP  # noqa: E402


@pytest.fixture(scope="session")
def pages():
    made = LivePages({"BERTH_PLATFORM_LISTENERS": f"{fleet.LISTENER},{fleet.OTHER_LISTENER}", "BERTH_HOOKS_URL": "https://berth.example.com"})
    try:
        fleet.seed(made.postgres)
        fleet.write_logs(made.logs, int(time.time() * 1000))
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def empty_pages():
    """Of an installation on its first day."""
    made = Pages()
    try:
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


@pytest.fixture
def show(request, chromium):
    """show(scene, 360): goes there and returns the browser."""

    def go_there(scene, width=1440, scheme="light"):
        chromium.look_like(width, scheme)
        scenes.go(chromium, request.getfixturevalue("empty_pages" if scene.empty else "pages"), scene)
        return chromium
    return go_there


@pytest.fixture(scope="session")
def keep():
    """keep("overview", 360, "dark", png): into the folder that BERTH_SCREENSHOTS names (default: build/screenshots)."""
    folder = pathlib.Path(os.environ.get("BERTH_SCREENSHOTS", TOP / "build" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return lambda name, width, scheme, png: (folder / f"{name}-{scheme}-{width}.png").write_bytes(png)
