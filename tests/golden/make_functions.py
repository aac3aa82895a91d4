"""Makes functions.json and functions.safetensors: activations, transposed convolution, adaptive pools, norms, resizing,
dropout2d. The form is that of make_layers.py.

    python make_functions.py         # needs torch and safetensors; writes beside this file
"""
import torch
import torch.nn.functional as F

import make_layers
from make_layers import Golden, INF, NAN, R, one


def named(function, *names):
    """F.function(x, name=args[name], ...)"""
    return one(lambda t, a: getattr(F, function)(t["x"], **{n: a[n] for n in names if n in a}))


def conv_transpose2d(t, a):
    pair = lambda name, otherwise: tuple(a.get(name, (otherwise, otherwise)))
    return F.conv_transpose2d(t["x"], t["weight"], t.get("bias"), pair("stride", 1), pair("padding", 0),
                              pair("output_padding", 0), a.get("groups", 1), pair("dilation", 1))


def adaptive(function):
    return one(lambda t, a: function(t["x"], tuple(None if n < 0 else n for n in a["output"])))


def dropout2d(t, a):
    torch.manual_seed(a["seed"])
    return F.dropout2d(t["x"], a["p"], bool(a.get("training", 1)))


def interpolate(t, a):
    mode = ("nearest", "nearest-exact", "bilinear")[a["mode"]]
    return F.interpolate(t["x"], tuple(a["size"]) if "size" in a else None,
                         tuple(a["factor"]) if "factor" in a else None, mode,
                         bool(a.get("align_corners", 0)) if mode == "bilinear" else None,
                         bool(a.get("recompute", 0)) or None)


def batch_norm(t, a):
    """Of inputs that are no images: running values are changed in place."""
    buffers = [t[k].clone() if k in t else None for k in ("running_mean", "running_var")]
    y = F.batch_norm(t["x"], *buffers, t.get("weight"), t.get("bias"), bool(a["training"]), 0.1, 1e-5)
    return {"y": y, **({"running_mean": buffers[0], "running_var": buffers[1]} if buffers[0] is not None else {})}


make_layers.OPS.update({
    "relu6": named("relu6"),
    "hardtanh": named("hardtanh", "min_val", "max_val"),
    "leaky_relu": named("leaky_relu", "negative_slope"),
    "prelu": one(lambda t, a: F.prelu(t["x"], t["weight"])),
    "elu": named("elu", "alpha"),
    "sigmoid": one(lambda t, a: t["x"].sigmoid()),
    "tanh": one(lambda t, a: t["x"].tanh()),
    "gelu": one(lambda t, a: F.gelu(t["x"], approximate=("none", "tanh")[a.get("approximate", 0)])),
    "silu": named("silu"),
    "hardswish": named("hardswish"),
    "hardsigmoid": named("hardsigmoid"),
    "softplus": named("softplus", "beta", "threshold"),
    "conv_transpose2d": one(conv_transpose2d),
    "adaptive_avg_pool2d": adaptive(F.adaptive_avg_pool2d),
    "adaptive_max_pool2d": adaptive(F.adaptive_max_pool2d),
    "layer_norm": one(lambda t, a: F.layer_norm(t["x"], tuple(a["shape"]), t.get("weight"), t.get("bias"), a.get("eps", 1e-5))),
    "group_norm": one(lambda t, a: F.group_norm(t["x"], a["groups"], t.get("weight"), t.get("bias"), a.get("eps", 1e-5))),
    "instance_norm": one(lambda t, a: F.instance_norm(t["x"], None, None, t.get("weight"), t.get("bias"), eps=a.get("eps", 1e-5))),
    "batch_norm_flat": batch_norm,
    "dropout2d": one(dropout2d),
    "interpolate": one(interpolate),
})
make_layers.EXACT_ALL.update({"relu6", "hardtanh", "leaky_relu", "dropout2d"})
make_layers.EXACT_FORWARD.update({"prelu", "adaptive_max_pool2d"})


