#!/usr/bin/env python3
"""Times 40 convolutions and 20 linear layers, forward and both gradients, against PyTorch in the faster of its two layouts
and against the multiply-adds that this machine reaches; in turn, medians of the ratios. See bench/README.md.

Only Python's standard library; the peer runs in an environment of its own (bench/setup_peers.sh)."""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile

from compare import (
    ISA_ENVIRONMENT, PEERS, TUNED_MALLOC, add_common, cpu_clock, cpu_name, lines_of, must_exist, other_cpu_percent, positive, say,
)
from files import Program

PARTS = ("forward", "input", "weight")
LEAST, MEAN = 0.9, 1.2  # the ratio that each needs, and the geometric mean

# batch, channels, side, outputs, kernel, stride, padding, groups
CONVOLUTIONS = {
    "resnet50": (
        (8, 3, 224, 64, 7, 2, 3, 1),
        (8, 64, 56, 64, 1, 1, 0, 1),
        (8, 64, 56, 64, 3, 1, 1, 1),
        (8, 64, 56, 256, 1, 1, 0, 1),
        (8, 256, 56, 64, 1, 1, 0, 1),
        (8, 256, 56, 128, 1, 1, 0, 1),
        (8, 128, 56, 128, 3, 2, 1, 1),
        (8, 128, 28, 128, 3, 1, 1, 1),
        (8, 128, 28, 512, 1, 1, 0, 1),
        (8, 512, 28, 128, 1, 1, 0, 1),
        (8, 256, 56, 512, 1, 2, 0, 1),
        (8, 512, 28, 256, 1, 1, 0, 1),
        (8, 256, 28, 256, 3, 2, 1, 1),
        (8, 256, 14, 256, 3, 1, 1, 1),
        (8, 256, 14, 1024, 1, 1, 0, 1),
        (8, 1024, 14, 256, 1, 1, 0, 1),
        (8, 512, 28, 1024, 1, 2, 0, 1),
        (8, 1024, 14, 512, 1, 1, 0, 1),
        (8, 512, 14, 512, 3, 2, 1, 1),
        (8, 512, 7, 512, 3, 1, 1, 1),
        (8, 512, 7, 2048, 1, 1, 0, 1),
        (8, 2048, 7, 512, 1, 1, 0, 1),
        (8, 1024, 14, 2048, 1, 2, 0, 1),
    ),
    "mobilenet_v2": (
        (8, 3, 224, 32, 3, 2, 1, 1),
        (8, 32, 112, 32, 3, 1, 1, 32),
        (8, 32, 112, 16, 1, 1, 0, 1),
        (8, 16, 112, 96, 1, 1, 0, 1),
        (8, 96, 112, 96, 3, 2, 1, 96),
        (8, 144, 56, 144, 3, 1, 1, 144),
        (8, 192, 28, 192, 3, 2, 1, 192),
        (8, 384, 14, 384, 3, 1, 1, 384),
        (8, 960, 7, 320, 1, 1, 0, 1),
    ),
    "lesson": (
        (64, 1, 28, 32, 3, 1, 1, 1),
        (64, 32, 14, 64, 3, 1, 1, 1),
        (32, 3, 32, 32, 3, 1, 1, 1),
        (32, 32, 16, 64, 3, 1, 1, 1),
        (32, 3, 64, 16, 3, 1, 1, 1),
        (32, 16, 32, 32, 3, 1, 1, 1),
        (8, 3, 224, 32, 3, 1, 1, 1),
        (8, 32, 112, 64, 3, 1, 1, 1),
    ),
}

# rows, inputs, outputs; large enough that a call's own cost does not show
PRODUCTS = {
    "lesson": (
        (64, 3136, 128),
        (512, 3136, 128),
        (32, 8192, 128),
        (256, 8192, 128),
        (8, 200704, 128),
        (32, 200704, 128),
        (512, 4096, 10),
    ),
    "classifiers": (
        (8, 2048, 1000),
        (32, 2048, 1000),
        (256, 2048, 1000),
        (64, 1280, 1000),
        (256, 512, 1000),
        (32, 9216, 4096),
        (1, 4096, 4000),
        (32, 4096, 1000),
    ),
    "perceptrons": (
        (256, 784, 512),
        (128, 512, 256),
        (1024, 1024, 512),
        (512, 768, 3072),
        (512, 3072, 768),
    ),
}


