#!/usr/bin/env python3
"""Files against PyTorch itself, in both directions: what torch.save writes is read by `facula convert` and written again,
and torch.load must give the same values, types, shapes and ties: with weights_only=True, but for releases before 2.0,
whose weights_only knows no floats and refuses their own checkpoints.

usage: compare_files.py FACULA [--cases N] [--seed S]     (exit status 77: PyTorch is not installed)"""
import argparse
import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import numpy
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
try:
    import safetensors.torch
except ImportError:
    safetensors = None
try:
    import torchvision.models
except ImportError:
    torchvision = None

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
          torch.uint8, torch.bool, torch.complex64, torch.complex128]
OLD_DTYPES = list(DTYPES)  # PyTorch does not read the others back from its older format either
DTYPES += [getattr(torch, name) for name in ("uint16", "uint32", "uint64") if hasattr(torch, name)]
NEWER = tuple(int(x) for x in torch.__version__.split(".")[:2]) >= (2, 0)


def raw(tensor):
    """Elements as bytes: NaN compares too."""
    tensor = tensor.detach().contiguous().reshape(-1)
    tensor = torch.view_as_real(tensor).reshape(-1) if tensor.is_complex() else tensor
    return bytes(tensor.view(torch.uint8).numpy()) if tensor.numel() else b""


def draw_tensor(draw, dtypes):
    dtype = draw.choice(dtypes)
    shape = [draw.choice([1, 2, 3, 5, 0 if draw.random() < 0.1 else 4]) for _ in range(draw.randrange(5))]
    count = 1
    for n in shape:
        count *= n
    size = torch.zeros(1, dtype=dtype).element_size()
    values = torch.tensor(list(draw.randbytes(count * size)), dtype=torch.uint8)
    if not count:
        tensor = torch.zeros(0, dtype=dtype)
    elif dtype == torch.bool:
        tensor = (values % 2).bool()
    elif dtype.is_complex:
        part = torch.float32 if dtype == torch.complex64 else torch.float64
        tensor = torch.view_as_complex(values.view(part).reshape(-1, 2))
    else:
        tensor = values.view(dtype)
    tensor = tensor.reshape(-1)[:count].reshape(shape)
    kind = draw.randrange(6)
    if kind == 0 and tensor.dim() > 1:
        tensor = tensor.transpose(0, -1)
    elif kind == 1 and tensor.dim() > 0 and tensor.shape[0] > 1:
        tensor = tensor[1:]
    elif kind == 2 and tensor.dim() == 4 and count:
        tensor = tensor.contiguous(memory_format=torch.channels_last)
    elif kind == 3 and tensor.dim() > 0 and tensor.shape[0] > 0:
        tensor = tensor[:1].expand(3, *tensor.shape[1:])
    return tensor


def draw_value(draw, depth, made, dtypes):
    kind = draw.randrange(16 if depth else 9)
    if kind <= 2:
        if made and draw.random() < 0.2:
            return draw.choice(made)
        tensor = draw_tensor(draw, dtypes)
        made.append(tensor)
        return tensor
    if kind == 3:
        return draw.choice([0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**70, -(2**100)])
    if kind == 4:
        return draw.choice([0.0, -0.0, 0.1, 1e300, float("inf"), float("-inf"), 5e-324])
    if kind == 5:
        return draw.choice([True, False, None])
    if kind == 6:
        return draw.choice(["", "a", "gr\u00fcn", "\u732b", "x" * 300, "\n\t\"\\", "\U0001f600"])
    if kind == 7:
        return {draw.randrange(1000) for _ in range(draw.randrange(4))}
    if kind == 8:
        return torch.Size([1, 2, 3][:draw.randrange(4)])
    n = draw.choice([0, 1, 2, 3, 4, 5])
    items = [draw_value(draw, depth - 1, made, dtypes) for _ in range(n)]
    if kind <= 10:
        return items
    if kind == 11:
        return tuple(items)
    names = [draw.choice([f"name.{i}", i]) for i in range(n)]
    dict_type = collections.OrderedDict if kind >= 14 else dict
    return dict_type(zip(names, items))


def same(a, b, where, places):
    """Raises AssertionError with the place where two values differ. `places` maps storages of a to those of b."""
    if isinstance(a, torch.Tensor):
        assert isinstance(b, torch.Tensor) and a.dtype == b.dtype, f"{where}: {b!r:.100} instead of {a!r:.100}"
        assert a.shape == b.shape, f"{where}: {tuple(b.shape)} instead of {tuple(a.shape)}"
        assert raw(a) == raw(b), f"{where}: other values"
        assert b.is_contiguous() and not b.requires_grad, f"{where}: not plain"
        if a.numel() and a.is_contiguous():
            key = (a.data_ptr(), a.numel(), a.dtype)
            assert places.setdefault(key, b.data_ptr()) == b.data_ptr(), f"{where}: not tied any more"
        return
    assert type(a) is type(b), f"{where}: {type(b)} instead of {type(a)}"
    if isinstance(a, dict):
        assert list(a) == list(b), f"{where}: keys {list(b)} instead of {list(a)}"
        for key in a:
            same(a[key], b[key], f"{where}.{key}", places)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), f"{where}: {len(b)} items instead of {len(a)}"
        for i, (x, y) in enumerate(zip(a, b)):
            same(x, y, f"{where}[{i}]", places)
    elif isinstance(a, float):
        assert a.hex() == b.hex(), f"{where}: {b} instead of {a}"
    else:
        assert a == b, f"{where}: {b!r} instead of {a!r}"


