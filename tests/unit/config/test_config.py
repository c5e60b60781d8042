"""Promises of annotate.toml: a slip is named with the way out, and the environment wins over the file."""

import re

import pytest

from annotate.config import settings as config
from annotate.errors import ConfigError
from annotate.steps.init import PRESETS, presets
from annotate.types import Kind, Modality, Split

MINIMAL = """
[[dimensions]]
name = "sentiment"
kind = "regression"
answers = [{ value = -1.0, label = "negative" }, { value = 1.0, label = "positive" }]
"""


def load(tmp_path, content):
    path = tmp_path / "annotate.toml"
    path.write_text(content)
    return config.load(path)


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("[train]\nhiden = 3", "unknown key 'train.hiden'", "'hidden'"),
        ("[trian]\nhidden = 3", "unknown key 'trian'", "'train'"),
        ("[train]\nepochs = 'many'", "train.epochs", "correct train.epochs"),
        ("[train]\ndropout = 1.5", "train.dropout", "correct"),
        ("[project]\nseed = 99_999_999_999_999_999_999", "project.seed", "correct"),
        ("[train]\noptions = 3", "it has to be a table", "correct train.options"),
        ("[train]\nhidden = 1_000_000_000_000", "train.hidden: Input should be less than", "correct"),
        ("[train]\nmembers = 1_000_000", "train.members: Input should be less than", "correct"),
        ("[train]\nepochs = 9_223_372_036_854_775_808", "train.epochs", "correct"),
        ("[train]\nlearning_rate = 1e300", "train.learning_rate", "correct"),
        ("[protocol]\npasses = ['M', 'T']", "comes last", "correct"),
        ("[protocol]\npasses = ['T', 'T']", "named twice", "correct"),
        ("[protocol]\npasses = ['X']", "protocol.passes", "correct"),
        ("[ingest]\nmin_seconds = 5\nmax_seconds = 2", "min_seconds must be below", "correct"),
        ("[labelstudio]\ntoken = 'abc'", "secrets do not belong", "ANNOTATE_LABELSTUDIO__TOKEN"),
        ("[ingest]\nmax_seconds = inf", "ingest.max_seconds", "correct"),
        ("labelstudio = 'token'", "labelstudio", "correct"),
        ("[checks]\nduration = { minimum = 3 }", "unknown key 'checks.duration.minimum'", "'min'"),
        ("[checks]\nduration = { least = 3 }", "unknown key 'checks.duration.least'", "allow, max, min"),
        ("[checks]\nduration = 3", "it has to be a table", "correct checks.duration"),
        (
            "[checks]\nlanguage = { allow = 'en' }",
            "it has to be a list, as in",
            "checks.language.allow",
        ),
        ("[splits]\ntogether = 'speaker'", "it has to be a list, as in", "correct splits.together"),
        ("[train", "cannot be read", "by hand"),
    ],
)
def test_a_slip_is_named_with_the_way_out(tmp_path, line, said, hint):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, line + "\n" + MINIMAL if line != "[train" else line)
    assert said in str(error.value)
    assert hint in error.value.hint


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_file_saved_by_a_windows_editor_is_read(tmp_path, encoding):
    path = tmp_path / "annotate.toml"
    path.write_text(MINIMAL, encoding=encoding, newline="\r\n")
    assert config.load(path).dimensions[0].name == "sentiment"


def test_a_file_in_another_encoding_says_which_one_is_needed(tmp_path):
    path = tmp_path / "annotate.toml"
    path.write_text(MINIMAL, encoding="utf-16")
    with pytest.raises(ConfigError) as error:
        config.load(path)
    assert "UTF-8" in error.value.hint


def test_the_token_is_never_part_of_the_message(tmp_path):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "[labelstudio]\ntoken = 'canary-4711'\n" + MINIMAL)
    assert "canary-4711" not in str(error.value) + error.value.hint


def test_answers_have_to_fit_their_kind(tmp_path):
    for wrong in (
        MINIMAL.replace("value = -1.0", 'value = "low"'),
        MINIMAL.replace("regression", "classification"),
        MINIMAL.replace("value = -1.0", "value = 1.0"),
        MINIMAL.replace("value = -1.0", "value = 2.0"),
    ):
        with pytest.raises(ConfigError):
            load(tmp_path, wrong)


