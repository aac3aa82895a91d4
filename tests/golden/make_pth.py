#!/usr/bin/env python3
"""Writes tests/golden/pth/: files of torch.save in all its forms, files put together by hand, hostile ones (hostile_*),
and pth.json: what stands in each, or what a reader must do with it. Made with PyTorch 2.15.0 and torchvision 0.29.2; the
values do not depend on the release, the bytes do.

Whole models that PyTorch would rebuild by importing their classes are described by their weights (`state_dict`) and by
what they print (`structure`)."""
import collections
import functools
import io
import json
import math
import pathlib
import pickle
import struct
import sys
import warnings
import zipfile

import torch
import torch.nn.functional as F
import torchvision
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "pth"
REFUSE = "refuse with an error that says why; "
entries = {}


def describe(value):
    """A value as JSON: tensors by their bytes and how they lie, what JSON does not have as a string."""
    if isinstance(value, torch.Tensor):
        flat = value.detach().contiguous().reshape(-1)
        flat = flat.to(torch.uint8) if value.dtype == torch.bool else flat.view(torch.uint8)
        tensor = {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape),
                  "stride": list(value.stride()), "offset": value.storage_offset(), "requires_grad": value.requires_grad,
                  "bytes_hex": bytes(flat.tolist()).hex()}
        return tensor | ({"parameter": True} if isinstance(value, nn.Parameter) else {})
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def save(name, value, note, **keywords):
    torch.save(value, FOLDER / name, **keywords)
    entries[name] = {"note": note, "content": describe(value)}


def save_module(name, module, note, **keywords):
    torch.save(module, FOLDER / name, **keywords)
    entries[name] = {"note": note, "content": None, "state_dict": describe(module.state_dict()), "structure": str(module)}


def write(name, data, note, **more):
    (FOLDER / name).write_bytes(data)
    entries[name] = {"note": note} | more


def hostile(name, data, must):
    write(f"hostile_{name}.pth", data, "hostile", must=must)


# ---- What PyTorch writes ---------------------------------------------------------------------------------------------


def trained_network():
    net = nn.Sequential(collections.OrderedDict(
        conv=nn.Conv2d(1, 4, 3, padding=1), bn=nn.BatchNorm2d(4), relu=nn.ReLU(), pool=nn.MaxPool2d(2), flat=nn.Flatten(),
        drop=nn.Dropout(0.5), fc=nn.Linear(16, 3)))
    adam = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(2):
        adam.zero_grad()
        loss = F.cross_entropy(net(torch.randn(5, 1, 4, 4)), torch.tensor([0, 1, 2, 0, 1]))
        loss.backward()
        adam.step()
    return net, adam, loss


def checkpoints(net, adam, loss):
    save("state_dict.pth", net.state_dict(), "model.state_dict(): OrderedDict with _metadata")
    both = {"model_state_dict": net.state_dict(), "optimizer_state_dict": adam.state_dict()}
    save("checkpoint.pth", {"epoch": 3} | both | {"loss": loss},
         "the lesson's checkpoint; loss is a 0-dim tensor that requires grad")
    save("checkpoint_best.pth", {"epoch": 4} | both | {"val_loss": 0.123456789, "val_acc": 98.5},
         "val_loss and val_acc are Python floats")
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    sgd.step()
    step = torch.optim.lr_scheduler.StepLR(sgd, 5)
    save("checkpoint_sgd_sched.pth", {"model": net.state_dict(), "optim": sgd.state_dict(), "sched": step.state_dict(),
                                      "rng": torch.get_rng_state()[:16]},
         "SGD with momentum, StepLR state, first 16 bytes of the generator state")
    net.eval()
    save_module("whole_model.pth", net, "torch.save(model): a pickled nn.Sequential in eval mode")
    save("legacy_state_dict.pth", net.state_dict(), "written with _use_new_zipfile_serialization=False",
         _use_new_zipfile_serialization=False)
    save("legacy_checkpoint.pth", {"epoch": 3, "model_state_dict": net.state_dict(),
                                   "optimizer_state_dict": adam.state_dict(), "note": "ok"},
         "legacy format", _use_new_zipfile_serialization=False)


