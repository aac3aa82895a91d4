"""Makes layers.json and layers.safetensors: what PyTorch gives for every op of the library.

    python make_layers.py            # needs torch and safetensors; writes beside this file

A case is an op of OPS, its arguments and its inputs. Inputs are stored once, floating ones in float32. A case runs in
float32 and in float64 (on the same numbers, widened), except where `dtypes` is "as_is". Tensors in the file:

    CASE.INPUT                an input (also a buffer that the op changes: its value before)
    CASE.gOUTPUT              the incoming gradient of an output, float32
    CASE.f32.OUTPUT           an output, or a buffer after the call (also f64, as_is)
    CASE.f32.grad_INPUT       the gradient of an input

`exact` names the float32 results that must agree bit for bit; `terms` is the length of the longest sum in a result.
"""
import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
NAN, INF = float("nan"), float("inf")
REDUCTION = {0: "none", 1: "mean", 2: "sum"}
DTYPE = {0: torch.float32, 1: torch.float64, 2: torch.int64, 3: torch.int32, 4: torch.uint8, 5: torch.bool}


# ---- What each op means in PyTorch: inputs by name, arguments by name, a dict of outputs ------------------------------

def one(function):
    return lambda t, a: {"y": function(t, a)}


def conv2d(t, a):
    padding = "same" if a.get("same") else tuple(a.get("padding", (0, 0)))
    return F.conv2d(t["x"], t["weight"], t.get("bias"), tuple(a.get("stride", (1, 1))), padding,
                    tuple(a.get("dilation", (1, 1))), a.get("groups", 1))


def max_pool2d(t, a):
    return F.max_pool2d(t["x"], tuple(a["kernel"]), tuple(a.get("stride", a["kernel"])),
                        tuple(a.get("padding", (0, 0))), tuple(a.get("dilation", (1, 1))), bool(a.get("ceil_mode", 0)))


def avg_pool2d(t, a):
    return F.avg_pool2d(t["x"], tuple(a["kernel"]), tuple(a.get("stride", a["kernel"])),
                        tuple(a.get("padding", (0, 0))), bool(a.get("ceil_mode", 0)),
                        bool(a.get("count_include_pad", 1)), a.get("divisor_override"))


def batch_norm(t, a):
    """momentum None is a cumulative mean, which the module computes; so the case goes through the module."""
    norm = torch.nn.BatchNorm2d(t["x"].shape[1], eps=a.get("eps", 1e-5),
                                momentum=a["momentum"] if "momentum" in a else 0.1, affine=False,
                                track_running_stats="running_mean" in t, dtype=t["x"].dtype)
    norm.train(bool(a["training"]))
    if "running_mean" in t:
        norm.running_mean.copy_(t["running_mean"])
        norm.running_var.copy_(t["running_var"])
        norm.num_batches_tracked.copy_(t.get("num_batches_tracked", torch.tensor(0)))
    if "weight" in t:
        norm.register_parameter("weight", torch.nn.Parameter(t["weight"]))
        norm.register_parameter("bias", torch.nn.Parameter(t["bias"]))
        y = torch.func.functional_call(norm, {"weight": t["weight"], "bias": t["bias"]}, (t["x"],))
    else:
        y = norm(t["x"])
    after = ("running_mean", "running_var") if "running_mean" in t else ()
    after += ("num_batches_tracked",) if "num_batches_tracked" in t else ()
    return {"y": y, **{k: getattr(norm, k).clone() for k in after}}


def dropout(t, a):
    torch.manual_seed(a["seed"])
    return F.dropout(t["x"], a["p"], bool(a.get("training", 1)))


def cross_entropy(t, a):
    return F.cross_entropy(t["x"], t["target"], t.get("weight"), ignore_index=a.get("ignore_index", -100),
                           reduction=REDUCTION[a.get("reduction", 1)], label_smoothing=a.get("label_smoothing", 0.0))


def nll_loss(t, a):
    return F.nll_loss(t["x"], t["target"], t.get("weight"), ignore_index=a.get("ignore_index", -100),
                      reduction=REDUCTION[a.get("reduction", 1)])


def max_dim(t, a):
    values, indices = t["x"].max(a["dim"])
    return {"y": values, "indices": indices}


