"""The server under test, and what the tests share."""

import contextlib
import functools
import os
import socket
import subprocess
import time
import unittest
import urllib.parse

import pywbem

from patience import ANSWER, wait_until

# Set by suite.py before the tests run.
SERVER = None

PROCESSORS = 3000
READER = ("reader", "reading-is-fun")
OPERATOR = ("operator", "operating-is-fun")


class Server:
    """A server's address and credentials."""

    def __init__(self, url, user, password, is_demo, process=None):
        self.url = url
        self.user = user
        self.password = password
        self.is_demo = is_demo
        self.process = process
        self.died = False
        # The simulator, for tests that start one of their own.
        self.program = None

    @property
    def address(self):
        parts = urllib.parse.urlsplit(self.url)
        return parts.hostname, parts.port or 5988

    @property
    def our_host(self):
        """This host as the server's machine sees it: QEMU's user network has a name of its own for it."""
        return "127.0.0.1" if self.is_demo else "10.0.2.2"

    def open(self):
        """A plain connection.

        QEMU's user network has room for one connection that it has not looked at; more make the host's kernel wait for
        a second or many, before the machine sees anything of them.
        """
        sock = socket.create_connection(self.address, timeout=ANSWER)
        if not self.is_demo:
            time.sleep(0.02)
        return sock

    def connect(self, user=None, password=None, namespace="root/cimv2"):
        credentials = (user or self.user, password or self.password)
        return pywbem.WBEMConnection(self.url, credentials, default_namespace=namespace, timeout=ANSWER)


@contextlib.contextmanager
def opened(options):
    """The server that the command line asks for; a simulator lives as long as the context."""
    if options.url:
        yield Server(options.url, options.user, options.password, not options.short)
        return
    with simulator(options.sim, ["--demo", str(PROCESSORS)], not options.short) as server:
        yield server


@contextlib.contextmanager
def simulator(program, arguments, is_demo=False):
    """A simulator with the customary accounts, which lives as long as the context."""
    command = [program, "--cim-port", "0", *arguments]
    for name, password, role in ((*READER, "read-only"), (*OPERATOR, "operator")):
        command += ["--cim-account", f"{name}:{role}:{password}"]
    log = open(os.devnull, "w", encoding="utf-8")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    found = {}
    for line in process.stdout:
        key, _, value = line.strip().partition(": ")
        found[key] = value
        if key == "CIM password":
            break
    # The rest is the audit trail; somebody must read it or the simulator would wait.
    drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=log)
    process.stdout.close()
    server = Server(found["CIM ready"], found["CIM user"], found["CIM password"], is_demo, process)
    server.program = program
    try:
        yield server
        server.died = process.poll() is not None
    finally:
        process.kill()
        process.wait()
        drain.wait()
        log.close()


def demo(test):
    """For a test that needs the demonstration world."""

    @functools.wraps(test)
    def run(self, *arguments):
        if not SERVER.is_demo:
            self.skipTest("needs the demonstration world")
        test(self, *arguments)

    return run


def is_gone(conn, path):
    """Whether there is no such instance."""
    try:
        conn.GetInstance(path)
    except pywbem.CIMError as error:
        if error.status_code != pywbem.CIM_ERR_NOT_FOUND:
            raise
        return True
    return False


class CimTest(unittest.TestCase):
    """A test with a connection as administrator."""

    maxDiff = None
    needs_demo = False

    def setUp(self):
        if self.needs_demo and not SERVER.is_demo:
            self.skipTest("needs the demonstration world")
        self.conn = SERVER.connect()
        self.addCleanup(self.conn.close)

    def assertCimError(self, status, operation, *args, **kwargs):
        """The operation must fail with this status code."""
        with self.assertRaises(pywbem.CIMError) as caught:
            operation(*args, **kwargs)
        self.assertEqual(caught.exception.status_code, status, caught.exception)

    def wait_until_gone(self, path):
        """Ends when there is no such instance any more."""
        wait_until(lambda: is_gone(self.conn, path), f"{path} is there still")

    def system(self, name):
        """The path of a system of the demonstration world."""
        return pywbem.CIMInstanceName(
            "CIM_ComputerSystem",
            {"CreationClassName": "CIM_ComputerSystem", "Name": name},
            namespace="root/cimv2",
        )
