"""What the book computes of itself while it is built.

The footer's version, date and commit; pictures that say what they show; an entrance at the root; a
search that knows other words; a description and a card of each page for search engines and
messengers; equations that need no script; buttons to the repository, a sitemap and canonical
addresses where the repository's address is known; pages of facts (model card, datasheet, changelog)
by the directive `computed`; docstrings as lists; and a limit on what a page weighs.
"""

import posixpath
import re
import subprocess
from collections.abc import Collection
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import entrance
import facts
import pictures
import weight
from docutils import nodes
from docutils.statemachine import StringList
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import persona

HEAVIEST = 1_200_000
"""Bytes that a page may make a browser load, compressed; audio, which waits for a click, apart."""

DESCRIPTION = 200
"""Characters of a page's description at most."""

logger = logging.getLogger(__name__)


def home(repository: str) -> str:
    """Where GitHub publishes the book of a repository."""
    _, owner, name = urlsplit(repository).path.split("/")
    return f"https://{owner}.github.io/{name}/"


def state() -> str:
    """Version, and in a checkout the commit and its date."""
    command = ["git", "-C", str(facts.ROOT), "log", "-1", "--format=%cs, commit %h"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"Version {persona.__version__}."
    return f"Version {persona.__version__} of {commit}."


def configure(_: Sphinx, config: Config) -> None:
    options = config.html_theme_options
    options["extra_footer"] = f"{options['extra_footer']} {state()}"
    address = facts.repository()
    if not address:
        return
    talk = f'<a href="{address}/discussions">Questions and ideas</a>.'
    options["extra_footer"] = f"{options['extra_footer']} {talk}"
    options.update(
        repository_url=address,
        repository_branch="main",
        use_repository_button=True,
        use_issues_button=True,
        use_edit_page_button=True,
    )
    if urlsplit(address).hostname == "github.com":
        config.html_baseurl = home(address)
        options["launch_buttons"] = {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        }


def describe(app: Sphinx, page: str, _: str, context: dict[str, Any], doctree: Any) -> None:
    """Where the source of a page is, and the page in a sentence."""
    context["doc_path"] = "" if page.startswith("notebooks/") else "book"
    if doctree is None:
        return
    body = linked(context["body"], page, app.env.found_docs)
    body = re.sub(r"(?<=[\d\]]) %", "\N{NO-BREAK SPACE}%", body)  # no line begins with it
    context["body"] = pictures.saved(body, page)
    title, base = context["title"], app.config.html_baseurl
    if title == app.config.html_title:
        title, context["docstitle"] = f"{title}: emotion, gender and age from a voice", ""
        context["title"] = title
    tags = {"og:type": "article", "og:site_name": "PERSONA", "og:title": title}
    if text := description(doctree):
        tags |= {"description": text, "og:description": text}
    if base:
        tags["og:url"] = base + app.builder.get_target_uri(page)
        tags["og:image"] = base + "_static/card.png"
        tags["twitter:card"] = "summary_large_image"
    for name, value in tags.items():
        kind = "property" if name.startswith("og:") else "name"
        context["metatags"] += f'\n<meta {kind}="{name}" content="{escape(_plain(value))}" />'


def linked(body: str, page: str, pages: Collection[str]) -> str:
    """A page's HTML with the ending of pages that computed Markdown names without one.

    Sphinx resolves the links that somebody wrote; those in a notebook's outputs it leaves alone.
    """

    def ended(found: re.Match[str]) -> str:
        path, place = found[1], found[2] or ""
        there = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        return f'href="{path}.html{place}"' if there in pages else found[0]

    return re.sub(r'href="([^":#?]+)(#[^"]*)?"', ended, body)


def description(doctree: nodes.document) -> str:
    """A chapter's question, or the first paragraph of any other page."""
    texts = [" ".join(p.astext().split()) for p in doctree.findall(nodes.paragraph)]
    questions = [text for text in texts if text.startswith("Question.")]
    text = next(iter(questions or texts), "").removeprefix("Question. ")
    if len(text) <= DESCRIPTION:
        return text
    return text[:DESCRIPTION].rsplit(" ", 1)[0] + " ..."


def _plain(text: str) -> str:
    return re.sub(r"<[^>]+>", "", text)


class Computed(SphinxDirective):
    """Markdown that a function of `facts` writes while the book is built."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = getattr(facts, self.arguments[0])()
        found = nodes.Element()
        lines = StringList(text.splitlines(), source=self.arguments[0])
        self.state.nested_parse(lines, self.content_offset, found, match_titles=True)
        return found.children


def show_math(translator: Any, node: nodes.Element) -> None:
    """An equation as MathML, which browsers draw by themselves: MathJax is on another host."""
    try:
        block = isinstance(node, nodes.math_block)
        translator.body.append(tex2mathml(node.astext(), as_block=block))
    except MathError as error:
        logger.warning("An equation cannot be shown: %s", error, location=node)
    raise nodes.SkipNode


PARAMETER = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*) : (.+)")


def list_parameters(_: Sphinx, _kind: str, _name: str, _of: Any, _opts: Any, lines: list[str]):
    """The docstrings' lines `name : what it is` as a list, their underlined headings as such."""
    found: list[str] = []
    inside = False
    for line in lines:
        if match := PARAMETER.fullmatch(line):
            found += [] if inside else [""]
            found.append(f"- ``{match[1]}``: {match[2]}")
            inside = True
        elif inside and line.startswith("    "):
            found.append(line[2:])
        elif line and set(line) == {"-"}:
            found[-1:] = [f".. rubric:: {found[-1]}", ""]
        else:
            found += [""] if inside and line else []
            found.append(line)
            inside = False
    lines[:] = found


def finish(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    entrance.open_at_the_root(out, app.config.root_doc)
    weight.lighten(out)
    for page in sorted(app.env.found_docs):
        weighs = weight.weigh(out / app.builder.get_target_uri(page))
        if weighs > HEAVIEST:
            logger.warning("%s weighs %.2f MB compressed.", page, weighs / 1e6)
    if base := app.config.html_baseurl:
        addresses = (base + app.builder.get_target_uri(p) for p in sorted(app.env.found_docs))
        entries = "".join(f"<url><loc>{escape(address)}</loc></url>\n" for address in addresses)
        (out / "sitemap.xml").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n'
        )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("computed", Computed)
    app.add_html_math_renderer("mathml", (show_math, None), (show_math, None))
    app.connect("config-inited", configure)
    app.connect("autodoc-process-docstring", list_parameters)
    # After the theme has prepared the page's context, before it makes buttons of it.
    app.connect("html-page-context", describe, priority=500)
    app.connect("doctree-read", pictures.prepare)
    app.connect("doctree-read", entrance.index_words)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
