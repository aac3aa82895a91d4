"""Makes errors.json and errors_TOPIC.json: mistakes that both PyTorch and this library must refuse.

    python make_errors.py            # needs torch and torchvision; writes beside this file

Each line is a name and a call in PyTorch's words; the script runs the call and insists that it raises. The messages are
not kept: ours are our own. tests/ops/test_STEM.c has the same mistakes in C, each with its mended program.
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


ELEMENTWISE = [
    ("sub: bool", "torch.tensor([True]) - torch.tensor([1])"),
    ("rsub: bool", "1 - torch.tensor([True])"),
    ("neg: bool", "-torch.tensor([True])"),
    ("abs: bool", "torch.tensor([True]).abs()"),
    ("round: bool", "torch.tensor([True]).round()"),
    ("floor: bool", "torch.tensor([True]).floor()"),
    ("pow: bool", "torch.tensor([True]) ** torch.tensor([True])"),
    ("pow: integer to a negative number", "L(2) ** -1"),
    ("remainder: bool", "torch.tensor([True]) % torch.tensor([True])"),
    ("remainder: integer by 0", "L(1, 2) % L(1, 0)"),
    ("floor_divide: integer by 0", "L(1, 2) // 0"),
    ("floor_divide: int32 by 0", "torch.tensor([1, 2], dtype=torch.int32) // torch.tensor([0, 1], dtype=torch.int32)"),
    ("maximum: shapes", "torch.maximum(R(2, 3), R(2))"),
    ("lt: shapes", "R(2, 3) < R(2)"),
    ("logical_and: shapes", "torch.logical_and(R(2, 3), R(2))"),
    ("where: integer condition", "torch.where(L(1, 0), R(2), R(2))"),
    ("where: shapes", "torch.where(R(2) > 0, R(3), R(3))"),
    ("masked_fill: integer mask", "R(2).masked_fill(L(1, 0), 0)"),
    ("masked_fill: shapes", "R(2).masked_fill(R(3) > 0, 0)"),
    ("masked_fill_: the mask is wider", "R(2).masked_fill_(R(3, 2) > 0, 0)"),
    ("clamp: no bound", "R(2).clamp()"),
    ("clamp: a bound beyond the type", "torch.tensor([1], dtype=torch.uint8).clamp(min=300)"),
    ("clamp_: fraction into integers", "L(1, 2).clamp_(0.5)"),
    ("any: dim out of range", "R(2).any(1)"),
    ("all: dim given twice", "R(2, 2).all((0, -2))"),
    ("div_: integers", "L(1, 2).div_(2)"),
    ("add_: fraction into integers", "L(1, 2).add_(0.5)"),
    ("sub_: bool", "L(1).sub_(torch.tensor([True]))"),
    ("copy_: shapes", "R(2).copy_(R(3))"),
    ("fill_: a leaf with a gradient", "leaf().fill_(1)"),
    ("uniform_: a leaf with a gradient", "leaf().uniform_()"),
    ("uniform_: integers", "L(1, 2).uniform_()"),
    ("uniform_: from above to", "R(2).uniform_(2, 1)"),
    ("uniform_: range beyond float32", "R(2).uniform_(-3e38, 3e38)"),
    ("normal_: negative std", "R(2).normal_(0, -1)"),
    ("normal_: integers", "L(1, 2).normal_()"),
    ("bernoulli_: p above 1", "R(2).bernoulli_(1.5)"),
    ("bernoulli: probability above 1", "torch.bernoulli(torch.tensor([0.5, 1.5]))"),
    ("bernoulli: integers", "torch.bernoulli(L(1))"),
    ("arange: step 0", "torch.arange(1, 5, 0)"),
    ("arange: wrong way", "torch.arange(5, 1)"),
    ("arange: infinite", "torch.arange(0, float('inf'))"),
    ("arange: bool", "torch.arange(0, 2, dtype=torch.bool)"),
    ("linspace: negative steps", "torch.linspace(0, 1, -1)"),
    ("eye: negative size", "torch.eye(-1)"),
    ("rand_like: integers", "torch.rand_like(L(1))"),
    ("zeros_like: integers with a gradient", "torch.zeros_like(L(1), requires_grad=True)"),
]

TENSORS = [
    ("var: integers", "L(1, 2).var()"),
    ("std: integers", "L(1, 2).std()"),
    ("var: dim out of range", "R(2).var(1)"),
    ("norm: integers", "L(1, 2).norm()"),
    ("norm: infinite of nothing", "R(0).norm(float('inf'))"),
    ("prod: dim out of range", "R(2).prod(1)"),
    ("amax: of nothing", "R(0, 3).amax(0)"),
    ("amin: dim given twice", "R(2, 3).amin((0, 0))"),
    ("max: of nothing", "R(0).max()"),
    ("min: of nothing along a dimension", "R(2, 0).min(1)"),
    ("max: dim out of range", "R(2).max(1)"),
    ("argmax: all of nothing", "R(0).argmax()"),
    ("argmin: bool", "torch.tensor([True]).argmin()"),
    ("logsumexp: dim out of range", "R(2).logsumexp(1)"),
    ("cumsum: dim out of range", "R(2).cumsum(-2)"),
    ("topk: k too large", "R(3).topk(4)"),
    ("topk: negative k", "R(3).topk(-1)"),
    ("topk: bool", "torch.tensor([True, False]).topk(1)"),
    ("sort: dim out of range", "R(2).sort(1)"),
    ("argsort: dim out of range", "R(2).argsort(1)"),
    ("cat: nothing to join", "torch.cat([])"),
    ("cat: numbers of dimensions", "torch.cat([R(2), R(2, 2)])"),
    ("cat: sizes", "torch.cat([R(2, 3), R(2, 2)])"),
    ("cat: empty matrix of another width", "torch.cat([R(0, 3), R(2, 2)])"),
    ("cat: single numbers", "torch.cat([R(()), R(())])"),
    ("cat: dim out of range", "torch.cat([R(2), R(0)], 1)"),
    ("stack: nothing to join", "torch.stack([])"),
    ("stack: shapes", "torch.stack([R(2), R(3)])"),
    ("stack: dim out of range", "torch.stack([R(2), R(2)], 2)"),
    ("chunk: 0 chunks", "R(5).chunk(0)"),
    ("chunk: a single number", "R(()).chunk(1)"),
    ("split: size 0", "R(5).split(0)"),
    ("split: negative size", "R(5).split(-1)"),
    ("split: sizes do not add up", "R(5).split([2, 2])"),
    ("split: a negative size among them", "R(5).split([6, -1])"),
    ("unbind: a single number", "R(()).unbind()"),
    ("narrow: beyond the end", "R(5).narrow(0, 4, 2)"),
    ("narrow: before the start", "R(5).narrow(0, -6, 1)"),
    ("narrow: negative length", "R(5).narrow(0, 0, -1)"),
    ("t: three dimensions", "R(2, 3, 4).t()"),
    ("movedim: out of range", "R(2, 3).movedim(0, 2)"),
    ("flip: dim given twice", "R(2, 3).flip(0, 0)"),
    ("flip: dim out of range", "R(2, 3).flip(2)"),
    ("roll: numbers of shifts and dimensions", "R(2, 3).roll((1, 2), (0,))"),
    ("roll: a single number along a dimension", "R(()).roll(1, 0)"),
    ("repeat: too few numbers", "R(2, 3).repeat(2)"),
    ("repeat: negative", "R(2, 3).repeat(2, -1)"),
    ("gather: numbers of dimensions", "R(3, 2).gather(1, L(0, 1))"),
    ("gather: index out of range", "R(3).gather(0, L(0, 3))"),
    ("gather: negative index", "R(3).gather(0, L(0, -1))"),
    ("gather: more columns than there are", "R(3, 2).gather(0, torch.zeros(4, 3, dtype=torch.int64))"),
    ("gather: float indices", "R(3).gather(0, torch.zeros(2))"),
    ("index_select: index out of range", "R(3).index_select(0, L(3))"),
    ("index_select: negative index", "R(3).index_select(0, L(-1))"),
    ("index_select: a matrix of indices", "R(3).index_select(0, L(0, 1).view(1, 2))"),
    ("index_select: bool indices", "R(3).index_select(0, torch.tensor([True]))"),
    ("take_rows: out of range", "R(3)[[0, 3]]"),
    ("one_hot: class too large", "F.one_hot(L(0, 2), 2)"),
    ("one_hot: negative class", "F.one_hot(L(-1, 2))"),
    ("one_hot: int32", "F.one_hot(torch.tensor([0, 1], dtype=torch.int32), 2)"),
    ("one_hot: count of nothing", "F.one_hot(torch.zeros(0, dtype=torch.int64))"),
    ("pad: an odd count of numbers", "F.pad(R(1, 6), (1,))"),
    ("pad: more dimensions than there are", "F.pad(R(6), (1, 1, 1, 1))"),
    ("pad: more cut off than there is", "F.pad(R(1, 6), (-4, -4))"),
    ("pad: reflect beyond the size", "F.pad(R(1, 6), (6, 0), 'reflect')"),
    ("pad: circular beyond the size", "F.pad(R(1, 6), (7, 0), 'circular')"),
    ("pad: reflect of all dimensions", "F.pad(R(6), (1, 1), 'reflect')"),
    ("pad: replicate with a value", "F.pad(R(1, 6), (1, 1), 'replicate', 2.0)"),
    ("pad: replicate of nothing", "F.pad(R(2, 1, 0), (1, 1), 'replicate')"),
]


TRAINING = [
    ("mse_loss: shapes", "F.mse_loss(R(3, 2), R(3))"),
    ("mse_loss: integers", "F.mse_loss(L(1, 2), L(1, 2))"),
    ("mse_loss: weight of another shape", "F.mse_loss(R(3, 2), R(3, 2), weight=R(2))"),
    ("l1_loss: shapes", "F.l1_loss(R(3, 2), R(3))"),
    ("smooth_l1_loss: negative beta", "F.smooth_l1_loss(R(3), R(3), beta=-1.0)"),
    ("huber_loss: delta 0", "F.huber_loss(R(3), R(3), delta=0.0)"),
    ("bce: shapes", "F.binary_cross_entropy(torch.rand(4, 1), torch.rand(4))"),
    ("bce: input outside 0..1", "F.binary_cross_entropy(torch.rand(3) + 2, torch.rand(3))"),
    ("bce: target outside 0..1", "F.binary_cross_entropy(torch.rand(3), torch.rand(3) - 2)"),
    ("bce: float64 target", "F.binary_cross_entropy(torch.rand(3), torch.rand(3).double())"),
    ("bce: weight that does not repeat", "F.binary_cross_entropy(torch.rand(3, 2), torch.rand(3, 2), torch.rand(3))"),
    ("bce: weight with a gradient", "F.binary_cross_entropy(torch.rand(3), torch.rand(3), leaf())"),
    ("bce_with_logits: shapes", "F.binary_cross_entropy_with_logits(R(4, 1), torch.rand(4))"),
    ("bce_with_logits: integer target", "F.binary_cross_entropy_with_logits(R(3), L(0, 1, 1))"),
    ("bce_with_logits: weight that is wider", "F.binary_cross_entropy_with_logits(R(2), torch.rand(2), torch.rand(3, 2))"),
    ("bce_with_logits: pos_weight that does not repeat",
     "F.binary_cross_entropy_with_logits(R(3, 2), torch.rand(3, 2), pos_weight=torch.rand(3))"),
    ("kl_div: shapes", "F.kl_div(R(3, 2), torch.rand(3))"),
    ("kl_div: integers", "F.kl_div(L(1), L(1))"),
    ("autograd.grad: input not used", "x, y = leaf(), leaf(); torch.autograd.grad(x.sum(), y)"),
    ("autograd.grad: input without a gradient", "torch.autograd.grad(leaf().sum(), R(3))"),
    ("autograd.grad: not a scalar", "x = leaf(); torch.autograd.grad(x * 2, x)"),
    ("autograd.grad: twice", "x = leaf(); y = x.exp().sum(); torch.autograd.grad(y, x); torch.autograd.grad(y, x)"),
    ("autograd.grad: one gradient for two outputs",
     "x = leaf(); torch.autograd.grad([x * 2, x * 3], x, grad_outputs=[torch.ones(3)])"),
    ("retain_grad: no history", "R(3).retain_grad()"),
    ("clip_grad_norm_: not finite",
     "x = leaf(); (x * float('inf')).sum().backward(); nn.utils.clip_grad_norm_([x], 1, error_if_nonfinite=True)"),
    ("group: a parameter twice", "x = leaf(); optim.SGD([x], lr=0.1).add_param_group({'params': [x]})"),
    ("group: nesterov without momentum", "optim.SGD([leaf()], lr=0.1, nesterov=True, momentum=0)"),
    ("RMSprop: negative alpha", "optim.RMSprop([leaf()], alpha=-1)"),
    ("RMSprop: negative momentum", "optim.RMSprop([leaf()], momentum=-1)"),
    ("RMSprop: negative eps", "optim.RMSprop([leaf()], eps=-1)"),
    ("Adagrad: negative lr_decay", "optim.Adagrad([leaf()], lr_decay=-1)"),
    ("Adagrad: negative first sum", "optim.Adagrad([leaf()], initial_accumulator_value=-1)"),
    ("LinearLR: start_factor 0", "S.LinearLR(sgd(), start_factor=0)"),
    ("LinearLR: end_factor above 1", "S.LinearLR(sgd(), end_factor=2)"),
    ("ConstantLR: factor above 1", "S.ConstantLR(sgd(), factor=2)"),
    ("CosineAnnealingWarmRestarts: T_0 0", "S.CosineAnnealingWarmRestarts(sgd(), 0)"),
    ("CosineAnnealingWarmRestarts: T_mult 0", "S.CosineAnnealingWarmRestarts(sgd(), 3, T_mult=0)"),
    ("OneCycleLR: no number of steps", "S.OneCycleLR(sgd(), 0.1)"),
    ("OneCycleLR: pct_start above 1", "S.OneCycleLR(sgd(), 0.1, total_steps=10, pct_start=1.5)"),
    ("OneCycleLR: a phase of no steps", "S.OneCycleLR(sgd(), 0.1, total_steps=10, pct_start=0.1)"),
    ("OneCycleLR: no momentum to cycle", "S.OneCycleLR(optim.Adagrad([leaf()]), 0.1, total_steps=10)"),
    ("OneCycleLR: a step too many", "s = S.OneCycleLR(sgd(), 0.1, total_steps=2); [s.step() for _ in range(3)]"),
    ("ReduceLROnPlateau: factor 1", "S.ReduceLROnPlateau(sgd(), factor=1.0)"),
    ("ReduceLROnPlateau: a step without a metric", "S.ReduceLROnPlateau(sgd()).step()"),
    ("SequentialLR: milestones", "o = sgd(); S.SequentialLR(o, [S.StepLR(o, 1), S.StepLR(o, 2)], [1, 2])"),
    ("SequentialLR: of two optimizers", "o = sgd(); S.SequentialLR(o, [S.StepLR(sgd(), 1)], [])"),
    ("ChainedScheduler: a plateau", "S.ChainedScheduler([S.ReduceLROnPlateau(sgd())])"),
    ("EMA: decay above 1", "optim.swa_utils.get_ema_multi_avg_fn(1.5)"),
]


class Uneven(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, i):
        if i >= 2:
            raise IndexError
        return torch.zeros(2 + i)


def sgd():
    return optim.SGD([leaf()], lr=0.1, momentum=0.9)


def leaf():
    return torch.ones(3, requires_grad=True)


NAMES = {"torch": torch, "torchvision": torchvision, "nn": nn, "F": F, "optim": optim, "DataLoader": DataLoader,
         "TensorDataset": TensorDataset, "random_split": random_split, "Uneven": Uneven, "leaf": leaf,
         "sgd": sgd, "S": optim.lr_scheduler, "R": torch.randn, "L": lambda *v: torch.tensor(v)}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for stem, mistakes in {"errors": MISTAKES, "errors_elementwise": ELEMENTWISE, "errors_tensors": TENSORS,
                           "errors_training": TRAINING}.items():
        for name, call in mistakes:
            try:
                exec(call, dict(NAMES))
            except Exception:
                continue
            raise SystemExit(f"PyTorch accepts: {name}: {call}")
        assert len({n for n, _ in mistakes}) == len(mistakes)
        text = ",\n".join("  " + json.dumps({"name": n, "call": c}) for n, c in mistakes)
        path = pathlib.Path(__file__).resolve().parent / f"{stem}.json"
        path.write_text('{"torch": "' + torch.__version__.split("+")[0] + '", "mistakes": [\n' + text + "\n]}\n")
        print(stem, len(mistakes), "mistakes")
