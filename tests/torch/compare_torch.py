#!/usr/bin/env python3
"""Random configurations of every op against PyTorch, live.

usage: compare_torch.py PROGRAM [SEED [CASES [OP]]]     PROGRAM: torch_random_ops as built

The ops in PyTorch's words are those of tests/golden/make_*.py. Ends with 77, which CTest counts as skipped, where torch
is not installed.
"""
import json
import math
import pathlib
import subprocess
import sys
import time

try:
    import safetensors  # noqa: F401, the golden scripts need it
    import torch
    import warnings
    warnings.simplefilter("ignore")
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
sys.path.insert(0, str(GOLDEN))
import make_layers  # noqa: E402
for stem in ("make_elementwise", "make_tensor_ops", "make_functions", "make_losses", "make_options"):
    __import__(stem)




def joined(function):
    """Lists longer than the inputs take them in turn."""
    def join(t, a):
        values = list(t.values())
        return {"y": function([values[i % len(values)] for i in range(int(a.get("count", len(values))))], int(a["dim"]))}
    return join


make_layers.OPS["cat"], make_layers.OPS["stack"] = joined(torch.cat), joined(torch.stack)
UNORDERED = {"topk": {"indices", "grad_x"}}  # of equal values, any
UNEVEN = {"relu6", "hardtanh", "elu", "hardswish"}  # for NaN PyTorch has one gradient in vectors and another at their end
UNSAID = []


class Whole(int):
    """A parameter of one number: as good as a list of one."""

    def __iter__(self):
        return iter([int(self)])

    def __getitem__(self, i):
        return [int(self)][i]

    def __len__(self):
        return 1


class Fraction(float):
    def __iter__(self):
        return iter([float(self)])

    def __getitem__(self, i):
        return [float(self)][i]

    def __len__(self):
        return 1


def number(value):
    return int(value) if math.isfinite(value) and value == int(value) else value


def parameter(values):
    values = [number(v) for v in values]
    if len(values) != 1:
        return values
    return Whole(values[0]) if isinstance(values[0], int) else Fraction(values[0])


def tensor(entry):
    return torch.tensor(entry["data"], dtype=getattr(torch, entry["dtype"])).reshape(entry["shape"])


def differs(got, want, tolerance):
    if list(want.shape) != list(got.shape):
        return f"shape {list(got.shape)}, PyTorch {list(want.shape)}"
    got, want = got.double(), want.double()
    close = torch.isclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True)
    if bool(close.all()):
        return None
    worst = torch.nonzero(~close.reshape(-1))[0].item()
    return f"element {worst}: {got.reshape(-1)[worst].item()!r}, PyTorch {want.reshape(-1)[worst].item()!r}"


def compare_twice(op, tolerance, leaves, y, results):
    """Gradients of sum(w*y*y)/2, and those of their products with the directions."""
    names = [n for n in leaves if leaves[n].requires_grad]
    loss = (results["weights"] * y * y).sum() / 2
    first = torch.autograd.grad(loss, [leaves[n] for n in names], create_graph=True, allow_unused=True)
    total = 0
    for name, g in zip(names, first):
        if g is None:
            continue
        if what := differs(results["first_" + name], g.detach(), tolerance):
            return f"first gradient of {name}: {what}"
        total = total + (g * results["direction_" + name]).sum()
    if not isinstance(total, torch.Tensor) or not total.requires_grad:
        second = [None] * len(names)
    else:
        try:
            second = torch.autograd.grad(total, [leaves[n] for n in names], allow_unused=True)
        except RuntimeError as refused:
            if "not implemented" in str(refused):
                UNSAID.append(f"second gradient of {op}")  # PyTorch has none
                return None
            raise
    for name, g in zip(names, second):
        g = torch.zeros_like(leaves[name]) if g is None else g
        got = results.get("second_" + name, torch.zeros_like(leaves[name]).detach())
        size = max(1.0, float(g.abs().max()) if g.numel() else 1.0)
        if what := differs(got / size, g / size, tolerance):
            return f"second gradient of {name}: {what} (times {size})"
    return None


