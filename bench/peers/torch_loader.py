"""PyTorch's side of `bench/compare.py --loader`: a data set's first epoch through torch.utils.data.DataLoader, from the
files' bytes to batches; one JSON object on stdout. As in `facula bench --loader`, the clock starts before the data set
is made, the order is that of seed 0, and nothing decoded is kept.

mnist: torchvision.datasets.MNIST with ToTensor and Normalize. jpeg: torchvision.datasets.ImageFolder of DIR/train and
DIR/test with RandomCrop(32, padding=4), RandomHorizontalFlip, ToTensor and Normalize; with --decode its pictures come
from torchvision.io.decode_image as tensors (torchvision's own libjpeg) instead of from Pillow.
"""

import argparse
import json
import time

import torch
from torch.utils.data import ConcatDataset, DataLoader
from torchvision import datasets, io, transforms

import common

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def decode(path):
    return io.decode_image(path, io.ImageReadMode.RGB)


def digits(arguments):
    normalise = transforms.Normalize((0.1307,), (0.3081,))
    return datasets.MNIST(arguments.data, transform=transforms.Compose([transforms.ToTensor(), normalise]))


def pictures(arguments):
    to_float = transforms.ConvertImageDtype(torch.float32) if arguments.decode else transforms.ToTensor()
    steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    transform = transforms.Compose([*steps, to_float, transforms.Normalize(MEAN, STD)])
    options = {"loader": decode} if arguments.decode else {}
    halves = [f"{arguments.data}/{half}" for half in ("train", "test")]
    return ConcatDataset([datasets.ImageFolder(half, transform=transform, **options) for half in halves])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loader", choices=("mnist", "jpeg"), required=True)
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--decode", action="store_true", help="torchvision.io.decode_image instead of Pillow")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    started = time.perf_counter()
    data = digits(arguments) if arguments.loader == "mnist" else pictures(arguments)
    loader = DataLoader(data, batch_size=arguments.batch, shuffle=True, num_workers=arguments.workers)
    count, total, first = 0, 0, None
    for images, labels in loader:
        count += len(labels)
        total += int(labels.sum())
        if first is None:
            first = images.double().mean().item(), labels[:16].tolist()
    elapsed = time.perf_counter() - started
    report = {
        "framework": "torch",
        "version": torch.__version__,
        "loader": arguments.loader,
        "batch": arguments.batch,
        "workers": arguments.workers,
        "images": count,
        "seconds": elapsed,
        "images_per_second": count / elapsed,
        "peak_memory_mib": common.peak_memory_mib(),
        "labels": total,
        "first_mean": first[0],
        "first_labels": first[1],
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
