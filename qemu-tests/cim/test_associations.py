"""Associators, References and their Names on instances."""

import pywbem

import target
from target import CimTest


def names_of(items):
    return sorted(item["Name"] for item in items)


class AssociationTest(CimTest):
    needs_demo = True

    def test_associators_both_ways(self):
        down = self.conn.Associators(self.system("host"), AssocClass="CIM_HostedDependency")
        self.assertLessEqual({"vm0", "vm1", "vm2"}, {item["Name"] for item in down})
        up = self.conn.Associators(self.system("vm1"), AssocClass="CIM_HostedDependency")
        self.assertEqual(names_of(up), ["host"])
        self.assertEqual(up[0].path.namespace, "root/cimv2")
        few = self.conn.Associators(self.system("vm1"), AssocClass="CIM_HostedDependency", PropertyList=["Name"])
        self.assertEqual(list(few[0].keys()), ["Name"])

    def test_filters(self):
        def count(**filters):
            return len(self.conn.AssociatorNames(self.system("vm1"), **filters))

        processors = target.PROCESSORS // 3
        self.assertEqual(count(ResultClass="CIM_LogicalDevice"), processors)
        self.assertEqual(count(AssocClass="CIM_Component", Role="groupcomponent"), processors)
        self.assertEqual(count(AssocClass="CIM_Component", Role="PartComponent"), 0)
        self.assertEqual(count(AssocClass="CIM_HostedDependency", ResultRole="ANTECEDENT"), 1)
        self.assertEqual(count(AssocClass="CIM_HostedDependency", ResultRole="Dependent"), 0)
        self.assertEqual(count(AssocClass="CIM_HostedDependency", ResultClass="CIM_Processor"), 0)

    def test_references(self):
        found = self.conn.References(self.system("vm1"), ResultClass="CIM_HostedDependency")
        self.assertEqual(len(found), 1)
        link = found[0]
        self.assertEqual(link["Antecedent"].keybindings["Name"], "host")
        self.assertEqual(link["Antecedent"].namespace, "root/cimv2")
        again = self.conn.GetInstance(link.path)
        self.assertEqual(again["Dependent"], link["Dependent"])
        names = self.conn.ReferenceNames(self.system("vm1"), ResultClass="CIM_HostedDependency", Role="Dependent")
        self.assertEqual(names, [link.path])
        self.assertEqual(
            self.conn.ReferenceNames(self.system("vm1"), ResultClass="CIM_HostedDependency", Role="Antecedent"), []
        )
        self.assertGreaterEqual(len(self.conn.EnumerateInstances("CIM_HostedDependency")), 3)
        swapped = link.path.copy()
        swapped.keybindings["Antecedent"], swapped.keybindings["Dependent"] = (
            swapped.keybindings["Dependent"], swapped.keybindings["Antecedent"])
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.GetInstance, swapped)

    def test_all_hosts_in_a_response_are_the_same(self):
        hosts = {path.host for path in self.conn.AssociatorNames(self.system("host"))}
        hosts |= {path.host for path in self.conn.ReferenceNames(self.system("host"))}
        self.assertEqual(len(hosts), 1)

    def test_errors(self):
        invalid = pywbem.CIM_ERR_INVALID_PARAMETER
        unknown = pywbem.CIMInstanceName("CIM_Nothing", {"x": "y"})
        self.assertCimError(invalid, self.conn.Associators, unknown)
        for filters in ({"AssocClass": "CIM_Nothing"}, {"ResultClass": "CIM_Nothing"}):
            self.assertCimError(invalid, self.conn.AssociatorNames, self.system("host"), **filters)
        self.assertCimError(invalid, self.conn.ReferenceNames, self.system("host"), ResultClass="CIM_Nothing")
        self.assertEqual(self.conn.Associators(self.system("nobody"), AssocClass="CIM_HostedDependency"), [])

    def test_client_made_associations(self):
        key = pywbem.CIMQualifier("Key", True, type="boolean", overridable=False)
        ends = [
            pywbem.CIMProperty(name, None, type="reference", reference_class="CIM_ComputerSystem", qualifiers=[key])
            for name in ("Left", "Right")
        ]
        link = pywbem.CIMClass(
            "TST_Pair", properties=ends,
            qualifiers=[pywbem.CIMQualifier("Association", True, type="boolean", overridable=False)],
        )
        self.conn.CreateClass(link)
        self.addCleanup(self.conn.DeleteClass, "TST_Pair")
        new = pywbem.CIMInstance("TST_Pair", {"Left": self.system("vm0"), "Right": self.system("vm1")})
        path = self.conn.CreateInstance(new)
        self.addCleanup(self.conn.DeleteInstance, path)
        self.assertEqual(names_of(self.conn.Associators(self.system("vm0"), AssocClass="TST_Pair")), ["vm1"])
        self.assertEqual(self.conn.ReferenceNames(self.system("vm1"), ResultClass="TST_Pair")[0].keybindings,
                         path.keybindings)
