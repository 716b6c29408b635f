"""What the bytes of a sound file say besides FFmpeg: joined parts and stated lengths."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

_MOST_PARTS = 1_000
_MOST_BOXES = 100_000
_ABSURD = 1 << 48  # bytes
_OGG_START = re.compile(rb"OggS\0[\x02\x03\x06\x07]")
_ID3 = re.compile(rb"ID3[\x02-\x04]\0[\0-\xf0][\0-\x7f]{4}")
_STARTS = tuple(  # what a file begins with and, where others were appended to it, these too
    re.compile(start, re.DOTALL)
    for start in (
        rb"RIFF....WAVE(?:fmt |JUNK|bext|LIST)",
        rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
        rb"\x1aE\xdf\xa3.{1,40}?B\x82.(?:webm|matroska)",
        rb"FORM....AIF[FC](?:COMM|FVER)",
        rb"caff\x00\x01\x00\x00desc",
        rb"fLaC\x00\x00\x00\x22",
        rb"#!AMR(?:-WB)?\n",
        rb"\x00\x00\x00[\x14-\x40]ftyp[0-9A-Za-z ]{4}\x00",
        rb"0&\xb2u\x8ef\xcf\x11\xa6\xd9\x00\xaa\x00b\xcel",
    )
)
_ASF_LENGTHS = b"\xa1\xdc\xab\x8cG\xa9\xcf\x11\x8e\xe4\0\xc0\x0c\x20Se"
_NAME = re.compile(rb"[ -~]{4}")
_TAGS = (b"ID3", b"TAG", b"APE")
# By the first bytes: where chunks begin, bytes of a name, of a length, their order, of both.
_CHUNKS: dict[bytes, tuple[int, int, int, Literal["little", "big"], int]] = {
    b"RIFF": (12, 4, 4, "little", 8),
    b"RF64": (12, 4, 4, "little", 8),
    b"FORM": (12, 4, 4, "big", 8),
    b"riff": (40, 16, 8, "little", 0),  # W64, whose lengths include the head
    b"caff": (8, 4, 8, "big", 12),
}


class Part:
    """A stretch of a file; has no name, so that its content decides what it is.

    patch : a place and the bytes that are read there in place of those in the file.
    """

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self.patch: tuple[int, bytes] = (0, b"")
        self.length = end - start
        self._file, self._start, self._at = file, start, 0

    def read(self, size: int = -1) -> bytes:
        left = self.length - self._at
        if left <= 0:
            return b""
        self._file.seek(self._start + self._at)
        content = self._file.read(left if size < 0 else min(size, left))
        place, patch = self.patch[0] - self._at, self.patch[1]
        self._at += len(content)
        if patch and -len(patch) < place < len(content):
            if place < 0:
                place, patch = 0, patch[-place:]
            patch = patch[: len(content) - place]
            content = content[:place] + patch + content[place + len(patch) :]
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at


@dataclass
class _Data:
    """The samples in a file: the byte where they begin, how many bytes are stated, and how."""

    begin: int
    stated: int
    field: int  # where the length is written
    digits: int
    order: Literal["little", "big"] = "little"
    more: int = 0  # bytes besides the samples that the length includes


def stated_share(part: Part) -> float:
    """Bytes of samples stated by the header of a WAV, RF64, W64, AIFF, AU or CAF per byte there is.

    1 for other files and wherever other chunks follow the samples. Where a recorder that crashed
    left a length of 0, or one from before the last samples were written, `part` is patched to
    state all of them.
    """
    data = _data(part)
    if data is None or not 0 < data.begin < part.length:
        return 1.0
    there = part.length - data.begin
    if there < data.stated < _ABSURD:
        return data.stated / there
    unset = data.stated >= _ABSURD or (data.stated == 0 and not _chunk_at(part, data.begin))
    if unset or _goes_on(part, data):
        part.patch = data.field, (there + data.more).to_bytes(data.digits, data.order)
    return 1.0 if unset or not part.patch[1] else data.stated / there


def _data(part: Part) -> _Data | None:
    part.seek(0)
    kind = part.read(4)
    if kind == b".snd":
        begin, length = (int.from_bytes(part.read(4), "big") for _ in range(2))
        return _Data(begin, length, 8, 4, "big")
    if kind not in _CHUNKS:
        return None
    at, width, digits, order, head = _CHUNKS[kind]
    large: _Data | None = None
    for _ in range(_MOST_PARTS):
        part.seek(at)
        name, length = part.read(width), int.from_bytes(part.read(digits), order)
        if len(name) < width:
            return None
        if name == b"ds64":
            part.seek(at + 16)
            large = _Data(0, int.from_bytes(part.read(8), "little"), at + 16, 8)
        if name[:4] in (b"data", b"SSND"):
            if large and length == 0xFFFFFFFF:
                large.begin = at + 8
                return large
            more = {b"riff": 24, b"FORM": 8, b"caff": 4}.get(kind, 0)
            begin = at + width + digits + (0 if kind == b"riff" else more)
            return _Data(begin, max(0, length - more), at + width, digits, order, more)
        if not head and length < 24:
            return None
        at += head + length
        at += 0 if kind == b"caff" else (-at) % (2 if digits == 4 else 8)
    return None


def _chunk_at(part: Part, at: int) -> bool:
    part.seek(at)
    name, length = part.read(4), int.from_bytes(part.read(4), "little")
    if name[:3] in _TAGS:
        return True
    return bool(_NAME.fullmatch(name)) and at + 8 + length <= part.length + 1


def _goes_on(part: Part, data: _Data) -> bool:
    """Whether samples follow where those of a WAV should end: no further chunk begins there."""
    end = data.begin + data.stated
    part.seek(0)
    if part.read(4) not in (b"RIFF", b"RF64") or end + 10_000 > part.length:
        return False
    return not (_chunk_at(part, end) or _chunk_at(part, end + end % 2))


def parts(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """Where recordings that were joined end to end begin and end in a file, in bytes."""
    file.seek(0)
    head = file.read(64)
    starts, end = [0], size
    if head.startswith(b"OggS"):
        starts += _ogg_links(file)
    elif head.startswith(b"ID3") or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        starts += _tagged(file)
        end = _before_ape(file, size)
    else:
        data = _data(Part(file, 0, size))
        whole = data is not None and data.begin + data.stated >= size
        pattern = next((start for start in _STARTS if start.match(head)), None)
        starts += [at for at in _matches(file, pattern) if at] if pattern and not whole else []
    starts = starts[:_MOST_PARTS]
    return list(zip(starts, [*starts[1:], end], strict=True))


def _matches(file: BinaryIO, pattern: re.Pattern[bytes]) -> Iterator[int]:
    at, tail = 0, b""
    while True:
        file.seek(at)
        block = file.read(1 << 20)
        if not block:
            return
        text = tail + block
        for match in pattern.finditer(text):
            if match.end() > len(tail):
                yield at - len(tail) + match.start()
        at, tail = at + len(block), text[-64:]


def _ogg_links(file: BinaryIO) -> Iterator[int]:
    """Links of a chain begin with pages that start a stream, all other pages after them."""
    end = 0
    for at in _matches(file, _OGG_START):
        if at not in (0, end):
            yield at
        file.seek(at + 26)
        segments = file.read(1)
        end = at + 27 + sum(segments) + sum(file.read(sum(segments)))


def cut_off(kind: str, file: BinaryIO, start: int, end: int) -> bool:
    """Whether an Ogg, MP4, WebM or AVI by FFmpeg's name of its kind ends within what it began."""
    if kind == "ogg":
        return _ends_within_page(file, end)
    if kind == "mov":
        return boxes(file, start, end)[1]
    if kind == "matroska":
        return _ends_within_element(file, start, end)
    file.seek(start + 4)
    return kind == "avi" and start + 8 + int.from_bytes(file.read(4), "little") > end


