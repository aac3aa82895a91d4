"""Makes tensor_ops.json and tensor_ops.safetensors: what PyTorch gives for reductions, sorting, joining, indexing, padding.

    python make_tensor_ops.py        # needs torch and safetensors; writes beside this file

The form is that of make_layers.py, whose classes it uses.
"""
import torch
import torch.nn.functional as F

import make_layers
from make_layers import INF, NAN, Golden, R, one

MODE = {0: "constant", 1: "reflect", 2: "replicate", 3: "circular"}


def dims_of(a):
    return {"dim": tuple(a["dims"]) if "dims" in a else None, "keepdim": bool(a.get("keepdim", 0))}


def norm(t, a):
    p = INF * a["infinite"] if "infinite" in a else a.get("p", 2)
    return torch.linalg.vector_norm(t["x"], p, **dims_of(a))


def prod(t, a):
    return t["x"].prod(a["dims"][0], keepdim=bool(a.get("keepdim", 0))) if "dims" in a else t["x"].prod()


def extreme(name):
    return lambda t, a: t["x"].__getattribute__(name)(tuple(a["dims"]) if "dims" in a else (), keepdim=bool(a.get("keepdim", 0)))


def logsumexp(t, a):
    dims = tuple(a["dims"]) if "dims" in a else tuple(range(max(t["x"].dim(), 1)))
    return t["x"].logsumexp(dims, keepdim=bool(a.get("keepdim", 0)))


def pair(function):
    def both(t, a):
        y, indices = function(t, a)
        return {"y": y, "indices": indices}
    return both


def parts(function):
    def ends(t, a):
        all_parts = function(t, a)
        return {"y": all_parts[-1], "first": all_parts[0], "count": torch.tensor(len(all_parts))}
    return ends


def listed(t):
    return list(t.values())


make_layers.OPS.update({
    "var": one(lambda t, a: t["x"].var(**dims_of(a), correction=a.get("correction", 1)) if "dims" in a
               else t["x"].var(correction=a.get("correction", 1))),
    "std": one(lambda t, a: t["x"].std(**dims_of(a), correction=a.get("correction", 1)) if "dims" in a
               else t["x"].std(correction=a.get("correction", 1))),
    "norm": one(norm),
    "prod": one(prod),
    "amax": one(extreme("amax")),
    "amin": one(extreme("amin")),
    "max_all": one(lambda t, a: t["x"].max()),
    "min_all": one(lambda t, a: t["x"].min()),
    "max_dim": pair(lambda t, a: t["x"].max(a["dim"], keepdim=bool(a.get("keepdim", 0)))),
    "min_dim": pair(lambda t, a: t["x"].min(a["dim"], keepdim=bool(a.get("keepdim", 0)))),
    "argmin": one(lambda t, a: t["x"].argmin(a["dim"], keepdim=bool(a.get("keepdim", 0)))),
    "argmax_all": one(lambda t, a: t["x"].argmax(keepdim=bool(a.get("keepdim", 0)))),
    "argmin_all": one(lambda t, a: t["x"].argmin(keepdim=bool(a.get("keepdim", 0)))),
    "logsumexp": one(logsumexp),
    "cumsum": one(lambda t, a: t["x"].cumsum(a["dim"])),
    "topk": pair(lambda t, a: t["x"].topk(a["k"], a.get("dim", -1), bool(a.get("largest", 1)))),
    "sort": pair(lambda t, a: t["x"].sort(stable=True, dim=a.get("dim", -1), descending=bool(a.get("descending", 0)))),
    "argsort": one(lambda t, a: t["x"].argsort(stable=True, dim=a.get("dim", -1), descending=bool(a.get("descending", 0)))),
    "cat": one(lambda t, a: torch.cat(listed(t), a.get("dim", 0))),
    "stack": one(lambda t, a: torch.stack(listed(t), a.get("dim", 0))),
    "chunk": parts(lambda t, a: t["x"].chunk(a["chunks"], a["dim"])),
    "split": parts(lambda t, a: t["x"].split(a["size"], a["dim"])),
    "split_sizes": parts(lambda t, a: t["x"].split(a["sizes"], a["dim"])),
    "unbind": parts(lambda t, a: t["x"].unbind(a["dim"])),
    "narrow": one(lambda t, a: t["x"].narrow(a["dim"], a["start"], a["length"])),
    "squeeze_all": one(lambda t, a: t["x"].squeeze()),
    "movedim": one(lambda t, a: t["x"].movedim(a["source"], a["destination"])),
    "t": one(lambda t, a: t["x"].t()),
    "flip": one(lambda t, a: t["x"].flip(a["dims"])),
    "roll": one(lambda t, a: t["x"].roll(a["shifts"], a.get("dims"))),
    "repeat": one(lambda t, a: t["x"].repeat(a["times"])),
    "gather": one(lambda t, a: t["x"].gather(a["dim"], t["index"])),
    "index_select": one(lambda t, a: t["x"].index_select(a["dim"], t["index"])),
    "take_rows": one(lambda t, a: t["x"][a["rows"]]),
    "one_hot": one(lambda t, a: F.one_hot(t["x"], a.get("num_classes", -1))),
    "pad": one(lambda t, a: F.pad(t["x"], a["pads"], MODE[a.get("mode", 0)], a.get("value"))),
})
make_layers.EXACT_ALL |= {"max_dim", "min_dim", "topk", "sort", "cat", "stack", "chunk", "split", "split_sizes", "unbind",
                          "narrow", "squeeze_all", "movedim", "t", "flip", "roll"}
