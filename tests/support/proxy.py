"""A stretch of network between berth and Postgres that a test can cut at the worst moment."""

import pathlib
import socket
import threading
import time


class PostgresProxy:
    """A unix socket in `folder` that passes everything on to the server in `home`."""

    def __init__(self, folder, home):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self._server = f"{home}/.s.PGSQL.5432"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / ".s.PGSQL.5432"))
        (self.folder / ".s.PGSQL.5432").chmod(0o777)
        self._listener.listen(64)
        self._swallow = None
        self.swallowed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow_answer_to(self, text):
        """The next statement that holds the text reaches the server; its answer reaches nobody, and the connection breaks."""
        self.swallowed.clear()
        self._swallow = text.encode()

    def end(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._server)
            except OSError:
                client.close()
                continue
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server), daemon=True).start()

    def _requests(self, client, server):
        try:
            while data := client.recv(1 << 20):
                if self._swallow and self._swallow in data:
                    self._swallow = None
                    # From here on nothing of the server's comes through.
                    client.shutdown(socket.SHUT_WR)
                    server.sendall(data)
                    time.sleep(0.5)
                    self.swallowed.set()
                    break
                server.sendall(data)
        except OSError:
            pass
        self._hang_up(client, server)

    def _answers(self, client, server):
        try:
            while data := server.recv(1 << 20):
                client.sendall(data)
        except OSError:
            pass
        self._hang_up(client, server)

    @staticmethod
    def _hang_up(*ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
