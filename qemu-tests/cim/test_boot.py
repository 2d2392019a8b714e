"""Boot control (DSP1012): what systems boot, as a client sees and changes it that knows no other class for it."""

import pywbem
from pywbem import Uint16

from test_systems import DISABLED, ENABLED, JOB, OK, SystemTest, memory

LINES = "kernel vmlinuz\ninitrd initrd.img\ncommand-line console=ttyS0 quiet"
IS, IS_NOT = 1, 2
NOT_SUPPORTED, BUSY, INVALID_REFERENCE, INVALID_PARAMETER = 1, 3, 4, 5


class BootTest(SystemTest):
    def define(self):
        return self.lab.define(memory(64), Initrd="initrd.img", CommandLine="console=ttyS0 quiet")

    def roles(self, system):
        """IsDefault, IsCurrent and IsNext of each boot configuration, by its ConfigurationName."""
        found = {}
        for link in self.conn.References(system, ResultClass="CIM_ElementSettingData", Role="ManagedElement"):
            config = self.conn.GetInstance(link["SettingData"])
            self.assertEqual(config.classname, "CIM_BootConfigSetting")
            found[config["ConfigurationName"]] = (link["IsDefault"], link["IsCurrent"], link["IsNext"])
        return found

    def config(self, system, name="defined"):
        found = self.conn.Associators(system, AssocClass="CIM_ElementSettingData", ResultClass="CIM_BootConfigSetting")
        return next(config for config in found if config["ConfigurationName"] == name)

    def source(self, config):
        return self.lab.one(config.path, "CIM_OrderedComponent", "CIM_BootSourceSetting")

    def service(self, method, **arguments):
        path = self.conn.EnumerateInstanceNames("CIM_BootService")[0]
        return self.conn.InvokeMethod(method, path, **arguments)

    def test_service_and_capabilities(self):
        host = next(item for item in self.conn.EnumerateInstances("CIM_ComputerSystem") if item["NameFormat"] != "UUID")
        service = self.lab.one(host.path, "CIM_HostedService", "CIM_BootService")
        found = self.lab.one(service.path, "CIM_ElementCapabilities", "CIM_BootServiceCapabilities")
        self.assertEqual(found["BootConfigCapabilities"], [3, 6])
        system = self.define()
        self.assertEqual(self.lab.one(system, "CIM_ServiceAffectsElement", "CIM_BootService").path, service.path)

    def test_roles_of_the_configurations(self):
        system = self.define()
        self.assertEqual(self.roles(system), {"defined": (IS, IS_NOT, IS)})
        self.lab.change(system, ENABLED)
        self.assertEqual(self.roles(system), {"defined": (IS, IS_NOT, IS), "state": (IS_NOT, IS, IS_NOT)})
        self.lab.change(system, DISABLED)
        self.assertEqual(self.roles(system), {"defined": (IS, IS_NOT, IS)})

    def test_the_source_is_the_image_with_what_belongs_to_it(self):
        system = self.define()
        source = self.source(self.config(system))
        self.assertEqual(source["BootString"], LINES)
        image = self.lab.one(source.path, "CIM_LogicalIdentity", "CIM_LogicalFile")
        self.assertEqual(image["Name"], "vmlinuz")
        self.assertIn(source.path, self.conn.AssociatorNames(image.path, AssocClass="CIM_ConcreteIdentity"))
        link = self.conn.References(source.path, ResultClass="CIM_OrderedComponent")[0]
        self.assertEqual(link["AssignedSequence"], 1)
        self.assertEqual(self.conn.InvokeMethod("ValidateSettings", self.config(system).path)[0], OK)

    def test_a_system_without_a_kernel_has_no_source(self):
        code, outputs = self.lab.call("DefineSystem")
        self.assertEqual(code, OK)
        config = self.config(outputs["ResultingSystem"])
        self.assertEqual(self.conn.Associators(config.path, AssocClass="CIM_OrderedComponent"), [])
        self.assertEqual(self.conn.InvokeMethod("ValidateSettings", config.path)[0], 1)

    def test_a_change_counts_from_the_next_start_on(self):
        system = self.define()
        self.lab.change(system, ENABLED)
        source = self.source(self.config(system))
        source["BootString"] = "kernel vmlinuz\ncommand-line single\n"
        self.conn.ModifyInstance(source)
        settings = self.lab.defined_settings(system)
        self.assertEqual((settings["CommandLine"], settings["Initrd"]), ("single", None))
        current = self.source(self.config(system, "state"))
        self.assertEqual(current["BootString"], LINES)
        self.lab.change(system, DISABLED)
        self.lab.change(system, ENABLED)
        current = self.source(self.config(system, "state"))
        self.assertEqual(current["BootString"], "kernel vmlinuz\ncommand-line single")
        self.assertEqual(self.lab.state_settings(system)["CommandLine"], "single")
        current["BootString"] = "kernel vmlinuz"
        self.assertCimError(pywbem.CIM_ERR_NOT_SUPPORTED, "cannot be modified", self.conn.ModifyInstance, current)
        for text, words in (("disk 0", "is not understood"), ("kernel nothing", "There is no image nothing")):
            source["BootString"] = text
            self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, words, self.conn.ModifyInstance, source)

    def test_apply_boots(self):
        system = self.define()
        defined = self.config(system).path
        arguments = {"ScopingComputerSystem": system, "ApplyBootConfig": defined}
        code, outputs = self.service("ApplyBootConfigSetting", **arguments)
        self.assertEqual(code, JOB)
        self.lab.wait_for_job(outputs["Job"])
        self.assertEqual(self.lab.state(system), ENABLED)
        # Again, with what it runs and what it is to run being the same.
        for config in (defined, self.config(system, "state").path):
            code, outputs = self.service("ApplyBootConfigSetting", ScopingComputerSystem=system, ApplyBootConfig=config)
            self.assertEqual(code, JOB)
            self.assertIn("eset", self.lab.wait_for_job(outputs["Job"])["Name"])
        settings = self.lab.defined_settings(system)
        settings["CommandLine"] = "other"
        self.lab.call("ModifySystemSettings", SystemSettings=settings)
        code, outputs = self.service("ApplyBootConfigSetting", **arguments)
        self.assertEqual(code, BUSY)
        self.assertIn("Turn it off first", self.lab.why(outputs)["Message"])
        other = self.config(self.define()).path
        code, _ = self.service("ApplyBootConfigSetting", ScopingComputerSystem=system, ApplyBootConfig=other)
        self.assertEqual(code, INVALID_PARAMETER)
        code, _ = self.service("ApplyBootConfigSetting", ScopingComputerSystem=system, ApplyBootConfig=system)
        self.assertEqual(code, INVALID_REFERENCE)

    def test_what_the_capabilities_do_not_list_is_refused(self):
        system = self.define()
        config = self.config(system)
        calls = [
            self.service("CreateBootConfigSetting", StartingBootConfig=config.path, ScopingComputerSystem=system),
            self.service("SetBootConfigRole", BootConfigSetting=config.path, Role=Uint16(2)),
            self.service("SetBootConfigUsage", BootConfigSetting=config.path, ScopingComputerSystem=system,
                         Role=Uint16(0)),
            self.conn.InvokeMethod("ChangeBootOrder", config.path, Source=[self.source(config).path]),
        ]
        for code, outputs in calls:
            self.assertEqual(code, NOT_SUPPORTED)
            self.assertIn("A system has", self.lab.why(outputs)["Message"])
