"""A listener for indications at a port that nobody else can take."""

import logging
import queue
import socket

import pywbem

from patience import PATIENCE


class Listener:
    """pywbem's listener; it hears nothing before `start`, though its port is known and its own from the beginning."""

    def __init__(self, test):
        logging.getLogger("pywbem").setLevel(logging.CRITICAL)
        self.received = queue.Queue()
        # Bound and not listening, it refuses clients and keeps others from the port; pywbem's server may share it, as both
        # allow reuse.
        self.reservation = socket.socket()
        self.reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.reservation.bind(("127.0.0.1", 0))
        self.port = self.reservation.getsockname()[1]
        self.server = pywbem.WBEMListener("127.0.0.1", http_port=self.port)
        self.server.add_callback(lambda indication, host: self.received.put(indication))
        test.addCleanup(self.stop)

    def start(self):
        self.server.start()
        return self

    def stop(self):
        self.server.stop()
        self.reservation.close()

    def next(self):
        """The next indication."""
        try:
            return self.received.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"no indication came within {PATIENCE} s") from None

    def take(self, count):
        """The next indications; how many came, if too few."""
        found = []
        for _ in range(count):
            try:
                found.append(self.next())
            except AssertionError:
                kinds = [item.classname for item in found]
                raise AssertionError(f"only {len(found)} of {count} indications came: {kinds}") from None
        return found

    def is_silent(self):
        return self.received.empty()
