"""Power cuts at random moments under a running client: what was acknowledged is there after the reboot, nothing half-made is.

A client defines, modifies and destroys systems until QEMU is killed; one request at most is without an answer then, and has
happened whole or not at all.
"""

import argparse
import os
import random
import tempfile
import threading
import time

import pywbem

import product
from product import Product

# Found by the path that `product` sets.
from lab import MEMORY, PROCESSOR, memory, rasd, vssd  # isort: skip

# How many systems there are, or a few more.
MANY = 40
# The latest moment, in seconds after the client has begun.
LONGEST = 2.5


class Client(threading.Thread):
    """Changes definitions until the server is gone."""

    def __init__(self, lab, known, dice, serial):
        super().__init__(daemon=True)
        self.lab, self.dice, self.serial = lab, dice, serial
        # By the system's name: what was acknowledged.
        self.known = dict(known)
        self.paths = {system["Name"]: system.path for system in systems(lab)}
        # What was asked and not answered: the facts before and after, None where there is no system.
        self.asked = None
        self.error = None
        self.done = 0

    def run(self):
        try:
            while True:
                self.step()
                self.asked = None
                self.done += 1
        except (pywbem.ConnectionError, pywbem.TimeoutError, pywbem.ParseError, pywbem.HeaderParseError):
            pass
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def step(self):
        kind = self.dice.random()
        # They become so many that all kinds of change take their time, and no more.
        if not self.known or kind < (0.45 if len(self.known) < MANY else 0.2):
            self.define()
        elif kind < 0.8:
            self.modify(self.dice.choice(sorted(self.known)))
        else:
            self.destroy(self.dice.choice(sorted(self.known)))

    def facts(self):
        self.serial[0] += 1
        notes = "n" * self.dice.randrange(0, 3000) + str(self.serial[0])
        return (f"cut-{self.serial[0]}", notes, 32 * self.dice.randint(1, 8), self.dice.randint(1, 4))

    def define(self):
        facts = self.facts()
        name, notes, mebibytes, processors = facts
        self.asked = (None, None, facts)
        settings = vssd(ElementName=name, Description=notes)
        resources = [memory(mebibytes), rasd(PROCESSOR, VirtualQuantity=processors)]
        path = self.lab.define(*resources, settings=settings)
        self.known[path["Name"]] = facts
        self.paths[path["Name"]] = path

    def modify(self, system):
        old = self.known[system]
        name, notes, mebibytes, _ = self.facts()
        path = self.paths[system]
        settings = self.lab.defined_settings(path)
        if self.dice.random() < 0.5:
            new = (name, notes, *old[2:])
            self.asked = (system, old, new)
            change = vssd(InstanceID=settings["InstanceID"], ElementName=name, Description=notes)
            code, _ = self.lab.call("ModifySystemSettings", SystemSettings=change)
        else:
            new = (*old[:2], mebibytes, old[3])
            self.asked = (system, old, new)
            found = self.lab.conn.Associators(settings.path, AssocClass="CIM_VirtualSystemSettingDataComponent")
            item = next(item for item in found if item["ResourceType"] == MEMORY)
            change = memory(mebibytes, InstanceID=item["InstanceID"])
            code, _ = self.lab.call("ModifyResourceSettings", ResourceSettings=[change])
        assert code == 0, code
        self.known[system] = new

    def destroy(self, system):
        self.asked = (system, self.known[system], None)
        code, _ = self.lab.call("DestroySystem", AffectedSystem=self.paths[system])
        assert code == 0, code
        del self.known[system]


def systems(lab):
    return [system for system in lab.conn.EnumerateInstances("CIM_ComputerSystem") if system["NameFormat"] == "UUID"]


def found(lab):
    """All definitions, as a client reads them."""
    seen = {}
    for system in systems(lab):
        settings = lab.defined_settings(system.path)
        allocations = lab.conn.Associators(settings.path, AssocClass="CIM_VirtualSystemSettingDataComponent")
        quantity = {item["ResourceType"]: int(item["VirtualQuantity"]) for item in allocations}
        mebibytes = next(item for item in allocations if item["ResourceType"] == MEMORY)
        scale = 1 if "2^20" in mebibytes["AllocationUnits"] else 1 << 20
        seen[system["Name"]] = (
            settings["ElementName"],
            settings["Description"],
            quantity[MEMORY] // scale,
            quantity[PROCESSOR],
        )
    return seen


def compare(seen, client):
    """What is there against what was acknowledged; returns what there is."""
    known = dict(client.known)
    unanswered = client.asked
    if unanswered:
        system, old, new = unanswered
        if system is None:
            more = [facts for name, facts in seen.items() if name not in known]
            assert more in ([], [new]), f"half defined: {more}, asked for {new}"
            seen = {name: facts for name, facts in seen.items() if name in known}
        else:
            is_now = seen.pop(system, None)
            known.pop(system, None)
            assert is_now in (old, new), f"half changed: {is_now}, was {old}, asked for {new}"
    assert seen == known, f"acknowledged {known}, found {seen}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=15, help="how often the power is cut")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    serial = [0]
    known = {}
    client = None
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        for moment in range(options.moments + 1):
            with Product(store, "--cpus", "1", "--no-demo") as machine, product.telling(machine):
                lab = machine.lab()
                known = found(lab)
                if client:
                    compare(dict(known), client)
                    print(f"cut {moment}: {client.done} answered, {len(known)} systems, {client.outcome}", flush=True)
                if moment == options.moments:
                    break
                client = Client(lab, known, dice, serial)
                client.start()
                time.sleep(dice.uniform(0.05, LONGEST))
                machine.cut_power()
                client.join(product.PATIENCE)
                assert not client.is_alive(), "the client still waits"
                if client.error:
                    raise client.error
                client.outcome = "one unanswered" if client.asked else "none unanswered"


if __name__ == "__main__":
    product.run(main)
