"""Makes cifar/: small files in the form of CIFAR's version for Python, for tests/data and tests/fuzz.

    python make_cifar.py              # needs numpy and torchvision, which must read what was made; writes beside this file

Two images a file; pixel (c, y, x) of image i of file f is (31 f + 7 i + 50 c + 3 y + 5 x + y x % 7) % 256, its label is
(3 i + f) % classes. The files of the folders cifar-10-batches-py and cifar-100-python are written as Python 2 wrote them,
in protocol 2 with its strings; those in other/ as Python 3 writes the same in several protocols.
"""
import pathlib
import pickle

import numpy as np
import torchvision.datasets.cifar as cifar

HERE = pathlib.Path(__file__).resolve().parent / "cifar"
N = 2


class Python2(pickle._Pickler):
    """Pickles str and bytes as Python 2 pickles its str, and with the names numpy had then."""

    dispatch = dict(pickle._Pickler.dispatch)

    def __init__(self, file):
        super().__init__(file, protocol=2, fix_imports=True)

    def save_str(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin1")
        if len(data) < 256:
            self.write(b"U" + bytes([len(data)]) + data)
        else:
            self.write(b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[str] = save_str
    dispatch[bytes] = save_str

    def save_global(self, value, name=None):
        module = value.__module__.replace("numpy._core", "numpy.core")
        self.write(f"c{module}\n{name or value.__name__}\n".encode())
        self.memoize(value)

    dispatch[type] = save_global
    dispatch[type(len)] = save_global
    dispatch[type(lambda: 0)] = save_global


def images(f):
    i, c, y, x = np.ogrid[0:N, 0:3, 0:32, 0:32]
    return ((31 * f + 7 * i + 50 * c + 3 * y + 5 * x + y * x % 7) % 256).astype(np.uint8).reshape(N, 3072)


def labels(f, classes):
    return [(3 * i + f) % classes for i in range(N)]


def batch10(f, name):
    return {"batch_label": name, "labels": labels(f, 10), "data": images(f),
            "filenames": [f"picture_{f}_{i}.png" for i in range(N)]}


def batch100(f, name):
    return {"filenames": [f"picture_{f}_{i}.png" for i in range(N)], "batch_label": name,
            "fine_labels": labels(f, 100), "coarse_labels": labels(f, 20), "data": images(f)}


def write2(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        Python2(file).dump(value)


ten = HERE / "cifar-10-batches-py"
for f in range(1, 6):
    write2(ten / f"data_batch_{f}", batch10(f, f"training batch {f} of 5"))
write2(ten / "test_batch", batch10(0, "testing batch 1 of 1"))
write2(ten / "batches.meta", {"num_cases_per_batch": N, "num_vis": 3072, "label_names": [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]})
hundred = HERE / "cifar-100-python"
write2(hundred / "train", batch100(1, "training batch 1 of 1"))
write2(hundred / "test", batch100(0, "testing batch 1 of 1"))
write2(hundred / "meta", {"fine_label_names": [f"fine {i}" for i in range(100)],
                          "coarse_label_names": [f"coarse {i}" for i in range(20)]})

other = HERE / "other"
other.mkdir(exist_ok=True)
value = batch10(0, "testing batch 1 of 1")
(other / "protocol2").write_bytes(pickle.dumps(value, protocol=2))
(other / "protocol3").write_bytes(pickle.dumps(value, protocol=3))
(other / "protocol4").write_bytes(pickle.dumps(value, protocol=4))
(other / "bytes_keys").write_bytes(pickle.dumps({k.encode(): v for k, v in value.items()}, protocol=4))
(other / "fortran").write_bytes(pickle.dumps({**value, "data": np.asfortranarray(value["data"])}, protocol=4))

# What torchvision makes of them.
cifar.check_integrity = lambda path, md5=None: True
for kind, folder, name in ((cifar.CIFAR10, ten, "label_names"), (cifar.CIFAR100, hundred, "fine_label_names")):
    for train in (True, False):
        data = kind(HERE, train=train)
        files = [1, 2, 3, 4, 5] if train and kind is cifar.CIFAR10 else [1] if train else [0]
        classes = len(data.classes)
        want = np.concatenate([images(f) for f in files]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        assert (data.data == want).all() and data.targets == [y for f in files for y in labels(f, classes)]
        assert classes == (10 if kind is cifar.CIFAR10 else 100)
