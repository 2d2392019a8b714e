"""The management partition restarts while guests run: no guest notices, and the model is complete and true afterwards.

Boots the product with two Linux guests, one with physical CPUs of a child pool, memory of another and a processor that came while it ran, one with a physical CPU and
a NUMA node of its own; both count, on both of their consoles with bytes of virtio-rng, and without any device. A tiny guest has an
affinity to a physical CPU and shares of its own, a third Linux is paused, and one system is off. The management partition is made
to crash by its command line.
"""

import argparse
import os
import tempfile
import time

import pywbem

import product
from product import Product, Terminal

# Found by the path that `product` sets.
import kernels  # isort: skip
from lab import COMPLETED, DISABLED, ENABLED, JOB, MEMORY, OK, PROCESSOR, QUIESCE, memory, rasd  # isort: skip
from patience import BOOT, PATIENCE  # isort: skip

NO_BYTES = "e3b0c442"
# MappingBehavior.
DEDICATED, HARD_AFFINITY = 3, 5
# Seconds until the management partition crashes: the first is enough for a quick machine, and one that is not ready by then gets more.
AFTER = (75, 300, 1200)
MACHINE = ("--cpus", "4", "--nodes", "2", "--memory", "1536")
CRASH = "crash asked for on the command line"
# What a tiny guest's memory is filled with, and where.
PATTERN, FIRST, LAST = 0x5ECE7BAD, 0x20_0000, 0x100_0000
# Classes whose instances are the model of systems, pools, and what they have; and the links between them.
INSTANCES = (
    "CIM_ComputerSystem", "CIM_SettingData", "CIM_ResourcePool", "CIM_LogicalDevice", "CIM_TextRedirectionSAP",
    "CIM_TCPProtocolEndpoint", "CIM_AllocationCapabilities", "CIM_EnabledLogicalElementCapabilities",
)
LINKS = (
    "CIM_Dependency", "CIM_Component", "CIM_ElementSettingData", "CIM_SettingsDefineState", "CIM_AffectedJobElement",
    "CIM_ElementCapabilities", "CIM_LogicalIdentity",
)
# What may differ: when the partition saw something, and what it was last asked for, which only the one that was asked knows. Jobs
# end with it as well.
MOVING = {"TimeOfLastStateChange", "InstallDate", "RequestedState"}


class TooEarly(Exception):
    """The crash came before all was ready."""


def model(lab):
    """What clients see of all systems, by the names of instances."""
    seen = {}
    for name in INSTANCES:
        for item in lab.conn.EnumerateInstances(name):
            facts = {key: str(value) for key, value in item.items() if key not in MOVING}
            seen[str(item.path)] = facts
    for name in LINKS:
        for link in lab.conn.EnumerateInstances(name):
            if "CIM_ConcreteJob" not in str(link.path):
                seen[str(link.path)] = {key: str(value) for key, value in link.items()}
    return seen


def assert_same(then, now):
    assert then.keys() == now.keys(), f"gone: {sorted(then.keys() - now.keys())}, new: {sorted(now.keys() - then.keys())}"
    changed = {(name, key): (facts.get(key), now[name].get(key)) for name, facts in then.items()
               for key in facts.keys() | now[name].keys() if facts.get(key) != now[name].get(key)}
    assert not changed, f"changed: {changed}"


class Linux:
    """A guest that counts, seen by its consoles and by its shell."""

    def __init__(self, lab, path):
        self.path = path
        self.terminal = Terminal(lab, path)
        self.number = 0

    def again(self, lab):
        self.terminal.close()
        self.terminal = Terminal(lab, self.path)

    def counts(self, seconds=PATIENCE):
        """The next numbers that it counts to, on both consoles; returns its uptime and the steps of its other count."""
        found = self.terminal.wait_for(r"COUNT (\d+) ([\d.]+) (\d+)\r?\n", seconds)
        number = int(found.group(1))
        assert number > self.number, (number, self.number)
        self.number = number
        random = self.terminal.wait_for(r"HVC (\d+) ([0-9a-f]{8})\r?\n", seconds)
        assert random.group(2) != NO_BYTES, "virtio-rng gave nothing"
        return float(found.group(2)), int(found.group(3))


