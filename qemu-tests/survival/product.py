"""The product in an emulated machine, as these tests start it and cut its power."""

import base64
import contextlib
import http.client
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import pywbem

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cim"))

import lab  # noqa: E402
import report  # noqa: E402
from patience import ANSWER, BOOT, PATIENCE  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
USER, PASSWORD = "admin", "survive-1"
# Lines of a machine's console that a failure shows.
SHOWN = 30


def run(test):
    """Runs a test; one whose time is over says what it was waiting for."""

    def end(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise report.Overtime("the time of the whole test is over")

    signal.signal(signal.SIGTERM, end)
    test()
    print("PASSED")


@contextlib.contextmanager
def telling(machine, but=()):
    """Says of a failure what was wrong, how the machine's console ends, and what was wrong again; not of those that are expected."""
    try:
        yield
    except but:
        raise
    except BaseException:  # pylint: disable=broad-except
        name = os.path.basename(sys.argv[0]).removesuffix(".py")
        error = sys.exc_info()
        reason = f"FAILED: {report.sentence(error)}"
        # Who asked for what is not the question.
        console = [f"  {line[:180]}" for line in machine.lines if line.strip() and "audit: " not in line]
        lines = [reason, *report.places(error), "the machine's console ends:", *console[-SHOWN:], reason]
        print("\n".join(f"{name} | {line}" for line in lines), flush=True)
        raise


class Product:
    """`cargo xtask run` over a disk, until it is stopped or its power is cut."""

    def __init__(self, store, *arguments):
        # The program that runs these tests, or the one of the checkout.
        xtask = os.environ.get("BULKHEAD_XTASK")
        command = [*([xtask] if xtask else ["cargo", "xtask"]), "run", "--store", store, "--cim-password", PASSWORD, *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self.lines = []
        self.news = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        with telling(self):
            self.url = self.wait_for(r"CIM ready: (\S+)", BOOT).group(1)

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.news.put(None)
        self.news.put(None)

    def wait_for(self, pattern, seconds=PATIENCE, after=0):
        """The first line behind number `after` that matches."""
        end = time.monotonic() + seconds
        at = after
        while True:
            while at < len(self.lines):
                found = re.search(pattern, self.lines[at])
                if found:
                    self.at = at + 1
                    return found
                at += 1
            left = end - time.monotonic()
            if left <= 0 or self.process.poll() is not None and at >= len(self.lines):
                self.stop()
                raise AssertionError(f"no line matches {pattern} within {seconds} s")
            try:
                self.news.get(timeout=min(left, 1))
            except queue.Empty:
                pass

    def has_said(self, pattern, after):
        """Whether a line behind number `after` matches."""
        return any(re.search(pattern, line) for line in self.lines[after:])

    # The interface that `lab.Lab` wants of a server.
    def connect(self, user=None, password=None, namespace="root/cimv2"):
        credentials = (user or USER, password or PASSWORD)
        return pywbem.WBEMConnection(self.url, credentials, default_namespace=namespace, timeout=ANSWER)

    def lab(self, **options):
        return lab.Lab(self, **options)

    def upload(self, name, data):
        """Puts an image into the library."""
        parts = urllib.parse.urlsplit(self.url)
        word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=ANSWER)
        connection.request("PUT", f"/images/{name}", data, {"Authorization": f"Basic {word}"})
        status = connection.getresponse().status
        connection.close()
        assert status in (200, 201, 204), status

    def emulator(self):
        """The process id of QEMU."""
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            try:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as name:
                    if name.read().startswith("qemu-system"):
                        return pid
                with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as children:
                    waiting += [int(child) for child in children.read().split()]
            except OSError:
                pass
        return None

    def cut_power(self):
        """Ends the machine between two instructions."""
        os.kill(self.emulator(), signal.SIGKILL)
        self.process.wait(PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                emulator = self.emulator()
                if emulator:
                    os.kill(emulator, signal.SIGKILL)
                self.process.kill()
                self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Terminal:
    """A system's console by TCP."""

    def __init__(self, client, system):
        port = console_port(client, system)
        host = re.match(r"http://([^:/]+)", client.server.url).group(1)
        self.port = port
        self.socket = socket.create_connection((host, port), timeout=ANSWER)
        self.socket.settimeout(1)
        self.text = ""
        self.wait_for(r"login: ")
        self.type(USER + "\r")
        self.wait_for(r"password: ")
        self.type(PASSWORD + "\r")

    def type(self, text):
        self.socket.sendall(text.encode())

    def wait_for(self, pattern, seconds=PATIENCE):
        """The first match in what came since the last one."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return found
            if time.monotonic() > end:
                raise AssertionError(f"the console never shows {pattern}: {self.text[-2000:]!r}")
            try:
                data = self.socket.recv(4096)
            except TimeoutError:
                continue
            if not data:
                raise AssertionError(f"the console is closed: {self.text[-500:]!r}")
            self.text += data.decode(errors="replace")

    def close(self):
        self.socket.close()


def console_port(client, system):
    """Where the console of a system is."""
    conn = client.conn
    for access in conn.EnumerateInstanceNames("CIM_TextRedirectionSAP"):
        if access["SystemName"] == system["Name"]:
            for point in conn.Associators(access, ResultClass="CIM_TCPProtocolEndpoint"):
                return int(point["PortNumber"])
    raise AssertionError(f"{system} has no console")
