"""Which tiers of ELAN and Praat are read: the speech, or those that somebody names."""

import re
from pathlib import Path

import praatio.textgrid
import pympi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate.errors import MediaError
from annotate.transcripts._text import plain
from annotate.transcripts._tier_kinds import Kind, Mark, Tier, kind
from annotate.types import TranscriptOptions
from tests.support.transcript_files import cues, read, texts

Entries = list[tuple[float, float, str]]
TALK: Entries = [
    (1.0, 3.0, "so glad you came"),
    (4.0, 6.0, "we had not met for years"),
    (7.0, 9.0, "come in"),
]
WORDS: Entries = [
    (start + n * (end - start) / len(text.split()), start + (n + 1) * (end - start) / len(text.split()), word)
    for start, end, text in TALK
    for n, word in enumerate(text.split())
]


def praat(
    folder: Path, tiers: dict[str, Entries], format: str = "long_textgrid", blanks: bool = True
) -> bytes:
    grid = praatio.textgrid.Textgrid()
    for name, entries in tiers.items():
        grid.addTier(praatio.textgrid.IntervalTier(name, entries, 0, 20))
    grid.save(str(folder / "made.TextGrid"), format=format, includeBlankSpaces=blanks)
    return (folder / "made.TextGrid").read_bytes()


def of_praat(
    folder: Path, tiers: dict[str, Entries], *wanted: str
) -> tuple[Entries, list[str], tuple[str, ...]]:
    got = read(folder, praat(folder, tiers), "a.TextGrid", options=TranscriptOptions(tiers=wanted))
    return cues(got), [cue.speaker for cue in got.cues], got.notes


EMOTIONS: Entries = [(1.0, 3.0, "happy"), (4.0, 6.0, "sad")]


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("emotion", EMOTIONS), ("Ann - emotion", EMOTIONS),
        ("mood of A", [(0.5, 6.5, "rather gloomy, I think")]),
        ("x", EMOTIONS), ("gesture", [(1.2, 1.8, "nod")]),
        ("id", [(1.0, 3.0, "NARR_05_001"), (4.0, 6.0, "002")]),
        ("x", [(1.0, 3.0, "NARR_05_001"), (4.0, 6.0, "NARR_05_002")]), ("valence", [(1.0, 9.0, "3")]),
        ("translation", [(1.0, 3.0, "so froh, dass du da bist"), (4.0, 6.0, "seit Jahren nicht")]),
        ("comments", [(1.0, 3.0, "the door opens here")]), ("phones", [(1.0, 1.1, "s"), (1.1, 1.3, "oU")]),
        ("silences", [(0.0, 1.0, "silent"), (1.0, 3.0, "sounding")]),
        ("rating", [(1.0, 3.0, "1"), (4.0, 6.0, "2")]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("speech", [{"text": TALK}, {"text": TALK, "words": WORDS}, {"words": WORDS}])
@pytest.mark.parametrize("first", [True, False])
def test_labels_beside_speech_are_no_utterances_and_no_speaker(
    name: str, entries: Entries, speech: dict[str, Entries], first: bool, tmp_path: Path
) -> None:
    labels = {name: entries}
    got, speakers, (note,) = of_praat(tmp_path, labels | speech if first else speech | labels)
    assert [text for _, _, text in got] == [text for _, _, text in TALK]
    assert set(speakers) == {""}
    assert f"left out: {name!r}" in note


def test_a_tier_of_words_beside_labels_is_the_speech(tmp_path: Path) -> None:
    words = [(1.0, 1.5, "so"), (1.5, 2.0, "glad"), (2.0, 3.0, "you came")]
    got, speakers, (note,) = of_praat(tmp_path, {"words": words, "emotion": [(1.0, 3.0, "happy")]})
    assert (got, speakers) == ([(1, 3, "so glad you came")], [""])
    assert note == "tier read: 'words', left out: 'emotion' (--tier names others)"


def test_who_names_the_tier_is_believed(tmp_path: Path) -> None:
    tiers = {"text": TALK, "emotion": EMOTIONS, "ANN": [(1.0, 2.0, "yes of course")]}
    assert of_praat(tmp_path, tiers, "emotion")[0] == EMOTIONS
    assert of_praat(tmp_path, tiers, "ann", "em*")[0] == sorted([(1.0, 2.0, "yes of course"), *EMOTIONS])
    with pytest.raises(MediaError, match=r"no tier is called 'tx'; its tiers are 'text', 'emotion', 'ANN'"):
        of_praat(tmp_path, tiers, "tx")


@pytest.mark.parametrize(
    ("text", "kind_of_tier"), [("rec" + "1" * 60, Kind.LABELS), ("rec" + "1" * 60 + "!", Kind.SPEECH)]
)
def test_a_text_like_a_long_id_is_compared_in_linear_time(text: str, kind_of_tier: Kind) -> None:
    assert kind(Tier("x", (Mark(0, 1_000_000, text),))) is kind_of_tier


def test_a_file_of_labels_only_is_refused_and_the_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        MediaError, match="no tier seems to hold speech: 'emotion'; name the right one with --tier"
    ):
        of_praat(tmp_path, {"emotion": EMOTIONS})
    assert of_praat(tmp_path, {"emotion": EMOTIONS}, "emotion")[0] == EMOTIONS


