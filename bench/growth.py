#!/usr/bin/env python3
"""What a 3x3 convolution and its gradients take as batch, side and channels grow, as a share of what the machine could do at
most; each kernel of the known networks beside that limit; and what further threads bring. Prints the tables; --json writes
what scripts/pictures.py draws.

The limit of a call is the larger of two times: of the multiply-adds that its kernel does, at the rate that the machine
reaches in registers, and of its inputs and outputs, each once, at the rate of a copy that fits no cache. Of a kernel by
Winograd the products count, not its transforms."""

import argparse
import json
import os
import statistics
import subprocess
import sys

from compare import (
    ISA_ENVIRONMENT, NETWORKS, ROOT, cpu_clock, cpu_name, lines_of, must_exist, other_cpu_percent, positive, say, word_list,
)
from files import Program
from shapes import PARTS

LEAST_BATCH, NEEDED = 8, 0.5
SCALING = {("vgg_bn", 64): 0.93, ("mnist", 4): 0.0}  # network, batch: the share needed of what a bare loop gains from threads

# What grows, and the layer's (batch, side, channels) at each point.
SERIES = {
    "batch": [(2**k, 32, 64) for k in range(10)],
    "side": [(8, 2**k, 32) for k in range(4, 10)],
    "channels": [(8, 32, 2**k) for k in range(3, 10)],
}


