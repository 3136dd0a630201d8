"""CloudWatch Logs, as far as it has the logs of builds: one that is whole, and one that grows while it is read."""

import http.server
import json
import threading
import time

WRITES_S, RESTS_S, LINES_A_S = 5, 5, 20  # a build that works writes, and then says nothing for a while


def line(number):
    return (f"#{number % 40} [stage-{number % 3} 7/12] RUN npm ci --omit=dev: added package {number} of 1,204 in {number / 7:.1f}s, "
            f"audited {number * 3} packages and found no vulnerability")


class Stream:
    """Of a whole log `count` lines are there from the start; a growing one has what its age gives it."""

    def __init__(self, count=None):
        self.count, self.since = count, time.time()

    def lines(self):
        if self.count is not None:
            return self.count
        rounds, rest = divmod(time.time() - self.since, WRITES_S + RESTS_S)
        return int((rounds * WRITES_S + min(rest, WRITES_S)) * LINES_A_S)


class Logs:
    """streams: {name of the stream: Stream}; asked counts the calls."""

    def __init__(self, streams):
        self.streams, self.asked = streams, 0
        logs = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                logs.asked += 1
                body = json.dumps(logs.answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))).encode()
                self.send_response(200)
                self.send_header("content-type", "application/x-amz-json-1.1")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, ask):
        """GetLogEvents, from the log's beginning on."""
        stream = self.streams.get(ask["logStreamName"], Stream(0))
        begin = int(ask.get("nextToken", "f/0").split("/")[1])
        end = min(stream.lines(), begin + ask.get("limit", 1000))
        at = int(stream.since * 1000)
        return {"events": [{"timestamp": at + number * 50, "ingestionTime": at + number * 50, "message": line(number)} for number in range(begin, end)],
                "nextForwardToken": f"f/{end}", "nextBackwardToken": f"b/{begin}"}

    def stop(self):
        self.server.shutdown()
