#!/usr/bin/env python3
"""Draws what bench/growth.py --json measured: growth.svg and roofline.svg, for the documentation. Needs matplotlib.

usage: bench/plots.py growth.json docs/guide/figures"""

import json
import os
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

# Middle tones on nothing: the page behind may be light or dark.
INK, GRID = "#808890", "#80889050"
COLOURS = {"forward": "#2f8fe0", "input": "#e0782a", "weight": "#25a06e"}
LABELS = {"forward": "forward", "input": "gradient of the input", "weight": "gradient of the weights"}
MARKS = {"forward": "o", "input": "s", "weight": "^"}
KINDS = {  # of the roofline: op's beginning -> part
    "conv2d_input_grad": "input",
    "conv2d_weight_grad": "weight",
    "conv2d": "forward",
}
OTHER = {"linear": ("matrix products", "#b565d8", "D"), "": ("other kernels", "#98a0a8", "x")}

plt.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "facula",
        "font.family": "sans-serif",
        "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
        "font.size": 11,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "axes.facecolor": "none",
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
)


def plain(value, _):
    return f"{value:g}"


def save(figure, path):
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def draw_growth(data, path):
    titles = {
        "batch": "batch, of 64 channels, 32 x 32",
        "side": "side, of batch 8, 32 channels",
        "channels": "channels, of batch 8, 32 x 32",
    }
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True)
    for axis, (name, title) in zip(axes, titles.items()):
        rows = [row for row in data["growth"] if row["grows"] == name]
        for part, colour in COLOURS.items():
            x = [row[name] for row in rows]
            y = [100 * row["parts"][part]["share"] for row in rows]
            axis.plot(x, y, color=colour, marker=MARKS[part], markersize=5, linewidth=1.6, label=LABELS[part])
        axis.axhline(50, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(FuncFormatter(plain))
        axis.set_xticks([row[name] for row in rows])
        axis.tick_params(axis="x", labelsize=9)
        axis.set_xlabel(title)
        axis.grid(True, axis="y", color=GRID, linewidth=0.8)
        axis.set_ylim(0, None)
    axes[0].set_ylabel("percent of the limit")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="upper center", ncol=3, bbox_to_anchor=(0.5, 1.08))
    save(figure, path)


def kind_of(op):
    for begin, part in KINDS.items():
        if op.startswith(begin) and not op.startswith("conv2d_bias"):
            return LABELS[part], COLOURS[part], MARKS[part]
    return OTHER["linear" if op in ("linear", "matmul") else ""]


def draw_roofline(data, path):
    flops, copied = data["limits"]["flops"], data["limits"]["bytes"]
    figure, axis = plt.subplots(figsize=(8.5, 5))
    ends = [0.08, 3000]
    axis.plot(ends, [min(flops, copied * x) * 1e-9 for x in ends], alpha=0)
    corner = flops / copied
    axis.plot([ends[0], corner, ends[1]], [copied * ends[0] * 1e-9, flops * 1e-9, flops * 1e-9], color=INK, linewidth=1.8)
    axis.annotate(f"{flops * 1e-9:.0f} GFLOP/s of multiply-adds", (ends[1], flops * 1e-9), xytext=(0, 6), ha="right",
                  textcoords="offset points", fontsize=10)  # fmt: skip
    axis.annotate(f"{copied * 1e-9:.0f} GB/s", (0.4, 0.4 * copied * 1e-9), xytext=(-8, 8), ha="right",
                  textcoords="offset points", fontsize=10)  # fmt: skip
    groups = {}
    for run in data["profiles"]:
        for kernel in run["kernels"]:
            share = kernel["ms_per_step"] / run["ms_per_step"]
            if share >= 0.01 and kernel["flops"] > 0 and kernel["bytes"] > 0:
                point = kernel["flops"] / kernel["bytes"], kernel["flops"] / kernel["best_ms"] * 1e-6, share
                groups.setdefault(kind_of(kernel["op"]), []).append(point)
    order = [(LABELS[part], COLOURS[part], MARKS[part]) for part in LABELS] + list(OTHER.values())
    for label, colour, mark in (group for group in order if group in groups):
        x, y, share = zip(*groups[label, colour, mark])
        axis.scatter(x, y, s=[18 + 500 * value for value in share], c=colour, marker=mark, alpha=0.75, linewidths=1, label=label)
    axis.set_xscale("log")
    axis.set_yscale("log")
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_major_locator(LogLocator(10))
        direction.set_minor_locator(NullLocator())
        direction.set_major_formatter(FuncFormatter(plain))
    axis.set_xlabel("operations for each byte of inputs and outputs")
    axis.set_ylabel("GFLOP/s, operations as the formula has them")
    axis.grid(True, color=GRID, linewidth=0.8)
    legend = axis.legend(loc="lower right")
    for handle in legend.legend_handles:
        handle.set_sizes([40])
    save(figure, path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as file:
        data = json.load(file)
    os.makedirs(sys.argv[2], exist_ok=True)
    draw_growth(data, os.path.join(sys.argv[2], "growth.svg"))
    draw_roofline(data, os.path.join(sys.argv[2], "roofline.svg"))


if __name__ == "__main__":
    main()
