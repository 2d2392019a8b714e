"""The management partition restarts while guests run: no guest notices, and the model is complete and true afterwards.

Boots the product with a Linux guest that counts on both of its consoles with bytes of virtio-rng, gets a processor more while it runs, and one that is paused.
The management partition is made to crash by its command line.
"""

import argparse
import os
import sys
import tempfile
import time

from pywbem import Uint32

import product
from product import Product, Terminal

# Found by the path that `product` sets.
from lab import DISABLED, ENABLED, PROCESSOR, QUIESCE, memory, rasd  # isort: skip

NO_BYTES = "e3b0c442"


def model(lab):
    """What clients see of all systems, but for what counts on."""
    conn = lab.conn
    seen = {}
    for system in conn.EnumerateInstances("CIM_ComputerSystem"):
        if system["NameFormat"] != "UUID":
            continue
        settings = lab.state_settings(system.path)
        defined = lab.defined_settings(system.path)
        allocations = {
            str(key): (item["VirtualQuantity"], item["AllocationUnits"]) for key, item in lab.allocations(settings).items()
        }
        devices = sorted(
            device.classname for device in conn.AssociatorNames(system.path, AssocClass="CIM_SystemDevice")
        )
        seen[system["ElementName"]] = {
            "name": system["Name"],
            "state": system["EnabledState"],
            "health": system["HealthState"],
            "settings": settings["InstanceID"],
            "defined": (defined["ElementName"], defined["InstanceID"]),
            "allocations": allocations,
            "devices": devices,
            "console": product.console_port(lab, system.path) if system["EnabledState"] == ENABLED else None,
        }
    pools = {
        pool["InstanceID"]: (pool["Capacity"], pool["Reserved"]) for pool in conn.EnumerateInstances("CIM_ResourcePool")
    }
    return seen, pools


def count(terminal, seconds):
    number = int(terminal.wait_for(r"COUNT (\d+)\r?\n", seconds).group(1))
    found = terminal.wait_for(r"HVC (\d+) ([0-9a-f]{8})\r?\n", seconds)
    assert found.group(2) != NO_BYTES, "virtio-rng gave nothing"
    return number, found.group(2)


def check(machine, rounds):
    lab = machine.lab()
    linux = {"Kernel": "vmlinuz", "Initrd": "initramfs"}
    line = "console=ttyS0 then=count quiet"
    processors = rasd(PROCESSOR, "BH_ProcessorAllocationSettingData", VirtualQuantity=1, MaximumQuantity=Uint32(3))
    counting = lab.define(memory(256), processors, ElementName="counting", CommandLine=line, **linux)
    resting = lab.define(memory(128), ElementName="resting", CommandLine="console=ttyS0 quiet", **linux)
    lab.define(memory(64), ElementName="off")
    for system in (counting, resting):
        begin(lab, system, ENABLED)
    begin(lab, resting, QUIESCE)
    terminal = Terminal(lab, counting)
    before, _ = count(terminal, 240)
    # One that came while it ran is there after the restart as well, and can be taken back.
    assert processors_of(lab, counting, 2)[0] == 0
    then = model(lab)
    print(f"before the restart: {before} counted", flush=True)
    at = len(machine.lines)
    for number in range(rounds):
        machine.wait_for("crash asked for on the command line", 600, at)
        machine.wait_for("CIM ready|start [0-9]+ of this server", 120, machine.at)
        at = machine.at
        lab = again(machine)
        now = model(lab)
        assert now == then, f"the model has changed:\n{then}\n{now}"
        terminal = Terminal(lab, counting)
        after, sum_before = count(terminal, 120)
        later, sum_after = count(terminal, 120)
        assert before < after < later, (before, after, later)
        assert sum_before != sum_after
        # More than a restart of the guest: it never saw the beginning again.
        terminal.type("\r")
        print(f"restart {number + 1}: {after} counted, then {later}", flush=True)
        before = later
    code, outputs = processors_of(lab, counting, 1)
    assert code == 4096, code
    job = lab.wait_for_job(outputs["Job"], 120)
    assert job["JobState"] == 7, job["ErrorDescription"]
    begin(lab, resting, ENABLED)
    for system in (counting, resting):
        begin(lab, system, DISABLED)
    for system in (counting, resting):
        code, _ = lab.call("DestroySystem", AffectedSystem=system)
        assert code == 0, code
    seen, pools = model(lab)
    assert list(seen) == ["off"], seen
    assert all(reserved == 0 for _, reserved in pools.values()), pools


def processors_of(lab, system, number):
    """Asks for another number of processors of a system that is on."""
    state = lab.allocations(lab.state_settings(system))[PROCESSOR, None]
    wanted = rasd(PROCESSOR, InstanceID=state["InstanceID"], VirtualQuantity=number)
    return lab.call("ModifyResourceSettings", ResourceSettings=[wanted])


def begin(lab, system, state):
    code, outputs = lab.ask(system, state)
    assert code == 4096, code
    job = lab.wait_for_job(outputs["Job"], 120)
    assert job["JobState"] == 7, job["ErrorDescription"]


def again(machine):
    """A client of the server that has started again."""
    end = time.monotonic() + 120
    while True:
        try:
            return machine.lab()
        except Exception:  # pylint: disable=broad-except
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--after", type=int, default=90, help="seconds until the management partition crashes")
    parser.add_argument("--rounds", type=int, default=1, help="how often it does")
    options = parser.parse_args()
    when = "after" if options.rounds == 1 else "every"
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        words = f"crash={when}:{options.after}"
        with Product(store, "--management-line", words) as machine:
            try:
                check(machine, options.rounds)
            except BaseException:
                print("\n".join(machine.lines[-60:]), file=sys.stderr)
                raise
    print("PASSED")


if __name__ == "__main__":
    main()