def whole_models():
    """Networks as torch.save(model) takes them whole, with the wide layers of some made narrow."""
    nn = torch.nn
    yield "Sequential", nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                                      nn.Dropout(0.25), nn.Linear(4 * 9, 3), nn.LogSoftmax(dim=1)).eval()
    if torchvision is None:
        return
    models = torchvision.models
    for name in ("squeezenet1_1", "resnet18", "mobilenet_v2", "shufflenet_v2_x0_5", "mnasnet0_5", "mobilenet_v3_small"):
        yield name, getattr(models, name)(num_classes=3)
    for name in ("alexnet", "vgg11_bn"):
        net = getattr(models, name)(num_classes=3)
        net.classifier = nn.Sequential(nn.Linear(8, 8), nn.ReLU(True), nn.Dropout(), nn.Linear(8, 3))
        net.features = nn.Sequential(*list(net.features)[:6])
        yield name, net
    vit = models.VisionTransformer(image_size=8, patch_size=4, num_layers=1, num_heads=1, hidden_dim=8, mlp_dim=8)
    yield "VisionTransformer", vit


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("facula")
    parser.add_argument("--cases", type=int, default=int(os.environ.get("FACULA_CASES", "150")))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    checked = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)

        def convert(source, target, *more):
            run = subprocess.run([options.facula, "convert", str(folder / source), str(folder / target), *more],
                                 capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            return folder / target

        def load(path):
            return torch.load(str(path), weights_only=NEWER)

        def check(value, name, **keywords):
            torch.save(value, str(folder / "in.pth"), **keywords)
            got = load(convert("in.pth", "out.pth"))
            same(value, got, name, {})
            first = (folder / "out.pth").read_bytes()
            assert convert("out.pth", "again.pth").read_bytes() == first, f"{name}: not the same bytes again"
            checked["pth"] += 1
            return got

        for case in range(options.cases):
            new = case % 4 != 0
            value = draw_value(draw, 3, [], DTYPES if new else OLD_DTYPES)
            check(value, f"case {case}", _use_new_zipfile_serialization=new)

        # What a program of the lesson saves, and what PyTorch makes of it when it is read back.
        model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
                                    torch.nn.Flatten(), torch.nn.Linear(4 * 36, 3))
        for make in (lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), lambda p: torch.optim.Adam(p, 1e-3),
                     lambda p: torch.optim.AdamW(p, 1e-3, amsgrad=True), lambda p: torch.optim.RMSprop(p, momentum=0.5),
                     lambda p: torch.optim.Adagrad(p)):
            optimizer = make(model.parameters())
            loss = model(torch.randn(5, 1, 8, 8)).square().mean()
            loss.backward()
            optimizer.step()
            plain = check({"epoch": 3, "model": model.state_dict(), "optimizer": optimizer.state_dict(),
                           "loss": loss.item()}, type(optimizer).__name__)
            model.load_state_dict(plain["model"])
            optimizer.load_state_dict(plain["optimizer"])
            assert getattr(plain["model"], "_metadata", None) == model.state_dict()._metadata
        tied = model.state_dict()
        tied["copy"] = tied["0.weight"]
        check(tied, "tied weights")

        # Whole pickled models of whatever class: their weights, as their state dict has them.
        for name, net in whole_models():
            for new in (True, False):
                torch.save(net, str(folder / "in.pth"), _use_new_zipfile_serialization=new)
                got, want = load(convert("in.pth", "out.pth")), net.state_dict()
                same(dict(sorted(want.items())), dict(sorted(got.items())), name, {})
                run = subprocess.run([options.facula, "inspect", str(folder / "in.pth")], capture_output=True, text=True)
                assert run.returncode == 0 and type(net).__name__ in run.stdout, run.stderr
                checked["whole model"] += 1

        for case in range(options.cases // 5):
            arrays = {f"n{i}.\u00fc": draw_tensor(draw, [t for t in DTYPES if t != torch.complex128]).contiguous().clone()
                      for i in range(draw.randrange(6))}
            torch.save(arrays, str(folder / "in.pth"))
            if safetensors is not None and NEWER:
                written = convert("in.pth", "out.safetensors")
                same(arrays, {k: v for k, v in sorted(safetensors.torch.load_file(str(written)).items())}, "safetensors", {})
                # The same bytes as the package's own.
                safetensors.torch.save_file(arrays, str(folder / "own.safetensors"), {"format": "pt"})
                assert written.read_bytes() == (folder / "own.safetensors").read_bytes(), "safetensors: other bytes"
                back = load(convert("own.safetensors", "back.pth"))
                same(arrays, dict(sorted(back.items())), "from safetensors", {})
                checked["safetensors"] += 1
            for name, tensor in arrays.items():
                if tensor.dtype == torch.bfloat16 or not hasattr(tensor, "numpy"):
                    continue
                written = convert("in.pth", "out.npy", "--only", name)
                numpy.save(str(folder / "own.npy"), tensor.numpy())
                assert written.read_bytes() == (folder / "own.npy").read_bytes(), "npy: other bytes"
                same(tensor, load(convert("own.npy", "back.pth")), "from npy", {})
                checked["npy"] += 1
        run = subprocess.run([options.facula, "inspect", "--json", str(folder / "in.pth")], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        entries = [e for e in json.loads(run.stdout)["entries"] if e["kind"] == "tensor"]
        assert {e["path"][0]: e["shape"] for e in entries} == {k: list(v.shape) for k, v in arrays.items()}
    print(f"torch {torch.__version__}: " + ", ".join(f"{n} {kind}" for kind, n in checked.items()) + " files agree")


if __name__ == "__main__":
    main()
