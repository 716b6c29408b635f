"""Any sound file -> float32 frames at their own rate; joined parts, lying headers and damage."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from persona.audio.headers import Part, boxes, cut_off, parts, stated_asf, stated_mp3, stated_share
from persona.audio.kinds import mistaken, undecodable
from persona.audio.sources import EXTENSIONS
from persona.audio.waveform import frame_array, interleaved
from persona.errors import AudioError

# Only these are opened: FFmpeg has formats that make a text file fetch other files and addresses.
_FORMATS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,nistsphere,ogg,"
    "sox,voc,w64,wav,wv"
)
_ESTIMATED = {"aac", "ac3", "amr", "avi", "eac3", "mpeg", "mpegts", "ogg"}  # state no length
_BY_SIZE = {"aiff", "au", "caf", "w64", "wav"}  # state bytes
_BARE = {"aac", "amr", "flac", "mp3"}  # hold little but sound: what is lost shows in bytes
_FIRST_BOXES = (b"ftyp", b"wide", b"mdat", b"skip", b"free")
_CHUNK = 1 << 15
_UNKNOWN_LENGTH = 0x7F000000  # bytes; writers to a pipe state about 2 or 4 GiB
_MOST_FAILURES = 8
_GAP = 0.5  # seconds; a coder of speech may leave out up to 0.4 s of silence


class File:
    """A sound file opened for one pass.

    Parameters
    ----------
    file : binary, seekable.
    fail : makes an `AudioError` of what is wrong with the file.

    Attributes
    ----------
    rate, channels : in Hz and number, where the file begins.
    floats : samples were written as floats, whose full scale is not certain.
    seconds : length to expect, for a progress bar; what the header claims if that can be true.
    notes : what was found out about the file on opening and, at the end, while reading.
    """

    def __init__(self, file: BinaryIO, fail: Callable[[str], AudioError]) -> None:
        self._file, self._fail = file, fail
        self._size = file.seek(0, os.SEEK_END)
        if problem := mistaken(file, self._size):
            raise fail(problem)
        self.notes: list[str] = []
        self._parts = parts(file, self._size)
        self._container, stream = self._open(*self._parts[0])
        if len(self._parts) > 1:
            self.notes.append(f"{len(self._parts)} recordings joined end to end")
        tracks = self._container.streams.audio
        if len(tracks) > 1:
            self.notes.append(f"sound track {tracks.index(stream) + 1} of {len(tracks)}")
        self.rate, self.channels = stream.codec_context.sample_rate, stream.channels
        name = stream.codec_context.name
        self.floats = name.startswith(("pcm_f", "wavpack"))
        self.seconds = self._expected(stream)

    def close(self) -> None:
        self._container.close()

    def frames(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield `(rate, float32 of shape (n, channels))`; full scale is +-1."""
        import av

        log, unread = _Log(), False
        for part in self._parts:
            try:
                if part != self._parts[0]:
                    self._container, stream = self._open(*part)
                else:
                    stream = _track(self._container)
                before = log.found
                yield from _joined(_frames(self._container, stream, log), log)
                log.stated += self._stated(stream, log, part, log.found - before)
                log.cut = log.cut or cut_off(_kind(self._container), self._file, *part)
            except (AudioError, av.error.FFmpegError):
                unread = True  # only of a later part: the first one was opened
            except OSError as error:
                raise self._fail(unreadable(error)) from error
            self._container.close()
        if log.found == 0:
            raise self._fail(
                "holds no samples that could be decoded: record, export or copy it again"
            )
        self._conclude(log, unread or log.stuck)

    def _open(self, start: int, end: int) -> tuple[Any, Any]:
        import av

        part = Part(self._file, start, end)
        self._stated_share = stated_share(part)
        part.seek(0)
        options = {"format_whitelist": _FORMATS}
        if part.read(4) == b"RIFF":
            options["max_probe_packets"] = "8"  # of 2500, in a search for video disc coders
        part.seek(0)
        try:
            container = av.open(part, options=options, metadata_errors="replace")
        except (av.error.FFmpegError, UnicodeError) as error:
            problem = self._without_index(start, end) or undecodable(part, EXTENSIONS)
            raise self._fail(problem) from error
        stream = _track(container)
        if stream is None or stream.codec_context is None or _mistaken(stream.codec_context):
            tracks = bool(container.streams.audio)
            container.close()
            raise self._fail(
                "holds sound of a kind that cannot be decoded: convert it to 16-bit WAV or MP3"
                if tracks
                else self._without_index(start, end)
                or "holds no sound: give a file with a sound track"
            )
        stream.codec_context.thread_count = 1
        if stream.codec_context.name == "flac":  # else what fails its checksum comes out as noise
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
        return container, stream

    def _without_index(self, start: int, end: int) -> str:
        """The sentence for an MP4 or the like whose `moov` is missing or cut off; else nothing."""
        names, cut = boxes(self._file, start, end)
        if not names or names[0] not in _FIRST_BOXES:
            return ""
        lacks = b"moov" not in names or (cut and names[-1] == b"moov")
        return "ends before its index was written: record or copy it again" if lacks else ""

    def _expected(self, stream: Any) -> float:
        claimed = (self._container.duration or 0) / 1_000_000
        if 0 < claimed * 50 <= self._size:  # no coder of sound works below 400 bits per second
            return claimed * self._size / (self._parts[0][1] - self._parts[0][0])
        return self._size * 8 / (stream.bit_rate or 128_000)

    def _stated(self, stream: Any, log: "_Log", part: tuple[int, int], found: float) -> float:
        """Seconds that the header of one part states; what was found where nothing is to be had."""
        kind, codec = _kind(self._container), stream.codec_context
        length = float((stream.duration or 0) * stream.time_base)
        whole = (self._container.duration or 0) / 1e6
        if self._container.streams.video and found > 0.9 * whole:
            whole = 0.0  # sound need not last to the end of the pictures
        if kind == "mp3":
            stated = stated_mp3(self._file, part[0] + log.first, codec)
        elif kind == "asf":
            stated = stated_asf(self._file, part[0])
        elif kind in _BY_SIZE:
            stated = found * self._stated_share
        else:
            stated = 0.0 if kind in _ESTIMATED else length or whole
        if codec.name != "flac" and abs(stated - found) * codec.sample_rate < 4 * codec.frame_size:
            return found  # what a coder adds at both ends
        # A header that claims two gigabytes or a hundredfold of what there is was never filled in.
        implied = (part[1] - part[0]) * stated / found if found else 0
        return stated if 0 < stated < 100 * found and implied < _UNKNOWN_LENGTH else found

    def _conclude(self, log: "_Log", unread: bool) -> None:
        lost, missing = log.lost, log.stated - log.found
        if lost:
            lost = max(lost, missing)
        if lost >= 0.02:
            self.notes.append(f"damaged parts were left out: about {max(lost, 0.1):.1f} s")
        elif missing >= 0.1:
            self.notes.append(f"ends early: {log.found:.1f} s of {log.stated:.1f} s")
        elif log.cut:
            self.notes.append(f"ends early: it was cut off at {log.found:.1f} s")
        elif -missing >= max(0.1, 0.01 * log.found):
            self.notes.append(
                f"longer than its header states: {log.found:.1f} s, not {log.stated:.1f} s"
            )
        if unread:
            self.notes.append(f"could not be read to its end: {log.found:.1f} s were read")


