"""Makes transforms.json: what torchvision's transforms give, for tests/vision/test_transforms.c.

    python make_transforms.py         # needs torch, torchvision, numpy, pillow; writes beside this file

Each case: the transform as torchvision prints it (RandomCrop with the options that it leaves out), sizes of the images, the seed, an FNV-1a hash over the results of
TIMES images, and a random_() int64 drawn afterwards. Pixel k of image i is (k * 37 + (k * k // 7) * 11 + i * 101) % 256,
in the order [H, W, C]. Kinds of transforms are those of tests/torch/compare_transforms.py.
"""
import json
import pathlib
import random
import sys

import numpy
import torch
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "torch"))
import compare_transforms as live  # noqa: E402

TIMES, EACH = 3, 7


def fnv(data, h):
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return h


def pixels(i, h, w, c):
    k = numpy.arange(h * w * c, dtype=numpy.int64)
    return ((k * 37 + (k * k // 7) * 11 + i * 101) % 256).astype(numpy.uint8).reshape(h, w, c)


def run(transform, h, w, c, seed):
    torch.manual_seed(seed)
    value = 0xCBF29CE484222325
    for i in range(TIMES):
        image = pixels(i, h, w, c)
        out = transform(Image.fromarray(image[:, :, 0] if c == 1 else image))
        out = out.contiguous().numpy() if isinstance(out, torch.Tensor) else numpy.asarray(out)
        value = fnv(out.tobytes(), value)
    return value, torch.empty((), dtype=torch.int64).random_().item()


def main():
    r = random.Random(5)
    cases = []
    for kind, make in live.KINDS.items():
        for _ in range(EACH):
            h, w, c, seed = r.randint(1, 40), r.randint(1, 40), r.choice([1, 3]), r.randrange(2**32)
            if kind in ("fit", "recipe"):
                h, w = h + 8, w + 8
            transform = make(r, h, w, c)
            value, word = run(transform, h, w, c, seed)
            cases.append({"kind": kind, "text": live.text_of(transform), "height": h, "width": w, "channels": c, "seed": seed,
                          "hash": f"{value:#x}", "word": str(word)})
    mixed = []
    from torchvision.transforms import v2
    for alpha in (1.0, 0.2, 0.4, 2.0, 8.0):
        torch.manual_seed(r.randrange(2**32))
        seed = torch.initial_seed()
        mix = v2.MixUp(alpha=alpha, num_classes=4)
        lambdas = [mix.make_params([])["lam"] for _ in range(20)]
        torch.manual_seed(seed)
        x, y = mix(torch.arange(60, dtype=torch.float32).reshape(5, 3, 2, 2) / 7, torch.tensor([3, 0, 1, 1, 2]))
        mixed.append({"alpha": alpha, "seed": seed, "lambda": lambdas, "images": x.flatten().tolist(), "labels": y.flatten().tolist()})
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    more = ",\n".join("  " + json.dumps(case) for case in mixed)
    (HERE / "transforms.json").write_text(f'{{"torch": "{torch.__version__.split("+")[0]}", "times": {TIMES}, "cases": [\n{lines}],\n"mixup": [\n{more}]}}\n')


main()
