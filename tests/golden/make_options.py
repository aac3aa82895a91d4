"""Makes options.json and options.safetensors, in the form of layers.json (make_layers.py): options of ops that the other
files have plainly, as results of another type, places of maxima, running statistics of instance_norm, antialias.

    python make_options.py           # needs torch and safetensors; writes beside this file
"""
import warnings

import torch
import torch.nn.functional as F

import make_layers
from make_layers import DTYPE, INF, NAN, Golden, R, one

MODE = ("nearest", "nearest-exact", "bilinear", "linear")


def typed(name):
    def reduce(t, a):
        dtype = DTYPE[int(a["dtype"])]
        x = t["x"] if dtype.is_floating_point else t["x"].detach()  # PyTorch has no history for whole results
        if "dims" not in a:
            return getattr(x, name)(dtype=dtype)
        dims = a["dims"][0] if name == "prod" else tuple(a["dims"])
        return getattr(x, name)(dims, keepdim=bool(a.get("keepdim", 0)), dtype=dtype)
    return one(reduce)


def cumsum(t, a):
    dtype = DTYPE[int(a["dtype"])]
    return (t["x"] if dtype.is_floating_point else t["x"].detach()).cumsum(int(a["dim"]), dtype=dtype)


def pair(function):
    def both(t, a):
        y, indices = function(t, a)
        return {"y": y, "indices": indices}
    return both


def two(a, name, otherwise):
    return tuple(int(n) for n in a[name]) if name in a else otherwise


def unsorted(t, a):
    """The same elements in the order that this library gives them."""
    return t["x"].topk(a["k"], a.get("dim", -1), sorted=False)[0].sort(a.get("dim", -1), descending=True)[0]


def max_pool(t, a):
    kernel = two(a, "kernel", None)
    return F.max_pool2d(t["x"], kernel, two(a, "stride", kernel), two(a, "padding", (0, 0)), two(a, "dilation", (1, 1)),
                        bool(a.get("ceil_mode", 0)), return_indices=True)


def instance_norm(t, a):
    buffers = [t[k].detach().clone() for k in ("running_mean", "running_var")]
    y = F.instance_norm(t["x"], *buffers, t.get("weight"), t.get("bias"), bool(a.get("use_input_stats", 1)),
                        a.get("momentum", 0.1), a.get("eps", 1e-5))
    return {"y": y, "running_mean": buffers[0], "running_var": buffers[1]}


def antialias(t, a):
    x = t["x"].detach() if "plain" in a else t["x"]
    return F.interpolate(x, two(a, "size", None), tuple(a["factor"]) if "factor" in a else None, "bilinear",
                         bool(a.get("align_corners", 0)), antialias=True)


def line(t, a):
    mode = MODE[int(a["mode"])]
    return F.interpolate(t["x"], int(a["size"]) if "size" in a else None, float(a["factor"]) if "factor" in a else None,
                         mode, bool(a.get("align_corners", 0)) if mode == "linear" else None)


make_layers.OPS.update({
    "sum_as": typed("sum"), "mean_as": typed("mean"), "prod_as": typed("prod"),
    "cumsum_as": one(cumsum),
    "where_mask": one(lambda t, a: torch.where(t["condition"], t["a"], t["b"])),
    "huber_mixed": one(lambda t, a: F.huber_loss(t["x"].detach(), t["y"].detach(),
                                                 reduction=make_layers.REDUCTION[a.get("reduction", 1)])),
    "sort_stable": pair(lambda t, a: t["x"].sort(stable=True, dim=a.get("dim", -1))),
    "argsort_stable": one(lambda t, a: t["x"].argsort(stable=True, dim=a.get("dim", -1))),
    "topk_unsorted": one(unsorted),
    "max_pool2d_places": pair(max_pool),
    "adaptive_max_places": pair(lambda t, a: F.adaptive_max_pool2d(t["x"], two(a, "output", None), return_indices=True)),
    "instance_norm_stats": instance_norm,
    "interpolate_antialias": one(antialias),
    "interpolate_line": one(line),
})
make_layers.EXACT_ALL |= {"where_mask", "sort_stable"}
make_layers.EXACT_FORWARD |= {"argsort_stable", "topk_unsorted", "max_pool2d_places", "adaptive_max_places"}


def types(g):
    inputs = {"float32": torch.tensor([[1.7, -2.2, 3.0], [0.0, 0.4, 250.9]]), "int64": torch.tensor([[100, -1, 3], [7, 1 << 33, 1]]),
              "int32": torch.tensor([[1 << 30, 1 << 30, 2], [3, 1 << 30, 5]], dtype=torch.int32),
              "uint8": torch.tensor([[200, 100, 3], [1, 2, 255]], dtype=torch.uint8),
              "bool": torch.tensor([[True, False, True], [False, False, False]])}
    for op in ("sum_as", "prod_as", "mean_as", "cumsum_as"):
        for name, x in inputs.items():
            for dtype in ((0, 1) if op == "mean_as" else (0, 1, 2, 3, 4) if op == "cumsum_as" else (0, 1, 2, 3, 4, 5)):
                if name == "float32" and dtype == 4:
                    x = x.abs()  # a negative float as uint8 is not defined
                for option in ([dict(dim=0), dict(dim=-1)] if op == "cumsum_as" else [{}, dict(dims=[1]), dict(dims=[0], keepdim=1)]):
                    g.add(op, {"x": x}, dtype=dtype, dtypes=("as_is",), note=name, **option)
        if op != "prod_as":
            g.add(op, {"x": torch.rand(2000) + 1e6}, dtype=1, dtypes=("as_is",), terms=2000, note="summed wider",
                  **(dict(dim=0) if op == "cumsum_as" else {}))


