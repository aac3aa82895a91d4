#!/usr/bin/env python3
"""Draws the pictures of the chapter (docs/lesson/pictures/*.svg) from what examples/lesson/pictures.c has computed.

usage: scripts/lesson_pictures.py [--french] DATA [FOLDER]      DATA: the folder that the program wrote
       build/release/examples/lesson/pictures build/pictures && scripts/lesson_pictures.py build/pictures

Each picture is an SVG that takes its ink from the page it stands in (docs/conf.py puts it there) and, by itself, from
the reader's light or dark theme. Needs nothing but Python."""
import array
import ast
import base64
import csv
import html
import math
import pathlib
import re
import struct
import sys
import zlib

BLUE, ORANGE, GREEN = "#3d85c6", "#e07b39", "#3f9c6d"
STYLE = """<style>
.fa-picture{--ink:var(--color-foreground-primary,#24292f);--faint:var(--color-foreground-secondary,#5f6670);
--line:var(--color-background-border,#c9ced6);max-width:100%;height:auto;display:block;margin:1.2em auto;
font:13px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
@media (prefers-color-scheme:dark){.fa-picture{--ink:var(--color-foreground-primary,#d6dae0);
--faint:var(--color-foreground-secondary,#9aa2ad);--line:var(--color-background-border,#444b55)}}
.fa-picture text{fill:var(--ink)}.fa-picture .faint{fill:var(--faint)}.fa-picture .small{font-size:11px}
.fa-picture .number{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:12px}
.fa-picture .rule{stroke:var(--line);fill:none}.fa-picture .ink{stroke:var(--ink);fill:none}
.fa-picture image{image-rendering:pixelated}
</style>"""

# The words of the pictures in French; # stands for a number.
FRENCH = {
    "# weights": "# poids", "linear layer, # neurons": "couche linéaire, # neurones",
    "convolution, # filters of # × # × #": "convolution, # filtres de # × # × #",
    "a first layer for a picture of # × # × #; areas are numbers of weights":
        "une première couche pour une image de # × # × # ; les aires sont des nombres de poids",
    "the digit, and a window of # × #": "le chiffre et une fenêtre de # × #",
    "pixels in the window": "pixels de la fenêtre", "the kernel": "le noyau",
    "one number of the map": "un nombre de la carte", "the digit": "le chiffre",
    "left and right edges": "bords gauches et droits", "upper and lower edges": "bords hauts et bas",
    "a blur": "un flou", "orange: above #, blue: below": "orange : au-dessus de #, bleu : au-dessous",
    "as it is": "tel quel", "moved by # down": "déplacé de # en bas", "and # to the right": "et de # à droite",
    "its map": "sa carte", "moved back, it differs": "ramenée, elle diffère", "from the upper one by #":
        "de celle du haut de #",
    "# × #, in windows of # × #": "# × #, en fenêtres de # × #", "the greatest of each": "le maximum de chacune",
    "the mean of each": "la moyenne de chacune", "a digit, # × #": "un chiffre, # × #", "max, # × #": "max, # × #",
    "mean, # × #": "moyenne, # × #", "picture": "image", "conv#": "conv#", "max-pool": "max-pool",
    "flatten": "à plat", "fc#": "fc#",
    "the eight filters of a trained first layer": "les huit filtres d’une première couche entraînée",
    "and what each makes of a five, after relu: black where it finds nothing":
        "et ce que chacun fait d’un cinq, après relu : noir là où il ne trouve rien",
    "epoch": "époque", "loss": "perte", "training": "entraînement", "validation": "validation",
    "least: #, in epoch #": "minimum : #, à l’époque #", "batch #": "lots de #", "all #": "les # d’un coup",
    "seconds of one core": "secondes d’un cœur", "loss on all digits": "perte sur tous les chiffres",
    "looks at each digit": "passages sur chaque chiffre", "a #, taken for a #": "un # pris pour un #",
    "the first eight of the test digits, and the first # that the network gets wrong":
        "les huit premiers chiffres de test, et les # premiers sur lesquels le réseau se trompe",
}
NUMBERS = re.compile(r"\d+(?:[.,]\d+)*")
in_french = False