def boxes(file: BinaryIO, start: int, end: int) -> tuple[list[bytes], bool]:
    """Names of the outermost boxes of an MP4 or the like; whether the last one was cut off."""
    names: list[bytes] = []
    at = start
    while at + 8 <= end and len(names) < _MOST_BOXES:
        file.seek(at)
        length, name = int.from_bytes(file.read(4), "big"), file.read(4)
        if length == 1:
            length = int.from_bytes(file.read(8), "big")
        if not _NAME.fullmatch(name) or 0 < length < 8:
            break
        names.append(name)
        at = at + length if length else end
    return names, at > end


def _ends_within_element(file: BinaryIO, at: int, end: int) -> bool:
    """Of WebM and Matroska; one that states no length, as live ones do, holds what follows it."""
    while at < end:
        file.seek(at)
        head = file.read(min(12, end - at))
        name = 9 - head[0].bit_length()  # bytes of it
        digits = 9 - (head[name] if name < len(head) else 255).bit_length()
        if name > 4 or digits > 8:
            return False  # no element
        if len(head) < name + digits:
            return True
        most = (1 << 7 * digits) - 1
        length = int.from_bytes(head[name : name + digits], "big") & most
        at += name + digits + (0 if length == most else length)
    return at > end


def _ends_within_page(file: BinaryIO, end: int) -> bool:
    start = max(0, end - (1 << 16) - 300)
    file.seek(start)
    last = file.read(end - start)
    at = last.rfind(b"OggS\0")
    if at < 0 or len(last) < at + 27:
        return True
    table = last[at + 27 : at + 27 + last[at + 26]]
    return at + 27 + last[at + 26] + sum(table) > len(last)


