"""What rules and repeats do to samples: who takes part, who comes back, and what is never lost."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from annotate.config.settings import Settings
from annotate.corpus.duplicates import judge_duplicates, remember
from annotate.corpus.rules import Rules, judge, rejudge, settle_duplicates
from annotate.errors import ConfigError, UnknownName
from annotate.project import Project
from annotate.types import PreparedSample, Rule, Segment, Split
from db import batches, checks, duplicates, explain, models
from db.dataset import dataset_samples
from db.engine import reading, writing
from db.models import AnnotationState, SampleStatus
from tests.support.factories import add_sample, add_video

LONG = "I never knew that you could do it so well"


def with_(project: Project, **sections: object) -> Settings:
    return Settings(**(project.settings.model_dump() | sections))


# ---- rules -----------------------------------------------------------------------------------------


def test_a_slip_in_the_name_of_a_check_is_told_with_the_nearest(project: Project) -> None:
    with pytest.raises(UnknownName) as caught:
        Rules(with_(project, checks={"loudnes": {"min": -50.0}}))
    assert "loudness" in caught.value.hint


@pytest.mark.parametrize(
    ("check", "rule", "told"),
    [
        ("loudness", {"allow": ["loud"]}, "`allow`, which is for words"),
        ("language", {"min": 1.0}, "which are for numbers, but language is a word"),
        ("language", {"max": 1.0, "allow": ["en"]}, "which are for numbers"),
    ],
)
def test_a_rule_that_does_not_fit_its_check_is_an_error(
    project: Project, check: str, rule: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)) as caught:
        Rules(with_(project, checks={check: rule}))
    assert check in caught.value.hint


@pytest.mark.parametrize("preset", ["ch-sims", "mosi", "emotion"])
def test_the_rules_of_every_preset_fit_their_checks(
    make_project: Callable[..., Project], preset: str
) -> None:
    project = make_project(preset=preset, checks=True)
    rules = Rules(project.settings).by_check
    assert {"duration", "speech", "loudness", "snr"} <= rules.keys()
    assert "language" not in rules
    assert project.settings.repeats.text == (preset != "emotion")


def test_the_rules_are_kept_to_the_letter_and_the_unknown_passes() -> None:
    rule = Rule(min=1.0, max=10.0)
    assert [judge("duration", v, rule).passed for v in (0.99, 1.0, 10.0, 10.01, None)] == [
        False, True, True, False, True,
    ]  # fmt: skip
    assert judge("duration", 12.0, rule).reason == "too long: 12 > 10 s"
    assert judge("language", "fr", Rule(allow=("zh", "und"))).reason == "another language: fr, not zh or und"


# ---- rules in the database -------------------------------------------------------------------------


def measured(
    session: Session, project: Project, text: str = LONG, **measures: float | str | None
) -> models.Sample:
    video = add_video(session, f"v{text}{sorted(measures.items())}")
    sample = add_sample(session, video, text=text)
    rules = Rules(project.settings)
    checks.put_verdicts(session, {sample.id: rules.judge(measures)})
    checks.mark_judged(session, [video.sha256], rules.hash)
    return sample


def statuses(project: Project) -> dict[str, str]:
    with reading(project.engine) as session:
        return {s.id: s.status for s in session.scalars(select(models.Sample))}


def test_changed_rules_reject_and_bring_back_and_lose_no_answer(each_project: Project) -> None:
    project = each_project
    with writing(project.engine) as session:
        short = measured(session, project, duration=0.5).id
        long = measured(session, project, "another text that is long enough", duration=5.0).id
        who = models.Annotator(name="a@example.com")
        session.add(who)
        session.flush()
        session.add(models.Annotation(
            sample_id=short, task_id="sentiment.M", annotator_id=who.id, state=AnnotationState.ANSWERED,
            value="0", origin="s#1", revision="1", created_at=models.now(), raw={},
        ))  # fmt: skip
        session.add(models.Label(
            sample_id=short, task_id="sentiment.M", origin="human", number=0.0, category=None,
            distribution={"0": 1.0}, confidence=1.0, raters=1,
        ))  # fmt: skip
    strict, lax = Rules(with_(project, checks={"duration": {"min": 1.0}})), Rules(project.settings)
    with writing(project.engine) as session:
        assert rejudge(session, strict) == []
        assert rejudge(session, strict) == []
        assert len(session.scalars(select(models.Event).where(models.Event.kind == "judged")).all()) == 1
    assert statuses(project) == {short: SampleStatus.REJECTED, long: SampleStatus.OK}
    with reading(project.engine) as session:
        assert [c.sample_id for c in batches.candidates(session, project.settings.passes)] == [long]
        assert {s.sample_id: s.rejected for s in dataset_samples(session)} == {short: True, long: False}
        assert session.scalars(select(models.Annotation.value)).all() == ["0"]
        assert session.scalars(select(models.Label.number)).all() == [0.0]
    with writing(project.engine) as session:
        rejudge(session, lax)
    assert set(statuses(project).values()) == {SampleStatus.OK}


def test_judging_again_says_what_judging_at_once_says(each_project: Project) -> None:
    measures = [
        {"duration": 0.5, "language": "fr", "snr": None},
        {"duration": 5.0, "language": "zh", "snr": 3.0},
        {"duration": 1.0, "language": None, "snr": 5.0},
        {"duration": 9.0, "language": "und", "snr": 40.0},
    ]
    allow = {"language": {"allow": ["zh", "und"]}}
    both = {"duration": {"min": 1.0, "max": 8.0}, "snr": {"min": 5}} | allow
    with writing(each_project.engine) as session:
        ids = [measured(session, each_project, f"text {n}", **m).id for n, m in enumerate(measures)]
    for checked in (both, {"duration": {"min": 2.0, "max": 8.0}}, allow, {}):
        rules = Rules(with_(each_project, checks=checked))
        with writing(each_project.engine) as session:
            rejudge(session, rules)
        with reading(each_project.engine) as session:
            found = explain.verdicts(session, ids)
            for sample_id, values in zip(ids, measures, strict=True):
                wanted = [(v.name, v.value, v.passed, v.reason) for v in rules.judge(values)]
                rows = [(r.name, r.word or r.value, r.passed, r.reason) for r in found[sample_id]]
                assert rows == wanted
                ok = all(passed for _, _, passed, _ in wanted)
                assert statuses(each_project)[sample_id] == (SampleStatus.OK if ok else SampleStatus.REJECTED)


def test_a_retired_sample_stays_retired_whatever_the_rules(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        sample = measured(session, each_project, duration=0.5)
        sample.status = SampleStatus.RETIRED
    with writing(each_project.engine) as session:
        rejudge(session, Rules(with_(each_project, checks={"duration": {"min": 1.0}})))
    assert set(statuses(each_project).values()) == {SampleStatus.RETIRED}


def test_a_measure_whose_check_is_gone_does_no_harm(project: Project) -> None:
    with writing(project.engine) as session:
        measured(session, project, **{"a-plug-in-that-was-removed": 3.0})
        rejudge(session, Rules(with_(project, checks={"duration": {"min": 1.0}})))
    assert set(statuses(project).values()) == {SampleStatus.OK}


def test_a_rule_that_passes_only_what_was_never_measured_says_so(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        measured(session, each_project, duration=5.0)
        measured(session, each_project, "another text that is long enough", duration=5.0, snr=20.0)
        rules = Rules(with_(each_project, checks={"duration": {"min": 1.0}, "snr": {"min": 5.0}}))
        (warning,) = rejudge(session, rules)
        assert rejudge(session, rules) == [], "it was told when the rules were new"
    assert warning.startswith("1 sample passes the rule about snr only because")


# ---- repeats ---------------------------------------------------------------------------------------

PRINT = tuple((key << 12) | key for key in range(1, 97))


def placed(session: Session, name: str, split: Split | None, text: str, sound: tuple[int, ...] = ()) -> str:
    video = add_video(session, name, split=split)
    sample = add_sample(session, video, text=text)
    sample.sound_print = list(sound)
    session.flush()
    remember(
        session,
        [PreparedSample(sample.id, Segment(0, 1, text), "subtitles", {}, {}, audio_fingerprint=sound)],
    )
    return sample.id


def later(sound: tuple[int, ...], windows: int) -> tuple[int, ...]:
    """The same sound, cut so much earlier."""
    return tuple(number + windows for number in sound)


def reasons(project: Project) -> dict[str, str]:
    with reading(project.engine) as session:
        rows = session.scalars(select(models.SampleCheck).where(~models.SampleCheck.passed))
        return {row.sample_id: f"{row.name}: {row.reason}" for row in rows}


def test_of_the_same_words_in_two_splits_the_less_protected_copy_goes(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        train = placed(session, "a", Split.TRAIN, LONG)
        valid = placed(session, "b", Split.VALID, LONG.upper() + "!")
        test = placed(session, "c", Split.TEST, f"  {LONG}.")
        placed(session, "d", Split.TRAIN, "all other words that nobody else has said")
        placed(session, "e", Split.TRAIN, "short one")
        placed(session, "f", Split.TEST, "short one")
        judge_duplicates(session, each_project.settings.repeats)
    expected = f"repeated-text: repeats {test} in test"
    assert reasons(each_project) == {train: expected, valid: expected}
    assert {s for s, status in statuses(each_project).items() if status == SampleStatus.REJECTED} == {
        train,
        valid,
    }


def test_text_in_a_script_without_spaces_is_counted_in_characters(project: Project) -> None:
    with writing(project.engine) as session:
        train = placed(session, "a", Split.TRAIN, "我昨天根本不知道你在想什么")
        placed(session, "b", Split.TEST, "我昨天根本不知道你在想什么。")
        placed(session, "c", Split.TRAIN, "我不知道")
        placed(session, "d", Split.TEST, "我不知道")
        judge_duplicates(session, project.settings.repeats)
    assert reasons(project).keys() == {train}


def test_the_same_sound_in_two_splits_is_refused_and_comes_back_when_allowed(each_project: Project) -> None:
    with writing(each_project.engine) as session:
        train = placed(session, "a", Split.TRAIN, "one", PRINT)
        test = placed(session, "b", Split.TEST, "two", later(PRINT, 40)[:60])
        placed(session, "c", Split.TRAIN, "three", tuple(n + (10_000 << 12) for n in PRINT))
        judge_duplicates(session, each_project.settings.repeats)
        assert [len(pair) for pair in duplicates.same_sound(session)] == [2]
    assert reasons(each_project) == {train: f"repeated-sound: repeats {test} in test"}
    with writing(each_project.engine) as session:
        judge_duplicates(session, each_project.settings.repeats.model_copy(update={"sound": False}))
    assert reasons(each_project) == {}
    assert set(statuses(each_project).values()) == {SampleStatus.OK}


def test_keys_in_common_at_other_distances_are_no_repeat(project: Project) -> None:
    with writing(project.engine) as session:
        placed(session, "a", Split.TRAIN, "one", PRINT)
        placed(session, "b", Split.TEST, "two", tuple((n >> 12 << 12) | (n * 37 & 4095) for n in PRINT))
        assert duplicates.same_sound(session) == []


def test_the_order_of_arrival_does_not_matter(make_project: Callable[..., Project]) -> None:
    def run(name: str, order: list[int]) -> dict[str, str]:
        project = make_project(name=name)
        rows = [
            ("a", Split.TRAIN, LONG, PRINT), ("b", Split.TEST, LONG, ()), ("c", Split.VALID, "x", PRINT),
            ("d", Split.TEST, "y", later(PRINT, 3)), ("e", Split.TEST, LONG, PRINT),
        ]  # fmt: skip
        with writing(project.engine) as session:
            for position in order:
                placed(session, *rows[position])
        with writing(project.engine) as session:
            judge_duplicates(session, project.settings.repeats)
        return reasons(project)

    first = run("one", [0, 1, 2, 3, 4])
    assert len(first) == 3 - 1
    assert run("two", [4, 2, 3, 0, 1]) == first


def test_a_repeat_of_a_retired_sample_is_none(project: Project) -> None:
    with writing(project.engine) as session:
        placed(session, "a", Split.TRAIN, LONG, PRINT)
        test = placed(session, "b", Split.TEST, LONG, PRINT)
        session.get_one(models.Sample, test).status = SampleStatus.RETIRED
        session.flush()
        judge_duplicates(session, project.settings.repeats)
        assert duplicates.same_sound(session) == []
    assert reasons(project) == {}


def test_a_broken_rule_and_a_repeat_are_both_needed_to_be_gone(project: Project) -> None:
    strict = Rules(with_(project, checks={"duration": {"min": 1.0}}))
    with writing(project.engine) as session:
        train = placed(session, "a", Split.TRAIN, LONG)
        placed(session, "b", Split.TEST, LONG)
        checks.put_verdicts(session, {train: Rules(project.settings).judge({"duration": 0.5})})
        rejudge(session, strict)
        settle_duplicates(session, strict, moved=False)
    assert statuses(project)[train] == SampleStatus.REJECTED
    with writing(project.engine) as session:
        lax = Rules(project.settings)
        rejudge(session, lax)
        settle_duplicates(session, lax, moved=False)
    assert statuses(project)[train] == SampleStatus.REJECTED
    none = Rules(with_(project, repeats={"text": False}))
    with writing(project.engine) as session:
        rejudge(session, none)
        settle_duplicates(session, none, moved=False)
    assert statuses(project)[train] == SampleStatus.OK
