"""The documentation's site: `scripts/site.sh` builds it with Sphinx, MyST and the theme Furo."""
import html
import pathlib
import re

from docutils import nodes

project = "Facula"
author = "the Facula developers"
copyright = "the Facula developers, Apache-2.0"
version_file = (pathlib.Path(__file__).parent.parent / "include/facula/base.h").read_text(encoding="utf-8")
release = ".".join(version_file.split(f"#define FA_VERSION_{part} ")[1].split()[0] for part in ("MAJOR", "MINOR", "PATCH"))
version = release

extensions = ["myst_parser"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = f"Facula {release}"
html_show_sourcelink = False
html_copy_source = False
highlight_language = "text"
exclude_patterns = []


def prepare(app, name, source):
    """Links to headers lead to their pages of the reference; those to other files outside of docs/, which the site does not
    have, become their text. The name of a file above a block of its code becomes the block's caption,
    and a block that is cut out of a function moves to the left margin."""
    here = pathlib.Path(app.srcdir, name).parent

    def text_of(link):
        target = link.group(2).split("#")[0]
        header = re.search(r"include/facula/(\w+)\.h$", target)
        if header:
            return f"[{link.group(1)}](/reference/{header.group(1)}.md)"
        inside = "://" in target or not target or app.srcdir in str((here / target).resolve())
        return link.group(0) if inside else link.group(1)

    source[0] = re.sub(r"\[([^\]]*)\]\(([^)\s]+)\)", text_of, source[0])
    source[0] = re.sub(r"^`([\w./]+)`\n\n```c\n", r"```{code-block} c\n:caption: \1\n:dedent:\n\n", source[0], flags=re.M)


def put_pictures_in(app, doctree):
    """SVGs become part of their page, whose theme then gives them their ink; elsewhere they are files as they are."""
    for image in list(doctree.findall(nodes.image)):
        path = pathlib.Path(app.srcdir, image["uri"])
        if path.suffix == ".svg" and app.builder.format == "html":
            alt = html.escape(image.get("alt", ""))
            text = path.read_text(encoding="utf-8").replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)
            image.replace_self(nodes.raw("", text, format="html"))


def setup(app):
    app.connect("source-read", prepare)
    app.connect("doctree-read", put_pictures_in)
