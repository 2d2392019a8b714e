"""Every registered profile (DSP1033): found both ways, and with the elements that the profile demands.

The demands are facts of the profiles' own texts: which classes have instances in the scope of a central instance, over which
associations they are reached, and which properties they must have besides those that the schema marks as required.
"""

import pywbem

from test_systems import ENABLED, IO_DEVICE, SERIAL_PORT, SystemTest, memory, rasd, vssd

DMTF = 2
# Of each profile: RegisteredName and RegisteredVersion, class of central instances.
PROFILES = {
    "DSP1012": ("Boot Control", "1.0.0", "CIM_BootConfigSetting"),
    "DSP1022": ("CPU", "1.0.0", "CIM_Processor"),
    "DSP1024": ("Text Console Redirection", "1.0.0", "CIM_TextRedirectionService"),
    "DSP1026": ("System Memory", "1.0.0", "CIM_Memory"),
    "DSP1027": ("Power State Management", "1.0.0", "CIM_PowerManagementService"),
    "DSP1033": ("Profile Registration", "1.0.0", "CIM_RegisteredProfile"),
    "DSP1041": ("Resource Allocation", "1.1.0", "CIM_ResourcePool"),
    "DSP1042": ("System Virtualization", "1.0.0", "CIM_ComputerSystem"),
    "DSP1043": ("Allocation Capabilities", "1.0.0", "CIM_AllocationCapabilities"),
    "DSP1044": ("Processor Resource Virtualization", "1.0.0", "CIM_ResourcePool"),
    "DSP1045": ("Memory Resource Virtualization", "1.0.0", "CIM_ResourcePool"),
    "DSP1047": ("Storage Resource Virtualization", "1.0.0", "CIM_ResourcePool"),
    "DSP1050": ("Ethernet Port Resource Virtualization", "1.0.0", "CIM_ResourcePool"),
    "DSP1052": ("Computer System", "1.0.0", "CIM_ComputerSystem"),
    "DSP1053": ("Base Metrics", "1.0.0", "CIM_MetricService"),
    "DSP1054": ("Indications", "1.1.0", "CIM_IndicationService"),
    "DSP1057": ("Virtual System Profile", "1.0.0", "CIM_ComputerSystem"),
    "DSP1059": ("Generic Device Resource Virtualization", "1.0.0", "CIM_ResourcePool"),
    "DSP1092": ("WBEM Server Profile", "1.0.0", "CIM_WBEMServer"),
    "DSP1103": ("Job Control", "1.0.0", "CIM_ConcreteJob"),
}
# Those that stand for themselves; the others are components of them.
AUTONOMOUS = {"DSP1042", "DSP1057", "DSP1052", "DSP1092"}
STATE = ("EnabledState", "RequestedState", "OperationalStatus", "HealthState")
POOL = ("PoolID", "ResourceType", "Primordial", "AllocationUnits", "Capacity", "Reserved")
POOL_PATHS = [
    ("CIM_HostedResourcePool", "CIM_ComputerSystem", ("Name",)),
    ("CIM_ElementCapabilities", "CIM_AllocationCapabilities", ("ResourceType", "RequestTypesSupported", "SharingMode")),
]
# Of each profile's central instances: properties that have a value, and what is associated with each: association class,
# class at the other end, and the properties that have a value there.
DEMANDS = {
    "DSP1012": (("ElementName",), [
        ("CIM_ElementSettingData", "CIM_ComputerSystem", ("Name",)),
        ("CIM_OrderedComponent", "CIM_BootSourceSetting", ("BootString", "StructuredBootString", "FailThroughSupported")),
    ]),
    "DSP1022": (("Family", "CPUStatus", "Characteristics", "NumberOfEnabledCores", *STATE), [
        ("CIM_SystemDevice", "CIM_ComputerSystem", ("Name",)),
    ]),
    "DSP1024": ((*STATE, "SharingMode"), [
        ("CIM_HostedService", "CIM_ComputerSystem", ("Name",)),
        ("CIM_ServiceAccessBySAP", "CIM_TextRedirectionSAP", ("EnabledState", "TextFlowType")),
    ]),
    "DSP1026": (("Volatile", "Access", "BlockSize", "NumberOfBlocks", *STATE), [
        ("CIM_SystemDevice", "CIM_ComputerSystem", ("Name",)),
    ]),
    "DSP1027": ((), [
        ("CIM_HostedService", "CIM_ComputerSystem", ("Name",)),
        ("CIM_AssociatedPowerManagementService", "CIM_ComputerSystem", ("Name",)),
        ("CIM_ServiceAffectsElement", "CIM_ComputerSystem", ("Name",)),
        ("CIM_ElementCapabilities", "CIM_PowerManagementCapabilities",
         ("PowerStatesSupported", "RequestedPowerStatesSupported", "PowerChangeCapabilities")),
    ]),
    "DSP1033": (("RegisteredName", "RegisteredVersion", "RegisteredOrganization", "AdvertiseTypes"), []),
    "DSP1041": (POOL, POOL_PATHS),
    "DSP1042": (("Name", "ElementName", "Dedicated", "EnabledState", "RequestedState"), [
        ("CIM_HostedDependency", "CIM_ComputerSystem", ("Name",)),
        ("CIM_HostedResourcePool", "CIM_ResourcePool", POOL),
        ("CIM_ElementCapabilities", "CIM_VirtualSystemManagementCapabilities",
         ("VirtualSystemTypesSupported", "SynchronousMethodsSupported", "AsynchronousMethodsSupported",
          "IndicationsSupported")),
        ("CIM_HostedService", "CIM_VirtualSystemManagementService", ("Name", *STATE)),
        ("CIM_HostedService", "CIM_VirtualSystemSnapshotService", ("Name", *STATE)),
    ]),
    "DSP1043": (("ResourceType", "RequestTypesSupported", "SharingMode"), [
        ("CIM_SettingsDefineCapabilities", "CIM_ResourceAllocationSettingData", ("ElementName", "VirtualQuantity")),
        ("CIM_ElementCapabilities", "CIM_ResourcePool", ("PoolID",)),
    ]),
    "DSP1044": (POOL, [*POOL_PATHS, ("CIM_ConcreteComponent", "CIM_Processor", ("Family",))]),
    "DSP1045": (POOL, [*POOL_PATHS, ("CIM_ConcreteComponent", "CIM_Memory", ("NumberOfBlocks",))]),
    "DSP1047": (POOL, POOL_PATHS),
    "DSP1050": (POOL, POOL_PATHS),
    "DSP1052": (("Name", "ElementName", "NameFormat", "Dedicated", *STATE), [
        ("CIM_SystemDevice", "CIM_Processor", ("Family",)),
        ("CIM_SystemDevice", "CIM_Memory", ("NumberOfBlocks",)),
    ]),
    "DSP1053": ((), [
        ("CIM_HostedService", "CIM_ComputerSystem", ("Name",)),
        ("CIM_ServiceAffectsElement", "CIM_BaseMetricDefinition",
         ("Name", "DataType", "Calculable", "ChangeType", "TimeScope", "GatheringType", "ProgrammaticUnits")),
        ("CIM_ElementCapabilities", "CIM_MetricServiceCapabilities", ("SupportedMethods",)),
    ]),
    "DSP1054": (("FilterCreationEnabled", "DeliveryRetryAttempts", "DeliveryRetryInterval", "SubscriptionRemovalAction",
                 "SubscriptionRemovalTimeInterval"), [
        ("CIM_HostedService", "CIM_ComputerSystem", ("Name",)),
    ]),
    "DSP1057": (("Name", "ElementName", *STATE), [
        ("CIM_HostedDependency", "CIM_ComputerSystem", ("Name",)),
        ("CIM_SettingsDefineState", "CIM_VirtualSystemSettingData",
         ("ElementName", "VirtualSystemIdentifier", "VirtualSystemType")),
        ("CIM_ElementCapabilities", "CIM_EnabledLogicalElementCapabilities", ("RequestedStatesSupported",)),
        ("CIM_AssociatedPowerManagementService", "CIM_PowerManagementService", ("Name",)),
        ("CIM_SystemDevice", "CIM_LogicalDevice", ("DeviceID", *STATE)),
    ]),
    "DSP1059": (POOL, [
        *POOL_PATHS,
        ("CIM_ResourceAllocationFromPool", "CIM_ResourceAllocationSettingData", ("PoolID",)),
        ("CIM_ElementAllocatedFromPool", "CIM_LogicalDevice", ("DeviceID",)),
    ]),
    "DSP1092": ((*STATE, "Description"), [("CIM_HostedService", "CIM_ComputerSystem", ("Name",))]),
    "DSP1103": (("Name", "JobState", "TimeBeforeRemoval", "DeleteOnCompletion", "PercentComplete", "OperationalStatus"), [
        ("CIM_OwningJobElement", "CIM_Service", ("Name",)),
        ("CIM_AffectedJobElement", "CIM_ComputerSystem", ("Name",)),
    ]),
}


