"""script/bench: measures berth on this machine and prints each figure with its limit. Nothing of it is a test."""

import argparse
import os
import pathlib
import platform
import signal
import subprocess
import sys

import calls
import engine
import memory
import pages
import pushes
import viewers
from parts import Failed, stack_of
from report import note, section

NAMES = ("pushes", "signatures", "memory", "calls", "waiting", "claim", "pages", "viewers")


def first_line(*words):
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
                              ).stdout.splitlines()[0]
    except (OSError, IndexError):
        return f"{words[0]}: not here"


def print_machine(build):
    section("machine", platform.platform())
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if line.startswith("model name")), platform.machine())
    total = int(next(line.split()[1] for line in open("/proc/meminfo", encoding="utf-8") if line.startswith("MemTotal")))
    system = next((line.split("=")[1].strip().strip('"') for line in open("/etc/os-release", encoding="utf-8") if line.startswith("PRETTY_NAME")), "")
    note(f"{os.cpu_count()} cores ({cpu}), {total / 1048576:.0f} GiB, kernel {platform.release()}, {system}")
    note(f"{first_line(build / 'berth', '--version')}; {first_line('lighttpd', '-v')}; {first_line('gcc', '--version')}; "
         f"libfcgi {first_line('dpkg-query', '-W', '-f=${Version}', 'libfcgi0ldbl')}")
    note(f"load average before: {' '.join(f'{load:.2f}' for load in os.getloadavg())}; client, web server, responder and database share this machine")
    if os.getloadavg()[0] > os.cpu_count() / 2:
        note("OTHER WORK RUNS HERE: rates and latencies are worse than they would be; CPU time per request, memory and calls hold")


def measure_intake(build, chosen, quick):
    with stack_of(build) as stack:
        note(stack.sql("SELECT version()").split(" on ")[0])
        load, body = pushes.prepare(stack)
        if "memory" in chosen:  # first: the responder has taken nothing in yet
            memory.measure_responder(stack, load, 2000 if quick else 100_000)
        if "pushes" in chosen:
            pushes.measure_pushes(stack, load, body, 1 if quick else 10)
        if "signatures" in chosen:
            pushes.measure_signatures(stack, load, 1 if quick else 8)
        pushes.check(stack)


def measure_releases(build, chosen, quick):
    with stack_of(build) as stack:
        if "calls" in chosen:
            calls.measure(stack)
        if "memory" in chosen:
            memory.measure_worker(stack, 20_000_000 if quick else memory.ARCHIVE_BYTES)


def main():
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; without: all")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: shows that it runs, not how fast it is")
    parser.add_argument("--build", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    chosen = options.names or NAMES
    print_machine(options.build)
    if {"pushes", "signatures", "memory"} & set(chosen):
        measure_intake(options.build, chosen, options.quick)
    if {"calls", "memory"} & set(chosen):
        measure_releases(options.build, chosen, options.quick)
    if {"waiting", "claim"} & set(chosen):
        with stack_of(options.build) as stack:
            engine.measure(stack, chosen, options.quick)
    if "pages" in chosen:
        with stack_of(options.build) as stack:
            pages.measure(stack, options.quick)
    if "viewers" in chosen:
        with stack_of(options.build) as stack:
            viewers.measure(stack, options.quick)
    section("end", "done")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped on the way out
    try:
        main()
    except Failed as failure:
        sys.exit(f"script/bench: {failure}")