def _tagged(file: BinaryIO) -> Iterator[int]:
    """ID3v2 tags in the middle, each with an MPEG or ADTS frame behind it."""
    end = 0
    for at in _matches(file, _ID3):
        if at < end:
            continue
        file.seek(at + 6)
        length = 0
        for byte in file.read(4):
            length = length << 7 | byte
        file.seek(at + 10 + length)
        sync = file.read(2)
        if len(sync) == 2 and sync[0] == 0xFF and sync[1] >= 0xE0:
            end = at + 10 + length
            if at:
                yield at


def _before_ape(file: BinaryIO, size: int) -> int:
    """End of the sound before an APE tag, which may hold pictures, and an ID3v1 tag."""
    for end in (size, size - 128):
        file.seek(max(0, end - 32))
        footer = file.read(32)
        if footer.startswith(b"APETAGEX"):
            return max(1, end - int.from_bytes(footer[12:16], "little") - 32)
    return size


def stated_mp3(file: BinaryIO, first: int, codec: Any) -> float:
    """Seconds by the frame that LAME and others write before the first one; 0 if there is none."""
    file.seek(max(0, first - 1_500))
    head = file.read(min(first, 1_500))
    at = max(head.rfind(b"Xing"), head.rfind(b"Info"))
    if at < 0 or not head[at + 7 : at + 8] or not head[at + 7] & 1 or not codec.sample_rate:
        return 0.0
    return int.from_bytes(head[at + 8 : at + 12], "big") * codec.frame_size / codec.sample_rate


def stated_asf(file: BinaryIO, start: int) -> float:
    """Seconds by the header of a WMA; 0 where it says that it was never completed."""
    file.seek(start)
    head = file.read(1 << 16)
    at = head.find(_ASF_LENGTHS)
    fields = [int.from_bytes(head[at + i : at + i + 8], "little") for i in (64, 80, 88)]
    if at < 0 or fields[2] & 1:
        return 0.0
    return fields[0] / 1e7 - fields[1] / 1e3
