"""Metrics of guests that really run (DSP1053), and what they boot (DSP1012)."""

from guest_target import GuestTest
from lab import DISABLED
from patience import PATIENCE

MEBIBYTE = 1 << 20


class MetricTest(GuestTest):
    def values(self, system):
        ids = {item["Id"]: item["Name"] for item in self.conn.EnumerateInstances("CIM_BaseMetricDefinition")}
        found = self.conn.Associators(system, AssocClass="CIM_MetricForME", ResultClass="CIM_BaseMetricValue")
        return {ids[value["MetricDefinitionId"]]: int(value["MetricValue"]) for value in found}

    def host(self):
        found = self.conn.EnumerateInstances("CIM_ComputerSystem")
        return next(item.path for item in found if item["NameFormat"] != "UUID")

    def test_values_follow_the_guest(self):
        idle_host = self.values(self.host())
        guest, console, _, _ = self.monitor(mebibytes=32)
        first = self.values(guest.path)
        self.assertEqual(first["Physical memory in use"], 32 * MEBIBYTE)
        self.assertEqual(first["Console output"], len("MONITOR READY eax=00000000 ebx=00000000\r\n"))
        self.assertEqual(first["Console input"], 0)
        # It works through its memory.
        command = f"s{0x200000:08x}{32 * MEBIBYTE:08x}{1:08x}"
        console.type(command)
        console.expect(r"=(\w{8})\r\n", PATIENCE)
        second = self.values(guest.path)
        self.assertEqual(second["Console input"], len(command))
        self.assertEqual(second["Console output"] - first["Console output"], len("=00000000\r\n"))
        for name in ("CPU time", "Exits to the hypervisor"):
            self.assertGreater(second[name], first[name], name)
        [processor] = self.conn.AssociatorNames(guest.path, ResultClass="CIM_Processor", AssocClass="CIM_SystemDevice")
        own = self.values(processor)
        third = self.values(guest.path)
        for name in ("CPU time", "Exits to the hypervisor"):
            self.assertTrue(second[name] <= own[name] <= third[name], (name, second, own, third))
        host = self.values(self.host())
        self.assertEqual(host["Physical memory in use"] - idle_host["Physical memory in use"], 32 * MEBIBYTE)
        guest.change(DISABLED)
        self.assertEqual(self.values(guest.path), {})
        after = self.values(self.host())
        self.assertEqual(after["Physical memory in use"], idle_host["Physical memory in use"])
        for name in ("CPU time", "Exits to the hypervisor", "Console output", "Console input"):
            self.assertGreaterEqual(after[name], host[name], name)
            self.assertGreaterEqual(after[name] - idle_host[name], second[name], name)


class BootTest(GuestTest):
    def test_another_boot_source_for_the_next_start(self):
        guest, console, _, _ = self.monitor(kernel="pvh.elf")
        config = next(item for item in self.conn.Associators(
            guest.path, AssocClass="CIM_ElementSettingData", ResultClass="CIM_BootConfigSetting")
            if item["ConfigurationName"] == "defined")
        source = self.lab.one(config.path, "CIM_OrderedComponent", "CIM_BootSourceSetting")
        self.assertEqual(source["BootString"], "kernel pvh.elf")
        source["BootString"] = "kernel multiboot.elf"
        self.conn.ModifyInstance(source)
        console.type("?")
        console.expect("MONITOR READY", PATIENCE)
        guest.change(DISABLED)
        service = self.conn.EnumerateInstanceNames("CIM_BootService")[0]
        code, outputs = self.conn.InvokeMethod(
            "ApplyBootConfigSetting", service, ScopingComputerSystem=guest.path, ApplyBootConfig=config.path)
        self.assertEqual(code, 4096)
        self.assertEqual(guest.finish(outputs["Job"])["JobState"], 7)
        # What Multiboot leaves in EAX.
        console.expect("MONITOR READY eax=2badb002", PATIENCE)
