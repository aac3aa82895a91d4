"""The chapter's pictures can be made again: a short run of examples/lesson/pictures.c, drawn by
scripts/lesson_pictures.py, gives as many as docs/lesson/pictures/ has, of the same sizes, in both languages; all have
an alternative text where they are shown.

usage: test_pictures.py PROGRAM FOLDER"""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LESSON = ROOT / "docs/lesson"
program, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def sizes(where):
    return {path.name: xml.etree.ElementTree.parse(path).getroot().attrib["viewBox"] for path in where.glob("*.svg")}


class Pictures(unittest.TestCase):
    def test_made_again(self):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run([program, str(folder / "data"), "1000", "2", "0.1", str(ROOT / "data/mnist")], check=True)
        for option, kept in (([], LESSON / "pictures"), (["--french"], LESSON / "fr/pictures")):
            drawn = folder / kept.parent.name
            draw = [str(ROOT / "scripts/lesson_pictures.py"), *option, str(folder / "data"), str(drawn)]
            subprocess.run(draw, check=True)
            self.assertEqual(sizes(drawn), sizes(kept))

    def test_all_are_shown_with_a_text(self):
        for pages in (LESSON, LESSON / "fr"):
            shown = set()
            for page in pages.glob("*.md"):
                for text, name in re.findall(r"!\[([^\]]*)\]\(pictures/([^)/]+)\)", page.read_text()):
                    self.assertGreater(len(text), 40, f"{page.name}: {name}")
                    shown.add(name)
            self.assertEqual(shown, set(sizes(pages / "pictures")))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
