"""Virtual systems: definitions, states, jobs, refusals, indications, restarts.

Runs against simulators of its own, whose machine is made of timers. Words of a guest's command line say how the guest
behaves: fake.crash=MS, fake.off=MS, fake.restart=MS, fake.fail=image|memory|machine, fake.start=MS, fake.deaf.
"""

import contextlib
import itertools
import os
import signal
import tempfile
import unittest

import pywbem
from pywbem import CIMInstance, Uint16, Uint32, Uint64

import guest_target
import target
from lab import (
    BUSY, COMPLETED, DISABLED, ENABLED, EXCEPTION, INVALID_TRANSITION, IO_DEVICE, JOB, Lab, MEMORY, memory,
    OK, PROCESSOR, QUIESCE, rasd, REBOOT, RESET, RUNNING, SERIAL_PORT, SHUT_DOWN, STARTING, TERMINATED, vssd,
)
from listener import Listener
from patience import wait_until

# Every change of a system's EnabledState.
STATE_CHANGES = (
    "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ComputerSystem AND "
    "SourceInstance.CIM_ComputerSystem::EnabledState <> PreviousInstance.CIM_ComputerSystem::EnabledState")


class SystemTest(unittest.TestCase):
    """A test against a simulator that the tests of a class share, or against the booted product."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        if guest_target.OPTIONS:
            guest_target.library()
            cls.server = target.SERVER
            # A kernel that is ready at once and waits for what is typed.
            cls.lab = Lab(cls.server, kernel="pvh.elf", initrd="initramfs")
        elif target.SERVER.program:
            cls.server = cls.stack.enter_context(target.simulator(target.SERVER.program, []))
            cls.lab = Lab(cls.server)
        else:
            raise unittest.SkipTest("needs a simulator of its own")
        cls.conn = cls.lab.conn

    @classmethod
    def tearDownClass(cls):
        died = cls.server.process is not None and cls.server.process.poll() is not None
        cls.stack.close()
        assert not died, "the simulator died"

    def tearDown(self):
        self.lab.clear()

    def assertCimError(self, status, words, operation, *args, **kwargs):
        with self.assertRaises(pywbem.CIMError) as caught:
            operation(*args, **kwargs)
        error = caught.exception
        self.assertEqual(error.status_code, status, error)
        self.assertIn(words, error.status_description)
        # Providers add a CIM_Error; what the operations layer finds first has only its sentence.
        for instance in error.instances or []:
            self.assertEqual(instance["CIMStatusCode"], status)
            self.assertEqual(instance["Message"], error.status_description)
        return error


class DefinitionTest(SystemTest):
    def test_the_service_is_found_from_the_host(self):
        profiles = self.conn.EnumerateInstances("CIM_RegisteredProfile", namespace="interop")
        profile = next(item for item in profiles if item["RegisteredName"] == "System Virtualization")
        host = self.lab.one(profile.path, "CIM_ElementConformsToProfile", "CIM_ComputerSystem")
        service = self.lab.one(host.path, "CIM_HostedService", "CIM_VirtualSystemManagementService")
        self.assertEqual(service.path.keybindings, self.lab.service.keybindings)
        capabilities = [
            self.lab.one(path, "CIM_ElementCapabilities", "CIM_VirtualSystemManagementCapabilities")
            for path in (host.path, service.path)
        ]
        self.assertEqual(capabilities[0], capabilities[1])
        self.assertEqual(sorted(capabilities[0]["SynchronousMethodsSupported"]), [2, 3, 5, 6, 7, 10])

    def test_full_settings_read_back_as_given(self):
        given = vssd(
            ElementName="web server", VirtualSystemIdentifier="web", VirtualSystemType="BH:PC-1",
            Description="Serves the web", Notes=["one", "two"], AutomaticStartupAction=Uint16(4),
            AutomaticStartupActionDelay=pywbem.CIMDateTime("00000000000130.000000:000"),
            AutomaticStartupActionSequenceNumber=Uint16(7), AutomaticShutdownAction=Uint16(2),
            AutomaticRecoveryAction=Uint16(3), UUID="0b5f2f6e-3a4c-4d1e-9f00-0123456789ab", Kernel="vmlinuz",
            Initrd="initrd.img", CommandLine="console=ttyS0 quiet", BootFormat="linux")
        resources = [
            rasd(PROCESSOR, "BH_ProcessorAllocationSettingData", VirtualQuantity=4, Reservation=50, Limit=300,
                 Weight=200, AllocationUnits="percent", Sockets=Uint32(2), CoresPerSocket=Uint32(2),
                 ThreadsPerCore=Uint32(1), ElementName="four"),
            memory(512, PoolID="memory/primordial"),
            rasd(SERIAL_PORT),
            rasd(IO_DEVICE, ResourceSubType="BH:virtio-console"),
            rasd(IO_DEVICE, ResourceSubType="BH:virtio-entropy"),
        ]
        system = self.lab.define(*resources, settings=given)
        self.assertEqual(system.keybindings["Name"], given["UUID"])
        shown = self.conn.GetInstance(system)
        self.assertEqual(shown["ElementName"], "web server")
        self.assertEqual(shown["EnabledState"], DISABLED)
        self.assertEqual(shown["OtherIdentifyingInfo"], [given["UUID"], "web"])
        defined = self.lab.defined_settings(system)
        for name, value in given.items():
            self.assertEqual(defined[name], value, name)
        allocations = self.lab.allocations(defined)
        self.assertEqual(set(allocations), {
            (PROCESSOR, None), (MEMORY, None), (SERIAL_PORT, None), (IO_DEVICE, "BH:virtio-console"),
            (IO_DEVICE, "BH:virtio-entropy")})
        for wanted in resources:
            found = allocations[wanted["ResourceType"], wanted.get("ResourceSubType")]
            self.assertEqual(found.classname, "BH_ProcessorAllocationSettingData"
                             if wanted["ResourceType"] == PROCESSOR else "CIM_ResourceAllocationSettingData")
            for name, value in wanted.items():
                self.assertEqual(found[name], value, name)

    def test_nothing_given_is_everything_chosen(self):
        code, outputs = self.lab.call("DefineSystem")
        self.assertEqual(code, OK)
        system = outputs["ResultingSystem"]
        defined = self.lab.defined_settings(system)
        for name in ("VirtualSystemType", "Notes", "AutomaticStartupAction", "AutomaticShutdownAction",
                     "AutomaticRecoveryAction", "Kernel", "CommandLine", "BootFormat"):
            self.assertIsNone(defined[name], name)
        allocations = self.lab.allocations(defined)
        self.assertIsNone(allocations[PROCESSOR, None]["VirtualQuantity"])
        self.assertIsNone(allocations[MEMORY, None]["VirtualQuantity"])
        state = self.lab.state_settings(system)
        self.assertEqual(state["AutomaticStartupAction"], 2)
        self.assertEqual(self.lab.allocations(state), {}, "a system that is off holds no resources")

    def test_the_forms_of_old_clients(self):
        # The base classes; MOF text without saying that it is an embedded instance; KiloBytes in AllocationUnits.
        settings = 'instance of CIM_VirtualSystemSettingData { ElementName = "old"; };'
        resource = ('instance of CIM_ResourceAllocationSettingData { ResourceType = 4; VirtualQuantity = 65536; '
                    'AllocationUnits = "KiloBytes"; };')
        code, outputs = self.lab.call("DefineSystem", SystemSettings=settings, ResourceSettings=[resource])
        self.assertEqual(code, OK)
        defined = self.lab.defined_settings(outputs["ResultingSystem"])
        self.assertEqual(defined["ElementName"], "old")
        found = self.lab.allocations(defined)[MEMORY, None]
        self.assertEqual((found["VirtualQuantity"], found["VirtualQuantityUnits"]), (64, "byte * 2^20"))

    def test_a_reference_configuration_supplies_the_rest(self):
        first = self.lab.define(memory(96), CommandLine="quiet")
        code, outputs = self.lab.call(
            "DefineSystem", SystemSettings=vssd(ElementName="copy"),
            ReferenceConfiguration=self.lab.defined_settings(first).path)
        self.assertEqual(code, OK)
        copy = self.lab.defined_settings(outputs["ResultingSystem"])
        self.assertEqual((copy["ElementName"], copy["CommandLine"]), ("copy", "quiet"))
        self.assertEqual(self.lab.allocations(copy)[MEMORY, None]["VirtualQuantity"], 96)

    def test_wrong_inputs_are_refused_with_a_sentence_and_leave_nothing(self):
        invalid, exists = pywbem.CIM_ERR_INVALID_PARAMETER, pywbem.CIM_ERR_ALREADY_EXISTS
        taken = "0b5f2f6e-3a4c-4d1e-9f00-0123456789ff"
        self.lab.define(UUID=taken)
        # Status, words of the sentence, settings, resources.
        table = [
            (invalid, "SystemSettings: CIM_ComputerSystem is no class", vssd("CIM_ComputerSystem"), []),
            (invalid, "no such property", vssd(Colour="red"), []),
            (invalid, "cannot be set", vssd(SwapFileDataRoot="/"), []),
            (invalid, "SystemSettings.VirtualSystemType: There is no virtual system type",
             vssd(VirtualSystemType="DMTF:KVM"), []),
            (invalid, "There is no image nothing", vssd(Kernel="nothing"), []),
            (invalid, "cannot be the name of an image", vssd(Kernel="../x"), []),
            (invalid, "is no boot format", vssd(BootFormat="coff"), []),
            (invalid, "is no UUID", vssd(UUID="12"), []),
            (exists, "has that identifier already", vssd(UUID=taken), []),
            (invalid, "Give 2 (None)", vssd(AutomaticStartupAction=Uint16(9)), []),
            (invalid, "Give 2 (Turn Off)", vssd(AutomaticShutdownAction=Uint16(3)), []),
            (invalid, "type uint16", vssd(AutomaticStartupAction="soon"), []),
            (invalid, "at most 2047 bytes", vssd(CommandLine="x" * 3000), []),
            (invalid, "ResourceSettings[0].VirtualQuantity: 999998 MiB are more than", vssd(), [memory(999998)]),
            (invalid, "Ask for at least 16 MiB", vssd(), [memory(2)]),
            (invalid, "is no unit", vssd(), [rasd(MEMORY, VirtualQuantity=1, VirtualQuantityUnits="KiloMeters")]),
            (invalid, "exactly one allocation of memory", vssd(), [memory(64), memory(64)]),
            (invalid, "Give 1 to 8", vssd(), [rasd(PROCESSOR, VirtualQuantity=9)]),
            (invalid, "Give 1 to 10000", vssd(), [rasd(PROCESSOR, Weight=20000)]),
            (invalid, "There is no pool", vssd(), [rasd(PROCESSOR, PoolID="nowhere")]),
            (invalid, "ResourceSettings[1].ResourceType: Resources of type 10", vssd(), [memory(64), rasd(10)]),
            (invalid, "does not say which kind", vssd(), [CIMInstance("CIM_ResourceAllocationSettingData")]),
            (invalid, "no ResourceSubType", vssd(), [rasd(IO_DEVICE, ResourceSubType="abacus")]),
            (invalid, "names no device of the host", vssd(), [memory(64, HostResource=["x"])]),
        ]
        before = len(self.conn.EnumerateInstanceNames("CIM_ManagedElement"))
        for status, words, settings, resources in table:
            with self.subTest(words):
                self.assertCimError(status, words, self.lab.call, "DefineSystem", SystemSettings=settings,
                                    ResourceSettings=resources)
        self.assertEqual(len(self.conn.EnumerateInstanceNames("CIM_ManagedElement")), before)
        missing = self.lab.service.copy()
        missing.keybindings["Name"] = "nothing"
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, "no instance", self.conn.InvokeMethod, "DefineSystem", missing)
        self.assertCimError(invalid, "embedded object", self.lab.call, "DefineSystem", SystemSettings="nonsense")

    def test_systems_are_changed(self):
        system = self.lab.define(memory(64), CommandLine="one", ElementName="first")
        defined = self.lab.defined_settings(system)
        # The whole instance goes back, as clients do that read, change and write.
        defined["CommandLine"] = "two"
        defined["Initrd"] = "initrd.img"
        defined["Kernel"] = pywbem.CIMProperty("Kernel", None, type="string")
        code, _ = self.lab.call("ModifySystemSettings", SystemSettings=defined)
        self.assertEqual(code, OK)
        defined = self.lab.defined_settings(system)
        self.assertEqual((defined["CommandLine"], defined["Initrd"]), ("two", "initrd.img"))
        self.assertIsNone(defined["Kernel"])
        change = CIMInstance("CIM_ComputerSystem", {"ElementName": "second"}, path=system)
        self.conn.ModifyInstance(change)
        self.assertEqual(self.conn.GetInstance(system)["ElementName"], "second")
        self.assertEqual(self.lab.defined_settings(system)["ElementName"], "second")
        defined = vssd(InstanceID=defined["InstanceID"], Kernel="nothing")
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, "There is no image", self.lab.call,
                            "ModifySystemSettings", SystemSettings=defined)
        defined = vssd(InstanceID="BH:system/99/defined")
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, "There is no system 99", self.lab.call,
                            "ModifySystemSettings", SystemSettings=defined)

    def test_resources_are_added_changed_and_removed(self):
        system = self.lab.define(memory(64))
        settings = self.lab.defined_settings(system)
        code, outputs = self.lab.call(
            "AddResourceSettings", AffectedConfiguration=settings.path,
            ResourceSettings=[rasd(IO_DEVICE, ResourceSubType="BH:virtio-console", ElementName="extra")])
        self.assertEqual(code, OK)
        extra = outputs["ResultingResourceSettings"][0]
        self.assertEqual(self.conn.GetInstance(extra)["ElementName"], "extra")
        found = self.lab.allocations(settings)
        found[MEMORY, None]["VirtualQuantity"] = Uint64(128)
        found[PROCESSOR, None]["VirtualQuantity"] = Uint64(2)
        code, outputs = self.lab.call(
            "ModifyResourceSettings", ResourceSettings=[found[MEMORY, None], found[PROCESSOR, None]])
        self.assertEqual(code, OK)
        self.assertEqual([path.keybindings for path in outputs["ResultingResourceSettings"]],
                         [found[key].path.keybindings for key in ((MEMORY, None), (PROCESSOR, None))])
        found = self.lab.allocations(settings)
        self.assertEqual(found[MEMORY, None]["VirtualQuantity"], 128)
        # All or nothing.
        found[MEMORY, None]["VirtualQuantity"] = Uint64(256)
        found[PROCESSOR, None]["VirtualQuantity"] = Uint64(99)
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, "ResourceSettings[1].VirtualQuantity", self.lab.call,
                            "ModifyResourceSettings", ResourceSettings=[found[MEMORY, None], found[PROCESSOR, None]])
        self.assertEqual(self.lab.allocations(settings)[MEMORY, None]["VirtualQuantity"], 128)
        code, _ = self.lab.call("RemoveResourceSettings", ResourceSettings=[extra])
        self.assertEqual(code, OK)
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, "an allocation that exists", self.lab.call,
                            "RemoveResourceSettings", ResourceSettings=[extra])
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, "Modify the one that is there", self.lab.call,
                            "RemoveResourceSettings", ResourceSettings=[found[MEMORY, None].path])

    def test_the_state_of_a_system_is_not_a_definition(self):
        system = self.lab.define(memory(64))
        self.lab.change(system, ENABLED)
        state = self.lab.state_settings(system)
        code, outputs = self.lab.call("ModifySystemSettings", SystemSettings=vssd(InstanceID=state["InstanceID"]))
        self.assertEqual(code, 5)
        self.assertIn("Change its defined configuration", self.lab.why(outputs)["Message"])
        code, outputs = self.lab.call(
            "AddResourceSettings", AffectedConfiguration=state.path, ResourceSettings=[memory(64)])
        self.assertEqual(code, 5)

    def test_destroying(self):
        system = self.lab.define()
        self.lab.change(system, ENABLED)
        code, outputs = self.lab.call("DestroySystem", AffectedSystem=system)
        self.assertEqual(code, 5)
        self.assertIn("Turn it off first", self.lab.why(outputs)["Message"])
        self.lab.change(system, DISABLED)
        code, _ = self.lab.call("DestroySystem", AffectedSystem=system)
        self.assertEqual(code, OK)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, "", self.conn.GetInstance, system)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, "no such instance", self.lab.call, "DestroySystem",
                            AffectedSystem=system)
        host = self.conn.Associators(self.lab.service, AssocClass="CIM_HostedService")[0]
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, "cannot be destroyed", self.lab.call, "DestroySystem",
                            AffectedSystem=host.path)

    def test_readers_change_nothing(self):
        system = self.lab.define()
        reader = Lab(self.server, *target.READER)
        self.addCleanup(reader.conn.close)
        self.assertCimError(pywbem.CIM_ERR_ACCESS_DENIED, "", reader.define)
        self.assertCimError(pywbem.CIM_ERR_ACCESS_DENIED, "", reader.ask, system, ENABLED)
        operator = Lab(self.server, *target.OPERATOR)
        self.addCleanup(operator.conn.close)
        operator.change(system, ENABLED)


class StateTest(SystemTest):
    def test_every_transition(self):
        system = self.lab.define(memory(64))
        # Request, the state afterwards, what can be asked there.
        for request, state, available in [
                (ENABLED, ENABLED, [DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET]),
                (QUIESCE, QUIESCE, [ENABLED, DISABLED, RESET]),
                (ENABLED, ENABLED, [DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET]),
                (RESET, ENABLED, [DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET]),
                (REBOOT, ENABLED, [DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET]),
                (SHUT_DOWN, DISABLED, [ENABLED]),
                (ENABLED, ENABLED, [DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET]),
                (DISABLED, DISABLED, [ENABLED]),
                (ENABLED, ENABLED, [DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET]),
                (QUIESCE, QUIESCE, [ENABLED, DISABLED, RESET]),
                (RESET, ENABLED, [DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET]),
                (QUIESCE, QUIESCE, [ENABLED, DISABLED, RESET]),
                (DISABLED, DISABLED, [ENABLED])]:
            with self.subTest(request=request, state=state):
                job = self.lab.change(system, request)
                self.assertEqual(job["PercentComplete"], 100)
                shown = self.conn.GetInstance(system)
                self.assertEqual(shown["EnabledState"], state)
                self.assertEqual(shown["RequestedState"], request)
                self.assertEqual(shown["TransitioningToState"], 5)
                self.assertEqual(sorted(shown["AvailableRequestedStates"]), available)
                self.assertEqual(shown["OperationalStatus"], {ENABLED: [2], DISABLED: [10], QUIESCE: [15]}[state])

    def test_the_states_in_between(self):
        # A client that is slow finds a longer start.
        for milliseconds in (400, 4_000, 40_000):
            system = self.lab.define(CommandLine=f"fake.start={milliseconds} fake.deaf")
            code, outputs = self.lab.ask(system, ENABLED)
            self.assertEqual(code, JOB)
            shown = self.conn.GetInstance(system)
            job = self.conn.GetInstance(outputs["Job"])
            pause = self.lab.ask(system, QUIESCE)[0]
            if self.lab.state(system) == STARTING:
                break
            self.lab.wait_for_job(outputs["Job"])
            self.lab.clear()
        self.assertEqual((shown["EnabledState"], shown["TransitioningToState"]), (STARTING, ENABLED))
        self.assertEqual(shown["OperationalStatus"], [8])
        self.assertEqual((job["JobState"], pause), (RUNNING, BUSY))
        self.lab.wait_for_job(outputs["Job"])
        code, outputs = self.lab.ask(system, SHUT_DOWN)
        shown = self.conn.GetInstance(system)
        self.assertEqual((shown["EnabledState"], shown["TransitioningToState"]), (4, SHUT_DOWN))
        # The guest does not listen; turning it off ends the waiting.
        self.lab.change(system, DISABLED)
        self.assertEqual(self.lab.wait_for_job(outputs["Job"])["JobState"], EXCEPTION)

    def test_what_is_so_already_is_done(self):
        system = self.lab.define()
        self.assertEqual(self.lab.ask(system, DISABLED), (OK, {}))
        self.lab.change(system, ENABLED, TimeoutPeriod=pywbem.CIMDateTime("00000000000000.000000:000"))
        self.assertEqual(self.lab.ask(system, ENABLED), (OK, {}))
        self.lab.change(system, QUIESCE)
        self.assertEqual(self.lab.ask(system, QUIESCE), (OK, {}))

    def test_requests_that_do_not_fit(self):
        system = self.lab.define()
        # Request, code, words.
        off = [(QUIESCE, INVALID_TRANSITION, "while the system is off"), (REBOOT, INVALID_TRANSITION, "is off"),
               (RESET, INVALID_TRANSITION, "is off"), (6, 1, "not supported"), (7, 1, "not supported"),
               (8, 1, "not supported"), (5, 5, "no state 5"), (77, 5, "Ask for 2 (Enabled)")]
        for request, code, words in off:
            with self.subTest(request=request):
                found, outputs = self.lab.ask(system, request)
                self.assertEqual(found, code)
                self.assertIn(words, self.lab.why(outputs)["Message"])
        code, outputs = self.conn.InvokeMethod("RequestStateChange", system)
        self.assertEqual(code, 5)
        self.lab.change(system, ENABLED)
        self.lab.change(system, QUIESCE)
        for request in (SHUT_DOWN, REBOOT):
            code, outputs = self.lab.ask(system, request)
            self.assertEqual(code, INVALID_TRANSITION)
            self.assertIn("Ask for 2 (Enabled) first", self.lab.why(outputs)["Message"])
        self.assertEqual(self.lab.state(system), QUIESCE)

    def test_starts_that_fail(self):
        bare = self.lab.define(settings=vssd(ElementName="bare"))
        code, outputs = self.lab.ask(bare, ENABLED)
        self.assertEqual(code, 4)
        self.assertIn("names no kernel", self.lab.why(outputs)["Message"])
        for reason, words in (("image", "no kernel that can be booted"), ("memory", "No frames"), ("machine", "told")):
            system = self.lab.define(CommandLine=f"fake.fail={reason}")
            code, outputs = self.lab.ask(system, ENABLED)
            self.assertEqual(code, JOB)
            job = self.lab.wait_for_job(outputs["Job"])
            self.assertEqual(job["JobState"], EXCEPTION)
            self.assertIn(words, job["ErrorDescription"])
            shown = self.conn.GetInstance(system)
            self.assertEqual(shown["EnabledState"], DISABLED)
            self.assertIn(words, shown["StatusDescriptions"][0])
        self.assertEqual(self.lab.pool(MEMORY)["Reserved"], 0)

    def test_crashes_are_shown(self):
        system = self.lab.define(CommandLine="fake.crash=50")
        self.lab.change(system, ENABLED)
        self.lab.wait_for_state(system, DISABLED)
        shown = self.conn.GetInstance(system)
        self.assertEqual(shown["OperationalStatus"], [6, 14])
        self.assertIn("triple fault", shown["StatusDescriptions"][0])
        self.assertIn("rip 0xdeadbeef", shown["StatusDescriptions"][1])
        self.assertEqual(shown["HealthState"], 20)
        self.assertEqual(shown["RequestedState"], 5)
        self.assertEqual(self.lab.pool(MEMORY)["Reserved"], 0)
        self.assertEqual(self.lab.ask(system, DISABLED)[0], OK)
        self.assertEqual(self.conn.GetInstance(system)["OperationalStatus"], [10])


class JobTest(SystemTest):
    def test_jobs_are_linked_and_stay_for_a_while(self):
        system = self.lab.define()
        job = self.lab.change(system, ENABLED)
        self.assertEqual(job["OperationalStatus"], [17, 2])
        self.assertEqual(job["ErrorCode"], 0)
        owner = self.conn.AssociatorNames(job.path, AssocClass="CIM_OwningJobElement")
        self.assertEqual([path.classname for path in owner], ["CIM_VirtualSystemManagementService"])
        affected = self.conn.AssociatorNames(job.path, AssocClass="CIM_AffectedJobElement")
        self.assertEqual([path.keybindings for path in affected], [system.keybindings])
        code, outputs = self.conn.InvokeMethod("GetErrors", job.path)
        self.assertEqual((code, outputs.get("Errors")), (OK, None))
        short = CIMInstance("CIM_ConcreteJob", path=job.path, properties={
            "TimeBeforeRemoval": pywbem.CIMDateTime("00000000000000.200000:000")})
        self.conn.ModifyInstance(short)
        wait_until(lambda: target.is_gone(self.conn, job.path), "the job is there still")

    def test_time_outs_and_the_end_of_waiting(self):
        system = self.lab.define(CommandLine="fake.deaf")
        self.lab.change(system, ENABLED)
        limit = pywbem.CIMDateTime("00000000000000.300000:000")
        code, outputs = self.lab.ask(system, SHUT_DOWN, TimeoutPeriod=limit)
        self.assertEqual(code, JOB)
        job = self.lab.wait_for_job(outputs["Job"])
        self.assertEqual(job["JobState"], EXCEPTION)
        self.assertIn("did not power itself off", job["ErrorDescription"])
        self.assertEqual(self.lab.state(system), ENABLED)
        code, outputs = self.lab.ask(system, SHUT_DOWN)
        path = outputs["Job"]
        self.assertCimError(pywbem.CIM_ERR_FAILED, "has not ended", self.conn.DeleteInstance, path)
        code, _ = self.conn.InvokeMethod("RequestStateChange", path, RequestedState=Uint16(4))
        self.assertEqual(code, OK)
        self.assertEqual(self.conn.GetInstance(path)["JobState"], TERMINATED)
        self.assertEqual(self.lab.state(system), ENABLED)
        code, _ = self.conn.InvokeMethod("RequestStateChange", path, RequestedState=Uint16(4))
        self.assertEqual(code, INVALID_TRANSITION)
        code, _ = self.conn.InvokeMethod("KillJob", path, DeleteOnKill=True)
        self.assertEqual(code, OK)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, "", self.conn.GetInstance, path)


class ResourceTest(SystemTest):
    def test_the_pools_equal_what_runs(self):
        systems = [self.lab.define(memory(100), rasd(PROCESSOR, VirtualQuantity=2, Reservation=30)) for _ in range(3)]
        for count, system in enumerate(systems):
            self.assertEqual(self.lab.pool(MEMORY)["Reserved"], 100 * count)
            self.lab.change(system, ENABLED)
        pool = self.lab.pool(MEMORY)
        self.assertEqual((pool["Capacity"], pool["Reserved"], pool["AllocationUnits"]), (2048, 300, "byte * 2^20"))
        pool = self.lab.pool(PROCESSOR)
        self.assertEqual((pool["Capacity"], pool["Reserved"], pool["CurrentlyConsumedResource"]), (400, 90, 600))
        devices = self.conn.AssociatorNames(pool.path, AssocClass="CIM_ElementAllocatedFromPool")
        self.assertEqual(len(devices), 6)
        allocations = self.conn.AssociatorNames(pool.path, AssocClass="CIM_ResourceAllocationFromPool")
        self.assertEqual(len(allocations), 3)
        components = self.conn.AssociatorNames(pool.path, AssocClass="CIM_Component", ResultClass="CIM_LogicalDevice")
        self.assertEqual(len(components), 4)
        hosted = self.conn.AssociatorNames(pool.path, AssocClass="CIM_HostedResourcePool")
        self.assertEqual([path.keybindings["Name"] for path in hosted], ["bulkhead-sim"])

    def test_too_much_at_once_is_refused(self):
        first, second = (self.lab.define(memory(1500)) for _ in range(2))
        self.lab.change(first, ENABLED)
        code, outputs = self.lab.ask(second, ENABLED)
        self.assertEqual(code, 4)
        error = self.lab.why(outputs)
        self.assertIn("needs 1500 MiB of memory, and 548 MiB are left", error["Message"])
        self.assertEqual(error["MessageID"], "BH-MEMORY-SHORT")
        self.assertEqual(self.lab.pool(MEMORY)["Reserved"], 1500)

    def test_devices_of_a_running_system(self):
        system = self.lab.define(memory(64), rasd(PROCESSOR, VirtualQuantity=3),
                                 rasd(IO_DEVICE, ResourceSubType="BH:virtio-entropy"))
        devices = self.conn.Associators(system, AssocClass="CIM_SystemDevice")
        self.assertEqual(devices, [], "a system that is off has no devices")
        self.lab.change(system, ENABLED)
        devices = self.conn.Associators(system, AssocClass="CIM_SystemDevice")
        classes = sorted(device.classname for device in devices)
        self.assertEqual(classes, ["CIM_Memory", "CIM_PCIDevice"] + ["CIM_Processor"] * 3 + ["CIM_SerialPort"])
        memory_ = next(device for device in devices if device.classname == "CIM_Memory")
        self.assertEqual(memory_["BlockSize"] * memory_["NumberOfBlocks"], 64 << 20)
        for device in devices:
            state = self.lab.one(device.path, "CIM_SettingsDefineState", "CIM_ResourceAllocationSettingData")
            defined = self.lab.one(state.path, "CIM_ElementSettingData", "CIM_ResourceAllocationSettingData")
            self.assertIn("/state/", state["InstanceID"])
            self.assertIn("/defined/", defined["InstanceID"])
        self.lab.change(system, SHUT_DOWN)
        self.assertEqual(self.conn.Associators(system, AssocClass="CIM_SystemDevice"), [])

    def test_the_state_configuration_is_what_was_started(self):
        system = self.lab.define(memory(64))
        self.lab.change(system, ENABLED)
        state = self.lab.state_settings(system)
        found = self.lab.allocations(state)
        self.assertEqual(found[PROCESSOR, None]["VirtualQuantity"], 1)
        self.assertEqual(found[MEMORY, None]["Reservation"], 64)
        self.assertEqual(found[MEMORY, None]["PoolID"], "memory/primordial")
        link = self.conn.References(state.path, ResultClass="CIM_ElementSettingData")
        self.assertEqual([(item["IsDefault"], item["IsCurrent"], item["IsNext"]) for item in link], [(1, 1, 1)])
        change = vssd(InstanceID=self.lab.defined_settings(system)["InstanceID"], CommandLine="later")
        self.assertEqual(self.lab.call("ModifySystemSettings", SystemSettings=change)[0], OK)
        self.assertNotEqual(self.lab.state_settings(system)["CommandLine"], "later")
        link = self.conn.References(state.path, ResultClass="CIM_ElementSettingData")
        self.assertEqual([(item["IsDefault"], item["IsCurrent"], item["IsNext"]) for item in link], [(1, 2, 1)])
        self.lab.change(system, REBOOT)
        self.assertEqual(self.lab.state_settings(system)["CommandLine"], "later")

    def test_capabilities_bound_what_can_be_defined(self):
        for kind in (PROCESSOR, MEMORY):
            pool = self.lab.pool(kind)
            capabilities = self.lab.one(pool.path, "CIM_ElementCapabilities", "CIM_AllocationCapabilities")
            bounds = {}
            for link in self.conn.References(capabilities.path, ResultClass="CIM_SettingsDefineCapabilities"):
                self.assertEqual(link["PropertyPolicy"], 0)
                bounds[link["ValueRole"], link["ValueRange"]] = self.conn.GetInstance(link["PartComponent"])
            self.assertEqual(set(bounds), {(0, 0), (3, 1), (3, 2), (3, 3)})
            for role in ((3, 1), (3, 2)):
                quantity = bounds[role]["VirtualQuantity"]
                units = bounds[role]["VirtualQuantityUnits"]
                self.lab.define(rasd(kind, VirtualQuantity=quantity, VirtualQuantityUnits=units))
                beyond = quantity + 1 if role == (3, 2) else quantity - 1
                self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, "", self.lab.define,
                                    rasd(kind, VirtualQuantity=beyond, VirtualQuantityUnits=units))

    def test_one_instance_of_capabilities_says_what_can_be_asked(self):
        system = self.lab.define()
        found = self.lab.one(system, "CIM_ElementCapabilities", "CIM_EnabledLogicalElementCapabilities")
        self.assertEqual(found["RequestedStatesSupported"], [2, 3, 4, 9, 10, 11])
        host = self.conn.AssociatorNames(system, AssocClass="CIM_HostedDependency", ResultClass="CIM_ComputerSystem",
                                         Role="Dependent")
        self.assertEqual([path.keybindings["Name"] for path in host], ["bulkhead-sim"])


class LifeCycleTest(SystemTest):
    def setUp(self):
        self.manager = pywbem.WBEMSubscriptionManager("systems")
        self.wbem = self.manager.add_server(pywbem.WBEMServer(self.conn))
        self.addCleanup(self.manager.remove_all_servers)

    def listen(self, query):
        listener = Listener(self).start()
        port = listener.port
        destination = self.manager.add_destination(
            self.wbem, f"http://127.0.0.1:{port}", owned=True, destination_id=f"d{port}")
        filter_ = self.manager.add_filter(
            self.wbem, source_namespaces=["root/cimv2"], query=query, query_language="DMTF:CQL", owned=True,
            filter_id=f"f{port}")
        self.manager.add_subscriptions(self.wbem, filter_.path, destination_paths=destination.path)
        return listener

    def told(self, listener, *states):
        """The next changes of EnabledState that are told lead through these; returns the indications."""
        found = listener.take(len(states) - 1)
        changes = [(item["PreviousInstance"]["EnabledState"], item["SourceInstance"]["EnabledState"]) for item in found]
        self.assertEqual(changes, list(itertools.pairwise(states)))
        return found

    def test_states_are_told_in_order(self):
        listener = self.listen(STATE_CHANGES)
        system = self.lab.define(CommandLine="fake.crash=300")
        self.lab.change(system, ENABLED)
        states = self.told(listener, DISABLED, STARTING, ENABLED, SHUT_DOWN, DISABLED)
        self.assertIn("triple fault", states[3]["SourceInstance"]["StatusDescriptions"][0])
        self.assertIn(system.keybindings["Name"], states[0]["SourceInstanceModelPath"])

    def test_guests_power_off_and_restart_by_themselves(self):
        listener = self.listen(STATE_CHANGES)
        system = self.lab.define(CommandLine="fake.restart=50 fake.off=400")
        self.lab.change(system, ENABLED)
        self.told(listener, DISABLED, STARTING, ENABLED, STARTING, ENABLED, DISABLED)
        shown = self.conn.GetInstance(system)
        self.assertEqual(shown["RequestedState"], 5)
        self.assertIn("its guest powered it off", shown["StatusDescriptions"][0])

    def test_a_crashed_guest_restarts_if_it_is_to(self):
        listener = self.listen(STATE_CHANGES)
        system = self.lab.define(CommandLine="fake.crash=50", AutomaticRecoveryAction=Uint16(3))
        self.lab.change(system, ENABLED)
        self.told(listener, DISABLED, STARTING, ENABLED, SHUT_DOWN, DISABLED, STARTING, ENABLED)

    def test_systems_and_settings_come_and_go(self):
        listener = self.listen("SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA CIM_ManagedElement")
        system = self.lab.define(memory(64))
        self.assertEqual(self.lab.call("DestroySystem", AffectedSystem=system)[0], OK)
        happened = listener.take(12)
        kinds = [(item.classname, item["SourceInstance"].classname) for item in happened]
        for kind in ("CIM_InstCreation", "CIM_InstDeletion"):
            self.assertEqual(kinds.count((kind, "CIM_ComputerSystem")), 1)
            self.assertEqual(kinds.count((kind, "BH_VirtualSystemSettingData")), 2)
            self.assertEqual(kinds.count((kind, "BH_ProcessorAllocationSettingData")), 1)
            self.assertEqual(kinds.count((kind, "CIM_ResourceAllocationSettingData")), 2)

    def test_jobs_are_told(self):
        listener = self.listen("SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ConcreteJob AND "
                               "SourceInstance.CIM_ConcreteJob::JobState = 7")
        self.lab.change(self.lab.define(), ENABLED)
        self.assertEqual(listener.next()["SourceInstance"]["Name"], "Start")


class RestartTest(unittest.TestCase):
    def setUp(self):
        if target.SERVER.program is None:
            self.skipTest("needs a simulator of its own")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = folder.name

    @contextlib.contextmanager
    def opened(self, *arguments):
        with target.simulator(target.SERVER.program, ["--store", self.store, *arguments]) as server:
            lab = Lab(server)
            try:
                yield lab
            finally:
                lab.conn.close()
                os.kill(server.process.pid, signal.SIGKILL)

    def test_definitions_survive(self):
        with self.opened() as lab:
            system = lab.define(memory(64), CommandLine="quiet", Notes=["a", "b"])
            gone = lab.define()
            self.assertEqual(lab.call("DestroySystem", AffectedSystem=gone)[0], OK)
            lab.change(system, ENABLED)
            before = dict(lab.defined_settings(system).items())
        with self.opened() as lab:
            self.assertEqual(dict(lab.defined_settings(system).items()), before)
            self.assertEqual(lab.state(system), DISABLED)
            self.assertEqual(len(lab.conn.EnumerateInstanceNames("BH_VirtualSystemSettingData")), 2)
            later = lab.defined_settings(lab.define())
            self.assertEqual(later["InstanceID"], "BH:system/3/defined", "numbers are not used again")

    def test_systems_start_with_the_host_if_they_are_to(self):
        with self.opened() as lab:
            always = lab.define(memory(64), AutomaticStartupAction=Uint16(4))
            was_on = lab.define(memory(64), AutomaticStartupAction=Uint16(3))
            was_off = lab.define(memory(64), AutomaticStartupAction=Uint16(3))
            lab.change(was_on, ENABLED)
        with self.opened() as lab:
            lab.wait_for_state(always, ENABLED)
            lab.wait_for_state(was_on, ENABLED)
            self.assertEqual(lab.state(was_off), DISABLED)

    def test_systems_that_still_run_are_taken_over(self):
        with self.opened() as lab:
            system = lab.define(memory(64))
            lab.change(system, ENABLED)
            name = CIMInstance("CIM_ComputerSystem", {"ElementName": "renamed"}, path=system)
            lab.conn.ModifyInstance(name)
        with self.opened("--adopt") as lab:
            self.assertEqual(lab.state(system), ENABLED)
            self.assertEqual(lab.pool(MEMORY)["Reserved"], 64)
            self.assertNotEqual(lab.state_settings(system)["ElementName"], "renamed")
            lab.change(system, DISABLED)
            self.assertEqual(lab.pool(MEMORY)["Reserved"], 0)


class ConsoleTest(SystemTest):
    def test_the_console_of_a_running_system_has_a_port(self):
        system = self.lab.define(memory(64), ElementName="talker")
        console = self.lab.one(system, "CIM_SAPAvailableForElement", "CIM_TextRedirectionSAP")
        self.assertEqual((console["EnabledState"], console["TextFlowType"]), (DISABLED, 2))
        self.assertEqual(self.conn.Associators(console.path, AssocClass="CIM_BindsTo"), [])
        self.lab.change(system, ENABLED)
        console = self.lab.one(system, "CIM_HostedAccessPoint", "CIM_TextRedirectionSAP")
        self.assertEqual(console["EnabledState"], ENABLED)
        self.assertEqual(console["ElementName"], "Console of talker")
        port = self.lab.one(console.path, "CIM_BindsTo", "CIM_TCPProtocolEndpoint")
        self.assertGreaterEqual(port["PortNumber"], 7000)
        self.assertEqual(console["Caption"], f"TCP port {port['PortNumber']}")
        device = self.lab.one(console.path, "CIM_DeviceSAPImplementation", "CIM_SerialPort")
        self.assertEqual(device["SystemName"], system.keybindings["Name"])
        service = self.lab.one(console.path, "CIM_ServiceAccessBySAP", "CIM_TextRedirectionService")
        hosts = self.conn.AssociatorNames(service.path, AssocClass="CIM_HostedService")
        self.assertEqual([path.keybindings["Name"] for path in hosts], ["bulkhead-sim"])
        self.lab.change(system, DISABLED)
        self.assertEqual(self.conn.EnumerateInstances("CIM_TCPProtocolEndpoint"), [])


class ImageTest(SystemTest):
    def test_images_are_files_and_who_uses_them_is_known(self):
        system = self.lab.define(Initrd="initrd.img")
        files = {item["Name"]: item for item in self.conn.EnumerateInstances("CIM_DataFile")}
        self.assertLessEqual({"vmlinuz", "initrd.img", "pvh.elf"}, set(files))
        kernel = files["vmlinuz"]
        self.assertEqual(len(kernel["SHA256"]), 64)
        self.assertGreater(kernel["FileSize"], 0)
        self.assertEqual((kernel["InUseCount"], files["pvh.elf"]["InUseCount"]), (1, 0))
        settings = self.lab.defined_settings(system)
        used = self.conn.Associators(settings.path, AssocClass="CIM_ConcreteDependency")
        self.assertEqual(sorted(item["Name"] for item in used), ["initrd.img", "vmlinuz"])
        self.assertCimError(pywbem.CIM_ERR_FAILED, "is in use by the system", self.conn.DeleteInstance, kernel.path)
        library = self.lab.one(kernel.path, "CIM_FileStorage", "CIM_FileSystem")
        self.assertEqual(library["NumberOfFiles"], len(files))
        self.conn.DeleteInstance(files["flat.bin"].path)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, "", self.conn.GetInstance, files["flat.bin"].path)


class PowerTest(SystemTest):
    ON, SLEEP, OFF_HARD, OFF_SOFT, BUS_RESET, OFF_GRACEFUL, RESET_GRACEFUL = 2, 3, 6, 8, 10, 12, 14

    def link(self, system):
        found = self.conn.References(system, ResultClass="CIM_AssociatedPowerManagementService")
        self.assertEqual(len(found), 1)
        return found[0]

    def test_power_states_follow_the_system(self):
        system = self.lab.define()
        service = self.conn.EnumerateInstanceNames("CIM_PowerManagementService")[0]
        capabilities = self.lab.one(service, "CIM_ElementCapabilities", "CIM_PowerManagementCapabilities")
        link = self.link(system)
        self.assertEqual((link["PowerState"], link["RequestedPowerState"]), (self.OFF_HARD, 12))
        self.assertEqual(link["AvailableRequestedPowerStates"], [self.ON])
        # Request, PowerState afterwards, RequestedPowerState, which is one higher from 12 on.
        for request, state, requested in [
                (self.ON, self.ON, 2), (self.SLEEP, self.SLEEP, 3), (self.ON, self.ON, 2),
                (self.BUS_RESET, self.ON, 10), (self.RESET_GRACEFUL, self.ON, 15),
                (self.OFF_GRACEFUL, self.OFF_HARD, 13), (self.ON, self.ON, 2), (self.OFF_HARD, self.OFF_HARD, 6)]:
            with self.subTest(request=request):
                self.assertIn(request, capabilities["RequestedPowerStatesSupported"])
                self.assertIn(request, self.link(system)["AvailableRequestedPowerStates"])
                code, outputs = self.conn.InvokeMethod(
                    "RequestPowerStateChange", service, PowerState=Uint16(request), ManagedElement=system)
                self.assertEqual(code, JOB)
                self.assertEqual(self.lab.wait_for_job(outputs["Job"])["JobState"], COMPLETED)
                link = self.link(system)
                self.assertEqual((link["PowerState"], link["RequestedPowerState"]), (state, requested))
                self.assertEqual(link["TransitioningToPowerState"], 19)

    def test_what_cannot_be(self):
        system = self.lab.define()
        service = self.conn.EnumerateInstanceNames("CIM_PowerManagementService")[0]
        for code, words, arguments in [
                (1, "power state 7 is not supported", {"PowerState": Uint16(7), "ManagedElement": system}),
                (5, "power state 99 is not", {"PowerState": Uint16(99), "ManagedElement": system}),
                (5, "names neither a virtual system nor the host", {"PowerState": Uint16(2), "ManagedElement": service}),
                (1, "Leave Time out", {"PowerState": Uint16(2), "ManagedElement": system,
                                       "Time": pywbem.CIMDateTime("20300101000000.000000+000")}),
                (INVALID_TRANSITION, "is off", {"PowerState": Uint16(10), "ManagedElement": system})]:
            with self.subTest(words):
                found, outputs = self.conn.InvokeMethod("RequestPowerStateChange", service, **arguments)
                self.assertEqual(found, code)
                self.assertIn(words, self.lab.why(outputs)["Message"])
