"""The whole schema through pywbem's MOF compiler into a namespace of its own, against the built-in one."""

import os

import pywbem

import target
from target import CimTest

MOF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "mgmt", "cim", "schema", "mof")
NAMESPACE = "root/compiled"


class SchemaTest(CimTest):
    needs_demo = True

    def test_compiled_classes_are_those_that_are_built_in(self):
        server = pywbem.WBEMServer(self.conn)
        server.create_namespace(NAMESPACE)
        other = target.SERVER.connect(namespace=NAMESPACE)
        compiler = pywbem.MOFCompiler(handle=other, search_paths=[MOF], log_func=lambda text: None)
        compiler.compile_file(os.path.join(MOF, "schema.mof"), NAMESPACE)
        names = other.EnumerateClassNames(DeepInheritance=True)
        built_in = self.conn.EnumerateClasses(DeepInheritance=True, LocalOnly=False, IncludeClassOrigin=True)
        self.assertEqual(set(names), {item.classname for item in built_in})
        for expected in built_in:
            got = other.GetClass(expected.classname, LocalOnly=False, IncludeClassOrigin=True)
            got.path = expected.path = None
            self.assertEqual(got.tomof(), expected.tomof())
            self.assertEqual(got, expected)
        kept = {item.name: item for item in self.conn.EnumerateQualifiers()}
        for item in other.EnumerateQualifiers():
            self.assertEqual(item, kept[item.name])
        # Subclasses come behind their superclasses, so the way back is from the end.
        for name in reversed(names):
            try:
                other.DeleteClass(name)
            except pywbem.CIMError as error:
                self.assertEqual(error.status_code, pywbem.CIM_ERR_CLASS_HAS_CHILDREN, name)
        for item in other.EnumerateQualifiers():
            other.DeleteQualifier(item.name)
        self.assertEqual(other.EnumerateClassNames(), [])
        server.delete_namespace(NAMESPACE)