@dataclass
class _Log:
    """What came out of the packets so far, in seconds unless said otherwise."""

    found: float = 0.0
    stated: float = 0.0
    lost: float = 0.0
    cut: bool = False  # within its last packet
    first: int = 0  # byte at which the first packet of the part begins
    stuck: bool = False
    padding: int = 0  # samples with which a coder filled the last frame of the part


def unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error}): check the drive it is on"


def _kind(container: Any) -> str:
    return str(container.format.name.split(",")[0])


def _mistaken(codec: Any) -> bool:
    """NMS's and Sun's ADPCM, which FFmpeg takes for AMR and another ADPCM, and turns into noise."""
    if codec.name in ("amrnb", "g726"):  # of others, PyAV cannot give every tag
        return codec.codec_tag in ("8\0\0\0", "@\0\0\0")
    return bool(codec.name == "g726le")


def _track(container: Any) -> Any:
    return container.streams.best("audio") or next(iter(container.streams.audio), None)


def _packets(container: Any, stream: Any, log: _Log) -> Iterator[Any]:
    """Packets of the sound track, past places that cannot be taken apart."""
    import av

    failures = 0
    while failures < _MOST_FAILURES:
        try:
            for packet in container.demux(stream):
                yield packet
                failures = 0
            return
        except av.error.EOFError:
            return
        except IndexError:
            pass  # a packet of a track that began later, of which PyAV does not know
        except av.error.FFmpegError:
            failures += 1
    log.stuck = True


