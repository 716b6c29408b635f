"""Figures are pictures: headings among a cell's outputs are none, and each says what it shows."""

import json
import re
from base64 import b64decode
from hashlib import sha256
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx


def prepare(app: Sphinx, doctree: nodes.document) -> None:
    """Number only figures with a picture, and let each picture say what its cell computed of it.

    A cell's caption is put under each of its outputs, words as well as pictures.
    """
    for figure in list(doctree.findall(nodes.figure)):
        if not any(True for _ in figure.findall(nodes.image)):
            kept = [child for child in figure.children if not isinstance(child, nodes.caption)]
            figure.replace_self(kept)
    said = findings(Path(app.env.doc2path(app.env.docname)))
    for image in doctree.findall(nodes.image):
        if finding := said.get(Path(image["uri"]).stem):
            image["alt"] = f"{finding} {image.get('alt', '')}".strip()


def findings(notebook: Path) -> dict[str, str]:
    """What a notebook's pictures say of themselves, by the name that MyST-NB gives their files."""
    if notebook.suffix != ".ipynb":
        return {}
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return {
        sha256(b64decode(output["data"]["image/png"])).hexdigest(): alt
        for output in outputs
        if (alt := output.get("metadata", {}).get("image/png", {}).get("alt"))
    }


def saved(body: str, page: str) -> str:
    """A page's HTML with a link under each numbered picture that saves it."""
    count = 0

    def linked(figure: re.Match[str]) -> str:
        nonlocal count
        picture = re.search(r'<img\b[^>]*?\bsrc="([^"]+)"', figure[0])
        if not picture:
            return figure[0]
        count += 1
        name = f"{page.rsplit('/', 1)[-1]}_{count}{Path(picture[1]).suffix}"
        link = f'<a class="persona-save" href="{picture[1]}" download="{escape(name)}">Save</a>'
        return figure[0].replace("</figcaption>", f"{link}</figcaption>")

    return re.sub(r"<figure\b.*?</figure>", linked, body, flags=re.DOTALL)
