"""What came, and what is to fail; and the two ways to fail that both servers have."""

import collections
import json
import socket
import struct
import threading
import time

# No fault lasts longer.
PATIENCE = 120


class Book:
    """What came, and what is to fail."""

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
    """Ends a connection with a reset instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    try:
        # Wakes whoever reads from it, and would keep it open.
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    connection.close()


def until(is_so):
    """Waits, but not for ever."""
    begun = time.monotonic()
    while not is_so() and time.monotonic() - begun < PATIENCE:
        time.sleep(0.05)
