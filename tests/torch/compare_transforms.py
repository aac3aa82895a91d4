#!/usr/bin/env python3
"""Transforms against torchvision, live, with configurations, images and seeds drawn now.

usage: compare_transforms.py PROGRAM [CASES [FIRST]]     PROGRAM: torch_transforms as built; FIRST: repeats a run

The transform reaches the program as torchvision prints it, so that printing and parsing are tested too. Ends with 77,
which CTest counts as skipped, where torchvision is not installed.
"""
import random
import subprocess
import sys

try:
    import numpy
    import torch
    from PIL import Image
    from torchvision import transforms as T
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

MODES = [T.InterpolationMode.NEAREST, T.InterpolationMode.BILINEAR, T.InterpolationMode.BICUBIC]
MORE = MODES + [T.InterpolationMode.BOX, T.InterpolationMode.HAMMING, T.InterpolationMode.LANCZOS]


def pair(r, low, high):
    return tuple(sorted((round(r.uniform(low, high), 3), round(r.uniform(low, high), 3))))


def size(r, most=40):
    return (r.randint(1, most), r.randint(1, most))


def resize(r, h, w, c):
    if r.random() < 0.5:
        return T.Resize(size(r, 90), r.choice(MORE))
    s = r.randint(1, 60)
    return T.Resize(s, r.choice(MORE), max_size=r.choice([None, s + r.randint(1, 40)]))


def padding(r):
    return r.choice([r.randint(1, 9), tuple(r.randint(0, 9) for _ in range(4))])


def fill(r, c):
    return r.choice([0, 77, tuple(r.randint(0, 255) for _ in range(c)), (r.randint(0, 255),)])


def crop(r, h, w, c):
    options = {"padding": r.choice([None, padding(r)]), "fill": fill(r, c),
               "padding_mode": r.choice(["constant", "constant", "edge", "reflect", "symmetric"])}
    if r.random() < 0.3:
        return T.RandomCrop(size(r, 60), pad_if_needed=True, **options)
    return T.RandomCrop((r.randint(1, h), r.randint(1, w)), **options)


def rotation(r, h, w, c):
    return T.RandomRotation(r.choice([10, 180, (90, 90), (180, 180), (-90, -90), pair(r, -720, 720)]), r.choice(MODES),
                            expand=r.choice([False, True]), fill=fill(r, c),
                            center=r.choice([None, None, (r.randint(0, w), r.randint(0, h))]))


def expand(r, h, w, c):
    turn = T.RandomRotation(r.choice([30, (90, 90), pair(r, -360, 360)]), r.choice(MODES), expand=True, fill=fill(r, c))
    least = min(h, w)
    tail = r.choice([[T.CenterCrop(size(r))], [T.Resize(size(r), r.choice(MORE))], [T.RandomCrop(r.randint(1, least))],
                     [T.RandomResizedCrop(size(r)), T.RandomHorizontalFlip()], [T.Resize(r.randint(1, 30)), T.CenterCrop(9)],
                     [T.Pad(2, 5), affine(r, h, w, c)], [T.ToTensor(), T.RandomErasing(1.0), T.Normalize([0.5] * c, [0.25] * c)]])
    return T.Compose([T.RandomHorizontalFlip(), turn, *tail])


def text_of(transform):
    """As it prints in Python, and with the options that RandomCrop leaves out."""
    text = repr(transform)
    if not isinstance(transform, T.RandomCrop):
        return text
    text = text[:-1] + (", pad_if_needed=True" if transform.pad_if_needed else "")
    text += f", fill={transform.fill}" if transform.fill != 0 else ""
    return text + (f", padding_mode={transform.padding_mode}" if transform.padding_mode != "constant" else "") + ")"


