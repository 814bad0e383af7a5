#!/usr/bin/python3
"""Looks at the bus from outside, as Venus does, and says what must never be seen there.

watcher.py ADDRESS follows the packs and the aggregate and writes one line for each thing that is wrong. The
daemon has LATE seconds to act on what a pack said: what was true at any moment of them is allowed. A line on
stdin says what the settings are: {"own": BOOL, "target_V": VOLTS, "most_A": AMPERES}, or of which pack nothing
can be expected from now on, {"ignore": SERVICE}, and when it can again, {"look": SERVICE}. The end of stdin is
the end; then it writes what it has seen as one line of JSON.
"""

import json
import math
import os
import sys
import time
from collections import deque

import dbus
import dbus.bus
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

ITEM = "com.victronenergy.BusItem"
PREFIX = "com.victronenergy.battery."
AGGREGATE = PREFIX + "aggregate"
LATE_S = float(os.environ.get("LATE", "4"))
CVL, CCL, DCL = "/Info/MaxChargeVoltage", "/Info/MaxChargeCurrent", "/Info/MaxDischargeCurrent"
FOLLOWED = (CVL, "/Io/AllowToCharge", "/Io/AllowToDischarge", CCL, DCL)
PLAUSIBLE = {CVL: 1000, CCL: 5000, DCL: 5000, "/Io/AllowToCharge": 1, "/Io/AllowToDischarge": 1}


def number(value):
    """A number that a pack may say; None for everything else."""
    if isinstance(value, (dbus.String, dbus.Array, dbus.Struct, dbus.Dictionary)):
        return None
    return float(value)


class Told:
    """A value with what it was in the last LATE_S seconds."""

    def __init__(self, value):
        self.past = deque([(time.monotonic(), value)])

    def tell(self, value):
        self.past.append((time.monotonic(), value))

    def lately(self):
        oldest = time.monotonic() - LATE_S
        while len(self.past) > 1 and self.past[1][0] < oldest:
            self.past.popleft()
        return [value for _, value in self.past]


