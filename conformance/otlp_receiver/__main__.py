"""An OTLP receiver that records the requests it gets and fails as configured.

    otlp_receiver RECORDS [--grpc PORT] [--http PORT] [--tls CERTIFICATE KEY] [--client-ca ROOTS]

It serves gRPC, and HTTP with protobuf or JSON, both on the loopback interface. Port 0, the default, selects a free
port. When it listens it prints `{"grpc": PORT, "http": PORT}`. For each request it appends a line of JSON to the file
RECORDS before it responds:

    time        the time at which the request had arrived, in seconds since 1970
    transport   grpc, http/protobuf or http/json
    path        the path of the request; for gRPC that of the method
    headers     the headers or metadata, with names in lower case
    encoding    the content encoding; empty for gRPC, whose server does not provide it
    wire        the size of the received body in bytes; for gRPC all bytes of the connection so far
    size        the size of the decoded body in bytes
    outcome     ok, or the kind of the fault
    wrong       violations of the specification: unknown fields, forms that OTLP/JSON does not have, invalid points,
                spans and records
    body        the decoded request: names as in OTLP/JSON, ids in hex, enums as numbers, 64-bit numbers as strings

`POST /faults/CASE` with a list of objects sets the faults of a case. A request with the header `x-case: CASE`, or
without that header if CASE is empty, takes the first fault of the list; a case without a list has no faults.

    {"kind": "status", "status": 503, "retry_after": "1", "retry_date": 2}   HTTP; the last two are optional
    {"kind": "status", "code": "RESOURCE_EXHAUSTED", "retry_delay": 1.5}     gRPC; the delay is optional
    {"kind": "partial", "rejected": 1, "message": "one was bad"}
    {"kind": "hang"}                                                         no response
    {"kind": "drip"}                                                         HTTP: a response, one byte at a time
    {"kind": "reset"}                                                        HTTP: in the middle of the request's body
    {"kind": "reset answer"}                                                 in the middle of the response
    {"kind": "garbage"}                                                      a response that is not a valid message
    {"kind": "noise"}                                                        HTTP: a response that is not valid HTTP
    {"kind": "bomb"}                                                         a response of 128 MiB, compressed
    {"kind": "redirect", "status": 307}                                      HTTP: to /redirected
"""

import argparse
import concurrent.futures
import json
import ssl

import grpc

from book import Book
from calls import Calls, Door
from signals import LIMIT
from web import Server


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("records")
    parser.add_argument("--grpc", type=int, default=0)
    parser.add_argument("--http", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--client-ca")
    arguments = parser.parse_args()

    book = Book(arguments.records)
    tls = None
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(32),
        options=[("grpc.max_receive_message_length", LIMIT), ("grpc.max_send_message_length", -1)],
    )
    if arguments.tls:
        certificate, key = (open(path, "rb").read() for path in arguments.tls)
        roots = open(arguments.client_ca, "rb").read() if arguments.client_ca else None
        credentials = grpc.ssl_server_credentials([(key, certificate)], roots, require_client_auth=roots is not None)
        inner = server.add_secure_port("127.0.0.1:0", credentials)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*arguments.tls)
        if arguments.client_ca:
            tls.load_verify_locations(arguments.client_ca)
            tls.verify_mode = ssl.CERT_REQUIRED
    else:
        inner = server.add_insecure_port("127.0.0.1:0")
    door = Door(arguments.grpc, inner)
    server.add_generic_rpc_handlers([Calls(book, door)])
    server.start()
    listener = Server(arguments.http, book, tls)
    print(json.dumps({"grpc": door.port, "http": listener.server_port}), flush=True)
    listener.serve_forever()


main()
