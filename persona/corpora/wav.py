"""The one WAV layout CREMA-D uses: 44 bytes of header, then 16-bit mono samples at 16 kHz."""

import struct

RATE = 16_000
BYTES_PER_SECOND = 2 * RATE
HEADER_BYTES = 44


def with_header(pcm: bytes) -> bytes:
    """WAV file around little-endian 16-bit mono PCM, byte for byte as the official files are."""
    fmt = struct.pack("<IHHIIHH", 16, 1, 1, RATE, BYTES_PER_SECOND, 2, 16)
    size = len(pcm)
    return (
        b"RIFF%sWAVEfmt %sdata%s"
        % (
            struct.pack("<I", size + HEADER_BYTES - 8),
            fmt,
            struct.pack("<I", size),
        )
        + pcm
    )
