"""What a question tells a rater, and what of an answer can be believed."""

from typing import Any

import pytest

from annotate.labelstudio.convert import Unreadable, parse_annotation, question
from annotate.labelstudio.interface import NOTHING
from annotate.types import Answer, Dimension, Kind, Modality
from tests.support.dimensions import THEMES, classification

SENTIMENT = Dimension(
    "sentiment", Kind.REGRESSION, (Answer(-1.0, "bad"), Answer(0.0, "neutral"), Answer(1.0, "good"))
)
EMOTION = classification("emotion", "sad", "happy")


def chosen(name: str, *aliases: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": list(aliases)}}


def annotation(*result: Any, **more: Any) -> dict[str, Any]:
    said = {"id": 5, "task": 7, "completed_by": 2, "was_cancelled": False, "lead_time": 2.5}
    times = {"created_at": "2026-01-02T03:04:05.000006Z", "updated_at": "2026-01-02T03:05:00Z"}
    return {**said, **times, "result": list(result), **more}


@pytest.mark.parametrize(
    "missing", ["id", "task", "completed_by", "was_cancelled", "created_at", "updated_at"]
)
@pytest.mark.parametrize("value", [None, "", [], "nonsense"])
def test_what_lacks_number_rater_or_time_is_unreadable(missing: str, value: object) -> None:
    said = annotation(chosen("sentiment", "1"))
    del said[missing]
    with pytest.raises(Unreadable):
        parse_annotation(said, [SENTIMENT])
    if missing != "was_cancelled" and (missing, value) != ("completed_by", None):
        with pytest.raises(Unreadable):
            parse_annotation(said | {missing: value}, [SENTIMENT])


def test_an_answer_of_a_deleted_account_is_nobodys_and_can_be_read() -> None:
    said = parse_annotation(
        annotation(chosen("sentiment", "1"), completed_by=None, updated_by=None), [SENTIMENT]
    )
    assert (said.rater, said.editor, said.answers) == (None, None, {"sentiment": "1"})


@pytest.mark.parametrize(
    ("completed_by", "updated_by", "editor"),
    [(2, 2, None), (2, None, None), (2, 1, 1), (None, 1, 1), ({"id": 2}, {"id": 2}, None), (2, {"id": 1}, 1)],
)
def test_who_changed_an_answer_is_told_from_its_rater(
    completed_by: object, updated_by: object, editor: int | None
) -> None:
    sent = annotation(chosen("sentiment", "1"), completed_by=completed_by, updated_by=updated_by)
    assert parse_annotation(sent, [SENTIMENT]).editor == editor


@pytest.mark.parametrize("nonsense", [None, 3, "text", [], [1]])
def test_what_is_no_annotation_is_unreadable(nonsense: object) -> None:
    with pytest.raises(Unreadable):
        parse_annotation(nonsense, [SENTIMENT])


@pytest.mark.parametrize(
    "result",
    [None, "x", [None], [{"from_name": "sentiment"}], [{"from_name": "sentiment", "value": {"choices": "1"}}],
     [chosen("sentiment", "2")], [chosen("sentiment", "-1", "1")], [chosen("sentiment", "good")],
     [chosen("sentiment", "1"), chosen("sentiment", "0")], [chosen("sentiment", 1)]],
)  # fmt: skip
def test_an_answer_that_the_page_cannot_give_is_a_problem_and_no_value(result: Any) -> None:
    said = parse_annotation(annotation() | {"result": result}, [SENTIMENT])
    assert said.answers == {} and len(said.problems) == 1


def test_one_bad_dimension_leaves_the_other_one_usable() -> None:
    said = parse_annotation(
        annotation(chosen("sentiment", "0"), chosen("emotion", "bored")), [SENTIMENT, EMOTION]
    )
    assert said.answers == {"sentiment": "0"}
    assert "emotion" in said.problems[0]


@pytest.mark.parametrize(
    "choices",
    [
        [NOTHING.alias, "work"], ["work", NOTHING.alias], [NOTHING.alias, NOTHING.alias], [NOTHING.label],
        ["work", "work"], ["work", "sport"], ["work|family"], [""], [1], [["work"]], [{}], [None, "work"], [],
    ],
)  # fmt: skip
def test_ticks_that_contradict_each_other_or_do_not_exist_are_a_problem_and_no_value(
    choices: list[Any],
) -> None:
    said = parse_annotation(annotation(chosen("themes", *choices)), [THEMES])
    assert said.answers == {} and len(said.problems) == 1
    assert "themes is" in said.problems[0]


def test_a_page_left_empty_is_not_the_same_as_none_of_these() -> None:
    assert parse_annotation(annotation(), [THEMES]).problems == ("themes is not answered",)
    said = parse_annotation(annotation(chosen("themes", NOTHING.alias)), [THEMES])
    assert (said.answers, said.problems) == ({"themes": ""}, ())


def test_ticks_are_stored_in_the_order_of_the_dimension() -> None:
    said = parse_annotation(
        annotation(chosen("themes", "money", "work"), chosen("emotion", "sad")), [EMOTION, THEMES]
    )
    assert said.answers == {"emotion": "sad", "themes": "work|money"}


def test_a_skip_has_no_answers_and_no_problems() -> None:
    said = parse_annotation(annotation(chosen("sentiment", "1"), was_cancelled=True), [SENTIMENT])
    assert said.skipped and said.answers == {} and said.problems == ()


@pytest.mark.parametrize(
    ("lead_time", "seconds"),
    [
        (2.5, 2.5),
        (0, 0.0),
        *((unusable, None) for unusable in (None, -1, float("nan"), float("inf"), "3", True)),
    ],
)
def test_time_spent_is_what_was_measured_or_nothing(lead_time: object, seconds: float | None) -> None:
    assert parse_annotation(annotation(lead_time=lead_time), [SENTIMENT]).seconds == seconds


@pytest.mark.parametrize(
    ("modality", "shown"),
    [
        (Modality.TEXT, {"text"}),
        (Modality.AUDIO, {"audio"}),
        (Modality.VISION, {"video"}),
        (Modality.MULTIMODAL, {"text", "video"}),
    ],
)
def test_a_question_holds_nothing_that_its_pass_may_not_show(modality: Modality, shown: set[str]) -> None:
    made = question(modality, "key", "sample", "the words", f"{modality}/ab/file", 0.5)
    assert set(made["data"]) == {"key", "sample"} | shown
    assert [(guess["result"], guess["score"]) for guess in made["predictions"]] == [([], 0.5)]


@pytest.mark.parametrize("transcript", ["", "  "])
def test_a_page_without_words_says_so_in_place_of_an_empty_box(transcript: str) -> None:
    made = question(Modality.MULTIMODAL, "key", "sample", transcript, "M/ab/file.mp4", 0.5)
    assert made["data"]["text"] == "(no transcript)"


def test_a_media_address_survives_odd_names() -> None:
    made = question(Modality.AUDIO, "k", "s", "", "A/a b&c#d.wav", 0.0)
    assert made["data"]["audio"] == "/data/local-files/?d=A/a%20b%26c%23d.wav"
