#!/usr/bin/env python3
"""Pictures against Pillow, live, with files made now: random sizes, modes, options and damage.

usage: compare_pictures.py PROGRAM [CASES [FIRST]]     PROGRAM: torch_pictures as built; FIRST: repeats a run

Ends with 77, which CTest counts as skipped, where Pillow is not installed.
"""
import io
import random
import subprocess
import sys

try:
    import numpy
    from PIL import Image
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)


def picture(r, mode):
    h, w = r.choice([(r.randint(1, 9), r.randint(1, 9)), (r.randint(1, 130), r.randint(1, 130))])
    g = numpy.random.default_rng(r.randrange(2**32))
    y, x = numpy.mgrid[0:h, 0:w]
    planes = [127.5 + 127.5 * numpy.sin(x * g.uniform(0, 0.5) + y * g.uniform(0, 0.5) + g.uniform(0, 6)) for _ in range(4)]
    image = numpy.stack(planes, -1) + g.normal(0, r.choice([0, 20]), (h, w, 4))
    image = Image.fromarray(numpy.clip(image, 0, 255).astype(numpy.uint8), "RGBA")
    if mode == "P":
        return image.convert("RGB").quantize(r.choice([2, 5, 16, 100, 256]))
    return image.convert(mode)


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def jpeg(r):
    image = picture(r, r.choice(["RGB", "RGB", "RGB", "L", "CMYK"]))
    return saved(image, "JPEG", quality=r.randint(1, 100), progressive=r.random() < 0.3, optimize=r.random() < 0.3,
                 subsampling=r.randrange(3), restart_marker_blocks=r.choice([0, 0, 3]))


def png(r):
    return saved(picture(r, r.choice(["RGB", "RGBA", "L", "LA", "P", "1"])), "PNG", compress_level=r.randint(0, 9))


def webp(r):
    image = picture(r, r.choice(["RGB", "RGBA"]))
    if r.random() < 0.5:
        return saved(image, "WEBP", quality=r.randint(0, 100), exact=True)
    return saved(image, "WEBP", lossless=True, exact=True)


# what differs by at most one level: JPEG; WebP may be lossy
FORMATS = {"jpeg": (jpeg, 1), "png": (png, 0), "webp": (webp, 1),
           "bmp": (lambda r: saved(picture(r, r.choice(["RGB", "L", "P", "1", "RGBA"])), "BMP"), 0),
           "ppm": (lambda r: saved(picture(r, r.choice(["RGB", "L", "1"])), "PPM"), 0)}


def main():
    program, cases = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 800
    first = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(2**32)
    print(f"cases {first} ... {first + cases - 1}; repeat one with: compare_pictures.py PROGRAM 1 NUMBER")
    process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    totals = {name: [0, 0, 0] for name in FORMATS}
    failures = refused = 0
    for number in range(first, first + cases):
        r = random.Random(number)
        name = r.choice(list(FORMATS))
        make, level = FORMATS[name]
        data, mode = make(r), r.choice(["RGB", "L"])
        process.stdin.write(f"{mode} {len(data)}\n".encode() + data)
        process.stdin.flush()
        head = process.stdout.readline().decode().split()
        if head[0] == "error":
            refused += 1
            failures += 1
            print(f"FAILED {name} case {number}: {' '.join(head)}")
            continue
        sizes = [int(x) for x in head]
        got = numpy.frombuffer(process.stdout.read(sizes[0] * sizes[1] * sizes[2]), numpy.uint8).reshape(sizes)
        want = numpy.asarray(Image.open(io.BytesIO(data)).convert(mode)).reshape(sizes)
        difference = numpy.abs(got.astype(int) - want)
        totals[name] = [max(totals[name][0], int(difference.max())), totals[name][1] + int((difference > 0).sum()),
                        totals[name][2] + difference.size]
        if difference.max() > level:
            failures += 1
            print(f"FAILED {name} case {number} {mode}: differs by up to {difference.max()}, {(difference > 0).mean():.2%}")
    for name, (worst, differ, values) in totals.items():
        print(f"{name}: {values} values, {differ} differ, by up to {worst}")
    print(f"{failures} failures")
    sys.exit(failures != 0)


if __name__ == "__main__":
    main()
