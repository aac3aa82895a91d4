#!/usr/bin/env python3
"""PyTorch's side of bench/shapes.py: lines on standard input, a line of JSON on standard output for each.

    version
    time SECONDS LAYOUT LAYER    the shortest call of the forward pass and of each gradient; LAYOUT: contiguous or
                                 channels_last
    judge FILE LAYER             how far each result in FILE, and PyTorch's own in both layouts, is from the same in
                                 float64: largest difference over largest value

LAYER is as in bench/shapes.c, and the inputs are the same numbers.
"""

import argparse
import json
import sys
import time

import torch
import torch.nn.functional as F

PARTS = ("forward", "input", "weight")
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Layer:
    def __init__(self, words):
        self.conv = words[0] == "conv"
        n = [int(word) for word in words[1:]]
        torch.manual_seed(0)
        if self.conv:
            batch, channels, side, outputs, kernel, self.stride, self.padding, self.groups = n
            out = (side + 2 * self.padding - kernel) // self.stride + 1
            self.x = torch.randn(batch, channels, side, side).relu_()
            fan_in = channels // self.groups * kernel * kernel
            self.weight = torch.randn(outputs, channels // self.groups, kernel, kernel) * (2 / fan_in) ** 0.5
            self.dy = torch.randn(batch, outputs, out, out)
            self.bias = None
        else:
            rows, inputs, outputs = n
            self.x = torch.randn(rows, inputs).relu_()
            self.weight = torch.randn(outputs, inputs) * (2 / inputs) ** 0.5
            self.dy = torch.randn(rows, outputs)
            self.bias = torch.randn(outputs)

    def tensors(self):
        return [name for name in ("x", "weight", "dy", "bias") if getattr(self, name) is not None]

    def to(self, layout):
        for name in self.tensors() if self.conv else []:
            setattr(self, name, getattr(self, name).contiguous(memory_format=LAYOUTS[layout]))
        return self

    def double(self):
        for name in self.tensors():
            setattr(self, name, getattr(self, name).double())
        return self

    def gradient(self, mask):
        pair = [self.stride] * 2, [self.padding] * 2, [1, 1], False, [0, 0], self.groups
        return torch.ops.aten.convolution_backward(self.dy, self.x, self.weight, None, *pair, mask)

    def run(self, part):
        if not self.conv:
            if part == "forward":
                return F.linear(self.x, self.weight, self.bias)
            return self.dy @ self.weight if part == "input" else self.dy.t() @ self.x
        if part == "forward":
            return F.conv2d(self.x, self.weight, None, self.stride, self.padding, 1, self.groups)
        return self.gradient([True, False, False])[0] if part == "input" else self.gradient([False, True, False])[1]


def time_of(layer, part, seconds):
    layer.run(part)
    best, calls, end = float("inf"), 0, time.perf_counter() + seconds
    while calls < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        layer.run(part)
        best = min(best, time.perf_counter() - begin)
        calls += 1
    return best


def judge(path, words):
    ours = torch.load(path)
    exact = Layer(words).double()
    layers = {layout: Layer(words).to(layout) for layout in (LAYOUTS if exact.conv else ["contiguous"])}
    answer = {}
    for part in PARTS:
        truth = exact.run(part)
        scale = truth.abs().max().item()
        results = {"ours": ours[part]} | {layout: layer.run(part) for layout, layer in layers.items()}
        answer[part] = {name: (result.double() - truth).abs().max().item() / scale for name, result in results.items()}
    return answer


def main():
    parser = argparse.ArgumentParser(description="PyTorch's side of bench/shapes.py")
    parser.add_argument("--threads", type=int, required=True)
    torch.set_num_threads(parser.parse_args().threads)
    with torch.inference_mode():
        for line in sys.stdin:
            what, *words = line.split()
            if what == "version":
                answer = {"version": torch.__version__}
            elif what == "time":
                layer = Layer(words[2:]).to(words[1])
                answer = {part: time_of(layer, part, float(words[0]) / len(PARTS)) for part in PARTS}
            else:
                answer = judge(words[0], words[1:])
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
