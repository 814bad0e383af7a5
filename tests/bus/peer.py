#!/usr/bin/python3
"""Services of other makers for the tests: packs, chargers, the settings.

Written on dbus-python and GLib, so that what the daemon reads was not written by the code that it is
made of. Every service has its own connection, as on a real system. Commands come as one JSON object a
line on stdin; each is answered by one JSON line when it took effect. The end of stdin is the end.

  {"cmd": "add", "service": NAME, "items": {PATH: VALUE}, "style": STYLE, "like": TEMPLATE, "without": [PATH]}
  {"cmd": "set", "service": NAME, "items": {PATH: VALUE}, "signal": "items" | "properties" | "none"}
  {"cmd": "raw", "service": NAME, "path": PATH, "member": SIGNAL, "signature": S, "args": [..],
   "interface": INTERFACE, "to": NAME}                     any signal, to everybody or to one
  {"cmd": "remove", "service": NAME}                       its connection is closed
  {"cmd": "return", "service": NAME, "as": NEW_NAME}       a removed one comes back as it was
  {"cmd": "rename", "service": NAME, "to": NEW_NAME}       remove and return
  {"cmd": "freeze" | "thaw", "service": NAME}              owns its name, answers and signals nothing
  {"cmd": "hang", "service": NAME}                         frozen from the start
  {"cmd": "flood", "service": NAME, "rate": PER_SECOND, "seconds": S}    and "flood_stop"
  {"cmd": "settings", "items": {PATH: VALUE}}              com.victronenergy.settings
  {"cmd": "refuse", "on": BOOL}                            the settings service takes nothing, until it does
  {"cmd": "calls", "service": NAME}                        what was called on it, and how often
  {"cmd": "bus_lost"}, {"cmd": "bus_back"}                 all leave; all come back
  {"cmd": "reset"}                                         nobody is there any more

VALUE is a JSON number (whole: int32, else double), a text, null (invalid), or {"t": TYPE, "v": VALUE} with
a D-Bus type of one letter. STYLE: "getitems" (GetItems and everything older), "tree" (the root knows
GetValue and GetText only), "leaf" (there is no root), "odd" (a root that answers with what is not a tree).
"""

import json
import os
import subprocess
import sys
import time

import dbus
import dbus.bus
import dbus.lowlevel
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

ITEM = "com.victronenergy.BusItem"
SETTINGS = "com.victronenergy.Settings"
SETTINGS_NAME = "com.victronenergy.settings"

TYPES = {
    "y": dbus.Byte, "b": dbus.Boolean, "n": dbus.Int16, "q": dbus.UInt16, "i": dbus.Int32, "u": dbus.UInt32,
    "x": dbus.Int64, "t": dbus.UInt64, "d": dbus.Double, "s": dbus.String,
}


def to_bus(value):
    """A JSON value as what goes into a variant."""
    if isinstance(value, dict):
        return TYPES[value["t"]](value["v"], variant_level=1)
    if value is None:
        return dbus.Array([], signature="i", variant_level=1)
    if isinstance(value, int):
        return dbus.Int32(value, variant_level=1)
    if isinstance(value, float):
        return dbus.Double(value, variant_level=1)
    return dbus.String(value, variant_level=1)


def to_text(value):
    if isinstance(value, dict):
        value = value["v"]
    return "---" if value is None else str(value)


def from_bus(value):
    """What a client wrote, as a JSON value."""
    if isinstance(value, dbus.Array):
        return None
    if isinstance(value, dbus.String):
        return str(value)
    if isinstance(value, dbus.Double):
        return float(value)
    return int(value)


def shown(value):
    return dbus.Dictionary({"Value": to_bus(value), "Text": dbus.String(to_text(value), variant_level=1)},
                           signature="sv")


