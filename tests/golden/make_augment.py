"""Makes augment_golden.inc: what torchvision's random transforms give, by themselves and in a loader, for
tests/data/test_augment.c.

    python make_augment.py            # needs torch, torchvision, numpy, pillow; writes beside this file

Pixel k of image i is (k * 37 + (k * k // 7) * 11 + i * 101) % 256, in the order [H, W, C]. Hashes are FNV-1a over bytes;
"then" is a random_() int64 drawn afterwards.
"""
import pathlib

import numpy
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms as T
from torchvision.datasets import VisionDataset  # noqa: F401, names the version that is meant

HERE = pathlib.Path(__file__).resolve().parent


def fnv(data, h=0xCBF29CE484222325):
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return h


def word():
    return torch.empty((), dtype=torch.int64).random_().item()


def pixels(i, height, width, channels):
    k = numpy.arange(height * width * channels, dtype=numpy.int64)
    return ((k * 37 + (k * k // 7) * 11 + i * 101) % 256).astype(numpy.uint8).reshape(height, width, channels)


def picture(i, height, width, channels):
    p = pixels(i, height, width, channels)
    return Image.fromarray(p[:, :, 0] if channels == 1 else p)


MODES = ["constant", "edge", "reflect", "symmetric"]
CROP, HORIZONTAL, VERTICAL = range(3)
# kind, floats, height, width, channels, crop height, crop width, padding ltrb, pad_if_needed, fill, mode, p
CASES = [
    (CROP, 0, 13, 17, 3, 8, 9, (0, 0, 0, 0), 0, 0, 0, 0), (CROP, 0, 28, 28, 1, 28, 28, (4, 4, 4, 4), 0, 0, 0, 0),
    (CROP, 0, 28, 28, 1, 28, 28, (0, 0, 0, 0), 0, 0, 0, 0), (CROP, 0, 32, 32, 3, 32, 32, (4, 4, 4, 4), 0, 128, 0, 0),
    (CROP, 0, 13, 17, 3, 12, 12, (2, 2, 2, 2), 0, 0, 2, 0), (CROP, 0, 13, 17, 3, 12, 19, (3, 1, 2, 4), 0, 7, 0, 0),
    (CROP, 0, 5, 4, 3, 5, 4, (9, 9, 9, 9), 0, 0, 2, 0), (CROP, 0, 5, 4, 3, 14, 13, (9, 9, 9, 9), 0, 0, 3, 0),
    (CROP, 0, 6, 7, 1, 6, 7, (3, 3, 3, 3), 0, 0, 1, 0), (CROP, 0, 1, 1, 3, 3, 3, (2, 2, 2, 2), 0, 0, 2, 0),
    (CROP, 0, 6, 7, 3, 10, 12, (0, 0, 0, 0), 1, 3, 0, 0), (CROP, 0, 6, 7, 3, 10, 12, (1, 0, 1, 0), 1, 3, 2, 0),
    (CROP, 0, 6, 7, 1, 10, 5, (0, 0, 0, 0), 1, 0, 3, 0), (CROP, 0, 20, 7, 3, 10, 9, (0, 0, 0, 0), 1, 0, 1, 0),
    (CROP, 0, 6, 7, 3, 6, 5, (0, 0, 0, 0), 0, 0, 0, 0), (CROP, 0, 6, 7, 3, 2, 7, (0, 0, 0, 0), 0, 0, 0, 0),
    (CROP, 1, 6, 7, 3, 6, 7, (2, 2, 2, 2), 0, 0.25, 0, 0), (CROP, 1, 6, 7, 3, 5, 8, (2, 3, 4, 1), 0, 0, 2, 0),
    (CROP, 1, 6, 7, 2, 5, 8, (2, 3, 4, 1), 0, 0, 1, 0), (CROP, 1, 6, 7, 3, 9, 9, (2, 2, 2, 2), 1, -1.5, 0, 0),
    (HORIZONTAL, 0, 13, 17, 3, 0, 0, (0, 0, 0, 0), 0, 0, 0, 0.5), (HORIZONTAL, 0, 6, 6, 1, 0, 0, (0, 0, 0, 0), 0, 0, 0, 0.3),
    (HORIZONTAL, 1, 6, 5, 3, 0, 0, (0, 0, 0, 0), 0, 0, 0, 0.5), (HORIZONTAL, 0, 6, 5, 3, 0, 0, (0, 0, 0, 0), 0, 0, 0, 0),
    (HORIZONTAL, 0, 6, 5, 3, 0, 0, (0, 0, 0, 0), 0, 0, 0, 1), (VERTICAL, 0, 13, 17, 3, 0, 0, (0, 0, 0, 0), 0, 0, 0, 0.3),
    (VERTICAL, 1, 6, 5, 3, 0, 0, (0, 0, 0, 0), 0, 0, 0, 0.5),
    # p as it is compared: in float32, where it is the third number drawn with seed 20 itself
    (HORIZONTAL, 0, 6, 5, 3, 0, 0, (0, 0, 0, 0), 0, 0, 0, None),
]
TIMES, SEED = 9, 20


def run_case(kind, floats, h, w, c, ch, cw, padding, needed, fill, mode, p):
    if kind == CROP:
        transform = T.RandomCrop((ch, cw), padding=padding if any(padding) else None, pad_if_needed=bool(needed),
                                 fill=fill, padding_mode=MODES[mode])
    else:
        transform = (T.RandomHorizontalFlip if kind == HORIZONTAL else T.RandomVerticalFlip)(p)
    torch.manual_seed(SEED)
    h64 = 0xCBF29CE484222325
    for i in range(TIMES):
        image = picture(i, h, w, c) if c != 2 else None
        if floats:
            image = torch.from_numpy(pixels(i, h, w, c)).permute(2, 0, 1).contiguous().float().div(255)
            out = transform(image).contiguous().numpy()
        else:
            out = numpy.asarray(transform(image))
        h64 = fnv(out.tobytes(), h64)
    return h64, word()


class Pictures(Dataset):
    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 40

    def __getitem__(self, i):
        return self.transform(picture(i, 13, 17, 3)), i


class Mnist(Dataset):
    """The repository's own copy, as torchvision's MNIST reads it."""

    def __init__(self, transform):
        import gzip
        root = HERE.parent.parent / "data" / "mnist"
        read = lambda name: next(gzip.open(p).read() if p.suffix == ".gz" else p.read_bytes()
                                 for p in root.rglob(name + "*"))
        self.images = numpy.frombuffer(read("t10k-images-idx3-ubyte"), numpy.uint8, offset=16).reshape(-1, 28, 28)
        self.labels = numpy.frombuffer(read("t10k-labels-idx1-ubyte"), numpy.uint8, offset=8)
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.transform(Image.fromarray(self.images[i])), int(self.labels[i])


def run_loaders(train, test):
    """Two epochs with a dropout after each batch and a validation pass after each epoch."""
    torch.manual_seed(SEED)
    h64 = 0xCBF29CE484222325
    loader, check = DataLoader(train, 6, shuffle=True), DataLoader(test, 7)
    for _ in range(2):
        for x, y in loader:
            h64 = fnv(y.numpy().tobytes(), fnv(x.numpy().tobytes(), h64))
            h64 = fnv(F.dropout(torch.ones(50), 0.5).numpy().tobytes(), h64)
        for x, y in check:
            h64 = fnv(y.numpy().tobytes(), fnv(x.numpy().tobytes(), h64))
    return h64, word()


def main():
    torch.manual_seed(SEED)
    edge = [torch.rand(1).item() for _ in range(3)][2]
    lines = [f"/* Made by make_augment.py with PyTorch {torch.__version__.split('+')[0]}. */", "",
             f"enum {{ GOLDEN_TIMES = {TIMES}, GOLDEN_SEED = {SEED} }};", "",
             "static const golden_case golden_cases[] = {"]
    for case in CASES:
        case = case[:-1] + (edge * (1 + 1e-9) if case[-1] is None else case[-1],)
        kind, floats, h, w, c, ch, cw, padding, needed, fill, mode, p = case
        h64, then = run_case(*case)
        lines.append(f"    {{{kind}, {floats}, {h}, {w}, {c}, {{{ch}, {cw}}}, {{{', '.join(map(str, padding))}}}, {needed}, "
                     f"{float(fill)}, {mode}, {p!r}, {h64:#x}, {then:#x}}},")
    lines += ["};", ""]

    augment = T.Compose([T.RandomCrop(14, padding=2), T.RandomHorizontalFlip(), T.ToTensor(),
                         T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    plain = T.Compose([T.RandomCrop(12, padding=1), T.ToTensor(), T.Normalize((0.5,) * 3, (0.5,) * 3),
                       T.RandomVerticalFlip(0.4)])
    h64, then = run_loaders(Pictures(augment), Pictures(plain))
    lines.append(f"static const uint64_t golden_pictures = {h64:#x}, golden_pictures_then = {then:#x};")
    augment = T.Compose([T.RandomCrop(28, padding=2), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize((0.1307,), (0.3081,))])
    plain = T.Compose([T.ToTensor(), T.Normalize((0.1307,), (0.3081,))])
    h64, then = run_loaders(Subset(Mnist(augment), list(range(3, 160, 4))), Subset(Mnist(plain), list(range(20))))
    lines.append(f"static const uint64_t golden_mnist = {h64:#x}, golden_mnist_then = {then:#x};")
    (HERE / "augment_golden.inc").write_text("\n".join(lines) + "\n")


main()
