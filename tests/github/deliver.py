"""Delivers a webhook as GitHub does: signed, once, within ten seconds, and written down. Standard library only."""
import hashlib
import hmac
import http.client
import json
import os
import socket
import ssl
import time
import uuid
from urllib.parse import urlsplit

TIMEOUT_S = 10
PAYLOAD_MAX = 25 * 1024 * 1024
ANSWER_MAX = 64 * 1024


def encode(payload):
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def deliver(repository, facts, event, body, guid=None):
    """Post the body to the repository's hook and keep the delivery. Returns the record; never raises for the receiver."""
    hook = facts["hook"]
    record = {"id": time.time_ns(), "guid": guid or str(uuid.uuid4()), "event": event, "redelivery": guid is not None,
              "delivered_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    if len(body) > PAYLOAD_MAX:
        record.update(status="payload too large: not delivered", status_code=0, duration=0.0, request=None, response=None)
        return _keep(repository, record)
    headers = _headers(facts, hook, event, record["guid"], body)
    began = time.monotonic()
    status, answer = _post(hook["url"], headers, body)
    record.update(duration=round(time.monotonic() - began, 3), status=status, status_code=answer["status_code"],
                  request={"url": hook["url"], "headers": headers, "body": body.decode()}, response=answer)
    return _keep(repository, record)


def _headers(facts, hook, event, guid, body):
    with open(hook["secret_file"], "rb") as file:
        secret = file.read().strip()
    return {
        "User-Agent": "GitHub-Hookshot/044aadd", "Accept": "*/*", "Content-Type": "application/json",
        "X-GitHub-Delivery": guid, "X-GitHub-Event": event, "X-GitHub-Hook-ID": str(hook["id"]),
        "X-GitHub-Hook-Installation-Target-ID": str(facts["id"]),
        "X-GitHub-Hook-Installation-Target-Type": "repository",
        "X-Hub-Signature": "sha1=" + hmac.new(secret, body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
    }


def _post(url, headers, body):
    """(one word on how it went, the answer). No proxy, no redirect followed, no second try."""
    address = urlsplit(url)
    tls = address.scheme == "https"
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    options = {"context": ssl.create_default_context()} if tls else {}
    connection = kind(address.hostname, address.port, timeout=TIMEOUT_S, **options)
    nothing = {"status_code": 0, "headers": {}, "body": ""}
    deadline = time.monotonic() + TIMEOUT_S
    try:
        connection.request("POST", address.path + (f"?{address.query}" if address.query else ""), body, headers)
        response = connection.getresponse()
        text = _read_until(connection, response, deadline)
        answer = {"status_code": response.status, "headers": dict(response.getheaders()),
                  "body": text.decode("utf-8", "replace")}
        return ("OK" if response.status < 300 else "Invalid HTTP Response: " + str(response.status)), answer
    except (socket.timeout, TimeoutError):
        return "timed out", nothing
    except (OSError, http.client.HTTPException) as error:
        return f"failed to connect to host: {type(error).__name__}: {error}", nothing
    finally:
        connection.close()


def _read_until(connection, response, deadline):
    """The answer's body; the ten seconds hold for the whole exchange, so a trickling answer ends it too."""
    text = b""
    while len(text) < ANSWER_MAX:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if connection.sock:
            connection.sock.settimeout(left)
        piece = response.read1(ANSWER_MAX)
        if not piece:
            break
        text += piece
    return text


def _keep(repository, record):
    folder = os.path.join(repository, "deliveries")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"{record['id']}.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
    os.replace(path + ".new", path)
    return record


def deliveries(repository):
    """All kept deliveries, oldest first."""
    folder = os.path.join(repository, "deliveries")
    names = sorted(name for name in (os.listdir(folder) if os.path.isdir(folder) else ()) if name.endswith(".json"))
    records = []
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            records.append(json.load(file))
    return records


def in_words(record):
    """One line on a delivery for a terminal, with nothing in it that a terminal would act on."""
    answer = (record["response"] or {}).get("body", "")
    told = answer if record["status_code"] else record["status"]
    line = "".join(c if c.isprintable() else " " for c in told)
    return f"berth: {record['status_code'] or 'no answer,'} {line[:400]}".rstrip()