def test_speakers_keep_their_tiers_also_when_one_only_answers(tmp_path: Path) -> None:
    tiers = {
        "Speaker 1": TALK,
        "Speaker 2": [(2.0, 2.5, "mhm"), (5.0, 5.5, "yeah"), (9.5, 10.5, "thank you")],
    }
    got, speakers, _ = of_praat(tmp_path, tiers)
    assert len(got) == 6
    assert set(speakers) == {"Speaker 1", "Speaker 2"}


@pytest.mark.parametrize("people", [("A", "B"), ("spk1", "spk2"), ("Ann", "Bob")])
def test_single_words_that_somebody_else_says_during_a_sentence_stay(
    people: tuple[str, str], tmp_path: Path
) -> None:
    story = [(0.0, 10.0, "this is the long story of how we met")]
    remarks = [(2.0, 2.5, "wow"), (5.0, 5.5, "really"), (7.0, 7.5, "great")]
    got, speakers, _ = of_praat(tmp_path, dict(zip(people, (story, remarks), strict=True)))
    assert (len(got), set(speakers)) == (4, set(people))
    got, _, _ = of_praat(tmp_path, {"text": story, "atmosphere": [(2.0, 2.5, "tense"), (5.0, 5.5, "easy")]})
    assert got == story


def test_of_two_languages_side_by_side_the_first_is_the_speech(tmp_path: Path) -> None:
    spoken = [(1.0, 3.0, "我很高兴你来了"), (4.0, 6.0, "我们好多年没见了"), (7.0, 9.0, "进来吧")]
    other = [(start, end, text) for (start, end, _), (_, _, text) in zip(spoken, TALK, strict=True)]
    assert of_praat(tmp_path, {"Chinese": spoken, "English": other})[0] == spoken
    assert of_praat(tmp_path, {"English": other, "Chinese": spoken})[0] == other


def test_turns_and_sentences_of_the_same_words_are_said_once(tmp_path: Path) -> None:
    turns = [(1.0, 6.0, f"{TALK[0][2]} {TALK[1][2]}"), TALK[2]]
    assert of_praat(tmp_path, {"turns": turns, "sentences": TALK})[0] == TALK


SILENT = [
    "sp",
    "sil",
    "SIL",
    "{SL}",
    "{NS}",
    "<sil>",
    "<p:>",
    "#",
    "_",
    "-",
    "pau",
    "spn",
    "<unk>",
    "[noise]",
    "!SIL",
    "<VOCNOISE>",
    "{B_TRANS}",
    "",
]


