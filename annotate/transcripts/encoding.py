"""Decodes transcript files, and detects the encoding from the whole file."""

import codecs
import re
import unicodedata
from dataclasses import dataclass

_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LONGEST_UNIT = 4
"""Bytes per character in UTF-32."""
_HOLES = re.compile(rb"\x00{8,}")
"""More successive zeros than two characters of any encoding can have."""
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")

_LEGACY = (
    "big5hkscs", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
    "cp737", "cp850", "cp852", "cp857", "cp866", "cp874", "cp932", "cp949", "euc_jis_2004",
    "euc_kr", "gb18030", "iso8859-1", "iso8859-15", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7",
    "iso8859-8", "iso8859-9", "koi8-r", "koi8-u", "mac-roman", "shift_jis_2004", "tis-620",
)  # fmt: skip
"""Encodings that editors and subtitle programs used before Unicode."""
_COMMONER = {
    "big5hkscs": "big5", "iso8859-1": "cp1252", "euc_jis_2004": "euc_jp", "shift_jis_2004": "cp932",
}  # fmt: skip
"""Extended variants that the detector names, and the usual encoding with mostly the same characters."""
_UNSURE = 0.08
"""Below this confidence, a few single accented letters are weaker evidence than Windows-1252's prevalence."""
_NEAR = 0.5
"""Encodings with less than this share of the best one's confidence are not considered."""
_WORD = re.compile(r"[^\s\x00-\x40\[-`{-\x7e]+")
_NEVER_IN_WORDS = "\u2020\u2021\u2030\xb6\xa7\xbf\xa1"
_LONE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
_INVALID = "\ufffd"


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a file with LF line ends, and how it was decoded."""

    text: str
    encoding: str
    notes: tuple[str, ...] = ()
    """Warnings about guessed encodings and replaced bytes."""


def known_encoding(name: str) -> bool:
    """Whether `name` is a text encoding that Python can decode."""
    try:
        "a".encode(name)
    except (LookupError, ValueError):
        return False
    return True


def decode(raw: bytes, encoding: str = "") -> Decoded:
    """Decode the bytes of a whole file; `encoding` is the one the user names, empty if unknown.

    A byte order mark wins over `encoding`. Without either, the encoding is UTF-16 or UTF-32 if the file has
    their pattern of zero bytes, else the one of an XML declaration, else UTF-8 (also with a few damaged
    bytes), else the most likely one of a statistical detector.
    """
    notes: list[str] = []
    marked = next((name for mark, name in _MARKS if raw.startswith(mark)), "")
    name = marked or encoding or _recognised(raw)
    if not name:
        if _fits(raw, "utf-8") or _nearly_utf8(raw):
            name = "utf-8"
        else:
            name = _detected(raw)
            notes.append(
                f"transcript read as {name}, which is a guess: --encoding names another, "
                "or save it as UTF-8 if the words look wrong"
            )
    text = raw.decode(name, errors="replace")
    # An earlier program may have written U+FFFD itself, for bytes that were invalid.
    written = raw.count(_INVALID.encode()) if name.startswith("utf-8") else 0
    damaged = text.count(_INVALID) - written
    if damaged > 0:
        line = text.count("\n", 0, text.index(_INVALID)) + 1
        characters = f"{damaged} characters" if damaged > 1 else "1 character"
        where = f"in line {line}" if damaged == 1 else f"the first in line {line}"
        notes.append(f"replaced {characters} of the transcript whose bytes are not {name}, {where}")
    text = text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    return Decoded(text, name, tuple(notes))


def _fits(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _recognised(raw: bytes) -> str:
    """The encoding that the bytes themselves show; empty if they show none.

    ISO-2022-JP and ISO-2022-KR have unique escape sequences, UTF-16 and UTF-32 have zero bytes, and an XML
    declaration counts if the bytes are valid in the encoding that it names.
    """
    if b"\x1b$)C" in raw[:1000]:
        return "iso2022_kr"
    if b"\x1b$B" in raw or b"\x1b$@" in raw:
        return "iso2022_jp_2"
    if wide := _with_zeros(raw):
        return wide
    match = _DECLARED.match(raw[:400].lstrip())
    name = match[1].decode("ascii") if match else ""
    return name if name and known_encoding(name) and _fits(raw, name) else ""


def _with_zeros(raw: bytes) -> str:
    """UTF-16 or UTF-32 without a byte order mark; empty for other encodings, which have no zero bytes.

    Every transcript has digits, spaces and line ends, in which the same byte of each unit is zero. Long runs
    of zeros are ignored, because file systems write them in place of data that a crash lost.
    """
    raw = _HOLES.sub(lambda hole: bytes(len(hole[0]) % _LONGEST_UNIT), raw)
    if len(raw) < 8 or raw.count(0) * 10 < len(raw):
        return ""
    zeros = [raw[n::4].count(0) for n in range(4)]
    if zeros[1] + zeros[2] > len(raw) * 0.45:
        if zeros[3] > zeros[0]:
            return "utf-32-le"
        return "utf-32-be" if zeros[0] > zeros[3] else ""
    return "utf-16-le" if zeros[1] + zeros[3] > zeros[0] + zeros[2] else "utf-16-be"


def _nearly_utf8(raw: bytes) -> bool:
    """Whether valid multi-byte characters of UTF-8 far outnumber invalid bytes.

    Text in older encodings rarely contains valid sequences, and mostly broken ones.
    """
    text = raw.decode("utf-8", errors="replace")
    damaged = text.count(_INVALID)
    valid = sum(not c.isascii() for c in text) - damaged
    return valid >= 3 * damaged or (damaged == 1 and valid == 2)


def _detected(raw: bytes) -> str:
    import chardet

    lines = b"\n".join(line for line in raw.splitlines() if not line.isascii())
    # Control characters would make the detector take the file for binary data.
    lines = lines.translate(None, bytes([*range(9), *range(14, 32)]))
    ranked = chardet.detect_all(
        lines, max_bytes=max(1, len(lines)), ignore_threshold=True, include_encodings=_LEGACY,
        no_match_encoding="cp1252", empty_input_encoding="cp1252", compat_names=False,
    )  # fmt: skip
    likely = [(each["encoding"] or "cp1252", float(each["confidence"] or 0)) for each in ranked]
    near = [each for each in likely if each[1] > _NEAR * likely[0][1]] or likely[:1]
    name, confidence = min(near, key=lambda each: _misspelt(lines, each[0]))
    high = sum(byte > 0x7F for byte in lines)
    mostly_lone = len(_LONE.findall(lines)) > 0.8 * high
    if mostly_lone and confidence < _UNSURE and _fits(raw, "cp1252"):
        name = min("cp1252", name, key=lambda each: _misspelt(lines, each))
    commoner = _COMMONER.get(name, "")
    return commoner if commoner and _fits(raw, commoner) else name


def _misspelt(raw: bytes, encoding: str) -> float:
    """The share, in tenths, of the words with non-ASCII characters that are spelled as in no language.

    They mix scripts (a Latin and a Greek letter) or upper and lower case (``żCómo``), or contain symbols
    between letters (``est‡s``) or invalid bytes.
    """
    words = [word for word in _WORD.findall(raw.decode(encoding, errors="replace")) if not word.isascii()]
    return round(sum(map(_is_misspelt, words)) / len(words), 1) if words else 0.0


def _is_misspelt(word: str) -> bool:
    if any(unicodedata.category(c) in ("Cc", "Co") or c == _INVALID for c in word):
        return True
    letters = "".join(filter(str.isalpha, word))
    if not letters:
        return False
    inside = word[word.index(letters[0]) : word.rindex(letters[-1])]
    if any(unicodedata.category(c)[0] == "S" or c in _NEVER_IN_WORDS for c in inside):
        return True
    cased = letters.upper() != letters.lower()
    mixes_cases = cased and not (letters[1:].islower() or letters.islower() or letters.isupper())
    # East Asian texts mix scripts, so their letters count as one.
    wide = unicodedata.east_asian_width
    scripts = {"" if wide(c) in "WFH" else unicodedata.name(c, "").partition(" ")[0] for c in letters}
    return mixes_cases or len(scripts) > 1
