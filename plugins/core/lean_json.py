"""Spec 3.4, JSON at a plugin's start - decides how messages are read and written beside foreign code.

Rules:
- The compiled reader and writer of Python's own `json`, without what it imports around them, which takes longer than
  all else at the start of a plugin.
- What is no JSON, and what has no JSON form, is a ValueError or a TypeError, as with `json`.

Standard library only: this is loaded beside foreign code, by `runtime.py`.

Not here: what the messages say (`answers.py`, `runtime.py`).
"""

from __future__ import annotations

from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class Reading:
    """How the reader makes Python's values."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float


def loads(text: str | bytes) -> Any:
    """Return the value of a JSON text."""
    plain = (text if isinstance(text, str) else text.decode("utf-8", "surrogatepass")).strip(" \t\r\n")
    try:
        value, end = _scan(plain, 0)
    except StopIteration as stop:
        raise ValueError(f"there is no JSON value at character {stop.value}") from None
    if end != len(plain):
        raise ValueError(f"there is more than one JSON value, the second at character {end}")
    return value


def dumps(value: object, *, strict: bool = False) -> str:
    """Return a value as JSON text; strict text is not escaped, and holds no NaN and no Infinity."""
    escape = encode_basestring if strict else encode_basestring_ascii
    return "".join(make_encoder({}, _refuse, escape, None, ": ", ", ", False, False, not strict)(value, 0))


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_reading: Any = Reading()
_scan = make_scanner(_reading)