def values():
    dtypes = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
              torch.int8, torch.uint8, torch.bool]
    save("dtypes.pth",
         collections.OrderedDict((str(t).removeprefix("torch."), (torch.arange(5) - 2).to(t)) for t in dtypes),
         "one tensor of each dtype")
    base = torch.arange(24.0)
    save("shared.pth", {"base": base, "matrix": base.view(4, 6), "row": base.view(4, 6)[2],
                        "transposed": base.view(4, 6).t(), "every_other": base[1::2]},
         "five tensors that share one storage")
    last = torch.channels_last
    save("noncontiguous.pth", {"t": torch.arange(6.0).view(2, 3).t(), "expanded": torch.arange(3.0).expand(4, 3),
                               "channels_last": torch.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=last),
                               "slice": torch.arange(20.0).view(4, 5)[1:3, 2:4]},
         "strided tensors, each with its own storage")
    save("empty_scalar.pth", {"empty": torch.empty(0), "empty2d": torch.empty(0, 3), "scalar": torch.tensor(2.5),
                              "int_scalar": torch.tensor(7), "one": torch.ones(1)},
         "empty and 0-dim tensors")
    save("python.pth", {"none": None, "true": True, "false": False, "zero": 0, "byte": 255, "short": 65535, "int": 70000,
                        "neg": -1, "big": 2**40, "negbig": -(2**40), "float": 0.1, "inf": math.inf,
                        "str": "h\u00e9llo \u2713", "empty": "", "list": [1, 2.5, "x", [None]], "tuple": (1, 2),
                        "tuple0": (), "tuple4": (1, 2, 3, 4), "dict": {"a": {1: 2}}, "emptylist": [], "emptydict": {}},
         "plain Python values")
    save("many.pth",
         collections.OrderedDict((f"layer{i}.weight", torch.full((2,), float(i))) for i in range(300)),
         "300 entries: more than 255 memo slots (LONG_BINPUT, LONG_BINGET)")
    save("parameter.pth", nn.Parameter(torch.arange(4.0)), "a single Parameter")
    save("list.pth", [torch.zeros(2), torch.ones(2)], "a list of tensors")
    stream = io.BytesIO()
    torch.save({"x": torch.arange(3.0)}, stream)
    write("archive_prefix.pth", stream.getvalue(), "saved to a stream: the folder in the archive is 'archive'",
          content=describe({"x": torch.arange(3.0)}))


def wrapped(net):
    save("prefix_module.pth", nn.DataParallel(net).state_dict(),
         "the names a model in nn.DataParallel gives: every key begins with 'module.'")
    save("prefix_orig_mod.pth", torch.compile(net).state_dict(),
         "the names a model from torch.compile gives: every key begins with '_orig_mod.'")
    save("prefix_both.pth", {"state_dict": torch.compile(nn.DataParallel(net)).state_dict(), "epoch": 1},
         "both prefixes, inside a checkpoint")


def schedules():
    fc = nn.Linear(3, 2)
    rms = torch.optim.RMSprop(fc.parameters(), lr=0.02, momentum=0.9, centered=True)
    one = torch.optim.lr_scheduler.OneCycleLR(rms, max_lr=0.1, total_steps=10)
    for _ in range(3):
        rms.zero_grad()
        fc(torch.randn(4, 3)).square().mean().backward()
        rms.step()
        one.step()
    save("rmsprop_onecycle.pth", {"model": fc.state_dict(), "optim": rms.state_dict(), "sched": one.state_dict()},
         "RMSprop (momentum, centered) after 3 steps, OneCycleLR state; initial_lr, max_lr, min_lr, base_momentum, "
         "max_momentum are in the group")
    save("rmsprop_fresh.pth", torch.optim.RMSprop(nn.Linear(3, 2).parameters()).state_dict(),
         "RMSprop before any step: state is empty")
    adam = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=0.1)
    save("onecycle_adam.pth", torch.optim.lr_scheduler.OneCycleLR(adam, 0.2, epochs=2, steps_per_epoch=5).state_dict(),
         "OneCycleLR state, Adam")
    base = torch.arange(12.0)
    save("legacy_views.pth", {"base": base, "matrix": base.view(3, 4), "transposed": base.view(3, 4).t(),
                              "part": base[2:8:2], "int": torch.arange(4)[1:]},
         "legacy format, four tensors of one storage, and an int64 slice", _use_new_zipfile_serialization=False)


# ---- Whole models ----------------------------------------------------------------------------------------------------


class TinyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.fc = nn.Linear(8, 3)
        self.scale = nn.Parameter(torch.tensor([2.0]))
        self.register_buffer("offset", torch.tensor([0.5]))
        self.register_buffer("scratch", torch.zeros(2), persistent=False)
        self.classes = ["a", "b", "c"]


