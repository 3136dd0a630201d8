"""One stack for all tests (support/stack.py): a request that AWS would refuse fails the test during which it was made."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.stack import Repository, Stack  # noqa: E402


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    directory = tmp_path_factory.mktemp("stack")
    made = Stack(directory)
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def every_request_passed_the_gate(stack):
    before = len(stack.violations())

    yield

    assert stack.violations()[before:] == []


_numbers = iter(range(1001, 100000))


@pytest.fixture
def make_app(stack):
    """make_app("shop"): an app with its repository; nothing is pushed yet."""
    return lambda app: Repository(stack, app, next(_numbers))
