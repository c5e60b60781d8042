"""Knows what people really did, and what must hold after a command whatever happened before it.

It is written from what annotate promises, not from how it works: it looks at the server, at the table of
annotations, at the votes and the labels, and at what the command said.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from annotate.labelling.labels import rebuild_labels
from annotate.project import Project
from annotate.types import Modality
from db.engine import open_engine
from db.models import Annotation, Annotator, Label, Question, QuestionState
from db.votes import answers_by_rater
from tests.histories.killing import Outcome
from tests.histories.servers import Server, call

Vote = str | None
"""The alias of an answer; None where somebody says nothing, or skipped."""


class Violation(AssertionError):
    """A promise that does not hold: its short name, and what was seen."""

    def __init__(self, promise: str, seen: str) -> None:
        super().__init__(f"{promise}: {seen}")
        self.promise = promise


@dataclass
class Version:
    """One state of an answer."""

    tag: float
    value: Vote
    author: str


@dataclass
class Act:
    """One answer or skip of one rater, with everything that it ever said."""

    number: int
    """Of the annotation on the server; after a restore another act may get the same."""
    rater: str
    sample: str
    modality: str
    versions: list[Version]
    ls_project: int
    deleted: bool = False
    """Whether the rater deleted it."""


class Row(NamedTuple):
    """One row of the table of annotations, as far as it matters here."""

    id: int
    sample: str
    task: str
    annotator: str
    state: str
    value: Vote
    tag: float | None
    number: int | None
    ls_project: int | None
    supersedes: int | None


@dataclass
class Stored:
    """What the project's database says."""

    rows: list[Row]
    votes: dict[tuple[str, str], dict[str, Vote]]
    """By (sample, pass): by annotator."""
    keys: dict[str, tuple[str, str]]
    """(sample, pass) of every question, by its key."""
    open: list[tuple[str, str]]
    labels: dict[tuple[str, str], tuple[Any, ...]]
    rebuilt: dict[tuple[str, str], tuple[Any, ...]]


