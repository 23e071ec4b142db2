"""The HTTP server."""

import http.server
import json
import math
import time
import zlib
from email.utils import formatdate

from google.protobuf import json_format

from book import PATIENCE, reset, until
from reading import decoded, plain, read_json, read_protobuf
from rules import impossible
from signals import BOMB, LIMIT, MIB, PATHS, answer


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # For a client that opens a connection and sends nothing.
    timeout = PATIENCE

    def setup(self):
        # Done here and not in the listener, where one slow handshake would delay all clients.
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def do_POST(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.partition("?")[0]
        if path.startswith("/faults/"):
            self.server.book.tell(path.removeprefix("/faults/"), json.loads(self.read_body()))
            return self.reply(200, "text/plain", b"")
        # The endpoint may have a path, which is a prefix.
        signal = PATHS.get(path[max(path.rfind("/v1/"), 0) :])
        kind = headers.get("content-type", "").partition(";")[0]
        transport = {"application/x-protobuf": "http/protobuf", "application/json": "http/json"}.get(kind, kind)
        encoding = headers.get("content-encoding", "")
        record = {"transport": transport, "path": self.path, "headers": headers, "encoding": encoding}
        if signal is None or transport == kind:
            self.server.book.write(**record, wire=0, size=0, outcome="nowhere", wrong=["no such path or type"], body=None)
            return self.close_with(404)
        fault = self.server.book.fault(headers)
        if fault["kind"] == "reset":
            self.rfile.read(int(headers.get("content-length", 2)) // 2)
            self.server.book.write(**record, wire=0, size=0, outcome="reset", wrong=[], body=None)
            return self.cut()
        message, raw, body = signal.request(), b"", b""
        try:
            raw = self.read_body()
            body = plain(raw, encoding)
            reader = read_json if transport == "http/json" else read_protobuf
            wrong = [*reader(message, body), *impossible(message)]
        except Exception as error:
            self.server.book.write(
                **record, wire=len(raw), size=len(body), outcome="unreadable", wrong=[repr(error)], body=None
            )
            return self.close_with(400)
        self.server.book.write(
            **record, wire=len(raw), size=len(body), outcome=fault["kind"], wrong=wrong, body=decoded(message)
        )
        self.answer(signal, kind, fault)

    def answer(self, signal, kind, fault):
        response = answer(signal, fault)
        text = kind == "application/json"
        message = json_format.MessageToJson(response).encode() if text else response.SerializeToString()
        match fault["kind"]:
            case "status":
                hints = []
                if "retry_after" in fault:
                    hints = [("Retry-After", fault["retry_after"])]
                if "retry_date" in fault:
                    # A date has whole seconds: round up, so that the pause is not shorter than configured.
                    hints = [("Retry-After", formatdate(math.ceil(time.time() + fault["retry_date"]), usegmt=True))]
                self.reply(fault["status"], "text/plain", b"told to", hints)
            case "redirect":
                self.reply(fault["status"], "text/plain", b"", [("Location", "/redirected/v1/metrics")])
            case "hang":
                until(self.is_gone)
                self.close_connection = True
            case "drip":
                self.begin(200, kind, 10_000)
                until(self.drip)
                self.close_connection = True
            case "reset answer":
                self.begin(200, kind, 10_000)
                self.wfile.write(b"\n")
                self.cut()
            case "garbage":
                self.reply(200, kind, b"\xff" * 100)
            case "noise":
                self.wfile.write(b"\x00\xff\x01 what is this\r\n\r\n" * 100)
                self.close_connection = True
            case "bomb":
                zeros = zlib.compressobj(wbits=31)
                bomb = b"".join(zeros.compress(bytes(MIB)) for _ in range(BOMB // MIB)) + zeros.flush()
                self.reply(200, kind, bomb, [("Content-Encoding", "gzip")])
            case _:
                self.reply(200, kind, message)

    def read_body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LIMIT))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(min(size, LIMIT - len(body)))
            self.rfile.readline()
        self.rfile.readline()
        return body

    def begin(self, status, kind, length, headers=()):
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", str(length)), *headers]:
            self.send_header(name, value)
        self.end_headers()

    def reply(self, status, kind, body, headers=()):
        self.begin(status, kind, len(body), headers)
        try:
            self.wfile.write(body)
        except OSError:
            # A client need not read a bomb to its end.
            self.close_connection = True

    def close_with(self, status):
        """Refuses a request without reading the rest of it."""
        self.reply(status, "text/plain", b"", [("Connection", "close")])
        self.close_connection = True

    def cut(self):
        self.wfile.flush()
        reset(self.connection)
        self.close_connection = True

    def drip(self):
        try:
            self.wfile.write(b"\n")
        except OSError:
            return True
        time.sleep(0.2)
        return False

    def is_gone(self):
        """Returns True if the client has closed its end."""
        self.connection.settimeout(0.05)
        try:
            return self.connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            # The connection was cut.
            pass

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, book, tls):
        self.book, self.tls = book, tls
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        # Some tests expect failed handshakes and closed connections.
        pass
