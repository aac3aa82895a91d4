"""Makes train.json, train.safetensors and train100.json: whole training runs on MNIST.

    python make_train.py [train] [train100]    # needs torch and safetensors; train100 takes some minutes

train.json: four short runs on the first 2,000 training images with every loss, and the counts on the first 1,000 test
images after each epoch. train.safetensors: the weights that they start from, RUN.NAME.

train100.json: the network `mnist` for 100 steps on the first 6,400 images, plain, with batch norm, and (_all) also with
dropout, RandomCrop, RandomHorizontalFlip and a schedule that steps with each batch. losses_float64 is the curve to hold on
to; worst_mean_11_100 says how far PyTorch's own float32 modes (1 thread, 2 threads, without oneDNN) stray from it. crc32 is
of the bytes of the initial float32 weights in order, and of the first three batches of images; order has the whole order of
items as the crc32 of its int64 numbers, and the first 8 of the first three batches.

Order of events in all of them: manual_seed(0), model built, loaders built, epochs.
"""
import gzip
import json
import pathlib
import sys
import zlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset, TensorDataset

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent.parent / "data" / "mnist"


def idx(name, header):
    packed = DATA / (name + ".gz")
    raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (DATA / name).read_bytes()
    return torch.frombuffer(bytearray(raw[header:]), dtype=torch.uint8)


def mnist(part, count):
    images = idx(f"{part}-images-idx3-ubyte", 16).view(-1, 1, 28, 28)[:count].float().div(255)
    return images, idx(f"{part}-labels-idx1-ubyte", 8)[:count].long()


def plain_net():
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1),
                         nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(784, 10))


def norm_net():
    """AdaptiveAvgPool2d(3) of 12x12 maps is an average over windows of 4."""
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(),
                         nn.Dropout(0.25), nn.Linear(144, 32), nn.ReLU(), nn.Linear(32, 10))


def mnist_net(norm, drop=False):
    def block(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=not norm)] + [nn.BatchNorm2d(o)] * norm + [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*block(1, 32), *block(32, 64), nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(),
                         *[nn.Dropout(0.25)] * drop, nn.Linear(128, 10))


class Augmented(Dataset):
    """Pictures as torchvision has them, cropped and flipped at random."""

    def __init__(self, count):
        from PIL import Image
        from torchvision import transforms as T
        images, labels = mnist("train", count)
        self.images = [Image.fromarray(i[0].mul(255).round().byte().numpy()) for i in images]
        self.labels = labels.tolist()
        self.transform = T.Compose([T.RandomCrop(28, padding=2), T.RandomHorizontalFlip(), T.ToTensor()])

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.transform(self.images[i]), self.labels[i], i


def short(v):
    return float(f"{v:.9g}")


RUNS = [
    ("sgd", plain_net, "SGD(lr=0.1)", lambda p: optim.SGD(p, lr=0.1), 1, False),
    ("sgd_momentum", plain_net, "SGD(lr=0.02, momentum=0.9, weight_decay=5e-4), StepLR(1, 0.5) per epoch",
     lambda p: optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=5e-4), 2, True),
    ("adam", plain_net, "Adam(lr=0.001)", lambda p: optim.Adam(p, lr=0.001), 1, False),
    ("adam_bn_dropout", norm_net, "Adam(lr=0.002)", lambda p: optim.Adam(p, lr=0.002), 2, False),
]


