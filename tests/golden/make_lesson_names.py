"""Makes lesson_names.json: every name of torch and torchvision that the lesson's code uses, with the sections that do.

    python make_lesson_names.py LESSON.rst    # needs torch and torchvision: each name must exist there

Names are found in the syntax trees of the code blocks: what is imported from torch and torchvision, attributes of those
modules, and what is called on objects (METHODS says of which class; an attribute that is not known there is an error, so
that none is missed)."""
import ast
import json
import pathlib
import sys

import torch
import torchvision

from make_lesson import blocks_of

HERE = pathlib.Path(__file__).resolve().parent
ROOTS = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "optim": "torch.optim",
         "datasets": "torchvision.datasets", "transforms": "torchvision.transforms"}
IMPORTED = {"Dataset": "torch.utils.data.Dataset", "DataLoader": "torch.utils.data.DataLoader"}
# Attributes of objects: (variable, attribute) or attribute.
METHODS = {("model", "to"): "torch.nn.Module.to", ("CNN", "to"): "torch.nn.Module.to", "to": "torch.Tensor.to",
           "train": "torch.nn.Module.train", "eval": "torch.nn.Module.eval", "parameters": "torch.nn.Module.parameters",
           ("model", "state_dict"): "torch.nn.Module.state_dict",
           ("optimizer", "state_dict"): "torch.optim.Optimizer.state_dict",
           ("model", "load_state_dict"): "torch.nn.Module.load_state_dict",
           ("optimizer", "load_state_dict"): "torch.optim.Optimizer.load_state_dict",
           "zero_grad": "torch.optim.Optimizer.zero_grad", "step": "torch.optim.Optimizer.step",
           "backward": "torch.Tensor.backward", "item": "torch.Tensor.item", "view": "torch.Tensor.view",
           "size": "torch.Tensor.size", "shape": "torch.Tensor.shape", "sum": "torch.Tensor.sum"}
PYTHON = {"makedirs", "__init__"}  # of os, and of super()
LOADERS, DATASETS = {"train_loader", "val_loader", "test_loader", "dataloader"}, {"dataset", "train_dataset", "val_dataset"}


class Names(ast.NodeVisitor):
    def __init__(self):
        self.found = set()

    def add(self, name):
        self.found.add(name)

    def visit_Attribute(self, node):
        path, at = [node.attr], node.value
        while isinstance(at, ast.Attribute):
            path.insert(0, at.attr)
            at = at.value
        base = at.id if isinstance(at, ast.Name) else at.func.id if isinstance(at, ast.Call) and isinstance(at.func, ast.Name) else None
        if isinstance(at, ast.Name) and base in ROOTS:
            self.add(".".join([ROOTS[base], *path]))
            return
        if base != "self" and not (base == "os" or node.attr in PYTHON):
            name = METHODS.get((base, node.attr)) or METHODS.get(node.attr)
            if name is None:
                raise SystemExit(f"{ast.unparse(node)}: of which class is {node.attr}? See METHODS.")
            self.add(name)
        self.generic_visit(node)

    def visit_Name(self, node):
        if node.id in IMPORTED:
            self.add(IMPORTED[node.id])

    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id == "len" and isinstance(node.args[0], ast.Name):
            of = node.args[0].id
            self.add("torch.utils.data.DataLoader.__len__" if of in LOADERS else
                     "torch.utils.data.Dataset.__len__" if of in DATASETS else "torch.Tensor.__len__")
        if isinstance(node.func, ast.Name) and node.func.id in ("model", "conv"):
            self.add("torch.nn.Module.__call__")
        if isinstance(node.func, ast.Name) and node.func.id == "print" and isinstance(node.args[0], ast.Name):
            self.add("torch.nn.Module.__repr__" if node.args[0].id == "model" else "torch.Tensor.__repr__")
        self.generic_visit(node)

    def visit_FunctionDef(self, node):
        if node.name in ("__len__", "__getitem__"):
            self.add("torch.utils.data.Dataset." + node.name)
        if node.name == "forward":
            self.add("torch.nn.Module.forward")
        self.generic_visit(node)

    def visit_For(self, node):
        if any(isinstance(n, ast.Name) and n.id in LOADERS for n in ast.walk(node.iter)):
            self.add("torch.utils.data.DataLoader.__iter__")
        self.generic_visit(node)

    def visit_Compare(self, node):
        if isinstance(node.ops[0], ast.Eq) and all(isinstance(n, ast.Name) for n in (node.left, *node.comparators)):
            self.add("torch.Tensor.__eq__")
        self.generic_visit(node)

    def visit_Subscript(self, node):
        if isinstance(node.value, ast.Name) and node.value.id in ("images", "labels"):
            self.add("torch.Tensor.__getitem__")
        self.generic_visit(node)


def exists(name):
    at = {"torch": torch, "torchvision": torchvision}[name.split(".")[0]]
    for part in name.split(".")[1:]:
        if not hasattr(at, part):
            return name == "torch.utils.data.Dataset.__len__"  # the user's to define
        at = getattr(at, part)
    return True


def main():
    names = {}
    for section, code in blocks_of(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")):
        visitor = Names()
        visitor.visit(ast.parse(code))
        for name in visitor.found:
            assert exists(name), name
            number = section.split(" ")[0].rstrip(".")
            if number not in names.setdefault(name, []):
                names[name].append(number)
    text = ",\n".join(f" {json.dumps(n)}: {json.dumps(names[n])}" for n in sorted(names))
    (HERE / "lesson_names.json").write_text("{\n" + text + "\n}\n", encoding="utf-8")
    print(len(names), "names")


if __name__ == "__main__":
    main()
