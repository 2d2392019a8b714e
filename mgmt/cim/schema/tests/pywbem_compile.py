"""Compiles the schema with pywbem's MOF compiler, an implementation that knows nothing of ours.

Usage: pywbem_compile.py MOF_DIRECTORY [DUMP]

Run by a Python that has pywbem. Exits with 0 when schema.mof compiles, when every class that stands in
a file of its own is then in the repository, and when the classes resolve the way DSP0004 says.

DUMP is the output of `cargo run -p cim-schema --example dump`. With it, every class as pywbem resolves it
(types, defaults, origins, inherited features and qualifiers) must be equal to what our tables serve.
"""

import json
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


def resolve(connection, names):
    """Every class with all it inherits."""
    return [
        connection.GetClass(name, LocalOnly=False, IncludeQualifiers=True, IncludeClassOrigin=True)
        for name in sorted(names)
    ]


def check_resolution(classes):
    """Facts that come out wrong when inheritance or qualifiers do."""
    for cls in classes:
        keys = sorted(p.name for p in cls.properties.values() if "key" in p.qualifiers)
        if "association" in cls.qualifiers:
            references = [p for p in cls.properties.values() if p.type == "reference"]
            check(len(references) >= 2, cls.classname + " is an association with fewer than two ends")
        for prop in cls.properties.values():
            for pair in (("valuemap", "values"), ("bitmap", "bitvalues")):
                if all(q in prop.qualifiers for q in pair):
                    lengths = {len(prop.qualifiers[q].value) for q in pair}
                    check(len(lengths) == 1, f"{cls.classname}.{prop.name}: {pair} differ in length")
        if cls.classname == "CIM_ComputerSystem":
            check(keys == ["CreationClassName", "Name"], "keys of CIM_ComputerSystem: " + str(keys))
        if cls.classname == "CIM_ResourceAllocationSettingData":
            check(keys == ["InstanceID"], "keys of the RASD: " + str(keys))


def plain(value):
    """A CIM value in the types of JSON."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str(value)


def qualifier_facts(element, qualifiers):
    """The lines of the qualifiers of one element."""
    for item in qualifiers.values():
        yield element + ["qualifier", item.name, plain(item.value), bool(item.propagated)]


def type_name(item):
    """The type as our dump writes it."""
    return item.type + ("[]" if item.is_array else "")


def default(by_name, cls, name):
    """The default of a property; an override that gives none keeps the inherited one, which pywbem drops."""
    while cls is not None and name in cls.properties:
        if cls.properties[name].value is not None:
            return plain(cls.properties[name].value)
        cls = by_name.get(cls.superclass)
    return None


def facts(classes):
    """The lines that our dump has for the same classes, without the flavors, which pywbem leaves open."""
    by_name = {cls.classname: cls for cls in classes}
    for cls in classes:
        name = cls.classname
        yield ["class", name, cls.superclass]
        yield from qualifier_facts(["class", name], cls.qualifiers)
        for prop in cls.properties.values():
            element = ["property", name, prop.name]
            yield element + [
                type_name(prop),
                prop.array_size,
                prop.reference_class,
                prop.class_origin,
                bool(prop.propagated),
                default(by_name, cls, prop.name),
            ]
            yield from qualifier_facts(element, prop.qualifiers)
        for method in cls.methods.values():
            element = ["method", name, method.name]
            yield element + [method.return_type, method.class_origin, bool(method.propagated)]
            yield from qualifier_facts(element, method.qualifiers)
            for parameter in method.parameters.values():
                element = ["parameter", name, method.name, parameter.name]
                yield element + [type_name(parameter), parameter.array_size, parameter.reference_class]
                yield from qualifier_facts(element, parameter.qualifiers)


# Where pywbem's mock server leaves DSP0004 and so cannot be the judge: it passes on qualifiers of flavor
# Restricted with inherited features, and does not pass on class qualifiers declared without a flavor.
NOT_COMPARED = {"Override", "Deprecated", "ClassConstraint"}


def comparable(lines, overriding):
    """Lines without the facts on which pywbem differs from DSP0004."""
    for line in lines:
        feature = tuple(line[:3])
        if "qualifier" in line[2:5]:
            place = line.index("qualifier")
            if line[place + 1] in NOT_COMPARED:
                continue
            if feature in overriding:
                line = line[: place + 3]
        elif feature in overriding:
            # A feature that overrides is local (DSP0201, attribute PROPAGATED); pywbem says propagated.
            place = 7 if line[0] == "property" else 5
            line = line[:place] + line[place + 1 :]
        yield json.dumps(line)


def check_dump(classes, dump):
    """Our tables resolve every class as pywbem does."""
    lines = [json.loads(text) for text in dump.read_text(encoding="utf-8").splitlines()]
    # The last three entries are the flavors, which pywbem leaves open.
    lines = [line[:-3] if "qualifier" in line[2:5] else line for line in lines]
    overriding = {
        tuple(line[:3])
        for line in lines
        if line[0] in ("property", "method") and line[3:5] == ["qualifier", "Override"]
    }
    ours = set(comparable(lines, overriding))
    theirs = set(comparable(facts(classes), overriding))
    check(len(theirs) > 10000, f"only {len(theirs)} facts to compare")
    differences = [f"only ours:   {line}" for line in sorted(ours - theirs)]
    differences += [f"only pywbem: {line}" for line in sorted(theirs - ours)]
    check(not differences, f"{len(differences)} differences:\n" + "\n".join(differences[:40]))
    print(f"ok: {len(theirs)} facts agree with our tables")


def main():
    """Runs the test."""
    if len(sys.argv) not in (2, 3):
        print(__doc__)
        return 2
    directory = pathlib.Path(sys.argv[1])
    connection = compile_schema(directory)
    classes = resolve(connection, check_classes(connection, directory))
    check_resolution(classes)
    print(f"ok: pywbem {pywbem.__version__} compiled {len(classes)} classes")
    if len(sys.argv) == 3:
        check_dump(classes, pathlib.Path(sys.argv[2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
