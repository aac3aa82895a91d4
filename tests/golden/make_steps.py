"""Makes steps.json and steps.safetensors: single training steps from PyTorch's weights and optimizer state.

    python make_steps.py                    # the small network of tests/runs/test_steps.c, needs torch and safetensors
    python make_steps.py --full STEM        # the network `mnist` itself, to STEM.json and STEM.safetensors (60 MB)

The runs are those of train100.json (see make_train.py): SGD with momentum, Adam, AdamW; plain, with batch norm, and Adam
with batch norm, dropout and a schedule. At steps 0, 10, ... 90 it keeps weights, buffers, optimizer state, learning rate and
the items of the batch before the step, and the loss, weights and buffers after it: RUN.STEP.before.NAME,
RUN.STEP.state.NAME.KEY, RUN.STEP.after.NAME. Dropout draws from manual_seed(STEP). The small network sees every other pixel.
"""
import json
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn, optim

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from make_train import HERE, mnist  # noqa: E402

SMALL = {"channels": [3, 6], "hidden": 12, "stride": 2, "flat": 54}
FULL = {"channels": [32, 64], "hidden": 128, "stride": 1, "flat": 3136}
OPTIMIZERS = {"sgd": ("SGD", lambda p: optim.SGD(p, lr=0.05, momentum=0.9)),
              "adam": ("Adam", lambda p: optim.Adam(p, lr=0.001)),
              "adamw": ("AdamW", lambda p: optim.AdamW(p, lr=0.001))}
RUNS = [(n + suffix, n, norm, everything) for n in OPTIMIZERS
        for suffix, norm, everything in (("", False, False), ("_bn", True, False))] + [("adam_bn_all", "adam", True, True)]


def net(size, norm, everything):
    a, b = size["channels"]

    def block(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=not norm)] + [nn.BatchNorm2d(o)] * norm + [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*block(1, a), *block(a, b), nn.Flatten(), nn.Linear(size["flat"], size["hidden"]), nn.ReLU(),
                         *[nn.Dropout(0.25)] * everything, nn.Linear(size["hidden"], 10))


def record(size, images, labels, name, kind, norm, everything, tensors):
    torch.manual_seed(0)
    model = net(size, norm, everything)
    optimizer = OPTIMIZERS[kind][1](model.parameters())
    schedule = optim.lr_scheduler.StepLR(optimizer, 30, 0.5) if everything else None
    order = torch.randperm(6400).view(100, 64)
    names = [n for n, _ in model.named_parameters()]
    steps = []
    for step, items in enumerate(order[:91]):
        kept = step % 10 == 0
        if kept:
            torch.manual_seed(step)
            tensors.update({f"{name}.{step}.before.{k}": v.clone() for k, v in model.state_dict().items()})
            for i, s in optimizer.state_dict()["state"].items():
                tensors.update({f"{name}.{step}.state.{names[i]}.{k}": v.clone() for k, v in s.items() if k != "step"})
            steps.append({"step": step, "lr": optimizer.param_groups[0]["lr"], "items": items.tolist()})
        loss = F.cross_entropy(model(images[items]), labels[items])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if schedule:
            schedule.step()
        if kept:
            steps[-1]["loss"] = loss.item()
            tensors.update({f"{name}.{step}.after.{k}": v.clone() for k, v in model.state_dict().items()})
    return {"name": name, "optimizer": OPTIMIZERS[kind][0], "norm": norm, "everything": everything, "steps": steps}


def main(size, stem):
    images, labels = mnist("train", 6400)
    images = images[:, :, ::size["stride"], ::size["stride"]].contiguous()
    tensors = {}
    runs = ",\n".join(json.dumps(record(size, images, labels, *run, tensors)) for run in RUNS)
    save_file(tensors, f"{stem}.safetensors")
    pathlib.Path(f"{stem}.safetensors").chmod(0o644)
    pathlib.Path(f"{stem}.json").write_text(
        '{"torch": "%s", "size": %s, "runs": [\n%s\n]}\n' % (torch.__version__.split("+")[0], json.dumps(size), runs))


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--full"]:
        main(FULL, sys.argv[2])
    else:
        main(SMALL, HERE / "steps")
