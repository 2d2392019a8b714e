"""States of a system, asked for and not, with what listeners are told; with kernels that start at once."""

import random

import pywbem

import target
from guest_console import Console
from guest_target import GuestTest, free_things, peek
from lab import BUSY, DISABLED, ENABLED, INVALID_TRANSITION, JOB, OK, QUIESCE, REBOOT, RESET, SHUT_DOWN, memory
from listener import Listener
from patience import PATIENCE, wait_until

# OperationalStatus.
FINE, ERROR, STOPPED, ABORTED, DORMANT = 2, 6, 10, 14, 15
# EnabledState.
SHUTTING_DOWN, STARTING = 4, 10
# Goes off, as all that is asked to.
OFF_AT_ONCE = [(ENABLED, SHUTTING_DOWN), (SHUTTING_DOWN, DISABLED)]
READY = r"MONITOR READY"


class StateTest(GuestTest):
    def listen(self):
        """Changes of EnabledState from now on, of all systems."""
        listener = Listener(self).start()
        port = listener.port
        manager = pywbem.WBEMSubscriptionManager("guests")
        server = manager.add_server(pywbem.WBEMServer(self.conn))
        self.addCleanup(manager.remove_all_servers)
        destination = manager.add_destination(
            server, f"http://{target.SERVER.our_host}:{port}", owned=True, destination_id=f"d{port}")
        filter_ = manager.add_filter(
            server, source_namespaces=["root/cimv2"], owned=True, filter_id=f"f{port}", query_language="DMTF:CQL",
            query="SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA CIM_ComputerSystem")
        manager.add_subscriptions(server, filter_.path, destination_paths=destination.path)
        return listener

    def told(self, listener, *changes):
        """These changes of EnabledState were told, in this order; returns the last."""
        seen = []
        while len(seen) < len(changes):
            try:
                item = listener.next()
            except AssertionError:
                self.fail(f"only {seen} of {changes} were told")
            if item.classname != "CIM_InstModification":
                continue
            change = item["PreviousInstance"]["EnabledState"], item["SourceInstance"]["EnabledState"]
            if change[0] != change[1]:
                seen.append(change)
        self.assertEqual(seen, list(changes))
        return item["SourceInstance"]

    def test_asked_for(self):
        listener = self.listen()
        guest, console, _, _ = self.monitor()
        self.assertEqual(listener.next().classname, "CIM_InstCreation")
        self.told(listener, (DISABLED, STARTING), (STARTING, ENABLED))
        self.assertStatus(guest.show(), ENABLED, [FINE], "is running")
        guest.change(QUIESCE)
        self.told(listener, (ENABLED, QUIESCE))
        self.assertStatus(guest.show(), QUIESCE, [DORMANT], "is paused")
        console.type("?")
        self.assertEqual(console.silence(2), "", "a paused guest is silent")
        guest.change(ENABLED)
        console.expect(READY, PATIENCE)
        self.told(listener, (QUIESCE, ENABLED))
        guest.change(RESET)
        console.expect("is reset", PATIENCE)
        console.expect(READY, PATIENCE)
        self.told(listener, (ENABLED, STARTING), (STARTING, ENABLED))
        guest.change(QUIESCE)
        guest.change(RESET)
        console.expect(READY, PATIENCE)
        self.assertEqual(guest.state(), ENABLED)
        self.told(listener, (ENABLED, QUIESCE), (QUIESCE, STARTING), (STARTING, ENABLED))
        guest.change(DISABLED)
        self.told(listener, *OFF_AT_ONCE)
        self.assertStatus(guest.show(), DISABLED, [STOPPED], "is off")
        console.expect("is off", PATIENCE)
        guest.start()
        console.expect(READY, PATIENCE)
        self.told(listener, (DISABLED, STARTING), (STARTING, ENABLED))
        guest.change(QUIESCE)
        guest.change(DISABLED)
        self.told(listener, (ENABLED, QUIESCE), (QUIESCE, SHUTTING_DOWN), (SHUTTING_DOWN, DISABLED))
        guest.destroy()
        item = listener.next()
        while item.classname == "CIM_InstModification":
            item = listener.next()
        self.assertEqual((item.classname, item["SourceInstance"]["ElementName"]), ("CIM_InstDeletion", guest.name))

    def test_done_by_the_guest(self):
        listener = self.listen()
        guest, console, _, _ = self.monitor()
        self.told(listener, (DISABLED, STARTING), (STARTING, ENABLED))
        # Port 0xcf9, then the keyboard controller.
        for letter in "rk":
            console.type(letter)
            console.expect("is reset", PATIENCE)
            console.expect(READY, PATIENCE)
            self.told(listener, (ENABLED, STARTING), (STARTING, ENABLED))
            self.assertStatus(guest.show(), ENABLED, [FINE], "is running")
        console.type("o")
        guest.wait(DISABLED)
        self.assertStatus(guest.show(), DISABLED, [STOPPED], "its guest powered it off")
        self.assertStatus(self.told(listener, (ENABLED, DISABLED)), DISABLED, [STOPPED], "its guest powered it off")
        guest.start()
        console.expect(READY, PATIENCE)
        self.told(listener, (DISABLED, STARTING), (STARTING, ENABLED))

    def test_crash(self):
        listener = self.listen()
        guest, console, _, _ = self.monitor()
        self.told(listener, (DISABLED, STARTING), (STARTING, ENABLED))
        console.type("t")
        console.expect("has crashed", PATIENCE)
        shown = guest.wait(DISABLED)
        self.assertStatus(shown, DISABLED, [ERROR, ABORTED], "The guest crashed:")
        self.assertIn("triple fault", shown["StatusDescriptions"][0])
        self.assertIn("rip", shown["StatusDescriptions"][1].lower())
        self.assertEqual(shown["HealthState"], 20)
        told = self.told(listener, (ENABLED, SHUTTING_DOWN), (SHUTTING_DOWN, DISABLED))
        self.assertStatus(told, DISABLED, [ERROR, ABORTED], "triple fault")
        # Nothing is held by a crashed system, and it can be started again.
        self.assertEqual(self.lab.pool(4)["Reserved"], 0)
        guest.start()
        console.expect(READY, PATIENCE)
        self.assertStatus(guest.show(), ENABLED, [FINE], "is running")

    def test_halt_for_good(self):
        """With interrupts off nothing could ever wake it: that is told as a crash, and not waited for."""
        guest, console, _, _ = self.monitor()
        console.type("h")
        console.expect("has crashed", PATIENCE)
        self.assertStatus(guest.wait(DISABLED), DISABLED, [ERROR, ABORTED], "nothing that could wake it")

    def test_crash_of_a_system_that_is_to_recover(self):
        guest, console, _, _ = self.monitor(AutomaticRecoveryAction=pywbem.Uint16(3))
        console.type("t")
        console.expect("has crashed", PATIENCE)
        console.expect(READY, PATIENCE)
        self.assertStatus(guest.wait(ENABLED), ENABLED, [FINE], "is running")

    def test_requests_in_any_order(self):
        """Whatever is asked while something else goes on, all systems end well and leave nothing."""
        dice = random.Random(4)
        guests = [self.monitor(name=f"any{number}") for number in range(4)]
        requests = [ENABLED, DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET]
        for _ in range(80):
            guest, console, _, _ = dice.choice(guests)
            if dice.random() < 0.3:
                console.type(dice.choice("rtok"))
            else:
                code, _ = self.lab.ask(guest.path, dice.choice(requests))
                self.assertIn(code, (OK, JOB, INVALID_TRANSITION, BUSY))
        for guest, console, _, _ in guests:
            # Where it was busy, or a request is still under way.
            wait_until(lambda: self.is_off(guest), guest.state)
            # What is typed while it is off is for nobody: not even a command that would turn it off again.
            console.type("o")
            self.all_is_typed(guest)
            console.silence(0.3)
            console.text = ""
            guest.start()
            console.expect(READY, PATIENCE)
            console.type("?")
            console.expect(READY, PATIENCE)
            guest.change(DISABLED)
        after = self.guest(memory(16), name="after", Kernel="pvh.elf")
        number = after.number()
        after.destroy()
        # Their memory and event ports are back; their consoles stay as long as they are defined.
        self.assertIn("in use 0 event ports", free_things(number)[0])

    def is_off(self, guest):
        """Asks for it; whether it was so already."""
        code, outputs = self.lab.ask(guest.path, DISABLED)
        if code == JOB:
            guest.finish(outputs["Job"])
        return code == OK

    def all_is_typed(self, guest):
        """Has the partition take what was typed before: who has logged in after that has exchanged more with it, by the same way."""
        guest.console().close()

    def test_power_button_that_nobody_hears(self):
        """The job of a graceful shutdown ends with its time limit, and the system still runs."""
        guest, console, _, _ = self.monitor()
        code, outputs = self.lab.ask(guest.path, 4, TimeoutPeriod=pywbem.CIMDateTime("00000000000003.000000:000"))
        self.assertEqual(code, 4096)
        job = guest.finish(outputs["Job"])
        self.assertNotEqual(job["JobState"], 7)
        console.type("?")
        console.expect(READY, PATIENCE)
        self.assertEqual(guest.state(), ENABLED)


