"""Open, Pull, Close; the Iter operations of pywbem; filters."""

import time

import pywbem

import target
from target import CimTest


class PullTest(CimTest):
    needs_demo = True

    def drain(self, result, pull, count):
        objects = list(result.instances if hasattr(result, "instances") else result.paths)
        while not result.eos:
            result = pull(result.context, MaxObjectCount=count)
            got = result.instances if hasattr(result, "instances") else result.paths
            self.assertLessEqual(len(got), count)
            objects += got
        return objects

    def test_every_open_operation(self):
        conn, host = self.conn, self.system("host")
        hosted = {"AssocClass": "CIM_HostedDependency"}
        refers = {"ResultClass": "CIM_HostedDependency"}
        for opened, pull, wanted in (
            (conn.OpenEnumerateInstances("CIM_Processor", MaxObjectCount=7), conn.PullInstancesWithPath,
             target.PROCESSORS),
            (conn.OpenEnumerateInstancePaths("CIM_Processor", MaxObjectCount=7), conn.PullInstancePaths,
             target.PROCESSORS),
            (conn.OpenAssociatorInstances(host, MaxObjectCount=1, **hosted), conn.PullInstancesWithPath, 3),
            (conn.OpenAssociatorInstancePaths(host, MaxObjectCount=1, **hosted), conn.PullInstancePaths, 3),
            (conn.OpenReferenceInstances(host, MaxObjectCount=1, **refers), conn.PullInstancesWithPath, 3),
            (conn.OpenReferenceInstancePaths(host, MaxObjectCount=1, **refers), conn.PullInstancePaths, 3),
        ):
            self.assertFalse(opened.eos)
            objects = self.drain(opened, pull, 900)
            self.assertEqual(len(objects), wanted)
            path = objects[0].path if hasattr(objects[0], "path") else objects[0]
            self.assertEqual(path.namespace, "root/cimv2")
            self.assertTrue(path.host)

    def test_open_for_nothing_leaves_the_sequence_open(self):
        opened = self.conn.OpenEnumerateInstances("CIM_LogicalPort", MaxObjectCount=0)
        self.assertFalse(opened.eos)
        self.assertEqual(opened.instances, [])
        pulled = self.conn.PullInstancesWithPath(opened.context, MaxObjectCount=1)
        self.assertTrue(pulled.eos)

    def test_contexts_die(self):
        gone = pywbem.CIM_ERR_INVALID_ENUMERATION_CONTEXT
        opened = self.conn.OpenEnumerateInstances("CIM_ComputerSystem", MaxObjectCount=1)
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, self.conn.PullInstancePaths, opened.context, 1)
        self.conn.CloseEnumeration(opened.context)
        self.assertCimError(gone, self.conn.PullInstancesWithPath, opened.context, 1)
        self.assertCimError(gone, self.conn.CloseEnumeration, opened.context)
        opened = self.conn.OpenEnumerateInstances("CIM_ComputerSystem", MaxObjectCount=1)
        wrong = (opened.context[0], "interop")
        self.assertCimError(gone, self.conn.PullInstancesWithPath, wrong, 1)
        other = target.SERVER.connect(*target.READER) if target.SERVER.process else None
        if other:
            self.assertCimError(gone, other.PullInstancesWithPath, opened.context, 1)
        opened = self.conn.OpenEnumerateInstances("CIM_ComputerSystem", OperationTimeout=1, MaxObjectCount=1)
        # Longer than it lives unused.
        time.sleep(1.3)
        self.assertCimError(gone, self.conn.PullInstancesWithPath, opened.context, 1)

    def test_errors(self):
        conn = self.conn
        self.assertCimError(pywbem.CIM_ERR_INVALID_CLASS, conn.OpenEnumerateInstances, "CIM_Nothing")
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, conn.OpenAssociatorInstances, self.system("nobody"))
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, conn.OpenReferenceInstancePaths, self.system("nobody"))
        for timeout in (0, 1000000):
            self.assertCimError(pywbem.CIM_ERR_INVALID_OPERATION_TIMEOUT, conn.OpenEnumerateInstances,
                                "CIM_ComputerSystem", OperationTimeout=timeout)
        self.assertCimError(pywbem.CIM_ERR_CONTINUATION_ON_ERROR_NOT_SUPPORTED, conn.OpenEnumerateInstances,
                            "CIM_ComputerSystem", ContinueOnError=True)

    def test_filters(self):
        def names(query, **options):
            result = self.conn.OpenEnumerateInstances(
                "CIM_ComputerSystem", FilterQueryLanguage="DMTF:FQL", FilterQuery=query, MaxObjectCount=100, **options)
            self.assertTrue(result.eos)
            return sorted(item.path.keybindings["Name"] for item in result.instances)

        self.assertEqual(names("Name = 'vm1'"), ["vm1"])
        self.assertEqual(names("Name LIKE 'vm[01]' AND EnabledState = 2", PropertyList=["Caption"]), ["vm0", "vm1"])
        self.assertEqual(names("NOT Name LIKE 'vm.*' AND ANY OperationalStatus = 2"), ["host"])
        for language, query, status in (
            ("DMTF:FQL", "Name =", pywbem.CIM_ERR_INVALID_QUERY),
            ("DMTF:FQL", "Nonsense = 1", pywbem.CIM_ERR_INVALID_QUERY),
            ("DMTF:XYZ", "Name = 'x'", pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED),
            ("DMTF:FQL", None, pywbem.CIM_ERR_FAILED),
        ):
            self.assertCimError(status, self.conn.OpenEnumerateInstances, "CIM_ComputerSystem",
                                FilterQueryLanguage=language, FilterQuery=query, MaxObjectCount=1)

    def test_iter_operations(self):
        conn, host = self.conn, self.system("host")
        self.assertEqual(len(list(conn.IterEnumerateInstances("CIM_Processor", MaxObjectCount=1000))),
                         target.PROCESSORS)
        self.assertEqual(len(list(conn.IterEnumerateInstancePaths("CIM_Processor", MaxObjectCount=2000))),
                         target.PROCESSORS)
        self.assertEqual(len(list(conn.IterAssociatorInstances(
            host, AssocClass="CIM_HostedDependency", MaxObjectCount=2))), 3)
        self.assertEqual(len(list(conn.IterReferenceInstancePaths(
            host, ResultClass="CIM_HostedDependency", MaxObjectCount=2))), 3)
        self.assertEqual(len(list(conn.IterQueryInstances(
            "DMTF:CQL", "SELECT Name FROM CIM_ComputerSystem", MaxObjectCount=2).generator)), 4)