@pytest.mark.parametrize("mark", SILENT)
@pytest.mark.parametrize("names", [("word", "phone"), ("ORT-MAU", "MAU"), ("Ann - words", "Ann - phones")])
def test_silence_is_a_pause_whatever_the_aligner_calls_it(
    mark: str, names: tuple[str, str], tmp_path: Path
) -> None:
    words = [
        (0.0, 0.5, mark),
        (0.5, 0.8, "ANYHOW"),
        (0.8, 2.0, mark),
        (2.0, 2.2, "IT"),
        (2.2, 2.9, "WAS"),
        (2.9, 20.0, mark),
    ]
    phones = [(0.0, 0.5, mark), (0.5, 0.6, "EH1"), (0.6, 0.8, "N"), (0.8, 2.0, mark), (2.0, 2.2, "IH1")]
    entries = {name: [e for e in each if e[2]] for name, each in zip(names, (words, phones), strict=True)}
    got, speakers, _ = of_praat(tmp_path, {names[1]: entries[names[1]], names[0]: entries[names[0]]})
    assert got == [(0.5, 0.8, "ANYHOW"), (2, 2.9, "IT WAS")]
    assert set(speakers) == {"Ann" if "Ann" in names[0] else ""}


def test_of_the_tiers_of_sppas_words_are_the_speech_and_name_no_speaker(tmp_path: Path) -> None:
    sounds = [(start, end, "s-@-U") for start, end, _ in WORDS]
    tiers = {"PhonTokenAlign": sounds, "TokensAlign": WORDS, "PhonAlign": sounds, "Phonetization": sounds}
    got, speakers, notes = of_praat(tmp_path, tiers)
    assert (got, set(speakers)) == (TALK, {""})
    assert "tier read: 'TokensAlign'" in notes[0]


@pytest.mark.parametrize(
    "head",
    [
        'File type = "ooTextFile short"\n"TextGrid"',
        '"ooTextFile short"\n"TextGrid"',
        'File type = "ooTextFile"\nObject class = "TextGrid"',
    ],
)
def test_the_short_format_is_read_under_each_of_its_headers(head: str, tmp_path: Path) -> None:
    text = f'{head}\n\n0\n20\n<exists>\n1\n"IntervalTier"\n"speech"\n0\n20\n1\n1\n5\n"so ""glad"" you came"\n'
    for encoding in "utf-8", "utf-8-sig", "utf-16", "utf-16-be":
        assert cues(read(tmp_path, text.encode(encoding), "a.TextGrid")) == [(1, 5, 'so "glad" you came')]


def test_a_binary_textgrid_is_refused_with_the_way_to_a_text(tmp_path: Path) -> None:
    raw = b"ooBinaryFile\x08TextGrid" + bytes(8) + b"\x40\x34" + bytes(60)
    with pytest.raises(MediaError, match=r"a\.TextGrid is in Praat's binary format") as caught:
        read(tmp_path, raw, "a.TextGrid")
    assert "Save as text file" in caught.value.hint


def test_the_chronological_format_is_read(tmp_path: Path) -> None:
    text = (
        '"Praat chronological TextGrid text file"\n0 20 ! Time domain.\n2 ! Number of tiers.\n'
        '"IntervalTier" "Mary" 0 20\n"TextTier" "bell" 0 20\n\n1 0 1\n""\n'
        '1 1 5\n"so glad"\n2 3\n"ding"\n1 5 20\n""\n'
    )
    got = read(tmp_path, text, "a.TextGrid")
    assert (cues(got), got.cues[0].speaker) == ([(1, 5, "so glad")], "Mary")


def elan(folder: Path, made: pympi.Elan.Eaf) -> bytes:
    made.to_file(str(folder / "made.eaf"))
    return (folder / "made.eaf").read_bytes()


def eaf() -> pympi.Elan.Eaf:
    made = pympi.Elan.Eaf(author="")
    for constraint in ("Time_Subdivision", "Included_In", "Symbolic_Subdivision", "Symbolic_Association"):
        made.add_linguistic_type(constraint, constraints=constraint, timealignable=constraint[0] != "S")
    return made


def tier(
    made: pympi.Elan.Eaf,
    name: str,
    entries: Entries,
    kind: str = "default-lt",
    parent: str = "",
    part: str = "",
) -> None:
    made.add_tier(name, kind, parent or None, part=part or None)
    for start, end, text in entries:
        if kind.startswith("Symbolic"):
            made.add_ref_annotation(name, parent, round((start + end) * 500), text)
        else:
            made.add_annotation(name, round(start * 1000), round(end * 1000), text)