MULTILABEL = """
[[dimensions]]
name = "themes"
kind = "multilabel"
answers = [{ value = "work", label = "work" }, { value = "family", label = "family" }]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('value = "work"', "value = 1.0", "words in quotes"),
        ('value = "work"', "value = 1", "words in quotes"),
        ('value = "work"', 'value = "work|play"', "'work|play' holds a '|'"),
        ('value = "work"', 'value = ""', "empty value"),
        ('value = "work"', 'value = " "', "empty value"),
        ('value = "work"', 'value = "family"', "the same value"),
        ('{ value = "work", label = "work" }, ', "", "at least 2"),
        ("multilabel", "multi-label", "'multilabel'"),
    ],
)
def test_answers_that_cannot_be_ticked_together_are_refused(tmp_path, old, new, said):
    with pytest.raises(ConfigError, match="dimensions") as error:
        load(tmp_path, MULTILABEL.replace(old, new))
    assert said in str(error.value)
    assert error.value.hint


def test_several_answers_may_be_true_at_once(tmp_path):
    (dimension,) = load(tmp_path, MULTILABEL).dimension_list()
    assert dimension.kind is Kind.MULTILABEL
    assert dimension.joined({"family", "work"}) == "work|family"
    assert dimension.ticked("work|family") == ("work", "family")
    assert dimension.ticked("") == ()


def test_in_a_dimension_of_one_answer_each_a_bar_means_nothing(tmp_path):
    content = MULTILABEL.replace("multilabel", "classification").replace('"work"', '"work|play"')
    assert load(tmp_path, content).dimension_list()[0].takes("work|play")


def test_a_file_without_dimensions_says_where_an_example_comes_from(tmp_path):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, "[project]\nname = 'x'")
    assert "'dimensions' is missing" in str(error.value)
    assert "annotate init" in error.value.hint


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(tmp_path, monkeypatch):
    content = "[train]\nepochs = 7\nhidden = 9\n" + MINIMAL
    monkeypatch.setenv("ANNOTATE_TRAIN__EPOCHS", "11")
    settings = load(tmp_path, content)
    assert (settings.train.epochs, settings.train.hidden, settings.train.members) == (11, 9, 5)


def test_a_variable_that_names_a_whole_section_is_answered_with_the_way_to_name_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("ANNOTATE_INGEST", "{")
    with pytest.raises(ConfigError) as error:
        load(tmp_path, MINIMAL)
    assert "ingest" in str(error.value)
    assert "ANNOTATE_TRAIN__EPOCHS=50" in error.value.hint


def test_a_slip_in_a_variable_is_named_too(tmp_path, monkeypatch):
    for name, hint in (("ANNOTATE_TRIAN__EPOCHS", "ANNOTATE_TRAIN__"), ("ANNOTATE_TRAIN__EPOCH", "'epochs'")):
        with monkeypatch.context() as patch, pytest.raises(ConfigError) as error:
            patch.setenv(name, "3")
            load(tmp_path, MINIMAL)
        assert hint in error.value.hint


def test_the_commented_example_of_several_answers_at_once_is_one(tmp_path):
    text = (PRESETS / "emotion.toml").read_text()
    start, end = text.index("# [[dimensions]]"), text.index("[checks]")
    example = re.sub(r"(?m)^# ?", "", text[start:end])
    dimension = load(tmp_path, text[:start] + example + text[end:]).dimension_list()[-1]
    assert (dimension.name, dimension.kind, len(dimension.answers)) == ("emotions", Kind.MULTILABEL, 6)


@pytest.mark.parametrize("preset", presets())
def test_every_preset_writes_exactly_the_defaults_of_the_code(tmp_path, preset):
    """A key in the file that differs from the default would make the docs of one of them wrong."""
    common = (PRESETS / "_common.toml").read_text().replace("{name}", "corpus")
    common = common.replace("{database}", "sqlite:///annotate.db")
    settings = load(tmp_path, (PRESETS / f"{preset}.toml").read_text() + common)
    bare = load(tmp_path, (PRESETS / f"{preset}.toml").read_text())
    assert settings == bare


def test_what_decides_the_cut_is_what_other_samples_follow_from(tmp_path):
    def decides(toml=""):
        return load(tmp_path, f"{toml}\n{MINIMAL}").cut_plan().decides()

    bare, named = decides(), decides("[transcribe]\nmodel = 'x'")
    assert decides("[transcribe]\nlanguage = 'zh'\ndevice = 'cpu'") == bare
    assert decides("[ingest]\nworkers = 3\nexecutor = 'ray'\nattempts = 1") == bare
    assert decides("[transcribe]\nmodel = 'x'\ndevice = 'cpu'") == named
    others = ["[transcribe]\nmodel = 'x'\nlanguage = 'zh'"]
    for key, value in {
        "segmenter": "'energy'", "segmenter_with_transcript": "'transcript'", "vad_preset": "'far'",
        "min_seconds": 2, "max_seconds": 5, "pad_seconds": 0, "bridge_seconds": 1, "cut": "'copy'",
        "hide_subtitles": "true", "read_subtitles": "true", "guess_speakers": "false",
    }.items():  # fmt: skip
        others.append(f"[ingest]\n{key} = {value}")
    found = [bare, named, *map(decides, others)]
    assert all(one != other for n, one in enumerate(found) for other in found[:n])


def test_the_presets_are_the_protocols_they_are_named_after(tmp_path):
    def of(preset):
        return load(tmp_path, (PRESETS / f"{preset}.toml").read_text())

    sims, mosi, emotion = of("ch-sims"), of("mosi"), of("emotion")
    assert [t.id for t in sims.tasks()] == ["sentiment.T", "sentiment.A", "sentiment.V", "sentiment.M"]
    assert [a.value for a in sims.dimension_list()[0].answers] == [-1, 0, 1]
    assert sims.protocol.raters == 5
    assert [t.id for t in mosi.tasks()] == ["sentiment.M"]
    assert (mosi.dimension_list()[0].low, mosi.dimension_list()[0].high) == (-3, 3)
    assert emotion.passes == (Modality.AUDIO, Modality.VISION, Modality.MULTIMODAL)
    assert [d.kind for d in emotion.dimension_list()] == [Kind.CLASSIFICATION, Kind.REGRESSION]
    assert len(emotion.dimension_list()[0].answers) == 6


def test_split_shares_add_up_to_one(tmp_path):
    splits = load(tmp_path, "[splits]\ntrain = 8\nvalid = 1\ntest = 1\n" + MINIMAL).splits
    assert [splits.share(s) for s in Split] == [0.8, 0.1, 0.1]


def test_what_decides_nothing_without_a_model_changes_no_plan(tmp_path):
    plain = load(tmp_path, MINIMAL).cut_plan()
    assert load(tmp_path, "[transcribe]\nlanguage = 'de'\ndevice = 'cpu'\n" + MINIMAL).cut_plan() == plain
    assert load(tmp_path, "[transcribe]\nmodel = 'small'\n" + MINIMAL).cut_plan() != plain
