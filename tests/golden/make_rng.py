"""Makes rng_golden.inc and print_golden.inc: what PyTorch draws from its CPU generator, and how it prints tensors.

    python make_rng.py               # needs torch, on a CPU with AVX2; writes beside this file

rng_golden.inc, for tests/base/test_generator.c: sequences of draws that follow one another from one seed. Values are bit
patterns; of more than LONG values a sequence keeps the hash alone (FNV-1a over the values as 8 bytes, little endian),
as of a generator's saved state. print_golden.inc, for tests/base/test_format.c: tensors and str() of them.
"""
import pathlib
import struct

import torch
from torch.utils.data import DataLoader

HERE = pathlib.Path(__file__).resolve().parent
LONG = 128
NAN, INF = float("nan"), float("inf")


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


# ---- Draws: an op, n, and up to four numbers; each gives a list of 64-bit patterns -----------------------------------

def bits(tensor):
    flat = tensor.detach().reshape(-1).contiguous()
    if flat.dtype == torch.float32:
        return [v & 0xFFFFFFFF for v in flat.view(torch.int32).tolist()]
    if flat.dtype == torch.float64:
        return [v & (2**64 - 1) for v in flat.view(torch.int64).tolist()]
    return [int(v) & (2**64 - 1) for v in flat.tolist()]


def empty(n, dtype=torch.float32):
    return torch.empty(n, dtype=dtype)


F64 = torch.float64
DRAW = {
    "RANDOM_INT64": lambda g, n: empty(n, torch.int64).random_(generator=g),
    "UNIFORM_F32": lambda g, n, lo, hi: empty(n).uniform_(lo, hi, generator=g),
    "UNIFORM_F64": lambda g, n, lo, hi: empty(n, F64).uniform_(lo, hi, generator=g),
    "NORMAL_F32": lambda g, n, mean, std: empty(n).normal_(mean, std, generator=g),
    "NORMAL_F64": lambda g, n, mean, std: empty(n, F64).normal_(mean, std, generator=g),
    "RANDINT": lambda g, n, lo, hi: torch.randint(lo, hi, (n,), generator=g),
    "RANDPERM": lambda g, n: torch.randperm(n, generator=g),
    "BERNOULLI": lambda g, n, p: empty(n, torch.uint8).bernoulli_(p, generator=g),
    "EXPONENTIAL": lambda g, n, rate: empty(n, F64).exponential_(rate, generator=g),
    "TRUNC_NORMAL": lambda g, n, mean, std, a, b: torch.nn.init.trunc_normal_(empty(n), mean, std, a, b, generator=g),
    "STATE": lambda g, n: g.get_state(),
}
AFTER = [("UNIFORM_F32", 3, 0, 1), ("NORMAL_F32", 3, 0, 1), ("RANDPERM", 5)]

MANY = [("RANDOM_INT64", 5), ("UNIFORM_F32", 9, 0, 1), ("UNIFORM_F64", 4, 0, 1), ("NORMAL_F32", 3, 0, 1),
        ("NORMAL_F32", 1, 0, 1),  # takes the normal that the draw before left behind
        ("NORMAL_F32", 5, 0, 1), ("UNIFORM_F32", 2, 0, 1)]
MANY += [("NORMAL_F32", n, 0, 1) for n in (16, 17, 23, 31, 32, 33, 100)]
MANY += [("NORMAL_F32", 1, 0, 1), ("NORMAL_F32", 40, 0.5, 2.5), ("NORMAL_F32", 7, -1.0, 0.1), ("NORMAL_F64", 20, 0, 1)]
MANY += [("RANDINT", 6, lo, hi) for lo, hi in ((0, 10), (-5, 17), (0, 2**28 - 1), (0, 2**28), (0, 2**31), (0, 2**32),
                                               (-(2**40), 2**40))]
MANY += [("RANDPERM", n) for n in (0, 1, 2, 10, 50)]
MANY += [("UNIFORM_F32", 33, -0.3, 0.7), ("UNIFORM_F32", 5, 0, 1e-3), ("BERNOULLI", 40, 0.3), ("BERNOULLI", 12, 0.6),
         ("UNIFORM_F32", 3, 0, 1), ("STATE", 1), ("UNIFORM_F32", 5000, 0, 1), ("NORMAL_F32", 5003, 0, 1),
         ("RANDPERM", 60000)]
OTHER = [("UNIFORM_F64", 700, -2.0, 3.0), ("NORMAL_F64", 15, 0.5, 1.5), ("NORMAL_F64", 333, -1.0, 0.3),
         ("EXPONENTIAL", 20, 1.0), ("EXPONENTIAL", 5, 2.0), ("UNIFORM_F32", 2000, 1.0, 1.0 + 2.0**-20),
         ("BERNOULLI", 1001, 0.5), ("RANDINT", 1300, 0, 10), ("NORMAL_F32", 70000, 0.1, 3.0), ("STATE", 1),
          *[("NORMAL_F32", 15, 0.3, 1.7)] * 4]
