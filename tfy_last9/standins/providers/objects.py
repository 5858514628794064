"""Answers that are not a stream of tokens: embeddings, rerank, moderations, pictures, sound.

Each function takes a request as JSON (a form is read into JSON before) and the versioned model name,
and gives the body of the answer in the vendor's format; sound is bytes. Values are made up, but of the
right shape: vectors have length 1, pictures and sound open in a viewer or player.
"""

from __future__ import annotations

import array
import base64
import hashlib
import math
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tfy_last9.standins.providers.wish import BadRequest, words_to_tokens

DIMENSIONS = 1536
"""Of text-embedding-3-small."""
MAX_DIMENSIONS = 3072
CATEGORIES = ("harassment", "hate", "self-harm", "sexual", "violence")
MP3_FRAME = bytes([0xFF, 0xFB, 0x90, 0x64]) + bytes(413)
"""MPEG-1 layer III, 128 kbit/s, 44.1 kHz, 417 bytes, all zero: 26 ms of silence."""
FRAMES_PER_WORD = 12
WAV_RATE_HZ = 24_000


@dataclass(frozen=True, slots=True)
class Sound:
    """An answer that is bytes."""

    media_type: str
    content: bytes


def embeddings(body: dict[str, Any], model: str) -> object:
    """Give one unit vector a text; as base64 of little-endian float32 where that is asked for."""
    given = body.get("input")
    if isinstance(given, str) or (isinstance(given, list) and given and isinstance(given[0], int)):
        given = [given]
    if not isinstance(given, list) or not given:
        raise BadRequest("input must be a non-empty string or array")
    size = body.get("dimensions") or DIMENSIONS
    if not isinstance(size, int) or not 1 <= size <= MAX_DIMENSIONS:
        raise BadRequest(f"dimensions must be between 1 and {MAX_DIMENSIONS}")
    coded = body.get("encoding_format") == "base64"
    tokens = sum(len(t) if isinstance(t, list) else words_to_tokens(str(t)) for t in given)
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(str(text), size, coded=coded)}
        for index, text in enumerate(given)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _vector(text: str, size: int, *, coded: bool) -> object:
    drawn = array.array("h", hashlib.shake_128(text.encode()).digest(2 * size))
    length = math.sqrt(sum(value * value for value in drawn)) or 1.0
    vector = array.array("f", (value / length for value in drawn))
    return base64.b64encode(vector.tobytes()).decode() if coded else vector.tolist()


def rerank(body: dict[str, Any], model: str) -> object:
    """Order documents by the words they share with the query, in Cohere's format."""
    del model
    query, documents = body.get("query"), body.get("documents")
    if not isinstance(query, str) or not isinstance(documents, list) or not documents:
        raise BadRequest("query and documents are required")
    texts = [d if isinstance(d, str) else str((d or {}).get("text", "")) for d in documents]
    asked = set(query.lower().split())
    scores = [_overlap(asked, set(text.lower().split())) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: -scores[index])
    results: list[dict[str, Any]] = [
        {"index": index, "relevance_score": scores[index]} for index in order[: body.get("top_n")]
    ]
    if body.get("return_documents"):
        for result in results:
            result["document"] = {"text": texts[result["index"]]}
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return {"id": hashlib.md5(query.encode(), usedforsecurity=False).hexdigest()} | {
        "results": results,
        "meta": meta,
    }


def _overlap(asked: set[str], found: set[str]) -> float:
    return round((1 + len(asked & found)) / (2 + len(asked)), 6)


def moderations(body: dict[str, Any], model: str) -> object:
    """Flag a text that names violence, and nothing else."""
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    results = [_moderated(str(text)) for text in texts]
    number = hashlib.md5(repr(texts).encode(), usedforsecurity=False).hexdigest()[:12]
    return {"id": f"modr-{number}", "model": model, "results": results}


def _moderated(text: str) -> dict[str, Any]:
    flagged = {name: name == "violence" and "kill" in text.lower() for name in CATEGORIES}
    return {
        "flagged": any(flagged.values()),
        "categories": flagged,
        "category_scores": {name: 0.98 if hit else 0.0001 for name, hit in flagged.items()},
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }


def images(body: dict[str, Any], model: str) -> object:
    """Give a blue picture, as PNG in base64."""
    del model
    width, height = _size(str(body.get("size") or "auto"))
    picture = base64.b64encode(_png(width, height)).decode()
    count = int(body.get("n") or 1)
    tokens = words_to_tokens(str(body.get("prompt") or ""))
    produced = 272 * count  # a square picture at low quality, as OpenAI bills it
    usage = {
        "input_tokens": tokens,
        "output_tokens": produced,
        "total_tokens": tokens + produced,
        "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0},
    }
    data = [{"b64_json": picture} for _ in range(count)]
    return {"created": int(time.time()), "data": data, "usage": usage}


def _size(text: str) -> tuple[int, int]:
    if text == "auto":
        return 1024, 1024
    width, cross, height = text.partition("x")
    if not (
        cross and width.isdecimal() and height.isdecimal() and 0 < int(width) * int(height) < 2**24
    ):
        raise BadRequest(f"size: expected WIDTHxHEIGHT, saw {text}")
    return int(width), int(height)


def _png(width: int, height: int) -> bytes:
    """Write a picture of one colour: one bit a pixel out of a palette of one."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    rows = zlib.compress(bytes(1 + (width + 7) // 8) * height)
    parts = ((b"IHDR", header), (b"PLTE", b"\x3a\x7b\xd5"), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def speech(body: dict[str, Any], model: str) -> Sound:
    """Give silence, as long as the text would take to say."""
    del model
    text = body.get("input")
    if not isinstance(text, str) or not text:
        raise BadRequest("input is required")
    frames = FRAMES_PER_WORD * max(1, len(text.split()))
    if body.get("response_format") in {"wav", "pcm"}:
        samples = bytes(2 * WAV_RATE_HZ * frames * 26 // 1000)
        wav = body["response_format"] == "wav"
        return Sound("audio/wav", _wav(samples)) if wav else Sound("audio/pcm", samples)
    return Sound("audio/mpeg", MP3_FRAME * frames)


def _wav(samples: bytes) -> bytes:
    layout = struct.pack("<HHIIHH", 1, 1, WAV_RATE_HZ, 2 * WAV_RATE_HZ, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + layout
    body += b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(body)) + body


def transcription(body: dict[str, Any], model: str) -> object:
    """Give the same words whatever was said; their number is all that is true about them."""
    del model
    if not body.get("file"):
        raise BadRequest("file is required")
    text = "why is the sky blue"
    if body.get("response_format") == "text":
        return Sound("text/plain", f"{text}\n".encode())
    return {"text": text, "usage": {"type": "duration", "seconds": 2}}


ANSWERS: dict[str, Callable[[dict[str, Any], str], object]] = {
    "/v1/embeddings": embeddings,
    "/v2/rerank": rerank,
    "/v1/moderations": moderations,
    "/v1/images/generations": images,
    "/v1/images/edits": images,
    "/v1/images/variations": images,
    "/v1/audio/speech": speech,
    "/v1/audio/transcriptions": transcription,
    "/v1/audio/translations": transcription,
}
"""By the path behind the vendor."""