def train():
    training, validation = TensorDataset(*mnist("train", 2000)), TensorDataset(*mnist("t10k", 1000))
    runs, weights = [], {}
    for name, build, words, make, epochs, schedule in RUNS:
        torch.manual_seed(0)
        model = build()
        weights.update({f"{name}.{k}": v.clone() for k, v in model.state_dict().items()})
        batches, checks = DataLoader(training, 64, shuffle=True), DataLoader(validation, 250)
        optimizer = make(model.parameters())
        scheduler = optim.lr_scheduler.StepLR(optimizer, 1, 0.5) if schedule else None
        losses, evals = [], []
        for _ in range(epochs):
            model.train()
            for x, y in batches:
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(short(loss.item()))
            if scheduler:
                scheduler.step()
            model.eval()
            with torch.no_grad():
                scores = [(model(x), y) for x, y in checks]
                evals.append({"val_loss": short(sum(F.cross_entropy(s, y).item() for s, y in scores) / len(scores)),
                              "correct": sum((s.argmax(1) == y).sum().item() for s, y in scores), "total": 1000})
        runs.append({"name": name, "optimizer": words, "epochs": epochs, "losses": losses, "evals": evals})
        print(name, losses[0], losses[-1], evals)
    dump("train", runs)
    save_file(weights, HERE / "train.safetensors")
    (HERE / "train.safetensors").chmod(0o644)


def run100(data, norm, everything, make, dtype=torch.float32, threads=1, onednn=True):
    torch.set_num_threads(threads)
    torch.backends.mkldnn.set_flags(onednn)
    torch.manual_seed(0)
    model = mnist_net(norm, everything)
    crc = 0
    for p in model.parameters():
        crc = zlib.crc32(p.detach().numpy().tobytes(), crc)
    facts = {"weights_crc32": crc, "order": [], "batches_crc32": []}
    loader = DataLoader(data, 64, shuffle=True)
    model = model.to(dtype)
    optimizer = make(model.parameters())
    schedule = optim.lr_scheduler.StepLR(optimizer, 30, 0.5) if everything else None
    losses, order = [], 0
    for x, y, i in loader:
        order = zlib.crc32(i.numpy().tobytes(), order)
        if len(facts["order"]) < 3:
            facts["order"].append(i[:8].tolist())
            facts["batches_crc32"].append(zlib.crc32(x.numpy().tobytes()))
        loss = F.cross_entropy(model(x.to(dtype)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if schedule:
            schedule.step()
        losses.append(loss.item())
    facts["order_crc32"] = order
    facts["then_rand"] = torch.rand(2).tolist()
    torch.set_num_threads(1)
    torch.backends.mkldnn.set_flags(True)
    return losses, facts


def train100():
    plain, augmented = TensorDataset(*mnist("train", 6400), torch.arange(6400)), Augmented(6400)
    kinds = [("sgd", "SGD(lr=0.05, momentum=0.9)", lambda p: optim.SGD(p, lr=0.05, momentum=0.9)),
             ("adam", "Adam(lr=0.001)", lambda p: optim.Adam(p, lr=0.001)),
             ("adamw", "AdamW(lr=0.001)", lambda p: optim.AdamW(p, lr=0.001))]
    runs = []
    for name, words, make, norm, everything in (
            [(n + "_bn" * norm, w, m, norm, False) for n, w, m in kinds for norm in (False, True)] +
            [("adam_bn_all", kinds[1][1] + ", StepLR(30, 0.5) per step", kinds[1][2], True, True)]):
        data = augmented if everything else plain
        exact, facts = run100(data, norm, everything, make, torch.float64)
        means = []
        for mode in ({}, {"threads": 2}, {"onednn": False}):
            rounded, again = run100(data, norm, everything, make, **mode)
            assert again == facts
            means.append(sum(abs(a - b) for a, b in zip(rounded[10:], exact[10:])) / 90)
        runs.append({"name": name, "optimizer": words, "batch_norm": norm, "everything": everything, **facts, "worst_mean_11_100": short(max(means)),
                     "losses_float64": exact})
        print(name, exact[0], exact[-1], means, flush=True)
    dump("train100", runs)


def dump(stem, runs):
    text = ",\n".join(json.dumps(r) for r in runs)
    (HERE / f"{stem}.json").write_text('{"torch": "' + torch.__version__.split("+")[0] + '", "runs": [\n' + text + "\n]}\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in sys.argv[1:] or ["train", "train100"]:
        {"train": train, "train100": train100}[part]()
