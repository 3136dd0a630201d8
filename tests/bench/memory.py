"""Resident memory of the responder and of the worker, as the kernel counts it (shared libraries included)."""

import threading
import time

from parts import Failed, Repository, forget_peak, memory_mib
from report import note, section, table

AIM_MIB = 48
ARCHIVE_BYTES = 500_000_000


def row(name, memory, aim=""):
    return [name, f"{memory['VmRSS']:.1f}", f"{memory['VmHWM']:.1f}", aim]


def measure_responder(stack, load, requests):
    section("memory", f"berth-fcgi --hooks, MiB: idle, and after {requests} accepted pushes over 64 connections")
    pid = stack.pid("hooks")
    rows = [row("idle", memory_mib(pid))]
    load.send(64, {}, requests=max(requests // 10, 1))
    rows.append(row(f"after {requests // 10}", memory_mib(pid)))
    result = load.send(64, {}, requests=requests - requests // 10)
    rows.append(row(f"after {requests}", memory_mib(pid)))
    table(["berth-fcgi --hooks", "VmRSS", "VmHWM", "aim"], rows)
    note(f"answers by status: {result['statuses']}")


class Sampler(threading.Thread):
    """Highest VmRSS seen while it runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.on = pid, 0.0, True

    def run(self):
        while self.on:
            self.most = max(self.most, memory_mib(self.pid)["VmRSS"])
            time.sleep(0.02)


def measure_worker(stack, archive_bytes):
    section("memory", f"berth worker, MiB: idle, after a release, and while an archive of {archive_bytes / 1e6:.0f} MB passes")
    pid = stack.pid("worker")
    time.sleep(1)
    rows = [row("idle", memory_mib(pid))]
    repository = Repository(stack, "large")
    repository.push("A small archive first")
    repository.wait(1)
    rows.append(row("after a release", memory_mib(pid)))

    stack.control(stack.github, "archive", {"repository": repository.name, "kind": "bytes", "size": archive_bytes})
    forget_peak(pid)
    sampler = Sampler(pid)
    sampler.start()
    started = time.monotonic()
    repository.push("A large one")
    release = repository.wait(2)
    sampler.on = False
    peak = max(sampler.most, memory_mib(pid)["VmHWM"])  # the kernel adds to its own count now and then only
    verdict = f"under {AIM_MIB}" if peak < AIM_MIB else f"MISSED: {AIM_MIB}"
    rows.append(row(f"while {archive_bytes / 1e6:.0f} MB pass", {"VmRSS": sampler.most, "VmHWM": peak}, verdict))
    table(["berth worker", "VmRSS", "VmHWM", "aim"], rows)
    stored = [call for call in stack.calls() if call["operation"] in ("UploadPart", "PutObject")]
    state = release.get("state") or release.get("release", {}).get("state")
    note(f"the release ended {state} after {time.monotonic() - started:.1f} s, stand-ins included; "
         f"{len([call for call in stored if call['operation'] == 'UploadPart'])} parts were uploaded")
    if not any(call["operation"] == "UploadPart" for call in stored) and archive_bytes > 100e6:
        raise Failed("the archive did not reach S3")
