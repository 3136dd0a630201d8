"""The operator's pages as a whole: Postgres, berth-fcgi --admin and the web server with its sign-in. No AWS: the pages only read."""

import base64
import http.client
import os
import shutil
import subprocess
import urllib.parse

from support.parts import BUILD, TOP, Postgres, Responder, make_folder, make_web_server, wait_until

USERS = {"operator": "correct horse", "visitor": "battery staple"}
DOMAIN = "apps.example.test"


def hashed(password):
    done = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=password, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()


class Pages:
    def __init__(self, settings=None):
        self.folder = make_folder()
        self.responder = self.web = None
        self.postgres = Postgres(self.folder / "pg")
        try:
            self._start(settings)
        except BaseException:
            self.end()
            raise

    def _start(self, settings):
        self.postgres.migrate()
        self.env = {**os.environ, **self.postgres.env, "BERTH_ADMIN_OPERATORS": "operator", "BERTH_PLATFORM_DOMAIN": DOMAIN,
                    "BERTH_ADMIN_WWW": str(TOP / "www"), **(settings or {})}
        self.env.pop("BERTH_CONFIG", None)
        self.responder = Responder(self.folder, self.env, "--admin", build=BUILD)
        self.web = make_web_server(self.folder, self.folder)
        self.web.users.write_text("".join(f"{name}:{hashed(password)}\n" for name, password in USERS.items()))
        self.port = self.web.port
        self.url = f"http://127.0.0.1:{self.port}"

    def end(self):
        try:
            for part in (self.responder, self.web):
                if part:
                    part.end()
        finally:
            self.postgres.remove()
            shutil.rmtree(self.folder, ignore_errors=True)

    def sign_in(self, user):
        return "Basic " + base64.b64encode(f"{user}:{USERS[user]}".encode()).decode()

    def ask(self, path, user="operator", method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers={"Authorization": self.sign_in(user)} if user else {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def send(self, path, fields, user="operator"):
        """A form, as a browser sends its own site's."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, urllib.parse.urlencode(fields),
                               {"Authorization": self.sign_in(user), "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def wait_until_ready(self):
        wait_until(lambda: self.ask("/").status == 200, what="the overview")
