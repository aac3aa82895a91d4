#!/usr/bin/env python3
"""PyTorch's side of bench/job.py: the whole MNIST job, or its first step alone; a line of JSON on standard output. The same
program as bench/job.c, in the same order."""

import argparse
import json
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="MNIST/raw is in it; without it one step on images in memory")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--fused-adam", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    memory = torch.channels_last if arguments.channels_last else torch.contiguous_format
    model = model.to(memory_format=memory)
    criterion = nn.CrossEntropyLoss()
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, **({"fused": True} if arguments.fused_adam else {}))

    def train_step(images, labels):
        loss = criterion(model(images.to(memory_format=memory)), labels)
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.item()

    if arguments.folder is None:
        loss = train_step(torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,)))
        print(json.dumps({"loss": loss, "at": time.monotonic()}))
        return

    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])

    def digits(train):
        data = datasets.MNIST(arguments.folder, train=train, transform=transform)
        return DataLoader(data, batch_size=64 if train else 500, shuffle=train, num_workers=arguments.workers)

    train_loader, test_loader = digits(True), digits(False)
    losses = [train_step(images, labels) for images, labels in train_loader]
    model.eval()
    test_loss, correct, total = 0.0, 0, 0
    with torch.inference_mode():
        for images, labels in test_loader:
            scores = model(images.to(memory_format=memory))
            test_loss += criterion(scores, labels).item() * len(labels)
            correct += (scores.argmax(1) == labels).sum().item()
            total += len(labels)
    report = {"train_loss": sum(losses) / len(losses), "test_loss": test_loss / total, "accuracy": correct / total}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
