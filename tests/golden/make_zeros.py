"""Makes zeros.json and zeros.safetensors: every option that can be 0 (or empty), written as 0, in PyTorch.

    python make_zeros.py        # needs torch and safetensors; writes beside this file

A zero that is written means zero, also where the default is another number. The form is that of make_layers.py.
"""
import torch

import make_elementwise  # noqa: F401, adds its ops
import make_functions  # noqa: F401
import make_layers
import make_losses  # noqa: F401
import make_tensor_ops  # noqa: F401
from make_layers import Golden, R


def main():
    torch.manual_seed(4)
    g = Golden()
    g.add("conv2d", {"x": R(2, 3, 5, 5), "weight": R(4, 3, 3, 3), "bias": R(4)}, padding=[0, 0])
    g.add("max_pool2d", {"x": R(2, 3, 5, 5)}, kernel=[2, 2], padding=[0, 0], ceil_mode=0)
    g.add("avg_pool2d", {"x": R(2, 3, 5, 5)}, kernel=[2, 2], padding=[0, 0], ceil_mode=0, count_include_pad=0)
    g.add("cross_entropy", {"x": R(5, 4), "target": torch.tensor([0, 1, 0, 3, 2])}, ignore_index=0, label_smoothing=0.0)
    g.add("nll_loss", {"x": R(5, 4), "target": torch.tensor([0, 1, 0, 3, 2])}, ignore_index=0, reduction=0)
    g.add("smooth_l1_loss", {"x": R(3, 4), "y": R(3, 4)}, beta=0)
    for op in ("add_number", "sub_number", "mul_number", "eq_number", "pow", "rsub"):
        g.add(op, {"x": torch.tensor([0.0, -1.0, 2.5])}, number=0)
    g.add("rdiv", {"x": R(4) + 3}, number=0)
    g.add("masked_fill", {"x": R(4), "mask": torch.tensor([True, False, True, False])}, number=0)
    g.add("clamp", {"x": R(6)}, min=0)
    g.add("clamp", {"x": R(6)}, max=0)
    g.add("softmax", {"x": R(3, 4)}, dim=0)
    g.add("log_softmax", {"x": R(3, 4)}, dim=0)
    g.add("argmax", {"x": R(3, 4)}, dim=0, keepdim=0)
    g.add("sum", {"x": R(3, 4)}, dims=[0], keepdim=0)
    g.add("mean", {"x": R(3, 4)}, dims=[0], keepdim=0)
    g.add("var", {"x": R(3, 4)}, dims=[0], correction=0)
    g.add("std", {"x": R(3, 4)}, dims=[0], correction=0)
    g.add("norm", {"x": R(3, 4)}, p=0)
    g.add("layer_norm", {"x": R(3, 4)}, shape=[4], eps=0.0)
    g.add("group_norm", {"x": R(2, 4, 3)}, groups=2, eps=0.0)
    g.add("instance_norm", {"x": R(2, 3, 4, 2)}, eps=0.0)
    g.write("zeros")


if __name__ == "__main__":
    main()
