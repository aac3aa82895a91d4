"""Makes nn_layers.json and nn_layers.safetensors: layers one by one, and torch.nn.init.

    python make_nn_layers.py    # needs torch and safetensors

Each layer of tests/nn/test_layers.c is made after manual_seed(0): "print" (its str), "keys" of its state dict; NAME.KEY are
its weights, NAME.x an input, NAME.y what it gives for it, in training after manual_seed(1). "init": for each call the
tensor after manual_seed(2), init.NAME, and torch.rand(2) after it, "then".
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent

LAYERS = [
    ("relu6", lambda: nn.ReLU6(), (2, 3, 4, 4)),
    ("relu6_inplace", lambda: nn.ReLU6(inplace=True), (2, 3, 4, 4)),
    ("leaky_relu", lambda: nn.LeakyReLU(), (2, 3)),
    ("leaky_relu_inplace", lambda: nn.LeakyReLU(0.2, inplace=True), (2, 3)),
    ("prelu", lambda: nn.PReLU(), (2, 3, 2)),
    ("prelu_channels", lambda: nn.PReLU(3, init=0.1), (2, 3, 2)),
    ("elu", lambda: nn.ELU(), (2, 3)),
    ("elu_inplace", lambda: nn.ELU(0.5, inplace=True), (2, 3)),
    ("sigmoid", lambda: nn.Sigmoid(), (2, 3)),
    ("tanh", lambda: nn.Tanh(), (2, 3)),
    ("gelu", lambda: nn.GELU(), (2, 3)),
    ("gelu_tanh", lambda: nn.GELU("tanh"), (2, 3)),
    ("silu", lambda: nn.SiLU(), (2, 3)),
    ("silu_inplace", lambda: nn.SiLU(inplace=True), (2, 3)),
    ("hardswish", lambda: nn.Hardswish(), (2, 3)),
    ("hardswish_inplace", lambda: nn.Hardswish(inplace=True), (2, 3)),
    ("hardsigmoid", lambda: nn.Hardsigmoid(), (2, 3)),
    ("hardsigmoid_inplace", lambda: nn.Hardsigmoid(inplace=True), (2, 3)),
    ("softplus", lambda: nn.Softplus(), (2, 3)),
    ("softplus_beta", lambda: nn.Softplus(2.0, 1.5), (2, 3)),
    ("hardtanh", lambda: nn.Hardtanh(), (2, 3)),
    ("hardtanh_inplace", lambda: nn.Hardtanh(-2.0, 0.5, inplace=True), (2, 3)),
    ("conv_transpose2d", lambda: nn.ConvTranspose2d(4, 2, 3), (2, 4, 3, 3)),
    ("conv_transpose2d_all", lambda: nn.ConvTranspose2d(4, 6, (3, 5), stride=2, padding=(1, 2), output_padding=1, groups=2,
                                                        bias=False, dilation=(2, 1)), (2, 4, 3, 3)),
    ("conv2d_reflect", lambda: nn.Conv2d(2, 3, 3, padding=(2, 1), padding_mode="reflect"), (2, 2, 5, 4)),
    ("conv2d_replicate", lambda: nn.Conv2d(2, 3, (2, 4), padding="same", dilation=(1, 2), padding_mode="replicate"), (2, 2, 5, 4)),
    ("conv2d_circular", lambda: nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2, padding_mode="circular"), (2, 5, 4)),
    ("adaptive_avg_pool2d", lambda: nn.AdaptiveAvgPool2d(1), (2, 3, 5, 4)),
    ("adaptive_avg_pool2d_pair", lambda: nn.AdaptiveAvgPool2d((2, None)), (2, 3, 5, 4)),
    ("adaptive_max_pool2d", lambda: nn.AdaptiveMaxPool2d((None, 3)), (2, 3, 5, 4)),
    ("dropout_inplace", lambda: nn.Dropout(0.3, inplace=True), (2, 3, 5)),
    ("dropout2d", lambda: nn.Dropout2d(), (4, 5, 2, 2)),
    ("dropout2d_inplace", lambda: nn.Dropout2d(0.2, inplace=True), (4, 5, 2, 2)),
    ("group_norm", lambda: nn.GroupNorm(2, 4), (2, 4, 3)),
    ("group_norm_plain", lambda: nn.GroupNorm(1, 4, eps=1e-3, affine=False), (2, 4, 3)),
    ("group_norm_no_bias", lambda: nn.GroupNorm(4, 4, bias=False), (2, 4, 3)),
    ("layer_norm", lambda: nn.LayerNorm(5), (2, 3, 5)),
    ("layer_norm_plain", lambda: nn.LayerNorm([3, 5], elementwise_affine=False), (2, 3, 5)),
    ("layer_norm_no_bias", lambda: nn.LayerNorm(5, eps=0.25, bias=False), (2, 3, 5)),
    ("instance_norm2d", lambda: nn.InstanceNorm2d(3), (2, 3, 4, 2)),
    ("instance_norm2d_affine", lambda: nn.InstanceNorm2d(3, eps=1e-2, momentum=0.2, affine=True), (2, 3, 4, 2)),
    ("batch_norm1d", lambda: nn.BatchNorm1d(3), (5, 3)),
    ("batch_norm1d_length", lambda: nn.BatchNorm1d(3, momentum=None), (2, 3, 4)),
    ("upsample", lambda: nn.Upsample(scale_factor=2), (1, 2, 3, 3)),
    ("upsample_size", lambda: nn.Upsample(size=7), (1, 2, 3, 3)),
    ("upsample_pair", lambda: nn.Upsample(size=(3, 4), mode="bilinear", align_corners=True), (1, 2, 3, 3)),
    ("upsample_factors", lambda: nn.Upsample(scale_factor=(2, 3.5), mode="bilinear"), (1, 2, 3, 3)),
    ("instance_norm2d_tracking", lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True, bias=False), (2, 3, 4, 2)),
    ("instance_norm2d_momentum", lambda: nn.InstanceNorm2d(3, momentum=None, track_running_stats=True), (2, 3, 4, 2)),
    ("upsample_line", lambda: nn.Upsample(scale_factor=1.5, mode="linear"), (1, 2, 5)),
    ("sequential_named", lambda: named(), (1, 1, 4, 4)),
    ("module_dict", lambda: nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.ReLU(), "c": nn.ReLU()}), None),
    ("module_dict_empty", lambda: nn.ModuleDict(), None),
]


def named():
    from collections import OrderedDict
    return nn.Sequential(OrderedDict([("conv", nn.Conv2d(1, 2, 3)), ("act", nn.ReLU())]))


INITS = [
    ("uniform", (3, 20), lambda t: nn.init.uniform_(t)),
    ("uniform_ab", (3, 2), lambda t: nn.init.uniform_(t, -2.5, 0.3)),
    ("normal", (5, 7), lambda t: nn.init.normal_(t)),
    ("normal_few", (3,), lambda t: nn.init.normal_(t, 1.5, 0.2)),
    ("constant", (2, 2), lambda t: nn.init.constant_(t, 0.3)),
    ("ones", (2, 2), lambda t: nn.init.ones_(t)),
    ("zeros", (2, 2), lambda t: nn.init.zeros_(t)),
    ("eye", (3, 4), lambda t: nn.init.eye_(t)),
    ("dirac", (4, 3, 3, 2), lambda t: nn.init.dirac_(t)),
    ("dirac_groups", (6, 2, 3, 3), lambda t: nn.init.dirac_(t, 3)),
    ("xavier_uniform", (8, 5), lambda t: nn.init.xavier_uniform_(t)),
    ("xavier_normal", (4, 3, 3, 3), lambda t: nn.init.xavier_normal_(t, gain=2.0)),
    ("kaiming_uniform", (4, 3, 3, 3), lambda t: nn.init.kaiming_uniform_(t)),
    ("kaiming_uniform_slope", (8, 5), lambda t: nn.init.kaiming_uniform_(t, a=5 ** 0.5)),
    ("kaiming_normal", (4, 3, 3, 3), lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu")),
    ("kaiming_normal_tanh", (8, 5), lambda t: nn.init.kaiming_normal_(t, nonlinearity="tanh")),
    ("trunc_normal", (6, 9), lambda t: nn.init.trunc_normal_(t)),
    ("trunc_normal_std", (6, 9), lambda t: nn.init.trunc_normal_(t, std=0.02)),
    ("trunc_normal_tail", (40,), lambda t: nn.init.trunc_normal_(t, mean=0.5, std=2.0, a=1.0, b=1.5)),
    ("orthogonal", (5, 9), lambda t: nn.init.orthogonal_(t)),
    ("orthogonal_tall", (9, 2, 2, 1), lambda t: nn.init.orthogonal_(t, gain=1.5)),
    ("normal_f64", (17,), lambda t: nn.init.normal_(t)),
    ("trunc_normal_f64", (6, 9), lambda t: nn.init.trunc_normal_(t, std=1.5)),
    ("trunc_normal_tail_f64", (40,), lambda t: nn.init.trunc_normal_(t, mean=0.5, std=2.0, a=1.0, b=1.5)),
    ("uniform_f64", (5,), lambda t: nn.init.uniform_(t, -1.0, 3.0)),
]


def results(tensors):
    """What tests/nn/test_layers.c looks at beside one output: "second" results and state after a step."""
    torch.manual_seed(5)
    x = torch.randn(2, 3, 5, 4)
    tensors["second.x"] = x
    norm = nn.InstanceNorm2d(3, track_running_stats=True)
    norm(x)
    tensors["second.running_mean"], tensors["second.running_var"] = norm.running_mean.clone(), norm.running_var.clone()
    norm.eval()
    tensors["second.evaluated"] = norm(x)
    for name, pool in (("max_pool2d", nn.MaxPool2d(2, 1, return_indices=True)), ("adaptive", nn.AdaptiveMaxPool2d((3, 2), return_indices=True))):
        tensors[f"second.{name}"], tensors[f"second.{name}_indices"] = pool(x)
    torch.manual_seed(0)
    back = nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1)
    tensors["second.to_size"] = back(x, output_size=[10, 7]).detach()


if __name__ == "__main__":
    torch.set_num_threads(1)
    index, tensors = {"torch": torch.__version__.split("+")[0], "layers": {}, "init": {}}, {}
    for number, (name, make, shape) in enumerate(LAYERS):
        torch.manual_seed(0)
        layer = make()
        index["layers"][name] = {"print": str(layer), "keys": list(layer.state_dict())}
        for key, value in layer.state_dict().items():
            tensors[f"{name}.{key}"] = value.detach().clone()
        if shape:
            torch.manual_seed(100 + number)
            x = torch.randn(*shape) * 2
            tensors[f"{name}.x"] = x.clone()
            torch.manual_seed(1)
            tensors[f"{name}.y"] = layer(x.clone()).detach()
    for name, shape, call in INITS:
        t = torch.full(shape, 7.0, dtype=torch.float64 if name.endswith("f64") else torch.float32)
        torch.manual_seed(2)
        call(t)
        tensors[f"init.{name}"] = t
        index["init"][name] = {"then": torch.rand(2).tolist()}
    results(tensors)
    (HERE / "nn_layers.json").write_text(json.dumps(index, indent=1) + "\n")
    path = HERE / "nn_layers.safetensors"
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, path)
    path.chmod(0o644)
