"""Defines a Linux guest, starts it, prints its console until it is off, and destroys it."""

import argparse
import socket
import sys
import threading
import time
import urllib.parse

import pywbem

PROCESSOR, MEMORY = 3, 4
ENABLED, DISABLED = 2, 3
JOB_STARTED = 4096


def setting(name, **properties):
    return pywbem.CIMInstance(name, properties=properties).tocimxmlstr()


def check(what, result, good=(0, JOB_STARTED)):
    code, out = result
    if code not in good:
        sys.exit(f"{what} returned {code}: {out}")
    return out


def asked(question, *arguments, **options):
    """What a question returns. It may be asked again: where time follows instructions, an idle machine's clock runs fast,
    and the server ends the connection between two requests."""
    for attempt in range(5):
        try:
            return question(*arguments, **options)
        except pywbem.ConnectionError:
            if attempt == 4:
                raise


class ConsoleReader(threading.Thread):
    """Collects what a console prints, from its scroll-back on."""

    def __init__(self, address, user, password):
        super().__init__(daemon=True)
        self.socket = socket.create_connection(address, timeout=60)
        self.credentials = (user, password)
        self.text = b""
        self.start()

    def run(self):
        for prompt, answer in zip((b"login: ", b"password: "), self.credentials):
            while prompt not in self.text:
                self.text += self.socket.recv(4096)
            self.text = b""
            self.socket.sendall(answer.encode() + b"\r\n")
        self.socket.settimeout(None)
        while piece := self.socket.recv(65536):
            self.text += piece

    def lines(self):
        return self.text.decode(errors="replace").replace("\r", "")


def find_console(connection, system):
    """The TCP port of the system's console, as DSP1024 associates it."""
    for access in asked(connection.EnumerateInstanceNames, "CIM_TextRedirectionSAP"):
        if access["SystemName"] == system["Name"]:
            endpoints = asked(
                connection.Associators, access, ResultClass="CIM_TCPProtocolEndpoint"
            )
            if endpoints:
                return int(endpoints[0]["PortNumber"])
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("--url", "--user", "--password"):
        parser.add_argument(option, required=True)
    parser.add_argument("--name", default="linux")
    parser.add_argument("--memory", type=int, default=256, help="MiB")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--kernel", default="vmlinuz")
    parser.add_argument("--initrd", default="initramfs")
    parser.add_argument("--arguments", default="console=ttyS0")
    parser.add_argument("--for", dest="patience", type=float, default=120, help="seconds")
    options = parser.parse_args()
    connection = pywbem.WBEMConnection(
        options.url, (options.user, options.password), default_namespace="root/cimv2", timeout=60
    )
    [service] = asked(connection.EnumerateInstanceNames, "CIM_VirtualSystemManagementService")
    system = check(
        "DefineSystem",
        connection.InvokeMethod(
            "DefineSystem",
            service,
            SystemSettings=setting(
                "BH_VirtualSystemSettingData",
                InstanceID="new",
                ElementName=options.name,
                Kernel=options.kernel,
                Initrd=options.initrd,
                CommandLine=options.arguments,
            ),
            ResourceSettings=[
                setting(
                    "CIM_MemoryAllocationSettingData",
                    InstanceID="memory",
                    ResourceType=pywbem.Uint16(MEMORY),
                    AllocationUnits="byte*2^20",
                    VirtualQuantity=pywbem.Uint64(options.memory),
                ),
                setting(
                    "CIM_ProcessorAllocationSettingData",
                    InstanceID="processors",
                    ResourceType=pywbem.Uint16(PROCESSOR),
                    VirtualQuantity=pywbem.Uint64(options.cpus),
                ),
            ],
        ),
    )["ResultingSystem"]
    start = connection.InvokeMethod(
        "RequestStateChange", system, RequestedState=pywbem.Uint16(ENABLED)
    )
    check("RequestStateChange", start)
    end = time.monotonic() + options.patience
    host = urllib.parse.urlsplit(options.url).hostname
    has_run, console = False, None
    while True:
        instance = asked(connection.GetInstance, system)
        state = instance["EnabledState"]
        has_run = has_run or state == ENABLED
        if console is None and (port := find_console(connection, system)):
            console = ConsoleReader((host, port), options.user, options.password)
        if state == DISABLED and (has_run or console or instance["OperationalStatus"] != [2]):
            break
        if time.monotonic() > end:
            print(f"it is not off yet: {instance['StatusDescriptions']}", file=sys.stderr)
            break
        time.sleep(0.2)
    if console is None:
        print(f"it had no console: {instance['StatusDescriptions']}", file=sys.stderr)
    else:
        # What is on its way still comes.
        time.sleep(2)
        print(console.lines())
    # The connection may be gone; a question opens another one.
    asked(connection.GetInstance, system)
    check("DestroySystem", connection.InvokeMethod("DestroySystem", service, AffectedSystem=system))


if __name__ == "__main__":
    main()
