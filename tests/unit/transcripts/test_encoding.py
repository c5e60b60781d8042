"""The encoding of a transcript is decided on its whole content; guesses and damage are noted."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.transcripts.encoding import decode, known_encoding
from annotate.types import TranscriptOptions
from tests.support.transcript_files import read, texts

SAID = {
    "ru": ["Я очень рад тебя видеть сегодня", "И я тоже рад, спасибо большое", "Что ты делаешь завтра?"],
    "uk": ["Я дуже радий тебе бачити", "І я теж, щиро дякую", "Що ти робиш завтра ввечері?"],
    "cs": ["Jsem tak rád, že tě dnes vidím", "Co děláš zítra večer?", "Příště řekneš, že je to špatné"],
    "pl": ["Tak się cieszę, że cię dziś widzę", "Myślę, że to zły pomysł", "Chodźmy do domu, ćwiczę"],
    "fr": ["C'est très drôle, n'est-ce pas ?", "Où êtes-vous ? Élève numéro un", "Ça va être à côté"],
    "de": ["Ich freue mich, dich zu hören", "Was machst du übermorgen?", "Größer, schöner, müder"],
    "es": ["¿Cómo estás? ¡Qué alegría, señor!", "Mañana será otro día", "¿Y tú, niño?"],
    "sv": ["Jag är så glad", "Vad gör du på måndag?", "Åh, så tråkigt"],
    "da": ["Jeg er så glad", "Hvad gør du på mandag?", "Æblet er rødt"],
    "tr": ["Seni gördüğüme çok sevindim", "Çok teşekkür ederim, şimdi değil", "Yarın akşam ışık"],
    "el": ["Χαίρομαι πολύ που σε βλέπω", "Κι εγώ, ευχαριστώ πολύ", "Τι κάνεις αύριο το βράδυ;"],
    "ja": ["今日は会えて本当にうれしいです", "ありがとうございます", "じゃあ、家に帰りましょう"],
    "ko": ["오늘 만나서 정말 기뻐요", "저도요, 정말 감사합니다", "내일 저녁에 뭐 해요?"],
    "zh": ["今天见到你真的很高兴", "我也是，非常感谢", "你明天晚上做什么？"],
    "zh-Hant": ["今天見到你真的很高興", "我也是，非常感謝", "你明天晚上做什麼？"],
}  # fmt: skip
IN = [
    ("ru", "cp1251"), ("ru", "koi8-r"), ("ru", "cp866"), ("uk", "cp1251"), ("cs", "cp1250"),
    ("cs", "iso8859-2"),
    ("pl", "cp1250"), ("pl", "iso8859-2"), ("fr", "cp1252"), ("fr", "mac-roman"), ("de", "latin-1"),
    ("de", "mac-roman"), ("tr", "cp1254"), ("el", "cp1253"), ("ja", "shift_jis"), ("ja", "euc_jp"),
    ("ko", "euc_kr"), ("ko", "cp949"), ("zh", "gb18030"), ("zh", "gbk"), ("zh-Hant", "big5"),
    ("es", "cp1252"), ("es", "mac-roman"), ("sv", "cp1252"), ("da", "cp1252"), ("cs", "cp852"),
    ("pl", "cp852"), ("de", "cp850"), ("fr", "cp850"),
]  # fmt: skip


def srt_of(lines: list[str]) -> str:
    return "\n".join(
        f"{n}\n00:00:{2 * n:02},000 --> 00:00:{2 * n + 1:02},000\n{line}\n" for n, line in enumerate(lines, 1)
    )


@pytest.mark.parametrize(("language", "encoding"), IN)
def test_old_encodings_are_found_out_and_the_guess_is_noted(
    language: str, encoding: str, tmp_path: Path
) -> None:
    got = read(tmp_path, srt_of(SAID[language]).encode(encoding), "a.srt")
    assert texts(got) == SAID[language]
    (note,) = got.notes
    assert "which is a guess" in note
    assert "--encoding" in note


@pytest.mark.parametrize(
    ("said", "encoding"),
    [
        ("Jag är så glad", "cp1252"),
        ("Jeg er så glad", "cp1252"),
        ("¿Qué tal? El niño está aquí.", "cp1252"),
        ("Bardzo się cieszę, że", "cp1250"),
    ],
)
def test_words_that_no_language_spells_so_decide_against_an_encoding(said: str, encoding: str) -> None:
    assert decode(srt_of([said]).encode(encoding)).text == srt_of([said])


@pytest.mark.parametrize(("language", "encoding"), [("ja", "iso2022_jp"), ("ko", "iso2022_kr")])
def test_encodings_with_escape_sequences_are_told_by_these(language: str, encoding: str) -> None:
    decoded = decode(srt_of(SAID[language]).encode(encoding))
    assert (decoded.text, decoded.notes) == (srt_of(SAID[language]), ())


@pytest.mark.parametrize("language", SAID)
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_unicode_is_told_by_its_bytes_with_and_without_a_mark(
    language: str, encoding: str, tmp_path: Path
) -> None:
    got = read(tmp_path, srt_of(SAID[language]).encode(encoding), "a.srt")
    assert (texts(got), got.notes) == (SAID[language], ())


@pytest.mark.parametrize("language", SAID)
@given(at=st.floats(0, 1), bad=st.sampled_from([b"\x80", b"\x92", b"\xe9", b"\xff", b"\xc3", b"\xa0"]))
def test_one_bad_byte_costs_utf_8_no_more_than_the_characters_beside_it(
    language: str, at: float, bad: bytes
) -> None:
    text = srt_of(SAID[language] * 3)
    raw = text.encode()
    cut = round(at * len(raw))
    decoded = decode(raw[:cut] + bad + raw[cut:])
    # A byte inside a character of three breaks that one, too.
    assert 1 <= decoded.text.count("\ufffd") <= 4
    assert decoded.encoding == "utf-8"
    kept = decoded.text.replace("\ufffd", "")
    assert len(text) - 1 <= len(kept) + 1
    (note,) = decoded.notes
    assert note.startswith("replaced")
    assert f"in line {text[: len(raw[:cut].decode(errors='ignore'))].count(chr(10)) + 1}" in note


def test_the_middle_of_a_long_file_decides_as_much_as_its_beginning(tmp_path: Path) -> None:
    lines = ["no letter beyond ASCII"] * 4000 + SAID["ru"]
    assert decode(srt_of(lines).encode("cp1251")).text == srt_of(lines)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("size", [8, 200, 4096])
def test_blocks_of_zeros_after_a_crash_do_not_decide_the_encoding(encoding: str, size: int) -> None:
    said = srt_of(SAID["ru"])
    first, last = said[: len(said) // 2], said[len(said) // 2 :]
    assert decode(said.encode(encoding) + bytes(size)).text == said
    assert decode(first.encode(encoding) + bytes(size) + last.encode(encoding)).text == said


def test_who_names_the_encoding_is_believed_but_a_byte_order_mark_more(tmp_path: Path) -> None:
    options = TranscriptOptions(encoding="cp1250")
    raw = srt_of(["Děkuji"]).encode("cp1250")
    got = read(tmp_path, raw, "a.srt", options=options)
    assert (texts(got), got.notes) == (["Děkuji"], ())
    got = read(tmp_path, srt_of(["Děkuji"]).encode("utf-8-sig"), "a.srt", options=options)
    assert texts(got) == ["Děkuji"]


def test_an_encoding_that_an_xml_declaration_names_is_used(tmp_path: Path) -> None:
    eaf = (
        '<?xml version="1.0" encoding="ISO-8859-2"?><ANNOTATION_DOCUMENT><TIME_ORDER>'
        '<TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="2000"/>'
        "</TIME_ORDER>"
        '<TIER TIER_ID="t"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="1" TIME_SLOT_REF1="a" '
        'TIME_SLOT_REF2="b"><ANNOTATION_VALUE>Děkuji, šéfe</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>'
        "</ANNOTATION></TIER></ANNOTATION_DOCUMENT>"
    )
    got = read(tmp_path, eaf.encode("iso8859-2"), "a.eaf")
    assert (texts(got), got.notes) == (["Děkuji, šéfe"], ())


def test_only_encodings_of_text_are_known() -> None:
    assert known_encoding("cp1251")
    assert not known_encoding("base64")
    assert not known_encoding("cp-1251-of-mine")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_replacement_character_of_the_file_itself_is_no_damage(encoding: str) -> None:
    decoded = decode("so gl\ufffdd you came".encode(encoding))
    assert decoded.text == "so gl\ufffdd you came" and decoded.notes == ()
