"""Records a PyTorch training run for comparison with its port to Facula: `facula parity RUN.json`.

    torch.manual_seed(0)
    model, criterion = ..., nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    recorder = Recorder("RUN.json", model, optimizer, criterion)     # 1. before the first step
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        recorder.step(loss, labels)                                  # 2. after each step

Needs torch (2.0 or newer) alone. Writes RUN.json, and beside it RUN.safetensors with the numbers: the initial weights; of
each of the first `steps` steps the batch, the generator's state and the loss; of the first `details` ones also what each
layer gave, every gradient, and the weights after the step. Nothing is drawn and nothing in the run is changed.
"""
import atexit
import json
import pathlib

import torch

DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8",
          torch.bool: "BOOL"}
LIMIT = 100  # steps


def plain(value):
    """A value as JSON has it: numbers, texts, lists; others as their text."""
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return value.item()
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else str(value)


def copied(tensor):
    tensor = tensor.detach().cpu()
    return tensor.to(tensor.dtype if tensor.dtype in DTYPES else torch.float32).contiguous().clone()


class Recorder:
    def __init__(self, path, model, optimizer, criterion=None, scheduler=None, seed=None, steps=10, details=1):
        self.path, self.model, self.optimizer = pathlib.Path(path), model, optimizer
        self.steps, self.details = min(steps, LIMIT), min(details, steps)
        self.values, self.done, self.now, self.order = {}, [], None, []
        self.containers = [n for n, m in model.named_modules() if list(m.children())]
        names = {id(p): n for n, p in model.named_parameters()}
        groups = [{k: [names[id(p)] for p in v] if k == "params" else plain(v) for k, v in g.items()}
                  for g in optimizer.param_groups]
        self.facts = {
            "format": "facula parity 1", "torch": torch.__version__.split("+")[0], "model": str(model),
            "layers": {n: type(m).__name__ if n in self.containers else str(m) for n, m in model.named_modules()},
            "seed": torch.initial_seed() if seed is None else seed,
            "criterion": {"name": getattr(criterion, "__name__", type(criterion).__name__),
                          **{k: plain(v) for k, v in vars(criterion or object).items()
                             if k in ("reduction", "label_smoothing", "ignore_index", "beta", "delta")}},
            "optimizer": {"name": type(optimizer).__name__, "groups": groups},
            "scheduler": type(scheduler).__name__ if scheduler else None, "state": list(model.state_dict())}
        self._keep_state("start")
        atexit.register(lambda: self.done and self.close())  # a run of fewer steps is written when it ends
        if steps > LIMIT:
            print(f"facula_recorder: {LIMIT} steps are recorded, not {steps}")
        self.hooks = [model.register_forward_pre_hook(self._begin), optimizer.register_step_pre_hook(self._gradients),
                      optimizer.register_step_post_hook(self._after)]
        for name, module in model.named_modules():
            self.hooks.append(module.register_forward_hook(lambda m, i, out, name=name: self._output(name, out)))

    def _keep_state(self, where):
        for name, tensor in self.model.state_dict().items():
            self.values[f"{where}/{name}"] = copied(tensor)

    def _detailed(self):
        return self.now is not None and len(self.done) < self.details

    def _begin(self, model, inputs):
        if model.training and torch.is_grad_enabled():
            self.now, self.order, self.last = f"{len(self.done) + 1}", [], None
            for key in [k for k in self.values if k.startswith(self.now + "/")]:
                del self.values[key]
            self.values[f"{self.now}/images"] = copied(inputs[0])
            self.values[f"{self.now}/generator"] = torch.get_rng_state()

    def _output(self, name, out):
        repeats = name in self.containers and out is self.last  # a Sequential gives what its last layer gave
        if self._detailed() and self.model.training and isinstance(out, torch.Tensor) and not repeats:
            self.last = out
            calls = sum(n == name for n, _ in self.order)
            key = f"output/{name}" + (f"#{calls + 1}" if calls else "")
            self.order.append((name, key))
            self.values[f"{self.now}/{key}"] = copied(out)

    def _gradients(self, optimizer, *_):
        self.rates = [float(g["lr"]) for g in optimizer.param_groups]
        if self._detailed():
            for name, p in self.model.named_parameters():
                if p.grad is not None:
                    self.values[f"{self.now}/grad/{name}"] = copied(p.grad)

    def _after(self, optimizer, *_):
        if self._detailed():
            self._keep_state(f"{self.now}/after")

    def step(self, loss, labels):
        """After optimizer.step(). The file is written after the last recorded step; later calls do nothing."""
        if self.now is None:
            return
        self.values[f"{self.now}/labels"] = copied(labels)
        self.done.append({"loss": loss.item(), "lr": self.rates, "order": [key for _, key in self.order]})
        self.now, self.order = None, []
        if len(self.done) == self.steps:
            self.close()

    def close(self):
        """Writes the file now, with the steps so far."""
        for hook in self.hooks:
            hook.remove()
        if not self.hooks:
            return
        self.hooks = []
        for key in [k for k in self.values if self.now and k.startswith(self.now + "/")]:
            del self.values[key]
        self.now = None
        header, at = {}, 0
        values = sorted(self.values.items(), key=lambda item: -item[1].element_size())  # so that each is aligned
        for name, tensor in values:
            size = tensor.numel() * tensor.element_size()
            header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + size]}
            at += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(self.path.with_suffix(".safetensors"), "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _, tensor in values:
                file.write(bytes(tensor.reshape(-1).view(torch.uint8).numpy()))
        with open(self.path, "w") as file:
            json.dump({**self.facts, "steps": self.done}, file, indent=1)
            file.write("\n")