class Systems:
    """All that runs."""

    def __init__(self, machine):
        machine.upload("monitor.bin", kernels.monitor())
        self.lab = lab = machine.lab()
        self.machine = machine
        found = lab.conn.EnumerateInstances("CIM_ResourcePool")
        primordial = {pool["ResourceType"]: pool.path for pool in found if pool["Primordial"]}
        cpus, nodes = (self.parts(primordial[kind], name) for kind, name in
                       ((PROCESSOR, "CIM_Processor"), (MEMORY, "CIM_Memory")))
        few = self.pool(primordial[PROCESSOR], rasd(PROCESSOR, HostResource=[cpus[2]]))
        some = self.pool(primordial[MEMORY], memory(320))
        line = {"Kernel": "vmlinuz", "Initrd": "initramfs", "CommandLine": "console=ttyS0 then=count quiet"}
        self.pooled = lab.define(
            memory(256, PoolID=some),
            rasd(PROCESSOR, "BH_ProcessorAllocationSettingData", VirtualQuantity=1, MaximumQuantity=pywbem.Uint32(3), PoolID=few,
                 Limit=90),
            ElementName="pooled", **line)
        self.own = lab.define(
            memory(192, HostResource=[nodes[1]]), rasd(PROCESSOR, MappingBehavior=DEDICATED, HostResource=[cpus[3]]),
            ElementName="own", **line)
        self.affine = lab.define(
            memory(16), rasd(PROCESSOR, MappingBehavior=HARD_AFFINITY, HostResource=[cpus[1]], Weight=300, Reservation=10, Limit=80),
            ElementName="affine", Kernel="monitor.bin", BootFormat="flat", LoadAddress=pywbem.Uint64(kernels.BASE),
            EntryAddress=pywbem.Uint64(kernels.BASE))
        self.resting = lab.define(memory(128), ElementName="resting", **{**line, "CommandLine": "console=ttyS0 quiet"})
        lab.define(memory(64), ElementName="off")
        self.on = (self.pooled, self.own, self.affine, self.resting)
        for system in self.on:
            self.begin(system, ENABLED)
        self.begin(self.resting, QUIESCE)
        self.linux = [Linux(lab, system) for system in (self.pooled, self.own)]
        for guest in self.linux:
            guest.counts(BOOT)
        # One that came while it ran is there after the restart as well, and can be taken back.
        code, _ = self.processors_of(self.pooled, 2)
        assert code == OK, code
        with_fill = Terminal(lab, self.affine)
        with_fill.wait_for("MONITOR READY")
        with_fill.type(f"f{FIRST:08x}{LAST:08x}{PATTERN:08x}")
        with_fill.wait_for("=\r\n")
        with_fill.close()

    def parts(self, pool, name):
        """The host's devices in a pool, as HostResource names them."""
        paths = self.lab.conn.AssociatorNames(pool, AssocClass="CIM_ConcreteComponent", ResultClass=name)
        return [str(path) for path in sorted(paths, key=lambda path: path.keybindings["DeviceID"])]

    def pool(self, parent, setting):
        """The PoolID of a new child pool."""
        [service] = self.lab.conn.EnumerateInstanceNames("CIM_ResourcePoolConfigurationService")
        code, outputs = self.lab.conn.InvokeMethod(
            "CreateChildResourcePool", service, Settings=[setting], ParentPool=[parent])
        assert code == OK, code
        return self.lab.conn.GetInstance(outputs["Pool"])["PoolID"]

    def begin(self, system, state):
        code, outputs = self.lab.ask(system, state)
        assert code == JOB, code
        job = self.lab.wait_for_job(outputs["Job"])
        assert job["JobState"] == COMPLETED, job["ErrorDescription"]

    def look(self):
        """What is compared after the next restart: the model, and what each guest counts and has used."""
        return model(self.lab), [(guest.counts(), used(self.lab, guest.path)) for guest in self.linux]

    def restarts(self, at, then, guests):
        """Waits for a restart whose crash is told behind line `at`; all is as it was. Returns the number of the line that told it."""
        self.machine.wait_for(CRASH, max(AFTER) + PATIENCE, at)
        crashed = time.monotonic()
        self.machine.wait_for("start [0-9]+ of this server|CIM ready", BOOT, self.machine.at)
        away = time.monotonic() - crashed
        at = self.machine.at
        self.lab = again(self.machine)
        assert_same(then, model(self.lab))
        for guest, ((up, steps), (time_used, exits)) in zip(self.linux, guests):
            guest.again(self.lab)
            # It waited for random bytes meanwhile; what is behind them is new.
            for _ in range(3):
                now, last = guest.counts()
            assert now - up > away / 2, f"{now - up} s have passed in the guest, the partition was away for {away} s"
            # A step takes a second at least.
            assert steps < last <= steps + now - up + 2, (steps, last, now - up)
            time_now, exits_now = used(self.lab, guest.path)
            assert time_used < time_now and exits < exits_now, (time_used, time_now, exits, exits_now)
            print(f"{guest.number} counted, {last} steps, up for {now} s; the partition was away for {away:.1f} s", flush=True)
        self.look_into_memory()
        return at

    def processors_of(self, system, number):
        """Asks for another number of processors of a system that is on."""
        state = self.lab.allocations(self.lab.state_settings(system))[PROCESSOR, None]
        wanted = rasd(PROCESSOR, InstanceID=state["InstanceID"], VirtualQuantity=number)
        return self.lab.call("ModifyResourceSettings", ResourceSettings=[wanted])

    def look_into_memory(self):
        terminal = Terminal(self.lab, self.affine)
        terminal.type(f"s{FIRST:08x}{LAST:08x}{PATTERN:08x}")
        found = int(terminal.wait_for(r"=([0-9a-f]{8})\r\n").group(1), 16)
        terminal.close()
        assert found == (LAST - FIRST) // 4, found

    def end(self):
        """Turns all off: nothing is held by what is gone."""
        for guest in self.linux:
            guest.terminal.close()
        code, outputs = self.processors_of(self.pooled, 1)
        assert code == JOB, code
        job = self.lab.wait_for_job(outputs["Job"])
        assert job["JobState"] == COMPLETED, job["ErrorDescription"]
        self.begin(self.resting, ENABLED)
        for system in self.on:
            self.begin(system, DISABLED)
        for system in self.on:
            code, _ = self.lab.call("DestroySystem", AffectedSystem=system)
            assert code == OK, code
        systems = [item for item in self.lab.conn.EnumerateInstances("CIM_ComputerSystem") if item["NameFormat"] == "UUID"]
        assert [item["ElementName"] for item in systems] == ["off"], systems
        for pool in self.lab.conn.EnumerateInstances("CIM_ResourcePool"):
            # What the primordial ones still reserve is for their children.
            assert pool["Primordial"] or pool["Reserved"] == 0, pool.items()
            assert pool["CurrentlyConsumedResource"] in (None, 0) or pool["Primordial"], pool.items()


