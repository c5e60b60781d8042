"""The pages of the passes: each shows what its raters may perceive, and can be worked by keyboard."""

import tomllib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

import annotate
from annotate.errors import ConfigError
from annotate.labelstudio.interface import NOTHING, labeling_config
from annotate.types import Answer, Dimension, Kind, Modality
from tests.support.dimensions import classification

SENTIMENT = Dimension(
    "sentiment", Kind.REGRESSION, (Answer(-1.0, "negative"), Answer(0.0, "neutral"), Answer(1.0, "positive"))
)
PRESETS = Path(annotate.__file__).parent / "presets"


def of_words(name: str, *words: str) -> Dimension:
    return classification(name, *words)


def tags(xml: str, name: str) -> list[Element]:
    return list(ElementTree.fromstring(xml).iter(name))


def preset(name: str) -> tuple[list[Modality], list[Dimension]]:
    content = tomllib.loads((PRESETS / f"{name}.toml").read_text(encoding="utf-8"))
    return [Modality(m) for m in content["protocol"]["passes"]], [
        Dimension(d["name"], Kind(d["kind"]), tuple(Answer(a["value"], a["label"]) for a in d["answers"]))
        for d in content["dimensions"]
    ]


@pytest.mark.parametrize(
    ("answers", "named"),
    [
        ((Answer(-1.0, "same"), Answer(1.0, "same")), "same"),
        ((Answer("sad", "happy"), Answer("happy", "sad")), "happy"),
        ((Answer(1.00000001, "a"), Answer(1.00000002, "b")), "six digits"),
        ((Answer("sad", " "), Answer("happy", "happy")), "' '"),
    ],
)
def test_answers_that_label_studio_would_mix_up_are_refused(answers: tuple[Answer, ...], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        labeling_config(Modality.TEXT, [Dimension("mood", Kind.CLASSIFICATION, answers)])
    assert caught.value.hint


@pytest.mark.parametrize(
    ("modality", "variables"),
    [
        (Modality.TEXT, {"$text"}),
        (Modality.AUDIO, {"$audio"}),
        (Modality.VISION, {"$video"}),
        (Modality.MULTIMODAL, {"$text", "$video"}),
    ],
)
def test_a_page_refers_to_nothing_its_pass_may_not_show(modality: Modality, variables: set[str]) -> None:
    xml = labeling_config(modality, [SENTIMENT])
    values = {tag.get("value", "") for tag in ElementTree.fromstring(xml).iter()}
    assert {v for v in values if v.startswith("$")} == variables


@pytest.mark.parametrize("name", sorted(p.stem for p in PRESETS.glob("[a-z]*.toml")))
def test_every_preset_gives_pages_that_the_sdk_reads(name: str) -> None:
    from label_studio_sdk.label_interface import LabelInterface

    passes, dimensions = preset(name)
    for modality in passes:
        interface = LabelInterface(labeling_config(modality, dimensions))
        interface.validate()
        for dimension in dimensions:
            control = interface.get_control(dimension.name)
            assert list(control.labels) == [answer.alias for answer in dimension.answers]


def test_every_answer_is_one_key_and_is_stored_by_its_alias() -> None:
    emotion = of_words("emotion", "anger", "fear", "happy")
    choices = tags(labeling_config(Modality.AUDIO, [SENTIMENT, emotion]), "Choice")
    assert [c.get("hotkey") for c in choices] == ["1", "2", "3", "q", "w", "e"]
    assert [c.get("alias") for c in choices] == ["-1", "0", "1", "anger", "fear", "happy"]


def test_a_dimension_with_more_answers_than_keys_goes_without() -> None:
    many = of_words("topic", *(f"topic {n}" for n in range(10)))
    further = [of_words(f"more_{n}", "yes", "no") for n in range(5)]
    xml = labeling_config(Modality.TEXT, [many, *further])
    by_name = {c.get("name"): [x.get("hotkey") for x in c] for c in tags(xml, "Choices")}
    assert by_name["topic"] == [None] * 10
    assert by_name["more_0"] == ["q", "w"]
    assert by_name["more_4"] == [None, None]


def test_one_answer_is_required_and_only_one_can_be_given() -> None:
    for control in tags(labeling_config(Modality.MULTIMODAL, [SENTIMENT]), "Choices"):
        assert control.get("choice") == "single-radio"
        assert control.get("required") == "true"
        assert control.get("toName") == "video"


@pytest.mark.parametrize("answer", [Answer("nothing", NOTHING.label), Answer(NOTHING.label, "nothing")])
def test_an_answer_that_reads_like_none_of_these_is_refused(answer: Answer) -> None:
    themes = Dimension("themes", Kind.MULTILABEL, (Answer("work", "work"), answer))
    with pytest.raises(ConfigError, match=NOTHING.label) as caught:
        labeling_config(Modality.TEXT, [themes])
    assert caught.value.hint
    assert labeling_config(Modality.TEXT, [replace(themes, kind=Kind.CLASSIFICATION)])


def test_several_answers_can_be_ticked_or_none_of_them_each_by_a_key() -> None:
    from label_studio_sdk.label_interface import LabelInterface

    themes = replace(of_words("themes", "work", "family"), kind=Kind.MULTILABEL)
    for modality in Modality:
        xml = labeling_config(modality, [SENTIMENT, themes])
        interface = LabelInterface(xml)
        interface.validate()
        assert list(interface.get_control("themes").labels) == ["work", "family", NOTHING.alias]
        control = {c.get("name"): c for c in tags(xml, "Choices")}["themes"]
        assert (control.get("choice"), control.get("required")) == ("multiple", "true")
        assert [c.get("hotkey") for c in control] == ["q", "w", "e"]
        assert [c.get("value") for c in control] == ["work", "family", "none of these"]


def test_the_page_requires_what_nobody_can_give_while_none_stands_beside_an_answer() -> None:
    """Label Studio's editor refuses the form then: it checks required controls in views that are visible."""
    from label_studio_sdk.label_interface import LabelInterface

    answers = (
        Answer("work", "work"),
        Answer("home, family", "home and family"),
        Answer("cash", "cash, money"),
    )
    themes = Dimension("themes", Kind.MULTILABEL, (*answers, Answer("a, b", "a, b")))
    for modality in Modality:
        xml = labeling_config(modality, [SENTIMENT, themes])
        LabelInterface(xml).validate()
        (outer,) = [v for v in tags(xml, "View") if v.get("whenChoiceValue") == NOTHING.alias]
        (inner,) = outer
        (control,) = inner
        for view, values in ((outer, NOTHING.alias), (inner, "work,home and family,cash")):
            asked = (view.get("visibleWhen"), view.get("whenTagName"), view.get("whenChoiceValue"))
            assert asked == ("choice-selected", "themes", values)
        assert inner.get("style") == "display: none", "so that nobody fills it in"
        assert (control.tag, control.get("required"), control.get("hotkey")) == ("Rating", "true", None)
        assert "none of these" in (control.get("requiredMessage") or "")
    assert not tags(labeling_config(Modality.TEXT, [SENTIMENT]), "Rating")


def test_none_of_these_needs_a_key_too() -> None:
    nine = replace(of_words("themes", *(f"theme {n}" for n in range(9))), kind=Kind.MULTILABEL)
    assert [c.get("hotkey") for c in tags(labeling_config(Modality.TEXT, [nine]), "Choice")] == [None] * 10


def test_quotes_brackets_and_chinese_survive() -> None:
    words = ('<b> & "quoted"', "开心", "it's")
    choices = tags(labeling_config(Modality.TEXT, [of_words("mood", *words)]), "Choice")
    assert tuple(c.get("value") for c in choices) == words


def test_the_keys_explained_are_those_of_the_server() -> None:
    def explained(*, own_server: bool) -> str:
        xml = labeling_config(Modality.AUDIO, [SENTIMENT], own_server=own_server)
        return " ".join(tag.get("value", "") for tag in tags(xml, "Header"))

    assert "Space plays" in explained(own_server=True)
    assert "Ctrl+P plays" in explained(own_server=False)
    assert "Ctrl+Enter submits" in explained(own_server=False)
