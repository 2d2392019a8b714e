"""The command-line clients: pywbemcli, and wbemcli of the package sblim-wbemcli."""

import os
import shutil
import subprocess
import sys
import urllib.parse

import target
from patience import PATIENCE
from target import CimTest, demo


def find(tool):
    beside = os.path.join(os.path.dirname(sys.executable), tool)
    return beside if os.path.exists(beside) else shutil.which(tool)


class ToolTest(CimTest):
    tool = None

    def setUp(self):
        super().setUp()
        self.path = find(self.tool)
        if not self.path:
            self.skipTest(f"{self.tool} is not installed")

    def run_tool(self, *arguments, fails=False):
        result = subprocess.run([self.path, *arguments], capture_output=True, text=True, timeout=PATIENCE,
                                stdin=subprocess.DEVNULL, check=False)
        text = result.stdout + result.stderr
        self.assertEqual(result.returncode != 0, fails, text)
        return text


class PywbemcliTest(ToolTest):
    tool = "pywbemcli"

    def cli(self, *arguments, fails=False):
        server = target.SERVER
        return self.run_tool("--server", server.url, "--user", server.user, "--password", server.password,
                             "--default-namespace", "root/cimv2", *arguments, fails=fails)

    @demo
    def test_instances(self):
        self.assertIn('Name="vm1"', self.cli("instance", "enumerate", "CIM_ComputerSystem", "--names-only"))
        key = 'CIM_ComputerSystem.CreationClassName="CIM_ComputerSystem",Name="vm1"'
        self.assertIn("EnabledState = ", self.cli("instance", "get", key))
        self.assertIn("EnabledState", self.cli("-o", "table", "instance", "enumerate", "CIM_ComputerSystem",
                                               "--pl", "Name,EnabledState"))
        self.assertIn("ReturnValue=0", self.cli("instance", "invokemethod", key, "RequestStateChange",
                                                "-p", "RequestedState=2"))
        self.assertIn('Name="host"', self.cli("instance", "associators", key, "--ac", "CIM_HostedDependency", "--no"))
        self.assertIn("CIM_HostedDependency", self.cli("instance", "references", key, "--no"))
        self.assertIn("CIM_HostedDependency", self.cli("instance", "shrub", key.replace("vm1", "host")))
        self.assertIn("CIM_ComputerSystem", self.cli("instance", "count", "CIM_ComputerSystem"))
        self.assertIn("CIM_ERR_NOT_FOUND", self.cli("instance", "get", key.replace("vm1", "no"), fails=True))

    @demo
    def test_create_modify_delete(self):
        self.cli("instance", "create", "CIM_ComputerSystem", "-p", "Name=clivm", "-p", "EnabledState=3")
        key = 'CIM_ComputerSystem.CreationClassName="CIM_ComputerSystem",Name="clivm"'
        self.cli("instance", "modify", key, "-p", "EnabledState=2")
        self.assertIn("EnabledState = 2", self.cli("instance", "get", key))
        self.cli("instance", "delete", key)

    def test_classes_and_qualifiers(self):
        self.assertIn("class CIM_ComputerSystem : CIM_System", self.cli("class", "get", "CIM_ComputerSystem"))
        self.assertIn("CIM_ComputerSystem", self.cli("class", "tree", "CIM_System"))
        self.assertIn("CIM_ManagedElement", self.cli("class", "enumerate", "--names-only"))
        self.assertIn("CIM_ComputerSystem", self.cli("class", "find", "CIM_Comp*"))
        self.assertIn("Qualifier Key", self.cli("qualifier", "get", "Key"))
        self.assertIn("Association", self.cli("qualifier", "enumerate", "--summary") +
                      self.cli("qualifier", "enumerate"))

    def test_server(self):
        self.assertIn("root/cimv2", self.cli("namespace", "list"))
        self.assertIn("interop", self.cli("namespace", "interop"))
        self.assertIn("Indications", self.cli("profile", "list"))
        if target.SERVER.is_demo:
            self.assertIn("System Virtualization", self.cli("profile", "list"))
            self.assertIn("host", self.cli("profile", "centralinsts", "--organization", "DMTF"))
        self.assertIn("Bulkhead", self.cli("server", "brand"))
        self.cli("namespace", "create", "root/climade")
        self.cli("namespace", "delete", "root/climade")

    def test_any_instances(self):
        interop = ("--default-namespace", "interop")
        self.assertIn("root/cimv2", self.cli(*interop, "instance", "enumerate", "CIM_Namespace"))
        manager = self.conn.EnumerateInstanceNames("CIM_ObjectManager", namespace="interop")[0]
        manager.host = manager.namespace = None
        key = manager.to_wbem_uri(format="historical")
        self.assertIn("GatherStatisticalData", self.cli(*interop, "instance", "get", key))
        self.assertIn("CIM_NamespaceInManager", self.cli(*interop, "instance", "references", key, "--no"))
        self.assertIn("root/cimv2", self.cli(*interop, "instance", "associators", key, "--no"))
        self.cli(*interop, "instance", "modify", key, "-p", "GatherStatisticalData=false")

    def test_subscriptions(self):
        self.cli("subscription", "add-destination", "clid", "--listener-url", "http://127.0.0.1:9", "--permanent")
        self.cli("subscription", "add-filter", "clif", "--query", "SELECT * FROM CIM_InstCreation",
                 "--query-language", "DMTF:CQL", "--source-namespaces", "root/cimv2", "--permanent")
        self.cli("subscription", "add-subscription", "clid", "clif", "--permanent")
        self.assertIn("clif", self.cli("subscription", "list-subscriptions"))
        self.cli("subscription", "remove-subscription", "clid", "clif")
        self.cli("subscription", "remove-filter", "clif", "--permanent")
        self.cli("subscription", "remove-destination", "clid", "--permanent")
        text = self.cli("subscription", "add-filter", "bad", "--query", "SELECT bad", "--query-language", "DMTF:CQL",
                        "--source-namespaces", "root/cimv2", "--permanent", fails=True)
        self.assertIn("CIM_ERR_INVALID_PARAMETER", text)