def affine(r, h, w, c):
    return T.RandomAffine(r.choice([0, 45, 180, pair(r, -90, 90)]), translate=r.choice([None, pair(r, 0, 0.6)]),
                          scale=r.choice([None, pair(r, 0.3, 2.5)]),
                          shear=r.choice([None, 20, pair(r, -40, 40), pair(r, -40, 40) + pair(r, -30, 30)]),
                          interpolation=r.choice(MODES), fill=fill(r, c),
                          center=r.choice([None, (r.randint(0, w), r.randint(0, h))]))


def jitter(r, h, w, c):
    return T.ColorJitter(r.choice([0, 0.4, 1.7, pair(r, 0, 3)]), r.choice([0, 0.4, 1.7, pair(r, 0, 3)]),
                         r.choice([0, 0.4, 1.7, pair(r, 0, 3)]), r.choice([0, 0.1, 0.5, pair(r, -0.5, 0.5)]))


KINDS = {
    "resize": resize,
    "center": lambda r, h, w, c: T.CenterCrop(size(r, 60)),
    "pad": lambda r, h, w, c: T.Pad(padding(r), fill(r, c), r.choice(["constant", "edge", "reflect", "symmetric"])),
    "crop": crop,
    "flips": lambda r, h, w, c: T.Compose([T.RandomHorizontalFlip(r.choice([0.5, 0.3])), T.RandomVerticalFlip(0.4)]),
    "resized": lambda r, h, w, c: T.RandomResizedCrop(size(r), r.choice([(0.08, 1.0), pair(r, 0.01, 1)]),
                                                      r.choice([(3 / 4, 4 / 3), pair(r, 0.2, 5)]), r.choice(MORE)),
    "rotation": rotation,
    "expand": expand,
    "affine": affine,
    "jitter": jitter,
    "gray": lambda r, h, w, c: T.Compose([T.Grayscale(3 if c == 3 else 1), T.ToTensor()]),
    "random gray": lambda r, h, w, c: T.RandomGrayscale(r.choice([0.1, 0.5])),
    "erasing": lambda r, h, w, c: T.Compose([T.ToTensor(), T.RandomErasing(
        r.choice([0.5, 1.0]), r.choice([(0.02, 0.33), pair(r, 0.05, 0.9)]), r.choice([(0.3, 3.3), pair(r, 0.2, 4)]),
        r.choice([0, 0.5, "random"] + ([(0.25, -1.0, 2.5)] if c == 3 else [])))]),
    "apply": lambda r, h, w, c: T.RandomApply([jitter(r, h, w, c), T.RandomHorizontalFlip(), affine(r, h, w, c)],
                                              r.choice([0.5, 0.8])),
    "recipe": lambda r, h, w, c: T.Compose([T.RandomResizedCrop((24, 20)), T.RandomHorizontalFlip(), jitter(r, h, w, c),
                                            T.RandomApply([T.RandomRotation(15)], 0.5), T.ToTensor(),
                                            T.Normalize([0.5] * c, [0.25] * c), T.RandomErasing()]),
    "fit": lambda r, h, w, c: T.Compose([T.Resize(r.randint(8, 40)), T.CenterCrop((24, 24)), T.ToTensor()]),
}
# within one level of 255; all others must be equal
NEAR = {"rotation", "expand", "affine", "jitter", "apply", "recipe"}


