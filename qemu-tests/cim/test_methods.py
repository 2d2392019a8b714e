"""Extrinsic methods."""

import pywbem
from pywbem import CIMClassName, Uint16

from target import CimTest


class MethodTest(CimTest):
    needs_demo = True

    def test_instance_method(self):
        result, outputs = self.conn.InvokeMethod("RequestStateChange", self.system("vm1"), RequestedState=Uint16(3))
        self.assertEqual(result, 0)
        self.assertIsInstance(result, pywbem.Uint32)
        self.assertIsNone(outputs.get("Job"))
        self.assertEqual(self.conn.GetInstance(self.system("vm1"))["EnabledState"], 3)
        result, _ = self.conn.InvokeMethod("requeststatechange", self.system("vm1"), requestedstate=Uint16(2))
        self.assertEqual(result, 0)

    def test_lenient_argument_types(self):
        # Old clients send numbers as strings, a NULL without type, and no timeout at all.
        result, _ = self.conn.InvokeMethod("RequestStateChange", self.system("vm1"), RequestedState="2",
                                           TimeoutPeriod=None)
        self.assertEqual(result, 0)
        result, _ = self.conn.InvokeMethod("RequestStateChange", self.system("vm1"))
        self.assertEqual(result, 5)

    def test_reference_array_output(self):
        interop = pywbem.CIMInstanceName(
            "CIM_RegisteredProfile", {"InstanceID": "BH:DSP1057-VirtualSystem-1.0.0"}, namespace="interop")
        result, outputs = self.conn.InvokeMethod("GetCentralInstances", interop)
        self.assertEqual(result, 0)
        self.assertLessEqual({"vm0", "vm1", "vm2"},
                             {path.keybindings["Name"] for path in outputs["CentralInstances"]})

    def test_errors(self):
        call = self.conn.InvokeMethod
        vm = self.system("vm1")
        self.assertCimError(pywbem.CIM_ERR_METHOD_NOT_FOUND, call, "Explode", vm)
        self.assertCimError(pywbem.CIM_ERR_METHOD_NOT_FOUND, call, "Explode", CIMClassName("CIM_ComputerSystem"))
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, call, "RequestStateChange", vm, Colour="red")
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, call, "RequestStateChange", vm, RequestedState="red")
        self.assertCimError(pywbem.CIM_ERR_NOT_FOUND, call, "RequestStateChange", self.system("nobody"))
        self.assertCimError(pywbem.CIM_ERR_INVALID_CLASS, call, "X", CIMClassName("CIM_Nothing"))
        self.assertCimError(pywbem.CIM_ERR_METHOD_NOT_AVAILABLE, call, "SetPowerState", vm)
        self.assertCimError(pywbem.CIM_ERR_INVALID_PARAMETER, call, "RequestStateChange",
                            CIMClassName("CIM_ComputerSystem"), RequestedState=Uint16(2))
