"""The exercise's training, gone on with by PyTorch: reads the last.pth that exercise_train has written, and does the next
epochs as exercise_train would. usage: exercise_go_on.py FOLDER EPOCHS [MNIST's folder]"""
import gzip
import sys

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, random_split

folder, epochs = sys.argv[1], int(sys.argv[2])
root = sys.argv[3] if len(sys.argv) > 3 else "data/mnist"


def numbers(name, header):
    with gzip.open(f"{root}/train-{name}-ubyte.gz") as file:
        return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)


torch.manual_seed(0)
digits = TensorDataset(numbers("images-idx3", 16).view(-1, 1, 28, 28) / 255, numbers("labels-idx1", 8).long())
part = random_split(digits, [5000, 1000, 54000])
train = DataLoader(part[0], batch_size=32, shuffle=True)
validation = DataLoader(part[1], batch_size=500)
model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1),
                      nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25), nn.Linear(16 * 7 * 7, 10))
optimizer = optim.Adam(model.parameters(), lr=0.001)

saved = torch.load(f"{folder}/last.pth")
model.load_state_dict(saved["model_state_dict"])
optimizer.load_state_dict(saved["optimizer_state_dict"])
torch.set_rng_state(saved["generator_state"])

for epoch in range(saved["epochs_done"], epochs):
    train_loss = val_loss = correct = 0
    model.train()
    for images, labels in train:
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        train_loss += loss.item() * len(images) / 5000
    model.eval()
    with torch.no_grad():
        for images, labels in validation:
            scores = model(images)
            val_loss += F.cross_entropy(scores, labels).item() * len(images) / 1000
            correct += (scores.argmax(1) == labels).sum().item()
    print(f"epoch {epoch + 1}: training loss {train_loss:.4f}, validation loss {val_loss:.4f}, {correct / 10:.1f} %")
