"""Makes the recordings of tests/train/test_parity.c with python/facula_recorder.py, as a user does.

    python make_parity.py      # needs torch

parity.json: of examples/parity.py. parity_norm.json: a convolution with bias in front of batch norm, whose gradient is
rounding alone, dropout, Adam and a schedule that steps with each batch. parity_net.json: a network of its own class with
named layers, two groups of parameters, losses without a module. parity_cycle.json: a frozen layer, class weights,
ignore_index and label smoothing, and a one-cycle schedule, which moves the momentum as well; parity_betas.json: Adam's
betas so moved, and the largest seed. parity_clip.json: clipped gradients, and batch norm in evaluation. parity_head.json:
an optimizer of the last layer alone, while gradients of the first one add up. parity_lost.json: a loss that becomes infinite,
then NaN. parity_flip.json, parity_crop.json: examples/parity.py with a random transform.
"""
import gzip
import itertools
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


def train(name, model, optimizer, batches, criterion, scheduler=None, evaluating=(), clip=None, **options):
    recorder = Recorder(HERE / f"{name}.json", model, optimizer, criterion, scheduler, **options)
    for x, y in batches:
        for module in evaluating:
            module.eval()
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
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


def cycle():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5))
    model[0].requires_grad_(False)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    batches = [(torch.rand(6, 1, 6, 6), torch.randint(0, 5, (6,))) for _ in range(6)]
    criterion = nn.CrossEntropyLoss(weight=torch.tensor([0.5, 1, 2, 3, 0.25]), ignore_index=2, label_smoothing=0.1)
    train("parity_cycle", model, optimizer, batches, criterion,
          optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=8), steps=6, details=6)


def betas():
    torch.manual_seed(2**64 - 1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    batches = [(torch.rand(6, 1, 3, 3), torch.rand(6, 3)) for _ in range(5)]
    train("parity_betas", model, optimizer, batches, nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1., 2, 3])),
          optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=6), steps=5, details=5)


def clip():
    torch.manual_seed(4)
    model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5))
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    batches = [(torch.rand(6, 1, 6, 6), torch.randint(0, 5, (6,))) for _ in range(4)]
    train("parity_clip", model, optimizer, batches, nn.CrossEntropyLoss(), evaluating=[model[1]], clip=0.5, steps=4,
          details=4)


def head():
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5))
    optimizer = optim.SGD(model[3].parameters(), lr=0.1, momentum=0.9)
    batches = [(torch.rand(6, 1, 6, 6), torch.randint(0, 5, (6,))) for _ in range(4)]
    train("parity_head", model, optimizer, batches, nn.CrossEntropyLoss(), steps=4, details=4)


def lost():
    torch.manual_seed(6)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 5))
    optimizer = optim.SGD(model.parameters(), lr=1e20)
    batches = [(torch.rand(4, 1, 4, 4), torch.rand(4, 5)) for _ in range(4)]
    train("parity_lost", model, optimizer, batches, nn.MSELoss(), steps=4, details=4)


def idx(name, header):
    with gzip.open(HERE.parent.parent / f"data/mnist/{name}.gz") as file:
        return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)


class Pictures(torch.utils.data.Dataset):
    """The first 64 of MNIST, flipped or cropped at random as torchvision's transforms draw it."""

    def __init__(self, flip):
        self.flip = flip
        self.images = idx("train-images-idx3-ubyte", 16).view(-1, 1, 28, 28)[:64]
        self.labels = idx("train-labels-idx1-ubyte", 8)[:64].long()

    def __len__(self):
        return 64

    def __getitem__(self, i):
        image = self.images[i]
        if self.flip:
            image = image.flip(-1) if torch.rand(1) < 0.5 else image
        else:
            top, left = (int(torch.randint(0, 5, (1,))) for _ in range(2))
            image = F.pad(image, (2, 2, 2, 2))[:, top:top + 28, left:left + 28]
        return image.float().div(255).sub(0.1307).div(0.3081), self.labels[i]


def augmented(flip):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(196, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    loader = torch.utils.data.DataLoader(Pictures(flip), batch_size=4, shuffle=True)
    train("parity_flip" if flip else "parity_crop", model, optimizer, itertools.islice(loader, 2), nn.CrossEntropyLoss(),
          steps=2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    norm()
    net()
    cycle()
    betas()
    clip()
    head()
    lost()
    augmented(True)
    augmented(False)
    sys.argv = ["parity.py", str(HERE / "parity.json")]
    runpy.run_path(str(HERE.parent.parent / "examples" / "parity.py"))
