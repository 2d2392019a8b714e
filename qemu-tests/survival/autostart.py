"""After a restart of the whole machine, systems start by themselves as their definitions say: which, in what order, and when.

The kernel is a tiny one, uploaded as an image, so that the image library survives as well. The power is cut, which is the
hardest way to end the machine.
"""

import argparse
import os
import tempfile

import pywbem

import product
from product import Product

# Found by the path that `product` sets.
import kernels  # isort: skip
from lab import DISABLED, ENABLED, memory  # isort: skip

KERNEL = "pvh.elf"
NONE, IF_ACTIVE, ALWAYS = 2, 3, 4
# By ElementName: AutomaticStartupAction, the number in the order, the delay in seconds, and whether it is on at the power cut.
SYSTEMS = {
    "late": (ALWAYS, 0, 10, False),
    "second": (ALWAYS, 2, 0, True),
    "first": (ALWAYS, 1, 0, False),
    "was on": (IF_ACTIVE, 3, 0, True),
    "was off": (IF_ACTIVE, 3, 0, False),
    "never": (NONE, 0, 0, True),
    "unsaid": (None, None, None, True),
}
STARTED = ["first", "second", "was on", "late"]


def define(lab):
    for name, (action, sequence, delay, on) in SYSTEMS.items():
        words = {}
        if action is not None:
            words = {
                "AutomaticStartupAction": pywbem.Uint16(action),
                "AutomaticStartupActionSequenceNumber": pywbem.Uint16(sequence),
                "AutomaticStartupActionDelay": pywbem.CIMDateTime(f"000000000000{delay:02}.000000:000"),
            }
        path = lab.define(memory(16), ElementName=name, Kernel=KERNEL, **words)
        if on:
            lab.change(path, ENABLED)


def systems(lab):
    found = lab.conn.EnumerateInstances("CIM_ComputerSystem")
    return {item["ElementName"]: item.path for item in found if item["NameFormat"] == "UUID"}


def starts(lab):
    """The systems that jobs were begun for, in the order of the jobs."""
    jobs = lab.conn.EnumerateInstances("CIM_ConcreteJob")
    jobs.sort(key=lambda job: int(job["InstanceID"].rpartition("/")[2]))
    names = []
    for job in jobs:
        assert job["JobState"] == 7, (job["Name"], job["ErrorDescription"])
        affected = lab.conn.Associators(job.path, AssocClass="CIM_AffectedJobElement")
        names += [item["ElementName"] for item in affected]
    return names


def check(lab):
    known = systems(lab)
    assert set(known) == set(SYSTEMS), known
    for name in STARTED:
        lab.wait_for_state(known[name], ENABLED)
    for name in SYSTEMS.keys() - set(STARTED):
        assert lab.state(known[name]) == DISABLED, name
    for path in known.values():
        for job in lab.conn.AssociatorNames(path, AssocClass="CIM_AffectedJobElement"):
            lab.wait_for_job(job)
    began = starts(lab)
    assert began == STARTED, began


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        arguments = (store, "--cpus", "2", "--no-demo")
        with Product(*arguments) as machine:
            machine.upload(KERNEL, kernels.elf("pvh"))
            define(machine.lab())
            machine.cut_power()
        # Twice: what started by itself is what was on, the next time.
        for number in range(2):
            with Product(*arguments) as machine:
                with product.telling(machine):
                    check(machine.lab())
                print(f"start {number + 1}: {', '.join(STARTED)}", flush=True)
                machine.cut_power()


if __name__ == "__main__":
    product.run(main)
