"""Processors that come to systems that are on, and go: what the model says of it, and what it refuses."""

from pywbem import Uint16, Uint32, Uint64

from lab import COMPLETED, DISABLED, ENABLED, EXCEPTION, JOB, memory, OK, PROCESSOR, QUIESCE, rasd
from test_systems import SystemTest

FAILED, INVALID_STATE = 2, 5
INVALID_PARAMETER, NOT_SUPPORTED = 4, 7
TERMINATE = 4


def some_of(count, maximum):
    return rasd(PROCESSOR, "BH_ProcessorAllocationSettingData", VirtualQuantity=count, MaximumQuantity=Uint32(maximum))


class PluggingTest(SystemTest):
    def start(self, count=2, maximum=4, words=""):
        system = self.lab.define(memory(64), some_of(count, maximum), CommandLine=words)
        self.lab.change(system, ENABLED)
        return system

    def processors(self, system):
        return self.lab.allocations(self.lab.state_settings(system))[PROCESSOR, None]

    def modify(self, *settings):
        return self.lab.call("ModifyResourceSettings", ResourceSettings=list(settings))

    def ask_for(self, system, count):
        found = self.processors(system)
        found["VirtualQuantity"] = Uint64(count)
        return self.modify(found)

    def devices(self, system):
        return len(self.conn.AssociatorNames(system, AssocClass="CIM_SystemDevice", ResultClass="CIM_Processor"))

    def seen(self, *systems):
        """All that a client sees of how much systems have."""
        return (self.lab.pool(PROCESSOR), [self.processors(system) for system in systems],
                [self.devices(system) for system in systems])

    def refused(self, system, count, code=INVALID_STATE):
        before = self.seen(system)
        got, outputs = self.ask_for(system, count)
        self.assertEqual(got, code)
        self.assertEqual(self.seen(system), before)
        return self.lab.why(outputs)["Message"]

    def test_one_comes_at_once(self):
        system = self.start()
        before = self.lab.pool(PROCESSOR)["CurrentlyConsumedResource"]
        code, outputs = self.ask_for(system, 3)
        self.assertEqual((code, len(outputs["ResultingResourceSettings"])), (OK, 1))
        found = self.processors(system)
        self.assertEqual((found["VirtualQuantity"], found["Limit"], found["MaximumQuantity"]), (3, 200, 4))
        self.assertEqual(self.devices(system), 3)
        self.assertEqual(self.lab.pool(PROCESSOR)["CurrentlyConsumedResource"], before + 100)
        # The definition stays, and with it the next start.
        defined = self.lab.allocations(self.lab.defined_settings(system))[PROCESSOR, None]
        self.assertEqual((defined["VirtualQuantity"], defined["MaximumQuantity"]), (2, 4))
        self.lab.change(system, DISABLED)
        self.lab.change(system, ENABLED)
        self.assertEqual((self.processors(system)["VirtualQuantity"], self.devices(system)), (2, 2))

    def test_the_limit_follows_where_a_client_says_nothing_of_it(self):
        system = self.start()
        setting = rasd(PROCESSOR, InstanceID=self.processors(system)["InstanceID"], VirtualQuantity=4)
        self.assertEqual(self.modify(setting)[0], OK)
        self.assertEqual(self.processors(system)["Limit"], 400)

    def test_one_goes_by_a_job(self):
        system = self.start(3)
        before = self.lab.pool(PROCESSOR)["CurrentlyConsumedResource"]
        code, outputs = self.ask_for(system, 1)
        self.assertEqual(code, JOB)
        job = self.lab.wait_for_job(outputs["Job"])
        self.assertEqual((job["JobState"], job["Name"]), (COMPLETED, "Take processors back"))
        found = self.processors(system)
        self.assertEqual((found["VirtualQuantity"], found["Limit"], self.devices(system)), (1, 100, 1))
        self.assertEqual(self.lab.pool(PROCESSOR)["CurrentlyConsumedResource"], before - 200)

    def test_a_guest_that_keeps_them(self):
        system = self.start(words="fake.keep")
        before = self.seen(system)
        code, outputs = self.ask_for(system, 1)
        self.assertEqual(code, JOB)
        job = self.lab.wait_for_job(outputs["Job"])
        self.assertEqual(job["JobState"], EXCEPTION)
        self.assertIn("told to keep them", job["ErrorDescription"])
        self.assertEqual(self.seen(system), before)

    def test_a_guest_without_acpi(self):
        system = self.start(words="fake.noacpi")
        for count in (1, 3):
            self.assertIn("does not listen", self.refused(system, count))

    def test_what_a_system_can_have(self):
        system = self.start()
        before = self.seen(system)
        self.assertCimError(INVALID_PARAMETER, "more than the 4", self.ask_for, system, 5)
        self.assertCimError(INVALID_PARAMETER, "no number of processors", self.ask_for, system, 0)
        self.assertEqual(self.seen(system), before)
        without = self.lab.define(memory(64), rasd(PROCESSOR, VirtualQuantity=2))
        self.lab.change(without, ENABLED)
        self.assertCimError(INVALID_PARAMETER, "MaximumQuantity in its defined", self.ask_for, without, 3)
        for wrong in ((3, 2), (2, 9)):
            self.assertCimError(INVALID_PARAMETER, "can have", self.lab.define, memory(64), some_of(*wrong))
        arranged = some_of(2, 4)
        arranged["Sockets"] = Uint32(2)
        self.assertCimError(INVALID_PARAMETER, "MaximumQuantity is 4", self.lab.define, memory(64), arranged)
        # Off, more is a matter of the definition alone.
        self.lab.change(without, DISABLED)
        defined = self.lab.allocations(self.lab.defined_settings(without))[PROCESSOR, None]
        defined["VirtualQuantity"], defined["MaximumQuantity"] = Uint64(3), Uint32(5)
        self.assertEqual(self.modify(defined)[0], OK)

    def test_a_paused_system(self):
        system = self.start()
        self.lab.change(system, QUIESCE)
        self.assertIn("paused", self.refused(system, 1))
        self.assertEqual(self.ask_for(system, 3)[0], OK)

    def test_all_or_nothing(self):
        systems = [self.start(), self.start(words="fake.untunable")]
        before = self.seen(*systems)
        changed = [self.processors(system) for system in systems]
        for item in changed:
            item["VirtualQuantity"] = Uint64(3)
        code, outputs = self.modify(*changed)
        self.assertEqual(code, FAILED)
        self.lab.why(outputs)
        self.assertEqual(self.seen(*systems), before)

    def test_dedicated_processors_run_out(self):
        own = some_of(1, 4)
        own["MappingBehavior"] = Uint16(3)
        system = self.lab.define(memory(64), own)
        self.lab.change(system, ENABLED)
        setting = rasd(PROCESSOR, InstanceID=self.processors(system)["InstanceID"], VirtualQuantity=3)
        self.assertEqual(self.modify(setting)[0], OK)
        self.assertEqual((self.lab.pool(PROCESSOR)["Reserved"], self.processors(system)["Reservation"]), (300, 300))
        before = self.seen(system)
        setting["VirtualQuantity"] = Uint64(4)
        self.assertCimError(INVALID_PARAMETER, "processors that a system can own", self.modify, setting)
        self.assertEqual(self.seen(system), before)

    def test_the_capabilities_say_so(self):
        system = self.start()
        state = self.lab.state_settings(system)
        self.assertIsNotNone(state)
        found = self.conn.Associators(system, AssocClass="CIM_ElementCapabilities",
                                      ResultClass="CIM_AllocationCapabilities")
        mine = next(item for item in found if item["ResourceType"] == PROCESSOR)
        bounds = self.conn.Associators(mine.path, AssocClass="CIM_SettingsDefineCapabilities")
        links = {link["PartComponent"].keybindings["InstanceID"]: link["ValueRange"]
                 for link in self.conn.References(mine.path, ResultClass="CIM_SettingsDefineCapabilities")}
        by_range = {links[item["InstanceID"]]: item["VirtualQuantity"] for item in bounds}
        # Minimums, maximums.
        self.assertEqual((by_range[1], by_range[2]), (1, 4))

    def test_instances_are_modified_only_where_nobody_waits(self):
        system = self.start()
        found = self.processors(system)
        found["VirtualQuantity"] = Uint64(1)
        self.assertCimError(NOT_SUPPORTED, "ModifyResourceSettings", self.conn.ModifyInstance, found)
        found["VirtualQuantity"] = Uint64(3)
        self.conn.ModifyInstance(found)
        self.assertEqual(self.devices(system), 3)
