#!/usr/bin/env python3
"""python/facula_recorder.py against PyTorch itself.

usage: check_recorder.py FACULA      the command, as built

What it cannot record ends with a RecorderError whose words say what to do; runs that only look like it are recorded and
agree; so do runs with what it must record: schedules that move momenta, weights of classes, frozen layers. Ends with 77,
which CTest counts as skipped, where torch is not installed.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import types
import warnings

try:
    import torch
    import torch.nn.functional as F
    from torch import nn, optim
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

warnings.simplefilter("ignore")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "python"))
import facula_recorder  # noqa: E402
from facula_recorder import Recorder, RecorderError  # noqa: E402

at_exit = []  # what Python would call as it ends
facula_recorder.atexit = types.SimpleNamespace(register=at_exit.append)
X, Y = torch.rand(4, 6), torch.tensor([0, 1, 2, 0])


def small():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


class Run:
    """A model, its optimizer and a recorder of two steps."""

    def __init__(self, path, model=None, **options):
        torch.manual_seed(0)
        self.model = model or small()
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.criterion = nn.CrossEntropyLoss()
        self.recorder = Recorder(path, self.model, self.optimizer, self.criterion, steps=2, details=2, **options)

    def loss(self, x=X):
        return self.criterion(self.model(x), Y)

    def step(self, loss=None):
        self.optimizer.zero_grad()
        loss = self.loss() if loss is None else loss
        loss.backward()
        self.optimizer.step()
        self.recorder.step(loss, Y)


# ---- What is refused ----

def accumulation(path):
    run = Run(path)
    run.loss().backward()
    run.loss().backward()


def backward_twice(path):
    run = Run(path)
    loss = run.loss()
    loss.backward(retain_graph=True)
    loss.backward()


def gradients_kept(path):
    run = Run(path)
    for _ in range(2):
        loss = run.loss()
        loss.backward()
        run.optimizer.step()
        run.recorder.step(loss, Y)


def two_views(path):
    run = Run(path)
    (run.loss() + run.loss(X + 1)).backward()


def step_not_called(path):
    run = Run(path)
    run.loss().backward()
    run.optimizer.step()
    run.loss()


def step_twice(path):
    run = Run(path)
    run.loss().backward()
    run.optimizer.step()
    run.optimizer.step()


def no_optimizer_step(path):
    run = Run(path)
    loss = run.loss()
    loss.backward()
    run.recorder.step(loss, Y)


def no_pass(path):
    run = Run(path)
    run.model.eval()
    loss = run.loss()
    run.recorder.step(loss, Y)


def two_optimizers(path):
    run = Run(path)
    other = optim.Adam(run.model[2].parameters())
    run.loss().backward()
    run.optimizer.step()
    other.step()


def list_of_optimizers(path):
    model = small()
    Recorder(path, model, [optim.SGD(model.parameters(), lr=1)])


def foreign_parameter(path):
    model, head = small(), nn.Linear(3, 3)
    Recorder(path, model, optim.SGD([*model.parameters(), *head.parameters()], lr=1))


def autocast(path):
    run = Run(path)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        run.loss()


def half_weights(path):
    Run(path, small().bfloat16())


def half_images(path):
    Run(path).loss(X.bfloat16())


def unfrozen(path):
    run = Run(path)
    run.step()
    run.model[0].requires_grad_(False)
    run.step()


def evaluated(path):
    run = Run(path)
    run.step()
    run.model[1].eval()
    run.step()


def clipped_values(path):
    run = Run(path)
    run.loss().backward()
    nn.utils.clip_grad_value_(run.model.parameters(), 0.01)
    run.optimizer.step()


def two_arguments(path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 3)

        def forward(self, x, y):
            return self.fc(x + y)

    Run(path, Two()).model(X, X)


def two_outputs(path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 3)

        def forward(self, x):
            return self.fc(x), x

    Run(path, Two()).model(X)


def labels_in_a_list(path):
    run = Run(path)
    loss = run.loss()
    loss.backward()
    run.optimizer.step()
    run.recorder.step(loss, [0, 1])


def no_steps(path):
    Run(path).recorder.__init__(path, small(), optim.SGD(small().parameters(), lr=1), steps=0)


def no_folder(path):
    Run(path.parent / "none" / "run.json")


def tensors_name(path):
    Run(path.with_suffix(".safetensors"))


def wrapped(path):
    Run(path, nn.DataParallel(small()))


def group_added(path):
    run = Run(path)
    run.optimizer = optim.SGD(run.model[0].parameters(), lr=0.1)
    run.recorder.close()
    run.recorder = Recorder(path, run.model, run.optimizer, run.criterion)
    run.step()
    run.optimizer.add_param_group({"params": run.model[2].parameters()})
    run.step()


def losses(path):
    run = Run(path)
    run.loss().backward()
    run.optimizer.step()
    run.recorder.step(torch.rand(4), Y)


def mask_in_channels_last(path):
    run = Run(path, nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5)).to(memory_format=torch.channels_last))
    run.model(torch.rand(2, 3, 6, 6).to(memory_format=torch.channels_last))


REFUSED = [(accumulation, "record without gradient accumulation"), (backward_twice, "backward() ran twice"),
           (gradients_kept, "0.weight still has a gradient when backward() begins"), (two_views, "One pass a step"),
           (step_not_called, "recorder.step(loss, labels), which is called after each optimizer.step()"),
           (step_twice, "optimizer.step() ran twice"), (no_optimizer_step, "optimizer.step() did not run"),
           (no_pass, "the model did not run in training"), (two_optimizers, "a second optimizer changed the model"),
           (list_of_optimizers, "got a Sequential and a list, needs the model and its one optimizer"),
           (foreign_parameter, "has a parameter [3, 3] that is not in the model"), (autocast, "without torch.autocast"),
           (half_weights, "0.weight: got torch.bfloat16"), (half_images, "the images: got torch.bfloat16"),
           (unfrozen, "layers were frozen or released (requires_grad, eval())"),
           (evaluated, "layers were frozen or released"), (clipped_values, "gradients were changed between backward()"),
           (two_arguments, "called with 2 arguments"),
           (two_outputs, "the model's output: got tuple"), (labels_in_a_list, "the labels: got list"),
           (wrapped, "got a DataParallel around the model"), (group_added, "Make the recorder after that"),
           (losses, "as the loss; one number is recorded"), (mask_in_channels_last, "Dropout (1) got a tensor in channels_last"),
           (no_steps, "got steps=0"), (no_folder, "in a folder that exists"), (tensors_name, "a name like RUN.json")]


# ---- What is recorded ----

def agrees(facula, path, name):
    done = subprocess.run([facula, "parity", path], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name}: status {done.returncode}\n{done.stdout}{done.stderr}")


def named_argument(path):
    run = Run(path)
    for _ in range(2):
        run.step(run.criterion(run.model(input=X), Y))


def validation_between(path):
    run = Run(path)
    run.step()
    run.model.eval()
    run.loss()
    run.model.train()
    with torch.no_grad():
        run.loss()
    run.step()


def zeros_between(path):
    """zero_grad(set_to_none=False) between forward and backward."""
    run = Run(path)
    for _ in range(2):
        loss = run.loss()
        run.optimizer.zero_grad(set_to_none=False)
        loss.backward()
        run.optimizer.step()
        run.recorder.step(loss, Y)


def closed_early(path):
    run = Run(path)
    run.step()
    run.recorder.close()
    run.recorder.close()
    run.step()  # after the end: nothing is recorded, nothing is refused


def ended_early(path):
    Run(path).step()
    at_exit[-1]()


def another_model(path):
    """A second model with its own optimizer is no second optimizer."""
    run, other = Run(path), small()
    adam = optim.Adam(other.parameters())
    for _ in range(2):
        other(X).sum().backward()
        adam.step()
        run.step()


def head_alone(path):
    """Gradients of the first layer add up, and no optimizer uses them."""
    run = Run(path)
    run.recorder.close()
    run.optimizer = optim.SGD(run.model[2].parameters(), lr=0.1)
    run.recorder = Recorder(path, run.model, run.optimizer, run.criterion, steps=3, details=3)
    for _ in range(3):
        run.step()


def loss_as_a_number(path):
    run = Run(path)
    for _ in range(2):
        run.optimizer.zero_grad()
        loss = run.loss()
        loss.backward()
        run.optimizer.step()
        run.recorder.step(loss.item(), Y)


def lost(path):
    """A loss that is NaN agrees with its like."""
    model = small()
    with torch.no_grad():
        model[0].weight.fill_(3e38)  # infinite outputs, of which the last layer makes NaN
    run = Run(path, model)
    for _ in range(2):
        run.step(run.loss(X + 1))
    if [step["loss"] for step in json.loads(path.read_text())["steps"]] != ["nan", "nan"]:
        sys.exit("the run is not lost: " + path.read_text())


def shared(facula, path):
    layer = nn.Linear(6, 6)
    tied = nn.Linear(6, 6)
    tied.weight = layer.weight
    for model, names in ((nn.Sequential(layer, nn.ReLU(), layer), ["2.weight", "2.bias"]),
                         (nn.Sequential(layer, tied), ["1.weight"])):
        Run(path, model).step()
        at_exit[-1]()
        if list(json.loads(path.read_text())["shared"]) != names:
            sys.exit("shared: " + path.read_text())
        done = subprocess.run([facula, "parity", path], capture_output=True, text=True)
        if done.returncode != 2 or "needs one in which nothing is shared" not in done.stderr:
            sys.exit(f"shared: status {done.returncode}\n{done.stdout}{done.stderr}")


def diverged(path):
    run = Run(path)
    run.step()
    run.step(run.loss() * float("inf"))


def random_run(path, seed):
    r = random.Random(seed)
    torch.manual_seed(2**64 - 1 - seed if r.random() < 0.5 else seed)
    model = nn.Sequential(nn.Conv2d(1, 3, 3, bias=r.random() < 0.5), nn.ReLU(), nn.Flatten(), nn.Linear(48, 7), nn.Tanh(),
                          nn.Linear(7, 5))
    if r.random() < 0.6:
        model[r.choice([0, 3])].requires_grad_(False)
    weight = torch.rand(5) + 0.1 if r.random() < 0.6 else None
    criterion = r.choice([
        nn.CrossEntropyLoss(weight=weight, ignore_index=r.choice([-100, 1]), label_smoothing=r.choice([0, 0.2]),
                            reduction=r.choice(["mean", "sum"])),
        nn.BCEWithLogitsLoss(pos_weight=weight), nn.SmoothL1Loss(beta=0.5), nn.HuberLoss(delta=0.3), F.mse_loss])
    parameters = r.choice([model.parameters(), [p for p in model.parameters() if p.requires_grad],
                           [{"params": model[0].parameters(), "lr": 0.02}, {"params": model[3:].parameters()}]])
    optimizer = r.choice([lambda: optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=r.random() < 0.5),
                          lambda: optim.Adam(parameters, lr=0.01, weight_decay=0.01),
                          lambda: optim.Adam(parameters, lr=0.01, weight_decay=0.01, decoupled_weight_decay=True),
                          lambda: optim.AdamW(parameters, lr=0.01, betas=(0.8, 0.99)),
                          lambda: optim.RMSprop(parameters, lr=0.002, momentum=0.9)])()
    schedules = optim.lr_scheduler
    scheduler = r.choice([lambda: schedules.OneCycleLR(optimizer, 0.05, total_steps=7),
                          lambda: schedules.OneCycleLR(optimizer, 0.05, total_steps=7, cycle_momentum=False),
                          lambda: schedules.CyclicLR(optimizer, 0.001, 0.05, step_size_up=2),
                          lambda: schedules.ExponentialLR(optimizer, 0.8)])()
    clip = r.choice([None, 0.05])
    recorder = Recorder(path, model, optimizer, criterion, scheduler, steps=6, details=r.choice([1, 6]))
    for _ in range(6):
        x = torch.rand(8, 1, 6, 6)
        y = torch.randint(0, 5, (8,)) if isinstance(criterion, nn.CrossEntropyLoss) else torch.rand(8, 5)
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        recorder.step(loss, y)
        scheduler.step()


if __name__ == "__main__":
    torch.set_num_threads(1)
    facula = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name) / "run.json"
        for function, part in REFUSED:
            try:
                function(path)
            except RecorderError as error:
                if part not in str(error):
                    sys.exit(f"{function.__name__}: {error}")
            else:
                sys.exit(f"{function.__name__}: was not refused")
        print(f"{len(REFUSED)} runs that cannot be recorded: refused")
        for function in (named_argument, validation_between, zeros_between, closed_early, ended_early, another_model,
                         head_alone, loss_as_a_number, lost):
            path.unlink(missing_ok=True)
            function(path)
            agrees(facula, path, function.__name__)
        shared(facula, path)
        diverged(path)
        if json.loads(path.read_text())["steps"][1]["loss"] != "inf":
            sys.exit("an infinite loss was not recorded")
        for seed in range(60):
            random_run(path, seed)
            agrees(facula, path, f"random run {seed}")
        print("60 random runs with cycled momenta, class weights and frozen layers: agree")
