"""Read `multipart/form-data` (RFC 7578) into names and values; of a file only its size is kept."""

from __future__ import annotations

import re
from typing import Any

NAME = re.compile(rb'name="([^"]*)"')
BOUNDARY = re.compile(r'boundary="?([^";]+)"?')


def read_form(content_type: str, raw: bytes) -> dict[str, Any]:
    """Give the fields; a file is the number of its bytes, a malformed body has no fields."""
    boundary = BOUNDARY.search(content_type)
    if boundary is None:
        return {}
    fields: dict[str, Any] = {}
    for part in raw.split(b"--" + boundary[1].encode("latin-1")):
        head, found, content = part.partition(b"\r\n\r\n")
        name = NAME.search(head)
        if not found or name is None:
            continue
        value = content.removesuffix(b"\r\n")
        is_file = b"filename=" in head
        fields[name[1].decode()] = len(value) if is_file else value.decode(errors="replace")
    return fields
