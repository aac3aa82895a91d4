"""Makes lesson.json: what the code blocks of the lesson print and compute in PyTorch, for the programs of examples/lesson/.

    python make_lesson.py LESSON.rst    # needs torch and torchvision; minutes

Each block runs with torch.manual_seed(0) before it, in one namespace with those before; lines that use what a block only
defines are added at its end (ADDED). The programs of what the lesson says in words have their counterpart in Python here.
A program's entry:

    python        the block's lines of code: no comments, blank lines or imports; with the lines added
    stdout        what it prints
    free_from     the first line of stdout whose decimal numbers may be others: a training that has parted by then
    weights       [name, crc32] of the model's parameters before its first call
    inputs        crc32 of what the model was called with, the first 10 calls
    batches       [crc32, ...] of the fields of each batch of a loader
    labels        crc32 of the labels that the loss was given, the first 10 times
    train_losses, eval_losses    each loss, with gradients on and off
    output        the first 8 numbers of what the first call gave
    loaded        [name, crc32] of the weights after loading

crc32 is of the elements, row-major, little endian."""
import ast
import contextlib
import gzip
import io
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import warnings
import zlib

import torch
import torch.nn as nn
import torchvision

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent.parent / "data" / "mnist"
MAKE_DATA = """n = 96 if data_path == 'train_data' else 32
        self.data = torch.randn(n, 3, 64, 64)
        self.labels = torch.randint(0, 10, (n,))"""

# Program: section, text that finds the block in it, lines before, lines after, replacements, first free line.
BLOCKS = {
    "2_1_conv2d": ("2.1", "nn.Conv2d(", "", "", []),
    "3_1_max_pool": ("3.1", "F.max_pool2d", "", "", []),
    "3_2_avg_pool": ("3.2", "F.avg_pool2d", "", "", []),
    "3_3_cnn_with_pooling": ("3.3", "class CNNWithPooling", "",
                             "model = CNNWithPooling()\nprint(model)\nx = torch.randn(2, 3, 224, 224)\n"
                             "output = model(x)\nprint(output.shape)\n", []),
    "3_4_simple_cnn": ("3.4", "class SimpleCNN", "", "", []),
    "4_3_batch": ("4.3", "nn.Conv2d(3, 64", "", "print(output.shape)\n", []),
    "4_3_mini_batches": ("4.3", "num_batches", "", "", []),
    "5_1_custom_dataset": ("5.1", "class CustomDataset", "",
                           "d = CustomDataset(torch.arange(6.).view(3, 2), torch.tensor([4, 5, 6]))\n"
                           "item = d[1]\nprint(len(d), item)\n", []),
    "5_1_simple_image_dataset": ("5.1", "class SimpleImageDataset", "", "", []),
    "5_2_data_loader": ("5.2", "num_workers=4", "", "", []),
    "5_3_training": ("5.3", "class MyDataset", "", "", []),
    "5_4_datasets": ("5.4", "datasets.MNIST", "", "", []),
    "6_1_whole_model": ("6.1", "model_complet.pth", "", "print(model_charge)\n",
                        [("torch.load('model_complet.pth')", "torch.load('model_complet.pth', weights_only=False)")]),
    "6_2_weights": ("6.2", "model_weights.pth", "model = SimpleCNN()\n", "print(model.net[0].bias)\n", []),
    "6_3_checkpoint": ("6.3", "checkpoint.pth", "",
                       "print(start_epoch, f'{loss.item():.4f}')\n", []),
    "6_4_best_model": ("6.4", "best_val_loss", "", "", []),
    "6_5_inference": ("6.5", "test_loader", "", "", [
        (re.compile(r"# Définir la classe.*?pass\n", re.S), ""),
        ("# ... traiter les prédictions ...", "print(predicted)\n        break")]),
    "7_1_pipeline": ("7.1", "class CustomDataset", "", "", [("# Charger vos données\n        pass", MAKE_DATA)]),
}
# What must be there before a block, and is not counted as its own.
BEFORE = {
    "6_3_checkpoint": "epoch = 3\nmodel = SimpleCNN()\noptimizer = optim.Adam(model.parameters(), lr=0.001)\n"
                      "loss = nn.CrossEntropyLoss()(model(torch.randn(4, 3, 64, 64)), torch.tensor([0, 1, 2, 3]))\n"
                      "loss.backward()\noptimizer.step()\n",
    "6_5_inference": "test_loader = val_loader\n",
}
# The first line of stdout whose decimal numbers are free: step 20 of these trainings is behind it. 4.3 is held whole.
FREE_FROM = {"5_3_training": 1, "7_1_pipeline": 15}
# What is left out of an entry: trained weights are those of the CPU; 6.3 makes a step, and is no loop.
LEFT_OUT = {"6_3_checkpoint": ("loaded", "labels", "train_losses"), "6_5_inference": ("loaded", "weights", "output")}