class Named(nn.Module):
    """What programs keep in modules besides numbers: classes, functions, members of enumerations, partials."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.norm_layer = nn.BatchNorm2d
        self.norm = functools.partial(nn.BatchNorm2d, eps=1e-3)
        self.functions = [F.relu, F.gelu, torch.relu, torch.tanh, torch.Tensor.relu, nn.init.kaiming_normal_]
        self.mode = torchvision.transforms.InterpolationMode.BILINEAR
        self.plain = {"dtype": torch.float16, "device": torch.device("cpu"), "size": torch.Size([2, 3])}
        self.own_class = Named
        self.ordered = collections.OrderedDict


def standard_layers():
    """One of every layer that is rebuilt, with options other than the defaults where there are some."""
    return nn.Sequential(
        nn.Conv2d(4, 2, (3, 1), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2, bias=False),
        nn.Conv2d(2, 2, 3, padding="same"), nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1), nn.Linear(3, 2), nn.Linear(3, 2, bias=False),
        nn.Identity(), nn.MaxPool2d(2), nn.MaxPool2d((3, 2), stride=(2, 1), padding=1, dilation=1, ceil_mode=True),
        nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), nn.AdaptiveAvgPool2d((None, 2)),
        nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d((2, 3)), nn.Upsample(scale_factor=2), nn.BatchNorm1d(3),
        nn.BatchNorm2d(2, eps=0.001, momentum=None), nn.BatchNorm2d(2, affine=False),
        nn.BatchNorm2d(2, track_running_stats=False), nn.InstanceNorm2d(3), nn.InstanceNorm2d(3, affine=True),
        nn.InstanceNorm2d(2, affine=True, bias=False, track_running_stats=True, momentum=0.2),
        nn.GroupNorm(2, 4), nn.LayerNorm((2, 3)), nn.LayerNorm(4, elementwise_affine=False), nn.Dropout(0.25),
        nn.Dropout2d(), nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(),
        nn.Sigmoid(), nn.Tanh(), nn.LeakyReLU(0.2), nn.ELU(0.5), nn.GELU(), nn.GELU(approximate="tanh"),
        nn.Softplus(2.0), nn.Hardtanh(-2.0, 2.0), nn.PReLU(), nn.PReLU(3), nn.Softmax(dim=1), nn.LogSoftmax(dim=-1),
        nn.Flatten(), nn.Flatten(0, 1), nn.ModuleList([nn.ReLU(), nn.Linear(1, 1)]),
        nn.ModuleDict({"one": nn.ReLU(), "two": nn.Linear(1, 2)}), nn.Sequential(),
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]), label_smoothing=0.1), nn.NLLLoss(), nn.MSELoss(reduction="sum"),
        nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(delta=0.5), nn.BCELoss(),
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0])), nn.KLDivLoss(reduction="batchmean"))


def small_resnet():
    """torchvision's ResNet in all but its size: the layers are replaced by narrow ones of the same classes."""
    block = torchvision.models.resnet.BasicBlock
    net = torchvision.models.resnet18(num_classes=2)
    net.conv1, net.bn1 = nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(4)
    for i in range(1, 5):
        setattr(net, f"layer{i}", nn.Sequential(block(4, 4)))
    net.fc = nn.Linear(4, 2)
    return net


def whole_models():
    save_module("user_class.pth", TinyNet(),
                "torch.save(model) of a class of the script (__main__ TinyNet): only weights_only=False with the class loads "
                "it in PyTorch; its weights can be read without the class")
    sys.modules["__main__"].Named = Named
    torch.manual_seed(1)
    save_module("whole_layers.pth", standard_layers(), "one of every standard layer in a Sequential")
    save_module("whole_named.pth", Named(), "attributes that are classes, functions, members of an enumeration, a partial")
    save_module("whole_resnet.pth", small_resnet(), "torchvision's ResNet, narrow; _norm_layer is a class")
    # The older format holds the source text of each class, PyTorch's own among them, which is not for this folder.
    torch.serialization.get_source_lines_and_file = lambda *args, **kwargs: (["class Layer: ...\n"], 1, "layers.py")
    save_module("legacy_whole_layers.pth", standard_layers(), "the same as whole_layers.pth in the older format, new weights",
                _use_new_zipfile_serialization=False)


# ---- Files put together by hand --------------------------------------------------------------------------------------


def text(string):
    data = string.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    return b"J" + struct.pack("<i", value) if abs(value) < 2**31 else b"\x8a\x0a" + value.to_bytes(10, "little", signed=True)


