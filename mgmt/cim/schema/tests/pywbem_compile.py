"""Compiles the schema with pywbem's MOF compiler, an implementation that knows nothing of ours.

Usage: pywbem_compile.py MOF_DIRECTORY

Run by a Python that has pywbem. Exits with 0 when schema.mof compiles, when every class that stands in
a file of its own is then in the repository, and when the classes resolve the way DSP0004 says.
"""

import pathlib
import sys

import pywbem
import pywbem_mock

NAMESPACE = "root/cimv2"


def fail(message):
    """Ends the test with a sentence."""
    print("FAIL: " + message)
    sys.exit(1)


def check(condition, message):
    """Ends the test unless a fact holds."""
    if not condition:
        fail(message)


def compile_schema(directory):
    """The repository that pywbem fills from schema.mof."""
    connection = pywbem_mock.FakedWBEMConnection(default_namespace=NAMESPACE)
    try:
        connection.compile_mof_file(str(directory / "schema.mof"), namespace=NAMESPACE)
    except pywbem.Error as error:
        fail("pywbem does not compile the schema: " + str(error))
    return connection


def check_classes(connection, directory):
    """Every file but the list of includes and the qualifiers declares the class it is named after."""
    expected = {path.stem for path in directory.glob("*/*.mof")}
    check(expected, "no class files below " + str(directory))
    found = set(connection.EnumerateClassNames(DeepInheritance=True))
    check(found >= expected, "classes not compiled: " + ", ".join(sorted(expected - found)))
    check(found <= expected, "classes in no file of their own: " + ", ".join(sorted(found - expected)))
    return found


def check_resolution(connection, names):
    """A sample of facts that come out wrong when inheritance or qualifiers do."""
    roots = connection.EnumerateClassNames(DeepInheritance=False)
    check("CIM_ManagedElement" in roots, "CIM_ManagedElement is no root")
    for name in sorted(names):
        cls = connection.GetClass(name, LocalOnly=False, IncludeQualifiers=True)
        keys = [p.name for p in cls.properties.values() if "key" in p.qualifiers]
        if "association" in cls.qualifiers:
            references = [p for p in cls.properties.values() if p.type == "reference"]
            check(len(references) >= 2, name + " is an association with fewer than two ends")
        for prop in cls.properties.values():
            for pair in (("valuemap", "values"), ("bitmap", "bitvalues")):
                if all(q in prop.qualifiers for q in pair):
                    lengths = {len(prop.qualifiers[q].value) for q in pair}
                    check(len(lengths) == 1, f"{name}.{prop.name}: {pair} differ in length")
        if name == "CIM_ComputerSystem":
            check(sorted(keys) == ["CreationClassName", "Name"], "keys of CIM_ComputerSystem: " + str(keys))
        if name == "CIM_ResourceAllocationSettingData":
            check(keys == ["InstanceID"], "keys of the RASD: " + str(keys))


def main():
    """Runs the test."""
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    directory = pathlib.Path(sys.argv[1])
    connection = compile_schema(directory)
    names = check_classes(connection, directory)
    check_resolution(connection, names)
    print(f"ok: pywbem {pywbem.__version__} compiled {len(names)} classes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
