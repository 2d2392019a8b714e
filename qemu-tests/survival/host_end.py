"""The orderly end of the whole machine: power off, restart, and off at once, asked for by CIM.

A Linux is asked by its power button and powers itself off; a tiny kernel is turned off as its definition says; then the
emulator ends by itself, and what was on is on again after the next start.
"""

import argparse
import os
import tempfile

import pywbem

import product
from autostart import KERNEL
from product import Product, Terminal

# Found by the path that `product` sets.
import kernels  # isort: skip
from lab import DISABLED, ENABLED, JOB, memory, REBOOT, SHUT_DOWN  # isort: skip
from patience import BOOT, PATIENCE  # isort: skip

IF_ACTIVE, TURN_OFF, SHUT_DOWN_GUEST = 3, 2, 4
OFF_HARD = 6


def host_of(lab):
    [host] = [item.path for item in lab.conn.EnumerateInstances("CIM_ComputerSystem") if item["NameFormat"] != "UUID"]
    return host


def by_name(lab, name):
    systems = lab.conn.EnumerateInstances("CIM_ComputerSystem")
    return next(item.path for item in systems if item["ElementName"] == name)


def define(lab):
    words = {"AutomaticStartupAction": pywbem.Uint16(IF_ACTIVE)}
    tiny = lab.define(
        memory(16), ElementName="tiny", Kernel=KERNEL, AutomaticShutdownAction=pywbem.Uint16(TURN_OFF),
        AutomaticStartupActionSequenceNumber=pywbem.Uint16(1), **words)
    linux = lab.define(
        memory(256), ElementName="linux", Kernel="vmlinuz", Initrd="initramfs", CommandLine="console=ttyS0",
        AutomaticShutdownAction=pywbem.Uint16(SHUT_DOWN_GUEST), AutomaticStartupActionSequenceNumber=pywbem.Uint16(2))
    lab.change(tiny, ENABLED)
    lab.change(linux, ENABLED)
    terminal = Terminal(lab, linux)
    # Its shell: what listens to the power button is there by then.
    terminal.wait_for(r"guest# ", BOOT)
    terminal.close()
    return tiny, linux


def ended(machine):
    machine.wait_for("The machine has powered off", PATIENCE, machine.at)
    status = machine.process.wait(30)
    assert status == 0, status


def jobs_until_the_end(lab, systems):
    """What was done for each system, as long as somebody answers."""
    seen = {name: set() for name in systems}
    try:
        while True:
            for name, path in systems.items():
                jobs = lab.conn.Associators(path, AssocClass="CIM_AffectedJobElement")
                seen[name] |= {job["Name"] for job in jobs}
    except (pywbem.ConnectionError, pywbem.TimeoutError):
        return seen


def power_off(machine):
    lab = machine.lab(patience=PATIENCE)
    tiny, linux = define(lab)
    code, _ = lab.ask(host_of(lab), SHUT_DOWN)
    assert code == JOB, code
    seen = jobs_until_the_end(lab, {"tiny": tiny, "linux": linux})
    assert seen == {"tiny": {"Start", "Turn off"}, "linux": {"Start", "Shut down"}}, seen
    ended(machine)


def restart(machine):
    lab = machine.lab(patience=PATIENCE)
    tiny, linux = by_name(lab, "tiny"), by_name(lab, "linux")
    lab.wait_for_state(tiny, ENABLED)
    assert lab.state(linux) == DISABLED, "nobody said that it starts"
    code, _ = lab.ask(host_of(lab), REBOOT)
    assert code == JOB, code
    machine.wait_for("The machine starts again", PATIENCE, machine.at)
    machine.wait_for(r"CIM ready: (\S+)", PATIENCE, machine.at)
    lab = machine.lab(patience=PATIENCE)
    lab.wait_for_state(by_name(lab, "tiny"), ENABLED)


def off_at_once(machine):
    lab = machine.lab(patience=PATIENCE)
    service = lab.conn.EnumerateInstanceNames("CIM_PowerManagementService")[0]
    code, _ = lab.conn.InvokeMethod(
        "RequestPowerStateChange", service, PowerState=pywbem.Uint16(OFF_HARD), ManagedElement=host_of(lab))
    assert code == JOB, code
    ended(machine)


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        arguments = (store, "--cpus", "2")
        steps = [("power off", [power_off]), ("restart, off at once", [restart, off_at_once])]
        for number, (name, acts) in enumerate(steps):
            with Product(*arguments) as machine, product.telling(machine):
                if number == 0:
                    machine.upload(KERNEL, kernels.elf("pvh"))
                for act in acts:
                    act(machine)
            print(name, flush=True)


if __name__ == "__main__":
    product.run(main)
