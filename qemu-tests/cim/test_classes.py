"""Class and qualifier operations."""

import pywbem
from pywbem import CIMClass, CIMClassName, CIMProperty, CIMQualifier, CIMQualifierDeclaration

from target import CimTest


def key(value=True):
    return CIMQualifier("Key", value, type="boolean", overridable=False)


def thing(name="TST_Thing", superclass="CIM_ManagedElement"):
    return CIMClass(
        name,
        superclass=superclass,
        properties=[
            CIMProperty("Id", None, type="string", qualifiers=[key()]),
            CIMProperty("Count", pywbem.Uint32(7), type="uint32"),
        ],
    )


class ClassTest(CimTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.clean)
        self.clean()

    def clean(self):
        for name in ("TST_Sub", "TST_Thing", "TST_Link"):
            try:
                for path in self.conn.EnumerateInstanceNames(name):
                    self.conn.DeleteInstance(path)
                self.conn.DeleteClass(name)
            except pywbem.CIMError:
                pass

    def test_get_class_options(self):
        full = self.conn.GetClass(
            "cim_computersystem", LocalOnly=False, IncludeQualifiers=True, IncludeClassOrigin=True
        )
        self.assertEqual(full.classname, "CIM_ComputerSystem")
        state = full.properties["EnabledState"]
        self.assertEqual(state.class_origin, "CIM_EnabledLogicalElement")
        self.assertTrue(state.propagated)
        self.assertIn("ValueMap", state.qualifiers)
        method = full.methods["RequestStateChange"]
        self.assertEqual(method.parameters["RequestedState"].type, "uint16")
        local = self.conn.GetClass("CIM_ComputerSystem", LocalOnly=True, IncludeQualifiers=False)
        self.assertNotIn("EnabledState", local.properties)
        self.assertFalse(local.qualifiers)
        some = self.conn.GetClass("CIM_ComputerSystem", LocalOnly=False, PropertyList=["name", "Nonsense"])
        self.assertEqual(list(some.properties.keys()), ["Name"])
        none = self.conn.GetClass("CIM_ComputerSystem", LocalOnly=False, PropertyList=[])
        self.assertFalse(none.properties)
        default = self.conn.GetClass("CIM_ComputerSystem", LocalOnly=None, IncludeQualifiers=None)
        self.assertNotIn("EnabledState", default.properties)
        self.assertTrue(default.qualifiers)

    def test_get_class_errors(self):
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.GetClass, "CIM_Nothing")
        self.assertCimError(
            pywbem.CIM_ERR_INVALID_NAMESPACE, self.conn.GetClass, "CIM_System", namespace="root/none"
        )

    def test_enumerate_classes(self):
        names = self.conn.EnumerateClassNames()
        self.assertIn("CIM_ManagedElement", names)
        self.assertNotIn("CIM_System", names)
        deep = self.conn.EnumerateClassNames(DeepInheritance=True)
        self.assertGreater(len(deep), 250)
        below = self.conn.EnumerateClassNames(ClassName="CIM_System", DeepInheritance=False)
        self.assertIn("CIM_ComputerSystem", below)
        classes = self.conn.EnumerateClasses(ClassName="CIM_System", DeepInheritance=True, LocalOnly=False)
        self.assertEqual({c.classname for c in classes},
                         set(self.conn.EnumerateClassNames(ClassName="CIM_System", DeepInheritance=True)))
        self.assertTrue(all("Name" in c.properties for c in classes))
        self.assertCimError(pywbem.CIM_ERR_INVALID_CLASS, self.conn.EnumerateClassNames, ClassName="CIM_Nothing")
        self.assertCimError(pywbem.CIM_ERR_INVALID_CLASS, self.conn.EnumerateClasses, ClassName="CIM_Nothing")

    def test_whole_schema_is_readable(self):
        classes = self.conn.EnumerateClasses(DeepInheritance=True, LocalOnly=False, IncludeClassOrigin=True)
        self.assertGreater(len(classes), 250)
        for item in classes:
            self.assertTrue(item.tomof())

    def test_create_modify_delete_class(self):
        self.conn.CreateClass(thing())
        got = self.conn.GetClass("TST_Thing", LocalOnly=False, IncludeClassOrigin=True)
        self.assertEqual(got.superclass, "CIM_ManagedElement")
        self.assertEqual(got.properties["Count"].value, 7)
        self.assertEqual(got.properties["Caption"].class_origin, "CIM_ManagedElement")
        self.assertIn("TST_Thing", self.conn.EnumerateClassNames(ClassName="CIM_ManagedElement"))
        self.assertCimError(pywbem.CIM_ERR_ALREADY_EXISTS, self.conn.CreateClass, thing())
        self.assertCimError(
            pywbem.CIM_ERR_INVALID_SUPERCLASS, self.conn.CreateClass, thing("TST_Sub", "TST_None")
        )
        self.conn.CreateClass(thing("TST_Sub", "TST_Thing"))
        self.assertCimError(pywbem.CIM_ERR_CLASS_HAS_CHILDREN, self.conn.DeleteClass, "TST_Thing")
        self.assertCimError(pywbem.CIM_ERR_CLASS_HAS_CHILDREN, self.conn.ModifyClass, thing())
        changed = thing("TST_Sub", "TST_Thing")
        changed.properties["Colour"] = CIMProperty("Colour", None, type="string")
        self.conn.ModifyClass(changed)
        self.assertIn("Colour", self.conn.GetClass("TST_Sub").properties)
        self.conn.DeleteClass("TST_Sub")
        self.conn.DeleteClass("TST_Thing")
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.DeleteClass, "TST_Thing")
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.ModifyClass, thing())

    def test_built_in_schema_is_protected(self):
        self.assertCimError(pywbem.CIM_ERR_NOT_SUPPORTED, self.conn.DeleteClass, "CIM_System")
        self.assertCimError(pywbem.CIM_ERR_NOT_SUPPORTED, self.conn.DeleteQualifier, "Key")

    def test_instances_of_client_classes(self):
        self.conn.CreateClass(thing())
        new = pywbem.CIMInstance("TST_Thing", {"Id": "a"})
        path = self.conn.CreateInstance(new)
        self.assertEqual(path.keybindings["Id"], "a")
        got = self.conn.GetInstance(path)
        self.assertEqual(got["Count"], 7)
        self.assertCimError(pywbem.CIM_ERR_ALREADY_EXISTS, self.conn.CreateInstance, new)
        self.assertCimError(pywbem.CIM_ERR_CLASS_HAS_INSTANCES, self.conn.DeleteClass, "TST_Thing")
        got["Count"] = pywbem.Uint32(8)
        self.conn.ModifyInstance(got, PropertyList=["Count"])
        self.assertEqual(self.conn.GetInstance(path, PropertyList=["Count"])["Count"], 8)
        got["Caption"] = "new"
        self.conn.ModifyInstance(got, PropertyList=["Caption", "Count"])
        del got["Count"]
        self.conn.ModifyInstance(got, PropertyList=["Count"])
        self.assertEqual(self.conn.GetInstance(path)["Count"], 7, "reset to the default")
        wrong = pywbem.CIMInstance("TST_Thing", {"Id": "b", "Nonsense": "x"})
        self.assertCimError(pywbem.CIM_ERR_NO_SUCH_PROPERTY, self.conn.CreateInstance, wrong)
        keyless = pywbem.CIMInstance("TST_Thing", {"Caption": "x"})
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, self.conn.CreateInstance, keyless)
        self.conn.DeleteInstance(path)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.GetInstance, path)

    def test_every_type_survives_the_round_trip(self):
        types = {
            "boolean": True, "uint8": pywbem.Uint8(255), "uint16": pywbem.Uint16(65535),
            "uint32": pywbem.Uint32(2**32 - 1), "uint64": pywbem.Uint64(2**64 - 1),
            "sint8": pywbem.Sint8(-128), "sint16": pywbem.Sint16(-2**15), "sint32": pywbem.Sint32(-2**31),
            "sint64": pywbem.Sint64(-2**63), "real32": pywbem.Real32(1.5), "real64": pywbem.Real64(-1e300),
            "char16": pywbem.Char16("\u00e4"), "string": " a <b> & \"c\" ]]> \u4e2d\U0001f600\n\ttail ",
            "datetime": pywbem.CIMDateTime("20261122235959.123456+060"),
        }
        properties = [CIMProperty("Id", None, type="string", qualifiers=[key()])]
        for name in types:
            properties.append(CIMProperty("a_" + name, None, type=name))
            properties.append(CIMProperty("l_" + name, None, type=name, is_array=True))
        self.conn.CreateClass(CIMClass("TST_Thing", properties=properties))
        new = pywbem.CIMInstance("TST_Thing", {"Id": "x"})
        for name, value in types.items():
            new["a_" + name] = CIMProperty("a_" + name, value, type=name)
            # pywbem itself reads NULL elements only in arrays of strings.
            middle = [None] if name == "string" else []
            new["l_" + name] = CIMProperty("l_" + name, [value, *middle, value], type=name, is_array=True)
        path = self.conn.CreateInstance(new)
        got = self.conn.GetInstance(path)
        for name in new.keys():
            self.assertEqual(got.properties[name].value, new.properties[name].value, name)
            self.assertEqual(got.properties[name].type, new.properties[name].type, name)
        interval = pywbem.CIMDateTime("00000012010203.000004:000")
        got["a_datetime"] = interval
        got["l_string"] = CIMProperty("l_string", [], type="string", is_array=True)
        got["l_uint8"] = CIMProperty("l_uint8", None, type="uint8", is_array=True)
        self.conn.ModifyInstance(got)
        got = self.conn.GetInstance(path)
        self.assertEqual(str(got["a_datetime"]), str(interval))
        self.assertEqual(got["l_string"], [])
        self.assertIsNone(got["l_uint8"])

    def test_embedded_instances_survive_the_round_trip(self):
        embedded = CIMQualifier("EmbeddedInstance", "CIM_ComputerSystem", type="string")
        self.conn.CreateClass(CIMClass("TST_Thing", properties=[
            CIMProperty("Id", None, type="string", qualifiers=[key()]),
            CIMProperty("One", None, type="string", qualifiers=[embedded], embedded_object="instance"),
            CIMProperty("Many", None, type="string", is_array=True, qualifiers=[embedded],
                        embedded_object="instance"),
        ]))
        inner = pywbem.CIMInstance("CIM_ComputerSystem", {"Name": "<&>", "EnabledState": pywbem.Uint16(2)})
        new = pywbem.CIMInstance("TST_Thing", {"Id": "x", "One": inner, "Many": [inner, inner]})
        got = self.conn.GetInstance(self.conn.CreateInstance(new))
        self.assertEqual(got["One"]["Name"], "<&>")
        self.assertEqual([item["EnabledState"] for item in got["Many"]], [2, 2])
        self.assertEqual(got.properties["One"].embedded_object, "instance")
        # Old clients send MOF or XML as a plain string.
        for number, text in enumerate(('instance of CIM_ComputerSystem { Name = "old"; EnabledState = 2; };',
                                       '<INSTANCE CLASSNAME="CIM_ComputerSystem"><PROPERTY NAME="Name" TYPE="string">'
                                       "<VALUE>old</VALUE></PROPERTY></INSTANCE>")):
            new = pywbem.CIMInstance("TST_Thing", {"Id": f"old{number}", "One": text})
            got = self.conn.GetInstance(self.conn.CreateInstance(new))
            self.assertEqual(got["One"]["Name"], "old")
        new = pywbem.CIMInstance("TST_Thing", {"Id": "bad", "One": "nonsense"})
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, self.conn.CreateInstance, new)
        new = pywbem.CIMInstance("TST_Thing", {"Id": "empty", "One": ""})
        self.assertIsNone(self.conn.GetInstance(self.conn.CreateInstance(new))["One"])

    def test_qualifier_types(self):
        key_type = self.conn.GetQualifier("key")
        self.assertEqual((key_type.name, key_type.type, key_type.overridable), ("Key", "boolean", False))
        self.assertGreater(len(self.conn.EnumerateQualifiers()), 60)
        mark = CIMQualifierDeclaration("TST_Mark", "string", value="x", scopes={"CLASS": True},
                                       overridable=True, tosubclass=True)
        self.conn.SetQualifier(mark)
        got = self.conn.GetQualifier("TST_Mark")
        self.assertEqual(got.value, "x")
        self.assertTrue(got.scopes["CLASS"])
        self.conn.DeleteQualifier("TST_Mark")
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.GetQualifier, "TST_Mark")
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.DeleteQualifier, "TST_Mark")

    def test_class_associations(self):
        name = CIMClassName("CIM_ComputerSystem", namespace="root/cimv2")
        names = self.conn.ReferenceNames(name, ResultClass="CIM_SystemDevice")
        self.assertEqual([item.classname for item in names], ["CIM_SystemDevice"])
        names = self.conn.AssociatorNames(name, AssocClass="CIM_SystemDevice")
        self.assertEqual([item.classname for item in names], ["CIM_LogicalDevice"])
        self.assertTrue(names[0].host)
        classes = self.conn.Associators(name, AssocClass="CIM_SystemDevice")
        self.assertIsInstance(classes[0][1], CIMClass)
        classes = self.conn.References(name, ResultClass="CIM_SystemDevice")
        self.assertEqual(classes[0][1].classname, "CIM_SystemDevice")
        self.assertCimError(
            pywbem.CIM_ERR_INVALID_PARAMETER, self.conn.References, CIMClassName("CIM_Nothing")
        )
