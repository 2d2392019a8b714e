"""Kernels of every kind, the smallest and the largest memory, and what is refused."""

import struct

import pywbem
from pywbem import Uint64

import kernels
from guest_target import GuestTest, lab, peek, peek_text, put, request
from lab import DISABLED, ENABLED, EXCEPTION, memory, OK, PROCESSOR, rasd, vssd
from patience import PATIENCE


class KindTest(GuestTest):
    def test_flat_16_bit(self):
        guest = self.guest(memory(16), Kernel="echo.bin", BootFormat="flat", LoadAddress=Uint64(kernels.BOOT_SECTOR),
                           EntryAddress=Uint64(kernels.BOOT_SECTOR)).start()
        with guest.console() as console:
            console.expect("ECHO READY\r\n", PATIENCE)
            console.type("hello, guest\r")
            console.expect("HELLO, GUEST\r\n", PATIENCE)

    def test_flat_32_bit(self):
        _, console, _, _ = self.monitor()
        self.assertEqual(peek(console, kernels.BASE, 2), kernels.monitor()[:8])

    def test_multiboot_with_modules(self):
        _, console, magic, information = self.monitor(
            "multiboot.elf", CommandLine="first second", Initrd="echo.bin", Modules=["monitor.bin"],
            ModuleArguments=["of the monitor"])
        self.assertEqual(magic, 0x2BAD_B002)
        flags, lower, upper, _, line, count, modules = struct.unpack("<7I", peek(console, information, 7))
        self.assertEqual(flags & 0b1001101, 0b1001101, "memory, command line, modules and map")
        self.assertEqual((lower, upper), (639, 15 << 10))
        self.assertIn("first second", peek_text(console, line))
        self.assertEqual(count, 2)
        found = [struct.unpack("<4I", peek(console, modules + 16 * place, 4)) for place in range(count)]
        for (start, end, text, _), name, words in zip(found, ("echo.bin", "monitor.bin"), ("", "of the monitor")):
            self.assertEqual(end - start, len(self.files[name]))
            self.assertEqual(peek(console, start, 4), self.files[name][:16])
            self.assertIn(words, peek_text(console, text))

    def test_multiboot2_with_modules(self):
        _, console, magic, information = self.monitor(
            "multiboot2.elf", CommandLine="first second", Modules=["echo.bin"], ModuleArguments=["of the echo"])
        self.assertEqual(magic, 0x36D7_6289)
        size, _ = struct.unpack("<2I", peek(console, information, 2))
        block, tags, place = peek(console, information, size // 4), {}, 8
        while place < size:
            kind, length = struct.unpack_from("<2I", block, place)
            tags[kind] = block[place + 8:place + length]
            place += length + 7 & ~7
        self.assertEqual(tags[1], b"first second\0")
        start, end = struct.unpack_from("<2I", tags[3])
        self.assertEqual((end - start, tags[3][8:]), (len(self.files["echo.bin"]), b"of the echo\0"))
        self.assertEqual(peek(console, start, 4), self.files["echo.bin"][:16])
        self.assertLessEqual({4, 6, 15}, set(tags), "memory, its map, and the ACPI tables' root")

    def test_pvh_with_module(self):
        _, console, _, information = self.monitor("pvh.elf", CommandLine="first second", Initrd="echo.bin")
        magic, version, _, count = struct.unpack("<4I", peek(console, information, 4))
        modules, line, rsdp, memory_map = struct.unpack("<4Q", peek(console, information + 16, 8))
        self.assertEqual((magic, count), (0x336E_C578, 1))
        self.assertGreaterEqual(version, 1)
        self.assertEqual(peek_text(console, line), "first second")
        address, size = struct.unpack("<2Q", peek(console, modules, 4))
        self.assertEqual(size, len(self.files["echo.bin"]))
        self.assertEqual(peek(console, address, 4), self.files["echo.bin"][:16])
        self.assertEqual(peek(console, rsdp, 2), b"RSD PTR ")
        first = struct.unpack("<2Q", peek(console, memory_map, 4))
        self.assertEqual(first, (0, 0x9FC00))

    def test_memory_up_to_what_the_pool_has(self):
        pool = self.lab.pool(4)
        most = int(pool["Capacity"]) - int(pool["Reserved"]) & ~1
        guest, console, _, _ = self.monitor(mebibytes=most)
        self.assertEqual(int(self.lab.pool(4)["Reserved"]), most)
        last = (most << 20) - 4096
        console.type(f"f{last:08x}{last + 4096:08x}{0x600dcafe:08x}")
        console.expect("=\r\n", PATIENCE)
        console.type(f"s{0x200000:08x}{most << 20:08x}{0x600dcafe:08x}")
        self.assertEqual(int(console.expect(r"=(\w{8})\r\n", PATIENCE)[1], 16), 1024)
        # Nothing is left for another, who is told so and is as before.
        other = self.guest(memory(16), name="too much", Kernel="pvh.elf")
        code, outputs = self.lab.ask(other.path, ENABLED)
        self.assertNotIn(code, (OK, 4096))
        self.assertIn("MiB", self.lab.why(outputs)["Message"])
        self.assertEqual(other.state(), DISABLED)
        guest.change(DISABLED)
        other.start()


class RefusalTest(GuestTest):
    def refused(self, words, *resources, **properties):
        properties.setdefault("Kernel", "pvh.elf")
        with self.subTest(words), self.assertRaises(pywbem.CIMError) as caught:
            lab().define(*resources, settings=vssd(ElementName="refused", **properties))
        if not hasattr(caught, "exception"):
            return
        error = caught.exception
        self.assertEqual(error.status_code, pywbem.CIM_ERR_INVALID_PARAMETER)
        self.assertIn(words, error.status_description)
        self.assertEqual([item["Message"] for item in error.instances], [error.status_description])
        self.assertEqual({item.classname for item in error.instances}, {"CIM_Error"})

    def test_definitions(self):
        self.refused("There is no image nothing", Kernel="nothing")
        self.refused("There is no image nothing", Initrd="nothing")
        self.refused("There is no image nothing", Modules=["nothing"])
        self.refused("999998 MiB are more than", memory(999998))
        self.refused("at least 16 MiB", memory(2))
        self.refused("ResourceSettings[0].VirtualQuantity", memory(33))
        self.refused("no number of processors that a system can have. Give 1 to", rasd(PROCESSOR, VirtualQuantity=0))
        self.refused("no number of processors that a system can have. Give 1 to", rasd(PROCESSOR, VirtualQuantity=999))
        self.refused("is no boot format", BootFormat="coff")

    def test_kernels_of_another_kind(self):
        """A start that cannot be: the job tells why, and the system is off."""
        for kernel, kind in (("pvh.elf", "linux"), ("multiboot.elf", "pvh"), ("initramfs", None), ("echo.bin", "multiboot")):
            with self.subTest(kernel=kernel, kind=kind):
                guest = self.guest(memory(32), Kernel=kernel, **({"BootFormat": kind} if kind else {}))
                job = guest.finish(guest.begin(ENABLED))
                self.assertEqual(job["JobState"], EXCEPTION)
                self.assertIn(kernel, job["ErrorDescription"])
                shown = guest.show()
                self.assertStatus(shown, DISABLED, [10], "its last start failed")
                self.assertIn(kernel, shown["StatusDescriptions"][0])
                code, outputs = self.conn.InvokeMethod("GetError", job.path)
                self.assertEqual((code, outputs["Error"].classname), (OK, "CIM_Error"))

    def test_a_kernel_that_has_no_room(self):
        guest = self.guest(memory(16), Kernel="vmlinuz")
        job = guest.finish(guest.begin(ENABLED))
        self.assertEqual(job["JobState"], EXCEPTION)
        self.assertIn("vmlinuz", job["ErrorDescription"])

    def test_states_that_cannot_be(self):
        guest, _, _, _ = self.monitor()
        guest.change(9)
        for state in (4, 10):
            code, outputs = self.lab.ask(guest.path, state)
            self.assertEqual(code, 4097)
            self.assertIn("paused", self.lab.why(outputs)["Message"])
        code, outputs = self.lab.ask(guest.path, 6)
        self.assertNotIn(code, (OK, 4096))
        guest.change(DISABLED)
        for state in (9, 10, 11):
            code, outputs = self.lab.ask(guest.path, state)
            self.assertEqual(code, 4097)
            self.assertIn("is off", self.lab.why(outputs)["Message"])

    def test_a_running_system_is_not_destroyed(self):
        guest, _, _, _ = self.monitor()
        code, outputs = self.lab.call("DestroySystem", AffectedSystem=guest.path)
        self.assertEqual(code, 5)
        self.assertIn("Turn it off first", self.lab.why(outputs)["Message"])


class ImageTest(GuestTest):
    def test_uploads_come_back(self):
        data = bytes(range(256)) * 1000
        self.assertIn(put("trial", data)[0], (200, 201))
        status, found = request("GET", "/images/trial")
        self.assertEqual((status, found), (200, data))
        named = [item["Name"] for item in self.conn.EnumerateInstances("CIM_DataFile")]
        self.assertIn("trial", named)
        self.assertIn(request("DELETE", "/images/trial")[0], (200, 204))
        self.assertEqual(request("GET", "/images/trial")[0], 404)

    def test_who_may_not(self):
        self.assertEqual(put("trial", b"x", password="wrong")[0], 401)
        self.assertEqual(request("GET", "/images/trial")[0], 404)

    def test_an_image_in_use_stays(self):
        self.guest(memory(16), Kernel="pvh.elf")
        status, text = request("DELETE", "/images/pvh.elf")
        self.assertIn(status, (403, 409))
        self.assertIn(b"use", text)
        self.assertEqual(request("GET", "/images/pvh.elf")[0], 200)
