"""Parses the times in transcripts, and returns them in microseconds."""

import re

_SEPARATOR = r"\s*[:：]\s*"
_CLOCK = re.compile(
    rf"([-\u2212+]?)(?:(?:(\d{{1,4}}){_SEPARATOR})?(\d{{1,4}}){_SEPARATOR})?(\d{{1,9}})(?:\s*[,.:;]\s*(\d{{1,20}}))?"
)
_TIMECODE = re.compile(rf"[-\u2212+]?\d{{1,4}}{_SEPARATOR}\d{{1,4}}{_SEPARATOR}\d{{1,2}}\s*[:：;]\s*\d{{2}}")
"""SMPTE timecode: hours, minutes, seconds, frames; a semicolon precedes the frames of drop-frame counts."""
_PLAIN = re.compile(r"[-\u2212+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d{1,3})?")
_DAYS = re.compile(r"([-\u2212+]?)(\d{1,6})\s+days?,?\s*([-\u2212+]?)(.*)", re.IGNORECASE)
_UNITS = re.compile(
    r"(.*?)\s*(?:(ms|msecs?|milliseconds?|millis)|s|secs?|seconds?)\.?", re.IGNORECASE | re.DOTALL
)
_LONGEST = 64
"""Maximum length of a time in a table. Longer cells are text, on which these expressions would be slow."""
_LATEST_SECONDS = 1e9
_DAY_US = 86_400_000_000


def clock(text: str, *, hundredths: bool = False) -> int | None:
    """Microseconds of ``1:02:03,456``, ``02:03.4`` or ``3.4``; None if `text` is not a time.

    Common slips are accepted: a colon or semicolon before the fraction, and spaces around separators. Two
    digits after a third colon (``00:00:01:12``) count frames: without the frame rate their time is unknown,
    so the result is None. With `hundredths`, as in SubStation Alpha, they are hundredths of a second.
    """
    if not hundredths and _TIMECODE.fullmatch(text.strip()):
        return None
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    sign, hours, minutes, seconds, fraction = match.groups()
    if minutes is None and ":" in text:
        return None
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds)
    us = whole * 1_000_000 + round(int((fraction or "0")[:9].ljust(9, "0")) / 1000)
    return -us if sign in ("-", "\u2212") else us


def moment(text: str) -> int | None:
    """Microseconds of a time in a table, as people, spreadsheets, pandas and numpy write it, or None.

    It accepts what `clock` accepts, and
    ``1e-05``, ``.5``, ``2.``, ``0.30000000000000004``, ``1,5`` (in seconds),
    ``0 days 00:00:01.5``, ``1 day, 0:00:01``, ``1.5 s`` and ``1500 ms``.
    """
    text = text.strip()
    if len(text) > _LONGEST:
        return None
    if _PLAIN.fullmatch(text):
        return microseconds(text.replace(",", ".").replace("\u2212", "-"))
    if days := _DAYS.fullmatch(text):
        rest = 0 if not days[4] else clock(days[4])
        if rest is None:
            return None
        negative = days[1] in ("-", "\u2212")
        rest = -rest if days[3] in ("-", "\u2212") else rest
        return (-1 if negative else 1) * int(days[2]) * _DAY_US + rest
    if (unit := _UNITS.fullmatch(text)) and _PLAIN.fullmatch(unit[1]):
        us = microseconds(unit[1].replace(",", ".").replace("\u2212", "-"))
        return us if us is None or not unit[2] else round(us / 1000)
    return clock(text)


def microseconds(seconds: object) -> int | None:
    """Microseconds of a number of seconds as JSON or Praat write it; None if it is not usable as a time."""
    if isinstance(seconds, str):
        try:
            seconds = float(seconds)
        except ValueError:
            return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    # This is false for NaN too, and compares integers that are too large for a float.
    if not abs(seconds) <= _LATEST_SECONDS:
        return None
    return round(seconds * 1e6)