TRUNC = [(0, 15, 0, 1, -2, 2), (0, 16, 0, 1, -2, 2), (1, 330, 0, 0.02, -2, 2), (2, 63, 0.5, 2.0, -1.0, 2.0),
         (3, 40, 0, 1, 1.0, 1.5), (4, 40, 0, 1, -0.1, 0.2), (5, 6, 1.0, 3.0, -1.0, 1.0), (6, 400, 0, 1, -1, 1),
         (7, 1500, 0, 1, 0.5, 0.9)]

SEQUENCES = [(seed, MANY) for seed in (0, 1, 42, 123456789, 2**32 + 5, 2**63, 2**64 - 1)]
SEQUENCES += [(9, OTHER), (2**64 - 9, OTHER)]
SEQUENCES += [(seed, [("TRUNC_NORMAL", *args), ("UNIFORM_F32", 2, 0, 1)]) for seed, *args in TRUNC]
# What a saved state gives: nothing drawn; a cached normal; every word used.
SEQUENCES += [(0, [("STATE", 1), *AFTER]), (7, [("UNIFORM_F32", 10, 0, 1), ("STATE", 1), *AFTER]),
              (42, [("NORMAL_F32", 3, 0, 1), ("STATE", 1), *AFTER]),
              (42, [("NORMAL_F32", 3, 0, 1), ("NORMAL_F32", 100, 0, 1), ("UNIFORM_F32", 700, 0, 1), ("STATE", 1),
                    *AFTER]),
              (2**64 - 1, [("UNIFORM_F32", 624, 0, 1), ("STATE", 1), *AFTER]),
              (67280421310721, [("STATE", 1), *AFTER])]


def results(seed, draws):
    g = torch.Generator()
    g.manual_seed(seed if seed < 2**63 else seed - 2**64)
    return [(draw, bits(DRAW[draw[0]](g, *draw[1:]))) for draw in draws]


def shuffled_epochs(n, epochs):
    torch.manual_seed(0)
    loader = DataLoader(range(n), batch_size=3, shuffle=True)
    return [[int(i) for batch in loader for i in batch] for _ in range(epochs)]


def wrapped(items):
    lines, line = [], "     "
    for item in items:
        if len(line) + len(item) + 2 > 118:
            lines.append(line)
            line = "     "
        line += " " + item + ","
    return lines + [line]


def write_rng(path):
    out = ["/* Made by make_rng.py with PyTorch " + torch.__version__.split("+")[0] + ". */"]
    names = []
    for k, (seed, draws) in enumerate(SEQUENCES):
        rows = []
        for i, (draw, values) in enumerate(results(seed, draws)):
            op, n, *numbers = draw
            if op == "STATE":
                values = [fnv(bytes(values))]
            elif len(values) > LONG:
                values = [fnv(struct.pack(f"<{len(values)}Q", *values))]
            name = "NULL"
            if values:
                name = f"values_{k}_{i}"
                out.append(f"static const uint64_t {name}[] = {{")
                out += wrapped(f"0x{v:x}" for v in values)
                out.append("};")
            numbers = ", ".join(repr(float(x)) for x in numbers)
            rows.append(f"    {{DRAW_{op}, {n}, {{{numbers or 0}}}, {name}}},")
        out.append(f"static const golden_draw draws_{k}[] = {{")
        out += rows
        out.append("};")
        names.append(f"    {{0x{seed:x}, {len(draws)}, draws_{k}}},")
    out.append("static const golden_sequence golden_sequences[] = {")
    out += names
    out.append("};")
    epochs = shuffled_epochs(10, 3)
    out.append("/* Orders of a shuffled loader over 10 items, from seed 0 of the default generator. */")
    out.append("static const int64_t golden_epochs[3][10] = {")
    out += ["    {" + ", ".join(map(str, order)) + "}," for order in epochs]
    out.append("};")
    path.write_text("\n".join(out) + "\n")


# ---- Printing: expression, and for long tensors how to fill them again ------------------------------------------------

def p(*values, dtype=torch.float32, **kw):
    return torch.tensor(values[0] if len(values) == 1 else list(values), dtype=dtype, **kw)


def ramp(shape, dtype=torch.float32, scale=1, divisor=1, offset=0, odd=None):
    """(i * scale + offset) / divisor; odd = (index, value) is an exception."""
    n = 1
    for size in shape:
        n *= size
    flat = torch.arange(n, dtype=dtype) * scale + offset
    if divisor != 1:
        flat = flat / divisor
    if odd:
        flat[odd[0]] = odd[1]
    return flat.view(shape), (scale, divisor, offset, *(odd or (-1, 0)))


I64, I32, U8, BOOL = torch.int64, torch.int32, torch.uint8, torch.bool