class Node(dbus.service.Object):
    """The root or an inner node: knows its subtree."""

    def __init__(self, service, path):
        super().__init__(service.connection, path)
        self.service = service
        self.prefix = path.rstrip("/") + "/"

    def subtree(self, convert):
        items = {path[len(self.prefix):]: convert(value) for path, value in self.service.items.items()
                 if path.startswith(self.prefix)}
        return dbus.Dictionary(items, signature="sv", variant_level=1)

    @dbus.service.method(ITEM, out_signature="v")
    def GetValue(self):
        self.service.count("GetValue", self.prefix)
        return self.subtree(to_bus)

    @dbus.service.method(ITEM, out_signature="v")
    def GetText(self):
        self.service.count("GetText", self.prefix)
        return self.subtree(lambda value: dbus.String(to_text(value), variant_level=1))


class Root(Node):
    """A root of today."""

    @dbus.service.method(ITEM, out_signature="a{sa{sv}}")
    def GetItems(self):
        self.service.count("GetItems", "/")
        return {path: shown(value) for path, value in self.service.items.items()}

    @dbus.service.signal(ITEM, signature="a{sa{sv}}")
    def ItemsChanged(self, changes):
        pass


class OddRoot(dbus.service.Object):
    """A root whose answers have nothing to do with the contract."""

    def __init__(self, service, path):
        super().__init__(service.connection, path)
        self.service = service

    @dbus.service.method(ITEM, out_signature="a(si)")
    def GetItems(self):
        self.service.count("GetItems", "/")
        return [("/Soc", 1), ("/Dc/0/Voltage", 2)]

    @dbus.service.method(ITEM, out_signature="v")
    def GetValue(self):
        return dbus.Struct(("Soc", 1), variant_level=1)


class Leaf(dbus.service.Object):
    def __init__(self, service, path):
        super().__init__(service.connection, path)
        self.service = service
        self.path = path

    @dbus.service.method(ITEM, out_signature="v")
    def GetValue(self):
        self.service.count("GetValue", self.path)
        return to_bus(self.service.items[self.path])

    @dbus.service.method(ITEM, out_signature="s")
    def GetText(self):
        return to_text(self.service.items[self.path])

    @dbus.service.method(ITEM, in_signature="v", out_signature="i")
    def SetValue(self, value):
        self.service.count("SetValue", self.path)
        return self.service.written(self.path, from_bus(value))

    @dbus.service.signal(ITEM, signature="a{sv}")
    def PropertiesChanged(self, changes):
        pass


class SettingsGroup(Node):
    """Where settings are added: the root and /Settings."""

    @dbus.service.method(SETTINGS, in_signature="ssvsvv", out_signature="i")
    def AddSetting(self, group, name, default, kind, minimum, maximum):
        del kind, minimum, maximum
        self.service.count("AddSetting", name)
        self.service.add_setting(self.prefix + group.strip("/") + "/" + name.strip("/"), from_bus(default))
        return 0

    @dbus.service.method(SETTINGS, in_signature="aa{sv}", out_signature="aa{sv}")
    def AddSettings(self, wanted):
        self.service.count("AddSettings", self.prefix)
        if self.service.refusing:
            raise dbus.DBusException("nothing is added", name="com.victronenergy.Error.Refused")
        answer = []
        for one in wanted:
            path = str(one["path"])
            if not path.startswith("/Settings/"):
                path = self.prefix + path.strip("/")
            value = self.service.add_setting(path, from_bus(one["default"]))
            answer.append({"path": one["path"], "error": dbus.Int32(0), "value": to_bus(value)})
        return dbus.Array(answer, signature="a{sv}")


