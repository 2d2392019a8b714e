"""Indications, received by pywbem's own listener."""

import time

import pywbem

import target
from listener import Listener
from target import CimTest

CHANGES = (
    "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ComputerSystem AND "
    "SourceInstance.CIM_ComputerSystem::EnabledState <> PreviousInstance.CIM_ComputerSystem::EnabledState"
)


class IndicationTest(CimTest):
    def setUp(self):
        super().setUp()
        self.manager = pywbem.WBEMSubscriptionManager("suite")
        self.server = self.manager.add_server(pywbem.WBEMServer(self.conn))
        self.addCleanup(self.manager.remove_all_servers)

    def subscribe(self, port, query, language="DMTF:CQL"):
        destination = self.manager.add_destination(
            self.server, f"http://127.0.0.1:{port}", owned=True, destination_id=f"d{port}")
        filter_ = self.manager.add_filter(
            self.server, source_namespaces=["root/cimv2"], query=query, query_language=language,
            owned=True, filter_id=f"f{port}")
        subscriptions = self.manager.add_subscriptions(
            self.server, filter_.path, destination_paths=destination.path)
        return destination, filter_, subscriptions[0]

    def set_state(self, name, state):
        self.conn.InvokeMethod("RequestStateChange", self.system(name), RequestedState=pywbem.Uint16(state))

    def modify(self, name, state):
        change = pywbem.CIMInstance(
            "CIM_ComputerSystem", {"EnabledState": pywbem.Uint16(state)}, path=self.system(name))
        self.conn.ModifyInstance(change)

    def needs(self):
        if not target.SERVER.is_demo:
            self.skipTest("needs the demonstration world")

    def test_life_cycle_indications_arrive_in_sequence(self):
        self.needs()
        listener = Listener(self).start()
        _, filter_, _ = self.subscribe(listener.port, CHANGES)
        self.modify("vm0", 2)
        for state in (3, 9, 2):
            self.modify("vm0", state)
        got = listener.take(3)
        self.assertEqual([item["SequenceNumber"] for item in got], [0, 1, 2])
        self.assertEqual(len({item["SequenceContext"] for item in got}), 1)
        self.assertEqual([item["SourceInstance"]["EnabledState"] for item in got], [3, 9, 2])
        self.assertEqual([item["PreviousInstance"]["EnabledState"] for item in got], [2, 3, 9])
        self.assertEqual(got[0].classname, "CIM_InstModification")
        self.assertEqual(got[0]["IndicationFilterName"], filter_["Name"])
        self.assertIn("vm0", got[0]["SourceInstanceModelPath"])
        self.assertTrue(listener.is_silent())

    def test_creation_and_deletion_with_wql(self):
        self.needs()
        listener = Listener(self).start()
        self.subscribe(listener.port, "SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA 'CIM_ComputerSystem'", "WQL")
        path = self.conn.CreateInstance(pywbem.CIMInstance("CIM_ComputerSystem", {"Name": "brief"}))
        self.conn.DeleteInstance(path)
        self.assertEqual([item.classname for item in listener.take(2)], ["CIM_InstCreation", "CIM_InstDeletion"])

    def test_delivery_is_retried(self):
        self.needs()
        listener = Listener(self)
        self.subscribe(listener.port, CHANGES)
        self.modify("vm2", 3)
        # Time for a first attempt, which is refused.
        time.sleep(0.5)
        listener.start()
        self.assertEqual(listener.next()["SourceInstance"]["EnabledState"], 3)
        self.modify("vm2", 2)
        self.assertEqual(listener.next()["SequenceNumber"], 1)

    def test_subscriptions_are_instances(self):
        destination, filter_, subscription = self.subscribe(Listener(self).port, CHANGES)
        self.assertEqual(subscription["SubscriptionState"], 2)
        links = self.conn.References(destination.path, ResultClass="CIM_IndicationSubscription")
        self.assertEqual([link.path.keybindings for link in links], [subscription.path.keybindings])
        filters = self.conn.Associators(destination.path, AssocClass="CIM_IndicationSubscription")
        self.assertEqual([item["Name"] for item in filters], [filter_["Name"]])
        self.assertCimError(pywbem.CIM_ERR_FAILED, self.conn.DeleteInstance, filter_.path)
        self.assertCimError(pywbem.CIM_ERR_FAILED, self.conn.DeleteInstance, destination.path)
        subscription["SubscriptionState"] = pywbem.Uint16(4)
        self.conn.ModifyInstance(subscription, PropertyList=["SubscriptionState"])
        self.assertEqual(self.conn.GetInstance(subscription.path)["SubscriptionState"], 4)

    def test_bad_filters_and_destinations(self):
        invalid = pywbem.CIM_ERR_INVALID_PARAMETER
        for query in ("SELECT * FRM x", "SELECT * FROM CIM_Nothing", "SELECT * FROM CIM_ComputerSystem"):
            self.assertCimError(invalid, self.manager.add_filter, self.server, ["root/cimv2"], query,
                                query_language="DMTF:CQL", filter_id="bad")
        bad = pywbem.CIMInstance("CIM_ListenerDestinationCIMXML", {"Name": "bad", "Destination": "ftp://x"})
        self.assertCimError(invalid, self.conn.CreateInstance, bad, namespace="interop")
        bad["Destination"] = "https://127.0.0.1:5990"
        with self.assertRaises(pywbem.CIMError) as caught:
            self.conn.CreateInstance(bad, namespace="interop")
        self.assertIn("over http only", caught.exception.status_description)
        service = self.conn.EnumerateInstances("CIM_IndicationService", namespace="interop")
        self.assertEqual(len(service), 1)
        self.assertTrue(service[0]["FilterCreationEnabled"])

    def service(self):
        return self.conn.EnumerateInstanceNames("CIM_IndicationService", namespace="interop")[0]

    def test_the_service_is_hosted_and_tells_its_capabilities(self):
        service = self.service()
        hosts = self.conn.Associators(service, AssocClass="CIM_HostedService")
        self.assertEqual([host["Name"] for host in hosts], [service.keybindings["SystemName"]])
        capabilities = self.conn.Associators(service, AssocClass="CIM_ElementCapabilities")
        self.assertEqual([item.classname for item in capabilities], ["CIM_IndicationServiceCapabilities"])
        self.assertFalse(capabilities[0]["FilterCreationEnabledIsSettable"])
        settings = self.conn.Associators(service, AssocClass="CIM_ElementSettingData")
        self.assertEqual([item.classname for item in settings], ["CIM_IndicationServiceSettingData"])
        before = self.conn.GetInstance(service)["DeliveryRetryAttempts"]
        for attempts in (pywbem.Uint16(9), before):
            change = pywbem.CIMInstance("CIM_IndicationService", {"DeliveryRetryAttempts": attempts}, path=service)
            self.conn.ModifyInstance(change)
            self.assertEqual(self.conn.GetInstance(service)["DeliveryRetryAttempts"], attempts)
        change = pywbem.CIMInstance("CIM_IndicationService", {"FilterCreationEnabled": False}, path=service)
        self.assertCimError(pywbem.CIM_ERR_NOT_SUPPORTED, self.conn.ModifyInstance, change)

    def test_static_filters_belong_to_a_collection(self):
        collection = self.conn.EnumerateInstances("CIM_FilterCollection", namespace="interop")[0]
        owners = self.conn.AssociatorNames(collection.path, AssocClass="CIM_OwningCollectionElement")
        self.assertEqual([owner.classname for owner in owners], ["CIM_IndicationService"])
        filters = self.conn.Associators(collection.path, AssocClass="CIM_MemberOfCollection")
        self.assertTrue(filters)
        links = self.conn.References(collection.path, ResultClass="CIM_MemberOfCollection")
        for link in links:
            self.assertEqual(self.conn.GetInstance(link.path)["Member"], link["Member"])
        for item in filters:
            self.assertCimError(pywbem.CIM_ERR_NOT_SUPPORTED, self.conn.DeleteInstance, item.path)

    def test_a_filter_collection_can_be_subscribed_to(self):
        self.needs()
        listener = Listener(self).start()
        destination = self.manager.add_destination(
            self.server, f"http://127.0.0.1:{listener.port}", owned=True, destination_id=f"d{listener.port}")
        collection = self.conn.EnumerateInstanceNames("CIM_FilterCollection", namespace="interop")[0]
        subscription = pywbem.CIMInstance(
            "CIM_FilterCollectionSubscription", {"Filter": collection, "Handler": destination.path})
        path = self.conn.CreateInstance(subscription, namespace="interop")
        self.addCleanup(self.conn.DeleteInstance, path)
        self.modify("vm1", 3)
        self.modify("vm1", 2)
        new = self.conn.CreateInstance(pywbem.CIMInstance("CIM_ComputerSystem", {"Name": "brief"}))
        self.conn.DeleteInstance(new)
        got = listener.take(4)
        self.assertEqual([item["SequenceNumber"] for item in got], [0, 1, 2, 3])
        names = [item["IndicationFilterName"].rsplit(":", 1)[1] for item in got]
        self.assertEqual(names, ["VirtualSystemStateChange", "VirtualSystemStateChange",
                                 "VirtualSystemCreation", "VirtualSystemDeletion"])

    def test_subscriptions_end_after_their_duration(self):
        # Not by the manager, which would want to delete it at the end.
        collection = self.conn.EnumerateInstanceNames("CIM_FilterCollection", namespace="interop")[0]
        handler = self.conn.CreateInstance(
            pywbem.CIMInstance("CIM_ListenerDestinationCIMXML", {"Destination": "http://127.0.0.1:1"}), "interop")
        self.addCleanup(self.conn.DeleteInstance, handler)
        path = self.conn.CreateInstance(
            pywbem.CIMInstance("CIM_FilterCollectionSubscription", {"Filter": collection, "Handler": handler}),
            "interop")
        subscription = self.conn.GetInstance(path)
        self.assertIsNone(subscription["SubscriptionTimeRemaining"])
        subscription["SubscriptionDuration"] = pywbem.Uint64(1000)
        self.conn.ModifyInstance(subscription, PropertyList=["SubscriptionDuration"])
        subscription = self.conn.GetInstance(subscription.path)
        self.assertTrue(0 < subscription["SubscriptionTimeRemaining"] <= 1000)
        # What a client sends back unchanged is no change, even where time has passed.
        time.sleep(1.1)
        self.conn.ModifyInstance(subscription)
        subscription["SubscriptionDuration"] = pywbem.Uint64(3)
        self.conn.ModifyInstance(subscription, PropertyList=["SubscriptionDuration"])
        self.wait_until_gone(subscription.path)
