#!/usr/bin/env python3
"""torch.load on request, for bench/files.py: a line `make FILE`, `load FILE` or `map FILE` on standard input, a line of
JSON on standard output: the seconds, and of what was loaded the sum of all values. `make` writes the state dict of a
ResNet-50: 320 tensors, 102 MB."""
import argparse
import json
import sys
import time

import torch


def resnet50():
    """Names and sizes of the state dict, filled as a fresh network's is, near enough."""
    state = {}

    def convolution(name, outputs, inputs, kernel):
        weight = torch.randn(outputs, inputs, kernel, kernel)
        state[f"{name}.weight"] = weight * (2 / (outputs * kernel * kernel)) ** 0.5

    def norm(name, channels):
        for key, fill in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            state[f"{name}.{key}"] = torch.full((channels,), fill)
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)

    convolution("conv1", 64, 3, 7)
    norm("bn1", 64)
    inputs = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            for i, (out, into, kernel) in enumerate(((width, inputs, 1), (width, width, 3), (4 * width, width, 1)), 1):
                convolution(f"{name}.conv{i}", out, into, kernel)
                norm(f"{name}.bn{i}", out)
            if block == 0:
                convolution(f"{name}.downsample.0", 4 * width, inputs, 1)
                norm(f"{name}.downsample.1", 4 * width)
            inputs = 4 * width
    state["fc.weight"] = (torch.rand(1000, 2048) * 2 - 1) / 2048**0.5
    state["fc.bias"] = (torch.rand(1000) * 2 - 1) / 2048**0.5
    return state


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    for line in sys.stdin:
        what, path = line.rstrip("\n").split(" ", 1)
        if what == "make":
            torch.save(resnet50(), path)
            answer = {"version": torch.__version__}
        else:
            begin = time.perf_counter()
            state = torch.load(path, mmap=what == "map", weights_only=True)
            total = sum(tensor.sum().item() for tensor in state.values())
            answer = {"seconds": time.perf_counter() - begin, "sum": total}
            del state
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