def slice_(t, a):
    at = [slice(None)] * t["x"].dim()
    at[a["dim"]] = slice(a["start"], a["end"], a.get("step", 1))
    return t["x"][tuple(at)]


def reduce_(name):
    def function(t, a):
        if "dims" not in a:
            return getattr(t["x"], name)()
        return getattr(t["x"], name)(tuple(a["dims"]), keepdim=bool(a.get("keepdim", 0)))
    return function


OPS = {
    "add": one(lambda t, a: t["a"] + t["b"]),
    "sub": one(lambda t, a: t["a"] - t["b"]),
    "mul": one(lambda t, a: t["a"] * t["b"]),
    "div": one(lambda t, a: t["a"] / t["b"]),
    "eq": one(lambda t, a: t["a"] == t["b"]),
    "add_number": one(lambda t, a: t["x"] + a["number"]),
    "sub_number": one(lambda t, a: t["x"] - a["number"]),
    "mul_number": one(lambda t, a: t["x"] * a["number"]),
    "div_number": one(lambda t, a: t["x"] / a["number"]),
    "eq_number": one(lambda t, a: t["x"] == a["number"]),
    "rdiv": one(lambda t, a: a["number"] / t["x"]),
    "pow": one(lambda t, a: t["x"] ** a["number"]),
    "neg": one(lambda t, a: -t["x"]),
    "exp": one(lambda t, a: t["x"].exp()),
    "log": one(lambda t, a: t["x"].log()),
    "sqrt": one(lambda t, a: t["x"].sqrt()),
    "relu": one(lambda t, a: F.relu(t["x"])),
    "view": one(lambda t, a: t["x"].view(a["shape"])),
    "reshape": one(lambda t, a: t["x"].reshape(a["shape"])),
    "transposed_reshape": one(lambda t, a: t["x"].transpose(0, 1).reshape(a["shape"])),
    "flatten": one(lambda t, a: t["x"].flatten(a["dim0"], a["dim1"])),
    "permute": one(lambda t, a: t["x"].permute(a["dims"])),
    "transpose": one(lambda t, a: t["x"].transpose(a["dim0"], a["dim1"])),
    "squeeze": one(lambda t, a: t["x"].squeeze(a["dim"])),
    "unsqueeze": one(lambda t, a: t["x"].unsqueeze(a["dim"])),
    "expand": one(lambda t, a: t["x"].expand(a["shape"])),
    "select": one(lambda t, a: t["x"].select(a["dim"], a["index"])),
    "slice": one(slice_),
    "slice_of_permute": one(lambda t, a: t["x"].permute(2, 0, 1)[1:3].transpose(1, 2)[:, 1:]),
    "two_selects": one(lambda t, a: t["x"].select(0, 0) * 2 + t["x"].select(0, 1)),
    "contiguous": one(lambda t, a: t["x"].transpose(0, 1).contiguous()),
    "clone": one(lambda t, a: t["x"].clone()),
    "to_dtype": one(lambda t, a: t["x"].to(DTYPE[a["dtype"]])),
    "sum": one(reduce_("sum")),
    "mean": one(reduce_("mean")),
    "argmax": one(lambda t, a: t["x"].argmax(a["dim"], keepdim=bool(a.get("keepdim", 0)))),
    "max": max_dim,
    "matmul": one(lambda t, a: t["a"] @ t["b"]),
    "linear": one(lambda t, a: F.linear(t["x"], t["weight"], t.get("bias"))),
    "conv2d": one(conv2d),
    "max_pool2d": one(max_pool2d),
    "avg_pool2d": one(avg_pool2d),
    "batch_norm": batch_norm,
    "dropout": one(dropout),
    "softmax": one(lambda t, a: t["x"].softmax(a["dim"])),
    "log_softmax": one(lambda t, a: t["x"].log_softmax(a["dim"])),
    "cross_entropy": one(cross_entropy),
    "nll_loss": one(nll_loss),
}

# Float32 results that are exact: moved elements, single IEEE operations, forward batch norm, max-pool, dropout.
EXACT_ALL = {"add_number", "sub_number", "mul_number", "div_number", "neg", "relu", "view", "reshape", "flatten",
             "transposed_reshape", "permute", "transpose", "squeeze", "unsqueeze", "select", "slice",
             "slice_of_permute", "contiguous", "clone", "to_dtype", "max", "dropout"}
