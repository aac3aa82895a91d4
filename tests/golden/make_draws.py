"""Makes draws.json: numbers that PyTorch draws into tensors of every type.

    python make_draws.py             # needs torch; writes beside this file

"randint": after manual_seed(3) six numbers of [low, high) as `dtype`, and torch.rand(1) after them. "others": after
manual_seed(4) what the call in PyTorch's words gives.
"""
import json
import pathlib
import warnings

import torch

TYPES = ["float32", "float64", "int64", "int32", "uint8", "bool", "bfloat16", "float16"]
RANGES = [(0, 2), (0, 256), (-5, 300), (0, 257), (0, 2**24 + 2), (-(2**24), 2**24 + 1), (0, 2**28), (0, 2**31), (-(2**31), 2**31),
          (0, 2**40), (-(2**40), 7), (-(2**53), 2**53), (0, 2**60 + 2**10)]
OTHERS = ["torch.randint_like(torch.zeros(2, 3), 0, 9)", "torch.randint_like(torch.zeros(4, dtype=torch.uint8), 3, 200)",
          "torch.randint_like(torch.zeros(4), 3, 200, dtype=torch.int32)", "torch.randperm(11)", "torch.rand(5, dtype=torch.float64)",
          "torch.rand(2, 2)", "2.5 - torch.arange(4.0)"]

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # that ranges are wider than a type tells apart
    draws = []
    for name in TYPES:
        for low, high in RANGES:
            torch.manual_seed(3)
            try:
                values = torch.randint(low, high, (6,), dtype=getattr(torch, name))
            except RuntimeError:
                draws.append({"dtype": name, "low": low, "high": high})
                continue
            draws.append({"dtype": name, "low": low, "high": high, "values": values.double().tolist(), "then": torch.rand(1).item()})
    others = []
    for call in OTHERS:
        torch.manual_seed(4)
        values = eval(call)
        others.append({"call": call, "shape": list(values.shape), "values": values.double().flatten().tolist()})
    rows = [",\n".join("  " + json.dumps(d) for d in part) for part in (draws, others)]
    (pathlib.Path(__file__).resolve().parent / "draws.json").write_text(
        '{"torch": "%s", "randint": [\n%s\n], "others": [\n%s\n]}\n' % (torch.__version__.split("+")[0], *rows))
    print(len(draws), "draws")
