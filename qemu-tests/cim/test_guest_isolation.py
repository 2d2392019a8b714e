"""What guests cannot see of each other, many at once, and that systems which come and go leave nothing."""

from pywbem import Uint64

import kernels
from guest_target import Guest, GuestTest, free_things, peek
from lab import DISABLED, ENABLED, memory
from patience import PATIENCE

PATTERN = 0x5ECE7BAD
# Behind what a monitor needs for itself.
FIRST = 0x20_0000
FLAT = {"BootFormat": "flat", "LoadAddress": Uint64(kernels.BOOT_SECTOR), "EntryAddress": Uint64(kernels.BOOT_SECTOR)}


class IsolationTest(GuestTest):
    def fill(self, console, mebibytes, word=PATTERN):
        console.type(f"f{FIRST:08x}{mebibytes << 20:08x}{word:08x}")
        console.expect("=\r\n", PATIENCE)

    def count(self, console, mebibytes, word=PATTERN, first=FIRST):
        console.type(f"s{first:08x}{mebibytes << 20:08x}{word:08x}")
        return int(console.expect(r"=(\w{8})\r\n", PATIENCE)[1], 16)

    def test_memory_is_cleared_before_another_gets_it(self):
        pool = self.lab.pool(4)
        # More than half, so that the second gets frames of the first.
        size = int(pool["Capacity"]) * 2 // 3 & ~1
        first, console, _, _ = self.monitor(mebibytes=size, name="first")
        self.fill(console, size)
        self.assertEqual(self.count(console, size), ((size << 20) - FIRST) // 4)
        # A reset clears as well.
        console.type("r")
        console.expect("MONITOR READY", PATIENCE)
        self.assertEqual(self.count(console, size, first=0), 0)
        self.fill(console, size)
        first.change(DISABLED)
        _, console, _, _ = self.monitor(mebibytes=size, name="second")
        self.assertEqual(self.count(console, size, first=0), 0)

    def test_two_at_once_see_their_own(self):
        _, one, _, _ = self.monitor(mebibytes=32, name="one")
        _, two, _, _ = self.monitor(mebibytes=32, name="two")
        self.fill(one, 32)
        self.assertEqual(self.count(two, 32, first=0), 0)
        self.fill(two, 32, PATTERN + 1)
        self.assertEqual(self.count(one, 32), ((32 << 20) - FIRST) // 4)
        self.assertEqual(self.count(one, 32, PATTERN + 1, 0), 0)

    def test_nothing_is_where_no_memory_is(self):
        _, console, _, _ = self.monitor(mebibytes=16)
        for address in (16 << 20, 0xC000_0000, 0xFEB0_0000, 0xFFFF_F000):
            self.assertEqual(peek(console, address, 2), b"\xff" * 8, hex(address))

    def test_thirty_two_at_once(self):
        guests = []
        for number in range(32):
            guest = self.guest(memory(16), name=f"small{number}", Kernel="echo.bin", **FLAT)
            guests.append((guest, guest.begin(ENABLED)))
        for guest, job in guests:
            self.assertEqual(guest.finish(job)["JobState"], 7)
        self.assertEqual(self.lab.pool(4)["Reserved"], 32 * 16)
        consoles = [guest.console() for guest, _ in guests]
        for console in consoles:
            self.addCleanup(console.close)
        for round_ in range(2):
            for number, console in enumerate(consoles):
                console.type(f"guest {number} round {round_}\r")
            # The management plane answers meanwhile.
            self.assertEqual(len(self.conn.EnumerateInstanceNames("CIM_TextRedirectionSAP")), 32)
            for number, console in enumerate(consoles):
                console.expect(f"GUEST {number} ROUND {round_}\r\n", PATIENCE)
        for guest, _ in guests:
            self.assertEqual(guest.state(), ENABLED)


class CyclingTest(GuestTest):
    def cycle(self):
        """A system comes and goes; returns what is free and in use then."""
        guest = Guest("cycle", memory(16), Kernel="echo.bin", **FLAT).start()
        number = guest.number()
        guest.change(DISABLED)
        guest.destroy()
        return free_things(number)

    def cycles(self, count):
        # What the first ones make may stay: room for jobs, pages to share.
        self.cycle()
        before, heap = self.cycle()
        for number in range(count):
            now, grown = self.cycle()
            self.assertEqual(now, before, f"after {number + 1} cycles")
        return grown - heap


class CycleTest(CyclingTest):
    def test_twenty_cycles_leave_everything_as_it_was(self):
        self.cycles(20)


class LongTest(CyclingTest):
    def test_five_hundred_cycles(self):
        # Jobs that have ended are remembered for a while, and are what the heap may hold more than before.
        grown = self.cycles(500)
        self.assertLess(grown, 1 << 20)