def words(text):
    """The text in the language of the pictures; every one with letters in it has a translation."""
    if not in_french:
        return text
    found = iter(NUMBERS.findall(text))
    key = NUMBERS.sub("#", text)
    text = FRENCH[key] if re.search("[a-z]", key) else key
    return re.sub("#", lambda _: next(found).replace(",", "\u202f"), text)


# ---- Data ------------------------------------------------------------------------------------------------------------


class Array:
    """What an .npy file holds, in C order: a[i] of the first dimension is an Array, or a number."""

    def __init__(self, shape, numbers):
        self.shape, self.numbers = tuple(shape), numbers

    @staticmethod
    def read(path):
        data = path.read_bytes()
        length, = struct.unpack("<H", data[8:10])
        header = ast.literal_eval(data[10:10 + length].decode())
        code = {"<f4": "f", "<f8": "d", "<i8": "q", "|u1": "B"}[header["descr"]]
        return Array(header["shape"], array.array(code, data[10 + length:]))

    def __getitem__(self, i):
        if len(self.shape) == 1:
            return self.numbers[i]
        size = math.prod(self.shape[1:])
        return Array(self.shape[1:], self.numbers[i * size:(i + 1) * size])

    def rows(self):
        """Of a picture: its last two dimensions as lists, the others being 1."""
        height, width = self.shape[-2:]
        assert math.prod(self.shape) == height * width
        return [list(self.numbers[y * width:(y + 1) * width]) for y in range(height)]


# ---- Drawing ---------------------------------------------------------------------------------------------------------


def number(x):
    return f"{x:.2f}".rstrip("0").rstrip(".")


class Picture:
    def __init__(self, width, height):
        self.width, self.height, self.parts = width, height, []

    def add(self, name, content=None, **attributes):
        text = " ".join(f'{key.rstrip("_").replace("_", "-")}="{number(v) if isinstance(v, float) else v}"'
                        for key, v in attributes.items())
        self.parts.append(f"<{name} {text}/>" if content is None else f"<{name} {text}>{content}</{name}>")

    def text(self, x, y, text, anchor="start", kind="", colour=None):
        style = {"style": f"fill:{colour}"} if colour else {}
        if kind:
            style["class_"] = kind
        self.add("text", html.escape(words(text), quote=False), x=x, y=y, text_anchor=anchor, **style)

    def line(self, *points, kind="rule", colour=None, width=1.0, dash=None):
        style = f"fill:none;stroke-width:{number(width)}" + (f";stroke:{colour}" if colour else "") + \
            (f";stroke-dasharray:{dash}" if dash else "")
        self.add("polyline", points=" ".join(f"{number(x)},{number(y)}" for x, y in points), class_=kind, style=style)

    def box(self, x, y, width, height, kind="rule", colour=None, stroke=1.0, fill="none", opacity=1.0):
        style = f"fill:{fill};stroke-width:{number(stroke)}" + (f";stroke:{colour}" if colour else "") + \
            (f";fill-opacity:{number(opacity)}" if opacity < 1 else "")
        self.add("rect", x=x, y=y, width=width, height=height, class_=kind, style=style)

    def arrow(self, x0, x1, y):
        self.line((x0, y), (x1, y), kind="ink")
        self.line((x1 - 4, y - 3), (x1, y), (x1 - 4, y + 3), kind="ink")

    def pixels(self, x, y, side, rows, colour):
        """A square picture: its numbers by the colours that the function `colour` gives."""
        raw = b"".join(b"\0" + bytes(c for v in row for c in colour(v)) for row in rows)

        def chunk(name, data):
            return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

        header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2, 0, 0, 0)
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9))
        png += chunk(b"IEND", b"")
        self.add("image", x=x, y=y, width=side, height=side,
                 href="data:image/png;base64," + base64.b64encode(png).decode())
        self.box(x, y, side, side)

    def save(self, path):
        path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" class="fa-picture" viewBox="0 0 {self.width} '
                        f'{self.height}" width="{self.width}" height="{self.height}">\n{STYLE}\n' +
                        "\n".join(self.parts) + "\n</svg>\n", encoding="utf-8")


def grey(v):
    """0 to 1: black to white, as MNIST's digits are."""
    level = max(0, min(255, round(255 * v)))
    return level, level, level