class Service:
    """One name on a connection of its own. All paths are there before the name is."""

    def __init__(self, address, name, items, style, frozen=False):
        self.address, self.name, self.items, self.style = address, name, items, style
        self.frozen = frozen
        self.calls = {}
        self.leaves = {}
        self.root = None
        self.connection = None
        self.connect()

    def connect(self):
        self.connection = dbus.bus.BusConnection(self.address)
        self.connection.set_exit_on_disconnect(False)
        self.connection.add_message_filter(self.filter)
        self.leaves = {}
        self.export()
        taken = self.connection.request_name(self.name, dbus.bus.NAME_FLAG_DO_NOT_QUEUE)
        if taken != dbus.bus.REQUEST_NAME_REPLY_PRIMARY_OWNER:
            raise RuntimeError("somebody else owns " + self.name)

    def export(self):
        if self.style == "getitems":
            self.root = Root(self, "/")
        elif self.style == "tree":
            self.root = Node(self, "/")
        elif self.style == "odd":
            self.root = OddRoot(self, "/")
        for path in self.items:
            self.add_leaf(path)

    def add_leaf(self, path):
        self.leaves[path] = Leaf(self, path)

    def filter(self, _connection, message):
        if self.frozen and isinstance(message, dbus.lowlevel.MethodCallMessage):
            return dbus.lowlevel.HANDLER_RESULT_HANDLED
        return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED

    def count(self, member, path):
        key = member + " " + path
        self.calls[key] = self.calls.get(key, 0) + 1

    def set(self, items, signal):
        for path in items:
            if path not in self.items:
                self.add_leaf(path)
        self.items.update(items)
        if self.frozen or signal == "none":
            return
        if signal == "items" and self.style == "getitems":
            self.root.ItemsChanged({path: shown(value) for path, value in items.items()})
        else:
            for path, value in items.items():
                self.leaves[path].PropertiesChanged(shown(value))
        self.connection.flush()

    def written(self, path, value):
        del path, value
        return 1

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None


class SettingsService(Service):
    """com.victronenergy.settings: adds settings, keeps the values that are there, hands out instances."""

    def __init__(self, address, items, refusing=False):
        self.refusing = refusing
        super().__init__(address, SETTINGS_NAME, items, "tree")

    def export(self):
        self.root = SettingsGroup(self, "/")
        self.group = SettingsGroup(self, "/Settings")
        for path in self.items:
            self.add_leaf(path)

    def free_instance(self, wish):
        device_class, number = wish.split(":")
        number = int(number)
        taken = [value for path, value in self.items.items() if path.endswith("/ClassAndVrmInstance")]
        while "%s:%d" % (device_class, number) in taken:
            number += 1
        return "%s:%d" % (device_class, number)

    def add_setting(self, path, default):
        if path not in self.items:
            if path.endswith("/ClassAndVrmInstance"):
                default = self.free_instance(default)
            self.set({path: default}, "properties")
        return self.items[path]

    def written(self, path, value):
        if self.refusing:
            return 2
        if value != self.items[path]:
            self.set({path: value}, "properties")
        return 0


def pack_template(name):
    """A pack that shows everything, as a serial driver does: 16 cells, 100 Ah, half full, idle."""
    tail = name.rsplit(".", 1)[-1]
    items = {
        "/Mgmt/ProcessName": "peer", "/Mgmt/ProcessVersion": "1", "/Mgmt/Connection": tail,
        "/DeviceInstance": 1, "/ProductId": 0xBA77, "/ProductName": "SerialBattery(Peer)", "/CustomName": tail,
        "/Serial": "SN-" + tail, "/FirmwareVersion": "1.0", "/HardwareVersion": "2", "/Connected": 1,
        "/Dc/0/Voltage": 52.8, "/Dc/0/Current": 0.0, "/Dc/0/Power": 0.0, "/Dc/0/Temperature": 25.0,
        "/Soc": 50, "/Soh": 100, "/InstalledCapacity": 100.0, "/Capacity": 50.0, "/ConsumedAmphours": -50.0,
        "/TimeToGo": None, "/Voltages/Sum": 52.8, "/Voltages/Diff": 0.0,
        "/System/MinCellVoltage": 3.3, "/System/MaxCellVoltage": 3.3,
        "/System/MinVoltageCellId": "C1", "/System/MaxVoltageCellId": "C1",
        "/System/MinCellTemperature": 25.0, "/System/MaxCellTemperature": 25.0,
        "/System/MinTemperatureCellId": "T1", "/System/MaxTemperatureCellId": "T1",
        "/System/NrOfCellsPerBattery": 16, "/System/NrOfModulesOnline": 1, "/System/NrOfModulesOffline": 0,
        "/System/NrOfModulesBlockingCharge": 0, "/System/NrOfModulesBlockingDischarge": 0,
        "/Info/MaxChargeVoltage": 55.2, "/Info/MaxChargeCurrent": 100.0, "/Info/MaxDischargeCurrent": 120.0,
        "/Info/BatteryLowVoltage": 44.8, "/Info/ChargeMode": "Bulk",
        "/Io/AllowToCharge": 1, "/Io/AllowToDischarge": 1, "/Io/AllowToBalance": 1, "/Balancing": 0,
        "/Alarms/LowVoltage": 0, "/Alarms/HighVoltage": 0, "/Alarms/LowCellVoltage": 0, "/Alarms/LowSoc": 0,
        "/Alarms/HighTemperature": 0, "/Alarms/LowTemperature": 0, "/Alarms/CellImbalance": 0,
        "/Alarms/InternalFailure": 0, "/History/ChargeCycles": 10,
    }
    for cell in range(1, 17):
        items["/Voltages/Cell%d" % cell] = 3.3
    return items


