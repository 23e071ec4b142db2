"""The recorded requests and the configured faults, and two faults that both servers share."""

import collections
import json
import socket
import struct
import threading
import time

# The maximum duration of a fault, in seconds.
PATIENCE = 120


class Book:
    """The recorded requests and the configured faults."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()
        self.faults = collections.defaultdict(collections.deque)

    def write(self, **record):
        line = json.dumps({"time": time.time(), **record}) + "\n"
        with self.lock:
            self.file.write(line)
            self.file.flush()

    def tell(self, case, faults):
        with self.lock:
            self.faults[case].extend(faults)

    def fault(self, headers):
        with self.lock:
            faults = self.faults[headers.get("x-case", "")]
            return faults.popleft() if faults else {"kind": "ok"}


def reset(connection):
    """Closes a connection with a TCP reset instead of a FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    try:
        # Wakes the thread that reads from the socket and would keep it open.
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    connection.close()


def until(is_so):
    """Waits until the condition is true, for at most PATIENCE seconds."""
    begun = time.monotonic()
    while not is_so() and time.monotonic() - begun < PATIENCE:
        time.sleep(0.05)
