"""Debian's kernel in guests."""

import re
import selectors
import subprocess
import time

import guest_target
from guest_target import GuestTest
from lab import DISABLED, ENABLED, IO_DEVICE, QUIESCE, rasd, REBOOT, SERIAL_PORT, SHUT_DOWN
from patience import BOOT, PATIENCE

READY = r"GUEST READY after ([\d.]+) s, (\d+) CPUs, (\d+) kB"
PROMPT = "guest# "
CLOCK = "/sys/devices/system/clocksource/clocksource0"
RTC = "/sys/class/rtc/rtc0/since_epoch"
# Warnings that a guest may show though plain QEMU does not, with the reason.
ALLOWED = []
# A machine without Bulkhead like that of the guests.
PLAIN = [
    "-accel", "tcg", "-M", "q35", "-cpu", "EPYC", "-smp", "1", "-m", "256", "-nodefaults", "-display", "none", "-serial",
    "stdio", "-monitor", "none", "-no-reboot", "-device", "virtio-serial-pci", "-chardev", "null,id=hvc0", "-device",
    "virtconsole,chardev=hvc0", "-device", "virtio-rng-pci", "-append", "console=ttyS0",
]


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
        """Loads every CPU of a guest at least so long, and until the management plane has answered some times meanwhile."""
        guest, console, _ = self.boot(cpus=4, words="then=stress")
        begun, answers = time.monotonic(), 0
        while answers < 5 or time.monotonic() - begun < seconds:
            self.assertEqual(guest.state(), ENABLED)
            answers += 1
            time.sleep(0.5)
        self.assertNotIn("STRESS: memory", console.silence(0.1), "the guest ends when it is told to")
        console.type("\r")
        said = console.expect(r"(?s)(.*)STRESS: memory (\d+) rounds.*STRESS DONE", BOOT)
        self.assertNotRegex(said[1], "damaged|wrongly|cannot write")
        rounds = dict(re.findall(r"STRESS: cpu (\d+) made (\d+) rounds", said[1]))
        self.assertEqual(len(rounds), 4)
        self.assertGreater(min(map(int, rounds.values())), 0, rounds)
        guest.wait(DISABLED)


def warnings(log):
    """Lines of `dmesg -r` that are warnings or worse, by what is left of them without numbers, which differ."""
    found = {}
    for level, line in re.findall(r"^<(\d+)>\[[ .\d]*\] (.*)", log.replace("\r", ""), re.MULTILINE):
        # What is not from the kernel itself comes with a facility.
        if int(level) <= 4:
            found[re.sub(r"\d+", "N", line)] = line
    return found


def plain_log():
    """The kernel's log on a machine without Bulkhead."""
    options = guest_target.OPTIONS
    command = ["timeout", str(BOOT), options.qemu, *PLAIN, "-kernel", options.kernel, "-initrd", options.initrd]
    text = ""
    with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            for pattern, answer in ((PROMPT, "dmesg -r; echo the-''end\n"), ("the-end", "poweroff -f\n")):
                while not re.search(pattern, text):
                    assert selector.select(BOOT), text[-1000:]
                    data = process.stdout.read(65536)
                    assert data, f"plain QEMU ended: {text[-1000:]}"
                    text += data.decode(errors="replace")
                process.stdin.write(answer.encode())
    return text


