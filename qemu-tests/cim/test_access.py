"""Accounts and roles."""

import os

import pywbem

import target
from target import CimTest


class AccountCase(CimTest):
    """Finds accounts and their roles."""

    def account(self, name):
        paths = self.conn.EnumerateInstanceNames("CIM_Account", namespace="interop")
        return next((path for path in paths if path.keybindings["Name"] == name), None)

    def give_role(self, name, role, conn=None):
        roles = self.conn.EnumerateInstanceNames("CIM_Role", namespace="interop")
        role = next(path for path in roles if path.keybindings["Name"] == role)
        link = pywbem.CIMInstance("CIM_MemberOfCollection", {"Collection": role, "Member": self.account(name)})
        (conn or self.conn).CreateInstance(link, namespace="interop")

    def roles_of(self, name):
        found = self.conn.Associators(self.account(name), AssocClass="CIM_MemberOfCollection", ResultClass="CIM_Role")
        return [item["Name"] for item in found]


class AccessTest(AccountCase):
    needs_demo = True

    def setUp(self):
        super().setUp()
        if target.SERVER.process is None:
            self.skipTest("the accounts exist only in the simulator")

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

    def test_only_administrators_manage_accounts(self):
        conn = target.SERVER.connect(*target.OPERATOR)
        denied = pywbem.CIM_ERR_ACCESS_DENIED
        new = pywbem.CIMInstance("CIM_Account", {"Name": "mallory", "UserPassword": ["let me in"]})
        self.assertCimError(denied, conn.CreateInstance, new, namespace="interop")
        self.assertIsNone(self.account("mallory"))
        self.assertCimError(denied, conn.DeleteInstance, self.account(target.READER[0]))
        self.assertCimError(denied, self.give_role, target.OPERATOR[0], "administrator", conn)
        self.assertEqual(self.roles_of(target.OPERATOR[0]), ["operator"])

    def test_changes_and_refused_logins_are_in_the_audit_log(self):
        with self.assertRaises(pywbem.AuthError):
            target.SERVER.connect(user="ghost", password="qwx7-secret").EnumerateClassNames()
        reader = target.SERVER.connect(*target.READER)
        path = self.system("vm0")
        self.assertCimError(pywbem.CIM_ERR_ACCESS_DENIED, reader.DeleteInstance, path)
        path = self.conn.CreateInstance(pywbem.CIMInstance("CIM_ComputerSystem", {"Name": "audited"}))
        self.conn.DeleteInstance(path)
        log = self.conn.EnumerateInstances("CIM_RecordLog", namespace="interop")[0]
        entries = self.conn.Associators(log.path, AssocClass="CIM_LogManagesRecord")
        lines = [entry["RecordData"] for entry in entries]
        for user, words in (("ghost", "login"), ("reader", "DeleteInstance"), (target.SERVER.user, "CreateInstance")):
            self.assertTrue([line for line in lines if line.startswith(user + "@") and f" {words} " in line], lines)
        self.assertIn('Name="audited": done', lines[-1])
        self.assertNotIn("qwx7", "".join(lines))
        # Readers see it as well, but nobody empties it.
        self.assertTrue(reader.EnumerateInstances("CIM_LogEntry", namespace="interop"))
        self.assertCimError(pywbem.CIM_ERR_METHOD_NOT_AVAILABLE, self.conn.InvokeMethod, "ClearLog", log.path)


class AccountTest(AccountCase):
    """Needs no accounts but those that it makes itself."""

    def test_wrong_password(self):
        conn = target.SERVER.connect(password="wrong")
        with self.assertRaises(pywbem.AuthError):
            conn.EnumerateClassNames()
        self.assertTrue(self.conn.EnumerateClassNames())

    def test_accounts_are_instances(self):
        if self.account("fred"):
            self.conn.DeleteInstance(self.account("fred"))
        new = pywbem.CIMInstance("CIM_Account", {"Name": "fred", "UserPassword": ["first word"]})
        path = self.conn.CreateInstance(new, namespace="interop")
        self.assertCimError(pywbem.CIM_ERR_ALREADY_EXISTS, self.conn.CreateInstance, new, namespace="interop")
        self.assertEqual(self.roles_of("fred"), ["read-only"])
        self.assertIsNone(self.conn.GetInstance(path)["UserPassword"])
        fred = target.SERVER.connect("fred", "first word")
        self.assertTrue(fred.EnumerateClassNames())
        denied = pywbem.CIM_ERR_ACCESS_DENIED
        self.assertCimError(denied, fred.DeleteInstance, path)
        self.give_role("fred", "operator")
        self.assertEqual(self.roles_of("fred"), ["operator"])
        # An operator changes the own password, as an octet string here, but no other account.
        word = "second w\u00f6rd".encode()
        octets = "0x%08x%s" % (len(word) + 4, word.hex())
        fred.ModifyInstance(pywbem.CIMInstance("CIM_Account", {"UserPassword": [octets]}, path=path))
        with self.assertRaises(pywbem.AuthError):
            fred.EnumerateClassNames()
        fred = target.SERVER.connect("fred", "second w\u00f6rd")
        self.assertTrue(fred.EnumerateClassNames())
        admin = self.account(target.SERVER.user)
        change = pywbem.CIMInstance("CIM_Account", {"UserPassword": ["mine now"]}, path=admin)
        self.assertCimError(denied, fred.ModifyInstance, change)
        self.assertCimError(denied, self.give_role, "fred", "administrator", fred)
        self.assertCimError(pywbem.CIM_ERR_NOT_SUPPORTED, self.conn.DeleteInstance, admin)
        self.conn.DeleteInstance(path)
        with self.assertRaises(pywbem.AuthError):
            fred.EnumerateClassNames()

    def test_z_guessing_is_slowed_down(self):
        # Not one whom an earlier run has made wait.
        conn = target.SERVER.connect(user=f"victim{os.getpid()}", password="guess")
        statuses = []
        # Each wait is twice as long as the one before, so that even a client that is slow itself comes too early in the end.
        while 429 not in statuses and len(statuses) < 12:
            try:
                conn.EnumerateClassNames()
            except pywbem.AuthError:
                statuses.append(401)
            except pywbem.HTTPError as error:
                statuses.append(error.status)
        self.assertEqual(statuses[:5], [401] * 5)
        self.assertIn(429, statuses)


