"""Files that are taken for recordings are called what they are."""

import io
import tarfile
import zipfile

import pytest
from http_server import CLIP

from persona import audio
from persona.errors import AudioError

TALK = CLIP.read_bytes()


def packed(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:  # not compressed: its sound could be found
            archive.writestr("talk.flac", TALK)
    else:
        with tarfile.open(fileobj=buffer, mode=kind) as archive:
            info = tarfile.TarInfo("talk.flac")
            info.size = len(TALK)
            archive.addfile(info, io.BytesIO(TALK))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (packed("zip"), "is a zip archive"),
        (packed("w"), "is a tar archive"),
        (packed("w:gz"), "is packed by gzip"),
        (packed("w:xz"), "is packed by xz"),
        (b"#EXTM3U\n#EXTINF:1,talk\ntalk.mp3\n", "is a playlist"),
        (b"\xef\xbb\xbf[playlist]\nFile1=talk.mp3\n", "is a playlist"),
        (b"music/talk.mp3\r\nhttps://example.org/b.ogg\r\n", "is a playlist"),
        (b'<ASX version="3.0"><entry/></ASX>', "is a playlist"),
        (b'<?xml version="1.0"?>\n<playlist xmlns="http://xspf.org/ns/0/"/>', "is a playlist"),
        (b'<?wpl version="1.0"?>\r\n<smil><body/></smil>', "is a playlist"),
        (b'REM GENRE Talk\nFILE "talk.wav" WAVE\n  TRACK 01 AUDIO\n', "is a playlist"),
        (b'<?xml version="1.0"?><!DOCTYPE plist><plist/>', "of a cloud drive"),
        (b'{"url": "https://docs.google.com/document/d/1/edit"}', "of a cloud drive"),
        (b'\xef\xbb\xbf {"error": "no such file"}', "is text in JSON"),
        (b"\n<!DOCTYPE html><html></html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"[InternetShortcut]\r\nURL=https://example.org/a.mp3\r\n", "link to an address"),
        (b"bplist00" + bytes(range(100)), "of a cloud drive"),
        (b'{"url": "https://docs.google.com/open?id=1", "doc_id": "1"}', "of a cloud drive"),
        (bytes(100_000), "holds only zeros"),
        (bytes([0xD8, *range(32)]) * 50, "is GSM without a header"),
        (b"\x02#!SILK_V3" + bytes(range(99)), "in SILK"),
        (b"neither sound nor list of files", "cannot be decoded"),
    ],
)
def test_is_named_with_what_to_do(content, sentence):
    with pytest.raises(AudioError, match=rf'^"talk.wav" .*{sentence}.*\.$'):
        audio.read(content, name="talk.wav")