class BothBackendsTest(LinuxGuestTest):
    """What also runs in Bochs, on VMX."""

    def test_a_shell_on_two_cpus(self):
        guest, console, facts = self.boot(cpus=2)
        self.assertEqual(facts[0], 2)
        self.shell(console)
        self.assertEqual(self.run_line(console, "nproc").strip(), "2")
        self.assertRegex(self.run_line(console, "uname -a"), r"Linux .* Debian .* x86_64")
        # Each CPU takes its own timer's interrupts, and those of the other.
        for kind in ("LOC", "CAL|RES"):
            counts = re.findall(rf"(?m)^ *(?:{kind}): +(\d+) +(\d+) ", self.run_line(console, "cat /proc/interrupts"))
            for cpu in (0, 1):
                self.assertGreater(sum(int(line[cpu]) for line in counts), 0, kind)
        guest.change(SHUT_DOWN, BOOT)
        self.assertStatus(guest.show(), DISABLED, [10], "is off")


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
        console.type("echo thr''ough the other > /dev/hvc0\r")
        console.expect("through the other", PATIENCE)
        console.expect(PROMPT, PATIENCE)
        # Time stands while it is paused, and what is typed waits.
        before = self.uptime(console)
        console.expect(PROMPT, PATIENCE)
        guest.change(QUIESCE)
        console.type("\r")
        self.assertEqual(console.silence(4), "")
        guest.change(ENABLED)
        console.expect(PROMPT, PATIENCE)
        self.assertGreater(self.uptime(console), before)
        # The power button, twice.
        guest.change(REBOOT, BOOT)
        self.assertEqual(self.ready(console), facts)
        self.shell(console)
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

    def test_no_warning_that_plain_qemu_does_not_show(self):
        _, console, _ = self.boot()
        self.shell(console)
        log = self.run_line(console, "dmesg -r")
        self.assertIn("Linux version", log)
        ours, plain = warnings(log), warnings(plain_log())
        more = [line for kind, line in ours.items() if kind not in plain]
        unexplained = [line for line in more if not any(re.search(pattern, line) for pattern, _ in ALLOWED)]
        self.assertEqual(unexplained, [])

    def clocks(self, console):
        """What the guest's clocks show, and ours from before to after they were read."""
        before = time.monotonic(), time.time()
        found = self.run_line(console, f"cat /proc/uptime {RTC}; date +%s").split()
        after = time.monotonic(), time.time()
        return [float(found[place]) for place in (0, 2, 3)], before, after

    def test_clock(self):
        """The guest's clocks against ours, as exactly as we know when they were read."""
        _, console, _ = self.boot()
        self.shell(console)
        self.assertEqual(self.run_line(console, f"cat {CLOCK}/current*").strip(), "kvm-clock")
        first, begun, asked = self.clocks(console)
        time.sleep(10)
        last, again, ended = self.clocks(console)
        least, most = again[0] - asked[0], ended[0] - begun[0]
        # Of uptime, of the real-time clock, and of the date: how coarse it is.
        for place, step in enumerate((0.02, 1, 1)):
            passed = last[place] - first[place]
            self.assertGreater(passed, 0.99 * least - step, place)
            self.assertLess(passed, 1.01 * most + step, place)
        for shown, before, after in ((first, begun, asked), (last, again, ended)):
            for place in (1, 2):
                self.assertGreater(shown[place], before[1] - 2.5, place)
                self.assertLess(shown[place], after[1] + 2.5, place)

    def test_stress(self):
        self.stress(5)

    def test_much_output_on_the_virtio_console(self):
        """It comes complete and in order, and the serial console stays alive beside it."""
        _, console, _ = self.boot()
        self.shell(console)
        lines, rest = 1 << 12, "-" * 56
        console.type(f"seq -w {lines} | sed s/$/{rest}/ > /dev/hvc0; echo all-''written\r")
        text = console.expect(rf"(?s)\n0+1{rest}\r*\n.*\n{lines}{rest}\r*\n", 4 * PATIENCE)[0]
        self.assertEqual(text.split(), [f"{number:04}{rest}" for number in range(1, lines + 1)])
        console.expect("all-written", PATIENCE)

    def test_panic(self):
        guest = self.linux(words="rdinit=/nothing panic=0 root=/dev/nothing").start()
        with guest.console() as console:
            console.expect("end Kernel panic", BOOT)
        self.assertEqual(guest.state(), ENABLED)
        guest.change(DISABLED)


class LongTest(LinuxGuestTest):
    def test_stress_for_a_minute(self):
        self.stress(60)
