"""The AWS stand-in: one URL for every service, on moto, behind the gate. See README.md.

    .venv/bin/python tests/aws/server.py --port 0 --ready-file FILE [--seed N] [--speed X]
"""

import argparse
import logging
import os
import signal
import sys

# Read by moto when it is imported: no CORS headers (AWS sends none), and a bucket's region must be given.
os.environ.setdefault("MOTO_DISABLE_GLOBAL_CORS", "true")
# boto3 inside moto must never look for credentials outside.
os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")

from moto.core import responses as moto_responses
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from waitress.server import create_server

import codebuild
import ecs
import elbv2
import identity
import simulator
from control import Control
from faults import Book, Faults
from overlay import Overlay
from stale import Stale
from world import World

# Each kept connection of a client may have a request in hand.
THREADS = 32
MAX_BODY = 6 << 30


def compose(world):
    """The WSGI application: control endpoint, gate, overlay, moto."""
    install_seed(world)
    for service in (identity, simulator, codebuild, elbv2, ecs):
        service.install(world)
    moto = DomainDispatcherApplication(create_backend_app)
    # Making a service's application draws ids, so after a reset it is made again, as after a start.
    world.on_reset(moto.app_instances.clear)
    world.faults = Book(world)
    return Control(world, gated(world, Faults(world, Stale(world, Overlay(world, moto)))))


def gated(world, app):
    try:
        from gate import Gate
    except ModuleNotFoundError as missing:
        if missing.name != "gate":
            raise
        print("no gate: requests are not checked", file=sys.stderr)
        return app
    return Gate(app, world.journal, world.keys, world.clock, skews=world.faults.skews)


def install_seed(world):
    """Make moto's ids follow the seed, and nothing else: a poll more or less must not change the next id."""

    def request_id(headers):
        headers["x-amzn-requestid"] = world.next_uuid("request")
        return headers["x-amzn-requestid"]

    def reset():
        reset_model_data()
        BackendDict.reset()
        mock_random.seed(world.seed)

    moto_responses.gen_amzn_requestid_long = request_id
    world.on_reset(reset)
    reset()


def serve(app, port, ready_file):
    server = create_server(
        app, host="127.0.0.1", port=port, threads=THREADS, ident="stand-in", max_request_body_size=MAX_BODY,
        connection_limit=1000, backlog=1024, channel_timeout=600, clear_untrusted_proxy_headers=False,
    )
    write_ready(ready_file, server.effective_port)
    server.run()


def write_ready(path, port):
    """Whoever waits for the file must never read half of it."""
    if path:
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="ascii") as file:
            file.write(f"{port}\n")
        os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ready-file", help="gets the port once requests are answered")
    parser.add_argument("--seed", type=int, default=1, help="ids and digests follow from it")
    parser.add_argument("--speed", type=float, default=1.0, help="2 lets builds and rollouts take half the time")
    arguments = parser.parse_args()

    world = World(arguments.seed, arguments.speed)
    # There is nothing to finish and nothing to keep: whoever ends the stand-in wants it gone at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: (world.close(), os._exit(0)))
    # A cut answer is no news: it was ordered.
    logging.getLogger("waitress").setLevel(logging.ERROR)
    serve(compose(world), arguments.port, arguments.ready_file)


if __name__ == "__main__":
    main()