def numbers(items):
    return b"(" + b"".join(number(i) for i in items) + b"t"


def name_of(module, name):
    return f"c{module}\n{name}\n".encode()


def tensor(key="0", count=6, offset=0, size=(2, 3), stride=(3, 1), storage="FloatStorage", location="cpu", extra=b""):
    return (name_of("torch._utils", "_rebuild_tensor_v2") + b"((" + text("storage") + name_of("torch", storage) + text(key) +
            text(location) + number(count) + extra + b"tQ" + number(offset) + numbers(size) + numbers(stride) + b"\x89" +
            name_of("collections", "OrderedDict") + b")RtR")


def dict_of(*pairs):
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in pairs) + b"u."


def archive(pickled, records=(), method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    first = [("data.pkl", pickled)] if pickled is not None else []
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as z:
        warnings.simplefilter("ignore")  # two entries of one name
        for name, data in [*first, ("byteorder", b"little"), *records, ("version", b"3\n")]:
            z.writestr(zipfile.ZipInfo("archive/" + name), data, method)
    return stream.getvalue()


SIX = struct.pack("<6f", *range(6))
ONE = [("data/0", SIX)]


def one(**options):
    """{"x": a tensor}, its storage's record beside it."""
    return archive(dict_of(("x", tensor(**options))), ONE)


LEGACY = [pickle.dumps(value, 2) for value in
          (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True,
                                          "type_sizes": {"short": 2, "int": 4, "long": 4}})]
LEGACY_OBJECT = dict_of(("base", tensor("10", size=(6,), stride=(1,), extra=b"N")),
                        ("view", tensor("10", size=(2, 2), stride=(2, 1),
                                        extra=b"(" + text("11") + number(1) + number(4) + b"t")))


def legacy(tail, parts=LEGACY):
    return b"".join(parts) + LEGACY_OBJECT + pickle.dumps(["10"], 2) + tail


def by_hand():
    six = describe({"x": torch.arange(6.0).view(2, 3)})
    write("plain_zip.pth", one(), "written by a plain zip writer: no alignment, no descriptors, no memo", content=six)
    write("deflated_zip.pth", archive(dict_of(("x", tensor())), ONE, zipfile.ZIP_DEFLATED),
          "the same, entries deflated (PyTorch reads it)", content=six)
    write("cuda_location.pth", one(location="cuda:0"),
          "the location is 'cuda:0': PyTorch without a GPU wants map_location='cpu'; a CPU reader simply loads it",
          content=six)
    base = torch.arange(6.0)
    write("legacy_view_ids.pth", legacy(struct.pack("<q", 6) + SIX),
          "legacy format as very old releases wrote it: 'view' uses the part of the storage from element 1, 4 elements long "
          "(view key '11'); its offset is given in the whole storage",
          content=describe({"base": base, "view": base[1:5].view(2, 2)}))


def hostile_pickles():
    for name, module in (("os_system", "os"), ("posix_system", "posix")):
        hostile(name, archive(b"\x80\x02" + name_of(module, "system") + text("echo unsafe > hostile_was_here") + b"\x85R."),
                REFUSE + f"the global {module}.system is not allowed; nothing is run")
    hostile("eval", archive(b"\x80\x02" + name_of("builtins", "eval") + text("1+1") + b"\x85R."),
            REFUSE + "the global builtins.eval is not allowed; nothing is run")
    getattr_of = name_of("__builtin__", "getattr")
    hostile("getattr", archive(b"\x80\x02" + getattr_of + name_of("torch", "Size") + text("__class__") + b"\x86R."),
            REFUSE + "the global __builtin__.getattr is not allowed")
    hostile("call_tensor", archive(b"\x80\x02" + text("x") + b")R."), REFUSE + "REDUCE on something that is not an allowed callable")
    hostile("deep", archive(b"\x80\x02" + b"]" * 60000 + b"a" * 59999 + b"."),
            "refuse (nesting too deep) or load; no stack overflow, also when the value is freed or printed")
    hostile("deep_tuples", archive(b"\x80\x02)" + b"\x85" * 60000 + b"."),
            "refuse (nesting too deep) or load; no stack overflow")
    hostile("memo", archive(b"\x80\x02K\x01r" + struct.pack("<I", 0xFFFFFFFF) + b"."),
            "load as 1, or refuse; no memory in proportion to the index 4294967295")
    hostile("memo_missing", archive(b"\x80\x02h\x05."), REFUSE + "memo index 5 was never stored")
    hostile("underflow", archive(b"\x80\x02aa."), REFUSE + "the stack is empty")
    hostile("mark", archive(b"\x80\x02K\x01t."), REFUSE + "no mark on the stack")
    hostile("no_stop", archive(b"\x80\x02K\x01"), REFUSE + "the pickle ends without STOP")
    hostile("string_length", archive(b"\x80\x02X" + struct.pack("<I", 0x7FFFFFFF) + b"abc."),
            REFUSE + "a string of 2^31-1 bytes in a pickle of a few; no allocation of that size")
    hostile("utf8", archive(b"\x80\x02X\x02\x00\x00\x00\xff\xfe."), REFUSE + "a string that is not UTF-8")
    hostile("opcode", archive(b"\x80\x02\xff."), REFUSE + "unknown opcode 255")
    hostile("protocol4", archive(b"\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00K\x01."),
            "load as 1 or refuse (PyTorch refuses); no crash")
    hostile("self_list", archive(b"\x80\x02]q\x00h\x00a."),
            "refuse, or load a list that contains itself; no endless recursion, no leak")
    hostile("persistent_id", archive(b"\x80\x02K\x05Q."), REFUSE + "the persistent id is not a storage tuple")