class Watcher:
    def __init__(self, address):
        self.bus = dbus.bus.BusConnection(address)
        self.owners = {}  # unique name -> service
        self.packs = {}  # service -> {path: Told}
        self.ignored = set()
        self.ours = {}
        self.asked_s = time.monotonic()
        self.settings = Told(None)
        self.seen = {"signals": 0, "published": 0, "wrong": 0, "off_the_bus": 0, "slowest_answer_s": 0.0}
        self.was_there = False
        self.last_wrong = {}
        self.bus.add_signal_receiver(self.on_owner, "NameOwnerChanged", "org.freedesktop.DBus",
                                     "org.freedesktop.DBus")
        self.bus.add_signal_receiver(self.on_items, "ItemsChanged", ITEM, sender_keyword="sender")
        for name in self.bus.list_names():
            if name.startswith(PREFIX):
                self.on_owner(name, "", self.bus.get_name_owner(name))
        GLib.timeout_add(1000, self.every_second)

    def wrong(self, what, detail):
        """At most one line of a kind in ten seconds."""
        self.seen["wrong"] += 1
        now = time.monotonic()
        if now - self.last_wrong.get(what, -100) > 10:
            self.last_wrong[what] = now
            print("%s %s: %s" % (time.strftime("%H:%M:%S"), what, detail), flush=True)

    # -- who is there --

    def on_owner(self, name, before, after):
        if not name.startswith(PREFIX):
            return
        if before:
            self.owners.pop(before, None)
        if name == AGGREGATE and before and not after:
            self.ours = {}
            self.seen["off_the_bus"] += 1
            self.wrong("off the bus", "the aggregate released its name")
        if not after:
            return
        self.owners[after] = name
        self.ask(name)

    def ask(self, name):
        self.bus.call_async(name, "/", ITEM, "GetItems", "", (), lambda items: self.take(name, items),
                            lambda error: None, timeout=20)

    def on_items(self, items, sender=None):
        self.seen["signals"] += 1
        if sender in self.owners:
            self.take(self.owners[sender], items)

    def take(self, name, items):
        if name == AGGREGATE:
            self.seen["published"] += 1
            self.take_ours(items)
            return
        for path in FOLLOWED if name not in self.ignored else ():
            value = number(items[path]["Value"]) if path in items and "Value" in items[path] else None
            if value is None or not 0 <= value <= PLAUSIBLE[path]:
                continue  # the last one that can be stands
            told = self.packs.setdefault(name, {})
            if path in told:
                told[path].tell(value)
            else:
                told[path] = Told(value)

    # -- what must hold --

    def take_ours(self, items):
        for path, item in items.items():
            value = item.get("Value")
            if isinstance(value, dbus.Double) and not math.isfinite(value):
                self.wrong("not finite", "%s is %s" % (path, value))
            self.ours[str(path)] = number(value) if not isinstance(value, dbus.String) else str(value)
        self.check()

    def any_lately(self, path, condition):
        """Packs that are on the bus and said nothing else for LATE_S."""
        return [name for name, told in self.packs.items() if path in told and name in self.owners.values()
                and name not in self.ignored and all(condition(value) for value in told[path].lately())]

    def check(self):
        cvl, ccl, dcl = (self.ours.get(path) for path in (CVL, CCL, DCL))
        settings = [one for one in self.settings.lately() if one]
        soc = self.ours.get("/Soc")
        for path, value in ((CCL, ccl), (DCL, dcl)):
            if value is None or value < 0:
                self.wrong("no limit", "%s is %s" % (path, value))
            elif settings and value > max(one["most_A"] for one in settings) + 0.05:
                self.wrong("above the configured maximum", "%s is %g" % (path, value))
        if cvl is None or not 0 < cvl < 100:
            self.wrong("no limit", "%s is %s" % (CVL, cvl))
        elif settings:
            self.check_voltage(cvl, settings)
        if soc is not None and not 0 <= soc <= 100:
            self.wrong("SoC", "is %s" % soc)
        self.check_blocked(ccl, dcl)

    def check_voltage(self, cvl, settings):
        own, merged = [one for one in settings if one["own"]], [one for one in settings if not one["own"]]
        allowed = [one["target_V"] for one in own]
        if merged:
            known = [told for name, told in self.packs.items() if CVL in told and name not in self.ignored]
            allowed.append(min((max(told[CVL].lately()) for told in known), default=100))
        if cvl > max(allowed) + 0.006:
            self.wrong("CVL too high", "%g of %g V (%s)" % (cvl, max(allowed), self.ours.get("/Info/ChargeMode")))

    def check_blocked(self, ccl, dcl):
        if not all(one is None or not one["own"] for one in self.settings.lately()):
            limits = ((ccl, "/Io/AllowToCharge"), (dcl, "/Io/AllowToDischarge"))
        else:
            limits = ((ccl, "/Io/AllowToCharge"), (dcl, "/Io/AllowToDischarge"), (ccl, CCL), (dcl, DCL))
        for value, path in limits:
            blocking = self.any_lately(path, lambda allowed: allowed == 0)
            if blocking and value:
                self.wrong("a pack blocks", "%g A although %s %s is 0" % (value, blocking[0], path))

    # -- is it alive --

    def every_second(self):
        asked_s = time.monotonic()

        def answered(_value):
            self.was_there = True
            self.seen["slowest_answer_s"] = max(self.seen["slowest_answer_s"], time.monotonic() - asked_s)

        def silent(error):
            if self.was_there:
                self.wrong("no answer", error.get_dbus_name())

        self.bus.call_async(AGGREGATE, "/Soc", ITEM, "GetValue", "", (), answered, silent, timeout=10)
        if self.ours:
            self.check()
        return True

    def told(self, line):
        order = json.loads(line)
        if "ignore" in order:
            self.ignored.add(order["ignore"])
        elif "look" in order:
            self.ignored.discard(order["look"])
            self.packs.pop(order["look"], None)
            self.ask(order["look"])
        else:
            self.settings.tell(order)


def main():
    DBusGMainLoop(set_as_default=True)
    loop = GLib.MainLoop()
    watcher = Watcher(sys.argv[1])
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
            watcher.told(line)
        return True

    GLib.io_add_watch(0, GLib.IO_IN | GLib.IO_HUP, readable)
    print("ready", flush=True)
    loop.run()
    print(json.dumps(watcher.seen), flush=True)


main()
