"""Makes optim.json and optim.safetensors: ten steps of optimizers on given gradients, and schedules.

    python make_optim.py    # needs torch and safetensors

optim.safetensors: p0.K and grad.STEP.K of parameter K; RUN.STEP.K, the parameter after the step. Gradients are whole
multiples of powers of two, so that any way of making them gives the same bits. In the run "skipped" parameter 1 has no
gradient at steps 1 and 3. optim.json: the runs' settings; for a schedule the learning rate after it was made and after
each step.
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn, optim

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 10
SHAPES = [(3, 5), (17,), (1,)]

torch.manual_seed(7)
start = [torch.randn(*shape) for shape in SHAPES]
grads = [[torch.randint(-4096, 4096, shape).float() * 2.0 ** (-12 - 6 * (t % 3 == 0)) for shape in SHAPES]
         for t in range(STEPS)]
tensors = {f"p0.{k}": v.clone() for k, v in enumerate(start)}
tensors |= {f"grad.{t}.{k}": v.clone() for t, g in enumerate(grads) for k, v in enumerate(g)}

RUNS = [
    ("sgd", optim.SGD, dict(lr=0.1)),
    ("sgd_default_lr", optim.SGD, dict()),
    ("sgd_decay", optim.SGD, dict(lr=0.1, weight_decay=0.01)),
    ("sgd_momentum", optim.SGD, dict(lr=0.05, momentum=0.9)),
    ("sgd_dampening", optim.SGD, dict(lr=0.05, momentum=0.9, dampening=0.3)),
    ("sgd_nesterov", optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)),
    ("sgd_maximize", optim.SGD, dict(lr=0.03, weight_decay=0.1, maximize=True)),
    ("skipped", optim.SGD, dict(lr=0.05, momentum=0.9)),
    ("adam", optim.Adam, dict()),
    ("adam_decay", optim.Adam, dict(lr=0.01, weight_decay=0.05)),
    ("adam_amsgrad", optim.Adam, dict(lr=0.01, amsgrad=True)),
    ("adam_betas", optim.Adam, dict(lr=0.02, betas=(0.3, 0.9), eps=1e-3, maximize=True)),
    ("adamw", optim.AdamW, dict()),
    ("adamw_amsgrad", optim.AdamW, dict(lr=0.01, weight_decay=0.3, amsgrad=True)),
]
for name, kind, options in RUNS:
    params = [nn.Parameter(v.clone()) for v in start]
    optimizer = kind(params, **options)
    for t, g in enumerate(grads):
        for k, (p, v) in enumerate(zip(params, g)):
            p.grad = None if name == "skipped" and k == 1 and t in (1, 3) else v.clone()
        optimizer.step()
        for k, p in enumerate(params):
            tensors[f"{name}.{t}.{k}"] = p.detach().clone()

schedules = []
for lr, step_size, gamma in [(0.1, 3, 0.5), (0.1, 1, 0.1), (0.3, 2, 0.7), (1e-3, 5, 0.95)]:
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size, gamma)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(20):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    schedules.append(dict(lr=lr, step_size=step_size, gamma=gamma, rates=rates))

(HERE / "optim.json").write_text(json.dumps(dict(torch=torch.__version__, steps=STEPS, runs=[
    dict(name=name, kind=kind.__name__, options=options) for name, kind, options in RUNS], step_lr=schedules)) + "\n")
save_file(tensors, HERE / "optim.safetensors")
