"""Less to load: sounds apart, icons that are used, pictures by a palette; and what is left."""

import gzip
import re
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

from PIL import Image

LARGE = 300_000
"""Bytes of a picture from which on it is stored with 256 colours."""

_ICON = re.compile(
    r'(?:"([^"]+)"|([\w$]+)):\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]*",(?:"[^"]*"|\["[^"]*","[^"]*"\])\],?'
)


def lighten(out: Path) -> None:
    """Make what the theme and the chapters put into the built book smaller."""
    keep_used_icons(out)
    put_sounds_apart(out)
    for picture in (out / "_images").glob("*.png"):
        if picture.stat().st_size > LARGE:
            reduced = Image.open(picture).convert("RGB").quantize(256)
            reduced.save(picture, optimize=True)


def put_sounds_apart(out: Path) -> None:
    """Write what pages hold of sound to files of their own, which wait until they are played."""
    folder = out / "_sounds"

    def apart(found: re.Match[str], page: Path) -> str:
        sound = b64decode(found[3])
        file = folder / f"{sha256(sound).hexdigest()[:16]}.{found[2].rpartition('-')[2]}"
        folder.mkdir(exist_ok=True)
        file.write_bytes(sound)
        return (
            f'{found[1]}src="{"../" * len(page.relative_to(out).parent.parts)}_sounds/{file.name}"'
        )

    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if "data:audio/" not in text:
            continue
        held = r'(<(?:audio|source)\b[^>]*?)src="data:audio/([\w-]+);base64,([^"]+)"'
        text = re.sub(held, lambda found, page=page: apart(found, page), text)
        text = re.sub(r"<audio(?![^>]*preload)", '<audio preload="none"', text)
        page.write_text(text, encoding="utf-8")


def keep_used_icons(out: Path) -> None:
    """Take out of the theme's Font Awesome the icons that no page and no script names."""
    library = out / "_static" / "scripts" / "fontawesome.js"
    users = [*out.rglob("*.html"), *out.glob("_static/**/*.js")]
    texts = (file.read_text(encoding="utf-8") for file in users if file != library)
    used = {name for text in texts for name in re.findall(r"fa-([a-z0-9-]+)", text)}

    def kept(icon: re.Match[str]) -> str:
        names = {icon[1] or icon[2], *re.findall(r'"([^"]+)"', icon[3])}
        return icon[0] if names & used else ""

    library.write_text(_ICON.sub(kept, library.read_text(encoding="utf-8")), encoding="utf-8")


def weigh(page: Path) -> int:
    """Bytes of a page and of the scripts, styles and pictures in it, compressed."""
    text = page.read_text(encoding="utf-8")
    loaded = re.findall(r'<(?:script|img)\b[^>]*\bsrc="([^"]+)"', text)
    for link in re.findall(r'<link\b[^>]*rel="stylesheet"[^>]*>', text):
        loaded += re.findall(r'href="([^"]+)"', link)
    files = {page} | {(page.parent / address.split("?")[0]).resolve() for address in loaded}
    return sum(len(gzip.compress(file.read_bytes())) for file in files if file.is_file())