def activations(g):
    special = torch.tensor([-INF, -1e30, -21.0, -6.0, -3.0, -1.0, -0.5, -1e-4, -0.0, 0.0, 1e-4, 0.5, 1.0, 3.0, 6.0, 21.0, 1e30, INF, NAN])
    finite = special[1:-2]
    for op in ("relu6", "hardtanh", "leaky_relu", "elu", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "softplus"):
        g.add(op, {"x": R(2, 3, 5, 4) * 3})
        g.add(op, {"x": special if op not in ("silu", "softplus") else finite}, note="kinks, NaN and infinity")
        g.add(op, {"x": R(0, 3)}, note="no elements")
    g.add("hardtanh", {"x": R(37) * 2}, min_val=-0.3, max_val=0.1)
    g.add("hardtanh", {"x": R(5)}, min_val=1, max_val=1)
    for op in ("relu6", "hardtanh"):
        for dtype in (torch.int64, torch.int32, torch.uint8):
            g.add(op, {"x": torch.tensor([0, 1, 7, 200]).to(dtype)}, dtypes=("as_is",), note=str(dtype))
    g.add("hardtanh", {"x": torch.tensor([-9, -2, 0, 5])}, min_val=-3, max_val=2, dtypes=("as_is",))
    for op in ("sigmoid", "tanh"):
        for x in (torch.tensor([-3, 0, 2]), torch.tensor([True, False])):
            g.add(op, {"x": x}, dtypes=("as_is",), note=str(x.dtype))
    for slope in (0.2, 0, -0.5):
        g.add("leaky_relu", {"x": R(3, 7)}, negative_slope=slope)
    for alpha in (0.5, 0, -1.5):
        g.add("elu", {"x": R(3, 7)}, alpha=alpha)
    for approximate in (0, 1):
        g.add("gelu", {"x": R(2, 3, 5, 4) * 2}, approximate=approximate)
        g.add("gelu", {"x": finite[1:-1]}, approximate=approximate)
    for beta, threshold in ((2, 10), (0.5, 1), (-1, 20), (1, 0)):
        g.add("softplus", {"x": R(3, 7) * 4}, beta=beta, threshold=threshold)
    g.add("prelu", {"x": R(2, 3, 4, 5), "weight": torch.tensor([0.25])})
    g.add("prelu", {"x": R(2, 3, 4, 5), "weight": R(3)})
    g.add("prelu", {"x": R(4, 6), "weight": R(6)})
    g.add("prelu", {"x": R(5), "weight": torch.tensor(0.1)})
    g.add("prelu", {"x": R(()), "weight": R(1)})
    g.add("prelu", {"x": special, "weight": torch.tensor([0.5])}, note="kinks, NaN and infinity")