def picture(r, h, w, c):
    """Smooth with edges and some noise, so that both rounding and choice of pixels show."""
    g = numpy.random.default_rng(r.randrange(2**32))
    kind = r.randrange(3)
    y, x = numpy.mgrid[0:h, 0:w]
    planes = [127.5 + 127.5 * numpy.sin(x * g.uniform(0, 0.6) + y * g.uniform(0, 0.6) + g.uniform(0, 6)) for _ in range(c)]
    image = numpy.stack(planes, -1)
    if kind == 1:
        image = g.integers(0, 256, (h, w, c))
    elif kind == 2:
        image = image + g.normal(0, 20, (h, w, c))
        image[h // 3: h // 2] = g.integers(0, 256, c)
    return numpy.clip(image, 0, 255).astype(numpy.uint8)


def answer(stream, times):
    """Images, the word and the text; or an error."""
    images = []
    for _ in range(times):
        head = stream.readline().decode().split()
        if head and head[0] == "error":
            return " ".join(head), None, None
        bits, _, *sizes = [int(x) for x in head]
        count = int(numpy.prod(sizes))
        data = stream.read(count * bits // 8)
        images.append(numpy.frombuffer(data, numpy.uint8 if bits == 8 else numpy.float32).reshape(sizes))
    word = int(stream.readline())
    return images, word, stream.read(int(stream.readline())).decode()


def run_case(process, r, kind, totals):
    c = r.choice([1, 3])
    h, w = r.choice([(r.randint(1, 64), r.randint(1, 64)), (32, 32), (r.randint(20, 160), r.randint(20, 160))])
    times, seed = 4, r.randrange(2**32)
    transform = KINDS[kind](r, h, w, c)
    images = [picture(r, h, w, c) for _ in range(times)]
    text = text_of(transform)
    case = f"{kind} seed {seed} image {h}x{w}x{c}: {text}"
    process.stdin.write(f"{seed} {times} {h} {w} {c} {len(text)}\n{text}".encode() + b"".join(i.tobytes() for i in images))
    process.stdin.flush()
    torch.manual_seed(seed)
    want, refused = [], False
    for image in images:
        try:
            out = transform(Image.fromarray(image[:, :, 0] if c == 1 else image))
        except ValueError:  # a side of no pixels
            refused = True
            break
        out = out.numpy() if isinstance(out, torch.Tensor) else numpy.asarray(out)
        want.append(out if out.dtype != numpy.uint8 else out.reshape(out.shape[0], out.shape[1], -1))
    word = torch.empty((), dtype=torch.int64).random_().item()
    got, got_word, got_text = answer(process.stdout, times)
    if refused:
        if not isinstance(got, str):
            print(f"FAILED {case}\n    torchvision refuses it")
        return not isinstance(got, str)
    if isinstance(got, str):
        print(f"FAILED {case}\n    {got}")
        return 1
    failed = 0
    if got_word != word:
        failed = 1
        print(f"FAILED {case}\n    other draws")
    if got_text != text:
        failed = 1
        print(f"FAILED {case}\n    printed {got_text}")
    for a, b in zip(got, want):
        if a.shape != b.shape or a.dtype != b.dtype:
            print(f"FAILED {case}\n    shape {a.shape} {a.dtype}, wanted {b.shape} {b.dtype}")
            return 1
        level = 1 if a.dtype == numpy.uint8 else (4 / 255 + 1e-6 if kind in ("recipe", "expand") else 1e-6)
        difference = numpy.abs(a.astype(numpy.float64) - b.astype(numpy.float64))
        worst = difference.max(initial=0)
        totals[kind] = [max(totals[kind][0], float(worst)), totals[kind][1] + int((difference > 0).sum()), totals[kind][2] + difference.size]
        if worst > (level if kind in NEAR or a.dtype != numpy.uint8 else 0):
            print(f"FAILED {case}\n    differs by up to {worst}, in {(difference > 0).mean():.2%} of values")
            return 1
    return failed


def main():
    program, cases = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 600
    first = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(2**32)
    print(f"cases {first} ... {first + cases - 1}; repeat one with: compare_transforms.py PROGRAM 1 NUMBER")
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    totals = {kind: [0, 0, 0] for kind in KINDS}
    failures = 0
    for number in range(first, first + cases):
        r = random.Random(number)
        bad = run_case(process, r, r.choice(list(KINDS)), totals)
        if bad:
            print(f"    case {number}")
        failures += bad
    for kind, (worst, differ, values) in totals.items():
        print(f"{kind}: {values} values, {differ} differ, by up to {worst:g}")
    print(f"{failures} failures")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
