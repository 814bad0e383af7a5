#!/usr/bin/python3
"""What the daemon costs and how fast it is, on a private bus against battery-fleet, beside two floors: a
libdbus program that receives the same signals and drops them, and one that walks through their values.

For each number of packs of 16 cells, each cell flickering by 1 mV once a second: time from launch to the
first valid /Soc; time from a changed cell to its published maximum (median and 99 %); messages in and out;
CPU time a second; memory.   measure.py [PACKS...]

CPU is compared with a floor that walks on the same bus in the same seconds, for what else the machine does
meanwhile changes both; memory is measured without it, for it would share the libraries.

PEER=FOLDER measures another aggregator in the same run: FOLDER/run ADDRESS starts it in the foreground.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

import dbus
import dbus.mainloop.glib
from gi.repository import GLib

BUILD = os.environ.get("BUILD", "build")
PEER = os.environ.get("PEER")
AGGREGATE = "com.victronenergy.battery.aggregate"
AS_SERVICE = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}  # as service/run has it
CHANGES = 100
SECONDS = 20


def cpu_seconds(pid):
    tasks = os.listdir(f"/proc/{pid}/task")
    return sum(int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0]) for task in tasks) / 1e9


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


class Bench:
    def __init__(self, packs):
        self.folder = tempfile.mkdtemp()
        self.address = f"unix:path={self.folder}/bus"
        self.children = []
        bus = self.spawn(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address",
                          f"--address={self.address}"], stdout=subprocess.PIPE)
        bus.stdout.readline()  # it listens
        dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
        self.bus = dbus.bus.BusConnection(self.address)
        self.bus.add_signal_receiver(self.on_items, "ItemsChanged", path="/", sender_keyword="sender")
        self.loop = GLib.MainLoop()
        self.awaited = None
        self.owner = None
        self.received = self.published = 0
        self.fleet = self.spawn([f"{BUILD}/battery-fleet", "--packs", str(packs), "--no-system", "--ready",
                                 "--bus", self.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.fleet.stdout.readline()  # ready

    def spawn(self, command, **channels):
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(command, **{**quiet, **channels})
        self.children.append(child)
        return child

    def on_items(self, items, sender=None):
        if sender != self.owner:
            self.received += 1
            return
        self.published += 1
        value = items.get("/System/MaxCellVoltage", {}).get("Value")
        if self.awaited is not None and value is not None and abs(float(value) - self.awaited) < 1e-6:
            self.seen = time.monotonic()
            self.loop.quit()

    def launch(self, command):
        """Starts an aggregator; seconds until its /Soc can be read."""
        begin = time.monotonic()
        self.daemon = self.spawn(command, env={**os.environ, **AS_SERVICE})
        while time.monotonic() - begin < 30:
            try:
                soc = self.bus.call_blocking(AGGREGATE, "/Soc", "com.victronenergy.BusItem", "GetValue", "", ())
                if not isinstance(soc, dbus.Array):
                    self.owner = self.bus.get_name_owner(AGGREGATE)
                    return time.monotonic() - begin
            except dbus.DBusException:
                time.sleep(0.002)
        raise SystemExit(f"{command[0]} did not come up")

    def change(self, number):
        """Sets one cell higher than all; seconds until that is published."""
        self.awaited = round(3.6 + number % 50 / 1000, 3)
        begin = time.monotonic()
        self.fleet.stdin.write(f"set pack 1 /Voltages/Cell1 {self.awaited}\n".encode())
        self.fleet.stdin.flush()
        self.seen = None
        deadline = GLib.timeout_add_seconds(10, self.loop.quit)
        self.loop.run()
        if self.seen is None:
            raise SystemExit(f"{self.awaited} V was not published within 10 s")
        GLib.source_remove(deadline)
        self.fleet.stdout.readline()
        time.sleep(0.05 + 0.013 * (number % 7))
        return self.seen - begin

    def calm(self):
        """The cell flickers like the others again."""
        self.fleet.stdin.write(b"release pack 1 /Voltages/Cell1\n")
        self.fleet.stdin.flush()
        self.fleet.stdout.readline()
        time.sleep(2)

    def cost(self, *pids):
        """CPU seconds a second of each; this process stays out of the way meanwhile."""
        before = [cpu_seconds(pid) for pid in pids]
        time.sleep(SECONDS)
        return [(cpu_seconds(pid) - cpu) / SECONDS for pid, cpu in zip(pids, before)]

    def messages(self):
        """Received and published a second, counted by listening for a while."""
        context = self.loop.get_context()
        while context.iteration(False):
            pass
        self.received = self.published = 0
        GLib.timeout_add(5000, self.loop.quit)
        self.loop.run()
        return self.received / 5, self.published / 5

    def start_floor(self, kind):
        child = self.spawn([f"{BUILD}/bench/floor", kind, self.address])
        time.sleep(1)
        return child

    def floor(self, kind):
        """CPU seconds a second and KiB of a floor alone."""
        child = self.start_floor(kind)
        cpu, = self.cost(child.pid)
        pss = pss_kib(child.pid)
        child.terminate()
        child.wait()
        return cpu, pss

    def beside_floor(self, pid):
        """CPU seconds a second, of the floor that walks beside it, and KiB without that."""
        walking = self.start_floor("walk")
        cpu, floor = self.cost(pid, walking.pid)
        walking.terminate()
        walking.wait()
        time.sleep(1)
        return cpu, floor, pss_kib(pid)

    def end(self):
        for child in reversed(self.children):
            child.terminate()
            child.wait()


def show(packs, name, cpu, floor, pss, rest=""):
    print(f"{packs:5}  {name:18} {cpu * 1000:6.2f} ms/s {cpu / floor:6.2f} x {pss:7} KiB  {rest}", flush=True)


def measure(packs, name, command):
    bench = Bench(packs)
    launch = bench.launch([word.replace("ADDRESS", bench.address).replace("FOLDER", bench.folder) for word in command])
    time.sleep(1)
    changes = sorted(bench.change(number) for number in range(CHANGES))
    bench.calm()
    received, published = bench.messages()
    cpu, floor, pss = bench.beside_floor(bench.daemon.pid)
    bench.end()
    show(packs, name, cpu, floor, pss,
         f"{launch * 1000:5.0f} ms to SoC, {statistics.median(changes) * 1000:4.0f} ms a change"
         f" ({changes[int(0.99 * (CHANGES - 1))] * 1000:.0f} ms 99 %), {received:.0f} in/s, {published:.1f} out/s")


def main():
    print("packs                         CPU  of walking      PSS")
    for packs in [int(argument) for argument in sys.argv[1:]] or [2, 16, 64]:
        bench = Bench(packs)
        drop, drop_pss = bench.floor("drop")
        walk, walk_pss = bench.floor("walk")
        bench.end()
        show(packs, "floor: dropping", drop, walk, drop_pss)
        show(packs, "floor: walking", walk, walk, walk_pss)
        measure(packs, "battery-aggregator",
                [f"{BUILD}/battery-aggregator", "--bus", "ADDRESS", "--data", "FOLDER", "--settings", "settings.ini"])
        if PEER:
            measure(packs, os.path.basename(PEER), [f"{PEER}/run", "ADDRESS"])


if __name__ == "__main__":
    main()
