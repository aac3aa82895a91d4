#!/usr/bin/env python3
"""Whether every name of PyTorch in docs/ops.md exists there. Ends with 77, skipped, where torch is not installed."""
import pathlib
import re
import sys

try:
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "ops.md"
ROOTS = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "Tensor": torch.Tensor, "Module": torch.nn.Module,
         "Optimizer": torch.optim.Optimizer, "lr_scheduler": torch.optim.lr_scheduler, "Generator": torch.Generator,
         "RemovableHandle": torch.utils.hooks.RemovableHandle, "LRScheduler": torch.optim.lr_scheduler.LRScheduler, "AveragedModel": torch.optim.swa_utils.AveragedModel,
         "ReduceLROnPlateau": torch.optim.lr_scheduler.ReduceLROnPlateau}
# What is no name, or one of an object: an expression that says it in PyTorch.
EXPRESSIONS = re.compile(r"^(\(ours\)|x\[|number |class of|self\.|module\(|criterion\(|param_groups|zero_grad\(\)|x\.to\(|convT\()")


def main():
    checked = wrong = 0
    for row in re.findall(r"^\| (.*?) \| `fa_\w+` \|", PAGE.read_text(encoding="utf-8"), re.M):
        if EXPRESSIONS.match(row):
            continue
        names = re.findall(r"\b(?:%s)(?:\.\w+)+" % "|".join(ROOTS), row)
        if not names:
            wrong += 1
            print(f"no name of PyTorch: {row}")
        for name in names:
            root, *path = name.split(".")
            at = ROOTS[root]
            for part in path:
                at = getattr(at, part, None)
            checked += 1
            if at is None and name != "Tensor.grad":
                wrong += 1
                print(f"PyTorch has no {name}")
    print(f"{checked} names, {wrong} wrong")
    return wrong > 0 or checked < 200


if __name__ == "__main__":
    sys.exit(main())