@dataclass
class Oracle:
    project: Project
    server: Server
    names: Mapping[str, str]
    """What a rater is called in messages, by e-mail."""
    acts: dict[float, tuple[Act, Version]] = field(default_factory=dict)
    """By the tag of each version."""
    log: list[str] = field(default_factory=list)
    _highest: dict[int, int] = field(default_factory=dict)
    """By LS project: the highest annotation number at the last pull that ended."""
    _restored: bool = False
    """Whether the server was restored since then."""
    _known_projects: dict[str, list[int]] | None = None
    _known_accounts: dict[int, str] | None = None

    def begin(self, operation: object) -> None:
        self.log.append(str(operation))

    def acted(self, act: Act) -> None:
        self.edited(act, act.versions[0])

    def edited(self, act: Act, version: Version) -> None:
        if version not in act.versions:
            act.versions.append(version)
        self.acts[version.tag] = (act, version)

    def studio_restored(self) -> None:
        self._restored = True
        self.look_anew()

    def accounts(self) -> dict[int, str]:
        """E-mail address of everybody, by number."""
        if self._known_accounts is None:
            listed = call(self.server.owner, "GET", "/api/users/")
            self._known_accounts = {user["id"]: user["email"] for user in listed}
        return self._known_accounts

    def name(self, email: str) -> str:
        """What somebody is called whatever the server."""
        return {**self.names, self.server.owner.email: "owner"}.get(email, email)

    def act(self, annotation: Mapping[str, Any]) -> Act:
        return self.acts[annotation["lead_time"]][0]

    def ls_tasks(self, modality: str) -> list[dict[str, Any]]:
        """Tasks of a pass that are on the server now, by sample."""
        found: list[dict[str, Any]] = []
        for ls_project in self._ls_projects().get(modality, []):
            query = {"project": ls_project, "page": 1, "page_size": 1000, "fields": "all"}
            found += call(self.server.owner, "GET", "/api/tasks/", **query)["tasks"]
        for task in found:
            task["annotations"].sort(key=lambda annotation: annotation["id"])
        return sorted(found, key=lambda task: (task["data"]["sample"], task["id"]))

    def _ls_projects(self) -> dict[str, list[int]]:
        """Numbers of the server's projects of this corpus, by pass."""
        if self._known_projects is None:
            name = self.project.settings.project.name
            titles = {f"{name[:30]} {m} {Modality(m).word}": m for m in self.passes()}
            self._known_projects = {m: [] for m in self.passes()}
            listed = call(self.server.owner, "GET", "/api/projects/", page_size=1000)["results"]
            for project in sorted(listed, key=lambda project: project["id"]):
                if project["title"] in titles:
                    self._known_projects[titles[project["title"]]].append(project["id"])
        return self._known_projects

    def look_anew(self) -> None:
        """Projects or accounts may have come or gone."""
        self._known_projects = self._known_accounts = None

    def after_batch(self, before: Stored, outcome: Outcome) -> None:
        self._log(outcome)
        self.look_anew()
        _no_traceback(outcome)
        after = self.stored()
        self._always(before, after, self._on_server())

    def after_pull(self, before: Stored, outcome: Outcome, *, accepted: bool) -> None:
        self._log(outcome)
        self.look_anew()
        _no_traceback(outcome)
        after, tasks = self.stored(), self._on_server()
        self._always(before, after, tasks)
        if outcome.killed or outcome.nothing_to_do:
            return
        self._fallen_numbers_are_reported(before, tasks, outcome, accepted)
        self._held_is_stored(after, tasks, outcome)
        self._votes_are_true(before, after, tasks, outcome, accepted)
        if outcome.exit_code == 0:
            _open_questions_stand_on_the_server(after, tasks)
        self._restored = False
        self._highest = _highest(tasks)

    def _log(self, outcome: Outcome) -> None:
        ended = "killed" if outcome.killed else f"exit {outcome.exit_code}"
        self.log.append(f"    {ended}: {outcome.said.strip()[:600]}")

    def _on_server(self) -> dict[str, list[dict[str, Any]]]:
        return {m: self.ls_tasks(m) for m in self.passes()}

    def passes(self) -> list[str]:
        return [modality.value for modality in self.project.settings.passes]

    def _always(
        self, before: Stored, after: Stored, tasks: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> None:
        kept = {row.id: row for row in after.rows}
        for row in before.rows:
            if kept.get(row.id) != row:
                raise Violation("a stored row is never changed or lost", f"{row} is {kept.get(row.id)}")
        for row in after.rows:
            self._is_true(row, kept)
        self._deleted_people_are_told_apart(after)
        if after.labels != after.rebuilt:
            raise Violation(
                "rebuilt labels equal stored ones", f"stored {after.labels}, rebuilt {after.rebuilt}"
            )
        _labels_follow_votes(after)
        self._nothing_is_open_twice(tasks)

    def _is_true(self, row: Row, rows: Mapping[int, Row]) -> None:
        """No answer is attributed to another person or another sample."""
        if row.supersedes is not None:
            earlier = rows[row.supersedes]
            if (earlier.sample, earlier.task) != (row.sample, row.task):
                raise Violation("a row corrects one about the same question", f"{row} corrects {earlier}")
        if row.tag not in self.acts:
            raise Violation("every row is somebody's answer", str(row))
        act, version = self.acts[row.tag]
        if (act.sample, act.modality) != (row.sample, row.task.rpartition(".")[2]):
            raise Violation("no answer moves to another question", f"{row} is {act}")
        if row.state == "edited" and row.annotator != version.author:
            raise Violation("an owner's edit is stored under the owner", f"{row} is {act}, {version}")
        if row.state in ("answered", "skipped"):
            if row.annotator != version.author and not _is_nobody(row.annotator, act):
                raise Violation("no answer is attributed to another person", f"{row} is {act}, {version}")
            if row.value != version.value:
                raise Violation("an answer is stored as it was given", f"{row} is {version}")

    def _deleted_people_are_told_apart(self, stored: Stored) -> None:
        acts: dict[str, Act] = {}
        for row in stored.rows:
            if row.annotator.startswith("deleted:") and row.tag is not None:
                act = self.acts[row.tag][0]
                if acts.setdefault(row.annotator, act) is not act:
                    raise Violation("two deleted people are two", f"{row.annotator}: {act}")

    def _nothing_is_open_twice(self, tasks: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        for modality, listed in tasks.items():
            waiting: defaultdict[str, list[int]] = defaultdict(list)
            for task in listed:
                if len(task["annotations"]) < task["overlap"]:
                    waiting[task["data"]["sample"]].append(task["id"])
            for sample, numbers in waiting.items():
                if len(numbers) > 1:
                    raise Violation(
                        "no (sample, pass) is open twice", f"{sample} {modality}: tasks {numbers}"
                    )

    def _fallen_numbers_are_reported(
        self, before: Stored, tasks: Mapping[str, Sequence[Mapping[str, Any]]], outcome: Outcome,
        accepted: bool,
    ) -> None:  # fmt: skip
        highest = _highest(tasks)
        for ls_project, was in self._highest.items():
            known = [r.number for r in before.rows if r.ls_project == ls_project and r.number is not None]
            now = highest.get(ls_project, 0)
            fell = self._restored and now < was and now < max(known, default=0)
            if fell and not accepted and (outcome.exit_code != 1 or not outcome.said.strip()):
                raise Violation(
                    "annotation ids that fell since the last pull are reported",
                    f"project {ls_project} from {was} to {now}: {outcome}",
                )

    def _held_is_stored(
        self, after: Stored, tasks: Mapping[str, Sequence[Mapping[str, Any]]], outcome: Outcome
    ) -> None:
        """No answer that the server holds is missing; one to a question we cannot know is reported."""
        stored = {row.tag for row in after.rows}
        for modality, task, annotation in _annotations(tasks):
            act, version = self.acts[annotation["lead_time"]]
            if version.tag in stored or (_strange(task, modality, after) and outcome.said.strip()):
                continue
            raise Violation("no answer that the server holds is missing", f"{act}, {version}: {outcome}")

    def _votes_are_true(
        self, before: Stored, after: Stored, tasks: Mapping[str, Sequence[Mapping[str, Any]]],
        outcome: Outcome, accepted: bool,
    ) -> None:  # fmt: skip
        allowed: defaultdict[tuple[str, str], defaultdict[str, list[set[Vote]]]]
        allowed = defaultdict(lambda: defaultdict(list))
        present: set[int] = set()
        there = {number for numbers in self._ls_projects().values() for number in numbers}
        for modality, task, annotation in _annotations(tasks):
            act, version = self.acts[annotation["lead_time"]]
            present.add(id(act))
            votes = self._votes_of_present(act, version, annotation, before, after, outcome)
            for annotator, values in votes.items():
                if _strange(task, modality, before) and outcome.said.strip():
                    values = {*values, None, *_counted(act, before.rows, annotator)}
                allowed[act.sample, act.modality][annotator].append(values)
        for act in {id(act): act for act, _ in self.acts.values()}.values():
            if id(act) not in present:
                if act.ls_project in there:
                    _lost_is_listed(act, after, outcome)
                for annotator in (act.rater, _nobody(act, after.rows)):
                    values = self._votes_of_absent(act, annotator, before, outcome, accepted)
                    allowed[act.sample, act.modality][annotator].append(values)
        for about in sorted({*allowed, *after.votes}):
            self._compare(about, allowed[about], after.votes.get(about, {}), outcome)

    def _votes_of_present(
        self, act: Act, version: Version, annotation: Mapping[str, Any], before: Stored, after: Stored,
        outcome: Outcome,
    ) -> dict[str, set[Vote]]:  # fmt: skip
        deleted = _nobody(act, after.rows)
        tags = {v.tag for v in act.versions if v.author == act.rater}
        known = [row for row in before.rows if row.tag in tags and row.state in ("answered", "skipped")]
        names = {row.annotator for row in known} & {act.rater, deleted}
        nobody = annotation["completed_by"] is None
        if version.author == act.rater:
            usual = deleted if nobody else act.rater
            if not names or names == {usual}:
                return {usual: {version.value}}
            if nobody and names == {act.rater}:
                return {act.rater: {version.value}}
            # Both names are known: either is the rater's own.
            return {name: {version.value, None} for name in (act.rater, deleted)}
        self._edit_is_reported(act, version, before, outcome)
        editors: dict[str, set[Vote]] = {version.author: {version.value, None}}
        if not known:
            return editors
        last = max(known, key=lambda row: row.id)
        still = _counted(act, before.rows, last.annotator)
        return editors | {last.annotator: {last.value} if still - {None} else {last.value, None}}

    def _edit_is_reported(self, act: Act, version: Version, before: Stored, outcome: Outcome) -> None:
        news = version.tag not in {row.tag for row in before.rows}
        if news and act.sample not in outcome.said:
            raise Violation("an owner's edit is reported with its question", f"{act}: {outcome}")

    def _votes_of_absent(
        self, act: Act, annotator: str, before: Stored, outcome: Outcome, accepted: bool
    ) -> set[Vote]:
        counted = _counted(act, before.rows, annotator)
        if act.ls_project not in {n for numbers in self._ls_projects().values() for n in numbers}:
            return {None, *counted}  # the whole project is gone: what was pulled from it may be kept
        if accepted and outcome.exit_code == 0:
            return {None}
        if act.deleted:
            return {None} if outcome.exit_code == 0 and not self._restored else {None, *counted}
        # Nobody took it back: the server was put back to a time before it.
        return counted

    def _compare(
        self, about: tuple[str, str], allowed: Mapping[str, Sequence[set[Vote]]],
        votes: Mapping[str, Vote], outcome: Outcome,
    ) -> None:  # fmt: skip
        for annotator in sorted({*allowed, *votes}):
            acts = allowed.get(annotator, [])
            values = {value for some in acts for value in some} if acts else {None}
            if any(None not in some for some in acts):
                values.discard(None)
            vote = votes.get(annotator)
            if vote not in values:
                promise = (
                    "no answer is lost" if vote is None
                    else "what counts is what was said last" if values - {None}
                    else "what was taken back does not count"
                )  # fmt: skip
                who = self.name(annotator)
                may = sorted(map(str, values))
                raise Violation(promise, f"{about} by {who} counts {vote}, should be of {may}: {outcome}")

    def stored(self) -> Stored:
        with self._session() as session:
            tasks = self.project.settings.tasks()
            items = session.query(Question).all()
            names = {annotator.id: annotator.name for annotator in session.query(Annotator)}
            rows = [
                _row(row, names[row.annotator_id])
                for row in session.query(Annotation).order_by(Annotation.id)
            ]
            said = answers_by_rater(session, tasks, {row.sample for row in rows})
            votes: defaultdict[tuple[str, str], dict[str, Vote]] = defaultdict(dict)
            for (sample, task_id), given in said.items():
                for annotator, value in given.items():
                    votes[sample, task_id.rpartition(".")[2]][names[annotator]] = value
            labels = _labels(session)
            rebuild_labels(session, tasks)
            rebuilt = _labels(session)
            session.rollback()
            return Stored(
                rows, dict(votes), {item.key: (item.sample_id, item.modality) for item in items},
                [(i.sample_id, i.modality) for i in items if i.state == QuestionState.OPEN], labels, rebuilt,
            )  # fmt: skip

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """Nothing stays open: the database may be replaced next."""
        try:
            with Session(self._engine) as session:
                yield session
        finally:
            self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        return open_engine(self.project.database_url)


def _row(row: Annotation, annotator: str) -> Row:
    return Row(
        row.id, row.sample_id, row.task_id, annotator, row.state, row.value, row.raw.get("lead_time"),
        row.raw.get("id"), row.raw.get("project"), row.supersedes_id,
    )  # fmt: skip


def _labels(session: Session) -> dict[tuple[str, str], tuple[Any, ...]]:
    session.expire_all()
    return {
        (row.sample_id, row.task_id): (row.origin, row.number, row.category, row.distribution, row.raters)
        for row in session.query(Label)
    }


def _labels_follow_votes(stored: Stored) -> None:
    """The mean of what the raters say, for every question that somebody judged and for no other."""
    labels = {
        (sample, task_id.rpartition(".")[2]): (row[1], row[4])
        for (sample, task_id), row in stored.labels.items()
    }
    expected = {
        about: (sum(float(v) for v in given.values() if v is not None) / len(given), len(given))
        for about, given in stored.votes.items()
    }
    if labels != expected:
        raise Violation("labels are what the raters agree on", f"{labels} instead of {expected}")


def _annotations(
    tasks: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for modality, listed in tasks.items():
        for task in listed:
            for annotation in task["annotations"]:
                yield modality, task, annotation


def _strange(task: Mapping[str, Any], modality: str, stored: Stored) -> bool:
    """Whether the key of the task is none of ours, or that of another question."""
    return stored.keys.get(task["data"].get("key", "")) != (task["data"]["sample"], modality)


def _is_nobody(annotator: str, act: Act) -> bool:
    """Whether that is what this act's rater is called when the account is deleted."""
    return annotator.partition("@")[0] == f"deleted:{act.number}"


def _nobody(act: Act, rows: Iterable[Row]) -> str:
    tags = {version.tag for version in act.versions}
    used = [row.annotator for row in rows if row.tag in tags and _is_nobody(row.annotator, act)]
    return used[0] if used else f"deleted:{act.number}"


def _highest(tasks: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[int, int]:
    highest: dict[int, int] = {}
    for _, task, annotation in _annotations(tasks):
        highest[task["project"]] = max(highest.get(task["project"], 0), annotation["id"])
    return highest


def _counted(act: Act, rows: Collection[Row], annotator: str) -> set[Vote]:
    """The vote that the rows of this act give the annotator."""
    tags = {version.tag for version in act.versions}
    own = [row for row in rows if row.tag in tags and row.annotator == annotator]
    last = max(own, key=lambda row: row.id, default=None)
    return {last.value if last is not None and last.state == "answered" else None}


def _open_questions_stand_on_the_server(
    stored: Stored, tasks: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    there = {(task["data"]["sample"], modality) for modality, listed in tasks.items() for task in listed}
    for question in stored.open:
        if question not in there:
            raise Violation("an open question can be answered", f"{question} is not on the server")


def _lost_is_listed(act: Act, after: Stored, outcome: Outcome) -> None:
    """An answer that is gone and still counts is no secret."""
    counted = {
        vote for name in (act.rater, _nobody(act, after.rows)) for vote in _counted(act, after.rows, name)
    }
    if counted != {None} and (outcome.exit_code != 1 or act.sample not in outcome.said):
        raise Violation("an answer that is gone and counts is listed by every pull", f"{act}: {outcome}")


def _no_traceback(outcome: Outcome) -> None:
    if outcome.traceback:
        raise Violation("a traceback is a bug", outcome.traceback)
