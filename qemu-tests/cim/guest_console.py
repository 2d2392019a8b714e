"""A system's console, as a program that types and reads."""

import re
import socket
import time

from patience import ANSWER, PATIENCE


class Console:
    """A logged-in viewer of the console at a TCP port."""

    def __init__(self, host, port, user, password, patience=PATIENCE):
        self.text = ""
        self.sock = self._connect((host, port), patience)
        self.expect("login: ", patience)
        self.type(user + "\r")
        self.expect("password: ", patience)
        self.type(password + "\r")
        self.expect(r"console of [^\r\n]*", patience)

    @staticmethod
    def _connect(address, patience):
        # QEMU's user network drops connections of a crowd now and then; they come by when tried again.
        end = time.monotonic() + patience
        while True:
            try:
                return socket.create_connection(address, timeout=min(patience, ANSWER))
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def type(self, text):
        self.sock.sendall(text.encode())

    def expect(self, pattern, seconds=PATIENCE):
        """Reads until `pattern` has come; returns its match. What comes up to its end is forgotten."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{pattern!r} has not come within {seconds} s; there is {self.text[-3000:]!r}")

    def silence(self, seconds):
        """What comes in this time."""
        before, self.text = self.text, ""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass
        found, self.text = self.text, before + self.text
        return found

    def _read(self, seconds):
        if seconds <= 0:
            return False
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return False
        if not data:
            raise AssertionError(f"the console was closed after {self.text[-3000:]!r}")
        self.text += data.decode(errors="replace")
        return True
