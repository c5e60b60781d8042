"""Finds where sentences end, in text of Chinese, English and languages that write like either."""

import re

_MARKS = re.compile(r"[。！？；…!?.;]+[\"'”’」』）)\]》]*")
_WIDE = frozenset("。！？；")
"""Marks that end a sentence whatever follows."""
_ABBREVIATIONS = frozenset((
    "mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "no", "vol", "fig", "gen", "col", "sgt",
    "capt", "lt", "rev", "hon", "mt", "dept", "approx", "ca", "cf", "al", "a.m", "p.m", "e.g", "i.e", "u.s",
    "u.k", "ph.d",
))  # fmt: skip
_NEAR = 64
"""Characters before and after a mark that are examined; whole texts would make it quadratic."""


def sentence_ends(text: str) -> list[int]:
    """Offsets in `text` just after each mark, with its closing quotes, that ends a sentence.

    The point in "Mr. Li", "3.5", "e.g. this" or "J. Smith" does not end a sentence, nor do dots before a
    lower-case letter.
    """
    return [
        m.end()
        for m in _MARKS.finditer(text)
        if _ends(text[max(0, m.start() - _NEAR) : m.start()], m.group(), text[m.end() : m.end() + _NEAR])
    ]


def _ends(before: str, marks: str, after: str) -> bool:
    if not _WIDE.isdisjoint(marks) or not after.strip():
        return True
    if not (after[0].isspace() or wide(after[0])):
        return False
    if ";" not in marks and after.lstrip()[0].islower():
        return False
    tokens = before.split()
    last = tokens[-1].lstrip("\"'“‘(（[").lower() if tokens else ""
    return marks != "." or not (last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha() and last != "i"))


def wide(character: str) -> bool:
    """Whether it belongs to a script without spaces between words (Chinese, Japanese, Thai)."""
    code = ord(character)
    return 0x2E80 <= code <= 0xA4CF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFFEF or (
        0x0E00 <= code <= 0x0EFF or 0x20000 <= code <= 0x3FFFF
    )  # fmt: skip
