"""Makes fake_golden.inc: what torchvision's FakeData gives, for tests/data.

    python make_fake.py               # needs torchvision; writes beside this file

Hashes are FNV-1a over the bytes [H, W, C] of an image.
"""
import pathlib

import numpy as np
import torchvision
from torchvision.datasets import FakeData

CASES = [((3, 8, 8), 10, 0), ((1, 5, 3), 7, 0), ((3, 224, 224), 1000, 12345), ((3, 1, 5), 2, 3), ((1, 4, 4), 100, -2)]


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


out = f"/* Made by make_fake.py with torchvision {torchvision.__version__}. */\n\n"
out += "static const struct {\n    int64_t size[3], classes, offset, index, label;\n    uint64_t hash;\n} fake_items[] = {\n"
for size, classes, offset in CASES:
    data = FakeData(100, size, classes, random_offset=offset)
    for index in (2, 3, 57, 99):
        image, label = data[index]
        out += f"    {{{{{size[0]}, {size[1]}, {size[2]}}}, {classes}, {offset}, {index}, {label}, "
        out += f"{fnv(np.asarray(image).tobytes()):#x}}},\n"
(pathlib.Path(__file__).resolve().parent / "fake_golden.inc").write_text(out + "};\n")