EXACT_FORWARD = {"add", "sub", "mul", "div", "eq", "eq_number", "rdiv", "expand", "two_selects", "argmax", "max_pool2d",
                 "batch_norm"}
NO_GRADIENT = {"running_mean", "running_var", "num_batches_tracked", "target"}
LOSSES = {"cross_entropy", "nll_loss"}


class Golden:
    def __init__(self):
        self.cases, self.tensors = [], {}

    def add(self, op, inputs, note=None, dtypes=("f32", "f64"), terms=None, exact=None, **args):
        number = sum(c["op"] == op for c in self.cases)
        name = f"{op}_{number}"
        case = {"name": name, "op": op}
        if note:
            case["note"] = note
        if args:
            case["args"] = args
        case["inputs"] = list(inputs)
        for k, v in inputs.items():
            self.tensors[f"{name}.{k}"] = v
        skip = NO_GRADIENT | ({"weight"} if op in LOSSES else set())
        incoming = {}
        for dtype in dtypes:
            leaves = {}
            for k, v in inputs.items():
                v = v.double() if dtype == "f64" and v.is_floating_point() else v.clone()
                leaves[k] = v.requires_grad_(v.is_floating_point() and k not in skip)
            out = OPS[op](leaves, args)
            case["outputs"] = list(out)
            case["contiguous"] = int(out["y"].is_contiguous())
            for k, v in out.items():
                self.tensors[f"{name}.{dtype}.{k}"] = v.detach().contiguous().clone()
            if out["y"].requires_grad:
                if "y" not in incoming:
                    incoming["y"] = torch.randn(out["y"].shape)
                    self.tensors[f"{name}.gy"] = incoming["y"]
                out["y"].backward(incoming["y"].to(out["y"].dtype))
                case["grads"] = [k for k, v in leaves.items() if v.grad is not None]
                for k in case["grads"]:
                    self.tensors[f"{name}.{dtype}.grad_{k}"] = leaves[k].grad.contiguous().clone()
        case["dtypes"] = list(dtypes)
        if exact is None:
            exact = case["outputs"] if op in EXACT_FORWARD | EXACT_ALL else []
            exact = exact + [f"grad_{k}" for k in case.get("grads", [])] if op in EXACT_ALL else exact
        if exact:
            case["exact"] = exact
        if terms:
            case["terms"] = terms
        self.cases.append(case)

    def write(self, stem):
        text = ",\n".join("  " + json.dumps(c, separators=(",", ":")) for c in self.cases)
        head = json.dumps({"torch": torch.__version__.split("+")[0]})[1:-1]
        (HERE / f"{stem}.json").write_text("{" + head + ', "cases": [\n' + text + "\n]}\n")
        path = HERE / f"{stem}.safetensors"
        save_file({k: v.contiguous().clone() for k, v in self.tensors.items()}, path)
        path.chmod(0o644)


def R(*shape):
    return torch.randn(*shape)


