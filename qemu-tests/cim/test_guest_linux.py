"""Debian's kernel in guests."""

import time

from guest_target import BOOT, GuestTest, PATIENCE
from lab import DISABLED, ENABLED, IO_DEVICE, QUIESCE, rasd, SERIAL_PORT, SHUT_DOWN

READY = r"GUEST READY after ([\d.]+) s, (\d+) CPUs, (\d+) kB"
PROMPT = "guest# "


class LinuxGuestTest(GuestTest):
    def boot(self, *resources, **how):
        guest = self.linux(*resources, **how).start()
        console = guest.console()
        self.addCleanup(console.close)
        return guest, console, self.ready(console)

    def ready(self, console):
        """CPUs and KiB of memory that the guest tells when its drivers are loaded."""
        match = console.expect(READY, BOOT)
        return int(match[2]), int(match[3])

    def run_line(self, console, line, seconds=PATIENCE):
        """What a command prints."""
        console.type(f"{line}; echo end-$?-\r")
        console.expect(r"echo end-\$\?-\r*\n", seconds)
        found = console.expect(r"((?:.|\n)*?)end-(\d+)-\r*\n", seconds)
        self.assertEqual(found[2], "0", f"{line}: {found[1]}")
        return found[1].replace("\r", "")

    def shell(self, console):
        console.expect(PROMPT, PATIENCE)
        console.type("\r")
        console.expect(PROMPT, PATIENCE)

    def uptime(self, console):
        return float(self.run_line(console, "cat /proc/uptime").split()[0])

    def stress(self, seconds):
        guest, console, _ = self.boot(cpus=4, words=f"then=stress:{seconds}")
        said = console.expect(r"(?s)(.*)STRESS: memory (\d+) rounds.*STRESS DONE", seconds + BOOT)
        self.assertNotRegex(said[1], "damaged|wrongly|cannot write")
        guest.wait(DISABLED)


class LinuxTest(LinuxGuestTest):
    def test_one_cpu(self):
        guest, console, facts = self.boot()
        self.assertEqual(facts[0], 1)
        self.assertGreater(facts[1], 180_000)
        self.shell(console)
        self.assertRegex(self.run_line(console, "uname -a"), r"Linux .* Debian .* x86_64")
        self.assertIn("virtio", self.run_line(console, "cat /proc/interrupts"))
        self.assertEqual(self.run_line(console, "cat /sys/class/misc/hw_random/rng_current").strip(), "virtio_rng.0")
        bytes_ = self.run_line(console, "dd if=/dev/hwrng bs=16 count=2 2>/dev/null | hexdump -v -e '1/1 \"%02x\"'")
        self.assertRegex(bytes_, r"^\w{64}$")
        self.assertNotEqual(bytes_[:32], bytes_[32:])
        self.run_line(console, "test -c /dev/hvc0")
        self.run_line(console, "echo through the other console > /dev/hvc0")
        # Time stands while it is paused, and what is typed waits.
        before = self.uptime(console)
        guest.change(QUIESCE)
        console.silence(0.5)
        console.type("\r")
        self.assertEqual(console.silence(4), "")
        guest.change(ENABLED)
        console.expect(PROMPT, PATIENCE)
        self.assertGreater(self.uptime(console), before)
        # The power button.
        guest.change(SHUT_DOWN, BOOT)
        self.assertStatus(guest.show(), DISABLED, [10], "is off")

    def test_four_cpus_and_all_settings(self):
        guest, console, facts = self.boot(
            rasd(SERIAL_PORT), rasd(IO_DEVICE, ResourceSubType="BH:virtio-console"),
            rasd(IO_DEVICE, ResourceSubType="BH:virtio-entropy"), cpus=4, mebibytes=384, Description="All settings",
            Notes=["one", "two"], BootFormat="linux")
        self.assertEqual(facts[0], 4)
        self.shell(console)
        self.assertEqual(self.run_line(console, "nproc").strip(), "4")
        # From inside.
        console.type("reboot -f\r")
        console.expect("is reset", PATIENCE)
        self.assertEqual(self.ready(console), facts)
        self.assertEqual(guest.state(), ENABLED)
        guest.change(DISABLED)

    def test_clock(self):
        """The guest's clocks against ours."""
        guest, console, _ = self.boot(words="then=clock:10")
        clocks = r"uptime ([\d.]+) date (\d+)\S* rtc (\d+) source (\S+)"
        before = console.expect(f"before {clocks}", PATIENCE)
        begun = time.monotonic()
        after = console.expect(f"after {clocks}", PATIENCE)
        real = time.monotonic() - begun
        self.assertEqual(after[4], "kvm-clock")
        # What the lines need to come here varies a little.
        self.assertAlmostEqual(float(after[1]) - float(before[1]), real, delta=0.01 * real + 0.2)
        for place in (2, 3):
            self.assertAlmostEqual(int(after[place]) - int(before[place]), real, delta=1.5)
            self.assertAlmostEqual(int(after[place]), time.time(), delta=5)
        guest.wait(DISABLED)
        self.assertStatus(guest.show(), DISABLED, [10], "its guest powered it off")

    def test_stress(self):
        self.stress(5)

    def test_panic(self):
        guest = self.linux(words="rdinit=/nothing panic=0 root=/dev/nothing").start()
        with guest.console() as console:
            console.expect("end Kernel panic", BOOT)
        self.assertEqual(guest.state(), ENABLED)
        guest.change(DISABLED)


class LongTest(LinuxGuestTest):
    def test_stress_for_a_minute(self):
        self.stress(60)
