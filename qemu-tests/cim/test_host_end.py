"""The end of the host: its systems end as their definitions say, in the reverse of the start order, then the machine does.

Runs against simulators of its own, one for each test, since each ends. What the real machine does then is in
qemu-tests/survival/host_end.py.
"""

import contextlib
import tempfile
import unittest

import pywbem
from pywbem import Uint16

import target
from lab import BUSY, COMPLETED, DISABLED, ENABLED, EXCEPTION, JOB, Lab, OK, REBOOT, RESET, RUNNING, SHUT_DOWN
from patience import PATIENCE, wait_until

SHUTTING_DOWN = 4
TURN_OFF, SHUT_DOWN_GUEST = 2, 4
IF_ACTIVE = 3
ALL = [DISABLED, SHUT_DOWN, REBOOT, RESET]


class HostEndTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        if not target.SERVER.program:
            self.skipTest("needs a simulator of its own")
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.store = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.open()

    def open(self):
        arguments = ["--store", self.store]
        self.server = self.stack.enter_context(target.simulator(target.SERVER.program, arguments))
        self.lab = Lab(self.server)
        self.conn = self.lab.conn
        [self.host] = [system.path for system in self.conn.EnumerateInstances("CIM_ComputerSystem")
                       if system["NameFormat"] != "UUID"]
        self.power = self.conn.EnumerateInstanceNames("CIM_PowerManagementService")[0]

    def system(self, name, sequence, action=SHUT_DOWN_GUEST, words="", on=True):
        path = self.lab.define(
            ElementName=name, CommandLine=words, AutomaticShutdownAction=Uint16(action),
            AutomaticStartupAction=Uint16(IF_ACTIVE), AutomaticStartupActionSequenceNumber=Uint16(sequence))
        if on:
            self.lab.change(path, ENABLED)
        return path

    def request_power(self, state, conn=None):
        return (conn or self.conn).InvokeMethod(
            "RequestPowerStateChange", self.power, PowerState=Uint16(state), ManagedElement=self.host)

    def link(self):
        [link] = self.conn.References(self.host, ResultClass="CIM_AssociatedPowerManagementService")
        return link

    def wait_for_end(self):
        self.assertEqual(self.server.process.wait(PATIENCE), 0, "the simulated machine powers off, and its process ends well")

    def test_shut_down_ends_systems_in_reverse_order_and_then_the_machine(self):
        first = self.system("first", 1)
        last = self.system("last", 2)
        off = self.system("off", 3, on=False)
        code, outputs = self.lab.ask(self.host, SHUT_DOWN)
        self.assertEqual(code, JOB)
        [affected] = self.conn.AssociatorNames(outputs["Job"], AssocClass="CIM_AffectedJobElement")
        self.assertEqual(affected.keybindings, self.host.keybindings)
        [owner] = self.conn.AssociatorNames(outputs["Job"], AssocClass="CIM_OwningJobElement")
        self.assertEqual(owner.classname, "CIM_PowerManagementService")
        host = self.conn.GetInstance(self.host)
        self.assertEqual((host["EnabledState"], host["RequestedState"]), (SHUTTING_DOWN, SHUT_DOWN))
        self.assertEqual(host["AvailableRequestedStates"], [RESET])
        self.assertEqual(self.lab.state(first), ENABLED, "it was started first, and waits for the other one")
        self.assertEqual(self.lab.state(off), DISABLED)
        # What begins meanwhile is refused, with a reason.
        code, refused = self.lab.ask(off, ENABLED)
        self.assertEqual(code, BUSY)
        self.assertIn("host is about to end", self.lab.why(refused)["Message"])
        self.assertEqual(self.lab.ask(self.host, SHUT_DOWN)[0], BUSY)
        self.lab.wait_for_state(last, DISABLED)
        self.assertNotEqual(self.lab.state(first), DISABLED)
        job = self.lab.wait_for_job(outputs["Job"])
        self.assertEqual((job["JobState"], job["PercentComplete"]), (COMPLETED, 100))
        self.assertEqual(self.lab.state(first), DISABLED)
        jobs = {job["Name"] for job in self.conn.EnumerateInstances("CIM_ConcreteJob")}
        self.assertIn("Shut down", jobs)
        self.assertNotIn("Turn off", jobs)
        self.wait_for_end()
        # What was on when the host stopped starts with it.
        self.open()
        self.lab.wait_for_state(first, ENABLED)
        self.lab.wait_for_state(last, ENABLED)
        self.assertEqual(self.lab.state(off), DISABLED)

    def test_each_system_ends_as_its_definition_says(self):
        turned_off = self.system("turned off", 0, TURN_OFF, "fake.deaf")
        asked = self.system("asked", 0)
        code, outputs = self.lab.ask(self.host, DISABLED)
        self.assertEqual(code, JOB)
        self.assertEqual(self.lab.wait_for_job(outputs["Job"])["JobState"], COMPLETED)
        names = {}
        for path in (turned_off, asked):
            jobs = self.conn.Associators(path, AssocClass="CIM_AffectedJobElement")
            names[path.keybindings["Name"]] = sorted(job["Name"] for job in jobs)
        self.assertEqual(list(names.values()), [["Start", "Turn off"], ["Shut down", "Start"]])
        self.wait_for_end()

    def test_a_deaf_guest_is_turned_off_when_the_clients_patience_is_over(self):
        deaf = self.system("deaf", 0, SHUT_DOWN_GUEST, "fake.deaf")
        limit = pywbem.CIMDateTime("00000000000005.000000:000")
        code, outputs = self.lab.ask(self.host, SHUT_DOWN, TimeoutPeriod=limit)
        self.assertEqual(code, JOB)
        self.assertEqual(self.conn.GetInstance(outputs["Job"])["JobState"], RUNNING)
        self.assertEqual(self.lab.wait_for_job(outputs["Job"])["JobState"], COMPLETED)
        self.assertEqual(self.lab.state(deaf), DISABLED)
        self.wait_for_end()

    def test_haste_takes_the_place_of_order(self):
        deaf = self.system("deaf", 0, SHUT_DOWN_GUEST, "fake.deaf")
        code, slow = self.lab.ask(self.host, REBOOT)
        self.assertEqual(code, JOB)
        link = self.link()
        self.assertEqual((link["RequestedPowerState"], link["TransitioningToPowerState"]), (15, 14))
        self.assertEqual(link["AvailableRequestedPowerStates"], [6, 10])
        code, quick = self.request_power(6)
        self.assertEqual(code, JOB)
        self.assertEqual(self.conn.GetInstance(slow["Job"])["JobState"], EXCEPTION)
        self.assertEqual(self.lab.wait_for_job(quick["Job"])["JobState"], COMPLETED)
        self.assertEqual(self.lab.state(deaf), DISABLED)
        self.wait_for_end()

    def test_a_restart_brings_the_machine_back_with_what_was_on(self):
        system = self.system("on", 0)
        code, outputs = self.lab.ask(self.host, REBOOT)
        self.assertEqual(code, JOB)
        self.assertEqual(self.lab.wait_for_job(outputs["Job"])["JobState"], COMPLETED)

        def is_back():
            try:
                # The jobs are gone with the old machine.
                known = {job["Name"] for job in self.conn.EnumerateInstances("CIM_ConcreteJob")}
            except pywbem.Error:
                return False
            return "Restart the host" not in known

        wait_until(is_back, "the machine does not come back", pause=1)
        self.lab.wait_for_state(system, ENABLED)
        self.assertIsNone(self.server.process.poll())

    def test_capabilities_say_what_works(self):
        found = [item for item in self.conn.Associators(self.host, AssocClass="CIM_ElementCapabilities")
                 if item.classname == "CIM_EnabledLogicalElementCapabilities"]
        [capabilities] = found
        self.assertEqual(capabilities["RequestedStatesSupported"], ALL)
        self.assertEqual(self.conn.GetInstance(self.host)["AvailableRequestedStates"], ALL)
        link = self.link()
        self.assertEqual((link["PowerState"], link["RequestedPowerState"]), (2, 12))
        self.assertEqual(link["AvailableRequestedPowerStates"], [6, 8, 12, 10, 14, 15])
        supported = self.lab.one(self.power, "CIM_ElementCapabilities", "CIM_PowerManagementCapabilities")
        self.assertLessEqual(set(link["AvailableRequestedPowerStates"]), set(supported["RequestedPowerStatesSupported"]))
        # It is on, and that is all it can be besides.
        self.assertEqual(self.lab.ask(self.host, ENABLED)[0], OK)
        self.assertEqual(self.request_power(2)[0], OK)
        for code, state in ((1, 6), (1, 9), (5, 99)):
            answer, outputs = self.lab.ask(self.host, state)
            self.assertEqual(answer, code, state)
            self.assertIn(f"state {state}" if state != 99 else "no state 99", self.lab.why(outputs)["Message"])
        self.assertEqual(self.request_power(3)[0], 1)
        self.assertEqual(self.request_power(99)[0], 5)

    def test_only_administrators_end_the_host(self):
        for account in (target.READER, target.OPERATOR):
            lab = Lab(self.server, *account)
            for attempt in (lambda: lab.ask(self.host, SHUT_DOWN), lambda: lab.ask(self.host, RESET),
                            lambda: self.request_power(6, lab.conn), lambda: self.request_power(12, lab.conn)):
                with self.assertRaises(pywbem.CIMError) as caught:
                    attempt()
                self.assertEqual(caught.exception.status_code, pywbem.CIM_ERR_ACCESS_DENIED)
        self.assertEqual(self.conn.GetInstance(self.host)["EnabledState"], ENABLED)
        self.assertIsNone(self.server.process.poll())
