"""Makes the recordings of tests/train/test_parity.c with python/facula_recorder.py, as a user does.

    python make_parity.py      # needs torch

parity.json: of examples/parity.py. parity_norm.json: a convolution with bias in front of batch norm, whose gradient is
rounding alone, dropout, Adam and a schedule that steps with each batch. parity_net.json: a network of its own class with
named layers, two groups of parameters, losses without a module.
"""
import pathlib
import runpy
import sys

import torch
import torch.nn.functional as F
from torch import nn, optim

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "python"))
from facula_recorder import Recorder  # noqa: E402


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(36, 5)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).flatten(1))


def train(name, model, optimizer, batches, criterion, scheduler=None, **options):
    recorder = Recorder(HERE / f"{name}.json", model, optimizer, criterion, scheduler, **options)
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        recorder.step(loss, y)
        if scheduler:
            scheduler.step()
        model.eval()
        with torch.no_grad():
            model(x)  # a validation between two steps is not recorded
        model.train()


def norm():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Dropout(0.25), nn.Linear(64, 10))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    batches = [(torch.randn(8, 1, 8, 8), torch.randint(0, 10, (8,))) for _ in range(6)]
    train("parity_norm", model, optimizer, batches, nn.CrossEntropyLoss(label_smoothing=0.1),
          optim.lr_scheduler.StepLR(optimizer, 2, 0.5), steps=6, details=3)


def net():
    torch.manual_seed(2)
    model = Net()
    optimizer = optim.SGD([{"params": model.conv.parameters(), "lr": 0.02}, {"params": model.fc.parameters()}], lr=0.1,
                          momentum=0.9, nesterov=True)
    batches = [(torch.rand(4, 3, 5, 5), torch.randint(0, 5, (4,))) for _ in range(4)]
    train("parity_net", model, optimizer, batches, F.cross_entropy, steps=4, details=2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    norm()
    net()
    sys.argv = ["parity.py", str(HERE / "parity.json")]
    runpy.run_path(str(HERE.parent.parent / "examples" / "parity.py"))