def module_with(attribute):
    """A pickled nn.ReLU of which one more attribute is `attribute`."""
    return archive(b"\x80\x02" + name_of("torch.nn.modules.activation", "ReLU") + b")\x81}(" + text("training") + b"\x88" +
                   text("_modules") + b"}" + text("x") + attribute + b"ub.")


def hostile_names():
    """What is named, or called, where modules have their attributes."""
    system, relu = name_of("os", "system"), name_of("torch.nn.functional", "relu")
    hostile("named_system", module_with(system), REFUSE + "os.system, by its name alone, among the attributes of a module")
    hostile("named_load", module_with(name_of("torch", "load")), REFUSE + "torch.load is not among the names of layers")
    hostile("named_hub", module_with(name_of("torch.hub", "load")), REFUSE + "torch.hub.load is not among the names of layers")
    hostile("named_class", module_with(name_of("__main__", "helper")),
            REFUSE + "a function of somebody's program, __main__.helper")
    hostile("named_partial", module_with(name_of("functools", "partial") + system + b"\x85R"),
            REFUSE + "a partial of os.system")
    hostile("named_getattr", module_with(name_of("builtins", "getattr") + system + text("__call__") + b"\x86R"),
            REFUSE + "an attribute of os.system")
    long_name = text("a" * 200) + b"\x86R"
    chain = name_of("torch._C", "TensorBase") + long_name
    for _ in range(6):  # getattr(getattr(..., name), name): each takes what is below it
        chain = name_of("builtins", "getattr") + chain + long_name
    hostile("named_chain", module_with(name_of("builtins", "getattr") + chain), REFUSE + "names that only grow longer")
    hostile("named_module", archive(b"\x80\x02" + name_of("torch.nn.modules.container", "Sequential") + b")\x81}(" +
                                    text("_modules") + b"}" + text("0") + relu + b"sub."),
            "refuse, or load; a function is no module, also where it stands among the modules")
    hostile("named_object", module_with(name_of("__main__", "Helper") + b")\x81}" + text("a") + b"K\x01sb"),
            REFUSE + "an object of somebody's class that is no module, __main__.Helper")


def hostile_tensors():
    hostile("storage_short", archive(dict_of(("x", tensor())), [("data/0", SIX[:20])]),
            REFUSE + "the record data/0 has 20 bytes, the storage 6 elements of 4")
    hostile("storage_long", archive(dict_of(("x", tensor())), [("data/0", SIX + b"1234")]),
            REFUSE + "the record data/0 has 28 bytes, the storage 6 elements of 4")
    hostile("storage_missing", archive(dict_of(("x", tensor()))), REFUSE + "there is no record data/0")
    hostile("storage_huge", one(count=2**62),
            REFUSE + "a storage of 2^62 elements; no allocation of that size, no overflow of the product with 4")
    hostile("offset", one(offset=4), REFUSE + "offset 4 + last element 5 is past the 6 elements of the storage")
    hostile("offset_negative", one(offset=-1), REFUSE + "negative offset")
    hostile("negative_stride", one(offset=5, stride=(-3, -1)), REFUSE + "negative strides")
    hostile("negative_size", one(size=(-2, 3)), REFUSE + "negative size")
    hostile("stride_past_end", one(stride=(4, 1)), REFUSE + "element (1, 2) would be number 6 of 6")
    hostile("size_overflow", one(size=(2**40, 2**40), stride=(2**40, 2**40)),
            REFUSE + "the product of the sizes overflows 64 bits")
    hostile("expand_huge", one(size=(2**31 - 1, 2**20), stride=(0, 0)),
            "refuse, or load as a view with strides 0; no copy of 2^51 elements")
    hostile("rank_mismatch", one(stride=(1,)), REFUSE + "two sizes, one stride")
    hostile("dtype", one(storage="NopeStorage"), REFUSE + "torch.NopeStorage is not allowed")
    hostile("two_dtypes",
            archive(dict_of(("a", tensor()), ("b", tensor(size=(6,), stride=(1,), storage="DoubleStorage"))), ONE),
            REFUSE + "one record of 24 bytes named as 6 floats and as 6 doubles (48 bytes)")


