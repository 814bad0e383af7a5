#!/usr/bin/python3
"""How long a fault is felt, measured from outside on a private bus against battery-fleet, with the default
settings: seconds that the aggregate was off the bus, seconds from the fault to the alarm, and seconds from its end
(from the start of the program, where that was killed) until the limits are whole again; for SIGTERM until the name
is gone.   faults.py [FAULT...]
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import dbus
import dbus.bus
import dbus.exceptions

BUILD = os.environ.get("BUILD", "build")
ITEM = "com.victronenergy.BusItem"
AGGREGATE = "com.victronenergy.battery.aggregate"
SETTINGS = "com.victronenergy.settings"
FEED_IN = "/Settings/CGwacs/OvervoltageFeedIn"
WHOLE_A = 280.0
EVERY_S = 0.005


class House:
    def __init__(self, settings=""):
        self.folder = tempfile.mkdtemp(prefix="aggregator-faults-")
        self.address = "unix:path=%s/bus" % self.folder
        self.settings = self.folder + "/settings.ini"
        with open(self.settings, "w") as file:
            file.write(settings)
        self.start_bus()
        # the second pack is a process of its own, so that it can be stopped alone
        self.other = self.start_fleet("--mppts", "0", "--no-settings", "--no-system")
        for command in ("remove ttyS4", 'set pack 1 /Serial "SIM00002"', 'set pack 1 /CustomName "House 2"',
                        "set pack 1 /DeviceInstance 2", "remove pack 1",
                        "return pack 1 as com.victronenergy.battery.ttyUSB1"):
            self.say(command, self.other)
        self.fleet = self.start_fleet()
        self.start_daemon()
        self.observe(self.is_whole)

    def start_bus(self):
        if os.path.exists(self.folder + "/bus"):
            os.unlink(self.folder + "/bus")
        self.dbus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile",
                                      "--address=" + self.address], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                self.bus = dbus.bus.BusConnection(self.address)
                self.bus.set_exit_on_disconnect(False)
                return
            except dbus.exceptions.DBusException:
                time.sleep(0.001)

    def start_fleet(self, *options):
        fleet = subprocess.Popen([BUILD + "/battery-fleet", "--packs", "1", "--quiet", "--ready", "--bus", self.address,
                                  *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        fleet.stdout.readline()
        return fleet

    def start_daemon(self):
        self.daemon = subprocess.Popen([BUILD + "/battery-aggregator", "--bus", self.address, "--settings",
                                        self.settings, "--data", self.folder], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def say(self, command, fleet=None):
        fleet = fleet or self.fleet
        print(command, file=fleet.stdin)
        answer = fleet.stdout.readline()
        if not answer.startswith("ok"):
            sys.exit("the fleet answers %s to %s" % (answer, command))

    def get(self, path, service=AGGREGATE):
        """A number, or None while nobody answers or it is invalid."""
        try:
            value = self.bus.call_blocking(service, path, ITEM, "GetValue", "", (), timeout=5)
            return None if isinstance(value, dbus.Array) else float(value)
        except dbus.exceptions.DBusException:
            return None

    def is_there(self):
        return self.bus.name_has_owner(AGGREGATE)

    def is_whole(self):
        return self.get("/Info/MaxChargeCurrent") == WHOLE_A and not self.get("/Alarms/BmsCable")

    def is_alarmed(self):
        return (self.get("/Alarms/BmsCable") or 0) >= 1 and self.get("/Info/MaxChargeCurrent") < WHOLE_A

    def observe(self, until, most_s=150):
        """Seconds until it holds, and how many of them the name was away."""
        begin_s = last_s = time.monotonic()
        away_s = 0
        while not until():
            now_s = time.monotonic()
            if not self.is_there():
                away_s += now_s - last_s
            last_s = now_s
            if now_s - begin_s > most_s:
                sys.exit("waited in vain for %s" % until.__name__)
            time.sleep(EVERY_S)
        return time.monotonic() - begin_s, away_s

    def wait(self, seconds):
        end_s = time.monotonic() + seconds
        return self.observe(lambda: time.monotonic() >= end_s)[1]

    def end(self):
        for child in (self.daemon, self.fleet, self.other, self.dbus):
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait()
        shutil.rmtree(self.folder)


def one_pack_vanishes_for_40_s(house):
    house.say("remove pack 1", house.other)
    alarm_s, away_s = house.observe(house.is_alarmed)
    away_s += house.wait(40)
    house.say("return pack 1", house.other)
    whole_s, away_too_s = house.observe(house.is_whole)
    return away_s + away_too_s, alarm_s, whole_s


def one_pack_hangs_with_its_name_kept(house):
    house.other.send_signal(signal.SIGSTOP)
    alarm_s, away_s = house.observe(house.is_alarmed)
    away_s += house.wait(5)
    house.other.send_signal(signal.SIGCONT)
    whole_s, away_too_s = house.observe(house.is_whole)
    return away_s + away_too_s, alarm_s, whole_s


def all_packs_hang_until_the_name_is_released(house):
    house.fleet.send_signal(signal.SIGSTOP)
    house.other.send_signal(signal.SIGSTOP)
    alarm_s, _ = house.observe(lambda: house.get("/Alarms/BmsCable") == 2 and house.get("/Info/MaxChargeCurrent") == 0
                               and house.get("/Info/MaxDischargeCurrent") == 0)
    released_s, _ = house.observe(lambda: not house.is_there())
    print("  (released %.1f s after the alarm)" % released_s)
    house.fleet.send_signal(signal.SIGCONT)
    house.other.send_signal(signal.SIGCONT)
    whole_s, away_s = house.observe(house.is_whole)
    return away_s, alarm_s, whole_s


def the_bus_is_restarted(house):
    house.bus.close()
    house.dbus.kill()
    house.dbus.wait()
    time.sleep(3)
    house.start_bus()
    whole_s, away_s = house.observe(house.is_whole)
    return away_s, None, whole_s


def kill_9_and_started_again(house):
    house.daemon.kill()
    house.daemon.wait()
    house.start_daemon()
    whole_s, away_s = house.observe(house.is_whole)
    return away_s, None, whole_s


def kill_9_while_feed_in_is_held_off(house):
    """The hold of 60 s is over when it is started again."""
    with open(house.settings, "w") as file:
        file.write("OWN_CHARGE_PARAMETERS = True\n")
    house.daemon.send_signal(signal.SIGHUP)
    house.observe(lambda: house.get("/Info/MaxChargeCurrent") != WHOLE_A)
    house.say("set pack 1 /Voltages/Cell3 3.6")
    alarm_s, _ = house.observe(lambda: house.get(FEED_IN, SETTINGS) == 0)
    house.daemon.kill()
    house.daemon.wait()
    house.say("release pack 1 /Voltages/Cell3")
    house.say("set pack 1 /Voltages/Cell3 3.3")
    time.sleep(61)
    house.start_daemon()
    whole_s, away_s = house.observe(lambda: house.get(FEED_IN, SETTINGS) == 1)
    return None, alarm_s, whole_s


def sigterm_until_saved_and_off_the_bus(house):
    house.daemon.send_signal(signal.SIGTERM)
    begin_s = time.monotonic()
    while house.is_there():
        pass
    gone_s = time.monotonic() - begin_s
    status = house.daemon.wait()
    print("  (off the bus after %.1f ms, ended after %.1f ms with status %d)"
          % (1000 * gone_s, 1000 * (time.monotonic() - begin_s), status))
    return None, None, gone_s


FAULTS = [one_pack_vanishes_for_40_s, one_pack_hangs_with_its_name_kept, all_packs_hang_until_the_name_is_released,
          the_bus_is_restarted, kill_9_and_started_again, kill_9_while_feed_in_is_held_off,
          sigterm_until_saved_and_off_the_bus]


def shown(seconds):
    if seconds is None:
        return "-"
    return "%.2f" % seconds if seconds >= 0.01 or seconds == 0 else "%.4f" % seconds


def main():
    wanted = sys.argv[1:]
    rows = []
    for fault in FAULTS:
        if wanted and fault.__name__ not in wanted:
            continue
        house = House()
        try:
            rows.append((fault.__name__.replace("_", " "), *map(shown, fault(house))))
            print("| %s | %s | %s | %s |" % rows[-1], flush=True)
        finally:
            house.end()
    print("\n| fault | s off the bus | s until the alarm | s until whole |\n| --- | --- | --- | --- |")
    for row in rows:
        print("| %s | %s | %s | %s |" % row)


main()
