"""Accounts and roles."""


import pywbem

import target
from target import CimTest


class AccessTest(CimTest):
    needs_demo = True

    def setUp(self):
        super().setUp()
        if target.SERVER.process is None:
            self.skipTest("the accounts exist only in the simulator")

    def test_wrong_password(self):
        conn = target.SERVER.connect(password="wrong")
        with self.assertRaises(pywbem.AuthError):
            conn.EnumerateClassNames()
        self.assertTrue(self.conn.EnumerateClassNames())

    def test_reader_reads_only(self):
        conn = target.SERVER.connect(*target.READER)
        self.assertTrue(conn.EnumerateInstances("CIM_ComputerSystem"))
        self.assertTrue(conn.ExecQuery("DMTF:CQL", "SELECT * FROM CIM_ComputerSystem"))
        path = self.system("vm0")
        denied = pywbem.CIM_ERR_ACCESS_DENIED
        self.assertCimError(denied, conn.DeleteInstance, path)
        self.assertCimError(denied, conn.InvokeMethod, "RequestStateChange", path, RequestedState=pywbem.Uint16(2))
        self.assertCimError(denied, conn.CreateInstance, pywbem.CIMInstance("CIM_ComputerSystem", {"Name": "x"}))
        # Rights come before the namespace.
        self.assertCimError(denied, conn.DeleteClass, "CIM_X", namespace="root/none")

    def test_operator_changes_instances_but_not_the_schema(self):
        conn = target.SERVER.connect(*target.OPERATOR)
        result, _ = conn.InvokeMethod("RequestStateChange", self.system("vm0"), RequestedState=pywbem.Uint16(2))
        self.assertEqual(result, 0)
        denied = pywbem.CIM_ERR_ACCESS_DENIED
        self.assertCimError(denied, conn.CreateClass, pywbem.CIMClass("TST_Denied"))
        namespace = pywbem.CIMInstance("CIM_Namespace", {"Name": "root/denied"})
        self.assertCimError(denied, conn.CreateInstance, namespace, namespace="interop")

    def test_z_guessing_is_slowed_down(self):
        conn = target.SERVER.connect(user="victim", password="guess")
        statuses = []
        for _ in range(8):
            try:
                conn.EnumerateClassNames()
            except pywbem.AuthError:
                statuses.append(401)
            except pywbem.HTTPError as error:
                statuses.append(error.status)
        self.assertEqual(statuses[:5], [401] * 5)
        self.assertIn(429, statuses)


