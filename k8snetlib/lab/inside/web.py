"""A web server that answers every request with what it was asked, as JSON: run by the lab inside a Pod's namespace, never imported.

    web.py NAME 4|6 PORT…

``?status=503`` chooses the answer's status, ``?delay=0.2`` makes it wait, in seconds (at most 5).
"""

from __future__ import annotations

import json
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    name = ""

    def answer(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        time.sleep(min(5.0, float(asked.get("delay", ["0"])[0])))
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        body = json.dumps(
            {
                "name": self.name, "method": self.command, "path": self.path, "host": self.headers.get("Host", ""),
                "headers": [[name, content] for name, content in self.headers.items()], "peer": self.client_address[0],
                "port": self.server.server_port,
            }
        ).encode()  # fmt: skip
        self.send_response(int(asked.get("status", ["200"])[0]))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-From", self.name)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what was asked is in the answer."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Server6(Server):
    address_family = socket.AF_INET6


def main(name: str, version: str, *ports: str) -> None:
    Handler.name = name
    kind, address = (Server6, "::") if version == "6" else (Server, "0.0.0.0")
    servers = [kind((address, int(port)), Handler) for port in ports]
    for each in servers[1:]:
        Thread(target=each.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
