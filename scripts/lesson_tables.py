#!/usr/bin/env python3
"""Writes two tables: the lesson's names of PyTorch with their counterparts into docs/guide/from_pytorch.md, and the lines
of code of each block in Python and in C into examples/lesson/README.md.

usage: scripts/lesson_tables.py [--check]     --check: only say whether the pages are what would be written

Fails when a name has no counterpart, when a counterpart is not declared in a header or not used by a program of
examples/lesson/, and when a program has more lines than it may: 1.5 times Python's, or 8 more for a block of under 10.

What a line of C is: no blank line, no comment. Aside, as in Python: includes, the frame of main (its first lines, the
seed, the end that reports errors), and what the lesson has defined before: headers of earlier sections, and what stands
under a comment "As before"."""
import json
import os
import pathlib
import re
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
FOLDER = pathlib.Path("examples/lesson")
PAGES = {"names": pathlib.Path("docs/guide/from_pytorch.md"), "lines": FOLDER / "README.md"}

# A name of the lesson: what is written in Python, and what in C, with the identifiers to be found in it.
COUNTERPARTS = {
    "torch.Tensor.__eq__": ("a == b", "fa_eq(a, b)"),
    "torch.Tensor.__getitem__": ("x[start:end]", "fa_slice(x, 0, start, end)"),
    "torch.Tensor.__len__": ("len(x)", "fa_size(x, 0)"),
    "torch.Tensor.__repr__": ("print(x), str(x)", "fa_print(x), fa_str(x)"),
    "torch.Tensor.backward": ("loss.backward()", "fa_backward(loss)"),
    "torch.Tensor.item": ("loss.item()", "fa_item(loss)"),
    "torch.Tensor.shape": ("x.shape", "fa_shape_of(x)"),
    "torch.Tensor.size": ("x.size(0)", "fa_size(x, 0)"),
    "torch.Tensor.sum": ("x.sum()", "fa_sum(x)"),
    "torch.Tensor.to": ("x.to(device)", "fa_to(x, device)"),
    "torch.Tensor.view": ("x.view(n, -1)", "fa_view(x, n, -1)"),
    "torch.cuda.is_available": ("torch.cuda.is_available()", "fa_cuda_is_available()"),
    "torch.device": ("torch.device('cuda'), torch.device('cpu')", "fa_device, FA_CPU, FA_CUDA"),
    "torch.load": ("torch.load(path), checkpoint[key]", "fa_load(path), fa_load_module(path), fa_get(checkpoint, key)"),
    "torch.max": ("_, indices = torch.max(x, 1)", "fa_max(x, 1, &indices)"),
    "torch.nn.Conv2d": ("nn.Conv2d(3, 64, kernel_size=3, padding=1)",
                        "fa_nn_conv2d(3, 64, .kernel_size = 3, .padding = 1)"),
    "torch.nn.CrossEntropyLoss": ("criterion = nn.CrossEntropyLoss(), criterion(outputs, labels)",
                                  "fa_nn_cross_entropy_loss(), fa_criterion(criterion, outputs, labels)"),
    "torch.nn.Flatten": ("nn.Flatten()", "fa_nn_flatten()"),
    "torch.nn.Linear": ("nn.Linear(128, 10)", "fa_nn_linear(128, 10)"),
    "torch.nn.MaxPool2d": ("nn.MaxPool2d(2, stride=2)", "fa_nn_max_pool2d(2, .stride = 2)"),
    "torch.nn.Module": ("class CNN(nn.Module), self.conv1 = layer",
                        "fa_module, fa_module_new(CNN, forward), fa_layer(net, conv1, layer)"),
    "torch.nn.Module.__call__": ("model(x)", "fa_forward(model, x)"),
    "torch.nn.Module.__repr__": ("print(model)", "fa_print(model)"),
    "torch.nn.Module.eval": ("model.eval()", "fa_eval(model)"),
    "torch.nn.Module.forward": ("def forward(self, x)", "fa_module_new(CNN, forward)"),
    "torch.nn.Module.load_state_dict": ("model.load_state_dict(state)", "fa_load_state_dict(model, state)"),
    "torch.nn.Module.parameters": ("model.parameters()", "fa_parameters(model)"),
    "torch.nn.Module.state_dict": ("model.state_dict()", "fa_state_dict(model)"),
    "torch.nn.Module.to": ("model.to(device)", "fa_to(model, device)"),
    "torch.nn.Module.train": ("model.train()", "fa_train(model)"),
    "torch.nn.ReLU": ("nn.ReLU()", "fa_nn_relu()"),
    "torch.nn.Sequential": ("nn.Sequential(a, b)", "fa_nn_sequential(a, b)"),
    "torch.nn.functional.avg_pool2d": ("F.avg_pool2d(x, 2, stride=2)", "fa_avg_pool2d(x, 2, .stride = 2)"),
    "torch.nn.functional.max_pool2d": ("F.max_pool2d(x, 2, stride=2)", "fa_max_pool2d(x, 2, .stride = 2)"),
    "torch.nn.functional.relu": ("F.relu(x)", "fa_relu(x)"),
    "torch.no_grad": ("with torch.no_grad():", "fa_no_grad { }"),
    "torch.optim.Adam": ("optim.Adam(model.parameters(), lr=0.001)", "fa_adam(fa_parameters(model), .lr = 0.001)"),
    "torch.optim.Optimizer.load_state_dict": ("optimizer.load_state_dict(state)",
                                              "fa_load_state_dict(optimizer, state)"),
    "torch.optim.Optimizer.state_dict": ("optimizer.state_dict()", "fa_state_dict(optimizer)"),
    "torch.optim.Optimizer.step": ("optimizer.step()", "fa_step(optimizer)"),
    "torch.optim.Optimizer.zero_grad": ("optimizer.zero_grad()", "fa_zero_grad(optimizer)"),
    "torch.randint": ("torch.randint(0, 10, (n,))", "fa_randint(0, 10, FA_SHAPE(n))"),
    "torch.randn": ("torch.randn(n, 3, 64, 64)", "fa_randn(n, 3, 64, 64)"),
    "torch.relu": ("torch.relu(x)", "fa_relu(x)"),
    "torch.save": ("torch.save(value, path), {key: value}", "fa_save(value, path), fa_dict(key, value)"),
    "torch.tensor": ("torch.tensor([[1., 2.], [3., 4.]])", "fa_tensor_of(FA_SHAPE(2, 2), 1, 2, 3, 4)"),
    "torch.utils.data.DataLoader": ("DataLoader(dataset, batch_size=32, shuffle=True)",
                                    "fa_data_loader(dataset, .batch_size = 32, .shuffle = true)"),
    "torch.utils.data.DataLoader.__iter__": ("for images, labels in loader:", "fa_for_each_batch (b, loader) { }"),
    "torch.utils.data.DataLoader.__len__": ("len(loader)", "fa_length(loader)"),
    "torch.utils.data.Dataset": ("class MyDataset(Dataset), self.data = data",
                                 "fa_dataset, fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.data})"),
    "torch.utils.data.Dataset.__getitem__": ("def __getitem__(self, i), self.data[i], dataset[0]",
                                             "fa_dataset_new(.item = get_item), fa_sample_row(sample, self->data, i), "
                                             "fa_dataset_get(dataset, 0)"),
    "torch.utils.data.Dataset.__len__": ("def __len__(self), len(dataset)",
                                         "fa_dataset_new(.count = n), fa_length(dataset)"),
    "torchvision.datasets.CIFAR10": ("datasets.CIFAR10(root, train=True, download=True)",
                                     "fa_cifar10(root, .train = true, .download = true)"),
    "torchvision.datasets.MNIST": ("datasets.MNIST(root, train=True, download=True)",
                                   "fa_mnist(root, .train = true, .download = true)"),
    "torchvision.transforms.ToTensor": ("transforms.ToTensor()", "fa_to_tensor()"),
}
# What of a block stands in other files than NAME.c.
OWN_HEADERS = {"3_4_simple_cnn": ["3_4_simple_cnn.h"], "5_1_simple_image_dataset": ["5_1_simple_image_dataset.h"],
               "5_3_training": ["5_3_my_dataset.h", "5_3_simple_cnn.h"]}
