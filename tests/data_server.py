"""An HTTP server on loopback that misbehaves as asked, and remembers what it was asked for."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = random.Random(0).randbytes(200_000)


class Server(ThreadingHTTPServer):
    """Serves ``content``; the path of the address says how.

    /whole, /missing (404), /cut?N (closes after N bytes of each answer), /short?N (says that N bytes are
    all), /noranges (ignores ranges), /other (other bytes), /long (more bytes), /slow (in small pieces).
    """

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.asked: list[tuple[str, str]] = []  # path, range

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10

    def do_GET(self) -> None:
        how, _, number = self.path.strip("/").partition("?")
        wanted = self.headers.get("Range", "")
        self.server.asked.append((how, wanted))
        content = {
            "other": bytes(reversed(self.server.content)),
            "long": self.server.content * 2,
            "short": self.server.content[: int(number or 0)],
        }.get(how, self.server.content)
        if how == "missing":
            return self.send_error(404)
        start = int(re.findall(r"\d+", wanted)[0]) if wanted and how != "noranges" else 0
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        sent = content[start:]
        if how in ("cut", "noranges") and number:
            sent = sent[: int(number)]
        for at in range(0, len(sent), step := 4096 if how == "slow" else len(sent)):
            self.wfile.write(sent[at : at + step])
            if how == "slow":
                threading.Event().wait(0.01)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    server = Server(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