def crc(t):
    return zlib.crc32(t.detach().contiguous().numpy().tobytes())


def code_lines(source):
    """Lines that hold code: not blank, not only a comment, no import."""
    lines = [line.strip() for line in source.split("\n")]
    return len([l for l in lines if l and not l.startswith("#") and not re.match(r"(import|from) ", l)])


def blocks_of(text):
    """(section, source) of each Python block."""
    lines, section, i, found = text.split("\n"), "", 0, []
    while i < len(lines):
        if i + 1 < len(lines) and re.match(r"^~{5,}$", lines[i + 1]):
            section = lines[i].strip()
        if lines[i].strip() == ".. code-block:: python":
            i, code = i + 1, []
            while i < len(lines) and (not lines[i].strip() or lines[i].startswith("   ")):
                code.append(lines[i][3:])
                i += 1
            found.append((section, "\n".join(code)))
            continue
        i += 1
    return found


def find_block(blocks, section, word):
    return next(code for head, code in blocks if head.startswith(section + ".") and word in code)


class Recorder:
    """Watches every module call, loss, loader and load."""

    def __init__(self):
        self.depth = 0
        self.clear()
        call, iterate = nn.Module.__call__, torch.utils.data.DataLoader.__iter__
        load_state = nn.Module.load_state_dict

        def traced_call(module, *args):
            if isinstance(module, nn.CrossEntropyLoss):
                loss = call(module, *args)
                if len(self.entry["labels"]) < 10:
                    self.entry["labels"].append(crc(args[1]))
                self.entry["train_losses" if torch.is_grad_enabled() else "eval_losses"].append(loss.item())
                return loss
            first = self.depth == 0 and module not in self.seen
            if self.depth == 0 and len(self.entry["inputs"]) < 10:
                self.entry["inputs"].append(crc(args[0]))
            if first:
                self.seen.append(module)
                self.entry["weights"] += [[n, crc(p)] for n, p in module.named_parameters()]
            self.depth += 1
            result = call(module, *args)
            self.depth -= 1
            if first:
                self.entry["output"].append(result.detach().reshape(-1)[:8].tolist())
            return result

        def traced_iterate(loader):
            for batch in iterate(loader):
                self.entry["batches"].append([crc(field) for field in batch])
                yield batch

        def traced_load(module, state):
            result = load_state(module, state)
            self.loaded(module)
            return result

        nn.Module.__call__ = traced_call
        torch.utils.data.DataLoader.__iter__ = traced_iterate
        nn.Module.load_state_dict = traced_load

    def loaded(self, module):
        self.entry["loaded"] += [[n, crc(p)] for n, p in module.named_parameters()]

    def clear(self):
        self.seen = []
        self.entry = {k: [] for k in ("weights", "inputs", "batches", "labels", "train_losses", "eval_losses", "output",
                                      "loaded")}


