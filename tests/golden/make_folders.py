"""Makes folders_golden.inc: the order in which torchvision's ImageFolder lists a tree of files, for tests/data.

    python make_folders.py            # needs torchvision; writes beside this file

The tree: folders end in "/", links are "path -> target", everything else is an empty file.
"""
import os
import pathlib
import tempfile

import torchvision
from torchvision.datasets import ImageFolder

HERE = pathlib.Path(__file__).resolve().parent

TREE = [
    # classes that are called as numbers are; a plain file and a link to a file beside the classes
    b"data/10/a.png", b"data/2/a.png", b"data/1/a.png", b"data/README.txt", b"data/.DS_Store", b"data/x.jpg",
    # order of letters, of endings, of upper case
    b"data/B/b.jpg", b"data/B/B.JPG", b"data/B/a.JPEG", b"data/B/a.jpeg", b"data/B/a.jpg", b"data/B/b10.ppm",
    b"data/B/b2.bmp", b"data/B/_.pgm", b"data/B/z.tif", b"data/B/z.TIFF", b"data/B/z.webp", b"data/B/.png",
    b"data/B/Thumbs.db", b"data/B/a.jpg.txt", b"data/B/jpg", b"data/B/a.gif",
    # folders below a class: sorted by path, '-' before '/' before '0'
    b"data/deep/z.png", b"data/deep/a/1.png", b"data/deep/a/b/2.png", b"data/deep/a-b/3.png", b"data/deep/a0/4.png",
    b"data/deep/a/b/c/d/e/5.png", b"data/deep/empty/", b"data/deep/A/6.png", b"data/deep/a.png/7.png",
    b"data/deep/a /8.png",
    # names: spaces, quotes, other scripts, beyond 16 bits, bytes that are no UTF-8
    "data/猫/1.png".encode(), "data/é/a b'é.png".encode(), b"data/e/1.png", "data/猫/\U0001f431.png".encode(),
    "data/猫/\uffe6.png".encode(), b"data/\xe7\x8c\xab/\xff.png", b"data/\xe7\x8c\xab/\xe7\x8c.png",
    b"data/\xe7\x8c\xab/\xc3(.png", b"data/\xff/1.png", "data/\uffe6/1.png".encode(), "data/\ue000/1.png".encode(),
    "data/\U0001f431/1.png".encode(), b"data/\xed\xa0\x80/1.png", b"data/\xc0\x80/1.png", b"data/\xf5\x80/1.png",
    "data/ſ/a.ſpng".encode(), "data/ſ/a.PNG".encode(), b"data/line\nfeed/1\n.png", b"data/$(echo)/`x`.png",
    # links
    b"store/other/y.jpg", b"store/other/more/w.jpg", b"data/linked/link.jpg -> ../../store/other/y.jpg",
    b"data/linked/broken.png -> nowhere", b"data/linked/folder -> ../../store/other", b"data/whole -> ../store/other",
    b"data/nothing -> nowhere", b"data/alone.png -> ../store/other/y.jpg",
    # a hidden folder is a class too
    b"data/.hidden/1.png",
]


def make(root):
    for entry in TREE:
        name, _, target = entry.partition(b" -> ")
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(path if name.endswith(b"/") else os.path.dirname(path), exist_ok=True)
        if target:
            os.symlink(target, path)
        elif not name.endswith(b"/"):
            open(path, "wb").close()


def text(data):
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in data) + '"'


def array(name, values):
    return f"static const char *const {name}[] = {{\n" + "".join(f"    {text(v)},\n" for v in values) + "};\n"


with tempfile.TemporaryDirectory() as root:
    make(root)
    data = os.path.join(root, "data")
    folder = ImageFolder(data)
    samples = [os.fsencode(os.path.relpath(path, data)) for path, _ in folder.samples]
    out = f"/* Made by make_folders.py with torchvision {torchvision.__version__}. */\n\n"
    out += array("folder_tree", TREE) + "\n" + array("folder_classes", [os.fsencode(c) for c in folder.classes]) + "\n"
    out += array("folder_samples", samples) + "\n"
    out += "static const int64_t folder_targets[] = {" + ", ".join(map(str, folder.targets)) + "};\n"
    (HERE / "folders_golden.inc").write_text(out)