FRAME = re.compile(r"#include|int main\(|return fa_exit_status\(stderr\);|fa_manual_seed\(0\);")


def short(name):
    for long, brief in (("torch.nn.functional.", "F."), ("torch.nn.", "nn."), ("torch.utils.data.", ""), ("torch.optim.", "optim."),
                        ("torch.Tensor.", "Tensor."), ("torchvision.", "")):
        if name.startswith(long) and name != "torch.nn.Module":
            return brief + name[len(long):]
    return name


def names_table(problems):
    lesson = json.loads(pathlib.Path("tests/golden/lesson_names.json").read_text())
    headers = "".join(p.read_text() for p in [pathlib.Path("include/facula.h"), *pathlib.Path("include/facula").glob("*.h")])
    programs = "".join(p.read_text() for p in [*FOLDER.glob("*.c"), *FOLDER.glob("*.h")])
    for name in sorted(set(lesson) ^ set(COUNTERPARTS)):
        problems.append(f"{name}: " + ("no counterpart" if name in lesson else "not in the lesson"))
    yield "| name | in Python | in C | sections |"
    yield "| --- | --- | --- | --- |"
    for name, sections in lesson.items():
        theirs, ours = COUNTERPARTS.get(name, ("", ""))
        for word in set(re.findall(r"\b(?:fa|FA)_\w+", ours)):
            if not re.search(rf"\b{word}\b", re.sub(r"/\*.*?\*/", "", headers, flags=re.S)):
                problems.append(f"{name}: no header has {word}")
            if not re.search(rf"\b{word}\b", programs):
                problems.append(f"{name}: no program of the lesson uses {word}")
        yield f"| `{short(name)}` | `{theirs}` | `{ours}` | {', '.join(sections)} |"


