"""The use cases of the DMTF white paper on system virtualization (DSP2013, 5.1.1 to 5.2.8), as a client does them.

Run against the simulator by suite.py, and against the booted product by guests.py. There are no snapshots yet: the use cases
of 5.2.8 find the service with nothing in its capabilities, and every method refuses with a sentence.
"""

import pywbem
from pywbem import Uint16, Uint64

from test_systems import (
    DISABLED, ENABLED, IO_DEVICE, MEMORY, OK, PROCESSOR, QUIESCE, SERIAL_PORT, SystemTest, memory, rasd, vssd)

NOT_SUPPORTED = 1


class UseCaseTest(SystemTest):
    """5.1: the host. 5.2: virtual systems."""

    def profile(self, name):
        profiles = self.conn.EnumerateInstances("CIM_RegisteredProfile", namespace="interop")
        return next(item for item in profiles if item["RegisteredName"] == name)

    def host(self):
        path = self.profile("System Virtualization").path
        return self.lab.one(path, "CIM_ElementConformsToProfile", "CIM_ComputerSystem")

    def running(self):
        system = self.lab.define(memory(64), rasd(PROCESSOR, VirtualQuantity=2))
        self.lab.change(system, ENABLED)
        return system

    def test_5_1_1_discover_the_profile(self):
        profile = self.profile("System Virtualization")
        self.assertEqual((profile["RegisteredOrganization"], profile["RegisteredVersion"]), (2, "1.0.0"))

    def test_5_1_2_find_hosts(self):
        host = self.host()
        self.assertEqual(host["EnabledState"], ENABLED)
        code, outputs = self.conn.InvokeMethod("GetCentralInstances", self.profile("System Virtualization").path)
        self.assertEqual(code, OK)
        self.assertEqual([path.keybindings for path in outputs["CentralInstances"]], [host.path.keybindings])

    def test_5_1_3_capabilities_of_the_host(self):
        found = self.lab.one(self.host().path, "CIM_ElementCapabilities", "CIM_VirtualSystemManagementCapabilities")
        self.assertEqual(found["VirtualSystemTypesSupported"], ["BH:PC-1"])
        self.assertIn(2, found["SynchronousMethodsSupported"])

    def test_5_1_4_which_resources_can_be_virtualized(self):
        profile = self.profile("System Virtualization")
        components = self.conn.Associators(profile.path, AssocClass="CIM_ReferencedProfile", ResultRole="Antecedent")
        kinds = {}
        for component in components:
            for pool in self.conn.Associators(component.path, AssocClass="CIM_ElementConformsToProfile",
                                              ResultClass="CIM_ResourcePool"):
                kinds.setdefault(component["RegisteredName"], set()).add(pool["ResourceType"])
        self.assertEqual(kinds["Processor Resource Virtualization"], {PROCESSOR})
        self.assertEqual(kinds["Memory Resource Virtualization"], {MEMORY})

    def test_5_1_5_pools_and_their_components(self):
        pools = self.conn.Associators(self.host().path, AssocClass="CIM_HostedResourcePool")
        found = {}
        for pool in pools:
            devices = self.conn.Associators(pool.path, AssocClass="CIM_Component", ResultClass="CIM_LogicalDevice")
            found[pool["ResourceType"]] = {device.classname for device in devices}
        self.assertEqual((found.pop(PROCESSOR), found.pop(MEMORY)), ({"CIM_Processor"}, {"CIM_Memory"}))
        # What the host makes up has nothing of the host behind it.
        self.assertIn(SERIAL_PORT, found)
        self.assertEqual(set().union(*found.values()), set())

    def test_5_1_6_capacity_of_a_pool(self):
        pool = self.lab.pool(MEMORY)
        self.assertEqual((pool["Reserved"], pool["AllocationUnits"]), (0, "byte * 2^20"))
        self.assertGreater(pool["Capacity"], 0)
        self.running()
        self.assertEqual(self.conn.GetInstance(pool.path)["Reserved"], 64)

    def test_5_1_7_what_is_allocated_from_a_pool(self):
        system = self.running()
        pool = self.lab.pool(PROCESSOR)
        devices = self.conn.Associators(pool.path, AssocClass="CIM_ElementAllocatedFromPool")
        self.assertEqual([device["SystemName"] for device in devices], [system.keybindings["Name"]] * 2)
        allocation = self.lab.one(pool.path, "CIM_ResourceAllocationFromPool", "CIM_ResourceAllocationSettingData")
        self.assertEqual(allocation["VirtualQuantity"], 2)

    def test_5_1_8_bounds_of_allocations(self):
        for path in (self.host().path, self.lab.pool(MEMORY).path):
            found = self.conn.Associators(path, AssocClass="CIM_ElementCapabilities",
                                          ResultClass="CIM_AllocationCapabilities")
            found = next(item for item in found if item["ResourceType"] == MEMORY)
            roles = {(link["ValueRole"], link["ValueRange"])
                     for link in self.conn.References(found.path, ResultClass="CIM_SettingsDefineCapabilities")}
            self.assertEqual(roles, {(0, 0), (3, 1), (3, 2), (3, 3)})

    def test_5_1_9_virtual_systems_of_a_host(self):
        systems = [self.lab.define() for _ in range(2)]
        found = self.conn.AssociatorNames(self.host().path, AssocClass="CIM_HostedDependency",
                                          ResultClass="CIM_ComputerSystem", Role="Antecedent")
        self.assertEqual(sorted(path.keybindings["Name"] for path in found),
                         sorted(path.keybindings["Name"] for path in systems))

    def test_5_2_1_define_a_virtual_system(self):
        service = self.lab.one(self.host().path, "CIM_HostedService", "CIM_VirtualSystemManagementService")
        code, outputs = self.conn.InvokeMethod(
            "DefineSystem", service.path, SystemSettings=vssd(ElementName="new", Kernel=self.lab.kernel),
            ResourceSettings=[memory(64)])
        self.assertEqual(code, OK)
        self.assertEqual(self.conn.GetInstance(outputs["ResultingSystem"])["ElementName"], "new")

    def test_5_2_2_state_of_a_virtual_system(self):
        system = self.running()
        self.assertEqual(self.conn.GetInstance(system)["EnabledState"], ENABLED)
        settings = self.lab.state_settings(system)
        self.assertEqual(settings["VirtualSystemIdentifier"], system.keybindings["Name"])

    def test_5_2_3_its_configurations(self):
        system = self.running()
        state = self.lab.state_settings(system)
        defined = self.lab.one(state.path, "CIM_ElementSettingData", "CIM_VirtualSystemSettingData")
        self.assertNotEqual(state.path, defined.path)
        for settings in (state, defined):
            self.assertEqual(self.lab.allocations(settings)[MEMORY, None]["VirtualQuantity"], 64)

    def test_5_2_4_its_devices_and_their_settings(self):
        system = self.running()
        for device in self.conn.Associators(system, AssocClass="CIM_SystemDevice", ResultClass="CIM_Processor"):
            state = self.lab.one(device.path, "CIM_SettingsDefineState", "CIM_ResourceAllocationSettingData")
            defined = self.lab.one(state.path, "CIM_ElementSettingData", "CIM_ResourceAllocationSettingData")
            self.assertEqual((state["ResourceType"], defined["ResourceType"]), (PROCESSOR, PROCESSOR))

    def test_5_2_5_change_its_state(self):
        system = self.lab.define()
        found = self.lab.one(system, "CIM_ElementCapabilities", "CIM_EnabledLogicalElementCapabilities")
        for state in (ENABLED, QUIESCE, ENABLED, DISABLED):
            self.assertIn(state, found["RequestedStatesSupported"])
            self.lab.change(system, state)
            self.assertEqual(self.lab.state(system), state)

    def test_5_2_6_change_its_definition(self):
        system = self.lab.define(memory(64))
        settings = self.lab.defined_settings(system)
        code, outputs = self.lab.call(
            "AddResourceSettings", AffectedConfiguration=settings.path,
            ResourceSettings=[rasd(IO_DEVICE, ResourceSubType="BH:virtio-entropy")])
        self.assertEqual(code, OK)
        added = outputs["ResultingResourceSettings"]
        found = self.lab.allocations(settings)[MEMORY, None]
        found["VirtualQuantity"] = Uint64(96)
        self.assertEqual(self.lab.call("ModifyResourceSettings", ResourceSettings=[found])[0], OK)
        settings["AutomaticStartupAction"] = Uint16(4)
        self.assertEqual(self.lab.call("ModifySystemSettings", SystemSettings=settings)[0], OK)
        self.lab.change(system, ENABLED)
        state = self.lab.state_settings(system)
        self.assertEqual(state["AutomaticStartupAction"], 4)
        allocations = self.lab.allocations(state)
        self.assertEqual(allocations[MEMORY, None]["VirtualQuantity"], 96)
        self.assertIn((IO_DEVICE, "BH:virtio-entropy"), allocations)
        self.assertEqual(self.lab.call("RemoveResourceSettings", ResourceSettings=added)[0], OK)
        self.assertNotIn((IO_DEVICE, "BH:virtio-entropy"), self.lab.allocations(settings))
        # What is only there in the state has no definition any more.
        left = allocations[IO_DEVICE, "BH:virtio-entropy"]
        self.assertEqual(self.conn.Associators(left.path, AssocClass="CIM_ElementSettingData"), [])

    def test_5_2_7_destroy_a_virtual_system(self):
        system = self.running()
        settings = [self.lab.defined_settings(system).path, self.lab.state_settings(system).path]
        self.lab.change(system, DISABLED)
        self.assertEqual(self.lab.call("DestroySystem", AffectedSystem=system)[0], OK)
        for path in (system, *settings):
            self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, "", self.conn.GetInstance, path)

    def snapshot_service(self):
        return self.lab.one(self.host().path, "CIM_HostedService", "CIM_VirtualSystemSnapshotService").path

    def assertNoSnapshots(self, method, **arguments):
        code, outputs = self.conn.InvokeMethod(method, self.snapshot_service(), **arguments)
        self.assertEqual(code, NOT_SUPPORTED)
        self.assertIn("takes no snapshots", self.lab.why(outputs)["Message"])

    def test_5_2_8_1_capabilities_of_the_snapshot_service(self):
        found = self.lab.one(self.snapshot_service(), "CIM_ElementCapabilities",
                             "CIM_VirtualSystemSnapshotServiceCapabilities")
        for name in ("SynchronousMethodsSupported", "AynchronousMethodsSupported", "SnapshotTypesSupported"):
            self.assertEqual(found[name], [], name)
        system = self.lab.define()
        found = self.lab.one(system, "CIM_ElementCapabilities", "CIM_VirtualSystemSnapshotCapabilities")
        self.assertEqual((found["SnapshotTypesEnabled"], found["GuestOSNotificationEnabled"]), ([], False))

    def test_5_2_8_2_create_a_snapshot(self):
        system = self.running()
        self.assertNoSnapshots("CreateSnapshot", AffectedSystem=system, SnapshotType=Uint16(2))
        self.assertEqual(self.lab.state(system), ENABLED)

    def test_5_2_8_3_snapshots_of_a_virtual_system(self):
        system = self.lab.define()
        self.assertEqual(self.conn.Associators(system, AssocClass="CIM_SnapshotOfVirtualSystem"), [])

    def test_5_2_8_4_the_most_current_snapshot(self):
        system = self.lab.define()
        self.assertEqual(self.conn.Associators(system, AssocClass="CIM_MostCurrentSnapshotInBranch"), [])
        self.assertEqual(self.conn.Associators(system, AssocClass="CIM_LastAppliedSnapshot"), [])

    def test_5_2_8_5_snapshots_that_depend_on_another(self):
        settings = self.lab.defined_settings(self.lab.define())
        found = self.conn.Associators(settings.path, AssocClass="CIM_Dependency", Role="Antecedent",
                                      ResultClass="CIM_VirtualSystemSettingData")
        self.assertEqual(found, [])

    def test_5_2_8_6_apply_a_snapshot(self):
        self.assertNoSnapshots("ApplySnapshot", Snapshot=self.lab.defined_settings(self.lab.define()).path)

    def test_5_2_8_7_destroy_a_snapshot(self):
        self.assertNoSnapshots("DestroySnapshot", AffectedSnapshot=self.lab.defined_settings(self.lab.define()).path)