def images(g):
    for n, c, h, w, o, k, s, p, more, d, groups, bias in (
            (2, 3, 4, 5, 4, (3, 3), (1, 1), (0, 0), (0, 0), (1, 1), 1, True), (1, 4, 5, 4, 3, (2, 2), (2, 2), (0, 0), (0, 0), (1, 1), 1, True),
            (2, 4, 4, 3, 6, (3, 5), (2, 3), (1, 2), (1, 2), (1, 1), 2, True), (1, 2, 5, 5, 3, (4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1, False),
            (2, 3, 3, 4, 3, (3, 3), (2, 1), (1, 0), (1, 0), (1, 2), 3, True), (1, 2, 4, 4, 2, (3, 3), (1, 1), (0, 1), (1, 0), (2, 1), 1, True),
            (1, 2, 4, 4, 2, (2, 3), (1, 1), (0, 0), (2, 2), (3, 3), 1, True), (2, 16, 6, 6, 17, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1, True),
            (0, 2, 4, 4, 3, (3, 3), (2, 2), (1, 1), (0, 0), (1, 1), 1, True), (1, 1, 1, 1, 1, (1, 1), (1, 1), (0, 0), (0, 0), (1, 1), 1, True),
            (1, 2, 3, 3, 2, (2, 2), (5, 4), (0, 0), (4, 1), (1, 1), 1, True)):
        inputs = {"x": R(n, c, h, w), "weight": R(c, o // groups, *k)}
        if bias:
            inputs["bias"] = R(o)
        g.add("conv_transpose2d", inputs, stride=s, padding=p, output_padding=more, dilation=d, groups=groups,
              terms=max(c * k[0] * k[1], n * h * w * 4), note="batch of 0" if n == 0 else None)
    g.add("conv_transpose2d", {"x": R(3, 4, 4), "weight": R(3, 2, 3, 3), "bias": R(2)}, stride=(2, 2), note="without a batch dimension")
    for op in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        for shape, output in (((2, 3, 7, 7), (1, 1)), ((2, 5, 8, 6), (4, 3)), ((1, 17, 7, 5), (3, 2)), ((2, 3, 4, 5), (7, 9)),
                              ((2, 3, 4, 5), (-1, 2)), ((2, 3, 4, 5), (-1, -1)), ((3, 6, 5), (2, 3)), ((0, 3, 4, 4), (2, 2)),
                              ((1, 70, 9, 9), (5, 1))):
            g.add(op, {"x": R(*shape)}, output=output, note="batch of 0" if shape[0] == 0 else None)
    x = (R(1, 2, 6, 6) * 1.5).round()
    x[0, 0, 1, 2] = x[0, 0, 3, 3] = NAN
    x[0, 1, 4:, 4:] = -INF
    g.add("adaptive_max_pool2d", {"x": x}, output=(2, 2), note="ties, NaN and infinity")
    for mode in (0, 1, 2):
        for align in ((0, 1) if mode == 2 else (0,)):
            for size in ((8, 6), (3, 5), (7, 13), (1, 1), (4, 3)):
                g.add("interpolate", {"x": R(2, 3, 4, 3)}, size=size, mode=mode, align_corners=align)
            for factor in ((2, 2), (1.5, 2.7), (0.5, 0.7), (3, 1), (1.1, 2.1), (3.7, 5.3)):  # 1.1 * 5 is 5, 2.1 * 7 is 14
                g.add("interpolate", {"x": R(1, 2, 5, 7)}, factor=factor, mode=mode, align_corners=align)
            g.add("interpolate", {"x": R(1, 1, 5, 7)}, factor=(1.3, 1.9), mode=mode, align_corners=align, recompute=1)
            g.add("interpolate", {"x": R(0, 2, 3, 3)}, size=(5, 5), mode=mode, align_corners=align, note="batch of 0")
    g.add("interpolate", {"x": torch.arange(12, dtype=torch.uint8).view(1, 1, 3, 4)}, factor=(2, 1.5), mode=0, dtypes=("as_is",))
    for p, seed, training, shape in ((0.5, 3, 1, (4, 5, 3, 2)), (0.2, 4, 1, (2, 19, 2, 2)), (1, 5, 1, (2, 3, 2, 2)), (0, 6, 1, (2, 3, 2, 2)),
                                     (0.5, 7, 0, (2, 3, 2, 2)), (0.3, 8, 1, (6, 4)), (0.3, 9, 1, (3, 7, 4)), (0.5, 10, 1, (0, 3, 2, 2))):
        g.add("dropout2d", {"x": R(*shape)}, p=p, seed=seed, training=training)


def norms(g):
    x = lambda *s: R(*s) * 2 + 1
    g.add("layer_norm", {"x": x(4, 7), "weight": R(7), "bias": R(7)}, shape=[7])
    g.add("layer_norm", {"x": x(2, 3, 4), "weight": R(3, 4), "bias": R(3, 4)}, shape=[3, 4], eps=1e-3)
    g.add("layer_norm", {"x": x(2, 3, 4, 5)}, shape=[5])
    g.add("layer_norm", {"x": x(2, 3, 4, 5), "weight": R(3, 4, 5)}, shape=[3, 4, 5])
    g.add("layer_norm", {"x": x(5), "weight": R(5), "bias": R(5)}, shape=[5], eps=0)
    g.add("layer_norm", {"x": x(0, 3), "weight": R(3), "bias": R(3)}, shape=[3], note="batch of 0")
    for groups in (1, 2, 3, 6):
        g.add("group_norm", {"x": x(2, 6, 3, 4), "weight": R(6), "bias": R(6)}, groups=groups)
    g.add("group_norm", {"x": x(3, 4)}, groups=2)
    g.add("group_norm", {"x": x(2, 4, 5), "bias": R(4)}, groups=2, eps=0.1)
    g.add("group_norm", {"x": x(0, 4, 2, 2), "weight": R(4), "bias": R(4)}, groups=2, note="batch of 0")
    g.add("instance_norm", {"x": x(2, 3, 4, 5), "weight": R(3), "bias": R(3)})
    g.add("instance_norm", {"x": x(2, 3, 6)}, eps=1e-2)
    stats = lambda c: {"running_mean": R(c), "running_var": torch.rand(c) + 0.5}
    for shape in ((6, 3), (4, 3, 5), (3, 4, 2, 3, 2)):
        c = shape[1]
        g.add("batch_norm_flat", {"x": x(*shape), "weight": R(c), "bias": R(c), **stats(c)}, training=1)
        g.add("batch_norm_flat", {"x": x(*shape), **stats(c)}, training=0)
    g.add("batch_norm_flat", {"x": x(5, 2), "weight": R(2), "bias": R(2)}, training=1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(21)
    golden = Golden()
    for part in (activations, images, norms):
        part(golden)
    golden.write("functions")
    print(len(golden.cases), "cases,", len(golden.tensors), "tensors")
