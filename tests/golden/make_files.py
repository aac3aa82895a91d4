#!/usr/bin/env python3
"""Writes tests/golden/files/: what torch.save, safetensors and numpy.save make of fixed values. tests/files/test_golden.c
makes the same values and must write the same bytes. Made with PyTorch 2.15.0, safetensors 0.8.0, NumPy 2."""
import collections
import io
import pathlib

import numpy
import safetensors.torch
import torch

folder = pathlib.Path(__file__).parent / "files"


def tensors():
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3) / 8
    return collections.OrderedDict([
        ("weight", weight),
        ("bias", torch.tensor([0.1, -2.5], dtype=torch.float64)),
        ("steps", torch.tensor(7)),
        ("empty", torch.zeros(0, 3)),
        ("half", torch.tensor([1.0, -0.0, 65504.0], dtype=torch.float16)),
        ("brain", torch.tensor([1.0, 3.140625, float("inf")], dtype=torch.bfloat16)),
        ("bytes", torch.tensor([0, 1, 128, 255], dtype=torch.uint8)),
        ("mask", torch.tensor([True, False, True])),
        ("counts", torch.tensor([[1, -2], [3, 2**31 - 1]], dtype=torch.int32)),
    ])


def save(name, value):
    """Into a stream, so that the records lie in the folder "archive"."""
    stream = io.BytesIO()
    torch.save(value, stream)
    (folder / name).write_bytes(stream.getvalue())


def main():
    state = tensors()
    state["tied"] = state["weight"].detach()
    state._metadata = collections.OrderedDict([("", {"version": 1}), ("bn", {"version": 2})])
    save("state.pth", state)
    few = collections.OrderedDict([("w", torch.arange(4, dtype=torch.float32))])
    save("checkpoint.pth", {
        "epoch": 3, "negative": -5, "middle": 300, "large": 70000, "huge": 2**40, "low": -(2**40), "least": -(2**63),
        "loss": 0.5, "good": True, "bad": False, "nothing": None, "list": [1, 2], "one": [1], "betas": (0.9, 0.999),
        "single": (1,), "three": (1, 2, 3), "four": (1, 2, 3, 4), "text": "gr\u00fcn", "": "empty name",
        "empty_dict": {}, "empty_list": [], "empty_tuple": (), 0: "number", "pair": {"lr": 0.1},
        "model": few, "again": few, "raw": b"ab\xff", "array": bytearray(b"\x00\x80"), "set": {3},
        "counter": collections.Counter({1: 2}), "size": torch.Size([1, 2]), "big": 2**70, "small": -(2**64),
    })
    save("many.pth", list(range(2500)))
    save("tensor.pth", torch.tensor([[1.0, 2.0]]))

    flat = tensors()
    flat["quote\"\\\n\u00fc\x01"] = torch.zeros(1)
    safetensors.torch.save_file(flat, str(folder / "tensors.safetensors"), {"format": "pt"})
    numpy.save(folder / "matrix.npy", flat["weight"].numpy())
    numpy.save(folder / "vector.npy", flat["bias"].numpy())
    numpy.save(folder / "scalar.npy", flat["steps"].numpy())
    numpy.save(folder / "empty.npy", flat["empty"].numpy())
    numpy.save(folder / "half.npy", flat["half"].numpy())
    numpy.save(folder / "mask.npy", flat["mask"].numpy())
    numpy.save(folder / "counts.npy", flat["counts"].numpy())
    numpy.save(folder / "bytes.npy", flat["bytes"].numpy())


if __name__ == "__main__":
    main()