def used(lab, system):
    """A system's CPU time and exits, by the hypervisor's count."""
    names = {item["Id"]: item["Name"] for item in lab.conn.EnumerateInstances("CIM_BaseMetricDefinition")}
    found = lab.conn.Associators(system, AssocClass="CIM_MetricForME", ResultClass="CIM_BaseMetricValue")
    values = {names[item["MetricDefinitionId"]]: int(item["MetricValue"]) for item in found}
    return values["CPU time"], values["Exits to the hypervisor"]


def again(machine):
    """A client of the server that has started again."""
    end = time.monotonic() + BOOT
    while True:
        try:
            return machine.lab()
        except Exception:  # pylint: disable=broad-except
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def attempt(after, rounds):
    when = "after" if rounds == 1 else "every"
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        with Product(store, *MACHINE, "--management-line", f"crash={when}:{after}") as machine:
            with product.telling(machine, but=TooEarly):
                systems = before_the_crash(machine, 0, lambda: Systems(machine))
                at = 0
                for _ in range(rounds):
                    then, guests = before_the_crash(machine, at, systems.look)
                    at = systems.restarts(at, then, guests)
                systems.end()


def before_the_crash(machine, at, prepare):
    """What `prepare` returns; whatever goes wrong when the crash has come already goes wrong because of it."""
    try:
        result = prepare()
    except Exception as error:
        if machine.has_said(CRASH, at):
            raise TooEarly from error
        raise
    if machine.has_said(CRASH, at):
        raise TooEarly
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--after", type=int, help="seconds until the management partition crashes")
    parser.add_argument("--rounds", type=int, default=1, help="how often it does")
    options = parser.parse_args()
    choices = [options.after] if options.after else AFTER
    for after in choices:
        try:
            return attempt(after, options.rounds)
        except TooEarly:
            print(f"not ready after {after} s", flush=True)
    raise AssertionError(f"not ready {choices[-1]} s after the partition's start")


if __name__ == "__main__":
    product.run(main)
