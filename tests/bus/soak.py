#!/usr/bin/python3
"""A house in which something fails every second, for as long as you like.

soak.py --seconds S [--seed N] [--every S] [--memory] DAEMON runs DAEMON against battery-fleet at ten times the speed of life,
on a bus of its own. Every second one of the FAULTS below begins, at random; each ends by itself. watcher.py, a
process of its own, looks at the bus from outside. In the end all is well again, and what is owed must be paid.
Fails when the watcher saw something wrong, when the daemon ended or its sanitizers found something, when file
descriptors leak, when feed-in is not returned, and, with --memory, when memory grows by 1 % or more from the
first quarter to the last.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import dbus
import dbus.bus
import dbus.lowlevel
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

import peer

BUILD = os.environ.get("BUILD", "build")
FLEET = os.environ.get("FLEET", BUILD + "/battery-fleet")
BATTERY = "com.victronenergy.battery."
AGGREGATE = BATTERY + "aggregate"
FEED_IN = "/Settings/CGwacs/OvervoltageFeedIn"
PACKS, CELLS = 4, 16
TARGET_V, MOST_A = 3.45, 150

COMMON = """[all]
STALE_AFTER = 4
LOST_GRACE = 60
MAX_CHARGE_CURRENT = %d
MAX_DISCHARGE_CURRENT = %d
FEED_IN_MIN_HOLD = 0
CHARGE_SAVE_PRECISION = 0.001
CHARGE_VOLTAGE_LIST = %s
""" % (MOST_A, MOST_A, ", ".join([str(TARGET_V)] * 12))
OWN = COMMON + "OWN_CHARGE_PARAMETERS = True\nOWN_SOC = True\n"
MERGED = COMMON + "CURRENT_FROM_VICTRON = True\n"
ODDITIES = ["-", "1e300", "-1e300", "nan", "inf", "-inf", "6553.5", "-1", "0", "4294967295", '"full"', '""', '"%s%n"',
            '"1e9999"', '"' + "ü" * 60 + '"']
PATHS = (["/Dc/0/Voltage", "/Dc/0/Current", "/Dc/0/Power", "/Dc/0/Temperature", "/Soc", "/Soh", "/InstalledCapacity",
          "/System/MinCellVoltage", "/System/MaxCellVoltage", "/System/NrOfCellsPerBattery", "/System/NrOfModulesOnline",
          "/Info/MaxChargeVoltage", "/Info/MaxChargeCurrent", "/Info/MaxDischargeCurrent", "/Info/ChargeMode",
          "/Io/AllowToCharge", "/Io/AllowToDischarge", "/Connected", "/ProductName", "/ProductId", "/CustomName",
          "/Serial", "/DeviceInstance", "/Voltages/Sum", "/Alarms/HighVoltage", "/Alarms/InternalFailure"]
         + ["/Voltages/Cell%d" % cell for cell in range(1, CELLS + 1)])


class Soak:
    def __init__(self, options):
        self.options = options
        self.chance = random.Random(options.seed)
        self.folder = tempfile.mkdtemp(prefix="aggregator-soak-")
        self.address = "unix:path=%s/bus" % self.folder
        self.children, self.counts, self.samples = [], {}, []
        self.failures = []
        self.busy = set()  # packs that already have a fault
        self.names = {pack: BATTERY + "ttyUSB%d" % (pack - 1) for pack in range(1, PACKS + 1)}
        self.usb = PACKS
        self.loop = GLib.MainLoop()
        os.mkdir(self.folder + "/data")

    # -- processes --

    def spawn(self, command, **channels):
        child = subprocess.Popen(command, **{"stdin": subprocess.DEVNULL, **channels})
        self.children.append(child)
        return child

    def begin(self):
        bus = self.spawn(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address",
                          "--address=" + self.address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        bus.stdout.readline()  # it listens
        DBusGMainLoop(set_as_default=True)
        self.system = peer.SettingsService(self.address, {FEED_IN: 1, "/Settings/System/TimeZone": "UTC"})
        self.stranger = dbus.bus.BusConnection(self.address)
        self.fleet = self.spawn([FLEET, "--packs", str(PACKS), "--mppts", "2", "--shunts", "1", "--speed", "10",
                                 "--period", "100", "--no-settings", "--ready", "--bus", self.address],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.fleet.stdout.readline()
        self.write_settings(OWN)
        self.log = open(self.folder + "/log", "w+", errors="replace")
        self.daemon = self.spawn([self.options.daemon, "--bus", self.address, "--settings",
                                  self.folder + "/settings.ini", "--data", self.folder + "/data"],
                                 stdout=self.log, stderr=subprocess.STDOUT)
        self.await_aggregate()
        self.watcher = self.spawn([sys.executable, os.path.join(os.path.dirname(__file__), "watcher.py"),
                                   self.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.watcher.stdout.readline()
        self.tell_watcher(own=True, target_V=TARGET_V * CELLS, most_A=MOST_A)

    def await_aggregate(self):
        while not self.stranger.name_has_owner(AGGREGATE):
            if self.daemon.poll() is not None:
                sys.exit("the daemon ended with %d" % self.daemon.returncode)
            GLib.MainContext.default().iteration(False)
            time.sleep(0.01)

    def tell_watcher(self, **order):
        print(json.dumps(order), file=self.watcher.stdin)

    def say(self, command):
        """One command to the fleet; False when it was refused."""
        print(command, file=self.fleet.stdin)
        answer = self.fleet.stdout.readline()
        if not answer:
            self.fail("the fleet has ended")
        return answer.startswith("ok")

    def write_settings(self, text):
        with open(self.folder + "/settings.ini", "w") as file:
            file.write(text)

    def fail(self, what):
        self.failures.append(what)
        self.loop.quit()

    def later(self, seconds, action):
        """Ends a fault; after the end of the run everything has ended."""
        def once():
            self.guarded(action)
            return False
        GLib.timeout_add(max(1, int(seconds * 1000)), once)

    # -- faults of a pack --

    def free_pack(self):
        free = [pack for pack in self.names if pack not in self.busy]
        return self.chance.choice(free) if len(free) > 1 else None

    def take_pack(self, begin, end, seconds, ignore=True):
        """At least one pack is always well: a bank without any is for another test."""
        pack = self.free_pack()
        if pack is None:
            return
        name = self.names[pack]
        self.busy.add(pack)
        if ignore:
            self.tell_watcher(ignore=name)
        begin(pack)

        def over():
            end(pack)
            self.busy.discard(pack)
            for known in {name, self.names[pack]}:
                self.tell_watcher(look=known)
        self.later(seconds, over)

    def pack_vanishes(self):
        def back(pack):
            if self.chance.random() < 0.5:
                self.say("return pack %d" % pack)
                return
            self.usb += 1
            self.names[pack] = BATTERY + "ttyUSB%d" % self.usb
            self.say("return pack %d as %s" % (pack, self.names[pack]))
        self.take_pack(lambda pack: self.say("remove pack %d" % pack), back, self.chance.uniform(0.01, 20))

    def pack_hangs(self):
        self.take_pack(lambda pack: self.say("freeze pack %d" % pack), lambda pack: self.say("thaw pack %d" % pack),
                       self.chance.uniform(0.5, 20))

    def pack_says_nonsense(self):
        path, value = self.chance.choice(PATHS), self.chance.choice(ODDITIES)
        self.take_pack(lambda pack: self.say("set pack %d %s %s" % (pack, path, value)),
                       lambda pack: self.say("release pack %d %s" % (pack, path)), self.chance.uniform(0.1, 8))

    def pack_blocks(self):
        path = self.chance.choice(["/Io/AllowToCharge", "/Io/AllowToDischarge", "/Info/MaxChargeCurrent",
                                   "/Info/MaxDischargeCurrent"])
        self.take_pack(lambda pack: self.say("set pack %d %s 0" % (pack, path)),
                       lambda pack: self.say("release pack %d %s" % (pack, path)), self.chance.uniform(1, 10), False)

    def pack_lowers_cvl(self):
        self.take_pack(lambda pack: self.say("set pack %d /Info/MaxChargeVoltage %.2f"
                                             % (pack, self.chance.uniform(50, 56))),
                       lambda pack: self.say("release pack %d /Info/MaxChargeVoltage" % pack),
                       self.chance.uniform(1, 10), False)

    def cell_peaks(self):
        path = "/Voltages/Cell%d" % self.chance.randint(1, CELLS)
        value = self.chance.choice([2.5, 2.89, 3.46, 3.5, 3.65, 4.2])
        self.take_pack(lambda pack: self.say("set pack %d %s %g" % (pack, path, value)),
                       lambda pack: self.say("release pack %d %s" % (pack, path)), self.chance.uniform(0.2, 10), False)

    # -- faults of others --

    def device_goes(self):
        who = self.chance.choice(["ttyS4", "ttyS5", "ttyS6", "ttyS20"])
        if who in self.busy:
            return
        self.busy.add(who)
        begin, end = self.chance.choice([("remove", "return"), ("freeze", "thaw")])
        self.say("%s %s" % (begin, who))

        def over():
            self.say("%s %s" % (end, who))
            self.busy.discard(who)
        self.later(self.chance.uniform(0.1, 10), over)

    def settings_service_refuses(self):
        self.system.refusing = True
        self.later(self.chance.uniform(1, 8), lambda: setattr(self.system, "refusing", False))

    def settings_service_hangs(self):
        self.system.frozen = True
        self.later(self.chance.uniform(1, 8), lambda: setattr(self.system, "frozen", False))

    def settings_service_restarts(self):
        if "settings" in self.busy:
            return
        self.busy.add("settings")
        self.system.close()

        def back():
            self.system.frozen = False
            self.system.connect()
            self.busy.discard("settings")
        self.later(self.chance.uniform(0.01, 8), back)

    def a_hand_turns_feed_in_on(self):
        if self.system.connection:
            self.system.set({FEED_IN: 1}, "properties")

    def sun_and_load(self):
        self.say(self.chance.choice(["sun %.2f" % self.chance.uniform(0, 1.2), "hour %.1f" % self.chance.uniform(0, 24),
                                     "load %d" % self.chance.choice([0, 300, 3000, 9000])]))

    # -- what the user does --

    def hang_up(self):
        own = self.chance.random() < 0.6
        self.write_settings(OWN if own else MERGED)
        self.tell_watcher(own=own, target_V=TARGET_V * CELLS, most_A=MOST_A)
        self.daemon.send_signal(signal.SIGHUP)

    def hang_up_with_wrong_settings(self):
        self.write_settings("MAX_CEL_VOLTAGE = 9\nSTALE_AFTER = never\n")
        self.daemon.send_signal(signal.SIGHUP)

    # -- strangers --

    def stranger_writes(self):
        call = dbus.lowlevel.MethodCallMessage(AGGREGATE, self.chance.choice(["/Info/MaxChargeCurrent", "/Soc", "/", "/No",
                                               "/Info/MaxChargeVoltage", "/CustomName"]), peer.ITEM, "SetValue")
        call.append(peer.to_bus(self.chance.choice([0, 7, 999.5, "x" * 3000, None])), signature="v")
        self.stranger.send_message(call)

    def stranger_forges(self):
        ours = str(self.stranger.get_name_owner(AGGREGATE))
        path = self.chance.choice(["/", "/Info/MaxChargeCurrent", "/Soc"])
        for destination in (None, ours):
            message = dbus.lowlevel.SignalMessage(path, peer.ITEM, "ItemsChanged" if path == "/" else "PropertiesChanged")
            if path == "/":
                message.append({"/Info/MaxChargeCurrent": peer.shown(4999.0), "/Soc": peer.shown(1)},
                               signature="a{sa{sv}}")
            else:
                message.append(peer.shown(4999.0), signature="a{sv}")
            if destination:
                message.set_destination(destination)
            self.stranger.send_message(message)
        gone = dbus.lowlevel.SignalMessage("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged")
        gone.append(self.names[1], str(self.stranger.get_unique_name()), "", signature="sss")
        gone.set_destination(ours)
        self.stranger.send_message(gone)

    def stranger_floods(self):
        ours = str(self.stranger.get_name_owner(AGGREGATE))
        for i in range(500):
            call = dbus.lowlevel.MethodCallMessage(ours, "/Flood/%d" % i, peer.ITEM, "GetValue")
            call.set_no_reply(i % 2 == 0)
            self.stranger.send_message(call)

    def odd_battery(self):
        name = BATTERY + "odd%d" % self.chance.randint(0, 5)
        if name in self.busy:
            return
        items = {"/DeviceInstance": self.chance.choice([99, -7, 5, "five"]), "/CustomName": "o" * 4000,
                 "/ProductName": self.chance.choice(["SmartShunt", "%s%n", None])}
        items.update({"/Odd/%d" % i: i for i in range(300)})
        service = peer.Service(self.address, name, items, self.chance.choice(["getitems", "tree", "leaf", "odd"]))
        self.busy.add(name)

        def over():
            service.close()
            self.busy.discard(name)
        self.later(self.chance.uniform(0.01, 5), over)

    # -- the run --

    def every_second(self):
        self.sample()
        if self.daemon.poll() is not None:
            self.fail("the daemon ended with %d" % self.daemon.returncode)
            return False
        if time.monotonic() - self.begin_s >= self.options.seconds:
            self.loop.quit()
            return False
        fault = self.chance.choice(FAULTS)
        self.counts[fault.__name__] = self.counts.get(fault.__name__, 0) + 1
        self.guarded(lambda: fault(self))
        return True

    def guarded(self, action):
        """A mistake of ours must end the run, not a timer."""
        try:
            action()
        except Exception:
            self.fail("soak.py itself: " + traceback.format_exc())

    def sample(self):
        try:
            with open("/proc/%d/smaps_rollup" % self.daemon.pid) as rollup:
                sizes = {line.split()[0]: int(line.split()[1]) for line in rollup if line.startswith(("Pss:", "Anonymous:"))}
            fds = len(os.listdir("/proc/%d/fd" % self.daemon.pid))
            self.samples.append((sizes["Pss:"], sizes["Anonymous:"], fds))
        except (OSError, KeyError):
            pass  # it has ended: said elsewhere

    def idle(self, seconds):
        self.later(seconds, self.loop.quit)
        self.loop.run()

    def heal(self):
        """All faults have ended; cells in the middle; what is owed is paid."""
        self.idle(21)
        self.say("sun 0")
        for cell in range(1, CELLS + 1):
            for pack in self.names:
                self.say("set pack %d /Voltages/Cell%d 3.3" % (pack, cell))
        for pack in self.names:
            self.say("set pack %d /System/MaxCellVoltage 3.3" % pack)
            self.say("set pack %d /System/MinCellVoltage 3.3" % pack)
        self.write_settings(OWN)
        self.daemon.send_signal(signal.SIGHUP)
        begin_s = time.monotonic()
        while self.system.items[FEED_IN] != 1 and time.monotonic() - begin_s < 70:
            self.idle(0.5)
        if self.system.items[FEED_IN] != 1:
            self.failures.append("feed-in was not returned to the user")
        self.fds_in_peace = len(os.listdir("/proc/%d/fd" % self.daemon.pid))
        if self.daemon.poll() is None:
            packs = self.stranger.call_blocking(AGGREGATE, "/System/NrOfBatteries", peer.ITEM, "GetValue", "", ())
            if packs != PACKS:
                self.failures.append("%s of %d packs are in the bank in the end" % (packs, PACKS))

    def judge(self):
        quarter = len(self.samples) // 4
        first, last = self.samples[:quarter], self.samples[-quarter:]
        mean = lambda samples, index: sum(sample[index] for sample in samples) / max(1, len(samples))
        print("faults: " + ", ".join("%d %s" % (count, name) for name, count in sorted(self.counts.items())))
        for index, what in ((0, "PSS"), (1, "anonymous memory")):
            growth = 100 * (mean(last, index) / max(1, mean(first, index)) - 1)
            print("%s: first quarter %.1f KiB, last quarter %.1f KiB, %+.2f %%"
                  % (what, mean(first, index), mean(last, index), growth))
            if self.options.memory and index == 1 and growth >= 1:
                self.failures.append("memory grew by %.2f %%" % growth)
        tenth = max(1, len(self.samples) // 10)
        print("anonymous memory, KiB, by tenths: " + " ".join(
            "%.0f" % mean(self.samples[i:i + tenth], 1) for i in range(0, len(self.samples) - tenth + 1, tenth)))
        fds = [sample[2] for sample in self.samples]
        print("file descriptors: %d at first, %d at most, %d in the end" % (fds[0], max(fds), self.fds_in_peace))
        if self.fds_in_peace > fds[0]:
            self.failures.append("file descriptors leak")

    def end(self):
        try:
            self.watcher.stdin.close()
            said = self.watcher.stdout.read().splitlines()
        except OSError:
            said = ["the watcher has ended"]
        for line in said[:-1]:
            print("watcher: " + line)
        print("watcher: " + (said[-1] if said else "said nothing"))
        seen = json.loads(said[-1]) if said and said[-1].startswith("{") else {"wrong": 1}
        if seen["wrong"]:
            self.failures.append("the watcher saw %d wrong things" % seen["wrong"])
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
        status = self.daemon.wait()
        self.log.seek(0)
        lines = self.log.read().splitlines()
        print("daemon: status %d, %d lines in its log" % (status, len(lines)))
        if status != 0 or any("Sanitizer" in line or "runtime error" in line for line in lines):
            self.failures.append("the daemon ended with %d" % status)
            print("\n".join(lines[-60:]))

    def run(self):
        print("soak: %s for %d s, seed %d" % (self.options.daemon, self.options.seconds, self.options.seed), flush=True)
        try:
            self.begin()
            self.begin_s = time.monotonic()
            GLib.timeout_add(int(1000 * self.options.every), self.every_second)
            self.loop.run()
            if not self.failures:
                self.heal()
                self.judge()
            self.end()
        finally:
            for child in self.children:
                if child.poll() is None:
                    child.kill()
            if self.options.keep:
                print("kept: " + self.folder)
            else:
                shutil.rmtree(self.folder)
        for failure in self.failures:
            print("FAILED: " + failure)
        print("soak: %s" % ("failed" if self.failures else "nothing found"))
        return 1 if self.failures else 0


FAULTS = [Soak.pack_vanishes, Soak.pack_vanishes, Soak.pack_hangs, Soak.pack_hangs, Soak.pack_says_nonsense,
          Soak.pack_says_nonsense, Soak.pack_says_nonsense, Soak.pack_blocks, Soak.pack_lowers_cvl, Soak.cell_peaks,
          Soak.cell_peaks, Soak.device_goes, Soak.settings_service_refuses, Soak.settings_service_hangs,
          Soak.settings_service_restarts, Soak.a_hand_turns_feed_in_on, Soak.sun_and_load, Soak.hang_up,
          Soak.hang_up_with_wrong_settings, Soak.stranger_writes, Soak.stranger_forges, Soak.stranger_floods,
          Soak.odd_battery]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=1800)
    parser.add_argument("--every", type=float, default=1, help="seconds from one fault to the next")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--memory", action="store_true", help="memory must not grow (not under a sanitizer)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with its log")
    parser.add_argument("daemon")
    sys.exit(Soak(parser.parse_args()).run())