def words():
    """The programs of what the lesson says in words: name, function that prints."""
    mnist = lambda train, n: [(torchvision.datasets.MNIST("data", train=train).data[:n].float().div(255).unsqueeze(1)),
                              torchvision.datasets.MNIST("data", train=train).targets[:n]]
    F = nn.functional

    def parameters():
        linear, one, conv = nn.Linear(150528, 512), nn.Conv2d(3, 1, 3), nn.Conv2d(3, 64, 3)
        print(f"numbers in the picture                  {224 * 224 * 3:10d}")
        print(f"linear layer, 512 neurons: weights      {linear.weight.numel():10d}")
        print(f"one filter of 3x3: weights              {one.weight.numel():10d}")
        print(f"convolution, 64 filters: weights        {conv.weight.numel():10d}")
        print(f"linear weights for each of convolution's {linear.weight.numel() / conv.weight.numel():9.0f}")

    def output_size():
        print("input  kernel  stride  padding   formula  layer")
        for size, k, s, p in ((224, 3, 1, 1), (224, 3, 1, 0), (224, 3, 2, 1), (224, 7, 2, 3), (224, 5, 1, 2), (28, 5, 1, 0),
                              (28, 3, 3, 0), (7, 3, 2, 0), (8, 3, 2, 0), (9, 4, 3, 2)):
            y = nn.Conv2d(3, 8, k, stride=s, padding=p)(torch.empty(1, 3, size, size))
            print(f"{size:5d}  {k:6d}  {s:6d}  {p:7d}  {(size + 2 * p - k) // s + 1:8d}  {y.shape[2]:5d}")

    def shifted_picture():
        shifted = lambda x, down, right: x.roll((down, right), (2, 3))
        change = lambda a, b: ((a - b).norm() / a.norm()).item()

        def unchanged(before, after):
            drawn = before + after > 0
            return 100 * (drawn & (before == after)).sum().item() / drawn.sum().item()
        x = F.pad(torchvision.datasets.MNIST("data", train=False).data[:100].float().unsqueeze(1), (4, 4, 4, 4))
        moved = shifted(x, 2, 3)
        conv, linear = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(36 * 36, 8)
        with torch.no_grad():
            print("moved by 2 and 3 pixels: the convolution's maps, moved back, differ by "
                  f"{change(conv(x), shifted(conv(moved), -2, -3)):.4f}")
            print("the outputs of a linear layer differ by "
                  f"{change(linear(x.flatten(1)), linear(moved.flatten(1))):.4f}")
        right, mx, av = shifted(x, 0, 1), F.max_pool2d, F.avg_pool2d
        print(f"moved by 1 pixel, what stays as it was: pixels {unchanged(x, right):.2f}%, max-pool 2x2 "
              f"{unchanged(mx(x, 2), mx(right, 2)):.2f}%, average 2x2 {unchanged(av(x, 2), av(right, 2)):.2f}%")
        print(f"with larger windows: max-pool 4x4 {unchanged(mx(x, 4), mx(right, 4)):.2f}%, 7x7 "
              f"{unchanged(mx(x, 7), mx(right, 7)):.2f}%")

    def pooling_savings():
        def network(pooling):
            side, pool = (56, [nn.MaxPool2d(2)]) if pooling else (224, [])
            return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), *pool, nn.Conv2d(32, 64, 3, padding=1),
                                 nn.ReLU(), *pool, nn.Flatten(), nn.Linear(64 * side * side, 10))
        count = [sum(p.numel() for p in network(pooling).parameters()) for pooling in (False, True)]
        print(f"without pooling: {count[0]:9d} parameters, 0.0 s for a step")
        print(f"with    pooling: {count[1]:9d} parameters, 0.0 s for a step")
        print(f"saved: {100 - 100 * count[1] / count[0]:.2f}% of the parameters")
        print("the step is 0.0 times as fast")

    def batch_sizes():
        images, labels = mnist(True, 2048)
        for size in (1, 32, 2048):
            torch.manual_seed(0)
            model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                                  nn.Linear(8 * 14 * 14, 10))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=size,
                                                 shuffle=True)
            for _ in range(2):
                for x, y in loader:
                    optimizer.zero_grad()
                    F.cross_entropy(model(x), y).backward()
                    optimizer.step()
            with torch.no_grad():
                loss = F.cross_entropy(model(images), labels).item()
            print(f"batch size {size:4d}: {2 * len(loader):4d} steps, loss afterwards {loss:.4f}, 0.0 s, 0.0 MB")

    return {"1_1_parameters": (parameters, None), "2_2_output_size": (output_size, None),
            "1_2_shifted_picture": (shifted_picture, None), "3_pooling_savings": (pooling_savings, 0),
            "4_1_batch_sizes": (batch_sizes, 0)}


def main():
    blocks = blocks_of(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    raw = pathlib.Path("data/MNIST/raw")
    raw.mkdir(parents=True)
    for packed in DATA.glob("*.gz"):
        (raw / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    space = type(sys)("lesson")
    sys.modules["lesson"] = space
    space.__dict__["__name__"] = "lesson"
    exec("import torch, torch.nn as nn, torch.nn.functional as F, torch.optim as optim\n"
         "from torch.utils.data import Dataset, DataLoader", space.__dict__)
    programs = {}
    torchvision.datasets.CIFAR10 = lambda **options: None  # made and never used by the lesson
    for name, (function, free) in words().items():
        torch.manual_seed(0)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            function()
        programs[name] = {"stdout": out.getvalue(), "free_from": free}
        print(name, out.getvalue(), sep="\n")
    recorder = Recorder()
    load = torch.load

    def traced_load(*args, **options):
        result = load(*args, **options)
        if isinstance(result, nn.Module):
            recorder.loaded(result)
        return result
    torch.load = traced_load
    for name, (section, word, before, after, replaced) in BLOCKS.items():
        source = before + find_block(blocks, section, word) + "\n" + after
        for old, new in replaced:
            assert (old.search(source) if isinstance(old, re.Pattern) else old in source), (name, old)
            source = old.sub(new, source) if isinstance(old, re.Pattern) else source.replace(old, new)
        ast.parse(source)
        recorder.clear()
        torch.manual_seed(0)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(BEFORE.get(name, "") + source, space.__dict__)
        entry = {k: v for k, v in recorder.entry.items() if v and k not in LEFT_OUT.get(name, ())}
        programs[name] = {"python": code_lines(source), "stdout": out.getvalue(), "free_from": FREE_FROM.get(name), **entry}
        print(name, programs[name]["python"], out.getvalue()[:200], sep="\n")
    os.chdir(HERE)
    shutil.rmtree(folder)
    text = json.dumps({"torch": torch.__version__, "programs": programs}, ensure_ascii=False, indent=1)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m.group(1)) + "]", text)
    (HERE / "lesson.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
