"""Blocks of code in docs/ are parts of the files that are named above them, what they say in Python parses, links lead
somewhere, and no number of idioms is out of date."""
import ast
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = sorted(ROOT.glob("*.md")) + sorted(p for p in ROOT.glob("docs/**/*.md") if "reference" not in p.parts) + \
    sorted(ROOT.glob("bench/*.md")) + sorted(ROOT.glob("examples/**/*.md"))


class Docs(unittest.TestCase):
    def test_blocks_are_parts_of_files(self):
        found = 0
        for page in PAGES:
            for path, block in re.findall(r"^`([\w./]+)`\n\n```c\n(.*?)\n```$", page.read_text(), re.S | re.M):
                found += 1
                source = (ROOT / path).read_text()
                self.assertIn(block, source, f"{page.name}: a block is no part of {path}")
        self.assertGreaterEqual(found, 4)

    def test_no_block_is_named_in_another_way(self):
        """page_code.py compiles no block under a path: each such block must be one of those that are compared above."""
        for page in PAGES:
            text = page.read_text()
            strict = len(re.findall(r"^`[\w./]+`\n\n```c\n", text, re.M))
            self.assertEqual(len(re.findall(r"^[ \t]*`[\w./]+`[ \t]*\n\s*```c", text, re.M)), strict, page.name)

    def test_only_pages_whose_code_is_compiled_have_code(self):
        for page in PAGES:
            if page != ROOT / "README.md" and ROOT / "docs" not in page.parents:
                self.assertNotRegex(page.read_text(), r"```c\b", page.name)

    def test_python_parses(self):
        found = 0
        for page in PAGES:
            for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.S | re.M):
                found += 1
                try:
                    ast.parse(block)
                except SyntaxError as error:
                    self.fail(f"{page.name}: {error}: {block}")
        self.assertGreaterEqual(found, 50)

    def test_readme_counts_the_idioms(self):
        idioms = len(re.findall("^### ", (ROOT / "docs/guide/from_pytorch.md").read_text(), re.M))
        self.assertIn(f"from_pytorch.md): {idioms} idioms", (ROOT / "README.md").read_text())

    def test_names_of_the_library_exist(self):
        """Names in the text of pages for users, as the headers declare them; code is compiled."""
        headers = "".join(path.read_text() for path in [ROOT / "include/facula.h", *ROOT.glob("include/facula/*.h")])
        declared = set(re.findall(r"\b(?:fa|FA)_\w+", re.sub(r"/\*.*?\*/", "", headers, flags=re.S)))
        pages = [ROOT / "README.md", *ROOT.glob("docs/guide/*.md"), *ROOT.glob("docs/lesson/**/*.md"),
                 *ROOT.glob("examples/**/*.md")]
        for page in pages:
            if page.name != "add_an_op.md":  # of the inside
                used = set(re.findall(r"\b(?:fa|FA)_\w*[A-Za-z0-9]\b", page.read_text()))
                self.assertEqual(used - declared, set(), page.name)

    def test_links_lead_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)|<img src=\"([^\"]+)\"", page.read_text()):
                target = target[0] or target[1]
                if "://" not in target:
                    self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_french_pages_have_the_blocks_of_the_english_ones(self):
        """Those are compiled, run and compared; so nothing of it is done twice."""
        def blocks(page):
            text = re.sub(r"^```\{toctree\}.*?^```$", "", page.read_text(), flags=re.S | re.M)
            return re.findall(r"^```.*?^```$", text, re.S | re.M), re.findall(r"^`[\w./]+`$", text, re.M)

        pages = sorted(ROOT.glob("docs/lesson/fr/*.md"))
        self.assertEqual({page.name for page in pages}, {page.name for page in ROOT.glob("docs/lesson/*.md")})
        for page in pages:
            self.assertEqual(blocks(page), blocks(page.parent.parent / page.name), page.name)


if __name__ == "__main__":
    unittest.main()