def signed(scale):
    """Black at 0, through orange above it, through blue below."""
    def colour(v):
        t = max(-1.0, min(1.0, v / scale))
        stops = ((0, 0, 0), (224, 123, 57), (255, 236, 200)) if t > 0 else ((0, 0, 0), (61, 133, 198), (210, 236, 255))
        t = abs(t) * 2
        low, high = (stops[0], stops[1]) if t < 1 else (stops[1], stops[2])
        t = t if t < 1 else t - 1
        return tuple(round(a + (b - a) * t) for a, b in zip(low, high))
    return colour


def extent(*arrays):
    return max(abs(v) for a in arrays for v in a.numbers) or 1.0


def table(picture, x, y, cell, rows, text, colour=None, kind="number"):
    """Numbers in a grid; colour(i, j) fills a cell."""
    for i, row in enumerate(rows):
        for j, v in enumerate(row):
            fill = colour(i, j) if colour else None
            picture.box(x + j * cell, y + i * cell, cell, cell, fill=fill or "none", opacity=0.3 if fill else 1.0)
            picture.text(x + (j + 0.5) * cell, y + (i + 0.5) * cell + 4, text(v), "middle", kind)


class Axes:
    """A chart's frame: places for values, linear or logarithmic, with lines at `ticks`."""

    def __init__(self, picture, x, y, width, height, xs, ys, log_x=False, log_y=False):
        self.p, self.x, self.y, self.width, self.height = picture, x, y, width, height
        self.xs, self.ys, self.log_x, self.log_y = xs, ys, log_x, log_y

    @staticmethod
    def share(v, limits, log):
        low, high = limits
        return math.log(v / low) / math.log(high / low) if log else (v - low) / (high - low)

    def at(self, x, y):
        return (self.x + self.width * self.share(x, self.xs, self.log_x),
                self.y + self.height * (1 - self.share(y, self.ys, self.log_y)))

    def frame(self, x_ticks, y_ticks, x_label, y_label, x_text=number, y_text=number):
        for v in y_ticks:
            px, py = self.at(self.xs[0], v)
            self.p.line((px, py), (px + self.width, py))
            self.p.text(px - 6, py + 4, y_text(v), "end", "faint small")
        for v in x_ticks:
            px, _ = self.at(v, self.ys[0])
            bottom = self.y + self.height
            self.p.line((px, bottom), (px, bottom + 4))
            self.p.text(px, bottom + 17, x_text(v), "middle", "faint small")
        self.p.text(self.x + self.width / 2, self.y + self.height + 35, x_label, "middle", "faint")
        self.p.text(self.x - 36, self.y - 16, y_label, "start", "faint")

    def curve(self, points, colour, dash=None):
        inside = [(x, y) for x, y in points if self.xs[0] <= x <= self.xs[1]]
        self.p.line(*(self.at(x, y) for x, y in inside), colour=colour, width=2.0, dash=dash)


# ---- The pictures ----------------------------------------------------------------------------------------------------


def parameters(data):
    p = Picture(720, 300)
    side, top = 260.0, 30.0
    scale = side / math.sqrt(77070336)
    p.box(20, top, side, side, colour=BLUE, fill=BLUE, opacity=0.35)
    p.text(20 + side / 2, top + side / 2 - 6, "77,070,336 weights", "middle")
    p.text(20 + side / 2, top + side / 2 + 14, "linear layer, 512 neurons", "middle", "faint")
    dot = math.sqrt(1728) * scale
    x, y = 400.0, top + side / 2
    p.box(x, y - dot / 2, dot, dot, colour=ORANGE, fill=ORANGE)
    p.add("circle", cx=x + dot / 2, cy=y, r=11.0, style=f"fill:none;stroke:{ORANGE}")
    p.text(x + 24, y - 6, "1,728 weights")
    p.text(x + 24, y + 14, "convolution, 64 filters of 3 × 3 × 3", kind="faint")
    p.text(20, 18, "a first layer for a picture of 224 × 224 × 3; areas are numbers of weights", kind="faint")
    return p


