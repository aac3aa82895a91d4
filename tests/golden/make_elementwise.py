"""Makes elementwise.json and elementwise.safetensors, in the form of layers.json (make_layers.py): elementwise ops,
comparisons, logic, choices, any and all, arithmetic in place, draws, creation, and the types that are for storage.

    python make_elementwise.py       # needs torch and safetensors; writes beside this file
"""
import torch

from make_layers import EXACT_ALL, EXACT_FORWARD, INF, NAN, OPS, DTYPE, Golden, R, one

DTYPE.update({6: torch.bfloat16, 7: torch.float16})
UNARY = ("exp", "log", "log1p", "sqrt", "rsqrt", "erf", "abs", "sign", "round", "floor", "ceil")
TESTS = ("logical_not", "isnan", "isinf", "isfinite")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
LOGIC = ("logical_and", "logical_or", "logical_xor")


def method(name, *inputs):
    return one(lambda t, a: getattr(t[inputs[0]], name)(*(t[k] for k in inputs[1:])))


def with_number(name):
    return one(lambda t, a: getattr(t["x"], name)(a["number"]))


def to_dtype(t, a):
    """Of the storage types nothing has a gradient here."""
    y = t["x"].to(DTYPE[a["dtype"]])
    return y.detach() if {y.dtype, t["x"].dtype} & {DTYPE[6], DTYPE[7]} else y


def in_place(t, a):
    x, number = t["x"] * 1, a.get("number")
    calls = [lambda: x.sub_(t["b"]), lambda: x.div_(t["b"]), lambda: x.sub_(number), lambda: x.div_(number),
             lambda: x.clamp_(-number, number), lambda: x.masked_fill_(t["mask"], number)]
    return calls[a["which"]]()


def draw(t, a):
    torch.manual_seed(a["seed"])
    torch.rand(1)
    x = t["x"].detach()
    first, second = a.get("a", 0), a.get("b", 0)
    calls = [lambda: x.uniform_(first, second), lambda: x.normal_(first, second), lambda: x.bernoulli_(first),
             lambda: torch.bernoulli(1 - x), lambda: torch.rand_like(x), lambda: torch.randn_like(x)]
    return {"y": calls[a["which"]](), "after": torch.rand(2)}


def truth(name):
    def function(t, a):
        if "dims" not in a:
            return getattr(t["x"], name)()
        return getattr(t["x"], name)(tuple(a["dims"]), keepdim=bool(a.get("keepdim", 0)))
    return function


OPS.update({name: method(name, "x") for name in UNARY + TESTS})
OPS.update({name: method(name, "a", "b") for name in COMPARISONS + LOGIC + ("maximum", "minimum", "floor_divide",
                                                                              "remainder")})