def elementwise(g):
    pairs = [((2, 3), (3,)), ((2, 1, 4), (3, 1)), ((1,), (2, 2)), ((), (3,)), ((0, 3), (1, 3)), ((2, 3, 5), (2, 3, 5)),
             ((2, 3, 2, 2), (3, 1, 1))]
    for op in ("add", "sub", "mul", "div"):
        for a, b in pairs:
            g.add(op, {"a": R(a), "b": R(b) + (3 if op == "div" else 0)})
    special = torch.tensor([1.0, NAN, -0.0, INF, -INF, 2.0])
    other = torch.tensor([1.0, NAN, 0.0, 2.0, -INF, 3.0])
    for op in ("add", "mul", "div", "eq"):
        g.add(op, {"a": special, "b": other}, note="NaN and infinity")
    g.add("eq", {"a": torch.tensor([[1, 2, 3]]), "b": torch.tensor([[1], [3]])}, dtypes=("as_is",), note="int64, broadcast")
    g.add("eq_number", {"x": torch.tensor([1.0, 2.0, NAN, 2.0])}, number=2)
    promoted = [("int64 and float32", "add", torch.arange(6).view(2, 3), R(3)),
                ("float32 and float64", "add", R(3), R(3).double()),
                ("float32 and float64", "mul", R(2, 3).double(), R(3)),
                ("int64 divided by int64", "div", torch.tensor([7, -7, 1, 0]), torch.tensor([2, 2, 3, 5])),
                ("uint8 wraps", "add", torch.tensor([250, 3], dtype=torch.uint8), torch.tensor([10, 4], dtype=torch.uint8)),
                ("int32 and int64", "mul", torch.tensor([2, -3], dtype=torch.int32), torch.tensor([5, 1 << 40])),
                ("bool and float32", "mul", torch.tensor([True, False, True]), R(3)),
                ("0-dim float64 with float32", "add", R(3), torch.tensor(0.1, dtype=torch.float64)),
                ("int64 with a 0-dim float32", "mul", torch.tensor([1, 2, 3]), torch.tensor(0.5))]
    for note, op, a, b in promoted:
        g.add(op, {"a": a, "b": b}, note=note, dtypes=("as_is",))
    for op in ("add_number", "sub_number", "mul_number", "div_number"):
        g.add(op, {"x": R(3, 4)}, number=1.7)
    g.add("div_number", {"x": torch.arange(0, 256, 5, dtype=torch.uint8)}, number=255, dtypes=("as_is",), note="uint8")
    g.add("add_number", {"x": torch.tensor([1, 2, -3])}, number=2, dtypes=("as_is",), note="int64")
    g.add("mul_number", {"x": torch.tensor([1, 2, -3])}, number=0.5, dtypes=("as_is",), note="int64 times a fraction")
    g.add("rdiv", {"x": R(3, 4) + 4}, number=1)
    for number in (2, 3, 0.5, -1, 1.3):
        g.add("pow", {"x": R(3, 4).abs() + 0.2}, number=number)
    g.add("pow", {"x": R(7)}, number=2, note="negative base")
    for op in ("neg", "exp"):
        g.add(op, {"x": R(3, 5)})
    for op in ("log", "sqrt"):
        g.add(op, {"x": R(3, 5).abs() + 0.1})
    g.add("log", {"x": torch.tensor([0.0, -1.0, INF, NAN])}, note="outside its domain")
    g.add("sqrt", {"x": torch.tensor([0.0, -1.0, INF, NAN])}, note="outside its domain")
    g.add("exp", {"x": torch.tensor([0.0, 1000.0, -1000.0, INF, -INF, NAN])}, note="overflow")
    g.add("relu", {"x": R(2, 3, 5, 4)})
    g.add("relu", {"x": torch.tensor([-2.0, 0.0, -0.0, 0.5, INF, -INF, NAN])}, note="NaN stays")
    g.add("relu", {"x": R(0, 3)}, note="no elements")
    for dtype, values in ((2, [-2.7, -0.5, 0.5, 2.7]), (4, [0.0, 1.9, 255.0]), (5, [0.0, -0.0, 0.5, NAN])):
        g.add("to_dtype", {"x": torch.tensor(values)}, dtype=dtype, dtypes=("as_is",))
    g.add("to_dtype", {"x": R(3, 2)}, dtype=1, dtypes=("as_is",), note="widened, with its gradient")
    g.add("to_dtype", {"x": R(3, 2).double()}, dtype=0, dtypes=("as_is",), note="rounded, with its gradient")
    g.add("to_dtype", {"x": torch.tensor([1, -7, 1 << 25, (1 << 25) + 1])}, dtype=0, dtypes=("as_is",), note="int64 rounded")


