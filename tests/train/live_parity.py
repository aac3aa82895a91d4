#!/usr/bin/env python3
"""Whole programs against PyTorch, live.

usage: live_parity.py FACULA STEPS [SEED [MODELS]]     the command, and the program test_runs_steps, as built

Random Sequential models, losses, optimizers and schedules are trained and recorded with python/facula_recorder.py;
`facula parity` must agree, and must find a changed option where it shows. Then single steps of the whole network
`mnist` from PyTorch's weights and state. Ends with 77, which CTest counts as skipped, where torch is not installed.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import warnings

try:
    import safetensors  # noqa: F401, make_steps needs it
    import torch
    from torch import nn, optim
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
sys.path[:0] = [str(GOLDEN), str(HERE.parent.parent / "python")]
import make_steps  # noqa: E402
from facula_recorder import Recorder  # noqa: E402


def random_model(r):
    channels, layers = r.choice([1, 3]), []
    size = r.randint(9, 14)
    first = channels
    for _ in range(r.randint(1, 3)):
        out = r.choice([2, 4, 6])
        kernel = r.choice([1, 3, 3, (3, 2)])
        groups = 2 if channels % 2 == 0 and r.random() < 0.3 else 1
        padding = r.choice([0, 1, (1, 0), "same"]) if kernel != 1 else 0
        norm = r.random() < 0.5  # without a bias before it, whose gradient would be rounding alone
        stride = 1 if padding == "same" else r.choice([1, 1, 2])
        layers.append(nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=not norm and r.random() < 0.8,
                                padding_mode=r.choice(["zeros", "zeros", "reflect", "replicate", "circular"])))
        channels = out
        if norm:
            layers.append(r.choice([nn.BatchNorm2d(out, momentum=r.choice([0.1, 0.3])), nn.GroupNorm(2, out)]))
        layers.append(r.choice([lambda: nn.ReLU(inplace=True), nn.ReLU, lambda: nn.LeakyReLU(0.1), nn.SiLU, nn.Tanh,
                                nn.ReLU6])())
        if r.random() < 0.4:
            layers.append(r.choice([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3, stride=1, padding=1)]))
        if r.random() < 0.3:
            layers.append(r.choice([nn.Dropout(0.3), nn.Dropout2d(0.2)]))
    if r.random() < 0.5:
        layers.append(nn.AdaptiveAvgPool2d(r.choice([1, 2, (2, 1)])))
    layers.append(nn.Flatten())
    images = torch.randn(r.randint(4, 9), first, size, size)
    try:
        with torch.no_grad():
            width = nn.Sequential(*layers)(images).shape[1]
    except RuntimeError:  # the pictures became too small
        return random_model(r)
    layers.append(nn.Linear(width, 12, bias=r.random() < 0.8))
    tail = [nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 5)]
    return (layers, tail), images.shape


def rebuilt(layers):
    """The same model from the start, drawn from the seed, with a Sequential inside."""
    head, tail = layers
    for module in head + tail:
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return nn.Sequential(*head, nn.Sequential(*tail))


def random_optimizer(r, parameters):
    decay = r.choice([0, 1e-2])
    return r.choice([
        lambda: optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=decay, nesterov=r.random() < 0.5),
        lambda: optim.SGD(parameters, lr=0.1, weight_decay=decay),
        lambda: optim.Adam(parameters, lr=0.002, weight_decay=decay, amsgrad=r.random() < 0.3),
        lambda: optim.AdamW(parameters, lr=0.002, betas=(0.8, 0.99)),
        lambda: optim.RMSprop(parameters, lr=0.002, momentum=r.choice([0, 0.9])),
        lambda: optim.Adagrad(parameters, lr=0.01)])()


def record(seed, path):
    r = random.Random(seed)
    torch.manual_seed(seed)
    layers, shape = random_model(r)
    torch.manual_seed(seed)
    model = rebuilt(layers)
    dtype = torch.float64 if r.random() < 0.2 else torch.float32
    model = model.to(dtype)
    criterion = r.choice([nn.CrossEntropyLoss(), nn.MSELoss(),
                          nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum")])
    optimizer = random_optimizer(r, list(model.parameters()))
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2, 0.5) if r.random() < 0.4 else None
    recorder = Recorder(path, model, optimizer, criterion, scheduler, steps=5, details=3)
    for _ in range(5):
        x = torch.randn(shape, dtype=dtype)
        y = torch.randn(shape[0], 5, dtype=dtype) if isinstance(criterion, nn.MSELoss) else torch.randint(0, 5, (shape[0],))
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        recorder.step(loss, y)
    return model


def parity(facula, path):
    done = subprocess.run([facula, "parity", path], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def check_models(facula, folder, start, count):
    path = folder / "run.json"
    for seed in range(start, start + count):
        model = record(seed, path)
        status, text = parity(facula, path)
        if status != 0 or f"Seed {seed} gives the recorded initial weights." not in text:
            sys.exit(f"seed {seed}:\n{model}\n{text}")
        facts = json.loads(path.read_text())
        for groups in (facts["optimizer"]["groups"], *(step["groups"] for step in facts["steps"])):
            groups[0]["weight_decay"] += 0.05
        path.write_text(json.dumps(facts))
        status, text = parity(facula, path)
        if status != 1 or "after the step." not in text:
            sys.exit(f"seed {seed}, another weight_decay: not found\n{model}\n{text}")
    print(f"{count} random models: agree; another weight_decay is found in each")


def check_steps(program, folder):
    make_steps.main(make_steps.FULL, folder / "steps")
    subprocess.run([program, os.path.relpath(folder / "steps", GOLDEN)], check=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    facula, steps = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as name:
        check_models(facula, pathlib.Path(name), int(sys.argv[3]) if len(sys.argv) > 3 else 1,
                     int(sys.argv[4]) if len(sys.argv) > 4 else 40)
        check_steps(steps, pathlib.Path(name))
