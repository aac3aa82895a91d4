"""PyTorch's side of bench/compare.py: one network, one mode, one JSON object on stdout.

Seed 0, the model, then the images as `facula bench` takes them. With --export FILE it measures nothing and writes
weights and batches to FILE (.npz), for peers that do not have PyTorch's generator.
"""

import itertools

import torch
from torch import nn

import common


def conv(channels_in, channels_out):
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def two_convs(channels, first, second, flat, hidden):
    layers = [conv(channels, first), nn.ReLU(), nn.MaxPool2d(2), conv(first, second), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Flatten()]
    if hidden:
        layers += [nn.Linear(flat, hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden or flat, 10))


def vgg_block(channels_in, channels_out):
    return nn.Sequential(
        conv(channels_in, channels_out),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        conv(channels_out, channels_out),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


def resnet18():
    import torchvision

    model = torchvision.models.resnet18(num_classes=10)
    # torchvision draws the convolutions anew in its own way; here every layer starts as PyTorch's layers do.
    torch.manual_seed(0)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return model


MODELS = {
    "mnist": lambda: two_convs(1, 32, 64, 64 * 7 * 7, 128),
    "cifar": lambda: two_convs(3, 32, 64, 64 * 8 * 8, None),
    "fake64": lambda: two_convs(3, 16, 32, 32 * 16 * 16, 128),
    "img224": lambda: two_convs(3, 32, 64, 64 * 56 * 56, 128),
    "vgg_bn": lambda: nn.Sequential(
        vgg_block(3, 64), vgg_block(64, 128), vgg_block(128, 256), nn.Flatten(), nn.Linear(256 * 4 * 4, 10)
    ),
    "resnet18": resnet18,
}


def photographs(arguments, side):
    """The pictures of a folder, enlarged to the network's side, shuffled by the generator; as many epochs as it takes."""
    from torchvision import datasets, transforms

    normalise = transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    transform = transforms.Compose([transforms.Resize(side), transforms.ToTensor(), normalise])
    data = datasets.ImageFolder(arguments.data, transform=transform)
    if len(data) < arguments.batch:
        raise SystemExit(f"{arguments.data} has fewer than {arguments.batch} images: not one batch")
    loader = torch.utils.data.DataLoader(data, batch_size=arguments.batch, shuffle=True, drop_last=True)
    epochs = itertools.chain.from_iterable(itertools.repeat(loader))
    return list(itertools.islice(epochs, arguments.batches))


def prepare(arguments):
    """The model and the batches, in the order of `facula bench`."""
    _, side = common.fill_defaults(arguments)
    torch.manual_seed(0)
    model = MODELS[arguments.network]()
    if arguments.network == "mnist":
        batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in common.mnist_batches(arguments)]
    else:
        batches = photographs(arguments, side)
    return model, batches


def export(arguments):
    import numpy as np

    model, batches = prepare(arguments)
    arrays = {f"weight:{name}": value.numpy() for name, value in model.state_dict().items()}
    for i, (images, labels) in enumerate(batches):
        arrays[f"images:{i}"] = images.numpy()
        arrays[f"labels:{i}"] = labels.numpy()
    np.savez(arguments.export, **arrays)


def run(arguments):
    torch.set_num_threads(arguments.threads)
    model, batches = prepare(arguments)
    if arguments.channels_last:
        model = model.to(memory_format=torch.channels_last)
        batches = [(images.to(memory_format=torch.channels_last), labels) for images, labels in batches]
    training = arguments.mode == "train"
    model.train(training)
    criterion = nn.CrossEntropyLoss()
    if training:
        fused = {"fused": True} if arguments.fused_adam else {}
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **fused)
    forward = torch.compile(model) if arguments.compile else model

    def train_step(i, with_loss):
        images, labels = batches[i]
        loss = criterion(forward(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def infer_step(i, with_loss):
        images, labels = batches[i]
        with torch.inference_mode():
            scores = forward(images)
            return criterion(scores, labels).item() if with_loss else None

    common.measure(arguments, train_step if training else infer_step, "torch", torch.__version__)


def main():
    parser = common.argument_parser(__doc__)
    parser.add_argument("--export", metavar="FILE", help="write weights and batches to this .npz instead of measuring")
    parser.add_argument("--channels-last", action="store_true", help="weights and images in channels-last order")
    parser.add_argument("--compile", action="store_true", help="torch.compile; needs a C++ compiler")
    parser.add_argument("--fused-adam", action="store_true", help="Adam(fused=True)")
    arguments = parser.parse_args()
    if arguments.export:
        export(arguments)
    else:
        run(arguments)


if __name__ == "__main__":
    main()
