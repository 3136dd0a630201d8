"""One connection to Postgres, through libpq itself: what an observer asks many times a second can't afford a psql each time."""

import ctypes
import ctypes.util
import json
import threading
import time

libpq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
libpq.PQconnectdb.restype = ctypes.c_void_p
libpq.PQexec.restype = ctypes.c_void_p
libpq.PQexec.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
libpq.PQgetvalue.restype = ctypes.c_char_p
libpq.PQgetvalue.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
libpq.PQresultErrorMessage.restype = ctypes.c_char_p
for name in ("PQstatus", "PQfinish", "PQresultStatus", "PQresultErrorMessage", "PQntuples", "PQclear", "PQreset"):
    getattr(libpq, name).argtypes = [ctypes.c_void_p]
TUPLES, COMMAND = 2, 1
AWAY_LIMIT_S = 15


class Session:
    """Reconnects by itself: Postgres is restarted under it."""

    def __init__(self, conninfo):
        self._conninfo = conninfo.encode()
        self._connection = None
        self._lock = threading.Lock()

    def rows(self, statement):
        """The rows of a SELECT as dicts, asked again while Postgres is away; [] of anything else. ConnectionError: whether it was done isn't known."""
        until = time.monotonic() + AWAY_LIMIT_S
        while True:
            try:
                with self._lock:
                    return self._ask(statement)
            except ConnectionError:
                if time.monotonic() > until or not statement.startswith("SELECT"):
                    raise
                time.sleep(0.1)

    def _ask(self, statement):
        if not self._connection or libpq.PQstatus(self._connection) != 0:
            self.close()
            self._connection = libpq.PQconnectdb(self._conninfo)
        select = statement.lstrip().upper().startswith("SELECT")
        text = f"SELECT coalesce(json_agg(t), '[]') FROM ({statement}) t" if select else statement
        result = libpq.PQexec(self._connection, text.encode())
        try:
            status = libpq.PQresultStatus(result)
            if status == TUPLES and select:
                return json.loads(libpq.PQgetvalue(result, 0, 0))
            if status in (TUPLES, COMMAND):
                return []
            message = libpq.PQresultErrorMessage(result).decode()
            if libpq.PQstatus(self._connection) != 0 or not result:
                raise ConnectionError(message)
            raise ValueError(f"{message}\n{statement}")
        finally:
            libpq.PQclear(result)

    def close(self):
        if self._connection:
            libpq.PQfinish(self._connection)
        self._connection = None