def _frames(container: Any, stream: Any, log: _Log) -> Iterator[tuple[int, Any]]:
    """Yield `(rate, frame)`; counts what the decoder refuses and gaps in the time stamps."""
    import av

    kind, codec = _kind(container), stream.codec_context
    tick: float | None = None
    gap_from = 0.02 if kind in ("flac", "ogg") else _GAP
    good = bad = pending = 0  # bytes; pending: bad ones that may be the last
    started, gaps, expected = log.found, 0.0, None
    first: int | None = None
    log.padding = 0
    for packet in _packets(container, stream, log):
        if first is None and packet.pos is not None:
            first = log.first = packet.pos
        try:
            frames = packet.decode()
        except av.error.EOFError:
            continue
        except av.error.FFmpegError:
            pending += packet.size
            continue
        good += packet.size
        for frame in filter(_filled, frames):
            # The frame in which an MP3 changes still bears the rate from before.
            rate = codec.sample_rate or frame.sample_rate
            tick = tick or float(frame.time_base)
            time = None if frame.pts is None else frame.pts * tick
            if time is not None and expected is not None:
                gap = time - expected
                gaps += gap if gap > (0.02 if pending else gap_from) else 0
            elif expected is not None and kind == "flac":
                gaps += frame.samples / rate  # time stamps end where its parser lost a frame
            expected = None if time is None else time + frame.samples / rate
            bad, pending = bad + pending, 0
            if kind == "mov" and time is not None and _ends(stream, packet):
                kept = round(packet.duration * packet.time_base * rate)
                log.padding = max(0, frame.samples - kept)
            log.found += (frame.samples - log.padding) / rate
            yield rate, frame
    found = log.found - started
    if kind == "aac" and first is not None:  # whose demuxer skips what it does not know
        bad += container.size - first - good - bad - pending
    if kind in _BARE:
        gaps = max(gaps, bad * found / good if good else 0)
        log.cut = pending > 0
    log.lost += gaps


def _ends(stream: Any, packet: Any) -> bool:
    """It is the last one of a track that states how long it is, to a few milliseconds."""
    end = (packet.pts or 0) + (packet.duration or 0) + 0.01 / stream.time_base
    return bool(packet.duration and 0 < (stream.duration or 0) <= end)


def _filled(frame: Any) -> bool:
    return frame.samples > 0


def _joined(frames: Iterator[tuple[int, Any]], log: _Log) -> Iterator[tuple[int, np.ndarray]]:
    """Few larger arrays for many small frames of one form."""
    held: list[np.ndarray] = []
    form: tuple[Any, ...] = ()
    length = 0
    for rate, frame in frames:
        array = frame_array(frame)
        new = rate, array.size // frame.samples, len(array), array.dtype
        if held and (new != form or length >= _CHUNK):
            yield form[0], interleaved(held, form[1])
            held, length = [], 0
        form = new
        held.append(array)
        length += frame.samples
    if held:
        whole = interleaved(held, form[1])
        yield form[0], whole[: len(whole) - log.padding]
