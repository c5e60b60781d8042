"""Normalises the text of transcripts: markup, entities, invisible characters and white space."""

import html
import re
import unicodedata

_NAMED = (
    "a|abbr|acronym|address|article|aside|bdi|bdo|big|blink|blockquote|body|caption|center|cite|code|del|dfn|dir|"
    "div|em|figure|font|footer|form|h[1-6]|head|header|html|ins|kbd|label|lang|li|main|marquee|nobr|ol|p|pre|q|"
    "rp|rt|ruby|samp|section|small|span|strike|strong|style|sub|summary|sup|table|tbody|td|th|time|tr|tt|ul|v|var"
)
"""Tags of HTML and WebVTT that may have attributes; b, i, u, s and c may have a class only."""
_BREAK = re.compile(r"(?i)<\s?/?\s?(?:br|hr|p|div|li|tr|td)\b(?:\s[^<>]*)?/?\s*>")
_TAG = re.compile(
    rf"(?i)<\s?/?\s?(?:[biusc]\b(?:\.[^\s<>]*)?\s*/?|(?:{_NAMED})\b(?:[.\s][^<>]*|/)?)>"
    r"|</>|<\d+(?::\d+)+(?:[.,]\d+)?>|\{\\[^{}]*\}"
)
_ANY_TAG = re.compile(r"</?[A-Za-z][^<>\s]*>")
_COLOURED = re.compile(r"(?i)</?(?:c\.)?(?:black|blue|cyan|green|lime|magenta|red|white|yellow)>")
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]*|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
# Arabic, Indic scripts and emoji are spelled with joiners; in other scripts they are noise.
_JOINER = re.compile(
    "(?<![\u0600-\u08ff\u0900-\u0dff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]"
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_WINDOWS = re.compile("[\x80-\x84\x86-\x9f]")


class Malformed(Exception):
    """A file violates its format; `line` counts from 1, and is 0 if unknown."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.line = line


def plain(raw: str, *, markup: bool = False) -> str:
    """The spoken text of `raw` in composed form (NFC), without markup, invisible characters or double spaces.

    Tags of HTML and WebVTT, their entities and the braces of SubStation Alpha count as markup; other text in
    angle brackets (``a < b``, ``<3``, ``<laughs>``) stays. With `markup`, every tag counts, as WebVTT
    requires.
    """
    text = _COLOURED.sub("", _TAG.sub("", _BREAK.sub(" ", raw)))
    if markup:
        text = _ANY_TAG.sub("", text)
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    # Quotation marks of Windows-1252 that were read as Latin-1.
    text = _WINDOWS.sub(lambda mark: mark[0].encode("latin-1").decode("cp1252", errors="ignore"), text)
    text = _JOINER.sub("", _INVISIBLE.sub("", text))
    return " ".join(unicodedata.normalize("NFC", _CONTROL.sub("", text)).split())


_NAMES = {
    "arabic": "ar", "cantonese": "zh", "chinese": "zh", "dutch": "nl", "english": "en", "french": "fr",
    "german": "de", "hindi": "hi", "italian": "it", "japanese": "ja", "korean": "ko", "mandarin": "zh",
    "polish": "pl", "portuguese": "pt", "russian": "ru", "spanish": "es", "turkish": "tr", "vietnamese": "vi",
    "ara": "ar", "chi": "zh", "cmn": "zh", "deu": "de", "dut": "nl", "eng": "en", "fra": "fr", "fre": "fr",
    "ger": "de", "hin": "hi", "ita": "it", "jpn": "ja", "kor": "ko", "nld": "nl", "pol": "pl", "por": "pt",
    "rus": "ru", "spa": "es", "tur": "tr", "vie": "vi", "yue": "zh", "zho": "zh",
}  # fmt: skip


def language_code(name: object) -> str:
    """The ISO 639-1 code of ``zh-Hans``, ``eng`` or ``English``; empty if unknown."""
    if not isinstance(name, str):
        return ""
    first = re.split(r"[-_ ]", name.strip().lower())[0]
    return first if re.fullmatch(r"[a-z]{2}", first) else _NAMES.get(first, "")
