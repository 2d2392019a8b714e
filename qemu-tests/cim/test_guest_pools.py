"""Pools, shares and physical CPUs of systems on the machine: what the model says is what the hypervisor does."""

import re

from pywbem import CIMError, CIMInstanceName, Uint32, Uint64

import guest_target
from guest_target import Guest, GuestTest, free_things, peek
from lab import DISABLED, ENABLED, EXCEPTION, MEMORY, OK, PROCESSOR, memory, rasd
from patience import PATIENCE, wait_until

IN_USE, SHORT = 6, 8
# MappingBehavior.
DEDICATED, HARD_AFFINITY = 3, 5


class PoolTest(GuestTest):
    def setUp(self):
        super().setUp()
        self.service = self.conn.EnumerateInstanceNames("CIM_ResourcePoolConfigurationService")[0]
        found = self.conn.EnumerateInstances("CIM_ResourcePool")
        self.primordial = {pool["ResourceType"]: pool.path for pool in found if pool["Primordial"]}
        self.cpus = sorted(self.conn.AssociatorNames(
            self.primordial[PROCESSOR], AssocClass="CIM_ConcreteComponent", ResultClass="CIM_Processor"),
            key=lambda path: path.keybindings["DeviceID"])
        if len(self.cpus) < 2:
            self.skipTest("the machine has one processor")

    def call(self, method, **arguments):
        return self.conn.InvokeMethod(method, self.service, **arguments)

    def create(self, parent, setting):
        code, outputs = self.call("CreateChildResourcePool", Settings=[setting], ParentPool=[parent])
        self.assertEqual(code, OK, outputs)
        path = outputs["Pool"]
        self.addCleanup(lambda: self.assertEqual(self.call("DeleteResourcePool", Pool=path)[0], OK))
        return path, self.conn.GetInstance(path)["PoolID"]

    def figures(self, path):
        pool = self.conn.GetInstance(path)
        return pool["Capacity"], pool["Reserved"], pool["CurrentlyConsumedResource"]

    def refused(self, wanted, method, **arguments):
        before = self.left()
        code, outputs = self.call(method, **arguments)
        self.assertEqual((code, self.left()), (wanted, before))
        return self.lab.why(outputs)["Message"]

    def affected(self, device):
        found = self.conn.AssociatorNames(device, AssocClass="CIM_Dependency", Role="Antecedent",
                                          ResultClass="CIM_ComputerSystem")
        return [path.keybindings["Name"] for path in found]

    def spinner(self, *resources, name):
        """A guest that runs; `how` in it finds what the hypervisor said of it since."""
        guest = self.guest(*resources, name=name, Kernel="monitor.bin", BootFormat="flat",
                           LoadAddress=Uint64(guest_target.kernels.BASE), EntryAddress=Uint64(guest_target.kernels.BASE))
        guest.start()
        return guest, self.said_after(0, guest.number())

    def mark(self):
        """How many such lines there are; those of all that has been done are in the file when a system's that comes and goes is."""
        guest = Guest("mark", memory(16), Kernel="pvh.elf")
        number = guest.number()
        guest.destroy()
        free_things(number)
        return len(self.said())

    def said(self):
        with open(guest_target.OPTIONS.log, encoding="utf-8", errors="replace") as log:
            return re.findall(r"system (\d+) runs on processors ([\d, ]+) with weight (\d+), reservation (\d+) %, "
                              r"limit (\d+) %", log.read())

    def said_after(self, mark, number):
        """The hypervisor's own numbers of a system: processors, weight, reservation, limit."""
        new = wait_until(lambda: [line for line in self.said()[mark:] if line[0] == str(number)],
                         f"the partition does not say how system {number} runs")
        return new[-1][1], tuple(int(word) for word in new[-1][2:])

    def state_processors(self, guest):
        return self.lab.allocations(self.lab.state_settings(guest.path))[PROCESSOR, None]

    def modify(self, *settings):
        return self.lab.call("ModifyResourceSettings", ResourceSettings=list(settings))

    def test_what_runs_management_stays(self):
        why = self.refused(IN_USE, "CreateChildResourcePool", ParentPool=[self.primordial[PROCESSOR]],
                           Settings=[rasd(PROCESSOR, HostResource=[str(self.cpus[0])])])
        self.assertIn("management", why)
        with self.assertRaises(CIMError) as refused:
            self.guest(memory(16), rasd(PROCESSOR, MappingBehavior=DEDICATED, HostResource=[str(self.cpus[0])]))
        self.assertIn("management", refused.exception.status_description)

    def test_a_child_pool_runs_its_systems_on_its_processor(self):
        parent = self.primordial[PROCESSOR]
        whole = self.figures(parent)[0]
        child, pool = self.create(parent, rasd(PROCESSOR, HostResource=[str(self.cpus[1])]))
        self.assertEqual(self.figures(parent), (whole, 100, 100))
        inside, how = self.spinner(memory(16), rasd(PROCESSOR, VirtualQuantity=2, Weight=300, PoolID=pool), name="inside")
        self.assertEqual(how, ("1", (300, 0, 0)))
        outside, how = self.spinner(memory(16), rasd(PROCESSOR, VirtualQuantity=2, Limit=150), name="outside")
        self.assertNotIn("1", how[0].split(", "))
        self.assertEqual(how[1][2], 150)
        self.assertEqual(self.figures(child), (100, 0, 200))
        self.assertEqual(self.affected(self.cpus[1]), [inside.path.keybindings["Name"]])
        self.assertEqual(self.affected(self.cpus[0]), [outside.path.keybindings["Name"]])
        self.refused(IN_USE, "DeleteResourcePool", Pool=child)
        inside.destroy()
        outside.destroy()
        self.assertEqual(self.figures(child), (100, 0, 0))

    def test_a_child_pool_of_memory_gives_what_it_has(self):
        parent = self.primordial[MEMORY]
        whole = self.figures(parent)[0]
        child, pool = self.create(parent, memory(64))
        self.spinner(memory(48, PoolID=pool), name="inside")
        self.assertEqual(self.figures(child), (64, 48, 48))
        self.assertEqual(self.figures(parent), (whole, 64, 64))
        second = self.guest(memory(32, PoolID=pool), name="second", Kernel="pvh.elf")
        before = self.figures(child)
        code, outputs = self.lab.ask(second.path, ENABLED)
        job = second.finish(outputs["Job"]) if outputs.get("Job") else None
        self.assertEqual(job["JobState"], EXCEPTION, code)
        self.assertIn("16 MiB", job["ErrorDescription"])
        self.assertEqual((self.figures(child), second.state()), (before, DISABLED))
        self.refused(SHORT, "CreateChildResourcePool", ParentPool=[child], Settings=[memory(32)])

    def test_a_dedicated_processor_is_nobody_elses(self):
        parent = self.primordial[PROCESSOR]
        own, how = self.spinner(memory(16), rasd(PROCESSOR, MappingBehavior=DEDICATED), name="own")
        number = how[0]
        self.assertEqual(self.figures(parent)[1:], (100, 100))
        host = CIMInstanceName.from_wbem_uri(self.state_processors(own)["HostResource"][0])
        self.assertEqual(host.keybindings["DeviceID"], f"BH:processor/{number}")
        shared, how = self.spinner(memory(16), rasd(PROCESSOR, VirtualQuantity=2), name="shared")
        self.assertNotIn(number, how[0].split(", "))
        name = own.path.keybindings["Name"]
        self.assertEqual(self.affected(self.cpus[int(number)]), [name])
        self.refused(IN_USE, "CreateChildResourcePool", ParentPool=[parent],
                     Settings=[rasd(PROCESSOR, HostResource=[str(self.cpus[int(number)])])])
        own.change(DISABLED)
        self.assertEqual(self.figures(parent)[1:], (0, 200))
        shared.destroy()

    def test_shares_of_a_running_system_change_all_or_none(self):
        first, how = self.spinner(memory(16), rasd(PROCESSOR, Weight=50, Reservation=10, Limit=80), name="first")
        self.assertEqual(how[1], (50, 10, 80))
        second, _ = self.spinner(memory(16), name="second")
        mark = self.mark()
        found = self.state_processors(first)
        found["Weight"], found["Reservation"], found["Limit"] = Uint32(700), Uint64(30), Uint64(60)
        self.assertEqual(self.modify(found)[0], OK)
        self.assertEqual(self.said_after(mark, first.number())[1], (700, 30, 60))
        found = [self.state_processors(guest) for guest in (first, second)]
        before = self.left(), found
        changed = [item.copy() for item in found]
        changed[0]["Weight"] = Uint32(1)
        changed[1]["Reservation"] = Uint64(91)
        with self.assertRaises(CIMError):
            self.modify(*changed)
        self.assertEqual((self.left(), [self.state_processors(guest) for guest in (first, second)]), before)
        self.mark()
        self.assertEqual(self.said()[-1][2:], ("700", "30", "60"))

    def cpu_time(self, guest):
        """Nanoseconds that a guest's CPUs have run, by the metric, and when that was, in nanoseconds."""
        found = self.conn.Associators(guest.path, AssocClass="CIM_MetricForME", ResultClass="CIM_BaseMetricValue")
        [value] = [item for item in found if item["MetricDefinitionId"].endswith("/cpu-time")]
        return int(value["MetricValue"]), value["TimeStamp"].datetime.timestamp() * 1e9

    def test_the_metrics_of_guests_that_work_show_their_shares(self):
        guests = {}
        for name, shares in (("light", {"Weight": 100}), ("heavy", {"Weight": 300}), ("limited", {"Weight": 9000, "Limit": 20})):
            guest, _ = self.spinner(
                memory(16), rasd(PROCESSOR, HostResource=[str(self.cpus[1])], MappingBehavior=HARD_AFFINITY, **shares), name=name)
            console = guest.console()
            self.addCleanup(console.close)
            console.expect("MONITOR READY", PATIENCE)
            console.type("l")
            guests[name] = guest
        before = {name: self.cpu_time(guest) for name, guest in guests.items()}
        wait_until(lambda: self.cpu_time(guests["light"])[0] > before["light"][0] + 2e9, "the light one has not worked", pause=1)
        after = {name: self.cpu_time(guest) for name, guest in guests.items()}
        used = {name: (after[name][0] - before[name][0]) / (after[name][1] - before[name][1]) for name in guests}
        # The machine is emulated: what its host does meanwhile counts for the guest that is running just then.
        self.assertAlmostEqual(used["heavy"] / used["light"], 3, delta=0.6, msg=used)
        self.assertAlmostEqual(used["limited"], 0.2, delta=0.04, msg=used)

    def test_memory_of_a_numa_node(self):
        parent = self.primordial[MEMORY]
        nodes = self.conn.AssociatorNames(parent, AssocClass="CIM_ConcreteComponent", ResultClass="CIM_Memory")
        _, far = sorted(nodes, key=lambda path: path.keybindings["DeviceID"])
        child, pool = self.create(parent, memory(64, HostResource=[str(far)]))
        for resource in (memory(48, PoolID=pool), memory(48, HostResource=[str(far)])):
            guest, _ = self.spinner(resource, name="far")
            self.assertIn(guest.path.keybindings["Name"], self.affected(far))
            self.assertEqual(self.memory_said(guest), f"node 1: {48 << 20} bytes")
        self.assertEqual(self.figures(child), (64, 48, 48))
        # As much as a node has, and some more.
        blocks = max(self.conn.GetInstance(node)["NumberOfBlocks"] for node in nodes)
        size = (blocks * 4096 >> 20) + 64 & ~1
        wide, _ = self.spinner(memory(size), name="wide")
        self.assertIn("node 0", self.memory_said(wide))
        self.assertIn("node 1", self.memory_said(wide))
        self.assertEqual(len(self.affected(far)), 3)
        ram = self.conn.AssociatorNames(wide.path, AssocClass="CIM_Dependency", Role="Dependent",
                                        ResultClass="CIM_Memory")
        self.assertEqual(len(ram), 2)

    def memory_said(self, guest):
        """Where the hypervisor put the memory of a system, in its own words."""
        pattern = rf"memory of system {guest.number()} is on (.*?)\r?\n"

        def said():
            with open(guest_target.OPTIONS.log, encoding="utf-8", errors="replace") as log:
                return re.findall(pattern, log.read())

        return wait_until(said, "the partition does not say where the memory is")[-1]

    def test_running_systems_move(self):
        parent = self.primordial[PROCESSOR]
        guests = [self.monitor(name=name)[:2] for name in ("one", "two")]
        names = [guest.path.keybindings["Name"] for guest, _ in guests]
        child, pool = self.create(parent, rasd(PROCESSOR, HostResource=[str(self.cpus[1])]))
        # Whoever ran there has left.
        self.assertEqual([self.affected(cpu) for cpu in self.cpus], [names, []])
        for _, console in guests:
            peek(console, 0x100000, 1)
        guest, console = guests[0]
        for target, place in ((pool, "1"), ("processor/primordial", "0"), (pool, "1")):
            mark = self.mark()
            found = self.state_processors(guest)
            found["PoolID"] = target
            self.assertEqual(self.modify(found)[0], OK)
            self.assertEqual(self.said_after(mark, guest.number())[0], place)
            peek(console, 0x100000, 1)
        self.assertEqual(self.figures(child), (100, 0, 100))
        # A dedicated one that cannot be leaves all as it was.
        before = self.left(), self.mark()
        own = self.guest(memory(16), rasd(PROCESSOR, MappingBehavior=DEDICATED), name="own", Kernel="pvh.elf")
        code, outputs = self.lab.ask(own.path, ENABLED)
        self.assertEqual(own.finish(outputs["Job"])["JobState"], EXCEPTION, code)
        own.destroy()
        self.assertEqual((self.left(), self.mark()), before)
        guest.destroy()
        self.assertEqual(self.call("RemoveResourcesFromResourcePool", Pool=child,
                                   HostResources=[self.cpus[1]])[0], OK)
        mark = self.mark()
        own = self.guest(memory(16), rasd(PROCESSOR, MappingBehavior=DEDICATED), name="owner", Kernel="pvh.elf").start()
        self.assertEqual(self.said_after(mark, own.number())[0], "1")
        self.assertEqual([self.affected(cpu) for cpu in self.cpus], [names[1:], [own.path.keybindings["Name"]]])
        peek(guests[1][1], 0x100000, 1)
        own.destroy()
        guests[1][0].destroy()
