"""Base metrics (DSP1053): CPU time, exits, memory and console bytes of the host and of systems."""

import time

import pywbem
from pywbem import Uint16

from lab import PROCESSOR, rasd
from test_systems import DISABLED, ENABLED, SystemTest, memory

METRICS = {"CPU time", "Exits to the hypervisor", "Physical memory in use", "Console output", "Console input"}
MEBIBYTE = 1 << 20
FAILED = 2


class MetricTest(SystemTest):
    def host(self):
        found = self.conn.EnumerateInstances("CIM_ComputerSystem")
        return next(item.path for item in found if item["NameFormat"] != "UUID")

    def definitions(self):
        return {item["Name"]: item for item in self.conn.EnumerateInstances("CIM_BaseMetricDefinition")}

    def values(self, system):
        """The values of a system by the names of their definitions."""
        ids = {item["Id"]: name for name, item in self.definitions().items()}
        found = self.conn.Associators(system, AssocClass="CIM_MetricForME", ResultClass="CIM_BaseMetricValue")
        for value in found:
            self.assertIsNotNone(value["TimeStamp"])
            self.assertEqual(self.conn.GetInstance(value.path)["MeasuredElementName"], value["MeasuredElementName"])
        return {ids[value["MetricDefinitionId"]]: int(value["MetricValue"]) for value in found}

    def service(self, method, **arguments):
        path = self.lab.one(self.host(), "CIM_HostedService", "CIM_MetricService").path
        return self.conn.InvokeMethod(method, path, **arguments)

    def test_definitions(self):
        definitions = self.definitions()
        self.assertEqual(set(definitions), METRICS)
        time_metric = definitions["CPU time"]
        self.assertEqual((time_metric["ProgrammaticUnits"], time_metric["ChangeType"]), ("second * 10^-9", 3))
        self.assertEqual((time_metric["DataType"], time_metric["TimeScope"]), (13, 4))
        memory_metric = definitions["Physical memory in use"]
        self.assertEqual((memory_metric["ProgrammaticUnits"], memory_metric["ChangeType"]), ("byte", 4))
        service = self.conn.EnumerateInstanceNames("CIM_MetricService")[0]
        managed = self.conn.AssociatorNames(service, AssocClass="CIM_ServiceAffectsElement")
        self.assertEqual(sorted(path["Id"] for path in managed), sorted(item["Id"] for item in definitions.values()))
        found = self.lab.one(service, "CIM_ElementCapabilities", "CIM_MetricServiceCapabilities")
        self.assertEqual(found["SupportedMethods"], [4, 6])

    def test_values_of_a_system(self):
        system = self.lab.define(memory(64), CommandLine="four")
        self.assertEqual(self.values(system), {}, "nothing is measured on a system that is off")
        on = self.conn.AssociatorNames(system, AssocClass="CIM_MetricDefForME")
        self.assertEqual(len(on), len(METRICS))
        self.lab.change(system, ENABLED)
        first = self.values(system)
        self.assertEqual(set(first), METRICS)
        self.assertEqual(first["Physical memory in use"], 64 * MEBIBYTE)
        self.assertEqual(first["Console output"], 4)
        time.sleep(0.05)
        second = self.values(system)
        for name in ("CPU time", "Exits to the hypervisor"):
            self.assertGreater(second[name], first[name], name)
        definition = self.definitions()["CPU time"].path
        values = self.conn.Associators(definition, AssocClass="CIM_MetricInstance", ResultClass="CIM_BaseMetricValue")
        self.assertEqual(len(values), 3, "of the host, of the system and of its processor")

    def processors(self, system):
        found = self.conn.AssociatorNames(system, AssocClass="CIM_SystemDevice", ResultClass="CIM_Processor")
        return sorted(found, key=lambda path: path["DeviceID"])

    def test_each_processor_has_its_own_values_and_the_system_their_sum(self):
        system = self.lab.define(memory(64), rasd(PROCESSOR, VirtualQuantity=3))
        self.assertEqual(self.processors(system), [])
        self.lab.change(system, ENABLED)
        processors = self.processors(system)
        self.assertEqual(len(processors), 3)
        time.sleep(0.05)
        before = self.values(system)
        each = [self.values(path) for path in processors]
        after = self.values(system)
        for values in each:
            self.assertEqual(set(values), {"CPU time", "Exits to the hypervisor"})
        for name in ("CPU time", "Exits to the hypervisor"):
            both = sum(values[name] for values in each)
            # The simulator divides whole numbers.
            self.assertGreaterEqual(both + 3, before[name], name)
            self.assertLessEqual(both, after[name], name)
        definition = self.definitions()["CPU time"].path
        measured = self.conn.AssociatorNames(definition, AssocClass="CIM_MetricDefForME", ResultClass="CIM_Processor")
        self.assertEqual(len(measured), 3)
        code, outputs = self.service("ShowMetrics", Subject=processors[0])
        self.assertEqual((code, outputs["MetricNames"]), (0, ["CPU time", "Exits to the hypervisor"]))
        memory_metric = self.definitions()["Physical memory in use"].path
        code, outputs = self.service("ShowMetrics", Subject=processors[0], Definition=memory_metric)
        self.assertEqual((code, outputs["MetricCollectionEnabled"]), (0, []), "a processor has no memory")
        code, outputs = self.service("GetMetricValues", Definition=definition, Range=Uint16(3), Count=Uint16(2))
        self.assertEqual((code, len(outputs["Values"])), (0, 2))
        self.lab.change(system, DISABLED)
        self.assertEqual(self.conn.EnumerateInstanceNames("CIM_BaseMetricValue"),
                         [path for path in self.conn.EnumerateInstanceNames("CIM_BaseMetricValue")
                          if "/host/" in path["InstanceID"]])

    def test_the_host_has_what_all_systems_have_used(self):
        before = self.values(self.host())
        self.assertEqual(before["Physical memory in use"], 0)
        systems = [self.lab.define(memory(size), CommandLine="quiet") for size in (64, 32)]
        for system in systems:
            self.lab.change(system, ENABLED)
        during = self.values(self.host())
        self.assertEqual(during["Physical memory in use"], 96 * MEBIBYTE)
        self.assertEqual(during["Console output"], before["Console output"] + 2 * len("quiet"))
        for system in systems:
            self.lab.change(system, DISABLED)
        after = self.values(self.host())
        self.assertEqual(after["Physical memory in use"], 0)
        for name in METRICS - {"Physical memory in use"}:
            self.assertGreaterEqual(after[name], during[name], name)

    def test_show_metrics(self):
        system = self.lab.define(memory(64))
        definition = self.definitions()["CPU time"].path
        code, outputs = self.service("ShowMetrics", Subject=system)
        self.assertEqual((code, set(outputs["MetricNames"])), (0, METRICS))
        self.assertEqual(outputs["MetricCollectionEnabled"], [2] * len(METRICS))
        names = [self.conn.GetInstance(path)["Name"] for path in outputs["DefinitionList"]]
        self.assertEqual(names, outputs["MetricNames"])
        code, outputs = self.service("ShowMetrics", Definition=definition)
        found = {path["Name"] for path in outputs["ManagedElements"]}
        self.assertEqual(found, {system["Name"], self.host()["Name"]})
        code, outputs = self.service("ShowMetrics", Subject=system, Definition=definition)
        self.assertEqual((code, outputs["MetricCollectionEnabled"]), (0, [2]))
        self.assertEqual(self.service("ShowMetrics")[0], FAILED)
        self.assertEqual(self.service("ShowMetrics", Definition=system)[0], FAILED)

    def test_get_metric_values(self):
        for size in (64, 32, 128):
            self.lab.change(self.lab.define(memory(size)), ENABLED)
        definition = self.definitions()["Physical memory in use"].path

        def sizes(**arguments):
            code, outputs = self.service("GetMetricValues", Definition=definition, **arguments)
            self.assertEqual(code, 0)
            return [int(self.conn.GetInstance(path)["MetricValue"]) // MEBIBYTE for path in outputs["Values"]]

        self.assertEqual(sizes(Range=Uint16(2)), [32, 64, 128, 224])
        self.assertEqual(sizes(Range=Uint16(3), Count=Uint16(2)), [224, 128])
        self.assertEqual(sorted(sizes()), [32, 64, 128, 224])
        self.assertEqual(self.service("GetMetricValues", Definition=definition, Range=Uint16(9))[0], FAILED)

    def test_what_the_capabilities_do_not_list_is_refused(self):
        system = self.lab.define(memory(64))
        interval = pywbem.CIMDateTime("00000000000001.000000:000")
        now = pywbem.CIMDateTime("20260101000000.000000+000")
        calls = [
            self.service("ControlMetrics", Subject=system, MetricCollectionEnabled=Uint16(3)),
            self.service("ControlMetricsByClass", Subject=system, MetricCollectionEnabled=Uint16(3)),
            self.service("ShowMetricsByClass", Subject=system),
            self.service("ControlSampleTimes", StartSampleTime=now, PreferredSampleInterval=interval,
                         RestartGathering=False),
        ]
        self.assertEqual([code for code, _ in calls], [1] * 4)