def spelled(group):
    """(where it comes from, the line that both programs read), for each layer."""
    lists = {"conv": CONVOLUTIONS, "linear": PRODUCTS}[group]
    return [(origin, " ".join([group, *map(str, numbers)])) for origin, rows in lists.items() for numbers in rows]


def shown(line):
    """A layer as people write it: 8x64x56x56 3x3 64-128 /2."""
    kind, *words = line.split()
    n = [int(word) for word in words]
    if kind == "linear":
        return f"{n[0]} rows, {n[1]} to {n[2]}"
    text = f"{n[0]} x {n[1]} x {n[2]}², {n[4]}x{n[4]} to {n[3]}"
    return text + (f" /{n[5]}" if n[5] > 1 else "") + (" depthwise" if n[7] == n[1] > 1 else "")


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(value) for value in values)) if values else None


def summarise(part, turns, max_other_cpu):
    """What one part of a layer took in turns [{"ours": {part: {...}}, "theirs": {layout: {part: seconds}}, "other_cpu":
    percent}]: of PyTorch's layouts the one with the shortest time counts. A ratio is theirs to ours."""
    valid = [turn for turn in turns if turn["other_cpu"] <= max_other_cpu]
    if not valid:
        return {"part": part, "turns": 0, "ratio": None}
    layout = min(valid[0]["theirs"], key=lambda name: min(turn["theirs"][name][part] for turn in valid))
    ratios = [turn["theirs"][layout][part] / turn["ours"][part]["seconds"] for turn in valid]
    ours = min((turn["ours"][part] for turn in valid), key=lambda report: report["seconds"])
    return {
        "part": part,
        "turns": len(valid),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "ours_ms": 1e3 * ours["seconds"],
        "theirs_ms": 1e3 * min(turn["theirs"][layout][part] for turn in valid),
        "layout": layout,
        "kernel": ours["kernel"],
        "flops": ours["flops"],
        "bytes": ours["bytes"],
    }


def loses(parts):
    return any(part["ratio"] is not None and part["ratio"] < LEAST for part in parts)


class Bench:
    def __init__(self, options, ours, theirs):
        self.options, self.ours, self.theirs = options, ours, theirs

    def turn(self, line):
        (busy, _, started), own = cpu_clock(), self.ours.worked() + self.theirs.worked()
        seconds = self.options.seconds
        layouts = ("contiguous", "channels_last") if line.startswith("conv") else ("contiguous",)
        ours = self.ours.ask("time", f"{seconds} {line}")
        theirs = {layout: self.theirs.ask("time", f"{seconds} {layout} {line}") for layout in layouts}
        (busy_after, _, ended), own_after = cpu_clock(), self.ours.worked() + self.theirs.worked()
        other = other_cpu_percent(busy_after - busy, own_after - own, ended - started, os.cpu_count())
        return {"ours": ours, "theirs": theirs, "other_cpu": other}

    def layer(self, origin, line, path):
        limit = self.options.max_other_cpu
        turns = []

        def counted():
            return sum(turn["other_cpu"] <= limit for turn in turns)

        def go_on(count):
            wanted = counted() + count
            for _ in range(2 * count):  # a turn beside which others worked is made again, as often as there are turns
                if counted() < wanted:
                    turns.append(self.turn(line))

        go_on(self.options.turns)
        parts = [summarise(part, turns, limit) for part in PARTS]
        if loses(parts):
            go_on(self.options.more)
            parts = [summarise(part, turns, limit) for part in PARTS]
        if self.options.errors:
            self.ours.ask("write", f"{path} {line}")
            for part, errors in self.theirs.ask("judge", f"{path} {line}").items():
                parts[PARTS.index(part)]["errors"] = errors
        others = max(turn["other_cpu"] for turn in turns)
        ratios = " ".join("void" if part["ratio"] is None else f"{part['ratio']:.2f}" for part in parts)
        say(f"  {shown(line):<42} {ratios}   others' CPU up to {others:.1f} %")
        return {"layer": line, "shown": shown(line), "origin": origin, "other_cpu_percent": others, "parts": parts}


