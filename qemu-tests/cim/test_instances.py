"""Instance operations on provider classes."""

import pywbem

import target
from target import CimTest


class InstanceTest(CimTest):
    needs_demo = True

    def test_get_instance(self):
        got = self.conn.GetInstance(self.system("vm1"))
        self.assertEqual(got["EnabledState"], 2)
        self.assertEqual(got["OtherIdentifyingInfo"], ['<vm1> & "co"', "\u00e4\u4e2d\U0001f600"])
        self.assertIsNone(got["Description"])
        origin = self.conn.GetInstance(self.system("vm1"), IncludeClassOrigin=True)
        self.assertEqual(origin.properties["EnabledState"].class_origin, "CIM_EnabledLogicalElement")
        few = self.conn.GetInstance(self.system("vm1"), PropertyList=["enabledstate", "ENABLEDSTATE", "Nonsense"])
        self.assertEqual(list(few.keys()), ["EnabledState"])
        self.assertFalse(self.conn.GetInstance(self.system("vm1"), PropertyList=[]).properties)

    def test_keys_in_other_spelling(self):
        path = pywbem.CIMInstanceName(
            "cim_computersystem", {"NAME": "vm1", "creationclassname": "CIM_ComputerSystem"}
        )
        self.assertEqual(self.conn.GetInstance(path)["Name"], "vm1")

    def test_errors_in_their_order(self):
        path = self.system("vm1")
        path.namespace = "root/none"
        self.assertCimError(pywbem.CIM_ERR_INVALID_NAMESPACE, self.conn.GetInstance, path)
        unknown = pywbem.CIMInstanceName("CIM_Nothing", {"x": "y"})
        self.assertCimError(pywbem.CIM_ERR_INVALID_CLASS, self.conn.GetInstance, unknown)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.GetInstance, self.system("nobody"))
        lacking = pywbem.CIMInstanceName("CIM_ComputerSystem", {"Name": "vm1"})
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, self.conn.GetInstance, lacking)
        self.assertCimError(pywbem.CIM_ERR_INVALID_CLASS, self.conn.EnumerateInstances, "CIM_Nothing")
        self.assertCimError(pywbem.CIM_ERR_INVALID_CLASS, self.conn.EnumerateInstanceNames, "CIM_Nothing")

    def test_enumerate_instances(self):
        found = self.conn.EnumerateInstances("CIM_System")
        self.assertLessEqual({"host", "vm0", "vm1", "vm2"}, {item["Name"] for item in found})
        self.assertTrue(all(item.classname == "CIM_ComputerSystem" for item in found))
        self.assertIn("Dedicated", found[0])
        trimmed = self.conn.EnumerateInstances("CIM_System", DeepInheritance=False)
        self.assertNotIn("Dedicated", trimmed[0])
        self.assertEqual(trimmed[0].path.classname, "CIM_ComputerSystem")
        names = self.conn.EnumerateInstanceNames("CIM_ManagedElement")
        self.assertGreaterEqual(len(names), target.PROCESSORS + 4)
        self.assertEqual(self.conn.EnumerateInstances("CIM_LogicalPort"), [])

    def test_large_enumeration(self):
        found = self.conn.EnumerateInstances("CIM_Processor", PropertyList=["LoadPercentage"])
        self.assertEqual(len(found), target.PROCESSORS)
        self.assertEqual(found[7].path.keybindings["DeviceID"], "cpu7")

    def test_create_modify_delete(self):
        new = pywbem.CIMInstance("CIM_ComputerSystem", {"Name": "fresh", "EnabledState": pywbem.Uint16(3)})
        path = self.conn.CreateInstance(new)
        self.addCleanup(self.delete_quietly, path)
        self.assertEqual(self.conn.GetInstance(path)["EnabledState"], 3)
        self.assertCimError(pywbem.CIM_ERR_ALREADY_EXISTS, self.conn.CreateInstance, new)
        change = pywbem.CIMInstance("CIM_ComputerSystem", {"EnabledState": pywbem.Uint16(2)}, path=path)
        self.conn.ModifyInstance(change)
        self.assertEqual(self.conn.GetInstance(path)["EnabledState"], 2)
        for name, value, status in (
            ("EnabledState", "on", pywbem.CIM_ERR_TYPE_MISMATCH),
            ("Nonsense", "x", pywbem.CIM_ERR_NO_SUCH_PROPERTY),
            ("Caption", "x", pywbem.CIM_ERR_NOT_SUPPORTED),
        ):
            change = pywbem.CIMInstance("CIM_ComputerSystem", {name: value}, path=path.copy())
            self.assertCimError(status, self.conn.ModifyInstance, change)
        self.conn.DeleteInstance(path)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.DeleteInstance, path)
        change = pywbem.CIMInstance("CIM_ComputerSystem", {"EnabledState": pywbem.Uint16(2)}, path=path)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.ModifyInstance, change)

    def delete_quietly(self, path):
        try:
            self.conn.DeleteInstance(path)
        except pywbem.CIMError:
            pass

    def test_classes_without_provider(self):
        port = pywbem.CIMInstance("CIM_NetworkPort", {"DeviceID": "x"})
        self.assertCimError(pywbem.CIM_ERR_NOT_SUPPORTED, self.conn.CreateInstance, port)
        self.assertCimError(
            pywbem.CIM_ERR_INVALID_CLASS, self.conn.CreateInstance, pywbem.CIMInstance("CIM_Nothing")
        )
        self.assertCimError(pywbem.CIM_ERR_NOT_SUPPORTED, self.conn.DeleteInstance, self.system("host"))
