"""Makes errors.json: mistakes that both PyTorch and this library must refuse.

    python make_errors.py            # needs torch and torchvision; writes beside this file

Each line is a name and a call in PyTorch's words; the script runs the call and insists that it raises. The messages are
not kept: ours are our own. tests/ops/test_errors.c has the same mistakes in C, each with its mended program.
"""
import json
import pathlib
import warnings

import torch
import torch.nn.functional as F
import torchvision
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

MISTAKES = [
    ("conv2d: wrong number of channels", "nn.Conv2d(3, 8, 3)(R(2, 1, 8, 8))"),
    ("conv2d: wrong number of channels, groups", "nn.Conv2d(4, 8, 3, groups=2)(R(2, 3, 8, 8))"),
    ("conv2d: kernel bigger than the padded input", "nn.Conv2d(1, 8, 5)(R(2, 1, 3, 3))"),
    ("conv2d: dilated kernel bigger than the padded input", "nn.Conv2d(1, 8, 3, padding=1, dilation=4)(R(2, 1, 3, 3))"),
    ("conv2d: input of 2 dimensions", "nn.Conv2d(1, 8, 3)(R(8, 8))"),
    ("conv2d: input of 5 dimensions", "nn.Conv2d(1, 8, 3)(R(1, 1, 1, 8, 8))"),
    ("conv2d: in_channels % groups", "nn.Conv2d(3, 8, 3, groups=2)"),
    ("conv2d: out_channels % groups", "nn.Conv2d(4, 7, 3, groups=2)"),
    ("conv2d: groups 0", "nn.Conv2d(4, 8, 3, groups=0)"),
    ("conv2d: negative padding", "nn.Conv2d(1, 8, 3, padding=-1)(R(1, 1, 8, 8))"),
    ("conv2d: stride 0", "nn.Conv2d(1, 8, 3, stride=0)(R(1, 1, 8, 8))"),
    ("conv2d: dilation 0", "nn.Conv2d(1, 8, 3, dilation=0)(R(1, 1, 8, 8))"),
    ("conv2d: padding='same' with a stride", "nn.Conv2d(1, 8, 3, stride=2, padding='same')"),
    ("conv2d: integer input", "nn.Conv2d(1, 8, 3)(torch.zeros(1, 1, 8, 8, dtype=torch.int64))"),
    ("conv2d: uint8 input", "nn.Conv2d(1, 8, 3)(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))"),
    ("conv2d: float64 input", "nn.Conv2d(1, 8, 3)(R(1, 1, 8, 8).double())"),
    ("conv2d: bias of the wrong size", "F.conv2d(R(1, 1, 8, 8), R(8, 1, 3, 3), R(7))"),
    ("linear: wrong number of features", "nn.Linear(10, 5)(R(2, 9))"),
    ("linear: flatten forgotten", "nn.Linear(512, 5)(R(2, 8, 8, 8))"),
    ("linear: int64 input", "nn.Linear(10, 5)(torch.zeros(2, 10, dtype=torch.int64))"),
    ("matmul: inner sizes", "R(2, 3) @ R(4, 5)"),
    ("matmul: a single number", "R(2, 3) @ R(())"),
    ("add: shapes", "R(2, 3) + R(2, 4)"),
    ("view: wrong size", "R(2, 3, 4).view(2, 13)"),
    ("view: -1 does not divide", "R(2, 3, 4).view(5, -1)"),
    ("view: two -1", "R(2, 3, 4).view(-1, -1)"),
    ("view: not contiguous", "R(2, 3).t().view(6)"),
    ("reshape: wrong size", "R(2, 3).reshape(7)"),
    ("permute: a dimension twice", "R(2, 3, 4).permute(0, 0, 1)"),
    ("expand: a size that is not 1", "R(2, 3).expand(2, 4)"),
    ("slice: step 0", "R(5)[::0]"),
    ("index out of range", "R(3)[5]"),
    ("dim out of range", "R(3, 3).sum(2)"),
    ("dim given twice", "R(3, 3).sum((0, 0))"),
    ("mean of integers", "torch.zeros(3, dtype=torch.int64).mean()"),
    ("argmax of nothing", "R(2, 0).argmax(1)"),
    ("softmax: dim out of range", "R(3, 3).softmax(2)"),
    ("item of many", "R(3).item()"),
    ("cross_entropy: target too large", "F.cross_entropy(R(4, 10), L(0, 1, 10, 2))"),
    ("cross_entropy: negative target", "F.cross_entropy(R(4, 10), L(0, 1, -1, 2))"),
    ("cross_entropy: batch sizes differ", "F.cross_entropy(R(4, 10), L(0, 1, 2))"),
    ("cross_entropy: float class indices", "F.cross_entropy(R(4, 10), torch.zeros(4))"),
    ("cross_entropy: int32 targets", "F.cross_entropy(R(4, 10), torch.zeros(4, dtype=torch.int32))"),
    ("cross_entropy: targets [N,1]", "F.cross_entropy(R(4, 10), torch.zeros(4, 1, dtype=torch.int64))"),
    ("cross_entropy: weight of the wrong size", "F.cross_entropy(R(4, 10), L(0, 1, 2, 3), torch.ones(9))"),
    ("cross_entropy: label_smoothing out of range", "F.cross_entropy(R(4, 10), L(0, 1, 2, 3), label_smoothing=2)"),
    ("cross_entropy: spatial sizes differ", "F.cross_entropy(R(4, 10, 3, 3), torch.zeros(4, 3, 2, dtype=torch.int64))"),
    ("nll_loss: target too large", "F.nll_loss(R(4, 10), L(0, 1, 10, 2))"),
    ("batchnorm: one value per channel in training", "nn.BatchNorm2d(3)(R(1, 3, 1, 1))"),
    ("batchnorm: 3-D input", "nn.BatchNorm2d(3)(R(3, 4, 4))"),
    ("batchnorm: wrong number of channels", "nn.BatchNorm2d(3)(R(2, 4, 4, 4))"),
    ("max_pool2d: padding too big", "F.max_pool2d(R(1, 1, 8, 8), 2, padding=2)"),
    ("max_pool2d: negative padding", "F.max_pool2d(R(1, 1, 8, 8), 2, padding=-1)"),
    ("max_pool2d: output too small", "F.max_pool2d(R(1, 1, 2, 2), 3)"),
    ("max_pool2d: stride 0", "F.max_pool2d(R(1, 1, 8, 8), 2, stride=0)"),
    ("max_pool2d: kernel 0, stride 1", "F.max_pool2d(R(1, 1, 8, 8), 0, stride=1)"),
    ("max_pool2d: dilation 0", "F.max_pool2d(R(1, 1, 8, 8), 2, dilation=0)"),
    ("max_pool2d: 2-D input", "F.max_pool2d(R(8, 8), 2)"),
    ("avg_pool2d: padding too big", "F.avg_pool2d(R(1, 1, 8, 8), 2, padding=2)"),
    ("avg_pool2d: divisor 0", "F.avg_pool2d(R(1, 1, 8, 8), 2, divisor_override=0)"),
    ("dropout: p out of range", "nn.Dropout(1.5)"),
    ("flatten: start after end", "R(2, 3, 4).flatten(2, 1)"),
    ("backward: twice", "y = (leaf() * 2).exp().sum(); y.backward(); y.backward()"),
    ("backward: not a scalar", "(leaf() * 2).backward()"),
    ("backward: nothing requires grad", "R(3).sum().backward()"),
    ("backward: gradient of another shape", "(leaf() * 2).backward(R(4))"),
    ("in-place on a leaf", "leaf().add_(1)"),
    ("in-place: the other operand does not fit", "R(2, 3).add_(R(2, 4))"),
    ("requires_grad of integers", "torch.zeros(3, dtype=torch.int64, requires_grad=True)"),
    ("optimizer: no parameters", "optim.SGD([])"),
    ("optimizer: negative learning rate", "optim.SGD([leaf()], lr=-1)"),
    ("optimizer: negative momentum", "optim.SGD([leaf()], lr=0.1, momentum=-1)"),
    ("optimizer: negative weight decay", "optim.SGD([leaf()], lr=0.1, weight_decay=-1)"),
    ("optimizer: nesterov without momentum", "optim.SGD([leaf()], lr=0.1, nesterov=True)"),
    ("optimizer: Adam beta", "optim.Adam([leaf()], betas=(1.0, 0.999))"),
    ("optimizer: Adam eps", "optim.Adam([leaf()], eps=-1)"),
    ("optimizer: not a leaf", "optim.SGD([leaf() * 2])"),
    ("dataset: index out of range", "TensorDataset(R(3, 2))[5]"),
    ("dataset: tensors of different lengths", "TensorDataset(R(3, 2), R(4))"),
    ("loader: empty data set with shuffle", "DataLoader(TensorDataset(R(0, 2)), shuffle=True)"),
    ("loader: batch_size 0", "DataLoader(TensorDataset(R(3, 2)), batch_size=0)"),
    ("loader: num_workers -1", "DataLoader(TensorDataset(R(3, 2)), num_workers=-1)"),
    ("loader: samples of different sizes", "list(DataLoader(Uneven(), batch_size=2))"),
    ("random_split: lengths", "random_split(TensorDataset(R(10, 2)), [3, 8])"),
    ("MNIST: not there", "torchvision.datasets.MNIST('nowhere')"),
    ("Normalize: std 0", "torchvision.transforms.Normalize([0.5], [0.0])(R(1, 2, 2))"),
    ("randint: empty range", "torch.randint(5, 5, (2,))"),
    ("tensor: negative size", "torch.randn(-1)"),
]


class Uneven(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        if i >= 2:
            raise IndexError
        return torch.zeros(2 + i)


def leaf():
    return torch.ones(3, requires_grad=True)


NAMES = {"torch": torch, "torchvision": torchvision, "nn": nn, "F": F, "optim": optim, "DataLoader": DataLoader,
         "TensorDataset": TensorDataset, "random_split": random_split, "Uneven": Uneven, "leaf": leaf,
         "R": torch.randn, "L": lambda *v: torch.tensor(v)}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name, call in MISTAKES:
        try:
            exec(call, dict(NAMES))
        except Exception:
            continue
        raise SystemExit(f"PyTorch accepts: {name}: {call}")
    assert len({n for n, _ in MISTAKES}) == len(MISTAKES)
    text = ",\n".join("  " + json.dumps({"name": n, "call": c}) for n, c in MISTAKES)
    path = pathlib.Path(__file__).resolve().parent / "errors.json"
    path.write_text('{"torch": "' + torch.__version__.split("+")[0] + '", "mistakes": [\n' + text + "\n]}\n")
    print(len(MISTAKES), "mistakes")
