"""One Postgres, stand-in, responder and web server for all tests that don't break them; apps have fresh names, so that tests don't meet."""

import itertools
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.hooks import Hooks  # noqa: E402

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def hooks():
    parts = Hooks()
    yield parts
    parts.end()


@pytest.fixture
def own_hooks():
    """For a test that stops or starves a part."""
    made = []

    def make(**more):
        made.append(Hooks(**more))
        return made[-1]
    yield make
    for parts in made:
        parts.end()


@pytest.fixture
def app(hooks):
    """An app of acme/shop on main, known to the responder; its name."""
    return hooks.make_app(f"app-{next(_numbers)}")
