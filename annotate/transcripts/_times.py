"""Times as files write them, as microseconds."""

import re

_CLOCK = re.compile(r"\s*([-\u2212]?)(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,9})(?:[,.](\d{1,9}))?\s*")
_LATEST_SECONDS = 1e9


def clock(text: str) -> int | None:
    """Microseconds of ``1:02:03,456``, ``02:03.4`` or ``3.4``; None where it is no time."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes, seconds, fraction = match.groups()
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds)
    us = whole * 1_000_000 + int((fraction or "0")[:6].ljust(6, "0"))
    return -us if sign else us


def microseconds(seconds: object) -> int | None:
    """Of a number of seconds as JSON or Praat write it; None where it is no usable number."""
    if isinstance(seconds, str):
        try:
            seconds = float(seconds)
        except ValueError:
            return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    # What is no number is not below; and a number of hundreds of digits fits into no float.
    if not abs(seconds) <= _LATEST_SECONDS:
        return None
    return round(seconds * 1e6)
