#!/usr/bin/env python3
"""Makes tests/golden/states.pth with PyTorch: state dicts of optimizers after 10 of 20 steps from given gradients, and of
schedules after a few steps, with the rates of all later ones. One file, read by tests/optim/test_state_dict.c.

usage: make_states.py [states.pth]"""
import pathlib
import sys
import warnings

import torch
from torch.optim import SGD, Adam, AdamW, Adagrad, RMSprop
from torch.optim import lr_scheduler as lr

warnings.simplefilter("ignore")
SHAPES, STEPS, HALF = [(3, 2), (4,), (2, 1, 3)], 20, 10
OPTIMIZERS = {
    "sgd": lambda p: SGD(p, lr=0.05),
    "sgd_momentum": lambda p: SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
    "sgd_nesterov": lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: Adam(p, lr=0.01),
    "adamw": lambda p: AdamW(p, lr=0.01),
    "adam_amsgrad": lambda p: Adam(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: RMSprop(p, lr=0.01, centered=True, momentum=0.9),
    "adagrad": lambda p: Adagrad(p, lr=0.05, lr_decay=0.01),
}
SCHEDULES = {
    "step": lambda o: lr.StepLR(o, 3, gamma=0.5),
    "multi_step": lambda o: lr.MultiStepLR(o, [2, 4, 7, 7], gamma=0.3),
    "exponential": lambda o: lr.ExponentialLR(o, 0.9),
    "constant": lambda o: lr.ConstantLR(o, factor=0.3, total_iters=6),
    "linear": lambda o: lr.LinearLR(o, start_factor=0.1, total_iters=8),
    "cosine": lambda o: lr.CosineAnnealingLR(o, 6, eta_min=0.001),
    "restarts": lambda o: lr.CosineAnnealingWarmRestarts(o, 2, T_mult=2, eta_min=0.001),
    "one_cycle": lambda o: lr.OneCycleLR(o, 0.5, total_steps=16),
    "one_cycle_three": lambda o: lr.OneCycleLR(o, 0.5, total_steps=20, three_phase=True, anneal_strategy="linear",
                                               cycle_momentum=False),
    "plateau": lambda o: lr.ReduceLROnPlateau(o, patience=1, factor=0.5, cooldown=1),
    "lambda": lambda o: lr.LambdaLR(o, lambda e: 1 / (1 + e)),
    "sequential": lambda o: lr.SequentialLR(
        o, [lr.LinearLR(o, start_factor=0.1, total_iters=4), lr.CosineAnnealingLR(o, 8)], [4]),
    "chained": lambda o: lr.ChainedScheduler(
        [lr.ConstantLR(o, factor=0.1, total_iters=4), lr.ExponentialLR(o, 0.9)], optimizer=o),
}
METRICS = [3.0, 2.0, 2.0, 2.0, 2.0, 1.5, 1.6, 1.6, 1.6, 1.6, 1.6, 1.6, 1.6, 1.0]


def optimizers():
    start = [torch.randn(s) for s in SHAPES]
    grads = [torch.randn(STEPS, *s) for s in SHAPES]
    runs = {}
    for name, make in OPTIMIZERS.items():
        p = [torch.nn.Parameter(x.clone()) for x in start]
        optim, run = make(p), {}
        for t in range(STEPS):
            if t == HALF:
                run["weights"] = [x.detach().clone() for x in p]
                run["state"] = clone(optim.state_dict())
            for x, g in zip(p, grads):
                x.grad = g[t].clone()
            optim.step()
        run["end"] = [x.detach().clone() for x in p]
        runs[name] = run
    return {"start": start, "grads": grads, "runs": runs}


def clone(x):
    if isinstance(x, torch.Tensor):
        return x.detach().clone()
    if isinstance(x, dict):
        return type(x)({k: clone(v) for k, v in x.items()})
    if isinstance(x, (list, tuple)):
        return type(x)(clone(v) for v in x)
    return x


def schedules():
    runs = []
    for name, make in SCHEDULES.items():
        for stop in (0, 3, 4, 6):
            p, q = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
            optim = SGD([{"params": [p]}, {"params": [q], "lr": 0.02}], lr=0.1, momentum=0.8)
            schedule = make(optim)
            run = {"name": name, "stop": stop, "rates": [], "momenta": []}
            for t in range(15):
                if t > 0:
                    optim.step()
                    schedule.step(METRICS[t - 1]) if name == "plateau" else schedule.step()
                if t == stop:
                    run["state"], run["optim"] = clone(schedule.state_dict()), clone(optim.state_dict())
                run["rates"].append([g["lr"] for g in optim.param_groups])
                run["momenta"].append([g["momentum"] for g in optim.param_groups])
            runs.append(run)
    return runs


torch.manual_seed(7)
out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "states.pth")
torch.save({"optimizers": optimizers(), "schedules": schedules(), "metrics": METRICS}, out)
print(f"{out}: {out.stat().st_size} bytes, PyTorch {torch.__version__}")
