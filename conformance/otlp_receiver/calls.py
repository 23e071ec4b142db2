"""The gRPC server."""

import collections
import socket
import threading

import grpc
from google.protobuf.duration_pb2 import Duration

from book import reset, until
from reading import decoded, read_protobuf
from rules import impossible
from signals import BOMB, METHODS, answer


class Calls(grpc.GenericRpcHandler):
    """Handles calls as bytes, so that a response can be bytes that are not a valid message."""

    def __init__(self, book, door):
        self.book, self.door = book, door

    def service(self, details):
        signal = METHODS.get(details.method)
        if signal is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda body, call: self.export(details.method, signal, body, call))

    def export(self, path, signal, body, call):
        headers = {
            key.lower(): value if isinstance(value, str) else value.hex() for key, value in call.invocation_metadata()
        }
        fault, peer = self.book.fault(headers), int(call.peer().rpartition(":")[2])
        record = {
            "transport": "grpc",
            "path": path,
            "headers": headers,
            "encoding": "",
            "wire": self.door.received(peer),
            "size": len(body),
        }
        message = signal.request()
        try:
            wrong = [*read_protobuf(message, body), *impossible(message)]
        except Exception as error:
            self.book.write(**record, outcome="unreadable", wrong=[str(error)], body=None)
            call.abort(grpc.StatusCode.INVALID_ARGUMENT, "unreadable")
        self.book.write(**record, outcome=fault["kind"], wrong=wrong, body=decoded(message))
        match fault["kind"]:
            case "status":
                if "retry_delay" in fault:
                    call.set_trailing_metadata([("grpc-status-details-bin", retry_info(fault["retry_delay"]))])
                call.abort(grpc.StatusCode[fault["code"]], "told to")
            case "hang":
                until(lambda: not call.is_active())
            case "reset answer":
                self.door.reset(peer)
            case "garbage":
                return b"\xff" * 100
            case "bomb":
                call.set_compression(grpc.Compression.Gzip)
                return bytes(BOMB)
        return answer(signal, fault).SerializeToString()


def retry_info(seconds):
    """Encodes a google.rpc.Status with RetryInfo, whose schema is not part of OTLP's."""

    def field(number, content):
        size, length = len(content), b""
        while size > 127:
            size, length = size >> 7, length + bytes([size & 127 | 128])
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    delay = Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    info = field(1, b"type.googleapis.com/google.rpc.RetryInfo") + field(2, field(1, delay.SerializeToString()))
    return b"\x08\x08" + field(2, b"told to") + field(3, info)


class Door:
    """A proxy for the gRPC server that counts received bytes and can reset a connection, which the server cannot."""

    def __init__(self, port, server):
        self.listener, self.server = socket.create_server(("127.0.0.1", port)), server
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        # By the client port that the server sees.
        self.clients, self.counts = {}, collections.Counter()
        # The clients whose connections are reset. The server ends its calls with a status when it loses
        # the connection, and that status must not reach them.
        self.lost = set()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.server))
            key = server.getsockname()[1]
            with self.lock:
                self.clients[key], self.counts[key] = client, 0
            threading.Thread(target=self.pass_on, args=(client, server, key), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, None), daemon=True).start()

    def pass_on(self, source, target, key):
        try:
            while data := source.recv(65536):
                with self.lock:
                    self.counts[key] += len(data)
                    if target in self.lost:
                        break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                end.close()

    def received(self, key):
        with self.lock:
            return self.counts[key]

    def reset(self, key):
        with self.lock:
            client = self.clients[key]
            self.lost.add(client)
        reset(client)