def multiply_adds(kernel, part, batch, side, channels):
    """Those that a kernel does for a 3x3 convolution with padding 1. Winograd's F(4x4) has 36 products a tile of 4x4,
    F(2x2), which serves forward passes of fewer than 64 channels, 16 a tile of 2x2 (src/cpu/kernels/conv2d.c)."""
    if "winograd" not in kernel:
        return 9 * batch * side**2 * channels**2
    out, products = (2, 16) if part == "forward" and channels < 64 else (4, 36)
    return products * batch * (-(-side // out)) ** 2 * channels**2


def shares(report, limits, batch, side, channels):
    """For each part its share of the limit, and what that limit is."""
    answer = {}
    for part in PARTS:
        call = report[part]
        compute = 2 * multiply_adds(call["kernel"], part, batch, side, channels) / limits["flops"]
        memory = call["bytes"] / limits["bytes"]
        answer[part] = {
            "seconds": call["seconds"],
            "kernel": call["kernel"],
            "share": max(compute, memory) / call["seconds"],
            "bound": "memory" if memory > compute else "multiply-adds",
        }
    return answer


def better(a, b):
    """Of two measurements of one layer the shorter call of each part."""
    return b if a is None else {part: min(a[part], b[part], key=lambda call: call["seconds"]) for part in PARTS}


def measure_series(options, ours):
    best_limits, best = None, {}
    for turn in range(options.turns):
        limits = ours.ask("limits", "")
        best_limits = limits if best_limits is None else {**limits, **{k: max(limits[k], best_limits[k]) for k in ("flops", "bytes")}}
        for name, points in SERIES.items():
            say(f"  turn {turn + 1} of {options.turns}: {name}")
            for batch, side, channels in points:
                line = f"{options.seconds} conv {batch} {channels} {side} {channels} 3 1 1 1"
                best[name, batch, side, channels] = better(best.get((name, batch, side, channels)), ours.ask("time", line))
    rows = [
        {"grows": key[0], "batch": key[1], "side": key[2], "channels": key[3], "parts": shares(report, best_limits, *key[1:])}
        for key, report in best.items()
    ]
    return best_limits, rows


def bench(options, network, *words):
    """What `facula bench` reports."""
    command = [options.facula, "bench", "--network", network, "--json", "--seconds", str(options.network_seconds), *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **ISA_ENVIRONMENT[options.isa]})
    if done.returncode != 0:
        sys.exit(f"growth.py: {' '.join(command)}: exit status {done.returncode}")
    return json.loads(done.stdout)


def measure_scaling(options):
    """How many times as fast all threads are as one: of a network's training, and of the bare loop of multiply-adds; in
    turn, medians."""
    programs = {
        n: Program([options.program], {"FACULA_NUM_THREADS": str(n), **ISA_ENVIRONMENT[options.isa]})
        for n in (1, options.threads)
    }
    rows = []
    for (network, batch), needed in SCALING.items():
        say(f"  threads: {network}, batch {batch}")
        gains, loops = [], []
        for _ in range(options.turns):
            speed = {
                n: bench(options, network, "--batch", str(batch), "--threads", str(n))["images_per_second"] for n in programs
            }
            loop = {n: program.ask("limits", "")["flops"] for n, program in programs.items()}
            gains.append(speed[options.threads] / speed[1])
            loops.append(loop[options.threads] / loop[1])
        gain, loop = statistics.median(gains), statistics.median(loops)
        rows.append({"network": network, "batch": batch, "gain": gain, "gains": gains, "loop": loop, "needed": needed})
    for program in programs.values():
        program.end()
    return rows


def table(rows):
    lines = [["grows", "batch", "side", "channels", *(f"{part} {what}" for part in PARTS for what in ("ms", "share", "bound by"))]]
    for row in rows:
        cells = [row["grows"], str(row["batch"]), str(row["side"]), str(row["channels"])]
        for part in PARTS:
            call = row["parts"][part]
            cells += [f"{1e3 * call['seconds']:.3f}", f"{100 * call['share']:.0f} %", call["bound"]]
        lines.append(cells)
    return "\n".join(lines_of(lines, {0}))


def read_options(words):
    parser = argparse.ArgumentParser(description="Shares of the machine's limit as work grows; prints a table.")
    parser.add_argument("--threads", type=positive(int), default=len(os.sched_getaffinity(0)))
    parser.add_argument("--turns", type=positive(int), default=3, help="through all points; the shortest call counts")
    parser.add_argument("--seconds", type=positive(float), default=0.3, help="for each point")
    parser.add_argument("--network-seconds", type=positive(float), default=3, help="for each run of a network")
    parser.add_argument("--networks", type=word_list(NETWORKS), default=list(NETWORKS), help="that are profiled")
    parser.add_argument("--isa", choices=("avx2",), help="without AVX-512")
    program = os.path.join(ROOT, "build", "release", "bench_shapes")
    parser.add_argument("--program", default=program, help="built by: cmake --build --preset release -t bench_shapes")
    parser.add_argument("--facula", default=os.path.join(ROOT, "build", "release", "facula"), help="the command")
    parser.add_argument("--json", metavar="FILE", help="for scripts/pictures.py")
    return parser.parse_args(words)


def main():
    options = read_options(sys.argv[1:])
    must_exist(options.program, options.facula)
    ours = Program([options.program], {"FACULA_NUM_THREADS": str(options.threads), **ISA_ENVIRONMENT[options.isa]})
    (busy, own, started), worked = cpu_clock(), ours.worked()
    limits, rows = measure_series(options, ours)
    (busy_after, own_after, ended), worked_after = cpu_clock(), ours.worked()
    spent = own_after - own + worked_after - worked
    other = other_cpu_percent(busy_after - busy, spent, ended - started, os.cpu_count())
    ours.end()
    profiles = []
    for network in options.networks:
        say(f"  profile of {network}")
        profiles.append(bench(options, network, "--profile", "--threads", str(options.threads)))
    scaling = measure_scaling(options) if options.threads > 1 else []
    print(f"{cpu_name()}, {options.threads} threads, {limits['isa']}; limits {limits['flops'] * 1e-9:.0f} GFLOP/s, ", end="")
    print(f"{limits['bytes'] * 1e-9:.0f} GB/s; others' CPU {other:.1f} %")
    print(table(rows))
    under = [
        f"{part} of batch {row['batch']}, side {row['side']}, {row['channels']} channels: {row['parts'][part]['share']:.2f}"
        for row in rows
        for part in PARTS
        if row["batch"] >= LEAST_BATCH and row["parts"][part]["share"] < NEEDED
    ]
    print(f"under {NEEDED} of the limit from batch {LEAST_BATCH} up: {len(under)}" + "".join(f"\n  {text}" for text in under))
    fine = not under
    for row in scaling:
        share = row["gain"] / row["loop"]
        fine = fine and share >= row["needed"] and row["gain"] >= 1
        print(
            f"{row['network']}, batch {row['batch']}: {options.threads} threads are {row['gain']:.2f} times as fast as one, the "
            f"bare loop {row['loop']:.2f} times: {share:.2f} of it (needs {row['needed'] or 'no loss'})"
        )
    if options.json:
        with open(options.json, "w") as file:
            head = {"cpu": cpu_name(), "threads": options.threads, "limits": limits, "other_cpu_percent": other}
            json.dump({**head, "growth": rows, "profiles": profiles, "scaling": scaling}, file, indent=1)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