def third_entry(data):
    """Where the directory's third entry begins: data/0."""
    at = -1
    for _ in range(3):
        at = data.index(b"PK\1\2", at + 1)
    return at


def hostile_archives():
    good = one()
    hostile("duplicate", archive(dict_of(("x", tensor())), [*ONE, ("data/0", b"\xff" * 24)]),
            REFUSE + "two entries are called data/0 (PyTorch takes one of them)")
    data = bytearray(good)
    data[data.index(SIX) + 5] ^= 1
    hostile("crc", bytes(data), REFUSE + "the CRC of data/0 is wrong (PyTorch loads it)")
    hostile("no_pickle", archive(None, ONE), REFUSE + "there is no data.pkl: not a file of torch.save")
    hostile("truncated", good[:len(good) // 2], REFUSE + "the file is cut in half: no central directory")
    hostile("truncated_end", good[:-4], REFUSE + "the last four bytes are missing")
    data, at = bytearray(good), third_entry(good)
    data[at + 42:at + 46] = struct.pack("<I", 0x7FFFFFF0)
    hostile("entry_outside", bytes(data), REFUSE + "the local header of data/0 would lie outside the file")
    data[at + 42:at + 46] = struct.pack("<I", 0)
    hostile("entry_wrong_name", bytes(data), REFUSE + "the entry data/0 points at the local header of data.pkl")
    data = bytearray(good)
    data[at + 20:at + 28] = struct.pack("<II", 0xFFFFFF00, 0xFFFFFF00)
    hostile("entry_size", bytes(data), REFUSE + "the entry data/0 claims 4 GB in a small file; no allocation of that size")
    hostile("path", archive(dict_of(("x", tensor("../../x"))), [("data/../../x", SIX)]),
            "refuse, or take the record by its name from the archive; no file of that path is touched")
    hostile("bomb", archive(dict_of(("x", tensor(count=2**22, size=(2**22,), stride=(1,)))), [("data/0", bytes(2**24))],
                            zipfile.ZIP_DEFLATED),
            "load (16 MB of zeros from 16 kB) or refuse by a limit; memory stays bounded by what the directory says")
    hostile("legacy_truncated", legacy(struct.pack("<q", 6) + SIX[:10]), REFUSE + "the data of storage 10 ends early")
    hostile("legacy_count", legacy(struct.pack("<q", 2**60) + SIX),
            REFUSE + "the count 2^60 is not the 6 of the persistent id; no allocation of that size")
    hostile("legacy_magic", pickle.dumps(5, 2) + b"".join(LEGACY[1:]) + LEGACY_OBJECT, REFUSE + "wrong magic number")
    hostile("empty", b"", REFUSE + "the file is empty")
    hostile("text", b"hello world, this is not it\n", REFUSE + "not a file of torch.save")
    stream = io.BytesIO()
    zipfile.ZipFile(stream, "w").close()
    hostile("zip_other", stream.getvalue(), REFUSE + "a zip file without entries")
    hostile("torchscript", archive(b"\x80\x02N.", [("constants.pkl", b"\x80\x02).")]),
            REFUSE + "a TorchScript archive (constants.pkl), which torch.save does not write")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    net, adam, loss = trained_network()
    checkpoints(net, adam, loss)
    values()
    wrapped(net)
    schedules()
    whole_models()
    by_hand()
    hostile_pickles()
    hostile_names()
    hostile_tensors()
    hostile_archives()
    lines = [f"{json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in entries.items()]
    (FOLDER / "pth.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