def can_pack_template(name):
    """A pack on CAN: no single cells, no power, no capacity left, whole numbers where it can."""
    tail = name.rsplit(".", 1)[-1]
    return {
        "/Mgmt/ProcessName": "peer", "/Mgmt/Connection": tail, "/DeviceInstance": 2, "/ProductId": 0xB009,
        "/ProductName": "PYLON battery", "/CustomName": tail, "/Serial": "", "/Connected": 1,
        "/Dc/0/Voltage": 52.8, "/Dc/0/Current": 0.0, "/Dc/0/Temperature": 25.0, "/Soc": 50, "/Soh": 99,
        "/InstalledCapacity": 100, "/ConsumedAmphours": None,
        "/System/MinCellVoltage": 3.3, "/System/MaxCellVoltage": 3.3,
        "/System/MinVoltageCellId": "M1C1", "/System/MaxVoltageCellId": "M1C2",
        "/System/MinCellTemperature": 25.0, "/System/MaxCellTemperature": 25.0,
        "/System/NrOfModulesOnline": 2, "/System/NrOfModulesOffline": 0,
        "/Info/MaxChargeVoltage": 55.2, "/Info/MaxChargeCurrent": 100, "/Info/MaxDischargeCurrent": 100,
        "/Info/BatteryLowVoltage": 46, "/Io/AllowToCharge": 1, "/Io/AllowToDischarge": 1,
        "/Alarms/LowVoltage": 0, "/Alarms/HighVoltage": 0, "/Alarms/InternalFailure": 0,
    }


TEMPLATES = {"pack": pack_template, "can": can_pack_template, None: lambda name: {}}


