"""A run of `facula train` read by PyTorch: the lines that PyTorch's users write, with torch.load's defaults.

usage: load_run.py FACULA. Leaves with 77 where torch is not installed.
"""
import csv
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

try:
    import torch
    from torch import nn
except ImportError:
    print("torch is not installed: skipped")
    sys.exit(77)


def write_half(folder, name, n, seed):
    """n images of MNIST's form: a bright square a class, in noise."""
    draw = random.Random(seed)
    labels = bytes(draw.randrange(10) for _ in range(n))
    images = bytearray()
    for label in labels:
        for pixel in range(784):
            y, x = divmod(pixel, 28)
            top, left = label // 5 * 14, label % 5 * 5
            inside = top + 4 <= y < top + 10 and left <= x < left + 6
            images.append(draw.randrange(256 if inside else 90))
    (folder / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x0803, n, 28, 28) + images)
    (folder / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x0801, n) + labels)
    return torch.frombuffer(images, dtype=torch.uint8).view(n, 1, 28, 28).float() / 255, torch.tensor(list(labels))


class SimpleCNN(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10))


def main(facula):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_half(folder, "train", 32 + 256, 1)
        images, labels = write_half(folder, "t10k", 100, 2)
        run = folder / "run"
        subprocess.run([facula, "train", folder, "--out", run, "--epochs", "4", "--held-out", "32", "--batch-size", "16",
                        "--schedule", "cosine", "--save-every", "2"], check=True)

        # Using a saved model.
        model = SimpleCNN()
        checkpoint = torch.load(run / "best_model.pth")
        model.load_state_dict(checkpoint["model_state_dict"])
        model.eval()
        assert isinstance(checkpoint["epoch"], int) and isinstance(checkpoint["val_loss"], float)
        assert 0 <= checkpoint["val_acc"] <= 100

        # Going on with a training.
        for name in ("checkpoint_epoch_2.pth", "checkpoint_epoch_4.pth", "last.pth"):
            model = SimpleCNN()
            optimizer = torch.optim.Adam(model.parameters())
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 4)
            checkpoint = torch.load(run / name)
            model.load_state_dict(checkpoint["model_state_dict"])
            optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
            scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
            torch.set_rng_state(checkpoint["generator_state"])
            steps = {int(state["step"]) for state in optimizer.state.values()}
            assert steps == {(checkpoint["epoch"] + 1) * 16}, steps
            assert abs(scheduler.get_last_lr()[0] - optimizer.param_groups[0]["lr"]) < 1e-12
            assert scheduler.last_epoch == checkpoint["epoch"] + 1

        # The same numbers: the test's row of history.csv.
        model.eval()
        with torch.no_grad():
            scores = model(images)
            loss = nn.functional.cross_entropy(scores, labels).item()
            accuracy = 100 * (scores.argmax(1) == labels).float().mean().item()
        row = [row for row in csv.DictReader((run / "history.csv").open()) if row["split"] == "test"][-1]
        assert abs(loss - float(row["loss"])) < 1e-5 * max(1, loss), (loss, row)
        assert abs(accuracy - float(row["accuracy"])) < 1e-3, (accuracy, row)
        assert checkpoint["class_names"][7] == "7 - seven" and len(checkpoint["class_names"]) == 10
        assert str(nn.Sequential(*SimpleCNN())) == checkpoint["network"], checkpoint["network"]
    print("torch", torch.__version__, "reads the run")


if __name__ == "__main__":
    main(sys.argv[1])
