"""Makes nn.json and nn.safetensors: what PyTorch's modules print, their state dict's keys, their initial weights.

    python make_nn.py    # needs torch and safetensors

nn.json: for each model of tests/nn/test_modules.c "print" (str(model)), "keys" (of the state dict), "parameters" (of
named_parameters), "buffers"; "after": torch.rand(3) after manual_seed(0) and building it. nn.safetensors: MODEL.KEY, the
weights after manual_seed(0).
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2, stride=2)
        self.conv2 = nn.Conv2d(4, 6, 3, padding=1)
        self.fc = nn.Linear(6 * 2 * 2, 10)


class SimpleCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 4, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
            nn.Flatten(),
            nn.Linear(4 * 2 * 2, 10),
        )


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.25)
        self.fc = nn.Linear(5, 5)
        self.scale = nn.Parameter(torch.ones(5))


class Own(nn.Module):
    """Own tensors registered between layers, blocks in blocks, a list, a shared layer, tied weights."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.full((3,), 0.5))
        self.first = nn.Linear(5, 5)
        self.shift = nn.Parameter(torch.empty(7).uniform_(-1, 1))
        self.body = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), nn.ReLU())
        self.head = Head()
        self.blocks = nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5)])
        self.again = self.first
        self.tied = nn.Linear(5, 5, bias=False)
        self.tied.weight = self.first.weight
        self.gain = nn.Parameter(torch.ones(()))
        self.empty = nn.Sequential()


def layers():
    return nn.Sequential(
        nn.Conv2d(4, 8, (3, 5), stride=2, padding=(1, 0), dilation=(1, 2), groups=2, bias=False),
        nn.Conv2d(8, 8, 3, padding="same"),
        nn.Conv2d(8, 2, 1),
        nn.MaxPool2d(2),
        nn.MaxPool2d((3, 2), stride=(2, 1), padding=1, dilation=1, ceil_mode=True),
        nn.AvgPool2d(3, 2, 1),
        nn.AvgPool2d((2, 3)),
        nn.BatchNorm2d(2),
        nn.BatchNorm2d(2, eps=1e-3, momentum=None, affine=False),
        nn.BatchNorm2d(2, eps=0.25, momentum=0.01, track_running_stats=False),
        nn.BatchNorm2d(2, bias=False),
        nn.Dropout(),
        nn.Dropout(0.3),
        nn.ReLU(),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Flatten(0, 1),
        nn.Softmax(dim=1),
        nn.LogSoftmax(dim=-1),
        nn.Identity(),
        nn.Linear(3, 2, bias=False),
        nn.CrossEntropyLoss(),
        nn.NLLLoss(weight=torch.tensor([1.0, 2.0])),
    )


def sequence():
    """The layers of the generator's golden data, one after the other."""
    return nn.Sequential(nn.Linear(10, 5), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, (3, 5), groups=2, bias=False),
                         nn.Conv2d(1, 2, 1), nn.BatchNorm2d(3), nn.Linear(1, 1))


index, tensors = {"torch": torch.__version__, "models": {}}, {}
for name, make in [("cnn", CNN), ("simple", SimpleCNN), ("own", Own), ("layers", layers), ("sequence", sequence)]:
    torch.manual_seed(0)
    model = make()
    after = torch.rand(3)
    index["models"][name] = {
        "print": str(model),
        "keys": list(model.state_dict()),
        "parameters": [k for k, _ in model.named_parameters()],
        "buffers": [k for k, _ in model.named_buffers()],
        "after": after.tolist(),
    }
    for key, value in model.state_dict().items():
        tensors[f"{name}.{key}"] = value.detach().clone().contiguous()

(HERE / "nn.json").write_text(json.dumps(index, indent=1) + "\n")
save_file(tensors, HERE / "nn.safetensors")