def views(g):
    x = R(3, 4, 5)
    g.add("view", {"x": x}, shape=[12, -1])
    g.add("reshape", {"x": x}, shape=[5, 2, 6])
    g.add("reshape", {"x": R(())}, shape=[1, 1])
    g.add("transposed_reshape", {"x": x}, shape=[-1])
    g.add("flatten", {"x": R(2, 3, 2, 2)}, dim0=1, dim1=-1)
    g.add("flatten", {"x": R(2, 3, 2, 2)}, dim0=1, dim1=2)
    g.add("flatten", {"x": R(())}, dim0=0, dim1=-1, note="a single number")
    g.add("permute", {"x": x}, dims=[2, 0, 1])
    g.add("permute", {"x": R(2, 3, 4, 5)}, dims=[0, -2, 3, 1])
    g.add("transpose", {"x": x}, dim0=0, dim1=-1)
    g.add("transpose", {"x": x}, dim0=1, dim1=1)
    g.add("squeeze", {"x": R(3, 1, 2)}, dim=1)
    g.add("squeeze", {"x": R(3, 1, 2)}, dim=0, note="a size that is not 1 stays")
    g.add("unsqueeze", {"x": x}, dim=-1)
    g.add("unsqueeze", {"x": R(2)}, dim=0)
    g.add("expand", {"x": R(3, 1, 5)}, shape=[3, 6, -1])
    g.add("expand", {"x": R(4)}, shape=[2, 3, -1])
    g.add("expand", {"x": R(1)}, shape=[0, 1])
    g.add("select", {"x": x}, dim=0, index=1)
    g.add("select", {"x": x}, dim=1, index=-1)
    g.add("select", {"x": R(3)}, dim=0, index=2)
    for dim, start, end, step in ((0, 1, 3, 1), (1, -3, 100, 1), (2, 0, 5, 2), (2, 1, 5, 3), (0, 2, 1, 1), (1, -100, -1, 1)):
        g.add("slice", {"x": x}, dim=dim, start=start, end=end, step=step)
    g.add("slice_of_permute", {"x": x})
    g.add("two_selects", {"x": x})
    g.add("contiguous", {"x": x})
    g.add("clone", {"x": x})


def reductions(g):
    x = R(3, 4, 5)
    for op in ("sum", "mean"):
        g.add(op, {"x": x})
        for dims, keepdim in (([0], 0), ([1, 2], 0), ([1], 1), ([-1], 0), ([0, 2], 1), ([0, 1, 2], 1)):
            g.add(op, {"x": x}, dims=dims, keepdim=keepdim)
        g.add(op, {"x": torch.tensor([[1.0, NAN, 2.0], [INF, 1.0, 1.0], [INF, -INF, 0.0]])}, dims=[1], note="NaN and infinity")
        g.add(op, {"x": R(())}, note="a single number")
    g.add("sum", {"x": R(0, 3)}, dims=[0], note="nothing to add")
    g.add("mean", {"x": R(0)}, note="nothing to average")
    g.add("sum", {"x": R(1500)}, terms=1500)
    g.add("mean", {"x": R(20, 75)}, terms=1500)
    g.add("sum", {"x": torch.tensor([True, False, True])}, dtypes=("as_is",), note="bool")
    g.add("sum", {"x": torch.tensor([1, 2, 1 << 30, 1 << 30], dtype=torch.int32)}, dtypes=("as_is",), note="int32")
    g.add("sum", {"x": torch.tensor([[200, 100], [1, 2]], dtype=torch.uint8)}, dims=[0], dtypes=("as_is",), note="uint8")
    ties = torch.tensor([[1.0, 3.0, 3.0, 0.0], [NAN, 2.0, NAN, 5.0], [-INF] * 4, [INF, 1.0, INF, -INF], [-0.0, 0.0, -0.0, 0.0]])
    for op in ("argmax", "max"):
        for dim in (0, 1, 2):
            g.add(op, {"x": x}, dim=dim)
        g.add(op, {"x": ties}, dim=1, note="ties, NaN and infinity")
        g.add(op, {"x": ties}, dim=0, note="ties, NaN and infinity")
        g.add(op, {"x": torch.tensor([[3, 1, 3], [0, 0, 0]])}, dim=-1, dtypes=("as_is",), note="int64")
    g.add("argmax", {"x": x}, dim=1, keepdim=1)
    g.add("argmax", {"x": R(())}, dim=0, note="a single number")