def grad(shape, op):
    return op(torch.ones(shape, requires_grad=True))


def print_cases():
    short = [
        p([1., 2., 3.]), p([1., 1000.]), p([1., 1001.]), p([1., 2000.]), p([1, 2000000, -5], dtype=I64),
        p([-3., 0., -0., 12.]), p([0., 0.]), p([0., NAN, INF, -INF]), p([1.5, NAN, -INF]), p([1., NAN, -INF]),
        p([1e-5, NAN, INF, 0.]), p([1e-4, 0.05]), p([1e-4, 0.05], dtype=F64), p([1e8]), p([2e8]), p([-2e8, 0.]),
        p([0.5, 500.]), p([0.5, 501.]), p([-1.25, 22.125, 333.0]), p(2.5), p(7, dtype=I64), p(True, dtype=BOOL), p(NAN),
        p(123456789.), p(3.), p([]), p([], dtype=I64), p([], dtype=BOOL), torch.empty(2, 0),
        torch.empty(0, 3, dtype=F64), p([True, False], dtype=BOOL), p([1, 2], dtype=I32), p([1, 200], dtype=U8),
        p([1.5, 2.25], dtype=F64), p([1.5, 2.25], requires_grad=True), p([[1., -2.], [3., 4.5]]),
        torch.zeros(1, 1, 1, 1), p([1e10, 1e-10], dtype=F64), p([0.00012, 0.1]), p([9.99995, 0.33335]),
        p([1.00005, 2.]), torch.nn.Parameter(p([1., 2.])), grad(3, lambda x: x * 2), grad(12, lambda x: x / 3),
        torch.arange(7., requires_grad=True) / 3, grad((2, 2), torch.sum),
        p(-9223372036854775808, dtype=I64), p([5e-324, 1.7976931348623157e308], dtype=F64),
        torch.nn.Parameter(torch.zeros(2, 2)), grad((2, 3, 1), lambda x: x + 1.5),
        # a suffix that just fits the line, and one that just does not
        p([10.] * 10, dtype=F64), p([10] * 13, dtype=I32), p([1.] * 13, requires_grad=True),
    ]
    long = [
        ramp((2, 3, 4)), ramp((2, 2, 2, 2)), ramp((2, 1, 2, 4), I64, offset=-8), ramp((30,)),
        ramp((30,), I64, scale=1000), ramp((30,), divisor=7), ramp((2, 20), divisor=3), ramp((1000,)), ramp((1001,)),
        ramp((1001,), I64), ramp((300, 4)), ramp((4, 300), I64), ramp((10, 10, 12)), ramp((2, 10, 10, 10), divisor=8),
        ramp((1001,), scale=0, offset=2), ramp((1001,), scale=0, offset=1, odd=(500, 1e6)), ramp((15,), I32, scale=11),
        ramp((7, 150), U8, scale=0, offset=9, odd=(1049, 250)), ramp((2, 2, 2, 2, 2)), ramp((2, 2, 8, 8, 8), F64),
    ]
    return [(t, None) for t in short] + long


def write_print(path):
    dtype_name = {torch.float32: "FLOAT32", F64: "FLOAT64", I64: "INT64", I32: "INT32", U8: "UINT8", BOOL: "BOOL"}
    out = ["/* Made by make_rng.py with PyTorch " + torch.__version__.split("+")[0] + ". */"]
    rows = []
    for k, (tensor, fill) in enumerate(print_cases()):
        name = "NULL"
        if fill is None and tensor.numel():
            name = f"elements_{k}"
            out.append(f"static const uint64_t {name}[] = {{")
            out += wrapped(f"0x{v:x}" for v in bits(tensor))
            out.append("};")
        grad_fn = f'"{type(tensor.grad_fn).__name__}"' if tensor.grad_fn is not None else "NULL"
        flags = [str(bool(x)).lower() for x in (tensor.requires_grad, isinstance(tensor, torch.nn.Parameter))]
        shape = ", ".join(map(str, tensor.shape)) or "0"
        text = str(tensor).split("\n")
        quoted = "\n     ".join('"' + part + ("\\n" if i + 1 < len(text) else "") + '"' for i, part in enumerate(text))
        rows.append(f"    {{{{FA_DT_{dtype_name[tensor.dtype]}, {tensor.dim()}, FA_PLAIN, 0, {{{shape}}}}},")
        rows.append(f"     {{{grad_fn}, {flags[0]}, {flags[1]}}},")
        rows.append(f"     {name},")
        rows.append("     {" + ", ".join(repr(float(x)) for x in (fill or (0, 0, 0, 0, 0))) + "},")
        rows.append(f"     {quoted}}},")
    out.append("static const golden_print golden_prints[] = {")
    out += rows
    out.append("};")
    path.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    write_rng(HERE / "rng_golden.inc")
    write_print(HERE / "print_golden.inc")
