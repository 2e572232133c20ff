"""Making PNGs small: resvg compresses for speed, and these files live in git."""

from __future__ import annotations

import struct
import zlib


def repacked(png: bytes) -> bytes:
    """Return the same image, compressed as well as deflate can: a fifth to a third of the size.

    Deflate is pyarrow's, whose wheel brings its own, so that the bytes do not depend on the system's zlib.
    """
    import pyarrow as pa

    head, pixels = png[:8], b""
    before: list[bytes] = []
    after: list[bytes] = []
    position = 8
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        chunk = png[position : position + 12 + length]
        if chunk[4:8] == b"IDAT":
            pixels += chunk[8:-4]
        else:
            (after if pixels else before).append(chunk)
        position += len(chunk)
    raw = zlib.decompress(pixels)
    gzipped = pa.Codec("gzip", compression_level=9).compress(raw, asbytes=True)
    # From gzip's frame (10 bytes before, 8 after) to zlib's, which PNG wants.
    body = b"IDAT\x78\xda" + gzipped[10:-8] + struct.pack(">I", zlib.adler32(raw))
    packed = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return b"".join([head, *before, packed, *after])
