#!/usr/bin/env python3
"""Makes the tables of measured speeds and the pictures of the documentation from recorded results.

usage: scripts/pictures.py [--check] [--library build/release/libfacula.so]

  bench/results/*.txt         what bench/compare.py printed (the newest file), becomes the tables between the marks
                              <!-- speed: NAME --> and <!-- end --> of the pages, and docs/pictures/speed.svg
  bench/results/shapes.json, growth.json, job.json
                              what those scripts of bench/ wrote, where it is there: tables likewise, growth.svg and
                              roofline.svg
  docs/pictures/losses.txt    a hundred losses of a training, becomes docs/pictures/losses.svg, beside PyTorch's losses
                              of tests/golden/train100.json

--library takes the losses anew with that library (docs/pictures/losses.c); --check only says whether pages and pictures
are what would be written. Pictures are SVG without a background, in colours that can be told on white and on black."""
import argparse
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
PICTURES = pathlib.Path("docs/pictures")
PAGES = [pathlib.Path(p) for p in ("README.md", "docs/decisions.md", "docs/guide/performance.md", "docs/guide/layers.md")]
INK, OURS, THEIRS = "#7d8590", "#e8710a", "#3b82f6"
NETWORKS = {
    "mnist": "2 convolutions, 2 linear layers, 28x28",
    "cifar": "2 convolutions, 1 linear layer, 32x32",
    "fake64": "2 convolutions, 2 linear layers, 64x64",
    "img224": "the same, 224x224",
    "vgg_bn": "6 convolutions with batch norm, 32x32",
    "resnet18": "torchvision's ResNet-18, 32x32",
}


# ---- What was measured ------------------------------------------------------------------------------------------------


def rows_of(text, mode):
    """[{network, batch, ours, peer, theirs, ratio, least, most, scouts}] of a table of compare.py."""
    rows = []
    for line in text.split("\n"):
        cells = line.split()
        if len(cells) >= 9 and cells[0] in NETWORKS and cells[1] == mode:
            least, most = cells[8].split("-")
            rows.append({"network": cells[0], "batch": int(cells[2]), "ours": float(cells[4]), "peer": cells[5],
                         "theirs": float(cells[6]), "ratio": float(cells[7]), "least": float(least), "most": float(most)})
    for row in rows:
        found = re.search(rf"^scouts: {row['network']}, {mode}, .*?: (.*)$", text, re.M)
        row["scouts"] = {name: float(speed) for name, speed in (p.split() for p in found.group(1).split(", "))}
    return rows


def best_of(row, framework):
    """The framework's fastest form: of pairs where it was the fastest of all, else, with a star, the scout's single run."""
    if row["peer"].startswith(framework):
        return f"{row['theirs']:,.0f}"
    return f"{max(speed for name, speed in row['scouts'].items() if name.startswith(framework)):,.0f}*"


def span_of(row):
    return f"{row['least']:.2f} to {row['most']:.2f}" if row["least"] < row["most"] else "one pair"


def table(text, mode):
    what = {"train": "training, images a second", "infer": "scores alone, images a second"}[mode]
    lines = [f"| {what} | batch | Facula | PyTorch | TensorFlow | against the faster | lowest to highest |", "| --- " + "| ---: " * 6 + "|"]
    for row in rows_of(text, mode):
        lines.append(f"| `{row['network']}`: {NETWORKS[row['network']]} | {row['batch']} | {row['ours']:,.0f} | {best_of(row, 'torch')} "
                     f"| {best_of(row, 'tensorflow')} | **{row['ratio']:.2f} times** | {span_of(row)} |")
    return "\n".join(lines)


def loader_table(text):
    lines = ["| first epoch, images a second | Facula | PyTorch's loader | | lowest to highest |", "| --- | ---: | ---: | ---: | ---: |"]
    names = {"mnist": "MNIST's files, Normalize", "jpeg": "60,000 JPEGs of 32x32, crop, flip, Normalize"}
    for name, ours, theirs, peer, ratio, span in re.findall(
            r"^(mnist|jpeg) +64 +2 +(\d+) .*?(?:(\d+) \([\d.]+\) +)(torch\S*) +([\d.]+) +([\d.]+-[\d.]+) ", text, re.M):
        lines.append(f"| {names[name]} | {int(ours):,} | {int(theirs):,} | **{float(ratio):.1f} times** "
                     f"| {' to '.join(f'{float(x):.1f}' for x in span.split('-'))} |")
    return "\n".join(lines)