class WbemcliTest(ToolTest):
    tool = "wbemcli"

    def url(self, rest, namespace):
        server = target.SERVER
        parts = urllib.parse.urlsplit(server.url)
        user, password = (urllib.parse.quote(text) for text in (server.user, server.password))
        return f"http://{user}:{password}@{parts.netloc}/{namespace}{rest}"

    KEY = ":CIM_ComputerSystem.CreationClassName=\"CIM_ComputerSystem\",Name=\"vm1\""

    def cli(self, operation, rest, *arguments, namespace="root/cimv2", fails=False):
        return self.run_tool(operation, self.url(rest, namespace), *arguments, fails=fails)

    def test_classes(self):
        self.assertIn("CIM_ComputerSystem", self.cli("gc", ":CIM_ComputerSystem"))
        self.assertIn("CIM_ManagedElement", self.cli("ecn", ""))
        self.assertIn("CIM_ManagedElement", self.cli("ec", ""))

    def test_any_instances(self):
        self.assertIn('Name="root/cimv2"', self.cli("ein", ":CIM_Namespace", namespace="interop"))
        self.assertIn("GatherStatisticalData=", self.cli("ei", ":CIM_ObjectManager", namespace="interop"))

    @demo
    def test_instances(self):
        self.assertIn('Name="vm1"', self.cli("ein", ":CIM_ComputerSystem"))
        self.assertIn("EnabledState=", self.cli("ei", ":CIM_ComputerSystem"))
        self.assertIn("EnabledState=2", self.cli("gi", self.KEY))
        self.assertEqual(self.cli("ein", ":CIM_Processor").count("cpu"), target.PROCESSORS)

    @demo
    def test_associations(self):
        self.assertIn('Name="host"', self.cli("ain", self.KEY, "-ac", "CIM_HostedDependency"))
        self.assertIn("EnabledState", self.cli("ai", self.KEY, "-ac", "CIM_HostedDependency"))
        self.assertIn("CIM_HostedDependency", self.cli("rin", self.KEY))
        self.assertIn("Antecedent", self.cli("ri", self.KEY, "-arc", "CIM_HostedDependency"))

    @demo
    def test_properties_and_methods(self):
        self.assertIn("2", self.cli("gp", self.KEY, "EnabledState"))
        self.cli("sp", self.KEY, "EnabledState=2")
        self.assertIn("0", self.cli("cm", self.KEY, "RequestStateChange.RequestedState=2"))

    @demo
    def test_create_modify_delete(self):
        self.cli("ci", self.KEY.replace("vm1", "wbemcli"), "Name=wbemcli,EnabledState=3")
        key = self.KEY.replace("vm1", "wbemcli")
        self.cli("mi", key, "EnabledState=2")
        self.assertIn("EnabledState=2", self.cli("gi", key))
        self.cli("di", key)
        self.assertIn("NOT_FOUND", self.cli("gi", key, fails=True))
