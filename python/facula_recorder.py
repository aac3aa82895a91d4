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

Needs torch (2.1 or newer) alone. Writes RUN.json, and beside it RUN.safetensors with the numbers: the initial weights;
of each of the first `steps` steps the batch, the generator's state, the loss and what schedules change; of the first
`details` ones also what each layer gave, every gradient, and the weights after the step. Nothing is drawn and nothing in
the run is changed. What cannot be recorded (several passes a step, two optimizers, half precision) ends with a
RecorderError.
"""
import atexit
import json
import math
import pathlib

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

DTYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8",
          torch.bool: "BOOL"}
LIMIT = 100  # steps
SCHEDULED = ("lr", "momentum", "betas", "weight_decay")


class RecorderError(Exception):
    """A run that cannot be recorded; says why, and what to do."""


def plain(value):
    """A value as JSON has it: numbers, texts, lists; others as their text."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # "nan", "inf": JSON has no number for them
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else str(value)


def copied(tensor, what):
    if not isinstance(tensor, torch.Tensor) or tensor.dtype not in DTYPES:
        got = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise RecorderError(f"{what}: got {got}; tensors of float32 and float64 are recorded, integers and bools. "
                            "For half precision: record without torch.autocast, and with model.float().")
    return tensor.detach().cpu().contiguous().clone()


def described(criterion):
    """A loss by its name and options, and its tensors; functools.partial of a function too."""
    function, options = getattr(criterion, "func", criterion), getattr(criterion, "keywords", None)
    options = {**vars(criterion), **criterion._buffers} if isinstance(criterion, torch.nn.Module) else options or {}
    facts = {k: plain(options[k]) for k in ("reduction", "label_smoothing", "ignore_index", "beta", "delta")
             if k in options}
    tensors = {f"criterion/{k}": copied(options[k], f"the criterion's {k}") for k in ("weight", "pos_weight")
               if options.get(k) is not None}
    return {"name": getattr(function, "__name__", type(function).__name__), **facts}, tensors


