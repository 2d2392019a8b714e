"""Virtual systems of a booted product, and what tests do to them."""

import base64
import functools
import http.client
import logging
import os
import re
import time
import unittest

import pywbem

import kernels
import target
from guest_console import Console
from lab import COMPLETED, DISABLED, ENABLED, JOB, Lab, memory, OK, PROCESSOR, rasd, RUNNING
from patience import ANSWER, PATIENCE, wait_until

# Set by guests.py before the tests run.
OPTIONS = None


def images():
    """Files by name: the tiny kernels, and Linux."""
    made = {"echo.bin": kernels.echo(), "monitor.bin": kernels.monitor()}
    for kind in ("pvh", "multiboot", "multiboot2"):
        made[f"{kind}.elf"] = kernels.elf(kind)
    return made


def put(name, data, password=None):
    """Uploads an image; returns status and text."""
    return request("PUT", f"/images/{name}", data, password)


def request(method, path, data=None, password=None):
    server = target.SERVER
    word = base64.b64encode(f"{server.user}:{password or server.password}".encode()).decode()
    connection = http.client.HTTPConnection(*server.address, timeout=ANSWER)
    try:
        connection.request(method, path, data, {"Authorization": f"Basic {word}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@functools.cache
def lab():
    logging.getLogger("pywbem").setLevel(logging.CRITICAL)
    return Lab(target.SERVER)


def kernel_name():
    """The image that Linux is started from."""
    return os.path.basename(OPTIONS.kernel) if OPTIONS.boot_modules else "vmlinuz"


@functools.cache
def library():
    """Uploads everything, once."""
    if OPTIONS.boot_modules:
        return {}
    files = images()
    for name, path in (("vmlinuz", OPTIONS.kernel), ("initramfs", OPTIONS.initrd)):
        with open(path, "rb") as file:
            files[name] = file.read()
    for name, data in files.items():
        status, text = put(name, data)
        assert status in (200, 201, 204), (name, status, text)
    return files


class Guest:
    """A system that a test has defined."""

    def __init__(self, name, *resources, **properties):
        self.lab = lab()
        self.name = name
        self.is_there = True
        self.path = self.lab.define(*resources, ElementName=name, **properties)

    def show(self):
        return self.lab.conn.GetInstance(self.path)

    def state(self):
        return self.show()["EnabledState"]

    def begin(self, state):
        code, outputs = self.lab.ask(self.path, state)
        assert code == JOB, (code, self.why(outputs))
        return outputs["Job"]

    def why(self, outputs):
        return self.lab.why(outputs)["Message"] if outputs.get("Job") else "no job"

    def finish(self, job, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = self.lab.conn.GetInstance(job if isinstance(job, pywbem.CIMInstanceName) else job.path)
            if job["JobState"] != RUNNING:
                return job
            time.sleep(0.1)
        raise AssertionError(f"{self.name}: the job {job['Name']} does not end")

    def change(self, state, seconds=PATIENCE):
        job = self.finish(self.begin(state), seconds)
        assert job["JobState"] == COMPLETED, job["ErrorDescription"]

    def start(self):
        self.change(ENABLED)
        return self

    def wait(self, state, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            shown = self.show()
            if shown["EnabledState"] == state:
                return shown
            time.sleep(0.1)
        raise AssertionError(f"{self.name} is in state {self.state()}, not {state}: {shown['StatusDescriptions']}")

    def number(self):
        """What the partition calls it on its console; no other system ever has this number."""
        return int(self.lab.defined_settings(self.path)["InstanceID"].split("/")[1])

    def port(self):
        console = self.lab.one(self.path, "CIM_HostedAccessPoint", "CIM_TextRedirectionSAP")
        return int(self.lab.one(console.path, "CIM_BindsTo", "CIM_TCPProtocolEndpoint")["PortNumber"])

    def console(self):
        server = target.SERVER
        return Console(server.address[0], self.port(), server.user, server.password)

    def destroy(self):
        if not self.is_there:
            return
        if self.state() != DISABLED:
            code, outputs = self.lab.ask(self.path, DISABLED)
            if code == JOB:
                self.finish(outputs["Job"])
            self.wait(DISABLED)
        code, _ = self.lab.call("DestroySystem", AffectedSystem=self.path)
        assert code == OK, code
        self.is_there = False


class GuestTest(unittest.TestCase):
    """A test that leaves nothing behind."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.files = library()
        cls.lab = lab()
        cls.conn = cls.lab.conn

    def setUp(self):
        self.before = self.left()
        self.addCleanup(lambda: self.assertEqual(self.left(), self.before, "the test left something behind"))

    def left(self):
        """What tests may leave behind."""
        pools = [(pool["PoolID"], pool["Reserved"], pool["CurrentlyConsumedResource"])
                 for pool in self.conn.EnumerateInstances("CIM_ResourcePool")]
        systems = [path.keybindings["Name"] for path in self.conn.EnumerateInstanceNames("CIM_ComputerSystem")]
        settings = self.conn.EnumerateInstanceNames("CIM_SettingData")
        return pools, sorted(systems), sorted(str(path.keybindings) for path in settings if "BH:system" in str(path))

    def guest(self, *resources, name=None, **properties):
        guest = Guest(name or self.id().rpartition(".")[2], *resources, **properties)
        self.addCleanup(guest.destroy)
        return guest

    def linux(self, *more, mebibytes=256, cpus=1, words="", **properties):
        """A Linux that is defined, not started."""
        return self.guest(
            memory(mebibytes), rasd(PROCESSOR, VirtualQuantity=cpus), *more, Kernel=kernel_name(), Initrd="initramfs",
            CommandLine=f"console=ttyS0 {words}".strip(), **properties)

    def monitor(self, kernel="monitor.bin", mebibytes=16, **properties):
        """A running monitor, and its console."""
        if kernel == "monitor.bin":
            properties |= {"BootFormat": "flat", "LoadAddress": pywbem.Uint64(kernels.BASE),
                           "EntryAddress": pywbem.Uint64(kernels.BASE)}
        guest = self.guest(memory(mebibytes), Kernel=kernel, **properties).start()
        console = guest.console()
        self.addCleanup(console.close)
        ready = console.expect(r"MONITOR READY eax=(\w{8}) ebx=(\w{8})\r\n", PATIENCE)
        return guest, console, int(ready[1], 16), int(ready[2], 16)

    def assertStatus(self, shown, state, statuses, words):
        self.assertEqual((shown["EnabledState"], shown["OperationalStatus"]), (state, statuses), shown["StatusDescriptions"])
        self.assertIn(words, shown["StatusDescriptions"][0])


def peek(console, address, count):
    """32-bit words of a monitor's memory, as bytes."""
    console.type(f"d{address:08x}{count:08x}")
    digits = console.expect(r"=([0-9a-f]*)\r\n", PATIENCE)[1]
    words = [int(digits[place:place + 8], 16) for place in range(0, len(digits), 8)]
    return b"".join(word.to_bytes(4, "little") for word in words)


def peek_text(console, address):
    """A zero-terminated text."""
    return peek(console, address, 32).split(b"\0")[0].decode()


def free_things(number):
    """What the partition said was free and in use when the system of that number was destroyed, and the bytes of its heap in use."""
    pattern = rf"system {number} is gone: (.*); heap (\d+) bytes\r?\n"

    def said():
        with open(OPTIONS.log, encoding="utf-8", errors="replace") as log:
            return re.search(pattern, log.read())

    # What it says takes a moment to the file.
    found = wait_until(said, f"the partition does not say what is free without the system {number}")
    return found[1], int(found[2])
