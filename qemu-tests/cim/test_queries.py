"""ExecQuery and OpenQueryInstances."""

import pywbem

from target import CimTest


class QueryTest(CimTest):
    needs_demo = True

    def names(self, language, condition):
        rows = self.conn.ExecQuery(language, f"SELECT * FROM CIM_ComputerSystem WHERE {condition}")
        return sorted(row["Name"] for row in rows)

    def test_conditions(self):
        for language in ("DMTF:CQL", "WQL"):
            self.assertEqual(self.names(language, "Name = 'vm1'"), ["vm1"])
            self.assertEqual(self.names(language, "Name <> 'vm1' AND (EnabledState = 2 OR Caption IS NULL)"),
                             ["host", "vm0", "vm2"])
        self.assertEqual(self.names("WQL", 'Name LIKE "vm%"'), ["vm0", "vm1", "vm2"])
        self.assertEqual(self.names("DMTF:CQL", "Name LIKE 'vm[0-1]'"), ["vm0", "vm1"])
        self.assertEqual(self.names("DMTF:CQL", "ANY s IN OperationalStatus SATISFIES (s = 2) AND Name = 'host'"),
                         ["host"])
        self.assertEqual(
            self.names("DMTF:CQL", "EnabledState = CIM_ComputerSystem.EnabledState#'Enabled' AND Name = 'vm2'"),
            ["vm2"])

    def test_projection(self):
        rows = self.conn.ExecQuery("DMTF:CQL", "SELECT Name, EnabledState FROM CIM_System s WHERE s.Name = 'vm0'")
        self.assertEqual(list(rows[0].keys()), ["Name", "EnabledState"])
        self.assertEqual(rows[0].path.namespace, "root/cimv2")

    def test_errors(self):
        for language, query, status in (
            ("SQL", "SELECT * FROM CIM_System", pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED),
            ("DMTF:CQL", "SELECT * FRM CIM_System", pywbem.CIM_ERR_INVALID_QUERY),
            ("DMTF:CQL", "SELECT * FROM CIM_System WHERE Nonsense = 1", pywbem.CIM_ERR_INVALID_QUERY),
            ("DMTF:CQL", "SELECT DISTINCT Name FROM CIM_System", 29),
        ):
            self.assertCimError(status, self.conn.ExecQuery, language, query)
            self.assertCimError(status, self.conn.OpenQueryInstances, language, query, MaxObjectCount=1)
        self.assertCimError(pywbem.CIM_ERR_INVALID_NAMESPACE, self.conn.ExecQuery, "WQL", "x", namespace="root/none")

    def test_pulled_query(self):
        result = self.conn.OpenQueryInstances(
            "DMTF:CQL", "SELECT Name FROM CIM_ComputerSystem", ReturnQueryResultClass=True, MaxObjectCount=1)
        self.assertEqual(result.query_result_class.classname, "CIM_ComputerSystem")
        self.assertEqual(list(result.query_result_class.properties.keys()), ["Name"])
        rows = list(result.instances)
        while not result.eos:
            result = self.conn.PullInstances(result.context, MaxObjectCount=2)
            rows += result.instances
        self.assertEqual(sorted(row["Name"] for row in rows), ["host", "vm0", "vm1", "vm2"])
