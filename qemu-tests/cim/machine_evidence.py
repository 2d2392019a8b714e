"""What is known of the machine and its guests when a test has failed: few lines, the telling ones."""

import re
import socket
import time

import pywbem

import guest_target
import target
from guest_console import Console
from lab import DISABLED

# Nobody waits long for a machine that may be dead.
SECONDS = 10
# Lines of a console, and guests that are looked at.
LINES, GUESTS = 10, 2
WIDTH = 180
# Metrics that grow while a guest runs.
GROWING = ("CPU time", "Exits to the hypervisor", "Console output")


def lines():
    """Of the guests, of the physical CPUs, and of the machine's console."""
    return [*told(guests), *told(processors), *told(machine_log)]


def told(part):
    try:
        return part()
    except Exception as error:  # pylint: disable=broad-except
        return [f"nothing is known of {part.__name__}: {type(error).__name__}: {error}"[:WIDTH]]


def tail(text, count=LINES):
    """The last lines that say anything."""
    found = [line.rstrip()[:WIDTH] for line in text.replace("\r", "\n").split("\n") if line.strip()]
    return [f"  {line}" for line in found[-count:]]


def machine_log():
    with open(guest_target.OPTIONS.log, encoding="utf-8", errors="replace") as log:
        # Who asked for what is not the question.
        text = re.sub(r"(?m)^\[management\] audit: .*\n", "", log.read())
    return ["the machine's console ends:", *tail(text, LINES + 2)]


def processors():
    """Where the physical CPUs are, twice."""
    if not guest_target.OPTIONS.monitor:
        return []
    found = []
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(SECONDS)
        monitor.connect(guest_target.OPTIONS.monitor)
        answer(monitor)
        for _ in range(2):
            monitor.sendall(b"info registers -a\n")
            text = answer(monitor)
            found.append("; ".join(
                f"CPU {number} {rip} {flags.strip()}"
                for number, rip, flags in re.findall(r"CPU#(\d+)(?:.|\n)*?(RIP=\w+) (RFL=.*)", text)))
            time.sleep(0.3)
    return [f"physical: {line}" for line in found]


def answer(monitor):
    text = b""
    while not text.endswith(b"(qemu) "):
        piece = monitor.recv(65536)
        if not piece:
            break
        text += piece
    return text.decode(errors="replace").replace("\r", "")


def guests():
    server = target.SERVER
    conn = pywbem.WBEMConnection(
        server.url, (server.user, server.password), default_namespace="root/cimv2", timeout=SECONDS)
    try:
        systems = [item for item in conn.EnumerateInstances("CIM_ComputerSystem") if item["NameFormat"] == "UUID"]
        on = [item for item in systems if item["EnabledState"] != DISABLED]
        found = [f"{len(systems)} systems are defined, {len(on)} are on"]
        for system in (on or systems)[-GUESTS:]:
            found += guest(conn, system)
        return found
    finally:
        conn.close()


def guest(conn, system):
    name = system["ElementName"]
    values = [metrics(conn, system.path)]
    time.sleep(0.5)
    values.append(metrics(conn, system.path))
    growth = ", ".join(f"{key} {values[0][key]} then {values[1].get(key)}" for key in GROWING if key in values[0])
    found = [f"guest {name}: state {system['EnabledState']}, {system['StatusDescriptions']}; {growth}"[:2 * WIDTH]]
    port = console_port(conn, system)
    if port is None:
        return found
    server = target.SERVER
    with Console(server.address[0], port, server.user, server.password, SECONDS) as console:
        # What it keeps of the past comes with the greeting.
        console.silence(1)
        found += [f"the console of {name} ends:", *tail(console.text)]
    return found


def metrics(conn, path):
    names = {item["Id"]: item["Name"] for item in conn.EnumerateInstances("CIM_BaseMetricDefinition")}
    found = conn.Associators(path, AssocClass="CIM_MetricForME", ResultClass="CIM_BaseMetricValue")
    return {names[item["MetricDefinitionId"]]: int(item["MetricValue"]) for item in found}


def console_port(conn, system):
    for access in conn.AssociatorNames(
            system.path, AssocClass="CIM_HostedAccessPoint", ResultClass="CIM_TextRedirectionSAP"):
        for point in conn.Associators(access, AssocClass="CIM_BindsTo", ResultClass="CIM_TCPProtocolEndpoint"):
            return int(point["PortNumber"])
    return None