def matrices(g):
    shapes = [((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
              ((3, 4), (2, 4, 5)), ((4,), (2, 4, 5)), ((2, 3, 4), (4,)), ((2, 1, 3, 4), (3, 4, 2)), ((2, 3, 3, 4), (2, 3, 4, 2)),
              ((1, 1), (1, 1)), ((0, 3), (3, 2)), ((3, 0), (0, 2)), ((2, 4, 3), (1, 3, 2)), ((17, 33), (33, 19))]
    for a, b in shapes:
        g.add("matmul", {"a": R(a), "b": R(b)})
    g.add("matmul", {"a": torch.tensor([[1.0, NAN], [0.0, 1.0]]), "b": torch.tensor([[INF, 1.0], [2.0, 0.0]])}, note="NaN and infinity")
    for n, i, o in ((1, 1, 1), (3, 5, 2), (33, 17, 10), (2, 200, 3), (0, 4, 3)):
        g.add("linear", {"x": R(n, i), "weight": R(o, i), "bias": R(o)}, terms=max(i, n) if max(i, n) > 100 else None)
    g.add("linear", {"x": R(4, 17), "weight": R(9, 17)}, note="no bias")
    g.add("linear", {"x": R(2, 3, 4), "weight": R(5, 4), "bias": R(5)})
    g.add("linear", {"x": R(4), "weight": R(5, 4), "bias": R(5)})


def images(g):
    for n, c, h, w, o, k, s, p, d, groups, bias in (
            (2, 3, 8, 8, 4, (3, 3), (1, 1), (1, 1), (1, 1), 1, True), (1, 1, 5, 5, 1, (5, 5), (1, 1), (0, 0), (1, 1), 1, True),
            (3, 2, 7, 9, 5, (1, 1), (1, 1), (0, 0), (1, 1), 1, True), (2, 4, 9, 7, 6, (3, 2), (2, 1), (1, 0), (1, 1), 2, True),
            (1, 4, 11, 11, 4, (3, 3), (2, 2), (1, 1), (1, 1), 4, False), (2, 3, 10, 8, 2, (3, 3), (1, 1), (2, 2), (2, 2), 1, True),
            (1, 2, 6, 13, 3, (2, 5), (1, 3), (1, 2), (1, 1), 1, True), (5, 1, 1, 1, 2, (1, 1), (1, 1), (0, 0), (1, 1), 1, True),
            (1, 3, 3, 3, 17, (3, 3), (1, 1), (0, 0), (1, 1), 1, True), (2, 8, 4, 4, 8, (3, 3), (3, 3), (2, 2), (1, 1), 1, True),
            (1, 6, 5, 5, 12, (3, 3), (1, 1), (1, 1), (1, 1), 3, True), (1, 1, 20, 20, 4, (7, 7), (2, 2), (3, 3), (1, 1), 1, True),
            (2, 16, 6, 6, 18, (3, 3), (1, 1), (1, 1), (1, 1), 1, True), (2, 2, 9, 8, 6, (3, 3), (2, 2), (2, 2), (2, 2), 2, True),
            (2, 1, 6, 6, 8, (3, 3), (1, 1), (1, 1), (1, 1), 1, False), (0, 3, 5, 5, 4, (3, 3), (1, 1), (1, 1), (1, 1), 1, True),
            (1, 2, 4, 4, 2, (2, 2), (5, 5), (3, 3), (1, 1), 1, True)):
        inputs = {"x": R(n, c, h, w), "weight": R(o, c // groups, *k)}
        if bias:
            inputs["bias"] = R(o)
        terms = max(c // groups * k[0] * k[1], n * h * w)
        g.add("conv2d", inputs, stride=s, padding=p, dilation=d, groups=groups, terms=terms if terms > 100 else None,
              note="batch of 0" if n == 0 else None)
    for k, d in (((3, 3), (1, 1)), ((4, 2), (1, 1)), ((3, 2), (2, 3))):
        g.add("conv2d", {"x": R(1, 2, 6, 7), "weight": R(3, 2, *k), "bias": R(3)}, same=1, dilation=d)
    g.add("conv2d", {"x": R(2, 5, 5), "weight": R(3, 2, 3, 3), "bias": R(3)}, note="without a batch dimension")
    bad = R(2, 1, 5, 5)
    bad[0, 0, 2, 2], bad[1, 0, 0, 0] = NAN, INF
    g.add("conv2d", {"x": bad, "weight": R(2, 1, 3, 3), "bias": R(2)}, padding=(1, 1), note="NaN and infinity")
    for h, w, k, s, p, d, ceil in (
            (8, 8, (2, 2), (2, 2), (0, 0), (1, 1), 0), (7, 9, (3, 3), (2, 2), (1, 1), (1, 1), 0), (7, 9, (3, 3), (2, 2), (1, 1), (1, 1), 1),
            (5, 5, (2, 3), (1, 2), (1, 0), (1, 1), 1), (9, 9, (2, 2), (2, 2), (0, 0), (2, 2), 0), (6, 6, (3, 3), (3, 3), (1, 1), (1, 1), 1),
            (4, 4, (4, 4), (4, 4), (0, 0), (1, 1), 0), (1, 1, (1, 1), (1, 1), (0, 0), (1, 1), 0), (6, 7, (1, 1), (2, 2), (0, 0), (1, 1), 1),
            (5, 5, (2, 2), (2, 2), (1, 1), (1, 1), 1), (7, 5, (2, 2), (4, 3), (0, 0), (1, 1), 0)):
        x = R(2, 3, h, w)
        g.add("max_pool2d", {"x": (x * 1.5).round() if (h, w) == (7, 9) else x}, kernel=k, stride=s, padding=p, dilation=d, ceil_mode=ceil)
    x = R(1, 1, 6, 6)
    x[0, 0, 1, 2] = x[0, 0, 3, 3] = x[0, 0, 2, 3] = NAN
    x[0, 0, 4:, 4:] = -INF
    x[0, 0, 5, 0] = INF
    g.add("max_pool2d", {"x": x}, kernel=(2, 2), note="NaN and infinity")
    g.add("max_pool2d", {"x": x}, kernel=(3, 3), stride=(2, 2), padding=(1, 1), note="NaN and infinity")
    g.add("max_pool2d", {"x": R(3, 4, 4)}, kernel=(2, 2), note="without a batch dimension")
    g.add("max_pool2d", {"x": R(0, 3, 4, 4)}, kernel=(2, 2), note="batch of 0")
    for h, w, k, s, p, ceil, include, divisor in (
            (8, 8, (2, 2), (2, 2), (0, 0), 0, 1, None), (7, 9, (3, 3), (2, 2), (1, 1), 0, 1, None), (7, 9, (3, 3), (2, 2), (1, 1), 1, 1, None),
            (7, 9, (3, 3), (2, 2), (1, 1), 1, 0, None), (5, 5, (2, 3), (1, 2), (1, 1), 1, 0, 7), (6, 6, (4, 4), (3, 3), (2, 2), 1, 1, None),
            (6, 7, (1, 1), (2, 2), (0, 0), 1, 1, None), (5, 6, (2, 2), (1, 1), (0, 0), 0, 1, -3)):
        args = {"divisor_override": divisor} if divisor is not None else {}
        g.add("avg_pool2d", {"x": R(2, 2, h, w)}, kernel=k, stride=s, padding=p, ceil_mode=ceil, count_include_pad=include, **args)
    g.add("avg_pool2d", {"x": R(3, 4, 4)}, kernel=(2, 2), note="without a batch dimension")
    g.add("avg_pool2d", {"x": R(0, 3, 4, 4)}, kernel=(2, 2), note="batch of 0")
    g.add("avg_pool2d", {"x": x}, kernel=(2, 2), note="NaN and infinity")


def normalization(g):
    def buffers(c, tracked=True):
        b = {"running_mean": R(c), "running_var": torch.rand(c) + 0.5}
        return {**b, "num_batches_tracked": torch.tensor(4)} if tracked else b

    affine = lambda c: {"weight": R(c), "bias": R(c)}
    x = lambda *s: R(*s) * 2 + 1
    g.add("batch_norm", {"x": x(4, 3, 5, 5), **affine(3), **buffers(3)}, training=1)
    g.add("batch_norm", {"x": x(2, 4, 1, 1), **affine(4), **buffers(4)}, training=1)
    g.add("batch_norm", {"x": x(3, 2, 7, 3), **affine(2), **buffers(2)}, training=1, momentum=0.3, eps=1e-3)
    g.add("batch_norm", {"x": x(4, 3, 2, 2), **affine(3), **buffers(3)}, training=1, momentum=None, note="cumulative mean")
    g.add("batch_norm", {"x": x(3, 2, 4, 4), **buffers(2)}, training=1, note="no weight and bias")
    g.add("batch_norm", {"x": x(4, 3, 2, 3), **affine(3)}, training=1, note="no running values")
    g.add("batch_norm", {"x": x(3, 17, 5, 4), **affine(17), **buffers(17)}, training=1)
    g.add("batch_norm", {"x": x(4, 3, 5, 5), **affine(3), **buffers(3)}, training=0)
    g.add("batch_norm", {"x": x(1, 2, 3, 3), **buffers(2, False)}, training=0, note="no weight and bias")
    g.add("batch_norm", {"x": x(0, 2, 3, 3), **affine(2), **buffers(2)}, training=0, note="batch of 0")
    for p, seed, training in ((0.5, 3, 1), (0.2, 4, 1), (0.0, 5, 1), (1.0, 6, 1), (0.5, 7, 0)):
        g.add("dropout", {"x": R(2, 3, 5, 3)}, p=p, seed=seed, training=training)
    g.add("dropout", {"x": R(37)}, p=0.25, seed=1 << 33)


def classification(g):
    for op in ("softmax", "log_softmax"):
        g.add(op, {"x": R(3, 10) * 5}, dim=1)
        g.add(op, {"x": R(2, 3, 4)}, dim=0)
        g.add(op, {"x": R(2, 3, 4)}, dim=-2)
        g.add(op, {"x": R(0, 3)}, dim=1, note="batch of 0")
        g.add(op, {"x": torch.tensor([[1000.0, 0.0, -1000.0], [3e38, 3e38, 0.0], [-INF, 0.0, 1.0]])}, dim=1, note="large")
        g.add(op, {"x": torch.tensor([[NAN, 0.0], [INF, 0.0], [-INF, -INF]])}, dim=1, note="NaN and infinity")
    classes = torch.tensor([0, 4, -100, 2, 2, -100, 1])
    for reduction in (0, 1, 2):
        for smoothing in (0.0, 0.1):
            for weighted in (False, True):
                weight = {"weight": torch.rand(5) + 0.2} if weighted else {}
                g.add("cross_entropy", {"x": R(7, 5) * 2, "target": classes, **weight}, reduction=reduction, label_smoothing=smoothing)
    g.add("cross_entropy", {"x": R(5, 4), "target": torch.tensor([3, 0, 1, 3, 2])}, ignore_index=3)
    for reduction in (0, 1, 2):
        g.add("cross_entropy", {"x": R(2, 4), "target": torch.tensor([-100, -100])}, reduction=reduction, note="all ignored")
        g.add("cross_entropy", {"x": R(0, 3), "target": torch.empty(0, dtype=torch.int64)}, reduction=reduction, note="batch of 0")
    g.add("cross_entropy", {"x": R(4), "target": torch.tensor(2)}, note="without a batch dimension")
    spatial = torch.randint(0, 4, (2, 3, 2))
    spatial[0, 1, 1] = spatial[1, 0, 0] = -100
    for reduction in (0, 1, 2):
        g.add("cross_entropy", {"x": R(2, 4, 3, 2), "target": spatial, "weight": torch.rand(4) + 0.2}, reduction=reduction, label_smoothing=0.2)
        g.add("cross_entropy", {"x": R(3, 4), "target": R(3, 4).softmax(1), "weight": torch.rand(4) + 0.5}, reduction=reduction)
        g.add("cross_entropy", {"x": R(2, 4, 2, 3), "target": R(2, 4, 2, 3).softmax(1)}, reduction=reduction, label_smoothing=0.1)
        g.add("nll_loss", {"x": R(7, 5).log_softmax(1), "target": classes, "weight": torch.rand(5) + 0.2}, reduction=reduction)
        g.add("nll_loss", {"x": R(2, 4, 3, 2), "target": spatial}, reduction=reduction)
    g.add("cross_entropy", {"x": torch.tensor([[NAN, 1.0], [0.0, 1.0]]), "target": torch.tensor([0, 1])}, reduction=0, note="NaN")
    g.add("cross_entropy", {"x": R(64, 10), "target": torch.randint(0, 10, (64,))}, terms=64)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(20)
    golden = Golden()
    for part in (elementwise, views, reductions, matrices, images, normalization, classification):
        part(golden)
    golden.write("layers")
    print(len(golden.cases), "cases,", len(golden.tensors), "tensors")
