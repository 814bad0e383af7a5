#!/usr/bin/python3
"""What the daemon costs and how fast it is, on a private bus against battery-fleet.

For each number of packs: time from launch to the first valid /Soc, time from a changed cell to its
published maximum (median and worst of 60), CPU time a second and memory while every cell flickers by 1 mV
once a second.   measure.py [PACKS...]
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
AGGREGATE = "com.victronenergy.battery.aggregate"
CHANGES = 60
SECONDS = 10


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
        self.spawn(["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={self.address}"])
        while not os.path.exists(f"{self.folder}/bus"):
            time.sleep(0.01)
        dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
        self.bus = dbus.bus.BusConnection(self.address)
        self.bus.add_signal_receiver(self.on_items, "ItemsChanged", path="/", sender_keyword="sender")
        self.loop = GLib.MainLoop()
        self.awaited = None
        self.fleet = self.spawn([f"{BUILD}/battery-fleet", "--packs", str(packs), "--no-system", "--ready",
                                 "--bus", self.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.fleet.stdout.readline()  # ready

    def spawn(self, command, **channels):
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(command, **{**quiet, **channels})
        self.children.append(child)
        return child

    def on_items(self, items, sender=None):
        value = items.get("/System/MaxCellVoltage", {}).get("Value")
        if self.awaited is not None and value is not None and abs(float(value) - self.awaited) < 1e-6:
            self.seen = time.monotonic()
            self.loop.quit()

    def launch(self):
        """Starts the daemon; seconds until its /Soc can be read."""
        begin = time.monotonic()
        self.daemon = self.spawn([f"{BUILD}/battery-aggregator", "--bus", self.address, "--data", self.folder,
                                  "--settings", "settings.ini"])
        while time.monotonic() - begin < 10:
            try:
                soc = self.bus.call_blocking(AGGREGATE, "/Soc", "com.victronenergy.BusItem", "GetValue", "", ())
                if not isinstance(soc, dbus.Array):
                    return time.monotonic() - begin
            except dbus.DBusException:
                time.sleep(0.002)
        raise SystemExit("the daemon did not come up")

    def change(self, number):
        """Sets one cell higher than all; seconds until that is published."""
        self.awaited = round(3.6 + number % 50 / 1000, 3)
        begin = time.monotonic()
        self.fleet.stdin.write(f"set pack 1 /Voltages/Cell1 {self.awaited}\n".encode())
        self.fleet.stdin.flush()
        self.seen = None
        deadline = GLib.timeout_add_seconds(5, self.loop.quit)
        self.loop.run()
        if self.seen is None:
            raise SystemExit(f"{self.awaited} V was not published within 5 s")
        GLib.source_remove(deadline)
        self.fleet.stdout.readline()
        time.sleep(0.05 + 0.013 * (number % 7))
        return self.seen - begin

    def cost(self):
        before = cpu_seconds(self.daemon.pid)
        time.sleep(SECONDS)
        return (cpu_seconds(self.daemon.pid) - before) / SECONDS, pss_kib(self.daemon.pid)

    def end(self):
        for child in reversed(self.children):
            child.terminate()
            child.wait()


def main():
    print("packs  launch to SoC  change to publication     CPU       PSS")
    print("                      median       worst")
    for packs in [int(argument) for argument in sys.argv[1:]] or [2, 16, 64]:
        bench = Bench(packs)
        launch = bench.launch()
        time.sleep(1)
        changes = [bench.change(number) for number in range(CHANGES)]
        cpu, pss = bench.cost()
        bench.end()
        print(f"{packs:5}  {launch * 1000:10.0f} ms  {statistics.median(changes) * 1000:6.0f} ms"
              f"  {max(changes) * 1000:7.0f} ms  {cpu * 1000:5.2f} ms/s  {pss:5} KiB", flush=True)


if __name__ == "__main__":
    main()
