#!/usr/bin/env python3
"""Makes the tables of measured speeds and the pictures of the documentation from recorded results.

usage: scripts/pictures.py [--check] [--library build/release/libfacula.so]

  bench/results/*.txt         what bench/compare.py printed (the newest file), becomes the tables between the marks
                              <!-- speed: NAME --> and <!-- end --> of the pages, and docs/pictures/speed.svg
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
PAGES = [pathlib.Path(p) for p in ("README.md", "docs/decisions.md", "docs/guide/performance.md")]
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