class Recorder:
    def __init__(self, path, model, optimizer, criterion=None, scheduler=None, seed=None, steps=10, details=1):
        if not isinstance(model, torch.nn.Module) or not isinstance(optimizer, torch.optim.Optimizer):
            raise RecorderError(f"got a {type(model).__name__} and a {type(optimizer).__name__}, needs the model and "
                                "its one optimizer: Recorder(path, model, optimizer, criterion).")
        if steps < 1 or details < 0:
            raise RecorderError(f"got steps={steps} and details={details}, needs at least 1 and 0.")
        wrapped = getattr(model, "_orig_mod", None) or (
            model.module if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)) else None)
        if wrapped is not None:
            raise RecorderError(f"got a {type(model).__name__} around the model: record without torch.compile and "
                                "DataParallel, the model itself.")
        self.path, self.model, self.optimizer, self.hooks = pathlib.Path(path), model, optimizer, []
        if self.path.suffix == ".safetensors" or not self.path.parent.is_dir():
            raise RecorderError(f"got the path {path}, needs a name like RUN.json in a folder that exists.")
        self.steps, self.details = min(steps, LIMIT), min(details, steps)
        self.done, self.now, self.stepped, self.backward = [], None, False, False
        self.containers = [n for n, m in model.named_modules() if list(m.children())]
        self.names = {id(p): n for n, p in model.named_parameters()}
        self.groups_began = self._groups()
        self.trained = {n: p for n, p in model.named_parameters() if any(n in group for group in self.groups_began)}
        seed = torch.initial_seed() if seed is None else seed
        loss, self.values = described(criterion)
        name = type(optimizer).__name__
        if any(g.get("decoupled_weight_decay") for g in optimizer.param_groups):
            name = "AdamW"
        self.frozen, self.evaluating, self.raw = self._frozen(), None, {}
        self.facts = {
            "format": "facula parity 2", "torch": torch.__version__.split("+")[0], "seed": str(seed % 2**64),
            "model": str(model), "state": list(model.state_dict()), "frozen": self.frozen, "shared": self._shared(),
            "layers": {n: type(m).__name__ if n in self.containers else str(m) for n, m in model.named_modules()},
            "criterion": loss, "scheduler": type(scheduler).__name__ if scheduler else None,
            "optimizer": {"name": name, "groups": [{"params": names, **{k: plain(v) for k, v in g.items() if k != "params"}}
                                                   for names, g in zip(self.groups_began, optimizer.param_groups)]}}
        self._keep_state("start")
        atexit.register(lambda: self.done and self.close())  # a run of fewer steps is written when it ends
        if steps > LIMIT:
            print(f"facula_recorder: {LIMIT} steps are recorded, not {steps}")
        self.hooks = [model.register_forward_pre_hook(self._begin, with_kwargs=True),
                      optimizer.register_step_pre_hook(self._gradients), register_optimizer_step_post_hook(self._after)]
        self.hooks += [p.register_post_accumulate_grad_hook(self._accumulated) for p in self.trained.values()
                       if p.requires_grad]
        for name, module in model.named_modules():
            self.hooks.append(module.register_forward_hook(lambda m, i, out, name=name: self._output(name, out)))

    def _name(self, parameter):
        if id(parameter) not in self.names:
            raise RecorderError(f"the optimizer has a parameter {list(parameter.shape)} that is not in the model. Give "
                                "the recorder the module that holds all of them.")
        return self.names[id(parameter)]

    def _groups(self):
        return [[self._name(p) for p in g["params"]] for g in self.optimizer.param_groups]

    def _shared(self):
        """Names that are another one's tensor: a layer used twice, tied weights. The model's text does not tell them."""
        first, shared = {}, {}
        for name, tensor in self.model.state_dict(keep_vars=True).items():
            if first.setdefault(id(tensor), name) != name:
                shared[name] = first[id(tensor)]
        return shared

    def _frozen(self):
        return [n for n, p in self.model.named_parameters() if not p.requires_grad]

    def _keep_state(self, where):
        for name, tensor in self.model.state_dict().items():
            self.values[f"{where}/{name}"] = copied(tensor, name)

    def _detailed(self):
        return self.now is not None and len(self.done) < self.details

    def _begin(self, model, inputs, named):
        if not model.training or not torch.is_grad_enabled():
            return
        step = f"step {len(self.done) + 1}"
        if self.now is not None:
            raise RecorderError(
                f"{step}: the model ran a second time " +
                ("before recorder.step(loss, labels), which is called after each optimizer.step()." if self.stepped else
                 "before optimizer.step(). One pass a step is recorded: record without gradient accumulation, the "
                 "whole batch in one pass, and other passes under torch.no_grad() or model.eval()."))
        given = [*inputs, *named.values()]
        if len(given) != 1:
            raise RecorderError(f"{step}: the model was called with {len(given)} arguments; a model of one tensor is "
                                "recorded, model(images).")
        evaluating = [n for n, m in model.named_modules() if not m.training]
        self.evaluating = evaluating if self.evaluating is None else self.evaluating
        if self._frozen() != self.frozen or evaluating != self.evaluating:
            raise RecorderError(f"{step}: layers were frozen or released (requires_grad, eval()) during the recording. "
                                "Do it before the recorder is made; for what comes after, make another one there.")
        self.now, self.calls, self.last, self.stepped, self.backward = f"{len(self.done) + 1}", {}, None, False, False
        self.values[f"{self.now}/images"] = copied(given[0], "the images")
        self.values[f"{self.now}/generator"] = torch.get_rng_state()

    def _output(self, name, out):
        if self.now is None or self.stepped or not self.model.training or not torch.is_grad_enabled():
            return
        if name == "":
            copied(out, "the model's output")
            if out.requires_grad:
                out.register_hook(self._backward)
        layer = self.model.get_submodule(name)
        if type(layer) is torch.nn.Dropout and layer.training and layer.p > 0 and self._permuted(out):
            raise RecorderError(f"step {self.now}: Dropout ({name}) got a tensor in channels_last, and drew its mask in that "
                                "order. Facula's lie row-major: record without memory_format=torch.channels_last.")
        repeats = name in self.containers and out is self.last  # a Sequential gives what its last layer gave
        if self._detailed() and isinstance(out, torch.Tensor) and not repeats:
            self.last, self.calls[name] = out, self.calls.get(name, 0) + 1
            key = f"{self.now}/output/{name}" + (f"#{self.calls[name]}" if self.calls[name] > 1 else "")
            self.values[key] = copied(out, f"the output of {name or 'the model'}")

    @staticmethod
    def _permuted(out):
        return out.dim() == 4 and not out.is_contiguous() and out.is_contiguous(memory_format=torch.channels_last)

    def _backward(self, _):
        """Gradients begin at 0: neither those of an earlier step nor of another backward() are there."""
        kept = [n for n, p in self.trained.items() if p.grad is not None and bool(p.grad.any())]
        if self.now is not None and (self.backward or kept):
            found = "backward() ran twice" if self.backward else f"{kept[0]} still has a gradient when backward() begins"
            raise RecorderError(f"step {self.now}: {found}. One backward() a step, after optimizer.zero_grad(), is "
                                "recorded: record without gradient accumulation.")
        self.backward = True

    def _accumulated(self, parameter):
        if self.now is not None:
            self.raw[self.names[id(parameter)]] = parameter.grad.detach().clone()

    def _scale(self):
        """By what all gradients were multiplied between backward() and now, as clip_grad_norm_ does."""
        now = {n: p.grad for n, p in self.trained.items() if n in self.raw}
        if all(g is not None and torch.equal(g.nan_to_num(), self.raw[n].nan_to_num()) for n, g in now.items()):
            return 1.0
        if all(g is not None for g in now.values()):
            top = sum(float((g.double() * self.raw[n].double()).sum()) for n, g in now.items())
            scale = top / (sum(float(r.double().square().sum()) for r in self.raw.values()) or 1)
            most = max(float(r.abs().max()) for r in self.raw.values() if r.numel())
            if all(bool(((g - scale * self.raw[n]).abs() <= 1e-6 * scale * most).all()) for n, g in now.items()):
                return scale
        raise RecorderError(f"step {self.now}: gradients were changed between backward() and optimizer.step(). "
                            "clip_grad_norm_ is recorded, which multiplies all by one number; leave other changes out.")

    def _gradients(self, optimizer, *_):
        if self.now is not None and self.stepped:
            raise RecorderError(f"step {self.now}: optimizer.step() ran twice. One step for each pass is recorded; "
                                "call recorder.step(loss, labels) after each.")
        if self._groups() != self.groups_began:
            raise RecorderError(f"step {len(self.done) + 1}: the optimizer has other parameters than when the recorder was "
                                "made (add_param_group). Make the recorder after that.")
        self.scale = self._scale() if self.now is not None else 1.0
        self.raw = {}
        self.groups = [{k: plain(g[k]) for k in SCHEDULED if k in g} for g in optimizer.param_groups]
        if self._detailed():
            for name, p in self.trained.items():
                if p.grad is not None:
                    self.values[f"{self.now}/grad/{name}"] = copied(p.grad, f"the gradient of {name}")

    def _after(self, optimizer, *_):
        if optimizer is self.optimizer:
            self.stepped = self.now is not None
            if self._detailed():
                self._keep_state(f"{self.now}/after")
        elif any(id(p) in self.names for g in optimizer.param_groups for p in g["params"]):
            raise RecorderError("a second optimizer changed the model. One is recorded: put the parameters into groups "
                                "of one optimizer while recording.")

    def step(self, loss, labels):
        """After optimizer.step(). The files are written after the last recorded step; later calls do nothing."""
        if not self.hooks:
            return
        if self.now is None or not self.stepped:
            missing = "the model did not run in training" if self.now is None else "optimizer.step() did not run"
            raise RecorderError(f"step {len(self.done) + 1}: {missing} before recorder.step(loss, labels), which is "
                                "called after model(images), loss.backward() and optimizer.step().")
        self.values[f"{self.now}/labels"] = copied(labels, "the labels")
        try:
            loss = float(loss.item() if isinstance(loss, torch.Tensor) else loss)
        except (TypeError, ValueError, RuntimeError):
            raise RecorderError(f"step {self.now}: got {loss!r:.60} as the loss; one number is recorded.") from None
        self.done.append({"loss": plain(loss), "details": self._detailed(), "gradient_scale": self.scale,
                          "groups": self.groups})
        self.now = None
        if len(self.done) == self.steps:
            self.close()

    def close(self):
        """Writes the files now, with the steps so far; without a step nothing is written."""
        for hook in self.hooks:
            hook.remove()
        hooks, self.hooks = self.hooks, []
        if not hooks or not self.done:
            return
        for key in [k for k in self.values if self.now and k.startswith(self.now + "/")]:
            del self.values[key]
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
            facts = {**self.facts, "evaluating": self.evaluating, "steps": self.done}
            json.dump(facts, file, indent=1, allow_nan=False)
            file.write("\n")
