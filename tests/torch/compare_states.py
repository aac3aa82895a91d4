#!/usr/bin/env python3
"""State dicts of optimizers and schedules against PyTorch itself, both ways: PyTorch trains, torch_states goes on from its
file, PyTorch goes on from that one. State dicts have the same keys in the same order, rates are equal doubles, numbers are
within 1e-5, all as in a training that was never interrupted.

usage: compare_states.py TORCH_STATES [--cases N] [--seed S]     (exit status 77: PyTorch is not installed)"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

try:
    import torch
    from torch.optim import lr_scheduler as lr
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

warnings.simplefilter("ignore")


def draw_optim(draw):
    kind = draw.choice(["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
    options = {"lr": draw.choice([0.1, 0.01, 0.003]), "weight_decay": draw.choice([0, 0.01]),
               "maximize": draw.random() < 0.2}
    if kind == "SGD":
        options["momentum"] = draw.choice([0, 0.9, 0.5])
        options["nesterov"] = options["momentum"] > 0 and draw.random() < 0.5
        if not options["nesterov"]:
            options["dampening"] = draw.choice([0, 0.1])
    elif kind in ("Adam", "AdamW"):
        options |= {"betas": draw.choice([(0.9, 0.999), (0.8, 0.95)]), "amsgrad": draw.random() < 0.5}
    elif kind == "RMSprop":
        options |= {"centered": draw.random() < 0.5, "momentum": draw.choice([0, 0.9]), "alpha": draw.choice([0.99, 0.9])}
    else:
        options |= {"lr_decay": draw.choice([0, 0.01]), "initial_accumulator_value": draw.choice([0, 0.1])}
    return kind, options


def draw_schedule(draw):
    a, gamma = draw.randrange(1, 12), draw.choice([0.1, 0.5, 0.9])
    return draw.choice([
        ("StepLR", lambda o: lr.StepLR(o, a, gamma=gamma)),
        ("MultiStepLR", lambda o: lr.MultiStepLR(o, [a, a, a + 3], gamma=gamma)),
        ("ExponentialLR", lambda o: lr.ExponentialLR(o, gamma)),
        ("LinearLR", lambda o: lr.LinearLR(o, gamma, total_iters=a)),
        ("CosineAnnealingLR", lambda o: lr.CosineAnnealingLR(o, a)),
        ("CosineAnnealingWarmRestarts", lambda o: lr.CosineAnnealingWarmRestarts(o, a, 2)),
        ("SequentialLR", lambda o: lr.SequentialLR(o, [lr.LinearLR(o, 0.1, total_iters=a), lr.ExponentialLR(o, gamma)], [a])),
    ])


def differences(got, want, path=""):
    if isinstance(want, torch.Tensor):
        if not isinstance(got, torch.Tensor) or got.dtype != want.dtype or got.shape != want.shape:
            return [f"{path}: {got!r} instead of {want!r}"]
        return [] if torch.allclose(got, want, rtol=1e-5, atol=1e-5) else [f"{path}: {got} instead of {want}"]
    if isinstance(want, dict):
        if list(got) != list(want) or type(got) is not type(want):
            return [f"{path}: {type(got)} {list(got)} instead of {type(want)} {list(want)}"]
        return sum((differences(got[k], want[k], f"{path}[{k!r}]") for k in want), [])
    if isinstance(want, (list, tuple)):
        if type(got) is not type(want) or len(got) != len(want):
            return [f"{path}: {got!r} instead of {want!r}"]
        return sum((differences(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(got, want))), [])
    return [] if got == want and (got is None) == (want is None) else [f"{path}: {got!r} instead of {want!r}"]


def check(program, draw, folder):
    kind, options = draw_optim(draw)
    name, schedule_of = draw_schedule(draw)
    counts = [draw.randrange(0, 6) for _ in range(3)]
    start = [torch.randn(3, 2), torch.randn(4)]
    grads = [[torch.randn(3, 2), torch.randn(4)] for _ in range(sum(counts))]

    def make(values):
        p = [torch.nn.Parameter(x.detach().clone()) for x in values]
        optim = getattr(torch.optim, kind)([{"params": [p[0]]}, {"params": [p[1]], "lr": options["lr"] / 3}], **options)
        return p, optim, schedule_of(optim)

    def train(p, optim, schedule, part):
        for step in part:
            for x, g in zip(p, step):
                x.grad = g.clone()
            optim.step()
            schedule.step()

    a, b = counts[0], counts[0] + counts[1]
    whole = make(start)
    train(*whole, grads[:a])
    path, back = folder / "in.pth", folder / "out.pth"
    torch.save({"kind": kind, "options": options, "schedule_name": name, "weights": [x.detach() for x in whole[0]],
                "grads": grads[a:b], "optim": whole[1].state_dict(), "schedule": whole[2].state_dict()}, path)
    done = subprocess.run([program, path, back], capture_output=True, text=True)
    if done.returncode != 0:
        return [f"torch_states: {done.stderr.strip()}"]
    train(*whole, grads[a:b])
    ours = torch.load(back)
    bad = differences(ours["optim"], whole[1].state_dict(), "optim")
    bad += differences(ours["schedule"], whole[2].state_dict(), "schedule")
    bad += differences(ours["weights"], [x.detach() for x in whole[0]], "weights")
    again = make(ours["weights"])
    again[1].load_state_dict(ours["optim"])
    again[2].load_state_dict(ours["schedule"])
    train(*again, grads[b:])
    train(*whole, grads[b:])
    bad += differences([g["lr"] for g in again[1].param_groups], [g["lr"] for g in whole[1].param_groups], "rates")
    bad += differences([x.detach() for x in again[0]], [x.detach() for x in whole[0]], "weights after all")
    return [f"{kind} {options}, {name}, steps {counts}: {x}" for x in bad]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    torch.manual_seed(args.seed)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.cases):
            bad = check(args.program, draw, pathlib.Path(folder))
            failed += bool(bad)
            if bad and failed <= 5:
                print("\n".join(bad[:5]))
    print(f"{args.cases - failed} of {args.cases} trainings go on as if never interrupted (PyTorch {torch.__version__})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
