"""What the peers share: the networks' sizes, the command line, the images, the clock and the report.

A peer is one process that does what one call of `facula bench` does: the same start, the same batches in the same
order, 20 steps whose losses are kept, then whole steps for as many seconds as asked. It prints one JSON object.
"""

import argparse
import gzip
import json
import os
import struct
import time

LOSSES = 20

# channels, side, usual batch; as in src/cli/networks.c
NETWORKS = {
    "mnist": (1, 28, 64),
    "cifar": (3, 32, 32),
    "fake64": (3, 64, 32),
    "img224": (3, 224, 32),
    "vgg_bn": (3, 32, 64),
    "resnet18": (3, 32, 64),
}


def argument_parser(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--network", choices=NETWORKS, default="mnist")
    parser.add_argument("--mode", choices=("train", "infer"), default="train")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--batch", type=int, help="default: the network's usual batch")
    parser.add_argument("--batches", type=int, help="different batches, used in turn; default: 20, 4 for img224")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--data", help="MNIST's files, for mnist (data/mnist); else DIR/CLASS/*.jpg (data/pictures)")
    return parser


def fill_defaults(arguments):
    channels, side, batch = NETWORKS[arguments.network]
    if arguments.batch is None:
        arguments.batch = batch
    if arguments.batches is None:
        arguments.batches = 4 if side > 100 else 20
    if arguments.data is None:
        arguments.data = "data/mnist" if channels == 1 else "data/pictures"
    return channels, side


def read_idx(folder, name):
    """The shape and the bytes of an IDX file of unsigned bytes, packed or not."""
    path = os.path.join(folder, name)
    if os.path.exists(path):
        with open(path, "rb") as file:
            content = file.read()
    else:
        with gzip.open(path + ".gz", "rb") as file:
            content = file.read()
    dims = content[3]
    shape = struct.unpack(f">{dims}I", content[4 : 4 + 4 * dims])
    return shape, content[4 + 4 * dims :]


def mnist_batches(arguments):
    """The first training images in the file's order, as float32 in [0, 1], and their labels: a list of pairs."""
    import numpy as np

    shape, pixels = read_idx(arguments.data, "train-images-idx3-ubyte")
    labels = np.frombuffer(read_idx(arguments.data, "train-labels-idx1-ubyte")[1], np.uint8)
    images = np.frombuffer(pixels, np.uint8).reshape(shape[0], 1, shape[1], shape[2])
    count = arguments.batch
    if shape[0] < count * arguments.batches:
        raise SystemExit(f"MNIST has fewer than {arguments.batches} batches of {count} images")
    return [
        (images[i : i + count].astype(np.float32) / np.float32(255), labels[i : i + count].astype(np.int64))
        for i in range(0, count * arguments.batches, count)
    ]


def peak_memory_mib():
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


def measure(arguments, step, framework, version):
    """Runs `step` and prints the report. step(i, with_loss) does one whole step on batch i and returns its loss as a
    number; in inference it need not compute the loss unless with_loss is set."""
    losses = [step(i % arguments.batches, True) for i in range(LOSSES)]
    steps = 0
    started = time.perf_counter()
    while True:
        step((LOSSES + steps) % arguments.batches, False)
        steps += 1
        elapsed = time.perf_counter() - started
        if elapsed >= arguments.seconds:
            break
    report = {
        "framework": framework,
        "version": version,
        "network": arguments.network,
        "mode": arguments.mode,
        "batch": arguments.batch,
        "threads": arguments.threads,
        "dtype": "float32",
        "images_per_second": steps * arguments.batch / elapsed,
        "ms_per_step": 1e3 * elapsed / steps,
        "peak_memory_mib": peak_memory_mib(),
        "losses": losses,
    }
    print(json.dumps(report), flush=True)