def beyond(op, leaves, args):
    """Whether a dilated window lies in padding alone: then PyTorch 2.15's backward writes outside its memory."""
    if not op.startswith("max_pool2d") or "dilation" not in args:
        return False
    with torch.no_grad():
        indices = make_layers.OPS["max_pool2d_places"]({"x": leaves["x"]}, args)["indices"]
    return bool((indices >= leaves["x"].shape[-1] * leaves["x"].shape[-2]).any())


def compare(case):
    """None when all agree; else what does not."""
    leaves = {}
    for entry in case["inputs"]:
        value = tensor(entry)
        leaves[entry["name"]] = value.requires_grad_(entry["grad"]) if value.is_floating_point() else value
    args = {k: parameter(v) for k, v in case["args"].items()}
    if case["op"] in ("any", "all") and "dims" not in args:
        args.pop("keepdim", None)  # PyTorch has no keepdim without dimensions
        case["results"] = [dict(e, shape=[]) for e in case["results"]]
    if case["op"] == "prod" and len(args.get("dims", ())) > 1:
        UNSAID.append("prod")  # PyTorch's takes one dimension
        return None
    case["results"] = [e for e in case["results"] if e["name"] not in UNORDERED.get(case["op"], ())]
    try:
        out = make_layers.OPS[case["op"]](leaves, args)
    except (RuntimeError, IndexError, ValueError) as refused:
        if case["error"] or any(0 in e["shape"] for e in case["inputs"]):
            return None  # its refusals of empty inputs are not uniform
        return f"PyTorch refuses: {refused}"
    except (KeyError, TypeError, AttributeError):
        UNSAID.append(case["op"])  # the golden scripts have no words for these parameters
        return None
    if case["error"]:
        return "refused here, not by PyTorch"
    results = {entry["name"]: tensor(entry) for entry in case["results"]}
    if beyond(case["op"], leaves, args):
        return differs(results["y"], out["y"].detach(), case["tolerance"]) if "y" in results else None
    if "weights" in results:
        return compare_twice(case["op"], case["tolerance"], leaves, out["y"], results)
    for name, want in out.items():
        if name in results and (what := differs(results[name], want.detach(), case["tolerance"])):
            return f"{name}: {what}"
    if case["gradient"] and out["y"].requires_grad:
        out["y"].backward(torch.tensor(case["gradient"], dtype=out["y"].dtype).reshape(out["y"].shape))
    for name, leaf in leaves.items():
        got = results.get("grad_" + name)
        if got is not None and leaf.grad is not None and case["op"] in UNEVEN:
            got, leaf.grad = (torch.where(leaf.isnan(), 0, g) for g in (got, leaf.grad))
        if got is not None and leaf.grad is not None and (what := differs(got, leaf.grad, case["tolerance"])):
            return f"gradient of {name}: {what}"
    return None


def main():
    program = sys.argv[1]
    seed = sys.argv[2] if len(sys.argv) > 2 else str(int(time.time()))
    count = sys.argv[3] if len(sys.argv) > 3 else "12"
    print(f"seed {seed}, {count} cases an op, torch {torch.__version__}")
    run = subprocess.run([program, seed, count] + sys.argv[4:5], capture_output=True, text=True, check=True)
    compared, failed, unknown = {}, 0, set()
    for line in run.stdout.splitlines():
        case = json.loads(line)
        if case["op"] not in make_layers.OPS:
            unknown.add(case["op"])
            continue
        compared[case["op"]] = compared.get(case["op"], 0) + 1
        what = compare(case)
        if what:
            failed += 1
            shapes = " ".join(f"{e['name']}{e['shape']}" for e in case["inputs"])
            print(f"{case['op']} seed {case['seed']}: {shapes} {case['args']}: {what}")
    print(f"not in PyTorch's words: {', '.join(sorted(unknown)) or 'none'}")
    if UNSAID:
        print(f"without words for: {', '.join(f'{op} {UNSAID.count(op)}' for op in sorted(set(UNSAID)))}")
    print(f"{sum(compared.values())} cases of {len(compared)} ops, {failed} differ")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
