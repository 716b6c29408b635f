"""Files that people take for recordings and that hold none: what they are, and what to do."""

from typing import BinaryIO

from persona.audio.headers import Part

_HEAD = 1 << 10

_PLAYLIST = "is a playlist, which names recordings: give those"
_SETTINGS = (
    "stands for a file of a cloud drive, or is a list of settings: download the recording itself"
)
_BEGIN = (
    (b"PK\x03\x04", "is a zip archive: unpack it, and give the recordings in it"),
    (b"PK\x05\x06", "is an empty zip archive: give a recording"),
    (b"Rar!\x1a\x07", "is a RAR archive: unpack it, and give the recordings in it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it, and give the recordings in it"),
    (b"\x1f\x8b", "is packed by gzip: unpack it, and give the recordings in it"),
    (b"BZh", "is packed by bzip2: unpack it, and give the recordings in it"),
    (b"\xfd7zXZ\x00", "is packed by xz: unpack it, and give the recordings in it"),
    (b"#EXTM3U", _PLAYLIST),
    (b"[playlist]", _PLAYLIST),
    (b"<asx", _PLAYLIST),
    (b"<?wpl", _PLAYLIST),
    (b"version https://git-lfs", "stands for a file kept elsewhere: get it with `git lfs pull`"),
    (b"/annex/objects/", "stands for a file kept elsewhere: get it with `git annex get`"),
    (b"[internetshortcut]", "is a link to an address: download the recording itself"),
    (b"L\x00\x00\x00\x01\x14\x02\x00", "is a shortcut to another file: give that one"),
    (b"bplist00", _SETTINGS),
    (b"\x00\x05\x16\x07", "is what macOS keeps beside a file: give that file, without ._"),
    (b"<!doctype html", "is a web page: download the recording itself"),
    (b"<html", "is a web page: download the recording itself"),
    (b"%PDF-", "is a PDF: give a sound or video file"),
    (b"\x89PNG\r\n", "is a picture: give a sound or video file"),
    (b"MThd", "is MIDI, notes without sound: give a recording"),
    (b"SQLite format 3\x00", "is a project or a database: export its sound as WAV"),
    (b"\x02#!SILK", "is a voice message in SILK, which is not read: convert it to WAV"),
    (b"#!SILK", "is a voice message in SILK, which is not read: convert it to WAV"),
    (b"\x02dss", "is dictation in DSS, which is not read: export it as WAV"),
    (b"\x03ds2", "is dictation in DS2, which is not read: export it as WAV"),
)  # fmt: skip
_GSM_FRAME = 33  # bytes, of 20 ms; its first four bits are 1101
_OTHER = (
    "cannot be decoded, being damaged, without a header or no audio at all: give a sound or video "
    "file, such as WAV, MP3, FLAC, OGG, M4A or WebM"
)


def mistaken(file: BinaryIO, size: int) -> str:
    """What a file is that holds no recording, though FFmpeg may find some inside; or nothing."""
    file.seek(0)
    head = file.read(_HEAD)
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for begins, words in _BEGIN:
        if head.startswith(begins) or plain[:16].lower().startswith(begins.lower()[:16]):
            return words
    if head[257:262] == b"ustar":
        return "is a tar archive: unpack it, and give the recordings in it"
    if plain.startswith(b"{") and b'"url"' in head and (b"doc_id" in head or b"google" in head):
        return "stands for a file of a cloud drive: download the recording itself"
    if plain.startswith((b'{"', b"[{")):
        return "is text in JSON, perhaps what a server answered: download the recording itself"
    if plain.startswith(b"<?xml"):
        if b"<playlist" in head:
            return _PLAYLIST
        if b"<plist" in head:
            return _SETTINGS
    if b"\nFILE " in b"\n" + plain and b"TRACK " in head:
        return _PLAYLIST
    if size >= 4 * _GSM_FRAME and size % _GSM_FRAME == 0 and _all_gsm(head):
        return "is GSM without a header, which tells no rate: convert it to WAV"
    if not any(head) and _zeros(file):
        return (
            "holds only zeros, as where a download broke off or a cloud drive has not fetched it: "
            "get it again"
        )
    return ""


def undecodable(file: BinaryIO | Part, endings: tuple[str, ...]) -> str:
    """The sentence for what FFmpeg does not know; endings : of names of recordings."""
    file.seek(0)
    lines = [line.strip() for line in file.read(_HEAD).splitlines() if line.strip()]
    paths = [line for line in lines if not line.startswith(b"#")]
    named = [line.lower().decode(errors="replace").endswith(endings) for line in paths]
    if named and all(named[:-1] or named):  # the last one may be cut
        return _PLAYLIST
    return _OTHER


def _all_gsm(head: bytes) -> bool:
    return all(byte >> 4 == 0xD for byte in head[::_GSM_FRAME])


def _zeros(file: BinaryIO) -> bool:
    file.seek(0)
    return not any(any(part) for part in iter(lambda: file.read(1 << 20), b""))