OPS.update({f"{name}_number": with_number(name) for name in COMPARISONS + ("floor_divide", "remainder")})
OPS.update({
    "floor_divide": one(lambda t, a: t["a"].detach() // t["b"].detach()),
    "floor_divide_number": one(lambda t, a: t["x"].detach() // a["number"]),
    "to_dtype": one(to_dtype),
    "pow_tensor": method("pow", "a", "b"),
    "rpow": one(lambda t, a: a["number"] ** t["x"]),
    "rsub": one(lambda t, a: a["number"] - t["x"]),
    "clamp": one(lambda t, a: t["x"].clamp(a.get("min"), a.get("max"))),
    "where": one(lambda t, a: torch.where(t["mask"], t["a"], t["b"])),
    "where_number": one(lambda t, a: torch.where(t["mask"], t["x"], a["number"])),
    "number_where": one(lambda t, a: torch.where(t["mask"], a["number"], t["x"])),
    "masked_fill": one(lambda t, a: t["x"].masked_fill(t["mask"], a["number"])),
    "in_place": one(in_place),
    "arange": one(lambda t, a: torch.arange(a["start"], a["end"], a["step"], dtype=DTYPE[a["dtype"]])),
    "linspace": one(lambda t, a: torch.linspace(a["start"], a["end"], a["steps"], dtype=DTYPE[a["dtype"]])),
    "eye": one(lambda t, a: torch.eye(a["rows"], a["columns"], dtype=DTYPE[a["dtype"]])),
    "full_like": one(lambda t, a: torch.full_like(t["x"], a["number"], dtype=DTYPE[a["dtype"]])),
    "draw": draw,
    "any": one(truth("any")),
    "all": one(truth("all")),
})
EXACT_ALL.update({"abs", "sign", "round", "floor", "ceil", "rsub", "clamp", "in_place"})
EXACT_FORWARD.update(set(TESTS + COMPARISONS + LOGIC) | {f"{name}_number" for name in COMPARISONS})
EXACT_FORWARD.update({"maximum", "minimum", "where", "where_number", "number_where", "masked_fill", "any", "all",
                      "floor_divide", "floor_divide_number", "remainder", "remainder_number"})

SPECIAL = torch.tensor([1.0, NAN, -0.0, 0.0, INF, -INF, 2.0, -2.0, 0.5, -0.5, 2.5])
OTHER = torch.tensor([1.0, NAN, 0.0, NAN, 2.0, -INF, 3.0, -3.0, -0.5, -0.5, INF])
INTEGERS = {torch.int64: [7, -7, 7, -7, 0, 1, -1, (1 << 62) + 1], torch.int32: [7, -7, 7, -7, 0, 1, -1, 1 << 30],
            torch.uint8: [7, 8, 9, 255, 0, 1, 2, 128]}
DIVISORS = {torch.int64: [2, 2, -2, -2, 5, -1, -1, 3], torch.int32: [2, 2, -2, -2, 5, -1, -1, 3],
            torch.uint8: [2, 3, 4, 7, 5, 1, 3, 255]}
PAIRS = [((2, 3), (3,)), ((2, 1, 4), (3, 1)), ((), (3,)), ((0, 3), (1, 3)), ((2, 3, 5), (2, 3, 5)), ((3, 1, 1), (2, 3, 2, 2))]


def of_one(g):
    for op in UNARY:
        x = R(3, 5) if op not in ("log", "log1p", "sqrt", "rsqrt") else R(3, 5).abs() + 0.1
        g.add(op, {"x": x * (3 if op in ("round", "floor", "ceil") else 1)})
        g.add(op, {"x": SPECIAL}, note="NaN, infinity, zeros")
        g.add(op, {"x": R(0, 2)}, note="no elements")
        if op != "sign":
            kinds = [torch.tensor([3, -4, 0]), torch.tensor([3, 4, 0], dtype=torch.uint8)]
        else:
            kinds = [torch.tensor([3, -4, 0], dtype=torch.int32), torch.tensor([True, False])]
        for x in kinds:
            g.add(op, {"x": x}, dtypes=("as_is",), note=str(x.dtype))
    g.add("log1p", {"x": torch.tensor([1e-10, -1e-10, 1e-5, -1.0, -2.0])}, note="small, and outside its domain")
    g.add("round", {"x": torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999997, 8388609.0, 1e30])}, note="half to even")
    g.add("abs", {"x": torch.tensor([-1 << 63, -5])}, dtypes=("as_is",), note="the least int64 has no positive")
    for op in TESTS:
        g.add(op, {"x": SPECIAL})
        for x in (torch.tensor([1, 0, -1]), torch.tensor([1, 0], dtype=torch.uint8), torch.tensor([True, False])):
            g.add(op, {"x": x}, dtypes=("as_is",), note=str(x.dtype))