def window(data):
    kernel, rows = data["kernels"][0].rows(), data["digit"]
    maps = data["kernel_maps"][0][0].rows()
    # the place where the answer is greatest, away from the border
    i, j = max(((i, j) for i in range(2, 26) for j in range(2, 26)), key=lambda at: maps[at[0]][at[1]])
    patch = [row[j - 1:j + 2] for row in rows[i - 1:i + 2]]
    p = Picture(720, 236)
    side, top, cell = 196.0, 30.0, 44.0
    step = side / 28
    p.text(0, 18, "the digit, and a window of 3 × 3", kind="faint")
    p.pixels(0, top, side, rows, grey)
    p.box(j * step - step, top + (i - 1) * step, 3 * step, 3 * step, colour=ORANGE, stroke=2.0)
    middle = top + 32 + 1.5 * cell
    p.text(232, top + 20, "pixels in the window", kind="faint")
    table(p, 232, top + 32, cell, patch, lambda v: f"{v:.2f}")
    p.text(378, middle + 5, "×", "middle")
    p.text(392, top + 20, "the kernel", kind="faint")
    table(p, 392, top + 32, cell, kernel, number,
          lambda a, b: ORANGE if kernel[a][b] > 0 else BLUE if kernel[a][b] < 0 else None)
    p.text(538, middle + 5, "=", "middle")
    p.text(552, top + 20, "one number of the map", kind="faint")
    p.box(552, middle - 22, 68, 44, colour=ORANGE, stroke=2.0)
    p.text(586, middle + 4, f"{maps[i][j]:.2f}", "middle", "number")
    terms = " ".join(f"{'+' if kernel[a][b] > 0 else '−'} {abs(kernel[a][b]):.0f}·{patch[a][b]:.2f}".replace("1·", "")
                     for a in range(3) for b in range(3) if kernel[a][b])
    p.text(232, middle + 1.5 * cell + 26, terms.lstrip("+ ") + f" = {maps[i][j]:.2f}", kind="faint small")
    return p


def kernels(data):
    p = Picture(720, 300)
    side, x0, cell = 148.0, 0.0, 26.0
    p.text(x0, 118, "the digit", kind="faint")
    p.pixels(x0, 128, side, data["digit"], grey)
    names = ("left and right edges", "upper and lower edges", "a blur")
    for k, name in enumerate(names):
        x = 190.0 + k * 181
        rows = data["kernels"][k].rows()
        p.text(x, 14, name)
        table(p, x + (side - 3 * cell) / 2, 24, cell, rows, number)
        maps = data["kernel_maps"][0][k]
        p.pixels(x, 128, side, maps.rows(), signed(extent(maps)))
    p.text(190, 294, "orange: above 0, blue: below", kind="faint small")
    return p


def moved(data):
    p = Picture(720, 352)
    side = 150.0
    maps = data["still_and_moved_maps"]
    scale = signed(extent(maps))
    for row, names in enumerate((("as it is",), ("moved by 3 down", "and 4 to the right"))):
        y = 24.0 + row * 172
        p.pixels(140, y, side, data["still_and_moved"][row].rows(), grey)
        p.arrow(302, 336, y + side / 2)
        p.pixels(348, y, side, maps[row].rows(), scale)
        for k, name in enumerate(names):
            p.text(128, y + side / 2 + 4 + 18 * k, name, "end", "faint")
    p.text(140, 14, "the digit", kind="faint")
    p.text(348, 14, "its map", kind="faint")
    before, after = maps[0].rows(), maps[1].rows()
    back = [[after[(i + 3) % 36][(j + 4) % 36] for j in range(36)] for i in range(36)]
    differ = sum(abs(a - b) for x, y in zip(before, back) for a, b in zip(x, y))
    p.text(516, 196 + side / 2 - 6, "moved back, it differs")
    p.text(516, 196 + side / 2 + 14, f"from the upper one by {differ:g}")
    return p


