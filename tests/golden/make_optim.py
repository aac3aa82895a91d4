"""Makes optim.json and optim.safetensors: ten steps of optimizers on given gradients, schedules, averages of weights.

    python make_optim.py    # needs torch and safetensors

optim.safetensors: p0.K and grad.STEP.K of parameter K; RUN.STEP.K, the parameter after the step. Gradients are whole
multiples of powers of two, so that any way of making them gives the same bits. In the run "skipped" parameter 1 has no
gradient at steps 1 and 3. A run with groups has parameter 0 in the first and the others in the second, whose options
it gives. optim.json: the runs' settings; for a schedule the rates of two groups (and the momentum, where it moves) after
it was made and after each step. AVERAGE.STEP.K: the mean of parameter K in the run "sgd" after the step.
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
    ("adamw_maximize", optim.AdamW, dict(lr=0.01, maximize=True)),
    ("rmsprop", optim.RMSprop, dict()),
    ("rmsprop_decay", optim.RMSprop, dict(lr=0.003, alpha=0.9, eps=1e-4, weight_decay=0.1, maximize=True)),
    ("rmsprop_momentum", optim.RMSprop, dict(lr=0.005, momentum=0.9)),
    ("rmsprop_centered", optim.RMSprop, dict(lr=0.005, centered=True)),
    ("rmsprop_all", optim.RMSprop, dict(lr=0.005, alpha=0.3, centered=True, momentum=0.5, weight_decay=0.01)),
    ("adagrad", optim.Adagrad, dict()),
    ("adagrad_all", optim.Adagrad, dict(lr=0.1, lr_decay=0.2, weight_decay=0.05, initial_accumulator_value=0.1,
                                        eps=1e-4, maximize=True)),
    ("sgd_groups", optim.SGD, dict(lr=0.05, momentum=0.9)),
    ("adamw_groups", optim.AdamW, dict(lr=0.01)),
    ("rmsprop_groups", optim.RMSprop, dict(lr=0.01)),
]
GROUPS = {
    "sgd_groups": dict(lr=0.01, weight_decay=0.1, nesterov=True),
    "adamw_groups": dict(weight_decay=0.0, betas=(0.5, 0.9), amsgrad=True),
    "rmsprop_groups": dict(momentum=0.5, maximize=True),
}
for name, kind, options in RUNS:
    params = [nn.Parameter(v.clone()) for v in start]
    optimizer = kind(params[:1] if name in GROUPS else params, **options)
    if name in GROUPS:
        optimizer.add_param_group(dict(params=params[1:], **GROUPS[name]))
    for t, g in enumerate(grads):
        for k, (p, v) in enumerate(zip(params, g)):
            p.grad = None if name == "skipped" and k == 1 and t in (1, 3) else v.clone()
        optimizer.step()
        for k, p in enumerate(params):
            tensors[f"{name}.{t}.{k}"] = p.detach().clone()

schedules = []
S = optim.lr_scheduler


def again(optimizer, make):
    """A schedule that goes on where another one, which set the first rates, left off."""
    S.StepLR(optimizer, 100)
    return make()


SCHEDULES = [
    ("step", lambda o: S.StepLR(o, 3, 0.5), 20),
    ("step_1", lambda o: S.StepLR(o, 1), 20),
    ("multi_step", lambda o: S.MultiStepLR(o, [4, 2, 7, 7], 0.3), 12),
    ("exponential", lambda o: S.ExponentialLR(o, 0.9), 20),
    ("constant", lambda o: S.ConstantLR(o), 8),
    ("constant_2", lambda o: S.ConstantLR(o, 0.3, 2), 5),
    ("linear", lambda o: S.LinearLR(o), 8),
    ("linear_down", lambda o: S.LinearLR(o, 0.9, 0.1, 7), 10),
    ("cosine", lambda o: S.CosineAnnealingLR(o, 6), 20),
    ("cosine_min", lambda o: S.CosineAnnealingLR(o, 5, 0.01), 17),
    ("restarts", lambda o: S.CosineAnnealingWarmRestarts(o, 3), 11),
    ("restarts_double", lambda o: S.CosineAnnealingWarmRestarts(o, 2, 2, 0.001), 20),
    ("one_cycle", lambda o: S.OneCycleLR(o, 0.5, total_steps=20), 20),
    ("one_cycle_linear", lambda o: S.OneCycleLR(o, 0.5, epochs=4, steps_per_epoch=5, pct_start=0.25,
                                                anneal_strategy="linear", base_momentum=0.5, max_momentum=0.9,
                                                div_factor=10.0, final_div_factor=50.0), 20),
    ("one_cycle_three", lambda o: S.OneCycleLR(o, [0.5, 0.1], total_steps=20, three_phase=True), 20),
    ("one_cycle_still", lambda o: S.OneCycleLR(o, 0.5, total_steps=9, cycle_momentum=False), 9),
    ("lambda", lambda o: S.LambdaLR(o, lambda e: 1 / (1 + e)), 9),
    ("sequential", lambda o: S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 4), S.CosineAnnealingLR(o, 8)], [4]), 15),
    ("sequential_three", lambda o: S.SequentialLR(o, [S.ConstantLR(o, 0.1, 3), S.ExponentialLR(o, 0.8),
                                                      S.StepLR(o, 2, 0.5)], [3, 6]), 12),
    ("sequential_restarts", lambda o: S.SequentialLR(o, [S.MultiStepLR(o, [1, 2]), S.CosineAnnealingWarmRestarts(o, 3),
                                                         S.LambdaLR(o, lambda e: 1 / (1 + e))], [2, 8]), 12),
    ("sequential_chain", lambda o: S.SequentialLR(o, [S.ChainedScheduler([S.ExponentialLR(o, 0.9), S.StepLR(o, 2)]),
                                                      S.LinearLR(o)], [5]), 12),
    ("chained", lambda o: S.ChainedScheduler([S.ConstantLR(o, 0.1, 2), S.ExponentialLR(o, 0.9)]), 8),
    ("one_cycle_momenta", lambda o: S.OneCycleLR(o, [0.5, 0.1], total_steps=12, base_momentum=[0.7, 0.8],
                                                 max_momentum=[0.9, 0.99]), 12),
    ("step_again", lambda o: again(o, lambda: S.StepLR(o, 3, 0.5, last_epoch=4)), 9),
    ("multi_step_again", lambda o: again(o, lambda: S.MultiStepLR(o, [4, 6], 0.3, last_epoch=3)), 5),
    ("exponential_again", lambda o: again(o, lambda: S.ExponentialLR(o, 0.9, last_epoch=4)), 5),
    ("constant_again", lambda o: again(o, lambda: S.ConstantLR(o, 0.3, 7, last_epoch=4)), 5),
    ("linear_again", lambda o: again(o, lambda: S.LinearLR(o, 0.5, 1.0, 8, last_epoch=4)), 6),
    ("cosine_again", lambda o: again(o, lambda: S.CosineAnnealingLR(o, 6, last_epoch=4)), 9),
    ("restarts_again", lambda o: again(o, lambda: S.CosineAnnealingWarmRestarts(o, 3, 2, last_epoch=4)), 9),
    ("lambda_again", lambda o: again(o, lambda: S.LambdaLR(o, lambda e: 1 / (1 + e), last_epoch=4)), 5),
    ("one_cycle_again", lambda o: [S.OneCycleLR(o, 0.5, total_steps=12), S.OneCycleLR(o, 0.4, total_steps=20, last_epoch=4)][1], 9),
    ("sequential_again", lambda o: S.SequentialLR(o, [S.ConstantLR(o, 0.1, 3), S.ExponentialLR(o, 0.8)], [5], last_epoch=2), 6),
    ("two", lambda o: [S.StepLR(o, 2, 0.5), S.CosineAnnealingLR(o, 5)], 9),
]
for name, make, steps in SCHEDULES:
    for kind in ("SGD", "Adam"):
        groups = [dict(params=[nn.Parameter(torch.zeros(1))]), dict(params=[nn.Parameter(torch.zeros(1))], lr=0.02)]
        optimizer = optim.SGD(groups, lr=0.1, momentum=0.8) if kind == "SGD" else optim.Adam(groups, lr=0.1)
        made = make(optimizer)
        made = made if isinstance(made, list) else [made]
        rates, momenta = [], []
        for t in range(steps + 1):
            if t:
                optimizer.step()
                for schedule in made:
                    schedule.step()
            rates.append([g["lr"] for g in optimizer.param_groups])
            momenta.append([g["momentum"] if kind == "SGD" else g["betas"][0] for g in optimizer.param_groups])
        schedules.append(dict(name=name, kind=kind, rates=rates, momenta=momenta))

METRICS = [3.0, 2.0, 2.0, 1.9999, 2.5, float(1), 1.0, 1.1, 1.2, 0.99995, 1.0, 1.0, 5.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
PLATEAUS = [dict(patience=1), dict(patience=0, factor=0.5, cooldown=2), dict(mode="max", patience=1),
            dict(patience=1, threshold=0.1, threshold_mode="abs", min_lr=0.005),
            dict(mode="max", patience=0, threshold=0.5, threshold_mode="abs", eps=0.005)]
plateaus = []
for options in PLATEAUS:
    optimizer = optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = S.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for metric in METRICS:
        schedule.step(metric)
        rates.append(optimizer.param_groups[0]["lr"])
    plateaus.append(dict(options=options, rates=rates))

swa = optim.swa_utils
AVERAGES = {"ema": swa.get_ema_multi_avg_fn(0.9), "ema_fast": swa.get_ema_multi_avg_fn(0.3), "swa": None}
for name, function in AVERAGES.items():
    model = nn.ParameterList([nn.Parameter(v.clone()) for v in start])
    average = swa.AveragedModel(model, multi_avg_fn=function)
    for t in range(STEPS):
        for k, p in enumerate(model.parameters()):
            p.data.copy_(tensors[f"sgd.{t}.{k}"])
        average.update_parameters(model)
        for k, p in enumerate(average.module.parameters()):
            tensors[f"{name}.{t}.{k}"] = p.detach().clone()
wholes = {}
for name, function in (("ema", swa.get_ema_multi_avg_fn(0.9)), ("swa", None)):
    model = nn.BatchNorm2d(1)
    average = swa.AveragedModel(model, multi_avg_fn=function, use_buffers=True)
    wholes[name] = []
    for t in range(12):
        model.num_batches_tracked.fill_(3 * t)
        average.update_parameters(model)
        wholes[name].append(int(average.module.num_batches_tracked))

(HERE / "optim.json").write_text(json.dumps(dict(
    torch=torch.__version__.split("+")[0], steps=STEPS,
    runs=[dict(name=name, kind=kind.__name__, options=options, **({"group": GROUPS[name]} if name in GROUPS else {}))
          for name, kind, options in RUNS],
    schedules=schedules, metrics=METRICS, plateaus=plateaus, whole_averages=wholes)) + "\n")
save_file(tensors, HERE / "optim.safetensors")