def of_two(g):
    for op in ("maximum", "minimum"):
        for a, b in PAIRS:
            g.add(op, {"a": R(a), "b": R(b)})
        g.add(op, {"a": SPECIAL, "b": OTHER}, note="equal ones share the gradient; NaN gives it to both")
        g.add(op, {"a": torch.tensor([1, 5, -3]), "b": torch.tensor([2.0, 2.0, -3.0])}, dtypes=("as_is",), note="promoted")
        g.add(op, {"a": torch.tensor([True, False]), "b": torch.tensor([False, False])}, dtypes=("as_is",), note="bool")
        g.add(op, {"a": torch.tensor([1, 1 << 62]), "b": torch.tensor([2, -1 << 62])}, dtypes=("as_is",), note="int64")
    for op in COMPARISONS + LOGIC:
        g.add(op, {"a": R(2, 1, 4).round(), "b": R(3, 1).round()})
        g.add(op, {"a": SPECIAL, "b": OTHER}, note="NaN and infinity")
        g.add(op, {"a": torch.tensor([1, 5, (1 << 53) + 1]), "b": torch.tensor([2, 5, 1 << 53])}, dtypes=("as_is",), note="int64")
        g.add(op, {"a": torch.tensor([0, 1, 255], dtype=torch.uint8), "b": torch.tensor([0.0, 1.5, 254.0])}, dtypes=("as_is",),
              note="uint8 and float32")
        g.add(op, {"a": torch.tensor([True, False, True]), "b": torch.tensor([True, True, False])}, dtypes=("as_is",), note="bool")
    for op in COMPARISONS:
        for number in (1, 0.5, -0.0):
            g.add(f"{op}_number", {"x": SPECIAL}, number=number)
        g.add(f"{op}_number", {"x": torch.tensor([1, 2, 16777217])}, number=1.5, dtypes=("as_is",), note="int64 and a fraction")
        g.add(f"{op}_number", {"x": torch.tensor([1, 2, 3], dtype=torch.int32)}, number=2, dtypes=("as_is",), note="int32")
        g.add(f"{op}_number", {"x": torch.tensor([True, False])}, number=1, dtypes=("as_is",), note="bool")
    for op in ("floor_divide", "remainder"):
        g.add(op, {"a": R(2, 1, 4) * 5, "b": R(3, 1)})
        g.add(op, {"a": torch.tensor([7.0, -7, 7, -7, 5.5, -0.0, 1, 1, 0, 1, -1]), "b": torch.tensor([2.0, 2, -2, -2, 0.5, 3, INF, -INF, -2, 0, 0])},
              note="signs, zeros, infinity")
        for dtype in INTEGERS:
            g.add(op, {"a": torch.tensor(INTEGERS[dtype], dtype=dtype), "b": torch.tensor(DIVISORS[dtype], dtype=dtype)}, dtypes=("as_is",),
                  note=str(dtype))
        g.add(op, {"a": torch.tensor([-1 << 63]), "b": torch.tensor([-1])}, dtypes=("as_is",), note="the least int64 by -1")
        g.add(op, {"a": torch.tensor([7, -7]), "b": torch.tensor([2.0, 2.5])}, dtypes=("as_is",), note="promoted")
        for number in (2, -2, 0.7):
            g.add(f"{op}_number", {"x": R(3, 4) * 4}, number=number)
        g.add(f"{op}_number", {"x": torch.tensor([7, -7, 8])}, number=3, dtypes=("as_is",), note="int64")
        g.add(f"{op}_number", {"x": torch.tensor([7, -7, 8])}, number=2.5, dtypes=("as_is",), note="int64 by a fraction")
    for a, b in PAIRS:
        g.add("pow_tensor", {"a": R(a).abs() + 0.2, "b": R(b)})
    g.add("pow_tensor", {"a": torch.tensor([0.0, 0, 0, -1, 2, -2, NAN, 1]), "b": torch.tensor([0.0, 2, -1, 2, 0, 3, 0, NAN])}, note="zeros and signs")
    g.add("pow_tensor", {"a": torch.tensor([2, -3, 1, -1, -1, 5]), "b": torch.tensor([10, 3, -5, -3, -4, -1])}, dtypes=("as_is",), note="int64")
    g.add("pow_tensor", {"a": torch.tensor([3, 2], dtype=torch.uint8), "b": torch.tensor([6, 7], dtype=torch.uint8)}, dtypes=("as_is",), note="uint8 wraps")
    g.add("pow_tensor", {"a": torch.tensor([3, 2]), "b": torch.tensor([0.5, 2.0])}, dtypes=("as_is",), note="promoted")
    for number in (2, 0.5, 1, 0):
        g.add("rpow", {"x": torch.tensor([0.0, 1, 2.5, -1, -0.5])}, number=number)
    g.add("rpow", {"x": torch.tensor([0, 3, -1])}, number=2, dtypes=("as_is",), note="int64")
    g.add("rpow", {"x": torch.tensor([0, 3])}, number=2.5, dtypes=("as_is",), note="a fraction to int64")
    for number in (2, 0.3):
        g.add("rsub", {"x": R(3, 4)}, number=number)
        g.add("rsub", {"x": torch.tensor([5, -1])}, number=number, dtypes=("as_is",), note="int64")


