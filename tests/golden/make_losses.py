"""Makes losses.json and losses.safetensors, in the form of layers.json (make_layers.py): losses of pairs.

    python make_losses.py            # needs torch and safetensors; writes beside this file
"""
import warnings

import torch
import torch.nn.functional as F

from make_layers import INF, NAN, OPS, Golden, R, one

REDUCTION = {0: "none", 1: "mean", 2: "sum", 3: "batchmean"}


def reduction(a):
    return REDUCTION[a.get("reduction", 1)]


OPS.update({
    "mse_loss": one(lambda t, a: F.mse_loss(t["x"], t["y"], reduction=reduction(a), weight=t.get("scale"))),
    "l1_loss": one(lambda t, a: F.l1_loss(t["x"], t["y"], reduction=reduction(a), weight=t.get("scale"))),
    "smooth_l1_loss": one(lambda t, a: F.smooth_l1_loss(t["x"], t["y"], reduction=reduction(a), beta=a.get("beta", 1.0))),
    "huber_loss": one(lambda t, a: F.huber_loss(t["x"], t["y"], reduction=reduction(a), delta=a.get("delta", 1.0),
                                                 weight=t.get("scale"))),
    "bce": one(lambda t, a: F.binary_cross_entropy(t["x"], t["y"], t["scale"].detach() if "scale" in t else None,
                                                   reduction=reduction(a))),
    "bce_with_logits": one(lambda t, a: F.binary_cross_entropy_with_logits(
        t["x"], t["y"], t["scale"].detach() if "scale" in t else None, reduction=reduction(a),
        pos_weight=t["positive"].detach() if "positive" in t else None)),
    "kl_div": one(lambda t, a: F.kl_div(t["x"], t["y"], reduction=reduction(a), log_target=bool(a.get("log_target", 0)))),
})


def distances(g):
    special = torch.tensor([0.0, 1.0, -1.0, 0.5, -3.0, NAN, INF])
    for op, options in (("mse_loss", [{}]), ("l1_loss", [{}]),
                        ("smooth_l1_loss", [{}, dict(beta=0.3), dict(beta=0.0), dict(beta=2.5)]),
                        ("huber_loss", [{}, dict(delta=0.3), dict(delta=2.5)])):
        for option in options:
            for r in (0, 1, 2):
                g.add(op, {"x": R(4, 5), "y": R(4, 5)}, reduction=r, **option)
                g.add(op, {"x": special, "y": torch.zeros(7)}, reduction=r, note="bounds, NaN, infinity", **option)
        for a, b in (((2, 3, 4), (4,)), ((3, 1), (1, 4)), ((), (3,)), ((0, 3), (0, 3)), ((), ())):
            for r in (0, 1, 2):
                g.add(op, {"x": R(a), "y": R(b)}, reduction=r)
        g.add(op, {"x": R(40, 30), "y": R(40, 30)}, terms=1200)
    for op in ("mse_loss", "l1_loss", "huber_loss"):
        for r in (0, 1, 2):
            g.add(op, {"x": R(3, 4), "y": R(3, 4), "scale": torch.rand(3, 4) + 0.1}, reduction=r, note="weighted")
    for op in ("mse_loss", "l1_loss", "smooth_l1_loss"):
        g.add(op, {"x": R(3), "y": R(3).double()}, dtypes=("as_is",), note="float32 and float64")
        g.add(op, {"x": R(3), "y": torch.tensor([1, 2, -3])}, dtypes=("as_is",), note="float32 and int64")


def entropies(g):
    edges = {"x": torch.tensor([0.0, 1.0, 0.5, 1e-20, 1 - 2.0**-24]), "y": torch.tensor([0.25, 0.75, 0.3, 1.0, 0.0])}
    for r in (0, 1, 2):
        g.add("bce", {"x": torch.rand(4, 5), "y": torch.rand(4, 5)}, reduction=r)
        for shape in ((4, 5), (5,), (4, 1), ()):
            g.add("bce", {"x": torch.rand(4, 5), "y": torch.rand(4, 5), "scale": torch.rand(shape) + 0.1}, reduction=r)
        g.add("bce", {"x": torch.rand(0, 2), "y": torch.rand(0, 2)}, reduction=r, note="no elements")
        g.add("bce", edges, reduction=r, note="logarithms of 0", dtypes=("f32",))
        g.add("bce_with_logits", {"x": R(4, 5) * 3, "y": torch.rand(4, 5)}, reduction=r)
        g.add("bce_with_logits", {"x": R(0, 2), "y": torch.rand(0, 2)}, reduction=r, note="no elements")
        for scale, positive in (((4, 5), (5,)), ((5,), None), (None, (4, 1)), (None, ())):
            inputs = {"x": R(4, 5) * 3, "y": torch.rand(4, 5)}
            inputs |= {"scale": torch.rand(scale) + 0.1} if scale is not None else {}
            inputs |= {"positive": torch.rand(positive) * 3 + 0.1} if positive is not None else {}
            g.add("bce_with_logits", inputs, reduction=r)
        g.add("bce_with_logits", {"x": torch.tensor([0.0, 100.0, -100.0, 1e4, -1e4, NAN]),
                                  "y": torch.tensor([0.5, 1.0, 1.0, 0.0, 0.0, 1.0])}, reduction=r, note="large scores")
    g.add("bce_with_logits", {"x": R(3), "y": torch.rand(3).double()}, dtypes=("as_is",), note="float32 and float64")


def divergences(g):
    for r in (0, 1, 2, 3):
        g.add("kl_div", {"x": R(4, 5).log_softmax(1), "y": R(4, 5).softmax(1)}, reduction=r)
        g.add("kl_div", {"x": R(4, 5).log_softmax(1), "y": R(4, 5).log_softmax(1)}, reduction=r, log_target=1)
        g.add("kl_div", {"x": R(3, 4, 5), "y": torch.rand(5) + 0.1}, reduction=r)
        g.add("kl_div", {"x": R(5), "y": torch.rand(3, 5) + 0.1}, reduction=r)
        g.add("kl_div", {"x": R(()), "y": R(())}, reduction=r, log_target=1, note="single numbers")
        g.add("kl_div", {"x": R(0, 3), "y": torch.rand(0, 3)}, reduction=r, note="batch of 0")
        g.add("kl_div", {"x": torch.tensor([-1.0, -2.0, -1.0, -INF]), "y": torch.tensor([0.0, 0.5, -1.0, 1.0])},
              reduction=r, note="0, negative and infinite")
        g.add("kl_div", {"x": torch.tensor([-1.0, -2.0, -1.0]), "y": torch.tensor([0.0, 0.5, -INF])}, reduction=r,
              log_target=1, note="a logarithm of 0")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(23)
    golden = Golden()
    for part in (distances, entropies, divergences):
        part(golden)
    golden.write("losses")
    print(len(golden.cases), "cases,", len(golden.tensors), "tensors")
