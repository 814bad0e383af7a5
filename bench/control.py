#!/usr/bin/python3
"""Our charge control beside the reference's, in the same simulated worlds: the table of the README.

   control.py [SEEDS]      (5)
"""
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys

PROGRAM = os.path.join(os.environ.get("BUILD", "build"), "battery-aggregator")
SEEDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5

WORLDS = {
    "year": ["--weak-cell", "3"],
    "feed-in": ["--weak-cell", "3", "--feed-in", "--export", "5000", "--outages", "20"],
    "lean": ["--days", "150", "--start-day", "100", "--sensor-offset", "0.3", "--sensor-gain", "1", "--lean-from", "90"],
    "uneven": ["--days", "120", "--start-day", "60", "--imbalance", "3"],
}


def simulate(job):
    world, controller, seed = job
    answer = subprocess.run([PROGRAM, "simulate", "--json", "--controller", controller, "--seed", str(seed), *WORLDS[world]],
                            check=True, capture_output=True, text=True).stdout
    return job, json.loads(answer)


def main():
    jobs = [(world, controller, seed) for world in WORLDS for controller in ("reference", "ours")
            for seed in range(1, SEEDS + 1)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = dict(pool.map(simulate, jobs))

    def values(world, controller, key):
        found = [results[world, controller, seed][key] for seed in range(1, SEEDS + 1)]
        return [value for value in found if value is not None]

    def row(text, world, goal, show, *keys):
        cells = []
        for controller in ("reference", "ours"):
            cells.append(show(*[values(world, controller, key) for key in keys]))
        print(f"| {text} | {cells[0]} | {cells[1]} | {goal} |")

    def worst(form):
        return lambda found: form.format(max(found)) if found else "never"

    print(f"| the same worlds, seeds 1 to {SEEDS} | reference | ours | goal |")
    print("| --- | ---: | ---: | ---: |")
    for world, name in (("year", "a year, one cell 3 % smaller"), ("feed-in", "a year of ESS with feed-in, the same cell")):
        row(f"highest cell over MAX_CELL_VOLTAGE, worst: {name}", world, "at most 5 mV", worst("{:.1f} mV"), "cell_over_mV")
        row("... hours with a cell over it, worst", world, "", worst("{:.1f}"), "cell_over_h")
        row("... BMS disconnections", world, "0", lambda found: f"{sum(found):.0f}", "disconnections")
        row("... turns of CVL in an hour of absorption, mean (worst hour)", world, "at most 6",
            lambda mean, most: f"{statistics.mean(mean):.1f} ({max(most):.0f})", "cvl_turns_per_h", "cvl_turns_worst_h")
    row("sun refused without need, worst, of all sun", "feed-in", "under 1 %",
        lambda lost, sun: f"{max(100 * a / b for a, b in zip(lost, sun)):.2f} %", "avoidable_kWh", "sun_kWh")
    row("hours of feed-in held off in the year, mean", "feed-in", "a twentieth",
        lambda found: f"{statistics.mean(found):.1f}", "feed_in_held_h")
    row("SoC error in 60 days without a full charge, sensor 0.3 A and 1 % wrong: mean", "lean", "under 1.5 %",
        lambda found: f"{statistics.mean(found):.1f} %", "lean_error_mean_pct")
    row("... worst", "lean", "under 3 %", worst("{:.1f} %"), "lean_error_worst_pct")
    row("days from 3 % imbalance of one cell to CELL_DIFF_MAX, worst", "uneven", "no more", worst("{:.1f}"), "even_after_days")
    row("a simulated year takes, worst", "year", "under 20 s", worst("{:.0f} s"), "cpu_s")


if __name__ == "__main__":
    main()
