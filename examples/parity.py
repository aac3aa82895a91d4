"""A small PyTorch training, recorded for examples/parity.c, its port.

    PYTHONPATH=python python examples/parity.py RUN.json
"""
import gzip
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from facula_recorder import Recorder


def idx(name, header):
    with gzip.open(f"data/mnist/{name}.gz") as file:
        return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)


images = idx("train-images-idx3-ubyte", 16).view(-1, 1, 28, 28)[:64].float().div(255).sub(0.1307).div(0.3081)
labels = idx("train-labels-idx1-ubyte", 8)[:64].long()

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                      nn.Linear(196, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
loader = DataLoader(TensorDataset(images, labels), batch_size=4, shuffle=True)
recorder = Recorder(sys.argv[1], model, optimizer, criterion, steps=8, details=2)
for x, y in loader:
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    recorder.step(loss, y)