def max_pool(data):
    p = Picture(720, 400)
    cell, tints = 40.0, (BLUE, ORANGE, GREEN, "#a06bc2")
    rows = [[4 * i + j + 1 for j in range(4)] for i in range(4)]
    p.text(0, 18, "4 × 4, in windows of 2 × 2", kind="faint")
    table(p, 0, 30, cell, rows, str, lambda i, j: tints[i // 2 * 2 + j // 2])
    for k, (name, pool) in enumerate((("the greatest of each", max), ("the mean of each", lambda v: sum(v) / 4))):
        x = 250.0 + 240 * k
        p.text(x, 18, name, kind="faint")
        small = [[pool([rows[2 * i + a][2 * j + b] for a in (0, 1) for b in (0, 1)]) for j in (0, 1)] for i in (0, 1)]
        table(p, x, 70, cell, small, number, lambda i, j: tints[i * 2 + j])
    p.arrow(186, 226, 110)
    side, y = 148.0, 240.0
    for k, (name, rows) in enumerate((("a digit, 28 × 28", data["digit"]), ("max, 14 × 14", data["pooled_2"]),
                                      ("max, 7 × 7", data["pooled_4"]), ("mean, 7 × 7", data["averaged_4"]))):
        x = k * 190.0
        p.text(x, y - 10, name, kind="faint")
        p.pixels(x, y, side, rows, grey)
    return p


def shapes(data):
    stages = ((3, 224, "picture"), (32, 224, "conv1"), (32, 112, "max-pool"), (64, 112, "conv2"), (64, 56, "max-pool"))
    p = Picture(720, 236)
    left = 0.0
    for channels, size, name in stages:
        side, depth = size * 0.38, channels * 0.36
        slot = max(side + depth, 92)
        x = left + (slot - side - depth) / 2
        y = 118 - side / 2 + depth / 2
        colour = ORANGE if name == "max-pool" else BLUE
        corner = [(x, y), (x + depth, y - depth), (x + depth + side, y - depth), (x + depth + side, y - depth + side),
                  (x + side, y + side), (x, y + side), (x, y)]
        p.add("polygon", points=" ".join(f"{number(a)},{number(b)}" for a, b in corner), style=f"fill:{colour};"
              f"fill-opacity:0.25;stroke:{colour}")
        p.line((x, y), (x + side, y), (x + side, y + side), colour=colour)
        p.line((x + side, y), (x + side + depth, y - depth), colour=colour)
        middle = x + (side + depth) / 2
        p.text(middle, 200, name, "middle")
        p.text(middle, 217, f"{channels} × {size} × {size}", "middle", "faint small")
        left += slot + 12
    x = left
    for count, name, height in ((200704, "flatten", 170.0), (128, "fc1", 70.0), (10, "fc2", 24.0)):
        p.box(x + 14, 100 - height / 2, 9, height, colour=GREEN, fill=GREEN, opacity=0.25)
        p.text(x + 18, 200, name, "middle")
        p.text(x + 18, 217, f"{count:,}", "middle", "faint small")
        x += 58
    return p


def filters(data):
    p = Picture(720, 204)
    weights, maps = data["filters"], data["filter_maps"]
    small, side = 45.0, 78.0
    for k in range(8):
        x = 4.0 + k * 90
        p.pixels(x + (side - small) / 2, 26, small, weights[k].rows(), signed(extent(weights)))
        p.pixels(x, 92, side, maps[0][k].rows(), signed(extent(maps)))
    p.text(4, 16, "the eight filters of a trained first layer", kind="faint")
    p.text(4, 190, "and what each makes of a five, after relu: black where it finds nothing", kind="faint")
    return p


def training(data):
    history = data["history"]
    curves = {split: [(int(r["epoch"]), float(r["loss"])) for r in history if r["split"] == split]
              for split in ("train", "validation")}
    p = Picture(720, 300)
    values = [y for c in curves.values() for _, y in c]
    ticks = [t for t in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3) if min(values) / 2 <= t <= max(values) * 1.5]
    low, high = min(ticks + values), max(ticks + values)
    last = curves["train"][-1][0]
    axes = Axes(p, 60, 34, 530, 210, (1, max(last, 2)), (low, high), log_y=True)
    axes.frame(range(1, last + 1, 1 if last <= 15 else 2), ticks, "epoch", "loss", str, lambda v: f"{v:g}")
    for split, colour, name in (("train", BLUE, "training"), ("validation", ORANGE, "validation")):
        axes.curve(curves[split], colour)
        x, y = axes.at(*curves[split][-1])
        p.text(x + 10, y + 4, name, colour=colour)
    best = min(curves["validation"], key=lambda point: point[1])
    x, y = axes.at(*best)
    p.add("circle", cx=x, cy=y, r=5.0, style=f"fill:{ORANGE}")
    p.text(x, y + 22, f"least: {best[1]:.3f}, in epoch {best[0]}", kind="small")
    return p


def batches(data):
    runs = {}
    for row in data["batches"]:
        runs.setdefault(int(row["batch_size"]), []).append(
            (float(row["seconds"]), int(row["looks"]), float(row["loss"])))
    p = Picture(720, 310)
    names = {1: "batch 1", 32: "batch 32", 2048: "all 2,048"}
    colours = {1: BLUE, 32: ORANGE, 2048: GREEN}
    limit = min(points[-1][0] for points in runs.values())
    losses = [loss for points in runs.values() for _, _, loss in points]
    y_ticks = [t for t in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3) if min(losses) / 1.5 <= t <= max(losses) * 1.5]
    ys = (min(losses + y_ticks), max(losses + y_ticks))
    by_time = Axes(p, 50, 34, 285, 210, (0.01, limit), ys, log_x=True, log_y=True)
    by_time.frame([t for t in (0.01, 0.1, 1, 10) if t <= limit], y_ticks, "seconds of one core", "loss on all digits",
                  lambda v: f"{v:g}", lambda v: f"{v:g}")
    passes = max(points[-1][1] for points in runs.values()) / 2048
    by_looks = Axes(p, 405, 34, 285, 210, (1 / 16, passes), ys, log_x=True, log_y=True)
    by_looks.frame([t for t in (0.25, 1, 4, 16, 64, 256) if t <= passes], y_ticks, "looks at each digit",
                   "loss on all digits", lambda v: f"{v:g}", lambda v: f"{v:g}")
    for k, (size, points) in enumerate(sorted(runs.items())):
        by_time.curve([(t, y) for t, _, y in points], colours[size])
        by_looks.curve([(n / 2048, y) for _, n, y in points], colours[size])
        p.line((180 + 130 * k, 300), (204 + 130 * k, 300), colour=colours[size], width=2.0)
        p.text(210 + 130 * k, 304, names[size])
    return p


