"""Processors that come to running guests, and go."""

import time

from pywbem import CIMError, Uint32, Uint64

import guest_target
from guest_target import PATIENCE
from lab import COMPLETED, DISABLED, JOB, OK, PROCESSOR, memory, rasd
from test_guest_linux import LinuxGuestTest

INVALID_STATE = 5
# A shell line that turns on what the kernel has taken.
ONLINE = "for c in /sys/devices/system/cpu/cpu[1-9]; do [ -e $c/online ] && echo 1 > $c/online; done; nproc"


class PluggingTest(LinuxGuestTest):
    def processors(self, guest):
        return self.lab.allocations(self.lab.state_settings(guest.path))[PROCESSOR, None]

    def ask_for(self, guest, count):
        setting = rasd(PROCESSOR, InstanceID=self.processors(guest)["InstanceID"], VirtualQuantity=count)
        return self.lab.call("ModifyResourceSettings", ResourceSettings=[setting])

    def devices(self, guest):
        found = self.conn.AssociatorNames(guest.path, AssocClass="CIM_SystemDevice", ResultClass="CIM_Processor")
        return len(found)

    def consumed(self):
        return self.lab.pool(PROCESSOR)["CurrentlyConsumedResource"]

    def see(self, console, wanted):
        """The guest has so many processors soon."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = int(self.run_line(console, ONLINE).split()[-1])
            if found == wanted:
                return
            time.sleep(0.5)
        raise AssertionError(f"the guest has {found} processors, not {wanted}")

    def test_processors_come_and_go(self):
        before = self.consumed()
        guest = self.guest(
            memory(256), rasd(PROCESSOR, "BH_ProcessorAllocationSettingData", VirtualQuantity=2,
                              MaximumQuantity=Uint32(4)),
            Kernel=guest_target.kernel_name(), Initrd="initramfs", CommandLine="console=ttyS0").start()
        console = guest.console()
        self.addCleanup(console.close)
        self.assertEqual(self.ready(console)[0], 2)
        self.shell(console)
        self.assertEqual(self.consumed(), before + 200)
        for _ in range(2):
            code, _ = self.ask_for(guest, 3)
            self.assertEqual(code, OK)
            self.see(console, 3)
            self.assertEqual((self.devices(guest), self.consumed()), (3, before + 300))
            # It works: the new one takes interrupts of its own.
            self.run_line(console, "taskset 4 true")
            counts = self.run_line(console, "grep LOC: /proc/interrupts").split()
            self.assertGreater(int(counts[3]), 0)
            code, outputs = self.ask_for(guest, 2)
            self.assertEqual(code, JOB)
            self.assertEqual(guest.finish(outputs["Job"])["JobState"], COMPLETED)
            self.see(console, 2)
            self.assertEqual((self.devices(guest), self.consumed()), (2, before + 200))
        # Two at once, and a reset keeps them.
        code, _ = self.ask_for(guest, 4)
        self.assertEqual(code, OK)
        self.see(console, 4)
        console.type("reboot -f\r")
        console.expect("is reset", PATIENCE)
        self.assertEqual(self.ready(console)[0], 4)
        self.shell(console)
        code, outputs = self.ask_for(guest, 1)
        self.assertEqual(code, JOB)
        self.assertEqual(guest.finish(outputs["Job"])["JobState"], COMPLETED)
        self.see(console, 1)
        guest.change(DISABLED)
        # The definition is what it was.
        guest.start()
        self.assertEqual(self.processors(guest)["VirtualQuantity"], 2)

    def refused(self, guest, count, words):
        before, setting = self.left(), self.processors(guest)
        code, outputs = self.ask_for(guest, count)
        self.assertEqual(code, INVALID_STATE)
        self.assertIn(words, self.lab.why(outputs)["Message"])
        self.assertEqual((self.left(), self.processors(guest)), (before, setting))

    def test_a_guest_that_does_not_listen(self):
        base = Uint64(guest_target.kernels.BASE)
        guest = self.guest(
            memory(16), rasd(PROCESSOR, "BH_ProcessorAllocationSettingData", VirtualQuantity=2,
                             MaximumQuantity=Uint32(3)),
            Kernel="monitor.bin", BootFormat="flat", LoadAddress=base, EntryAddress=base).start()
        self.refused(guest, 3, "does not listen")
        self.refused(guest, 1, "does not listen")
        with self.assertRaises(CIMError) as refused:
            self.ask_for(guest, 4)
        self.assertIn("more than the 3", refused.exception.status_description)