def files_table(text):
    lines = ["| ResNet-50's state dict, 102 MB | Facula | the other | |", "| --- | ---: | ---: | ---: |"]
    names = {"load": "`fa_load`, checksums looked at; `torch.load`", "map": "`.mmap = true`; `mmap=True`",
             "save": "`fa_save`; `write` and `fsync` of as many bytes"}
    for name, ours, theirs, ratio in re.findall(r"^(load|map|save) +ours +([\d.]+) ms, theirs +([\d.]+) ms, ratio ([\d.]+)", text, re.M):
        lines.append(f"| {names[name]} | {ours} ms | {theirs} ms | {ratio} times |")
    return "\n".join(lines)


def shapes_table(data):
    """For each kind of layer the geometric mean of the ratios, the lowest and the highest, and the errors."""
    rows = [(row, part) for row in data["rows"] for part in row["parts"] if part["ratio"] is not None]

    def kind_of(row, part):
        kind, *numbers = row["layer"].split()
        if kind == "linear":
            return "matrix products"
        depthwise, kernel, stride = numbers[7] != "1", numbers[4], numbers[5]
        return "depthwise 3x3" if depthwise else f"{kernel}x{kernel}" + (f", stride {stride}" if stride != "1" else "")

    lines = ["| layers, forward and both gradients | | against PyTorch | lowest to highest | of the limit | error | PyTorch's |",
             "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    groups = {}
    for row, part in rows:
        groups.setdefault(kind_of(row, part), []).append(part)
    for kind, parts in [*groups.items(), ("all", [part for _, part in rows])]:
        ratios = [part["ratio"] for part in parts]
        mean = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
        shares = sorted(part["flops"] / part["ours_ms"] * 1e3 / data["limits"]["flops"] for part in parts)
        errors = [part["errors"] for part in parts if "errors" in part]
        ours = max((error["ours"] for error in errors), default=math.nan)
        theirs = max((part["errors"][part["layout"]] for part in parts if "errors" in part), default=math.nan)
        lines.append(f"| {kind} | {len(parts)} | **{mean:.2f} times** | {min(ratios):.2f} to {max(ratios):.2f} "
                     f"| {100 * shares[len(shares) // 2]:.0f} % | {ours:.1e} | {theirs:.1e} |")
    return "\n".join(lines)


def layers_table(data):
    lines = ["| from | layer | forward | gradient of the input | gradient of the weights | of the limit | error | PyTorch's |",
             "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for row in data["rows"]:
        cells = []
        for part in row["parts"]:
            known = part["ratio"] is not None
            cells.append(f"**{part['ratio']:.2f}** ({part['ours_ms']:.2f}, {part['theirs_ms']:.2f})" if known else "void")
        first = row["parts"][0]
        share = f"{first['flops'] / first['ours_ms'] * 1e5 / data['limits']['flops']:.0f} %" if first["ratio"] is not None else ""
        errors = [(part["errors"]["ours"], part["errors"][part["layout"]]) for part in row["parts"] if "errors" in part and "layout" in part]
        worst = [f"{value:.1e}" for value in max(errors)] if errors else ["", ""]
        lines.append(f"| {row['origin']} | {row['shown']} | {' | '.join(cells)} | {share} | {' | '.join(worst)} |")
    return "\n".join(lines)


def job_table(data):
    lines = ["| the whole MNIST job | Facula | PyTorch | PyTorch tuned |", "| --- | ---: | ---: | ---: |"]
    rows = [data["rows"]["torch"], data["rows"]["torch, tuned"]]
    ours = min(rows, key=lambda row: row["ours_seconds"])
    first, size = data["first_step_ms"], data["bytes"]
    lines.append(f"| from the start to the exit | {ours['ours_seconds']:.1f} s | "
                 + " | ".join(f"{row['theirs_seconds']:.1f} s, **{row['ratio']:.1f} times**" for row in rows) + " |")
    lines.append(f"| memory at the peak | {ours['ours_memory_mib']:.0f} MiB | "
                 + " | ".join(f"{row['theirs_memory_mib']:.0f} MiB" for row in rows) + " |")
    lines.append(f"| test accuracy | {100 * ours['ours_accuracy']:.2f} % | "
                 + " | ".join(f"{100 * row['theirs_accuracy']:.2f} %" for row in rows) + " |")
    lines.append(f"| from exec to the first step's loss | {first['ours']:.0f} ms | {first['theirs']:,.0f} ms | |")
    lines.append(f"| the program, stripped | {size['bench_job'] / 1e6:.1f} MB | | |")
    return "\n".join(lines)


# ---- Pictures ---------------------------------------------------------------------------------------------------------


class Picture:
    def __init__(self, width, height, what):
        self.parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
                      f'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="13">',
                      f"<title>{what}</title>"]

    def text(self, x, y, text, anchor="start", colour=INK, weight="normal", size=13):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}" font-size="{size}">{text}</text>')

    def line(self, x1, y1, x2, y2, colour=INK, width=1.0, dash=None, opacity=1.0):
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}" stroke-opacity="{opacity}"{dashes}/>')

    def box(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{colour}"/>')

    def curve(self, points, colour, width):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>')

    def dot(self, x, y, radius, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def ring(self, x, y, radius, colour):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.45" stroke="{colour}"/>')

    def __str__(self):
        return "\n".join(self.parts + ["</svg>"]) + "\n"


def speed_picture(text):
    rows = rows_of(text, "train")
    left, top, step, right = 78, 50, 32, 396
    most = math.ceil(max(row["most"] for row in rows))
    p = Picture(420, top + step * len(rows) + 34, "Training speed of six networks: Facula against the faster of PyTorch and TensorFlow")

    def x(ratio):
        return left + (right - left) * ratio / most

    p.text(left, 18, "Training: times as fast as the faster", weight="bold")
    p.text(left, 35, "of PyTorch and TensorFlow", weight="bold")
    for number in range(1, most + 1):
        p.line(x(number), top - 4, x(number), top + step * len(rows), THEIRS if number == 1 else INK, 1.5 if number == 1 else 1,
               None if number == 1 else "2 4", 1 if number == 1 else 0.5)
        p.text(x(number), top + step * len(rows) + 17, f"{number}", "middle", THEIRS if number == 1 else INK)
    for i, row in enumerate(rows):
        y = top + step * i
        p.text(left - 8, y + 17, row["network"], "end")
        p.box(left, y + 3, x(row["ratio"]) - left, step - 12, OURS)
        p.text(x(row["ratio"]) - 6, y + 17.5, f"{row['ratio']:.2f}", "end", "#ffffff", "bold")
        p.line(x(row["least"]), y + step - 5, x(row["most"]), y + step - 5, INK, 2)
    p.line(left, top - 4, left, top + step * len(rows))
    return str(p)


def losses_picture(ours, theirs):
    left, top, right, bottom = 44, 50, 406, 232
    most = math.ceil(2 * max(ours + theirs)) / 2
    p = Picture(420, 276, "Loss of the first hundred training steps, Facula's dots on PyTorch's line")

    def point(i, loss):
        return left + (right - left) * i / (len(theirs) - 1), bottom - (bottom - top) * loss / most

    p.text(left, 18, "Same seed, same losses: MNIST, Adam,", weight="bold")
    p.text(left, 35, "the first 100 steps", weight="bold")
    for k in range(0, int(2 * most) + 1):
        y = point(0, k / 2)[1]
        p.line(left, y, right, y, INK, 1, None if k == 0 else "2 4", 1 if k == 0 else 0.5)
        p.text(left - 6, y + 4, f"{k / 2:g}", "end")
    for i in range(0, 101, 25):
        p.text(point(max(i - 1, 0), 0)[0], bottom + 17, f"{max(i, 1)}", "middle")
    p.text((left + right) / 2, bottom + 35, "step", "middle")
    p.curve([point(i, loss) for i, loss in enumerate(theirs)], THEIRS, 4)
    for i, loss in enumerate(ours):
        p.dot(*point(i, loss), 2, OURS)
    p.line(right - 120, top + 14, right - 96, top + 14, THEIRS, 4)
    p.text(right - 88, top + 18, "PyTorch")
    for k in range(3):
        p.dot(right - 118 + 10 * k, top + 34, 2, OURS)
    p.text(right - 88, top + 38, "Facula")
    return str(p)


PARTS = {"forward": ("forward", OURS), "input": ("gradient of the input", THEIRS), "weight": ("gradient of the weights", "#2ca25f")}


def growth_picture(data):
    """Three panels: batch, side and channels against the share of the limit."""
    left, top, panel, gap, bottom = 44, 66, 226, 26, 240
    most = 10 * math.ceil(10 * max(call["share"] for row in data["growth"] for call in row["parts"].values()))
    p = Picture(left + 3 * panel + 2 * gap + 12, 290, "Share of the machine's limit that a 3x3 convolution reaches as batch, side and channels grow")
    titles = {"batch": "batch (64 channels, 32 x 32)", "side": "side (batch 8, 32 channels)", "channels": "channels (batch 8, 32 x 32)"}
    p.text(left, 18, "Percent of what the machine can do at most", weight="bold")
    for i, (name, colour) in enumerate(PARTS.values()):
        p.line(left + 190 * i, 40, left + 190 * i + 20, 40, colour, 2.5)
        p.dot(left + 190 * i + 10, 40, 3.5, colour)
        p.text(left + 190 * i + 27, 44.5, name)

    def y(share):
        return bottom - (bottom - top) * 100 * share / most

    for i, (name, title) in enumerate(titles.items()):
        rows = [row for row in data["growth"] if row["grows"] == name]
        x0 = left + i * (panel + gap)

        def x(k):
            return x0 + 12 + (panel - 24) * k / (len(rows) - 1)

        for percent in range(0, most + 1, 25):
            p.line(x0, y(percent / 100), x0 + panel, y(percent / 100), INK, 1, None if percent in (0, 50) else "2 4", 1 if percent in (0, 50) else 0.5)
            if i == 0:
                p.text(x0 - 6, y(percent / 100) + 4, f"{percent}", "end")
        for k, row in list(enumerate(rows))[:: 1 + len(rows) // 10]:
            p.text(x(k), bottom + 17, f"{row[name]}", "middle")
        p.text(x0 + panel / 2, bottom + 38, title, "middle")
        for part, (_, colour) in PARTS.items():
            points = [(x(k), y(row["parts"][part]["share"])) for k, row in enumerate(rows)]
            p.curve(points, colour, 2)
            for point in points:
                p.dot(*point, 3, colour)
    return str(p)


def roofline_picture(data):
    """Each kernel that takes a hundredth of a step or more: operations a byte, operations a second, its share as the area."""
    left, top, right, bottom = 60, 40, 690, 400
    p = Picture(710, 446, "Roofline: the kernels of six networks under the machine's limits")
    least, most, low, high = -1.3, 3.3, -1.3, 3.3  # powers of ten: operations a byte; GFLOP/s
    flops, copied = data["limits"]["flops"], data["limits"]["bytes"]

    def at(intensity, rate):
        return (left + (right - left) * (math.log10(intensity) - least) / (most - least),
                bottom - (bottom - top) * (math.log10(rate * 1e-9) - low) / (high - low))

    p.text(left, 20, "Kernels of the six networks' training steps, and what the machine can do", weight="bold")
    for power in range(-1, 4):
        x, y = at(10.0**power, 10.0**(power + 9))
        p.line(x, top, x, bottom, INK, 1, "2 4", 0.5)
        p.line(left, y, right, y, INK, 1, "2 4", 0.5)
        p.text(x, bottom + 17, f"{10.0**power:g}", "middle")
        p.text(left - 6, y + 4, f"{10.0**power:g}", "end")
    corner = flops / copied
    p.curve([at(10**least, copied * 10**least), at(corner, flops), at(10**most, flops)], INK, 2.5)
    x, y = at(corner, flops)
    p.text(x - 6, y - 8, f"{flops * 1e-9:.0f} GFLOP/s of multiply-adds", "end")
    x, y = at(1.6, 1.6 * copied)
    p.text(x - 10, y - 2, f"{copied * 1e-9:.0f} GB/s of memory", "end")
    kinds = [("conv2d", *PARTS["forward"]), ("conv2d_input_grad", *PARTS["input"]), ("conv2d_weight_grad", *PARTS["weight"]),
             ("linear", "matrix products", "#b565d8"), ("matmul", "matrix products", "#b565d8"), ("", "others", INK)]
    dots = []
    for run in data["profiles"]:
        for kernel in run["kernels"]:
            share = kernel["ms_per_step"] / run["ms_per_step"]
            if share >= 0.01 and kernel["flops"] > 0 and kernel["bytes"] > 0:
                colour = next(colour for op, _, colour in kinds if kernel["op"] == op or op == "")
                place = at(kernel["flops"] / kernel["bytes"], kernel["flops"] / kernel["best_ms"] * 1e3)
                dots.append((3 + 22 * math.sqrt(share), *place, colour))
    for radius, x, y, colour in sorted(dots, reverse=True):
        p.ring(x, y, radius, colour)
    for i, (name, colour) in enumerate(dict((name, colour) for _, name, colour in kinds).items()):
        p.ring(right - 176, bottom - 108 + 22 * i, 6, colour)
        p.text(right - 162, bottom - 103.5 + 22 * i, name)
    p.text((left + right) / 2, bottom + 38, "operations for each byte of inputs and outputs", "middle")
    p.text(left + 6, top + 12, "GFLOP/s, by the formula")
    return str(p)


def growth_text(data):
    """Both pictures, for the page, and where a kernel stays under half of the limit."""
    under = [row | {"part": name, "share": row["parts"][part]["share"]} for row in data["growth"] for part, (name, _) in PARTS.items()
             if row["batch"] >= 8 and row["parts"][part]["share"] < 0.5]
    threads = "".join(f" {data['threads']} threads train `{row['network']}` with a batch of {row['batch']} {row['gain']:.2f} times as fast "
                      f"as one (a bare loop: {row['loop']:.2f} times)." for row in data["scaling"])
    least = min((call["share"] for row in data["growth"] if row["batch"] >= 8 for call in row["parts"].values()))
    text = f"{len(under) or 'No'} of the points with a batch of 8 or more {'is' if len(under) == 1 else 'are'} under half of the limit"
    return (f"![Share of the limit as batch, side and channels grow](../pictures/growth.svg)\n\n{text}; the lowest share is "
            f"{100 * least:.0f} %.{threads}\n\n![Roofline of the kernels of six networks](../pictures/roofline.svg)\n\n"
            "Each disc is a kernel of a training step; its area grows with the share of the step. Above the roof are kernels that do less than "
            "the formula has: Winograd's, and gradients that leave out what relu and max-pool cut.")


# ---- Pages ------------------------------------------------------------------------------------------------------------


def run_losses(library):
    library = pathlib.Path(library).resolve()
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/losses"
        subprocess.run(["cc", "-std=gnu17", "-O1", "-Iinclude", str(PICTURES / "losses.c"), "-o", program, str(library),
                        f"-Wl,-rpath,{library.parent}"], check=True)
        return subprocess.run([program], check=True, capture_output=True, text=True).stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--library")
    options = parser.parse_args()
    results = sorted(pathlib.Path("bench/results").glob("*.txt"))[-1]
    text = results.read_text(encoding="utf-8")
    if options.library:
        (PICTURES / "losses.txt").write_text(run_losses(options.library), encoding="utf-8")
    ours = [float(line) for line in (PICTURES / "losses.txt").read_text(encoding="utf-8").split()]
    golden = json.loads(pathlib.Path("tests/golden/train100.json").read_text(encoding="utf-8"))
    theirs = next(run["losses_float64"] for run in golden["runs"] if run["name"] == "adam")
    print(f"losses: {len(ours)} steps, within {max(abs(a - b) / b for a, b in zip(ours, theirs)):.1e} of PyTorch's in float64")

    tables = {"train": table(text, "train"), "infer": table(text, "infer"), "loader": loader_table(text), "files": files_table(text)}
    wanted = {PICTURES / "speed.svg": speed_picture(text), PICTURES / "losses.svg": losses_picture(ours, theirs)}
    read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in results.parent.glob("*.json")}
    makers = {"shapes": ("shapes", shapes_table), "layers": ("shapes", layers_table), "job": ("job", job_table), "growth": ("growth", growth_text)}
    tables |= {name: make(read[source]) for name, (source, make) in makers.items() if source in read}
    if "growth" in read:
        wanted |= {PICTURES / "growth.svg": growth_picture(read["growth"]), PICTURES / "roofline.svg": roofline_picture(read["growth"])}
    for page in PAGES:
        def fill(mark):
            if mark.group(3) not in tables:
                return mark.group(0)
            indent = re.search(r"[ ]*$", mark.group(1)).group(0)
            body = "\n".join(indent + line for line in tables[mark.group(3)].split("\n"))
            return f"{mark.group(1)}{mark.group(2)}\n{body}\n{indent}<!-- end -->"

        wanted[page] = re.sub(r"((?:^|\n) *)(<!-- speed: (\w+) -->)\n(?:.*?\n)?? *<!-- end -->", fill, page.read_text(encoding="utf-8"), flags=re.S)
    stale = [str(path) for path, new in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != new]
    if options.check:
        if stale:
            print(f"not what {results} gives: {', '.join(stale)}. Hint: scripts/pictures.py")
        return 1 if stale else 0
    for path, new in wanted.items():
        path.write_text(new, encoding="utf-8")
    print("written: " + (", ".join(stale) or "nothing new"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