class ProfileTest(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wbem = pywbem.WBEMServer(cls.conn)
        cls.classes = {}

    def setUp(self):
        """A system with a device of every kind, that is on."""
        devices = [rasd(SERIAL_PORT), *(rasd(IO_DEVICE, ResourceSubType=f"BH:virtio-{kind}")
                                        for kind in ("console", "entropy"))]
        settings = vssd(Kernel=self.lab.kernel, Initrd=self.lab.initrd)
        self.lab.change(self.lab.define(memory(64), *devices, settings=settings), ENABLED)

    def profiles(self):
        found = self.conn.EnumerateInstances("CIM_RegisteredProfile", namespace="interop")
        return {item["InstanceID"].split(":")[1].split("-")[0]: item for item in found}

    def central(self, profile):
        return self.conn.AssociatorNames(profile.path, AssocClass="CIM_ElementConformsToProfile",
                                         ResultRole="ManagedElement")

    def scoping(self, profile):
        """The instances in whose scope the central ones are: the central ones of the profiles that reference this one."""
        users = self.conn.Associators(profile.path, AssocClass="CIM_ReferencedProfile", ResultRole="Dependent")
        return [path for user in users for path in self.central(user)], users

    def required(self, class_name, namespace):
        """The key and required properties of a class by the server's own schema."""
        if class_name not in self.classes:
            known = self.conn.GetClass(class_name, namespace=namespace, LocalOnly=False, IncludeQualifiers=True)
            self.classes[class_name] = [
                name for name, item in known.properties.items()
                if any(qualifier in item.qualifiers and item.qualifiers[qualifier].value for qualifier in ("Key", "Required"))]
        return self.classes[class_name]

    def assertHas(self, instance, names, what):
        required = self.required(instance.classname, instance.path.namespace)
        for name in (*required, *names):
            self.assertIsNotNone(instance.get(name), f"{what}: {instance.classname}.{name}")

    def test_all_are_registered(self):
        found = self.profiles()
        self.assertEqual(
            {number: (item["RegisteredName"], item["RegisteredVersion"]) for number, item in found.items()},
            {number: facts[:2] for number, facts in PROFILES.items()})
        for item in found.values():
            self.assertEqual((item["RegisteredOrganization"], item["AdvertiseTypes"]), (DMTF, [2]))
            self.assertHas(item, (), item["RegisteredName"])

    def assertGone(self, path, what):
        """Nothing else may be the reason why an instance could not be read, or is on a list no more."""
        with self.assertRaises(pywbem.CIMError, msg=f"{what}: {path} was away, and is there") as caught:
            self.conn.GetInstance(path)
        self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_NOT_FOUND, f"{what}: {path}")

    def read(self, operation, path, what, **filters):
        """What an operation says of an instance; None where the instance has gone since it was listed, as old jobs do."""
        try:
            found = operation(path, **filters)
            if not found:
                # Of an instance that is not there, a server may also say that nothing is associated with it.
                self.conn.GetInstance(path)
            return found
        except pywbem.CIMError as error:
            if error.status_code != pywbem.CIM_ERR_NOT_FOUND:
                raise
        self.assertGone(path, what)
        return None

    def assertBetween(self, before, found, after, what):
        """What was there all the time was found, and what was found was there at some time; the rest has really gone."""
        before, found, after = ({str(self.without_host(path)): path for path in paths} for paths in (before, found, after))
        self.assertEqual(before.keys() & after.keys() - found.keys(), set(), f"{what}: not found")
        self.assertEqual(found.keys() - before.keys() - after.keys(), set(), f"{what}: found, and never there")
        for name in before.keys() - after.keys():
            self.assertGone(before[name], what)

    def test_central_class_method(self):
        for number, profile in self.profiles().items():
            before = self.central(profile)
            self.assertTrue(before, number)
            expected = PROFILES[number][2]
            for path in before:
                self.assertEqual(path.classname, expected, number)
                back = self.read(self.conn.AssociatorNames, path, number, AssocClass="CIM_ElementConformsToProfile",
                                 ResultRole="ConformantStandard")
                if back is not None:
                    self.assertIn(profile.path, [self.without_host(item) for item in back], number)
            by_client = self.wbem.get_central_instances(profile.path, expected)
            code, outputs = self.conn.InvokeMethod("GetCentralInstances", profile.path)
            self.assertEqual(code, 0, number)
            after = self.central(profile)
            self.assertBetween(before, by_client, after, f"{number} by pywbem")
            self.assertBetween(before, outputs["CentralInstances"], after, f"{number} by GetCentralInstances")

    def test_instances_that_go_between_two_questions_are_no_failure_and_others_are(self):
        profile = self.profiles()["DSP1103"]
        job, other = (self.lab.change(self.lab.define(memory(32)), ENABLED).path for _ in range(2))
        before = self.central(profile)
        self.assertIsNotNone(self.read(self.conn.GetInstance, job, "a job"))
        self.conn.DeleteInstance(job)
        self.assertIsNone(self.read(self.conn.AssociatorNames, job, "a job"))
        after = self.central(profile)
        self.assertBetween(before, after, after, "without it")
        self.assertBetween(before, before, after, "with it")
        fewer = [path for path in after if path["InstanceID"] != other["InstanceID"]]
        with self.assertRaisesRegex(AssertionError, "one lost: not found"):
            self.assertBetween(before, fewer, after, "one lost")
        with self.assertRaisesRegex(AssertionError, "one lost later: .* was away, and is there"):
            self.assertBetween(before, before, fewer, "one lost later")
        with self.assertRaisesRegex(AssertionError, "one too many: found, and never there"):
            self.assertBetween(fewer, after, fewer, "one too many")

    @staticmethod
    def without_host(path):
        path = path.copy()
        path.host = None
        return path

    def test_scoping_class_method(self):
        """Every component is referenced, in the end by a profile that stands for itself and has instances."""
        profiles = self.profiles()
        for number in PROFILES.keys() - AUTONOMOUS:
            scoping, users = self.scoping(profiles[number])
            self.assertTrue(users, f"{number} is referenced by none")
            self.assertTrue(scoping, number)
            for user in users:
                parts = self.conn.AssociatorNames(user.path, AssocClass="CIM_ReferencedProfile", ResultRole="Antecedent")
                self.assertIn(profiles[number].path, [self.without_host(item) for item in parts])
        for number in PROFILES:
            seen, waiting = set(), [profiles[number]]
            while waiting:
                profile = waiting.pop()
                if profile["InstanceID"] not in seen:
                    seen.add(profile["InstanceID"])
                    waiting += self.scoping(profile)[1]
            autonomous = {profiles[item]["InstanceID"] for item in AUTONOMOUS}
            self.assertTrue(seen & autonomous, f"{number} is in nobody's scope")

    def test_what_each_profile_demands(self):
        for number, profile in self.profiles().items():
            properties, paths = DEMANDS[number]
            found = [self.read(self.conn.GetInstance, path, number) for path in self.central(profile)]
            found = [instance for instance in found if instance is not None]
            self.assertTrue(found, number)
            for instance in found:
                self.assertHas(instance, properties, number)
            for association, result, names in paths:
                what = f"{number} over {association} to {result}"
                reached, links = [], None
                for instance in found:
                    reached += self.read(self.conn.Associators, instance.path, what, AssocClass=association,
                                         ResultClass=result) or []
                    if not links:
                        links = self.read(self.conn.References, instance.path, what, ResultClass=association)
                self.assertTrue(reached, what)
                for instance in reached:
                    self.assertHas(instance, names, what)
                self.assertTrue(links, what)
                for link in links:
                    self.assertHas(link, (), what)

    def test_nothing_of_what_comes_later_can_be_had(self):
        """The pools of disks and networks are there and empty, and so say their capabilities."""
        for number, kind in (("DSP1047", 31), ("DSP1050", 10)):
            [path] = self.central(self.profiles()[number])
            pool = self.conn.GetInstance(path)
            self.assertEqual((pool["Capacity"], pool["Reserved"], pool["ResourceType"]), (0, 0, kind))
            capabilities = self.lab.one(path, "CIM_ElementCapabilities", "CIM_AllocationCapabilities")
            limits = self.conn.Associators(capabilities.path, AssocClass="CIM_SettingsDefineCapabilities")
            self.assertEqual(sorted(limit["VirtualQuantity"] for limit in limits), [0, 0, 0, 1])
            self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, f"Resources of type {kind}", self.lab.define, rasd(kind))

    def test_devices_come_from_their_pools(self):
        by_id = {pool["PoolID"]: pool for pool in self.conn.EnumerateInstances("CIM_ResourcePool")}
        for name in ("serial-port", "virtio-console", "virtio-entropy"):
            pool = by_id[f"{name}/primordial"]
            self.assertEqual(pool["Reserved"], 1)
            allocation = self.lab.one(pool.path, "CIM_ResourceAllocationFromPool", "CIM_ResourceAllocationSettingData")
            self.assertEqual(allocation["PoolID"], pool["PoolID"])
            device = self.lab.one(pool.path, "CIM_ElementAllocatedFromPool", "CIM_LogicalDevice")
            state = self.lab.one(device.path, "CIM_SettingsDefineState", "CIM_ResourceAllocationSettingData")
            self.assertEqual(state.path, allocation.path)
        resource = rasd(SERIAL_PORT, PoolID="serial-port/primordial")
        found = self.lab.allocations(self.lab.defined_settings(self.lab.define(resource)))
        self.assertEqual(found[SERIAL_PORT, None]["PoolID"], "serial-port/primordial")
        resource["PoolID"] = "disk/primordial"
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, "There is no pool", self.lab.define, resource)
