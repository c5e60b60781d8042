"""Text as people wrote it: out of bytes of some encoding, and into the form that the rest works with."""

import html
import re
import unicodedata

UNICODE = ("utf-8-sig", "utf-16")
"""Encodings that are told by the bytes themselves; all others are guesses."""

_TAG = re.compile(r"</?[A-Za-z][^<>]*>|</>|<[\d:.]+>|\{\\[^{}]*\}")
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]*|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
# Arabic, Indic scripts and emoji are spelled with joiners; anywhere else they are dirt.
_JOINER = re.compile(
    "(?<![\u0600-\u08ff\u0900-\u0dff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]"
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_WINDOWS = re.compile("[\x80-\x84\x86-\x9f]")


class Malformed(Exception):
    """A file is not what its format asks for; `line` counts from 1, 0 where it cannot be told."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.line = line


def plain(raw: str) -> str:
    """What is said in `raw`: composed form (NFC), without markup, invisible characters and double spaces."""
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), _TAG.sub("", raw))
    text = _WINDOWS.sub(_as_windows_meant, text)
    text = _JOINER.sub("", _INVISIBLE.sub("", text))
    return " ".join(unicodedata.normalize("NFC", _CONTROL.sub("", text)).split())


def _as_windows_meant(found: re.Match[str]) -> str:
    """A quotation mark of Windows-1252 that was once read as Latin-1."""
    return found[0].encode("latin-1").decode("cp1252", errors="ignore")


def decode(raw: bytes) -> tuple[str, str]:
    """The text of bytes, line ends as LF, and the encoding that it was in."""
    encoding = _encoding(raw)
    text = raw.decode(encoding, errors="replace").replace("\x00", "")
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def guessed(encoding: str) -> tuple[str, ...]:
    """A note where the encoding is no more than likely."""
    if encoding in UNICODE or encoding.startswith("utf-16"):
        return ()
    return (f"transcript read as {encoding}: save it as UTF-8 if the words look wrong",)


def _encoding(raw: bytes) -> str:
    """UTF-8 or UTF-16 where the bytes say so, else one of the two Chinese ones, else western Europe's."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # Without a mark: Latin letters and line ends leave every other byte zero.
    head = raw[:4096]
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if len(zeros) > 8 and zeros.count(0) > len(zeros) / 2:
            return name
    if _fits(raw, "utf-8-sig"):
        return "utf-8-sig"
    if _fits(raw, "gb18030"):
        return "big5" if _is_traditional(raw) else "gb18030"
    return "latin-1"


def _fits(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    if encoding in UNICODE:
        return True
    # An accented letter and its neighbour make a Chinese character too, but Chinese comes in runs of pairs:
    # two bytes with the high bit, or (traditional) one of them and an ASCII one.
    lone = re.findall(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])[a-z ,.\r\n]", raw)
    pairs = re.findall(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]", raw)
    return len(lone) * 2 <= len(pairs)


def _is_traditional(raw: bytes) -> bool:
    """Whether bytes that could be either are Big5 rather than GB18030.

    In each of the two encodings nearly all of ordinary writing lies in one plane: GB2312, and Big5's first
    level (lead bytes A4-C6). What leaves the one and stays in the other is the other.
    """
    try:
        as_big5 = [c for c in raw.decode("big5") if ord(c) > 0x7F]
    except UnicodeDecodeError:
        return False
    as_gb = [c for c in raw.decode("gb18030") if ord(c) > 0x7F]
    if not as_big5 or not as_gb:
        return False
    common = sum(0xA1 <= c.encode("big5")[0] <= 0xC6 for c in as_big5) / len(as_big5)
    return common > 0.95 and sum(_in_gb2312(c) for c in as_gb) / len(as_gb) < 0.9


def _in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


_NAMES = {
    "arabic": "ar", "cantonese": "zh", "chinese": "zh", "dutch": "nl", "english": "en", "french": "fr",
    "german": "de", "hindi": "hi", "italian": "it", "japanese": "ja", "korean": "ko", "mandarin": "zh",
    "polish": "pl", "portuguese": "pt", "russian": "ru", "spanish": "es", "turkish": "tr", "vietnamese": "vi",
    "ara": "ar", "chi": "zh", "cmn": "zh", "deu": "de", "dut": "nl", "eng": "en", "fra": "fr", "fre": "fr",
    "ger": "de", "hin": "hi", "ita": "it", "jpn": "ja", "kor": "ko", "nld": "nl", "pol": "pl", "por": "pt",
    "rus": "ru", "spa": "es", "tur": "tr", "vie": "vi", "yue": "zh", "zho": "zh",
}  # fmt: skip


def language_code(said: object) -> str:
    """Two letters (ISO 639-1) for ``zh-Hans``, ``eng`` or ``English``; empty where that cannot be told."""
    if not isinstance(said, str):
        return ""
    first = re.split(r"[-_ ]", said.strip().lower())[0]
    return first if re.fullmatch(r"[a-z]{2}", first) else _NAMES.get(first, "")
