"""The chapter's pictures can be made again: a short run of examples/lesson/pictures.c, drawn by
scripts/lesson_pictures.py, gives as many as docs/lesson/pictures/ has, of the same sizes; all have an alternative text
where they are shown.

usage: test_pictures.py PROGRAM FOLDER"""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "docs/lesson/pictures"
program, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def sizes(where):
    return {path.name: xml.etree.ElementTree.parse(path).getroot().attrib["viewBox"] for path in where.glob("*.svg")}


class Pictures(unittest.TestCase):
    def test_made_again(self):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run([program, str(folder / "data"), "1000", "2", "0.1", str(ROOT / "data/mnist")], check=True)
        draw = [str(ROOT / "scripts/lesson_pictures.py"), str(folder / "data"), str(folder / "drawn")]
        subprocess.run(draw, check=True)
        self.assertEqual(sizes(folder / "drawn"), sizes(KEPT))

    def test_all_are_shown_with_a_text(self):
        shown = {}
        for page in ROOT.glob("docs/lesson/**/*.md"):
            for text, name in re.findall(r"!\[([^\]]*)\]\([^)]*pictures/([^)/]+)\)", page.read_text()):
                self.assertGreater(len(text), 40, f"{page.name}: {name}")
                shown[name] = page
        self.assertEqual(set(shown), set(sizes(KEPT)))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