class Peer:
    def __init__(self, address):
        self.address = address
        self.services = {}
        self.removed = {}
        self.flood = None

    def add(self, c):
        items = TEMPLATES[c.get("like")](c["service"])
        items.update(c.get("items", {}))
        for path in c.get("without", []):
            items.pop(path, None)
        self.services[c["service"]] = Service(self.address, c["service"], items, c.get("style", "getitems"))

    def hang(self, c):
        items = TEMPLATES[c.get("like")](c["service"])
        self.services[c["service"]] = Service(self.address, c["service"], items, "getitems", frozen=True)

    def settings(self, c):
        self.services[SETTINGS_NAME] = SettingsService(self.address, dict(c.get("items", {})), c.get("refusing", False))

    def refuse(self, c):
        self.services[SETTINGS_NAME].refusing = c["on"]

    def set(self, c):
        self.services[c["service"]].set(c["items"], c.get("signal", "items"))

    def raw(self, c):
        message = dbus.lowlevel.SignalMessage(c["path"], c.get("interface", ITEM), c["member"])
        if "to" in c:
            message.set_destination(c["to"])
        if c["args"]:
            message.append(*c["args"], signature=c["signature"])
        connection = self.services[c["service"]].connection
        connection.send_message(message)
        connection.flush()

    def remove(self, c):
        service = self.services.pop(c["service"])
        service.close()
        self.removed[c["service"]] = service

    def bring_back(self, c):
        service = self.removed.pop(c["service"])
        service.name = c.get("as", service.name)
        service.connect()
        self.services[service.name] = service

    def rename(self, c):
        self.remove(c)
        self.bring_back({"service": c["service"], "as": c["to"]})

    def freeze(self, c):
        self.services[c["service"]].frozen = True

    def thaw(self, c):
        self.services[c["service"]].frozen = False

    def calls(self, c):
        return {"calls": self.services[c["service"]].calls}

    def start_flood(self, c):
        self.flood = subprocess.Popen(
            [sys.executable, __file__, self.address, "flood", c["service"], str(c.get("rate", 10000)),
             str(c.get("seconds", 30))], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        self.flood.stdout.readline()

    def stop_flood(self, _command):
        if self.flood:
            self.flood.terminate()
            self.flood.wait()
            self.flood = None

    def bus_lost(self, _command):
        for service in self.services.values():
            service.close()

    def bus_back(self, _command):
        for service in self.services.values():
            service.connect()

    def reset(self, command):
        self.stop_flood(command)
        self.bus_lost(command)
        self.services.clear()
        self.removed.clear()

    def do(self, line):
        table = {"add": self.add, "set": self.set, "raw": self.raw, "remove": self.remove, "return": self.bring_back,
                 "rename": self.rename, "freeze": self.freeze, "thaw": self.thaw, "hang": self.hang,
                 "flood": self.start_flood, "flood_stop": self.stop_flood, "settings": self.settings, "refuse": self.refuse,
                 "calls": self.calls, "bus_lost": self.bus_lost, "bus_back": self.bus_back,
                 "reset": self.reset}
        try:
            command = json.loads(line)
            answer = table[command["cmd"]](command) or {}
            answer["ok"] = True
        except Exception as error:  # whatever went wrong, the test shall see it
            answer = {"ok": False, "error": "%s: %s" % (type(error).__name__, error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def serve(address):
    DBusGMainLoop(set_as_default=True)
    loop = GLib.MainLoop()
    peer = Peer(address)
    pending = bytearray()

    def readable(fd, _condition):
        data = os.read(fd, 65536)
        if not data:
            loop.quit()
            return False
        pending.extend(data)
        while b"\n" in pending:
            line, _, rest = bytes(pending).partition(b"\n")
            pending[:] = rest
            peer.do(line)
        return True

    GLib.io_add_watch(0, GLib.IO_IN | GLib.IO_HUP, readable)
    sys.stdout.write(json.dumps({"ok": True}) + "\n")
    sys.stdout.flush()
    loop.run()
    peer.stop_flood(None)


def flood(address, name, rate, seconds):
    """Signals of the right kind about paths that nobody wants, at a steady rate, half of them of each form."""
    connection = dbus.bus.BusConnection(address)
    connection.request_name(name, dbus.bus.NAME_FLAG_DO_NOT_QUEUE)
    parent = os.getppid()
    one = dbus.lowlevel.SignalMessage("/Noise/Level", ITEM, "PropertiesChanged")
    one.append(shown(1.5), signature="a{sv}")
    many = dbus.lowlevel.SignalMessage("/", ITEM, "ItemsChanged")
    many.append({"/Noise/%d" % i: shown(i) for i in range(8)}, signature="a{sa{sv}}")
    start = time.monotonic()
    sent = 0
    said = False
    while time.monotonic() - start < seconds and os.getppid() == parent:
        due = int((time.monotonic() - start) * rate)
        while sent < due:
            connection.send_message((many if sent % 2 else one).copy())
            sent += 1
        connection.flush()
        if not said and sent > rate / 10:
            sys.stdout.write("flooding\n")
            sys.stdout.flush()
            said = True
        time.sleep(0.005)


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[2] == "flood":
        flood(sys.argv[1], sys.argv[3], float(sys.argv[4]), float(sys.argv[5]))
    else:
        serve(sys.argv[1])
