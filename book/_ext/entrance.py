"""Ways into the book: its address is its first page, and search knows words of readers."""

import posixpath
import re
from pathlib import Path

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx


def open_at_the_root(out: Path, first: str) -> None:
    """Write index.html: the first page with its addresses as they are from there.

    out : folder of the built pages. first : the first page's name, e.g. "notebooks/00_persona".
    """
    folder = posixpath.dirname(first)

    def moved(found: re.Match[str]) -> str:
        address = found[2]
        if re.match(r"[a-z]+:|//|#|$", address):
            return found[0]
        path, mark, rest = re.match(r"([^#?]*)([#?]?)(.*)", address).groups()
        there = posixpath.normpath(posixpath.join(folder, path))
        slash = "/" if path.endswith("/") and there != "." else ""
        return f'{found[1]}="{"./" if there == "." else there + slash}{mark}{rest}"'

    page = (out / f"{first}.html").read_text(encoding="utf-8")
    names = r"\b(href|src|action|data-content_root)"
    (out / "index.html").write_text(re.sub(rf'{names}="([^"]*)"', moved, page), encoding="utf-8")


def index_words(app: Sphinx, doctree: nodes.document) -> None:
    """Add a page's words in _search.yml to the index that the search page looks into first."""
    words = yaml.safe_load((Path(app.srcdir) / "_search.yml").read_text(encoding="utf-8"))
    name = re.sub(r"^(.*/)?(\d+_)?", "", app.env.docname)
    entries = [("single", word, "", "main", None) for word in words.get(name, ())]
    doctree += addnodes.index(entries=entries)
