"""What the capabilities say is true: what they list works, and all else is refused.

Run against the simulator by suite.py, and against the booted product by guests.py.
"""

import pywbem
from pywbem import Uint16, Uint64

from test_systems import (
    DISABLED, ENABLED, INVALID_TRANSITION, JOB, MEMORY, OK, PROCESSOR, QUIESCE, REBOOT, SHUT_DOWN, SystemTest,
    memory, rasd)

NOT_SUPPORTED, INVALID_PARAMETER = 1, 5
# How a system gets into each state that lasts, as requested states.
STATES = {DISABLED: [], ENABLED: [ENABLED], QUIESCE: [ENABLED, QUIESCE]}
# The guest has to do them, and may not.
BY_THE_GUEST = {SHUT_DOWN, REBOOT}
POWER_BY_THE_GUEST = {12, 14, 15}
# What RequestedState and PowerState can be asked to be by the schema.
REQUESTS, POWER_REQUESTS = range(2, 12), range(2, 17)


class CapabilitiesTest(SystemTest):
    def ready(self, state):
        """A system that is in a state."""
        system = self.lab.define(memory(32))
        for request in STATES[state]:
            self.lab.change(system, request)
        return system

    def obeys(self, system, answer, by_the_guest, what):
        """A request that is available begins, and ends well where no guest has to do it."""
        code, outputs = answer
        self.assertEqual(code, JOB, what)
        if by_the_guest:
            code, _ = self.lab.ask(system, DISABLED)
            self.assertIn(code, (OK, JOB), what)
            self.lab.wait_for_state(system, DISABLED)
        else:
            self.assertEqual(self.lab.wait_for_job(outputs["Job"])["JobState"], 7, what)

    def test_requested_states(self):
        for state in STATES:
            system = self.ready(state)
            shown = self.conn.GetInstance(system)
            found = self.lab.one(system, "CIM_ElementCapabilities", "CIM_EnabledLogicalElementCapabilities")
            supported, available = found["RequestedStatesSupported"], shown["AvailableRequestedStates"]
            self.assertTrue(available and set(available) <= set(supported), (state, available))
            for request in REQUESTS:
                what = (state, request)
                if request in available:
                    other = self.ready(state)
                    self.obeys(other, self.lab.ask(other, request), request in BY_THE_GUEST, what)
                    continue
                code, outputs = self.lab.ask(system, request)
                if request in supported:
                    # It is so already, or not from here.
                    self.assertIn(code, (OK, INVALID_TRANSITION), what)
                else:
                    self.assertIn(code, (NOT_SUPPORTED, INVALID_PARAMETER), what)
                if code != OK:
                    self.assertTrue(self.lab.why(outputs)["Message"])
                self.assertEqual(self.lab.state(system), state, what)
            self.lab.clear()

    def power_link(self, system):
        return self.conn.References(system, ResultClass="CIM_AssociatedPowerManagementService")[0]

    def power(self, system, state):
        service = self.conn.EnumerateInstanceNames("CIM_PowerManagementService")[0]
        return self.conn.InvokeMethod("RequestPowerStateChange", service, PowerState=Uint16(state), ManagedElement=system)

    def test_power_states(self):
        service = self.conn.EnumerateInstanceNames("CIM_PowerManagementService")[0]
        found = self.lab.one(service, "CIM_ElementCapabilities", "CIM_PowerManagementCapabilities")
        supported = found["RequestedPowerStatesSupported"]
        for state in STATES:
            system = self.ready(state)
            link = self.power_link(system)
            self.assertIn(link["PowerState"], found["PowerStatesSupported"])
            available = link["AvailableRequestedPowerStates"]
            self.assertTrue(available and set(available) <= set(supported), (state, available))
            for request in POWER_REQUESTS:
                what = (state, request)
                if request in available:
                    other = self.ready(state)
                    self.obeys(other, self.power(other, request), request in POWER_BY_THE_GUEST, what)
                    continue
                code, outputs = self.power(system, request)
                if request in supported:
                    self.assertIn(code, (OK, INVALID_TRANSITION), what)
                else:
                    self.assertEqual(code, NOT_SUPPORTED, what)
                if code != OK:
                    self.assertTrue(self.lab.why(outputs)["Message"])
                self.assertEqual(self.lab.state(system), state, what)
            self.lab.clear()

    def test_names(self):
        system = self.lab.define()
        found = self.lab.one(system, "CIM_ElementCapabilities", "CIM_EnabledLogicalElementCapabilities")
        self.assertTrue(found["ElementNameEditSupported"])
        longest = "n" * found["MaxElementNameLen"]
        change = pywbem.CIMInstance("CIM_ComputerSystem", {"ElementName": longest}, path=system)
        self.conn.ModifyInstance(change)
        self.assertEqual(self.conn.GetInstance(system)["ElementName"], longest)
        change["ElementName"] = longest + "n"
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, "A name has", self.conn.ModifyInstance, change)

    def bounds(self, kind):
        """Default, minimum, maximum and increment of allocations from the host's pool of a kind."""
        return self.bounds_of(self.lab.pool(kind).path, kind)

    def bounds_of(self, path, kind):
        found = self.conn.Associators(path, AssocClass="CIM_ElementCapabilities",
                                      ResultClass="CIM_AllocationCapabilities")
        found = [item for item in found if item["ResourceType"] == kind]
        self.assertEqual(len(found), 1)
        links = self.conn.References(found[0].path, ResultClass="CIM_SettingsDefineCapabilities")
        names = {(0, 0): "default", (3, 1): "minimum", (3, 2): "maximum", (3, 3): "increment"}
        return {names[link["ValueRole"], link["ValueRange"]]: self.conn.GetInstance(link["PartComponent"])
                for link in links}

    def allocates(self, kind, quantity, units):
        """Whether a system can be defined with so much."""
        settings = rasd(kind, VirtualQuantity=quantity, VirtualQuantityUnits=units)
        try:
            self.lab.define(settings)
        except pywbem.CIMError as error:
            self.assertEqual(error.status_code, pywbem.CIM_ERR_INVALID_PARAMETER, error)
            return False
        self.lab.clear()
        return True

    def test_bounds_of_allocations(self):
        for kind in (PROCESSOR, MEMORY):
            bounds = self.bounds(kind)
            units = bounds["default"]["VirtualQuantityUnits"]
            quantity = {name: int(item["VirtualQuantity"]) for name, item in bounds.items()}
            step = quantity["increment"]
            for name in ("default", "minimum", "maximum"):
                self.assertTrue(self.allocates(kind, quantity[name], units), (kind, name, quantity))
            self.assertTrue(self.allocates(kind, quantity["minimum"] + step, units), (kind, quantity))
            self.assertFalse(self.allocates(kind, quantity["minimum"] - step, units), (kind, quantity))
            self.assertFalse(self.allocates(kind, quantity["maximum"] + step, units), (kind, quantity))
            if step > 1:
                self.assertFalse(self.allocates(kind, quantity["minimum"] + step - 1, units), (kind, quantity))

    def test_the_default_is_what_nobody_chose(self):
        defaults = {kind: self.bounds(kind)["default"]["VirtualQuantity"] for kind in (PROCESSOR, MEMORY)}
        system = self.lab.define()
        self.lab.change(system, ENABLED)
        found = self.lab.allocations(self.lab.state_settings(system))
        for kind, quantity in defaults.items():
            self.assertEqual(found[kind, None]["VirtualQuantity"], Uint64(quantity))

    def test_states_in_which_resources_can_be_added(self):
        """None: the resources of a system that is on cannot become more or fewer."""
        for item in self.conn.EnumerateInstances("CIM_AllocationCapabilities"):
            self.assertEqual((item["SupportedAddStates"], item["SupportedRemoveStates"]), ([], []))
        system = self.ready(ENABLED)
        state = self.lab.state_settings(system)
        code, outputs = self.lab.call("AddResourceSettings", AffectedConfiguration=state.path,
                                      ResourceSettings=[memory(64)])
        self.assertEqual(code, 5)
        self.assertTrue(self.lab.why(outputs)["Message"])
        found = self.lab.allocations(state)[MEMORY, None]
        code, _ = self.lab.call("RemoveResourceSettings", ResourceSettings=[found.path])
        self.assertEqual(code, 5)

    def test_what_can_be_changed_of_a_system(self):
        """Of one that is off what its pool allows, of one that is on its processors and their shares."""
        system = self.lab.define(memory(32), rasd(PROCESSOR, VirtualQuantity=2))
        for kind in (PROCESSOR, MEMORY):
            own, of_pool = self.bounds_of(system, kind), self.bounds(kind)
            for name, bound in own.items():
                self.assertEqual(bound["VirtualQuantity"], of_pool[name]["VirtualQuantity"], (kind, name))
        self.lab.change(system, ENABLED)
        settings = self.lab.allocations(self.lab.state_settings(system))
        for kind in (PROCESSOR, MEMORY):
            own = self.bounds_of(system, kind)
            for name in ("minimum", "maximum", "default"):
                quantity = settings[kind, None]["VirtualQuantity"]
                if (kind, name) == (PROCESSOR, "minimum"):
                    quantity = 1
                self.assertEqual(own[name]["VirtualQuantity"], quantity, (kind, name))
        own = self.bounds_of(system, PROCESSOR)
        state = settings[PROCESSOR, None]
        for name in ("Weight", "Reservation", "Limit"):
            self.assertEqual(own["default"][name], state[name], name)

        def change(name, value):
            request = rasd(PROCESSOR, InstanceID=state["InstanceID"], **{name: int(value)})
            try:
                code, outputs = self.lab.call("ModifyResourceSettings", ResourceSettings=[request])
                return code == OK or self.lab.why(outputs)["Message"]
            except pywbem.CIMError as error:
                self.assertEqual(error.status_code, pywbem.CIM_ERR_INVALID_PARAMETER, error)
                return False

        for name in ("Weight", "Limit"):
            lowest, highest = (int(own[bound][name]) for bound in ("minimum", "maximum"))
            self.assertIs(change(name, lowest), True, name)
            self.assertIs(change(name, highest), True, name)
            self.assertFalse(change(name, highest + 1), name)
            self.assertFalse(change(name, lowest - 1), name)
        # That much is within bounds, though the CPUs may have been promised to others.
        self.assertTrue(change("Reservation", own["maximum"]["Reservation"]))
        self.assertIsNot(change("Reservation", own["maximum"]["Reservation"] + 1), True)
        self.assertIsNot(change("VirtualQuantity", 3), True)
