"""Child resource pools, and changes of running systems: each figure of each level, and all or nothing."""

from pywbem import CIMError, CIMInstanceName, Uint16, Uint32, Uint64

from lab import DISABLED, ENABLED, MEMORY, memory, OK, PROCESSOR, rasd
from test_systems import SystemTest

NOT_SUPPORTED, IN_USE, WRONG_TYPE, SHORT = 1, 6, 7, 8
FAILED, INVALID_STATE = 2, 5
# MappingBehavior.
DEDICATED, HARD = 3, 5


class PoolTest(SystemTest):
    """Through the ResourcePoolConfigurationService."""

    def setUp(self):
        super().setUp()
        self.service = self.conn.EnumerateInstanceNames("CIM_ResourcePoolConfigurationService")[0]

    def tearDown(self):
        self.lab.clear()
        # Parts go before what they are a part of.
        children = [pool.path for pool in self.pools() if not pool["Primordial"]]
        for path in sorted(children, key=lambda path: -int(path.keybindings["InstanceID"].rsplit("/")[-1])):
            self.assertEqual(self.call("DeleteResourcePool", Pool=path)[0], OK)
        super().tearDown()

    def call(self, method, **arguments):
        return self.conn.InvokeMethod(method, self.service, **arguments)

    def pools(self):
        return self.conn.EnumerateInstances("CIM_ResourcePool")

    def primordial(self, kind):
        return next(pool for pool in self.pools() if pool["Primordial"] and pool["ResourceType"] == kind)

    def create(self, parent, setting, name="child"):
        code, outputs = self.call("CreateChildResourcePool", ElementName=name, Settings=[setting],
                                  ParentPool=[parent])
        self.assertEqual(code, OK)
        return outputs["Pool"]

    def refused(self, wanted, method, **arguments):
        """Nothing has changed, and the job says why."""
        before = self.pools()
        code, outputs = self.call(method, **arguments)
        self.assertEqual(code, wanted)
        self.assertEqual(self.pools(), before)
        return self.lab.why(outputs)

    def figures(self, path):
        pool = self.conn.GetInstance(path)
        return pool["Capacity"], pool["Reserved"], pool["CurrentlyConsumedResource"]

    def cpus(self, pool):
        found = self.conn.AssociatorNames(pool, AssocClass="CIM_ConcreteComponent", ResultClass="CIM_Processor")
        return sorted(found, key=lambda path: path.keybindings["DeviceID"])

    def test_the_service_says_what_it_can_do(self):
        found = self.lab.one(self.service, "CIM_ElementCapabilities", "CIM_ResourcePoolConfigurationCapabilities")
        self.assertEqual(found["SynchronousMethodsSupported"], [3, 4, 5, 6, 7])
        self.assertEqual(self.lab.one(self.service, "CIM_HostedService", "CIM_ComputerSystem")["Dedicated"] is None,
                         False)
        self.refused(NOT_SUPPORTED, "CreateResourcePool", ElementName="x", HostResources=[], ResourceType="3")

    def test_a_pool_of_processors(self):
        parent = self.primordial(PROCESSOR).path
        host = self.cpus(parent)
        child = self.create(parent, rasd(PROCESSOR, VirtualQuantity=1))
        self.assertEqual(self.figures(child), (100, 0, 0))
        self.assertEqual(self.figures(parent), (400, 100, 100))
        pool = self.conn.GetInstance(child)
        self.assertEqual((pool["ElementName"], pool["Primordial"], pool["PoolID"][:10]),
                         ("child", False, "processor/"))
        self.assertEqual(self.call("AddResourcesToResourcePool", Pool=child, HostResources=host[1:2])[0], OK)
        self.assertEqual(len(self.cpus(child)), 2)
        self.assertEqual(self.figures(parent), (400, 200, 200))
        system = self.lab.define(memory(64), rasd(PROCESSOR, VirtualQuantity=2, Reservation=150, Limit=200,
                                                  PoolID=pool["PoolID"]))
        self.lab.change(system, ENABLED)
        self.assertEqual(self.figures(child), (200, 150, 200))
        devices = self.conn.Associators(child, AssocClass="CIM_ElementAllocatedFromPool", Role="Antecedent")
        self.assertEqual([device["SystemName"] for device in devices], [system.keybindings["Name"]] * 2)
        self.refused(IN_USE, "DeleteResourcePool", Pool=child)
        self.refused(IN_USE, "RemoveResourcesFromResourcePool", Pool=child, HostResources=host[1:2])
        self.lab.change(system, DISABLED)
        self.assertEqual(self.figures(child), (200, 0, 0))
        self.refused(IN_USE, "DeleteResourcePool", Pool=child)
        self.assertEqual(self.call("RemoveResourcesFromResourcePool", Pool=child, HostResources=host[1:2])[0], OK)
        self.assertEqual(self.figures(parent), (400, 100, 100))

    def test_pools_of_memory_in_pools(self):
        parent = self.primordial(MEMORY).path
        outer = self.create(parent, memory(512))
        inner = self.create(outer, memory(200))
        pool = self.conn.GetInstance(inner)
        self.assertEqual(pool["MaxConsumableResource"], 200)
        system = self.lab.define(memory(128, PoolID=pool["PoolID"]))
        self.lab.change(system, ENABLED)
        self.assertEqual(self.figures(inner), (200, 128, 128))
        self.assertEqual(self.figures(outer), (512, 200, 200))
        self.assertEqual(self.figures(parent), (2048, 512, 512))
        self.refused(SHORT, "ChangeParentResourcePool", ChildPool=inner, ParentPool=[outer], Settings=[memory(600)])
        self.refused(SHORT, "ChangeParentResourcePool", ChildPool=inner, ParentPool=[outer], Settings=[memory(64)])
        code, _ = self.call("ChangeParentResourcePool", ChildPool=inner, ParentPool=[parent],
                            Settings=[memory(600)])
        self.assertEqual(code, OK)
        self.assertEqual(self.figures(outer), (512, 0, 0))
        self.assertEqual(self.figures(parent), (2048, 1112, 1112))

    def test_the_share_of_a_pool_is_an_allocation_from_its_parent(self):
        parent = self.primordial(PROCESSOR).path
        child = self.create(parent, rasd(PROCESSOR, Reservation=200))
        share = self.lab.one(child, "CIM_SettingsDefineState", "CIM_ResourceAllocationSettingData")
        self.assertEqual((share["VirtualQuantity"], share["PoolID"]), (2, "processor/primordial"))
        self.assertEqual(len(share["HostResource"]), 2)
        found = self.lab.one(share.path, "CIM_ResourceAllocationFromPool", "CIM_ResourcePool")
        self.assertEqual(found.path.keybindings, parent.keybindings)
        found = self.lab.one(child, "CIM_ElementAllocatedFromPool", "CIM_ResourcePool", Role="Dependent")
        self.assertEqual(found.path.keybindings, parent.keybindings)
        self.assertEqual(self.call("DeleteResourcePool", Pool=child)[0], OK)
        # It names the same processors again.
        self.assertEqual(self.figures(self.create(parent, share)), (200, 0, 0))

    def test_what_is_refused(self):
        processors, ram = self.primordial(PROCESSOR).path, self.primordial(MEMORY).path
        create = "CreateChildResourcePool"
        self.refused(WRONG_TYPE, create, Settings=[memory(64)], ParentPool=[processors])
        self.refused(SHORT, create, Settings=[rasd(PROCESSOR, VirtualQuantity=4)], ParentPool=[processors])
        self.refused(SHORT, create, Settings=[memory(4096)], ParentPool=[ram])
        self.refused(NOT_SUPPORTED, "DeleteResourcePool", Pool=ram)
        for arguments in ({"Settings": [memory(63)], "ParentPool": [ram]}, {"ParentPool": [ram]},
                          {"Settings": [memory(64)], "ParentPool": [ram, ram]}):
            with self.assertRaises(CIMError):
                self.call(create, **arguments)

    def state_processors(self, system):
        return self.lab.allocations(self.lab.state_settings(system))[PROCESSOR, None]

    def modify(self, *settings):
        return self.lab.call("ModifyResourceSettings", ResourceSettings=list(settings))

    def test_a_running_system_changes_its_share_and_its_pool(self):
        parent = self.primordial(PROCESSOR).path
        child = self.create(parent, rasd(PROCESSOR, VirtualQuantity=2))
        system = self.lab.define(memory(64), rasd(PROCESSOR, VirtualQuantity=2))
        self.lab.change(system, ENABLED)
        found = self.state_processors(system)
        found["Weight"] = Uint32(500)
        found["PoolID"] = self.conn.GetInstance(child)["PoolID"]
        self.assertEqual(self.modify(found)[0], OK)
        self.assertEqual(self.state_processors(system)["Weight"], 500)
        self.assertEqual(self.figures(child), (200, 0, 200))
        self.assertEqual(self.figures(parent), (400, 200, 200))
        defined = self.lab.allocations(self.lab.defined_settings(system))[PROCESSOR, None]
        self.assertIsNone(defined["Weight"])

    def test_live_changes_are_all_or_nothing(self):
        systems = [self.lab.define(memory(64), CommandLine=line) for line in ("", "fake.untunable")]
        for system in systems:
            self.lab.change(system, ENABLED)
        found = [self.state_processors(system) for system in systems]
        before = self.pools(), found
        changed = [item.copy() for item in found]
        for item in changed:
            item["Weight"] = Uint32(500)
        code, outputs = self.modify(*changed)
        self.assertEqual(code, FAILED)
        self.lab.why(outputs)
        settings = self.lab.allocations(self.lab.state_settings(systems[0]))[MEMORY, None]
        for name in ("VirtualQuantity", "Reservation", "Limit"):
            settings[name] = Uint64(settings[name] + 64)
        self.assertEqual(self.modify(settings)[0], INVALID_STATE)
        self.assertEqual((self.pools(), [self.state_processors(system) for system in systems]), before)

    def test_processors_of_the_host_itself_stay_where_they_are(self):
        parent = self.primordial(PROCESSOR).path
        child = self.create(parent, rasd(PROCESSOR, VirtualQuantity=1))
        why = self.refused(IN_USE, "AddResourcesToResourcePool", Pool=child, HostResources=self.cpus(parent)[:1])
        self.assertIn("management", why["Message"])
        with self.assertRaises(CIMError) as refused:
            self.lab.define(memory(64), rasd(PROCESSOR, MappingBehavior=DEDICATED,
                                             HostResource=[str(self.cpus(parent)[0])]))
        self.assertIn("management", refused.exception.status_description)

    def affected(self, device, result="CIM_ComputerSystem"):
        found = self.conn.AssociatorNames(device, AssocClass="CIM_Dependency", Role="Antecedent", ResultClass=result)
        return sorted(path.keybindings["Name" if result == "CIM_ComputerSystem" else "SystemName"] for path in found)

    def test_dedicated_processors_are_nobody_elses(self):
        parent = self.primordial(PROCESSOR).path
        host = self.cpus(parent)
        shared = self.lab.define(memory(64))
        self.lab.change(shared, ENABLED)
        own = self.lab.define(memory(64), rasd(PROCESSOR, VirtualQuantity=2, MappingBehavior=DEDICATED))
        defined = self.lab.allocations(self.lab.defined_settings(own))[PROCESSOR, None]
        self.assertEqual((defined["MappingBehavior"], defined["HostResource"]), (DEDICATED, None))
        self.lab.change(own, ENABLED)
        self.assertEqual(self.figures(parent), (400, 200, 300))
        found = self.state_processors(own)
        self.assertEqual((found["MappingBehavior"], found["Reservation"], found["Limit"]), (DEDICATED, 200, 200))
        names = [CIMInstanceName.from_wbem_uri(uri).keybindings["DeviceID"] for uri in found["HostResource"]]
        self.assertEqual(names, [path.keybindings["DeviceID"] for path in host[2:]])
        names = [path.keybindings["Name"] for path in (shared, own)]
        for device, systems in ((host[1], names[:1]), (host[3], names[1:])):
            self.assertEqual(self.affected(device), systems)
        processors = self.conn.AssociatorNames(host[3], AssocClass="CIM_HostedDependency", ResultClass="CIM_Processor")
        self.assertEqual([(path.keybindings["SystemName"], path.keybindings["DeviceID"]) for path in processors],
                         [(names[1], "BH:processor/1")])
        self.refused(SHORT, "CreateChildResourcePool", Settings=[rasd(PROCESSOR, VirtualQuantity=2)],
                     ParentPool=[parent])
        self.refused(IN_USE, "CreateChildResourcePool", Settings=[rasd(PROCESSOR, HostResource=[str(host[2])])],
                     ParentPool=[parent])
        self.lab.change(own, DISABLED)
        self.assertEqual(self.figures(parent), (400, 0, 100))
        self.assertEqual(self.affected(host[3]), names[:1])

    def test_one_traversal_finds_the_systems_that_a_device_affects(self):
        parent = self.primordial(PROCESSOR).path
        host = self.cpus(parent)
        child = self.create(parent, rasd(PROCESSOR, HostResource=[str(host[2])]))
        pool = self.conn.GetInstance(child)["PoolID"]
        inside = self.lab.define(memory(64), rasd(PROCESSOR, VirtualQuantity=2, PoolID=pool))
        bound = self.lab.define(memory(64), rasd(PROCESSOR, HostResource=[str(host[1])]))
        off = self.lab.define(memory(64))
        for system in (inside, bound):
            self.lab.change(system, ENABLED)
        inside, bound, off = (path.keybindings["Name"] for path in (inside, bound, off))
        self.assertEqual([self.affected(cpu) for cpu in host], [[], [bound], [inside], []])
        self.assertEqual(self.affected(host[2], "CIM_Processor"), [inside] * 2)
        ram = self.conn.EnumerateInstanceNames("CIM_Memory")
        ram = next(path for path in ram if path.keybindings["SystemName"] == host[0].keybindings["SystemName"])
        self.assertEqual(self.affected(ram), sorted([inside, bound]))
        hosts = self.conn.AssociatorNames(host[2], AssocClass="CIM_ConcreteComponent", ResultClass="CIM_ResourcePool")
        self.assertEqual(len(hosts), 2)

    def test_a_running_system_changes_its_processors(self):
        host = self.cpus(self.primordial(PROCESSOR).path)
        system = self.lab.define(memory(64))
        self.lab.change(system, ENABLED)
        name = system.keybindings["Name"]
        found = self.state_processors(system)
        found["MappingBehavior"], found["HostResource"] = Uint16(HARD), [str(host[1]), str(host[2])]
        self.assertEqual(self.modify(found)[0], OK)
        self.assertEqual([self.affected(cpu) for cpu in host], [[], [name], [name], []])
        found = self.state_processors(system)
        self.assertEqual((found["MappingBehavior"], len(found["HostResource"])), (HARD, 2))
        before = self.pools(), found
        wrong = found.copy()
        wrong["MappingBehavior"] = Uint16(DEDICATED)
        with self.assertRaises(CIMError):
            self.modify(wrong)
        self.assertEqual((self.pools(), self.state_processors(system)), before)
        found["MappingBehavior"] = Uint16(DEDICATED)
        for choice in ("HostResource", "Reservation"):
            found.properties[choice].value = None
        self.assertEqual(self.modify(found)[0], OK)
        self.assertEqual([self.affected(cpu) for cpu in host], [[], [], [], [name]])

    def test_the_running_configuration_neither_gains_nor_loses_devices(self):
        system = self.lab.define(memory(64))
        self.lab.change(system, ENABLED)
        before = self.pools(), self.lab.allocations(self.lab.state_settings(system))
        state = self.lab.state_settings(system)
        code, outputs = self.lab.call("AddResourceSettings", AffectedConfiguration=state.path,
                                      ResourceSettings=[rasd(21)])
        self.assertEqual(code, INVALID_STATE)
        self.assertIn("defined configuration", self.lab.why(outputs)["Message"])
        code, outputs = self.lab.call("RemoveResourceSettings",
                                      ResourceSettings=[self.state_processors(system).path])
        self.assertEqual(code, INVALID_STATE)
        self.lab.why(outputs)
        code, outputs = self.lab.call("ModifySystemSettings", SystemSettings=state)
        self.assertEqual(code, INVALID_STATE)
        self.lab.why(outputs)
        self.assertEqual((self.pools(), self.lab.allocations(self.lab.state_settings(system))), before)
        # What the definition says from now on counts at the next start.
        defined = self.lab.allocations(self.lab.defined_settings(system))[PROCESSOR, None]
        defined["MappingBehavior"] = Uint16(DEDICATED)
        self.assertEqual(self.modify(defined)[0], OK)
        self.assertEqual(self.pools(), before[0])
        self.lab.change(system, DISABLED)
        self.lab.change(system, ENABLED)
        self.assertEqual(self.state_processors(system)["MappingBehavior"], DEDICATED)

    def test_memory_of_a_numa_node(self):
        parent = self.primordial(MEMORY).path
        nodes = self.conn.AssociatorNames(parent, AssocClass="CIM_ConcreteComponent", ResultClass="CIM_Memory")
        near, far = sorted(nodes, key=lambda path: path.keybindings["DeviceID"])
        blocks = [self.conn.GetInstance(node)["NumberOfBlocks"] for node in (near, far)]
        self.assertEqual(sum(blocks) * 4096 >> 20, self.figures(parent)[0])
        child = self.create(parent, memory(512, HostResource=[str(far)]))
        parts = self.conn.AssociatorNames(child, AssocClass="CIM_ConcreteComponent", ResultClass="CIM_Memory")
        self.assertEqual([path.keybindings["DeviceID"] for path in parts], [far.keybindings["DeviceID"]])
        share = self.lab.one(child, "CIM_SettingsDefineState", "CIM_ResourceAllocationSettingData")
        self.assertEqual(len(share["HostResource"]), 1)
        inside = self.lab.define(memory(64, PoolID=self.conn.GetInstance(child)["PoolID"]))
        bound = self.lab.define(memory(64, HostResource=[str(far)]))
        free = self.lab.define(memory(64))
        for system in (inside, bound, free):
            self.lab.change(system, ENABLED)
        names = [path.keybindings["Name"] for path in (inside, bound, free)]
        self.assertEqual(self.affected(far), sorted(names))
        ram = self.conn.AssociatorNames(far, AssocClass="CIM_HostedDependency", ResultClass="CIM_Memory")
        self.assertEqual(sorted(path.keybindings["SystemName"] for path in ram), sorted(names))
        self.refused(SHORT, "CreateChildResourcePool", ParentPool=[parent],
                     Settings=[memory(512, HostResource=[str(far)])])
        state = self.lab.allocations(self.lab.state_settings(bound))[MEMORY, None]
        self.assertEqual(len(state["HostResource"]), 1)
        state["HostResource"] = [str(near)]
        self.assertEqual(self.modify(state)[0], INVALID_STATE)
        self.lab.change(inside, DISABLED)
        self.assertEqual(self.affected(far), sorted(names[1:]))