def choices(g):
    for bounds in ({"min": 0, "max": 1}, {"min": -0.5}, {"max": 0.5}, {"min": 2, "max": 1}, {"min": 0}, {"max": 0}, {"min": 0, "max": 0}):
        g.add("clamp", {"x": SPECIAL}, **bounds)
        g.add("clamp", {"x": R(3, 4)}, **bounds)
    for bounds in ({"min": 2, "max": 5}, {"min": 2.5}, {"min": 0.5, "max": 5}):
        g.add("clamp", {"x": torch.tensor([1, 3, 7])}, dtypes=("as_is",), note="int64", **bounds)
    g.add("clamp", {"x": torch.tensor([1, 3, 200], dtype=torch.uint8)}, dtypes=("as_is",), note="uint8", min=-5, max=100)
    g.add("clamp", {"x": torch.tensor([True, False])}, dtypes=("as_is",), note="bool", min=0, max=1)
    mask = torch.tensor([[True], [False], [True]])
    g.add("where", {"mask": mask, "a": R(3, 4), "b": R(3, 4)})
    g.add("where", {"mask": mask, "a": R(4), "b": R(())})
    g.add("where", {"mask": R(2, 3, 1) > 0, "a": R(1, 4), "b": R(3, 1)})
    g.add("where", {"mask": R(0, 3) > 0, "a": R(1, 3), "b": R(3)}, note="no elements")
    g.add("where", {"mask": R(11) > 0, "a": SPECIAL, "b": OTHER}, note="NaN stays where it was not chosen")
    g.add("where", {"mask": mask, "a": torch.tensor([1, 2]), "b": R(2)}, dtypes=("as_is",), note="promoted")
    g.add("where", {"mask": mask, "a": torch.tensor([1, 2], dtype=torch.uint8), "b": torch.tensor([7], dtype=torch.int32)}, dtypes=("as_is",),
          note="uint8 and int32")
    g.add("where", {"mask": mask, "a": R(2).double(), "b": R(2)}, dtypes=("as_is",), note="float64 and float32")
    for op in ("where_number", "number_where"):
        g.add(op, {"mask": mask, "x": R(3, 2)}, number=0.5)
        g.add(op, {"mask": mask, "x": torch.tensor([1, 2])}, number=0.5, dtypes=("as_is",), note="int64 and a fraction")
    for number in (0, -1.5):
        g.add("masked_fill", {"x": R(3, 4), "mask": mask}, number=number)
        g.add("masked_fill", {"x": R(2), "mask": mask}, number=number, note="the mask is wider")
        g.add("masked_fill", {"x": torch.tensor([1, 2, 3]), "mask": mask}, number=number, dtypes=("as_is",), note="int64: the number is cut")
    g.add("masked_fill", {"x": torch.tensor([True, False, False]), "mask": mask}, number=2, dtypes=("as_is",), note="bool")
    g.add("in_place", {"x": R(2, 3), "b": R(3)}, which=0, exact=["y", "grad_x"])
    g.add("in_place", {"x": R(2, 3), "b": R(2, 3) + 3}, which=1, exact=["y"])
    g.add("in_place", {"x": R(2, 3)}, which=2, number=1.7)
    g.add("in_place", {"x": R(2, 3)}, which=3, number=1.7)
    g.add("in_place", {"x": R(2, 3)}, which=4, number=0.5)
    g.add("in_place", {"x": R(3, 4), "mask": mask}, which=5, number=0.5)
    for op in ("any", "all"):
        x = torch.tensor([[[0.0, 0.0], [1.0, 0.0]], [[NAN, 1.0], [2.0, -1.0]]])
        g.add(op, {"x": x})
        for dims, keepdim in (([0], 0), ([1, 2], 0), ([1], 1), ([-1], 0)):
            g.add(op, {"x": x}, dims=dims, keepdim=keepdim)
        g.add(op, {"x": R(0, 3)}, note="nothing")
        g.add(op, {"x": R(0, 3)}, dims=[0], note="nothing, three times")
        g.add(op, {"x": R(())}, note="a single number")
        for values in (torch.tensor([0, 5]), torch.tensor([0, 5], dtype=torch.int32), torch.tensor([0, 5], dtype=torch.uint8), torch.tensor([True, True])):
            g.add(op, {"x": values}, dtypes=("as_is",), note=str(values.dtype))


