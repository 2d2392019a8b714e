"""Instances of classes that a client has made: every kind of operation on what any server can hold."""

import pywbem

import target
from listener import Listener
from target import CimTest

THINGS = 60


def qualifier(name):
    return pywbem.CIMQualifier(name, True, type="boolean", overridable=False)


class OwnTest(CimTest):
    """A class of things, and one of links from each thing to the next."""

    @classmethod
    def setUpClass(cls):
        conn = cls.admin = target.SERVER.connect()
        cls.clear()
        key = [qualifier("Key")]
        conn.CreateClass(pywbem.CIMClass("TST_Thing", properties=[
            pywbem.CIMProperty("Id", None, type="uint32", qualifiers=key),
            pywbem.CIMProperty("Label", "unnamed", type="string"),
            pywbem.CIMProperty("Size", None, type="uint64"),
            pywbem.CIMProperty("Flags", None, type="boolean", is_array=True),
            pywbem.CIMProperty("Since", None, type="datetime"),
        ]))
        conn.CreateClass(pywbem.CIMClass("TST_Link", qualifiers=[qualifier("Association")], properties=[
            pywbem.CIMProperty(name, None, type="reference", reference_class="TST_Thing", qualifiers=key)
            for name in ("From", "To")
        ]))
        for number in range(THINGS):
            conn.CreateInstance(pywbem.CIMInstance("TST_Thing", {
                "Id": pywbem.Uint32(number),
                "Label": f"thing <{number}> & \u00e4\u4e2d\U0001f600",
                "Size": pywbem.Uint64(2**64 - 1 - number),
                "Flags": [True, False],
            }))
        for number in range(3):
            conn.CreateInstance(pywbem.CIMInstance("TST_Link", {
                "From": cls.thing(0), "To": cls.thing(number + 1)}))

    @classmethod
    def tearDownClass(cls):
        cls.clear()
        cls.admin.close()

    @classmethod
    def clear(cls):
        for name in ("TST_Link", "TST_Thing"):
            try:
                for path in cls.admin.EnumerateInstanceNames(name):
                    cls.admin.DeleteInstance(path)
                cls.admin.DeleteClass(name)
            except pywbem.CIMError as error:
                if error.status_code not in (pywbem.CIM_ERR_INVALID_CLASS, pywbem.CIM_ERR_NOT_FOUND):
                    raise

    @staticmethod
    def thing(number):
        return pywbem.CIMInstanceName("TST_Thing", {"Id": pywbem.Uint32(number)}, namespace="root/cimv2")

    def test_get_and_enumerate(self):
        got = self.conn.GetInstance(self.thing(7))
        self.assertEqual(got["Label"], "thing <7> & \u00e4\u4e2d\U0001f600")
        self.assertEqual(got["Size"], 2**64 - 8)
        self.assertEqual(got["Flags"], [True, False])
        self.assertIsNone(got["Since"])
        few = self.conn.GetInstance(self.thing(7), PropertyList=["size", "Nonsense"])
        self.assertEqual(list(few.keys()), ["Size"])
        found = self.conn.EnumerateInstances("TST_Thing")
        self.assertEqual({item["Id"] for item in found}, set(range(THINGS)))
        self.assertEqual(len(self.conn.EnumerateInstanceNames("TST_Thing")), THINGS)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.GetInstance, self.thing(THINGS))
        lacking = pywbem.CIMInstanceName("TST_Thing", {"Label": "x"})
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, self.conn.GetInstance, lacking)

    def test_create_modify_delete(self):
        since = pywbem.CIMDateTime("20240229123456.000001+060")
        new = pywbem.CIMInstance("TST_Thing", {"Id": pywbem.Uint32(1000), "Since": since})
        path = self.conn.CreateInstance(new)
        self.assertCimError(pywbem.CIM_ERR_ALREADY_EXISTS, self.conn.CreateInstance, new)
        got = self.conn.GetInstance(path)
        self.assertEqual((got["Label"], got["Since"]), ("unnamed", since))
        got["Label"], got["Size"] = "renamed", pywbem.Uint64(5)
        self.conn.ModifyInstance(got, PropertyList=["Size"])
        got = self.conn.GetInstance(path)
        self.assertEqual((got["Label"], got["Size"]), ("unnamed", 5))
        for name, value, status in (
            ("Size", "big", pywbem.CIM_ERR_TYPE_MISMATCH),
            ("Nonsense", "x", pywbem.CIM_ERR_NO_SUCH_PROPERTY),
        ):
            change = pywbem.CIMInstance("TST_Thing", {name: value}, path=path.copy())
            self.assertCimError(status, self.conn.ModifyInstance, change)
        self.conn.DeleteInstance(path)
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, self.conn.DeleteInstance, path)

    def test_class_with_instances_is_not_deleted(self):
        self.assertCimError(pywbem.CIM_ERR_CLASS_HAS_INSTANCES, self.conn.DeleteClass, "TST_Thing")

    def test_associations(self):
        conn, first = self.conn, self.thing(0)
        down = conn.Associators(first, AssocClass="TST_Link", Role="From", PropertyList=["Id"])
        self.assertEqual(sorted(item["Id"] for item in down), [1, 2, 3])
        self.assertEqual(list(down[0].keys()), ["Id"])
        up = conn.AssociatorNames(self.thing(2), AssocClass="TST_Link", ResultRole="From", ResultClass="TST_Thing")
        self.assertEqual([path.keybindings["Id"] for path in up], [0])
        links = conn.References(first, ResultClass="TST_Link")
        self.assertEqual(sorted(link["To"].keybindings["Id"] for link in links), [1, 2, 3])
        self.assertEqual(conn.GetInstance(links[0].path)["To"], links[0]["To"])
        self.assertEqual(len(conn.ReferenceNames(self.thing(3), ResultClass="TST_Link", Role="To")), 1)
        self.assertEqual(conn.ReferenceNames(self.thing(3), ResultClass="TST_Link", Role="From"), [])
        self.assertEqual(conn.Associators(self.thing(9), AssocClass="TST_Link"), [])
        names = conn.AssociatorNames("TST_Thing")
        self.assertIn("TST_Thing", [name.classname for name in names])
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, conn.Associators, first, AssocClass="CIM_Nothing")

    def drain(self, result, pull, count):
        objects = list(result.instances if hasattr(result, "instances") else result.paths)
        while not result.eos:
            result = pull(result.context, MaxObjectCount=count)
            got = result.instances if hasattr(result, "instances") else result.paths
            self.assertLessEqual(len(got), count)
            objects += got
        return objects

    def test_every_open_operation(self):
        conn, first = self.conn, self.thing(0)
        for opened, pull, wanted in (
            (conn.OpenEnumerateInstances("TST_Thing", MaxObjectCount=7), conn.PullInstancesWithPath, THINGS),
            (conn.OpenEnumerateInstancePaths("TST_Thing", MaxObjectCount=7), conn.PullInstancePaths, THINGS),
            (conn.OpenAssociatorInstances(first, AssocClass="TST_Link", MaxObjectCount=1),
             conn.PullInstancesWithPath, 3),
            (conn.OpenAssociatorInstancePaths(first, AssocClass="TST_Link", MaxObjectCount=1),
             conn.PullInstancePaths, 3),
            (conn.OpenReferenceInstances(first, ResultClass="TST_Link", MaxObjectCount=1),
             conn.PullInstancesWithPath, 3),
            (conn.OpenReferenceInstancePaths(first, ResultClass="TST_Link", MaxObjectCount=1),
             conn.PullInstancePaths, 3),
        ):
            self.assertFalse(opened.eos)
            self.assertEqual(len(self.drain(opened, pull, 9)), wanted)
        opened = conn.OpenEnumerateInstances("TST_Thing", MaxObjectCount=1)
        conn.CloseEnumeration(opened.context)
        gone = pywbem.CIM_ERR_INVALID_ENUMERATION_CONTEXT
        self.assertCimError(gone, conn.PullInstancesWithPath, opened.context, 1)

    def test_filters_of_pulls(self):
        opened = self.conn.OpenEnumerateInstances(
            "TST_Thing", FilterQueryLanguage="DMTF:FQL", FilterQuery="Id >= 10 AND Id < 13", MaxObjectCount=100)
        self.assertTrue(opened.eos)
        self.assertEqual(sorted(item["Id"] for item in opened.instances), [10, 11, 12])
        self.assertCimError(
            pywbem.CIM_ERR_INVALID_QUERY, self.conn.OpenEnumerateInstances, "TST_Thing",
            FilterQueryLanguage="DMTF:FQL", FilterQuery="Id >=", MaxObjectCount=1)

    def test_queries(self):
        for language in ("DMTF:CQL", "WQL"):
            rows = self.conn.ExecQuery(language, "SELECT Id, Label FROM TST_Thing WHERE Id < 3 OR Id = 50")
            self.assertEqual(sorted(row["Id"] for row in rows), [0, 1, 2, 50])
            self.assertEqual(list(rows[0].keys()), ["Id", "Label"])
        opened = self.conn.OpenQueryInstances(
            "DMTF:CQL", "SELECT Id FROM TST_Thing WHERE Label LIKE 'thing <1.*'", MaxObjectCount=2)
        rows = list(opened.instances)
        while not opened.eos:
            opened = self.conn.PullInstances(opened.context, MaxObjectCount=4)
            rows += opened.instances
        self.assertEqual(sorted(row["Id"] for row in rows), [1, *range(10, 20)])
        self.assertCimError(
            pywbem.CIM_ERR_INVALID_QUERY, self.conn.ExecQuery, "DMTF:CQL", "SELECT * FRM TST_Thing")

    def test_iterators(self):
        conn = self.conn
        self.assertEqual(len(list(conn.IterEnumerateInstances("TST_Thing", MaxObjectCount=8))), THINGS)
        self.assertEqual(len(list(conn.IterEnumerateInstancePaths("TST_Thing", MaxObjectCount=100))), THINGS)
        found = conn.IterAssociatorInstances(self.thing(0), AssocClass="TST_Link", MaxObjectCount=2)
        self.assertEqual(len(list(found)), 3)

    def test_changes_are_indicated(self):
        listener = Listener(self).start()
        port = listener.port
        manager = pywbem.WBEMSubscriptionManager("own")
        server = manager.add_server(pywbem.WBEMServer(self.conn))
        self.addCleanup(manager.remove_all_servers)
        url = f"http://{target.SERVER.our_host}:{port}"
        destination = manager.add_destination(server, url, owned=True, destination_id=f"own{port}")
        chosen = manager.add_filter(
            server, source_namespaces=["root/cimv2"], query_language="DMTF:CQL", owned=True, filter_id=f"own{port}",
            query="SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA TST_Thing")
        manager.add_subscriptions(server, chosen.path, destination_paths=destination.path)
        path = self.conn.CreateInstance(pywbem.CIMInstance("TST_Thing", {"Id": pywbem.Uint32(2000)}))
        change = pywbem.CIMInstance("TST_Thing", {"Label": "new"}, path=path)
        self.conn.ModifyInstance(change)
        self.conn.DeleteInstance(path)
        got = listener.take(3)
        self.assertEqual([item.classname for item in got],
                         ["CIM_InstCreation", "CIM_InstModification", "CIM_InstDeletion"])
        self.assertEqual([item["SequenceNumber"] for item in got], [0, 1, 2])
        self.assertEqual(got[1]["SourceInstance"]["Label"], "new")
        self.assertEqual(got[1]["PreviousInstance"]["Label"], "unnamed")