def code_lines(path):
    """Lines of C that count."""
    text = re.sub(r"/\* As before.*?(?=\n\n)", "", path.read_text(), flags=re.S)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    frame = sum(bool(FRAME.match(line)) for line in lines)
    braces = 2 if "int main(" in text else 0
    return len(lines) - frame - braces


def lines_table(problems):
    yield "| program | Python | C | at most |"
    yield "| --- | --- | --- | --- |"
    python_sum = c_sum = 0
    programs = json.loads(pathlib.Path("tests/golden/lesson.json").read_text())["programs"]
    for name, facts in sorted(programs.items()):
        if "python" not in facts:
            continue
        python = facts["python"]
        c = sum(code_lines(FOLDER / file) for file in [name + ".c", *OWN_HEADERS.get(name, [])])
        most = python + 8 if python < 10 else int(1.5 * python)
        if c > most:
            problems.append(f"{name}: {c} lines of C for {python} of Python, at most {most}")
        python_sum += python
        c_sum += c
        yield f"| [`{name}`]({name}.c) | {python} | {c} | {most} |"
    yield f"| together | {python_sum} | {c_sum} | {int(1.5 * python_sum)} |"


def main():
    problems = []
    tables = {"names": list(names_table(problems)), "lines": list(lines_table(problems))}
    for key, rows in tables.items():
        was = PAGES[key].read_text()
        page, found = re.subn(rf"(<!-- {key} -->\n).*?(<!-- end -->)",
                              lambda m: m.group(1) + "\n".join(rows) + "\n" + m.group(2), was, flags=re.S)
        if found != 1:
            problems.append(f"{PAGES[key]} has no place for the table of {key}")
        if "--check" not in sys.argv:
            PAGES[key].write_text(page)
        elif page != was:
            problems.append(f"{PAGES[key]} is not what scripts/lesson_tables.py writes")
    print("\n".join(problems) if problems else f"{len(tables['names']) - 2} names, {len(tables['lines']) - 3} blocks")
    return len(problems) > 0


if __name__ == "__main__":
    sys.exit(main())