@pytest.mark.parametrize("kind", ["Included_In", "Time_Subdivision", "Symbolic_Association"])
@pytest.mark.parametrize(
    "values", [["nod", "smile", "shrug nod"], ["HAP", "SAD", "NEU"], ["look there", "at him", "away"]]
)
def test_a_dependent_tier_that_does_not_spell_the_text_is_neither_words_nor_speech(
    kind: str, values: list[str], tmp_path: Path
) -> None:
    made = eaf()
    tier(made, "default", TALK)
    below = [(start, end, value) for (start, end, _), value in zip(TALK, values, strict=True)]
    tier(made, "gest", below, kind, "default")
    got = read(tmp_path, elan(tmp_path, made), "a.eaf")
    assert cues(got) == TALK
    assert not any(cue.words for cue in got.cues)
    assert got.notes == ("tier read: 'default', left out: 'gest' (--tier names others)",)


@pytest.mark.parametrize(
    ("top", "text", "others"),
    [
        ("ref@SP", "tx@SP", ["mb@SP", "ge@SP", "ft@SP"]),
        ("A", "A_Transcription-txt-qaa", ["A_phrase-gls-en"]),
        ("SP-segments", "SP-orth", ["SP-free translation", "SP-note"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ids", ["NARR_05_{}", "{}", ""])
def test_the_text_below_a_tier_of_ids_is_read(
    top: str, text: str, others: list[str], ids: str, tmp_path: Path
) -> None:
    made = eaf()
    made.remove_tier("default")
    tier(
        made, top, [(start, end, ids.format(f"{n:03}")) for n, (start, end, _) in enumerate(TALK)], part="Sue"
    )
    for other in others[:1]:
        tier(
            made,
            other,
            [(a, b, "something else altogether") for a, b, _ in TALK],
            "Symbolic_Association",
            top,
            "Sue",
        )
    tier(made, text, TALK, "Symbolic_Association", top, "Sue")
    for other in others[1:]:
        tier(
            made,
            other,
            [(a, b, "something else again") for a, b, _ in TALK],
            "Symbolic_Association",
            top,
            "Sue",
        )
    got = read(tmp_path, elan(tmp_path, made), "a.eaf")
    assert cues(got) == TALK
    assert {cue.speaker for cue in got.cues} == {"Sue"}
    (note,) = got.notes
    assert note.startswith(f"tier read: {text!r}, left out: ")


def test_words_below_a_tier_of_ids_are_the_text_of_each_of_its_annotations(tmp_path: Path) -> None:
    made = eaf()
    tier(made, "default", [(start, end, f"s{n}") for n, (start, end, _) in enumerate(TALK)])
    tier(made, "words", WORDS, "Time_Subdivision", "default")
    got = read(tmp_path, elan(tmp_path, made), "a.eaf")
    assert cues(got) == TALK
    assert [[word.text for word in cue.words] for cue in got.cues] == [text.split() for _, _, text in TALK]


def test_values_of_a_controlled_vocabulary_are_labels_whatever_they_are_called(tmp_path: Path) -> None:
    made = eaf()
    tier(made, "default", TALK)
    made.add_tier("layer2")
    made.add_linguistic_type("cv", timealignable=True)
    made.linguistic_types["cv"]["CONTROLLED_VOCABULARY_REF"] = "colours"
    made.tiers["layer2"][2]["LINGUISTIC_TYPE_REF"] = "cv"
    made.add_annotation("layer2", 500, 9500, "rather red than blue or green")
    assert cues(read(tmp_path, elan(tmp_path, made), "a.eaf")) == TALK


def test_annotations_of_one_id_do_not_replace_each_other(tmp_path: Path) -> None:
    made = eaf()
    tier(made, "Ann", TALK[:2])
    tier(made, "Bob", TALK[2:])
    content = re.sub(rb'ANNOTATION_ID="\w+"', b'ANNOTATION_ID="a1"', elan(tmp_path, made))
    assert cues(read(tmp_path, content, "a.eaf")) == TALK


def test_annotations_whose_times_cannot_be_known_are_counted(tmp_path: Path) -> None:
    made = eaf()
    tier(made, "text", TALK)
    content = elan(tmp_path, made)
    last = re.findall(rb'TIME_SLOT_REF2="(\w+)"', content)[-1]
    got = read(tmp_path, content.replace(b'REF2="' + last, b'REF2="gone'), "a.eaf")
    assert cues(got) == TALK[:2]
    assert "dropped 1 cue with damaged times (a.eaf, annotation a4)" in got.notes


def test_the_option_chooses_a_tier_of_every_speaker_by_its_name_before_the_at(tmp_path: Path) -> None:
    made = eaf()
    made.remove_tier("default")
    for who, shift in (("A", 0.0), ("B", 10.0)):
        moved = [(a + shift, b + shift, text) for a, b, text in TALK]
        tier(made, f"tx@{who}", moved)
        tier(
            made,
            f"ft@{who}",
            [(a, b, f"{text}, {who}!") for a, b, text in moved],
            "Symbolic_Association",
            f"tx@{who}",
        )
    raw = elan(tmp_path, made)
    got = read(tmp_path, raw, "a.eaf", options=TranscriptOptions(tiers=("ft",)))
    assert texts(got) == [f"{text}, {who}!" for who in "AB" for _, _, text in TALK]
    assert [cue.speaker for cue in got.cues] == ["A"] * 3 + ["B"] * 3


SPOKEN = st.lists(
    st.text(st.characters(whitelist_categories=("Lu", "Ll", "Lo")), min_size=1, max_size=8),
    min_size=2, max_size=5,
).map(" ".join).filter(lambda text: plain(text) == text)  # fmt: skip
DRAWN = st.dictionaries(
    st.sampled_from(["Ann", "Bob", "Cy Lee", "spk_4"]),
    st.lists(st.tuples(st.integers(3, 30), st.integers(0, 20), SPOKEN), min_size=1, max_size=6),
    min_size=1, max_size=4,
)  # fmt: skip


def placed(drawn: list[tuple[int, int, str]], number: int) -> list[tuple[int, int, str]]:
    """Start and end in milliseconds; two people never begin and end together."""
    at, made = 30 * number, []
    for length, gap, text in drawn:
        made.append((at + 100 * gap, at + 100 * (gap + length), text))
        at += 100 * (gap + length)
    return made


@given(DRAWN, st.booleans())
def test_what_pympi_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, drawn: dict[str, list[tuple[int, int, str]]], named: bool
) -> None:
    folder = tmp_path_factory.mktemp("e")
    made = eaf()
    made.remove_tier("default")
    expected = []
    for n, (who, entries) in enumerate(drawn.items()):
        name = f"T{n}" if named else who
        made.add_tier(name, part=who if named else None)
        made.add_annotation(name, 59_000, 59_900, "")
        for start, end, text in placed(entries, n):
            made.add_annotation(name, start, end, text)
            expected.append((start * 1000, end * 1000, text, who))
    got = read(folder, elan(folder, made), "a.eaf")
    assert sorted((c.start_us, c.end_us, c.text, c.speaker) for c in got.cues) == sorted(expected)


@given(
    DRAWN,
    st.sampled_from(["long_textgrid", "short_textgrid"]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-16"]),
)
def test_what_praatio_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: dict[str, list[tuple[int, int, str]]], format: str, blanks: bool, encoding: str,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("p")
    tiers = {
        who: [(start / 1000, end / 1000, text) for start, end, text in placed(entries, n)]
        for n, (who, entries) in enumerate(drawn.items())
    }
    raw = praat(folder, tiers, format, blanks).decode("utf-8").encode(encoding)
    got = read(folder, raw, "a.TextGrid")
    expected = [(*entry, who) for who, entries in tiers.items() for entry in entries]
    assert sorted((c.start_us / 1e6, c.end_us / 1e6, c.text, c.speaker) for c in got.cues) == sorted(expected)
