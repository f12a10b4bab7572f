"""A local server that breaks off, lies about ranges, refuses, or is slow."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

CONTENT = np.random.default_rng([0, 1]).bytes(900_000)


@dataclass
class Behaviour:
    """What the server does, and what it was asked."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    ranges: bool = True
    sends_length: bool = True
    wrong_range: bool = False
    break_after: list[int] = field(default_factory=list)  # bytes of the body, one for each answer
    statuses: list[int] = field(default_factory=list)  # answers before the first right one
    bytes_per_s: int | None = None
    before: Callable[[int], None] = lambda request: None
    asked: list[tuple[int, int, str | None]] = field(default_factory=list)  # (start, bytes sent, If-Range)


class Handler(BaseHTTPRequestHandler):
    """Serve one content under any path."""

    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """Answer, well or badly."""
        does = self.behaviour
        does.before(len(does.asked))
        if does.statuses:
            does.asked.append((0, 0, None))
            self.send_error(does.statuses.pop(0))
            return
        start = self._start(does)
        if start >= len(does.content) > 0:
            does.asked.append((start, 0, self.headers.get("If-Range")))
            self.send_error(416)
            return
        body = does.content[start:]
        self._head(does, start, len(body))
        cut = does.break_after.pop(0) if does.break_after else len(body)
        does.asked.append((start, min(cut, len(body)), self.headers.get("If-Range")))
        with contextlib.suppress(OSError):  # the client has been killed
            self._body(does, body[:cut])
        if cut < len(body) or not does.sends_length:
            self.close_connection = True

    def _start(self, does: Behaviour) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range") in (None, does.etag)
        return int(asked[1]) if asked and does.ranges and fresh else 0

    def _head(self, does: Behaviour, start: int, length: int) -> None:
        self.send_response(206 if start else 200)
        if start:
            first = start + 7 if does.wrong_range else start
            total = len(does.content)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        if does.sends_length:
            self.send_header("Content-Length", str(length))
        if does.etag:
            self.send_header("ETag", does.etag)
        self.end_headers()

    def _body(self, does: Behaviour, body: bytes) -> None:
        step = 20_000
        for at in range(0, len(body), step):
            self.wfile.write(body[at : at + step])
            if does.bytes_per_s:
                self.wfile.flush()
                time.sleep(step / does.bytes_per_s)


class Server(ThreadingHTTPServer):
    """A server that does not print a traceback for a client that was killed."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet."""
