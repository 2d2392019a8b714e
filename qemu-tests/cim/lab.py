"""Virtual systems as a client handles them: settings, requests, jobs, waiting."""

import time

from pywbem import CIMInstance, Uint16, Uint32, Uint64

from patience import PATIENCE

PROCESSOR, MEMORY, IO_DEVICE, SERIAL_PORT = 3, 4, 13, 21
ENABLED, DISABLED, SHUT_DOWN, QUIESCE, REBOOT, RESET = 2, 3, 4, 9, 10, 11
STARTING = 10
OK, JOB, INVALID_TRANSITION, BUSY = 0, 4096, 4097, 4099
RUNNING, COMPLETED, TERMINATED, EXCEPTION = 4, 7, 8, 10


def vssd(class_name="BH_VirtualSystemSettingData", **properties):
    return CIMInstance(class_name, properties)


def rasd(kind, class_name="CIM_ResourceAllocationSettingData", **properties):
    for name in ("VirtualQuantity", "Reservation", "Limit"):
        if isinstance(properties.get(name), int):
            properties[name] = Uint64(properties[name])
    if isinstance(properties.get("Weight"), int):
        properties["Weight"] = Uint32(properties["Weight"])
    if isinstance(properties.get("MappingBehavior"), int):
        properties["MappingBehavior"] = Uint16(properties["MappingBehavior"])
    return CIMInstance(class_name, {"ResourceType": Uint16(kind), **properties})


def memory(mebibytes, **properties):
    return rasd(MEMORY, VirtualQuantity=mebibytes, VirtualQuantityUnits="byte * 2^20", **properties)


class Lab:
    """A server with what the tests do to it."""

    def __init__(self, server, user=None, password=None, kernel="vmlinuz", initrd="initrd.img", patience=PATIENCE):
        """Systems boot `kernel` if nothing else is said; `patience` is for jobs, in seconds."""
        self.server = server
        self.kernel, self.initrd, self.patience = kernel, initrd, patience
        self.conn = server.connect(user, password)
        self.service = self.conn.EnumerateInstanceNames("CIM_VirtualSystemManagementService")[0]

    def call(self, method, **arguments):
        return self.conn.InvokeMethod(method, self.service, **arguments)

    def define(self, *resources, settings=None, **properties):
        properties.setdefault("Kernel", self.kernel)
        settings = settings or vssd(**properties)
        code, outputs = self.call("DefineSystem", SystemSettings=settings, ResourceSettings=list(resources))
        assert code == OK, code
        return outputs["ResultingSystem"]

    def ask(self, system, state, **arguments):
        return self.conn.InvokeMethod("RequestStateChange", system, RequestedState=Uint16(state), **arguments)

    def wait_for_job(self, path, seconds=None):
        end = time.monotonic() + (seconds or self.patience)
        while time.monotonic() < end:
            job = self.conn.GetInstance(path)
            if job["JobState"] != RUNNING:
                return job
            time.sleep(0.02)
        raise AssertionError(f"the job {path} does not end")

    def change(self, system, state, **arguments):
        """Asks for a state and waits for it."""
        code, outputs = self.ask(system, state, **arguments)
        assert code == JOB, code
        job = self.wait_for_job(outputs["Job"])
        assert job["JobState"] == COMPLETED, job["ErrorDescription"]
        return job

    def state(self, system):
        return self.conn.GetInstance(system)["EnabledState"]

    def wait_for_state(self, system, state, seconds=None):
        end = time.monotonic() + (seconds or self.patience)
        while time.monotonic() < end:
            if self.state(system) == state:
                return
            time.sleep(0.02)
        raise AssertionError(f"{system} is in state {self.state(system)}, not {state}")

    def one(self, path, association, result, **filters):
        found = self.conn.Associators(path, AssocClass=association, ResultClass=result, **filters)
        assert len(found) == 1, found
        return found[0]

    def state_settings(self, system):
        return self.one(system, "CIM_SettingsDefineState", "CIM_VirtualSystemSettingData")

    def defined_settings(self, system):
        state = self.state_settings(system)
        return self.one(state.path, "CIM_ElementSettingData", "CIM_VirtualSystemSettingData")

    def allocations(self, settings):
        found = self.conn.Associators(settings.path, AssocClass="CIM_VirtualSystemSettingDataComponent")
        return {(item["ResourceType"], item["ResourceSubType"]): item for item in found}

    def pool(self, kind):
        pools = self.conn.EnumerateInstances("CIM_ResourcePool")
        return next(pool for pool in pools if pool["ResourceType"] == kind)

    def why(self, outputs):
        """The CIM_Error of the job that a refused method returns."""
        job = self.conn.GetInstance(outputs["Job"])
        assert job["JobState"] == EXCEPTION, job["JobState"]
        code, given = self.conn.InvokeMethod("GetError", outputs["Job"])
        assert code == OK, code
        assert given["Error"].classname == "CIM_Error"
        assert given["Error"]["Message"] == job["ErrorDescription"]
        return given["Error"]

    def clear(self):
        for system in self.conn.EnumerateInstances("CIM_ComputerSystem"):
            if system["NameFormat"] != "UUID":
                continue
            if system["EnabledState"] != DISABLED:
                code, outputs = self.ask(system.path, DISABLED)
                if code == JOB:
                    self.wait_for_job(outputs["Job"])
                self.wait_for_state(system.path, DISABLED)
            code, _ = self.call("DestroySystem", AffectedSystem=system.path)
            assert code == OK, code