def others(g):
    for condition in (torch.tensor([1, 0, 2, 0], dtype=torch.uint8), torch.tensor([[1], [0]], dtype=torch.uint8)):
        g.add("where_mask", {"condition": condition, "a": R(4), "b": R(4)})
    for reduction in (0, 1, 2):
        for x, y in ((R(5), R(5).double()), (R(5).double(), R(5)), (R(2, 3), R(3).double())):
            g.add("huber_mixed", {"x": 2 * x, "y": 2 * y}, reduction=reduction, dtypes=("as_is",), note="float32 and float64")
    ties = torch.tensor([[1.0, 3.0, 3.0, 0.0], [NAN, 2.0, NAN, 5.0], [-INF] * 4, [-0.0, 0.0, -0.0, 0.0]])
    for dim in (0, 1):
        g.add("sort_stable", {"x": ties}, dim=dim)
        g.add("argsort_stable", {"x": ties}, dim=dim)
        g.add("topk_unsorted", {"x": R(4, 5)}, dim=dim, k=3)


def images(g):
    ties = torch.randint(0, 3, (2, 2, 6, 5)).float()
    ties[0, 0, 1, 2] = ties[0, 0, 2, 2] = NAN
    ties[1, 1] = -INF
    for option in (dict(kernel=(2, 2)), dict(kernel=(3, 2), stride=(1, 2), padding=(1, 1)), dict(kernel=(3, 3), stride=(2, 2), ceil_mode=1),
                   dict(kernel=(2, 2), stride=(1, 1), dilation=(2, 3)), dict(kernel=(2, 3), padding=(1, 1), dilation=(3, 1), stride=(2, 1))):
        g.add("max_pool2d_places", {"x": ties}, note="ties, NaN and infinity", **option)
        g.add("max_pool2d_places", {"x": R(1, 3, 7, 8)}, **option)
    g.add("max_pool2d_places", {"x": R(3, 5, 4)}, kernel=(2, 2), note="one image")
    g.add("max_pool2d_places", {"x": R(0, 2, 4, 4)}, kernel=(2, 2), note="batch of 0")
    for output in ((1, 1), (3, 2), (4, 7)):
        g.add("adaptive_max_places", {"x": ties}, output=output, note="ties, NaN and infinity")
        g.add("adaptive_max_places", {"x": R(3, 5, 4)}, output=output, note="one image")
    stats = lambda c: {"running_mean": R(c), "running_var": torch.rand(c) + 0.5}
    for shape in ((2, 3, 4, 5), (3, 2, 6), (1, 4, 2, 2, 3)):
        c = shape[1]
        for use in (1, 0):
            g.add("instance_norm_stats", {"x": 2 * R(*shape) + 1, **stats(c), "weight": R(c), "bias": R(c)}, use_input_stats=use)
            g.add("instance_norm_stats", {"x": 2 * R(*shape) + 1, **stats(c)}, use_input_stats=use, momentum=0.4, eps=1e-2)
    g.add("instance_norm_stats", {"x": R(2, 3, 4), **stats(3)}, momentum=0, note="nothing taken in")
    g.add("instance_norm_stats", {"x": R(2, 3, 1), **stats(3)}, use_input_stats=0, note="one value")
    for align in (0, 1):
        for size in ((3, 2), (1, 2), (12, 9), (4, 20), (7, 9)):
            g.add("interpolate_antialias", {"x": R(2, 2, 7, 9)}, size=size, align_corners=align, terms=200)
        for factor in ((0.5, 0.5), (0.3, 1.7), (2, 2)):
            g.add("interpolate_antialias", {"x": R(1, 2, 7, 9)}, factor=factor, align_corners=align, terms=200)
    g.add("interpolate_antialias", {"x": R(0, 2, 7, 9)}, size=(3, 3), note="batch of 0")
    for factor in ((1.1, 1.1), (1.1, 2)):  # a size that stays is copied; PyTorch's gradient is another one's
        g.add("interpolate_antialias", {"x": R(1, 2, 7, 9)}, factor=factor, plain=1)
    for mode, align in ((0, 0), (1, 0), (3, 0), (3, 1)):
        for option in (dict(size=3), dict(size=11), dict(size=1), dict(factor=2), dict(factor=0.6), dict(factor=1.7)):
            g.add("interpolate_line", {"x": R(2, 3, 5)}, mode=mode, align_corners=align, **option)
    g.add("interpolate_line", {"x": torch.arange(6, dtype=torch.uint8).view(1, 2, 3)}, mode=0, factor=2, dtypes=("as_is",))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(22)
    golden = Golden()
    for part in (types, others, images):
        part(golden)
    golden.write("options")
    print(len(golden.cases), "cases,", len(golden.tensors), "tensors")
