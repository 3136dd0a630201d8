"""A repository's archive as it may come: very large, of very many files, or with nothing in it. The worker holds a part of it at a time."""

import os
import pathlib
import re

import pytest

PEAK_MIB = 48


@pytest.fixture(scope="module")
def depot(stack):
    from conftest import Repository

    return Repository(stack, "depot", 901)


def worker_peak_mib(stack):
    pid = (stack.directory / "pid" / "worker").read_text().strip()
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def has_sanitizer(stack):
    pid = (stack.directory / "pid" / "worker").read_text().strip()
    program = os.readlink(f"/proc/{pid}/exe")
    return b"__asan_init" in pathlib.Path(program).read_bytes()


def stored(stack, repository, commit):
    bucket = next(b["Name"] for b in stack.client("s3").list_buckets()["Buckets"] if b["Name"].startswith("berth"))
    return stack.client("s3").head_object(Bucket=bucket, Key=f"tenants/{repository.app}/{commit}.zip")["ContentLength"]


def push_as(stack, repository, **archive):
    stack.github_control("archive", {"repository": repository.name, **archive})
    commit, _ = repository.push(f"As {archive['kind']}")
    return commit


def test_an_archive_with_nothing_in_it_fails_and_says_so(stack, depot):
    push_as(stack, depot, kind="empty")

    release = depot.wait(1, code=1)

    assert release["step"] == "source"
    assert "no files" in release["error"]
    assert release["hint"]


def test_an_archive_of_100_000_files_is_stored_whole(stack, depot):
    commit = push_as(stack, depot, kind="files", count=100_000)

    release = depot.wait(2, code=None)

    assert release["source_version"]
    assert stored(stack, depot, commit) > 100_000 * 2 * 30  # each file's two headers, at least


def test_an_archive_of_500_mb_passes_the_worker_in_bounded_memory(stack, depot):
    commit = push_as(stack, depot, kind="bytes", size=500_000_000)

    release = depot.wait(3, code=None)

    assert release["source_version"]
    assert stored(stack, depot, commit) >= 500_000_000
    if not has_sanitizer(stack):  # a sanitizer keeps what was freed
        assert worker_peak_mib(stack) < PEAK_MIB
