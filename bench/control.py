#!/usr/bin/env python3
"""Our charge control and the reference's in the same simulated worlds: prints a Markdown table.

usage: control.py [--seeds N] [--days N]     BUILD names the folder of the program (default: build)
"""
import argparse
import concurrent.futures
import json
import os
import subprocess

PROGRAM = os.path.join(os.environ.get("BUILD", "build"), "battery-aggregator")
CONTROLLERS = ("reference", "ours")
LAGS_S = (5, 7.5, 10, 12.5, 15)  # of the chargers, one a world


def worlds(days):
    """What is tried: name -> options of a seed."""
    return {
        "feed-in": lambda seed: ["--days", days, "--feed-in", "--outages", "--weak-cell", 3],
        "no feed-in": lambda seed: ["--days", days, "--weak-cell", 3],
        "never full": lambda seed: ["--start-day", 60, "--days", 150, "--partial-from", 90, "--soc-from", 90,
                                    "--sensor-offset", -0.3 if seed % 2 else 0.3,
                                    "--sensor-gain", -1 if seed // 2 % 2 else 1],
        "uneven": lambda seed: ["--start-day", 100, "--days", 150, "--imbalance", 80],
    }


def simulate(options, controller, seed):
    """One run in virtual time."""
    command = [PROGRAM, "simulate", "--json", "--controller", controller, "--seed", seed,
               "--charger-lag", LAGS_S[seed % len(LAGS_S)], *options]
    return json.loads(subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE).stdout)


def run_all(seeds, days):
    """(world, controller) -> the reports of all seeds."""
    results = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {(name, controller, seed): pool.submit(simulate, options(seed), controller, seed)
                for name, options in worlds(days).items() for controller in CONTROLLERS for seed in seeds}
        for (name, controller, _), job in jobs.items():
            results.setdefault((name, controller), []).append(job.result())
    return results


def values(reports, key):
    """What all seeds say, unknown as infinite."""
    return [float("inf") if report[key] is None else report[key] for report in reports]


def mean(numbers):
    """Their mean."""
    return sum(numbers) / len(numbers)


def number(value, unit, digits=1):
    """A value as the table shows it."""
    return "never" if value == float("inf") else f"{value:.{digits}f} {unit}"


class Row:
    """A line of the table: how each controller is measured, and when ours is good."""

    def __init__(self, text, measure, show, must, good):
        self.text, self.measure, self.show, self.must, self.good = text, measure, show, must, good

    def line(self, results):
        """The line as Markdown."""
        measured = {controller: self.measure(lambda world, c=controller: results[(world, c)])
                    for controller in CONTROLLERS}
        good = self.good(measured["ours"], measured["reference"])
        return (f"| {self.text} | {self.show(measured['reference'])} | {self.show(measured['ours'])} "
                f"| {self.must} | {'yes' if good else 'no'} |")


def refused_pct(reports):
    """Avoidably refused, % of what was to be had; and the worst seed."""
    shares = [100 * report["avoidable_kWh"] / max(report["surplus_kWh"], 1e-9) for report in reports]
    return mean(shares), max(shares)


def rows():
    """The table."""
    both = ("feed-in", "no feed-in")
    return [
        Row("highest cell over MAX_CELL_VOLTAGE, worst of a year, one cell 3 % smaller (and times a BMS "
            "disconnected)",
            lambda of: (max(max(values(of(w), "over_limit_mV")) for w in both),
                        sum(sum(values(of(w), "disconnections")) for w in both)),
            lambda v: f"{v[0]:.1f} mV ({v[1]:.0f})", "at most 5 mV (0)",
            lambda ours, _: ours[0] <= 5 and ours[1] == 0),
        Row("hours of a year with a cell over it, mean",
            lambda of: mean([value for w in both for value in values(of(w), "over_limit_h")]),
            lambda v: number(v, "h"), "-", lambda ours, reference: ours <= reference),
        Row("CVL changes of direction per hour of absorption, mean (worst world)",
            lambda of: (mean([v for w in both for v in values(of(w), "cvl_turns_per_h")]),
                        max(v for w in both for v in values(of(w), "cvl_turns_per_h"))),
            lambda v: f"{v[0]:.1f} ({v[1]:.1f})", "at most 6", lambda ours, _: ours[1] <= 6),
        Row("surplus refused beyond what the best control must refuse, feed-in on, one weak cell, mean (worst)",
            lambda of: refused_pct(of("feed-in")),
            lambda v: f"{v[0]:.1f} % ({v[1]:.1f} %)", "under 1 %", lambda ours, _: ours[1] < 1),
        Row("hours of feed-in held off in a year, same worlds, mean",
            lambda of: mean(values(of("feed-in"), "feed_in_held_h")),
            lambda v: number(v, "h"), "a twentieth", lambda ours, reference: ours <= reference / 20),
        Row("SoC error in 60 days without a full charge after 90 with, sensor 0.3 A of 280 Ah and 1 % wrong: worst",
            lambda of: max(values(of("never full"), "soc_error_worst_pct")),
            lambda v: number(v, "%"), "under 3 %", lambda ours, _: ours < 3),
        Row("the same, mean",
            lambda of: mean(values(of("never full"), "soc_error_mean_pct")),
            lambda v: number(v, "%"), "under 1.5 %", lambda ours, _: ours < 1.5),
        Row("days from 80 mV at the top to CELL_DIFF_MAX, worst",
            lambda of: max(values(of("uneven"), "even_after_days")),
            lambda v: number(v, "d"), "no more (looked at hourly)",
            lambda ours, reference: ours <= reference + 1.01 / 24),
        Row("a simulated year of 2 packs on one core, longest",
            lambda of: max(365 * report["took_s"] / report["days"] for w in both for report in of(w)),
            lambda v: number(v, "s"), "under 20 s", lambda ours, _: ours < 20),
    ]


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--days", type=int, default=365)
    arguments = parser.parse_args()
    results = run_all(range(1, arguments.seeds + 1), arguments.days)
    print(f"| on the same {arguments.seeds} simulated worlds | reference | ours | ours must | does it |")
    print("| --- | --- | --- | --- | --- |")
    for row in rows():
        print(row.line(results))


if __name__ == "__main__":
    main()
