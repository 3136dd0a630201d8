import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "aws")]


def pytest_collection_modifyitems(items):
    """With --dist loadgroup a file's tests share a worker, and what they made; but the parts of a long sweep run beside each other."""
    for item in items:
        part = item.callspec.params.get("part", 0) if hasattr(item, "callspec") else 0
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name} {part}"))