class ConsoleTest(GuestTest):
    def test_several_viewers_see_the_same_and_late_ones_what_was(self):
        guest, console, _, _ = self.monitor()
        console.type("?")
        console.expect(READY, PATIENCE)
        with guest.console() as late:
            late.expect(READY + r"[^!]*" + READY, PATIENCE)
            console.type("?")
            late.expect(READY, PATIENCE)
            late.type("?")
            console.expect(READY + r"[^!]*" + READY, PATIENCE)

    def test_wrong_passwords(self):
        guest, _, _, _ = self.monitor()
        server = target.SERVER
        with self.assertRaises(AssertionError) as caught:
            Console(server.address[0], guest.port(), server.user, "wrong", patience=10)
        self.assertNotIn(READY, str(caught.exception))

    def test_much_output(self):
        """It comes complete and in order; and a guest that nobody watches is not held up by it."""
        guest, console, _, _ = self.monitor()
        words = 0x4000
        console.type(f"f{0x200000:08x}{0x200000 + 4 * words:08x}{0x12345678:08x}")
        console.expect("=\r\n", PATIENCE)
        self.assertEqual(peek(console, 0x20_0000, words), bytes.fromhex("78563412") * words)
        console.type(f"d{0x200000:08x}{words:08x}")
        console.close()
        with guest.console() as again:
            again.type("?")
            again.expect(READY, PATIENCE)