make_layers.EXACT_FORWARD |= {"amax", "amin", "max_all", "min_all", "argmin", "argmax_all", "argmin_all", "argsort",
                              "repeat", "gather", "index_select", "take_rows", "one_hot", "pad"}
TIES = torch.tensor([[1.0, 3.0, 3.0, 0.0], [NAN, 2.0, NAN, 5.0], [-INF] * 4, [INF, 1.0, INF, -INF], [-0.0, 0.0, -0.0, 0.0]])
WHOLE = torch.tensor([[3, 1, 3], [0, -2, 0]])


def L(*values):
    return torch.tensor(values)


def reductions(g):
    x = R(3, 4, 5)
    sets = (([0], 0), ([1, 2], 0), ([1], 1), ([-1], 0), ([0, 2], 1), ([0, 1, 2], 1))
    for op in ("var", "std"):
        g.add(op, {"x": x})
        for dims, keepdim in sets:
            g.add(op, {"x": x}, dims=dims, keepdim=keepdim)
        for correction in (0, 2, 0.5):
            g.add(op, {"x": x}, dims=[1], correction=correction)
        g.add(op, {"x": x}, correction=0)
        g.add(op, {"x": L(2.0)}, note="one element")
        g.add(op, {"x": R(0)}, note="no elements")
        g.add(op, {"x": L(2.0, 3.0)}, correction=3, note="more correction than elements")
        g.add(op, {"x": L(2.0, 3.0, 2.0)}, dims=[0], correction=4, note="more correction than elements")
        g.add(op, {"x": torch.tensor([[2.0, 2.0], [1.0, NAN], [INF, 1.0]])}, dims=[1], note="equal elements, NaN, infinity")
        g.add(op, {"x": R(1500) + 100}, terms=1500)
    for p in ({}, {"p": 1}, {"p": 0}, {"p": 3}, {"p": 1.5}, {"p": 0.5}, {"p": -1}, {"infinite": 1}, {"infinite": -1}):
        g.add("norm", {"x": x}, **p)
        g.add("norm", {"x": x}, dims=[1], **p)
        g.add("norm", {"x": x}, dims=[0, -1], keepdim=1, **p)
        if p.get("p", 2) != -1:
            g.add("norm", {"x": torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, -1.0], [3.0, -3.0, 3.0]])}, dims=[1], note="zeros and ties", **p)
            g.add("norm", {"x": torch.tensor([[1.0, NAN, 2.0], [INF, 1.0, -2.0]])}, dims=[1], note="NaN and infinity", **p)
    g.add("norm", {"x": R(0)}, note="no elements")
    g.add("norm", {"x": R(0, 2)}, dims=[1], infinite=1, note="no result")
    g.add("norm", {"x": R(())}, p=3, note="a single number")
    g.add("prod", {"x": R(7)})
    for dims, keepdim in (([0], 0), ([1], 1), ([-1], 0)):
        g.add("prod", {"x": x}, dims=dims, keepdim=keepdim)
    zeros = torch.tensor([[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [2.0, NAN, 3.0], [2.0, INF, 0.0], [2.0, -INF, 3.0]])
    g.add("prod", {"x": zeros}, dims=[1], note="zeros, NaN, infinity")
    g.add("prod", {"x": L(2.0, 0.0, 3.0)}, note="a zero")
    g.add("prod", {"x": R(0, 2)}, dims=[0], note="no elements")
    for dtype in (torch.int64, torch.int32, torch.uint8, torch.bool):
        g.add("prod", {"x": L(3, 200, 2, 1).to(dtype)}, dtypes=("as_is",), note=str(dtype)[6:])
        g.add("cumsum", {"x": L(3, 200, 2, 1).to(dtype)}, dim=0, dtypes=("as_is",), note=str(dtype)[6:])
    for op in ("amax", "amin"):
        g.add(op, {"x": x})
        for dims, keepdim in sets:
            g.add(op, {"x": x}, dims=dims, keepdim=keepdim)
        for dims in ([0], [1], [0, 1]):
            g.add(op, {"x": TIES}, dims=dims, note="ties, NaN and infinity")
        g.add(op, {"x": R(())}, note="a single number")
        g.add(op, {"x": R(0, 3)}, dims=[1], note="no result")
    for op in ("max_all", "min_all"):
        for v in (x, R(()), TIES, TIES[[0, 2, 3, 4]], L(2.0, 1.0, 2.0, 1.0), L(1.0, NAN, NAN)):
            g.add(op, {"x": v})
    for op in ("max_dim", "min_dim", "argmin"):
        for dim, keepdim in ((0, 0), (1, 1), (-1, 0)):
            g.add(op, {"x": x}, dim=dim, keepdim=keepdim)
            g.add(op, {"x": TIES}, dim=min(dim, 1), keepdim=keepdim, note="ties, NaN and infinity")
        g.add(op, {"x": WHOLE}, dim=1, dtypes=("as_is",), note="int64")
        g.add(op, {"x": R(())}, dim=0, note="a single number")
    for op in ("argmax_all", "argmin_all"):
        for v in (x, TIES, TIES[[0, 2, 3, 4]], R(())):
            g.add(op, {"x": v})
        g.add(op, {"x": x}, keepdim=1)
    for v in (WHOLE, WHOLE.to(torch.int32), WHOLE.to(torch.uint8)):
        for op in ("amax", "amin", "max_all", "min_all", "argmax_all", "argmin_all"):
            g.add(op, {"x": v}, dtypes=("as_is",), note=str(v.dtype)[6:])
    g.add("amin", {"x": L(True, False)}, dtypes=("as_is",), note="bool")
    g.add("logsumexp", {"x": x})
    for dims, keepdim in sets:
        g.add("logsumexp", {"x": x * 3}, dims=dims, keepdim=keepdim)
    special = torch.tensor([[-INF, -INF], [INF, 1.0], [INF, INF], [NAN, 1.0], [1000.0, 1000.0], [-INF, 2.0]])
    g.add("logsumexp", {"x": special}, dims=[1], note="large, NaN and infinity")
    g.add("logsumexp", {"x": R(0)}, dims=[0], note="no elements")
    g.add("logsumexp", {"x": R(())}, note="a single number")
    g.add("logsumexp", {"x": WHOLE}, dims=[1], dtypes=("as_is",), note="int64")
    for dim in (0, 1, -1):
        g.add("cumsum", {"x": x}, dim=dim)
    g.add("cumsum", {"x": R(())}, dim=0, note="a single number")
    g.add("cumsum", {"x": R(2, 0)}, dim=1, note="no elements")
    g.add("cumsum", {"x": L(1.0, INF, -INF, 2.0)}, dim=0, note="infinity")


def sorting(g):
    x = R(3, 4, 5)
    for dim in (0, 1, -1):
        for descending in (0, 1):
            g.add("sort", {"x": x}, dim=dim, descending=descending)
            g.add("argsort", {"x": x}, dim=dim, descending=descending)
            if dim < 1:
                g.add("sort", {"x": TIES}, dim=dim, descending=descending, note="ties, NaN and infinity")
        for k, largest in ((1, 1), (2, 1), (3, 0)):
            g.add("topk", {"x": x}, k=k, dim=dim, largest=largest)
    for op in ("sort", "argsort"):
        g.add(op, {"x": R(())}, note="a single number")
        g.add(op, {"x": R(2, 0)}, note="no elements")
        g.add(op, {"x": WHOLE}, dtypes=("as_is",), note="int64")
        g.add(op, {"x": WHOLE.to(torch.uint8)}, descending=1, dtypes=("as_is",), note="uint8")
        g.add(op, {"x": L(True, False, True)}, dtypes=("as_is",), note="bool")
    g.add("sort", {"x": (torch.randn(200) * 4).round()}, note="many ties")
    g.add("topk", {"x": R(3)}, k=0)
    g.add("topk", {"x": R(3)}, k=3)
    g.add("topk", {"x": R(100)}, k=10)
    g.add("topk", {"x": R(())}, k=1, note="a single number")
    g.add("topk", {"x": L(3.0, NAN, 1.0, -INF, INF)}, k=3, note="NaN and infinity")
    g.add("topk", {"x": L(3.0, NAN, 1.0, -INF, INF)}, k=4, largest=0, note="NaN and infinity")
    g.add("topk", {"x": L(3, 7, -1)}, k=2, dtypes=("as_is",), note="int64")


def joining(g):
    g.add("cat", {"a": R(2, 3), "b": R(1, 3)})
    g.add("cat", {"a": R(2, 3), "b": R(2, 1), "c": R(2, 2)}, dim=1)
    g.add("cat", {"a": R(2, 3, 2), "b": R(2, 4, 2)}, dim=-2)
    g.add("cat", {"a": R(3), "b": R(0)}, note="a vector of no elements")
    g.add("cat", {"a": R(0), "b": R(2, 3), "c": R(0)}, dim=1, note="vectors of no elements")
    g.add("cat", {"a": R(0), "b": R(0)}, note="nothing")
    g.add("cat", {"a": R(0, 3), "b": R(2, 3)})
    g.add("cat", {"a": R(2, 3)}, note="a list of one")
    g.add("cat", {k: R(i + 1, 2) for i, k in enumerate("abcdefgh")})
    for note, tensors in (("int64 and float32", (L(1, 2), R(3))), ("float32 and float64", (R(2), R(2).double())),
                          ("uint8, bool, int32", (L(1, 2).to(torch.uint8), L(True), L(5).to(torch.int32))),
                          ("an empty float64", (R(0).double(), R(2)))):
        g.add("cat", dict(zip("abc", tensors)), dtypes=("as_is",), note=note)
    for dim in (0, 1, 2, -1):
        g.add("stack", {"a": R(2, 3), "b": R(2, 3), "c": R(2, 3)}, dim=dim)
    g.add("stack", {"a": R(()), "b": R(())}, note="single numbers")
    g.add("stack", {"a": R(0), "b": R(0)}, dim=1, note="no elements")
    g.add("stack", {"a": R(3), "b": L(1, 2, 3)}, dtypes=("as_is",), note="float32 and int64")
    for chunks, dim, x in ((3, 2, R(3, 4, 5)), (4, 0, R(5)), (2, -1, R(2, 4)), (7, 0, R(3)), (3, 0, R(0))):
        g.add("chunk", {"x": x}, chunks=chunks, dim=dim)
    for size, dim, x in ((2, 1, R(3, 4, 5)), (2, 0, R(5)), (9, -1, R(2, 4)), (0, 0, R(0)), (2, 0, R(0, 2))):
        g.add("split", {"x": x}, size=size, dim=dim)
    for sizes, dim in (([1, 3], 1), ([2, 0, 1], 0), ([5], -1)):
        g.add("split_sizes", {"x": R(3, 4, 5)}, sizes=sizes, dim=dim)
    for dim in (0, 1, -1):
        g.add("unbind", {"x": R(3, 4, 5)}, dim=dim)
    g.add("unbind", {"x": R(3)}, dim=0)


def moving(g):
    x = R(3, 4, 5)
    for dim, start, length in ((2, 1, 3), (0, -2, 2), (1, 4, 0), (1, 0, 4)):
        g.add("narrow", {"x": x}, dim=dim, start=start, length=length)
    for v in (R(1, 3, 1, 2), R(1, 1), R(2, 3), R(())):
        g.add("squeeze_all", {"x": v})
    for source, destination in ((0, 2), (2, 0), (-1, 1), (1, 1)):
        g.add("movedim", {"x": x}, source=source, destination=destination)
    for v in (R(2, 3), R(3), R(())):
        g.add("t", {"x": v})
    for dims in ([0, 2], [1], [-1], []):
        g.add("flip", {"x": x}, dims=dims)
    g.add("flip", {"x": R(2, 0)}, dims=[0, 1], note="no elements")
    g.add("flip", {"x": R(())}, dims=[0], note="a single number")
    for shifts, dims in (([1], [2]), ([-7], [1]), ([1, 2], [0, 1]), ([1, 3], [1, 1])):
        g.add("roll", {"x": x}, shifts=shifts, dims=dims)
    g.add("roll", {"x": x}, shifts=[7], note="as one row")
    g.add("roll", {"x": R(0)}, shifts=[1], dims=[0], note="no elements")
    g.add("roll", {"x": R(())}, shifts=[1], note="a single number")
    g.add("roll", {"x": WHOLE}, shifts=[1], dims=[1], dtypes=("as_is",), note="int64")
    for times, v in (([2, 1], R(4, 5)), ([3, 2], R(2)), ([2, 0], R(2, 3)), ([2], R(())), ([1, 1, 1], R(2, 1, 3)), ([2, 2], R(0, 3))):
        g.add("repeat", {"x": v}, times=times)
    g.add("repeat", {"x": L(True, False)}, times=[2, 2], dtypes=("as_is",), note="bool")


def indexing(g):
    x = R(3, 4)
    g.add("gather", {"x": x, "index": torch.tensor([[0, 3, 3], [1, 1, 1], [2, 0, 2]])}, dim=1)
    g.add("gather", {"x": x, "index": torch.tensor([[0, 2, 1], [2, 2, 2]])}, dim=0)
    g.add("gather", {"x": x, "index": torch.tensor([[0, 2, 1, 0]] * 5)}, dim=0, note="more indices than rows")
    g.add("gather", {"x": R(2, 3, 4), "index": torch.randint(0, 3, (2, 5, 4))}, dim=-2)
    g.add("gather", {"x": R(3), "index": L(2, 2, 0).to(torch.int32)}, dim=0, note="int32 indices")
    g.add("gather", {"x": R(()), "index": L(0, 0)}, dim=0, note="a single number")
    g.add("gather", {"x": R(3), "index": torch.tensor(1)}, dim=0, note="a single index")
    g.add("gather", {"x": R(3, 2), "index": torch.zeros(0, 2, dtype=torch.int64)}, dim=0, note="no indices")
    g.add("gather", {"x": WHOLE, "index": torch.tensor([[2], [0]])}, dim=1, dtypes=("as_is",), note="int64")
    for dim in (0, 1, -1):
        g.add("index_select", {"x": R(3, 4, 5), "index": L(2, 0, 2)}, dim=dim)
    g.add("index_select", {"x": R(3), "index": L(1, 1).to(torch.int32)}, dim=0, note="int32 indices")
    g.add("index_select", {"x": R(3), "index": torch.tensor(1)}, dim=0, note="a single index")
    g.add("index_select", {"x": R(()), "index": L(0)}, dim=0, note="a single number")
    g.add("index_select", {"x": R(3, 2), "index": torch.zeros(0, dtype=torch.int64)}, dim=0, note="no indices")
    g.add("index_select", {"x": WHOLE.to(torch.uint8), "index": L(1, 0, 1)}, dim=0, dtypes=("as_is",), note="uint8")
    for rows in ([2, 0, 2], [-1], [0, -3, 1, 1]):
        g.add("take_rows", {"x": x}, rows=rows)
    for v, classes in ((torch.tensor([[0, 4], [2, 2]]), 5), (L(0, 3, 1), -1), (torch.tensor(2), 4), (torch.zeros(0, 2, dtype=torch.int64), 3)):
        g.add("one_hot", {"x": v}, num_classes=classes, dtypes=("as_is",))


def padding(g):
    for pads, v, value in (([1, 2], R(2, 3), None), ([1, 0, 2, 1], R(1, 2, 3), 7.0), ([-1, 2], R(2, 4), None), ([-3, -3], R(1, 6), 1.0),
                           ([-6, 2], R(1, 6), 1.0), ([0, 0, 0, 0, 0, 0, 1, 1], R(1, 2, 2, 3), 0.5), ([], R(2, 3), None),
                           ([1, 1], R(0), 2.0), ([0, 0, -1, 1, 2, -1], R(3, 2, 3), -INF)):
        g.add("pad", {"x": v}, pads=pads, **({} if value is None or value == -INF else {"value": value}))
    for mode in (1, 2, 3):
        for pads, v in (([2, 1, 1, 2], R(1, 2, 4, 5)), ([1, 1, 2, 0], R(2, 4, 5)), ([2, 2], R(2, 5)), ([0, 3], R(2, 2, 5)), ([-1, 2], R(1, 6)),
                        ([1, -2, -1, 1], R(1, 2, 5, 5)), ([1, 1, 0, 1, 1, 0], R(1, 2, 3, 2, 3)), ([1, 1], R(0, 2, 3)), ([4, 4], R(1, 5))):
            g.add("pad", {"x": v}, pads=pads, mode=mode)
    g.add("pad", {"x": R(1, 2)}, pads=[5, 7], mode=2, note="more than there are")
    g.add("pad", {"x": R(1, 3)}, pads=[3, 3], mode=3, note="once round")
    for dtype in (torch.int64, torch.int32, torch.uint8, torch.bool):
        g.add("pad", {"x": L(0, 1, 2).to(dtype)}, pads=[1, 2], value=2.5, dtypes=("as_is",), note=str(dtype)[6:])
    g.add("pad", {"x": WHOLE}, pads=[1, 1], mode=1, dtypes=("as_is",), note="int64")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(21)
    golden = Golden()
    for part in (reductions, sorting, joining, moving, indexing, padding):
        part(golden)
    golden.write("tensor_ops")
    print(len(golden.cases), "cases,", len(golden.tensors), "tensors")