def storage(g):
    wide = torch.tensor([1.0, 1.00390625, 1.01171875, 1.0009765625, 1.00048828125, 1.00146484375, 65504.0, 65519.0, 65520.0,
                         -70000.0, 3.3895e38, 3.3961e38, 6e-8, 2.98e-8, 2.99e-8, 6.1e-5, 6.097e-5, 1e-40, 0.0, -0.0, INF, -INF, NAN, 3.7])
    wide = torch.cat([wide, R(200), R(200) * 1e-5, R(200) * 1e-7])
    whole = torch.tensor([0, 1, -3, 257, 2049, 2051, 70000, 1 << 40])
    for dtype in (6, 7):
        g.add("to_dtype", {"x": wide}, dtype=dtype, dtypes=("as_is",), note="rounded half to even")
        g.add("to_dtype", {"x": whole}, dtype=dtype, dtypes=("as_is",), note="int64")
        g.add("to_dtype", {"x": torch.tensor([True, False])}, dtype=dtype, dtypes=("as_is",), note="bool")
        every = torch.arange(-32768, 32768, 7, dtype=torch.int32).to(torch.int16).view(DTYPE[dtype])
        g.add("to_dtype", {"x": every}, dtype=0, dtypes=("as_is",), note="every seventh value there is")
        g.add("to_dtype", {"x": torch.tensor([-2.7, 0.5, 300.0]).to(DTYPE[dtype])}, dtype=2, dtypes=("as_is",), note="cut")
        g.add("to_dtype", {"x": torch.tensor([-2.7, 0.0, 300.0]).to(DTYPE[dtype])}, dtype=5, dtypes=("as_is",), note="bool")
        g.add("to_dtype", {"x": torch.tensor([-2.7, 1e-7, 300.0]).to(DTYPE[dtype])}, dtype=13 - dtype, dtypes=("as_is",),
              note="from the one to the other")


def creation(g):
    for start, end, step, dtype in ((0, 5, 1, 2), (0, 5, 1, 0), (5, -3, -2, 2), (0.5, 3, 0.25, 0), (1, 2, 0.3, 1), (0, 1, 0.1, 0), (3, 3, 1, 2),
                                    (0.5, 4, 1, 2), (0, 3, 0.5, 2), (0, 5, 2, 3), (250, 254, 1, 4), (-2.5, 1, 0.5, 3), (5, 0, -1.5, 1)):
        g.add("arange", {}, dtypes=("as_is",), start=start, end=end, step=step, dtype=dtype)
    for start, end, steps, dtype in ((0, 1, 5, 0), (0, 1, 1, 0), (0, 1, 0, 0), (-1.3, 2.9, 12, 1), (3, -3, 101, 0), (0, 10, 4, 2), (-3, 3, 5, 3), (0, 255, 7, 4),
                                     (2, 2, 3, 0)):
        g.add("linspace", {}, dtypes=("as_is",), start=start, end=end, steps=steps, dtype=dtype)
    for rows, columns, dtype in ((3, 3, 0), (2, 4, 1), (4, 2, 2), (0, 3, 0), (2, 2, 5), (2, 3, 4), (2, 2, 6), (2, 2, 7)):
        g.add("eye", {}, dtypes=("as_is",), rows=rows, columns=columns, dtype=dtype)
    for dtype in range(8):
        g.add("full_like", {"x": torch.zeros(2, 3)}, dtypes=("as_is",), dtype=dtype, number=2.6)
    for shape in ((7,), (3, 5), (4, 4), (33,), (2, 3, 11), (0,), ()):
        for which, a, b in ((0, 0, 1), (0, -1.5, 2.5), (1, 0, 1), (1, 0.5, 3), (2, 0.3, 0), (3, 0, 0), (4, 0, 0), (5, 0, 0)):
            g.add("draw", {"x": torch.full(shape, 0.4)}, which=which, a=a, b=b, seed=len(shape) + which, exact=["y", "after"])
    for dtype in (torch.int64, torch.int32, torch.uint8, torch.bool):
        g.add("draw", {"x": torch.zeros(9, dtype=dtype)}, dtypes=("as_is",), which=2, a=0.6, seed=5)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(21)
    golden = Golden()
    for part in (of_one, of_two, choices, storage, creation):
        part(golden)
    golden.write("elementwise")
    print(len(golden.cases), "cases,", len(golden.tensors), "tensors")