def predictions(data):
    chances, labels, digits = data["probabilities"], data["labels"], data["test_digits"]
    answers = []
    for i in range(labels.shape[0]):
        row = chances[i].numbers
        best = max(range(10), key=lambda k: row[k])
        answers.append((i, best, row))
    wrong = [a for a in answers if a[1] != labels[a[0]]][:4]
    chosen = answers[:8] + wrong
    p = Picture(720, 358)
    for k, (i, best, row) in enumerate(chosen):
        x, y = (k % 4) * 182.0, (k // 4) * 108.0 + 4
        right = best == labels[i]
        colour = GREEN if right else ORANGE
        p.pixels(x, y, 84, [[v / 255 for v in r] for r in digits[i].rows()], grey)
        order = sorted(range(10), key=lambda c: -row[c])[:3]
        for n, c in enumerate(order):
            p.text(x + 94, y + 16 + 26 * n, str(c), kind="number", colour=colour if c == best else None)
            p.box(x + 108, y + 5 + 26 * n, max(0.5, 58 * row[c]), 14, kind="", fill=colour if c == best else "#8a929d")
        if not right:
            p.text(x, y + 100, f"a {labels[i]}, taken for a {best}", kind="small", colour=ORANGE)
    p.text(0, 350, f"the first eight of the test digits, and the first {len(wrong)} that the network gets wrong",
           kind="faint")
    return p


PICTURES = (parameters, window, kernels, moved, max_pool, shapes, filters, training, batches, predictions)


def read(folder):
    data = {path.stem: Array.read(path) for path in folder.glob("*.npy")}
    for name in ("pooled_2", "pooled_4", "averaged_4"):
        data[name] = data[name].rows()
    data["digit"] = [[v / 255 for v in row] for row in data["test_digits"][15].rows()]
    for name, path in (("history", "run/history.csv"), ("batches", "batches.csv")):
        with open(folder / path, encoding="utf-8") as file:
            data[name] = list(csv.DictReader(file))
    return data


def main():
    global in_french
    arguments = [a for a in sys.argv[1:] if a != "--french"]
    in_french = len(arguments) < len(sys.argv) - 1
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    lesson = pathlib.Path(__file__).resolve().parent.parent / "docs/lesson"
    default = lesson / ("fr/pictures" if in_french else "pictures")
    folder = pathlib.Path(arguments[1]) if len(arguments) == 2 else default
    folder.mkdir(parents=True, exist_ok=True)
    data = read(pathlib.Path(arguments[0]))
    for make in PICTURES:
        make(data).save(folder / f"{make.__name__}.svg")
    print(f"{len(PICTURES)} pictures in {folder}")


if __name__ == "__main__":
    main()
