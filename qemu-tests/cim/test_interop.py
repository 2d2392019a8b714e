"""The Interop namespace as pywbem's WBEMServer sees it."""

import pywbem

import target
from target import CimTest


class InteropTest(CimTest):
    def setUp(self):
        super().setUp()
        self.server = pywbem.WBEMServer(self.conn)

    def test_server_properties(self):
        self.assertEqual(self.server.interop_ns, "interop")
        self.assertLessEqual({"interop", "root/cimv2"}, set(self.server.namespaces))
        self.assertTrue(self.server.brand)
        self.assertTrue(self.server.version[0].isdigit())
        self.assertNotIn(" ", self.server.version)
        self.assertEqual(len(self.conn.EnumerateInstances("CIM_ObjectManager", namespace="interop")), 1)

    def test_namespaces_can_be_made_and_removed(self):
        made = self.server.create_namespace("root/made")
        self.addCleanup(self.remove, made)
        self.assertIn("root/made", self.server.namespaces)
        other = target.SERVER.connect(namespace="root/made")
        self.assertEqual(other.EnumerateClassNames(), [])
        for qualifier in ("Key", "Description"):
            other.SetQualifier(self.conn.GetQualifier(qualifier))
        key = pywbem.CIMQualifier("Key", True, type="boolean", overridable=False)
        other.CreateClass(pywbem.CIMClass("TST_Own", properties=[
            pywbem.CIMProperty("Id", None, type="string", qualifiers=[key])]))
        self.assertCimError(pywbem.CIM_ERR_NAMESPACE_NOT_EMPTY, self.delete_instance, "root/made")
        self.assertCimError(pywbem.CIM_ERR_ALREADY_EXISTS, self.create_instance, "root/made")
        other.DeleteClass("TST_Own")
        for qualifier in ("Key", "Description"):
            other.DeleteQualifier(qualifier)
        self.server.delete_namespace(made)
        self.assertCimError(pywbem.CIM_ERR_INVALID_NAMESPACE, other.EnumerateClassNames)
        self.assertCimError(pywbem.CIM_ERR_NAMESPACE_NOT_EMPTY, self.delete_instance, "root/cimv2")

    def test_namespaces_are_made_by_the_server_s_own_method(self):
        server = self.conn.EnumerateInstanceNames("CIM_WBEMServer", namespace="interop")[0]

        def create(name, conn=self.conn):
            template = pywbem.CIMInstance("CIM_WBEMServerNamespace", {"Name": name})
            return conn.InvokeMethod("CreateWBEMServerNamespace", server, NamespaceTemplate=template)

        code, outputs = create("/root/by_method/")
        self.addCleanup(self.remove, "root/by_method")
        self.assertEqual(code, 0)
        made = outputs["Namespace"]
        self.assertEqual(self.conn.GetInstance(made)["Name"], "root/by_method")
        self.assertIn("root/by_method", self.server.namespaces)
        names = {item["Name"] for item in self.conn.EnumerateInstances("CIM_WBEMServerNamespace", namespace="interop")}
        self.assertEqual(names, set(self.server.namespaces))
        self.assertCimError(pywbem.CIM_ERR_ALREADY_EXISTS, create, "root/by_method")
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, self.conn.InvokeMethod, "CreateWBEMServerNamespace", server,
                            NamespaceTemplate=pywbem.CIMInstance("CIM_WBEMServerNamespace"))
        if target.SERVER.process:
            operator = target.SERVER.connect(*target.OPERATOR)
            self.assertCimError(pywbem.CIM_ERR_ACCESS_DENIED, create, "root/other", operator)
            self.assertCimError(pywbem.CIM_ERR_ACCESS_DENIED, operator.DeleteInstance, made)
        self.conn.DeleteInstance(made)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.GetInstance, made)
        built_in = next(path for path in self.conn.EnumerateInstanceNames("CIM_WBEMServerNamespace", namespace="interop")
                        if path["InstanceID"].endswith("/root/cimv2"))
        self.assertCimError(pywbem.CIM_ERR_NAMESPACE_NOT_EMPTY, self.conn.DeleteInstance, built_in)

    def remove(self, name):
        try:
            self.delete_instance(name)
        except (pywbem.CIMError, StopIteration):
            pass

    def create_instance(self, name):
        self.conn.CreateInstance(pywbem.CIMInstance("CIM_Namespace", {"Name": name}), namespace="interop")

    def delete_instance(self, name):
        paths = self.conn.EnumerateInstanceNames("CIM_Namespace", namespace="interop")
        self.conn.DeleteInstance(next(path for path in paths if path.keybindings["Name"] == name))

    def test_profiles(self):
        if not target.SERVER.is_demo:
            self.skipTest("needs the demonstration world")
        found = self.server.get_selected_profiles("DMTF", "System Virtualization", "1.0.0")
        self.assertEqual(len(found), 1)
        central = self.server.get_central_instances(found[0].path, "CIM_ComputerSystem")
        self.assertEqual([path.keybindings["Name"] for path in central], ["host"])
        self.assertEqual(central[0].namespace, "root/cimv2")
        up = self.conn.AssociatorNames(self.system("host"), AssocClass="CIM_ElementConformsToProfile")
        self.assertEqual([path.namespace for path in up], ["interop"])
        parts = self.conn.Associators(found[0].path, AssocClass="CIM_ReferencedProfile", ResultRole="Antecedent")
        self.assertEqual([item["RegisteredName"] for item in parts], ["Virtual System Profile"])

    def test_statistics_switch(self):
        manager = self.conn.EnumerateInstances("CIM_ObjectManager", namespace="interop")[0]
        manager["GatherStatisticalData"] = True
        self.conn.ModifyInstance(manager, PropertyList=["GatherStatisticalData"])
        self.assertTrue(self.conn.GetInstance(manager.path)["GatherStatisticalData"])
        manager["GatherStatisticalData"] = False
        self.conn.ModifyInstance(manager, PropertyList=["GatherStatisticalData"])
