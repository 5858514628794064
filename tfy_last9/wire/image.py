"""A picture of a given number of bytes, for prompts: what it shows does not matter, its size does.

Source: PNG (Third edition), W3C, sections 5 and 11. The picture is a flat grey; what is missing to the
size that was asked for is put into an ancillary chunk that every decoder must pass over.
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import lru_cache
from hashlib import blake2b

from tfy_last9.errors import ConfigurationError
from tfy_last9.model.conversation import Image

MEDIA_TYPE = "image/png"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_BYTES = 12
"""Length, type and checksum of a chunk."""
_PADDING = b"paDd"
"""Ancillary, private, safe to copy (section 5.4)."""


@lru_cache(maxsize=64)
def png(image: Image) -> bytes:
    """Return a valid PNG of exactly `size_bytes`; raises `ConfigurationError` below the smallest one."""
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 0, 0, 0, 0)
    line = b"\x00" + b"\x80" * image.width
    head = _SIGNATURE + _chunk(b"IHDR", header)
    tail = _chunk(b"IDAT", zlib.compress(line * image.height, 9)) + _chunk(b"IEND", b"")
    missing = image.size_bytes - len(head) - len(tail)
    if missing == 0:
        return head + tail
    if missing < _CHUNK_BYTES:
        least = len(head) + len(tail) + _CHUNK_BYTES
        raise ConfigurationError(
            f"an image of {image.width}x{image.height} pixels has at least {least} bytes,"
            f" got {image.size_bytes}"
        )
    return head + _chunk(_PADDING, _noise(missing - _CHUNK_BYTES)) + tail


@lru_cache(maxsize=64)
def base64_png(image: Image) -> str:
    """Return the picture as it travels in JSON: a third longer."""
    return base64.b64encode(png(image)).decode("ascii")


def data_url(image: Image) -> str:
    """Return the picture as a URL (RFC 2397)."""
    return f"data:{MEDIA_TYPE};base64,{base64_png(image)}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _noise(size: int) -> bytes:
    """Return bytes that no compression on the way makes smaller; always the same for a size."""
    blocks = (blake2b(n.to_bytes(8, "big")).digest() for n in range(size // 64 + 1))
    return b"".join(blocks)[:size]