def table(rows, limits):
    head = ["from", "layer", "part", "ours ms", "GFLOP/s", "of limit", "PyTorch ms", "layout", "ratio", "error", "PyTorch's"]
    lines = [head]
    for row in rows:
        for part in row["parts"]:
            cells = [row["origin"], row["shown"], part["part"]]
            if part["ratio"] is None:
                lines.append([*cells, "void", *[""] * (len(head) - 4)])
                continue
            rate = part["flops"] / part["ours_ms"] * 1e3
            cells += [f"{part['ours_ms']:.3f}", f"{rate * 1e-9:.0f}", f"{100 * rate / limits['flops']:.0f} %"]
            cells += [f"{part['theirs_ms']:.3f}", part["layout"], f"{part['ratio']:.2f}"]
            errors = part.get("errors")
            cells += [f"{errors['ours']:.1e}", f"{errors[part['layout']]:.1e}"] if errors else ["-", "-"]
            lines.append(cells)
    return "\n".join(lines_of(lines, {0, 1, 2, 7}))


def read_options(words):
    parser = argparse.ArgumentParser(description="Layers by themselves against PyTorch's; prints a table of the ratios.")
    add_common(parser, "bench_shapes")
    parser.add_argument("--turns", type=positive(int), default=3, help="that count, for each layer")
    parser.add_argument("--more", type=int, default=5, help=f"further ones where a ratio is under {LEAST}")
    parser.add_argument("--seconds", type=positive(float), default=0.1, help="for three parts of one layer")
    parser.add_argument("--only", default="", metavar="TEXT", help="layers whose line has this text: linear, conv 8 64")
    parser.add_argument("--no-errors", dest="errors", action="store_false", help="do not compare with float64")
    parser.add_argument("--isa", choices=("avx2",), help="both sides without AVX-512")
    parser.add_argument("--json", metavar="FILE", help="rows as JSON, beside the table")
    return parser.parse_args(words)


def main():
    options = read_options(sys.argv[1:])
    python = os.path.join(options.venv, "bin", "python")
    must_exist(options.program, python)
    isa = ISA_ENVIRONMENT[options.isa]
    ours = Program([options.program], {"FACULA_NUM_THREADS": str(options.threads), **isa})
    script = os.path.join(PEERS, "torch_shapes.py")
    environment = {"CUDA_VISIBLE_DEVICES": "", **TUNED_MALLOC, **isa}
    theirs = Program([python, "-B", script, "--threads", str(options.threads)], environment)
    version = theirs.ask("version", "")["version"]
    limits = ours.ask("limits", "")
    bench = Bench(options, ours, theirs)
    layers = [layer for group in ("conv", "linear") for layer in spelled(group) if options.only in layer[1]]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "results.pth")
        rows = [bench.layer(origin, line, path) for origin, line in layers]
    ours.end()
    theirs.end()
    head = f"{cpu_name()}, {options.threads} threads, {limits['isa']}, torch {version}; limit {limits['flops'] * 1e-9:.0f} GFLOP/s"
    print(f"{head}, {limits['bytes'] * 1e-9:.0f} GB/s")
    print(table(rows, limits))
    parts = [(row, part) for row in rows for part in row["parts"]]
    known = [(row, part) for row, part in parts if part["ratio"] is not None]
    means = {
        kind: geometric_mean([part["ratio"] for row, part in known if row["layer"].startswith(kind)])
        for kind in ("conv", "linear", "")
    }
    losers = [(row, part) for row, part in known if part["ratio"] < LEAST]
    for kind, mean in means.items():
        if mean is not None:
            print(f"geometric mean of the ratios, {kind or 'all'}: {mean:.2f}" + (f" (needs {MEAN})" if not kind else ""))
    print(f"under {LEAST}: {len(losers)} of {len(known)}; void: {len(parts) - len(known)}")
    for row, part in sorted(losers, key=lambda pair: pair[1]["ratio"]):
        print(f"  {part['ratio']:.2f}  {row['shown']}, {part['part']}: {part['ours_ms']:.3f} ms by {part['kernel']}")
    if options.json:
        with open(options.json, "w") as file:
            everything = {"cpu": cpu_name(), "threads": options.threads, "torch": version, "limits": limits, "rows": rows}
            json.dump(everything, file, indent=1)
    return 0 if len(known) == len(parts) and not losers and means[""] >= MEAN else 1


if __name__ == "__main__":
    sys.exit(main())
