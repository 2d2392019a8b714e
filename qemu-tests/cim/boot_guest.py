"""Defines a Linux guest, starts it, prints its console until it is off, and destroys it."""

import argparse
import socket
import sys
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


def read_console(address, user, password, patience):
    """All that the console has printed, after the log-in."""
    text = b""
    with socket.create_connection(address, timeout=patience) as console:
        for prompt, answer in ((b"login: ", user), (b"password: ", password)):
            while prompt not in text:
                text += console.recv(4096)
            text = b""
            console.sendall(answer.encode() + b"\r\n")
        console.settimeout(2)
        try:
            while piece := console.recv(65536):
                text += piece
        except TimeoutError:
            pass
    return text.decode(errors="replace").replace("\r", "")


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
    [service] = connection.EnumerateInstanceNames("CIM_VirtualSystemManagementService")
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
    has_run = False
    while True:
        instance = connection.GetInstance(system)
        state = instance["EnabledState"]
        has_run = has_run or state == ENABLED
        if state == DISABLED and (has_run or instance["OperationalStatus"] != [2]):
            break
        if time.monotonic() > end:
            print(f"it is not off yet: {instance['StatusDescriptions']}", file=sys.stderr)
            break
        time.sleep(0.5)
    endpoints = connection.EnumerateInstances("CIM_TCPProtocolEndpoint")
    ports = [
        endpoint["PortNumber"]
        for endpoint in endpoints
        if endpoint["SystemName"] == system["Name"]
    ]
    if ports:
        host = urllib.parse.urlsplit(options.url).hostname
        print(read_console((host, ports[0]), options.user, options.password, options.patience))
    else:
        print(f"it has no console: {instance['StatusDescriptions']}", file=sys.stderr)
    check("DestroySystem", connection.InvokeMethod("DestroySystem", service, AffectedSystem=system))


if __name__ == "__main__":
    main()
