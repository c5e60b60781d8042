"""Plays a history: people and disks act on a server, commands run, and the oracle looks at what is left."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import certifi

from annotate.project import Project
from annotate.steps.next_batch import next_batch
from annotate.steps.pull import pull
from tests.histories import history as h
from tests.histories.corpus import Database, asking
from tests.histories.killing import Outcome, run, run_and_kill
from tests.histories.oracle import Act, Oracle, Version
from tests.histories.servers import Server, call
from tests.support.raters import Rater, form

PACE = 70.0
"""Seconds between two operations by the server's clock: more than a pull reads again by itself."""
SETTLING: tuple[h.Operation, ...] = (
    h.SetClock(0.0), h.Pull(), h.Pull(full=True), h.NextBatch(), h.Pull(), h.Pull(accept=True), h.Pull()
)  # fmt: skip
"""What people do in the end, when all is quiet: whatever is wrong then stays wrong."""
HAS_ACCEPT = "accept_deletions" in inspect.signature(pull).parameters


@dataclass
class Player:
    server: Server
    database: Database
    project: Project
    raters: list[Rater]
    clock_offset: float = 0.0
    behind: float = 0.0
    """Seconds until the history reaches the present."""
    backup: Any = None
    oracle: Oracle = field(init=False)
    _tags: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def __post_init__(self) -> None:
        names = {rater.email: f"rater {number}" for number, rater in enumerate(self.raters)}
        self.oracle = Oracle(self.project, self.server, names)

    def play(self, history: h.History) -> Iterator[h.Operation]:
        operations = (*history.operations, *SETTLING)
        self.behind = PACE * len(operations)
        for operation in operations:
            self.behind -= PACE
            self.server.set_clock(self.clock_offset - self.behind)
            self.oracle.begin(operation)
            self._do(operation)
            yield operation

    def _do(self, operation: h.Operation) -> None:
        match operation:
            case h.Answer(rater, sample, modality, value):
                self._answer(rater, sample, modality, value)
            case h.Skip(rater, sample, modality):
                self._answer(rater, sample, modality, None)
            case h.Edit(rater, sample, modality, value):
                self._edit(rater, sample, modality, value, self.raters[rater])
            case h.OwnerEdits(rater, sample, modality, value):
                self._edit(rater, sample, modality, value, self.server.owner)
            case h.Delete(rater, sample, modality):
                self._delete(rater, sample, modality)
            case h.DeleteRater(rater):
                self._delete_rater(rater)
            case h.EditKey(sample, modality, how):
                self._edit_key(sample, modality, how)
            case h.BackUpStudio():
                self.backup = self.server.backup()
            case h.RestoreStudio():
                if self.backup is not None:
                    self.server.restore(self.backup)
                    self.oracle.studio_restored()
            case h.BackUpDatabase():
                self.database.back_up()
            case h.RestoreDatabase():
                self.database.restore()
            case h.SetClock(offset):
                self.clock_offset = offset
                self.server.set_clock(offset - self.behind)
            case h.Pull():
                self._pull(operation)
            case h.NextBatch():
                self._next_batch(operation)

    def _answer(self, rater: int, sample: int, modality: str, value: str | None) -> None:
        """Tasks that this rater did not answer, by sample; the one that the number falls on."""
        who = self.raters[rater]
        if not self._has_account(who):
            return
        tasks = [
            task for task in self.oracle.ls_tasks(modality)
            if all(self.oracle.act(a).rater != who.email for a in task["annotations"])
        ]  # fmt: skip
        if not tasks:
            return
        task = tasks[sample % len(tasks)]
        version = self._version(value, who)
        body = {"result": _result(value), "was_cancelled": value is None, "lead_time": version.tag}
        made = call(who, "POST", f"/api/tasks/{task['id']}/annotations/", body)
        about = (task["data"]["sample"], modality)
        self.oracle.acted(Act(made["id"], who.email, *about, [version], task["project"]))

    def _edit(self, rater: int, sample: int, modality: str, value: str, editor: Rater) -> None:
        if not self._has_account(editor):
            return
        annotation = self._own(rater, sample, modality)
        if annotation is None:
            return
        version = self._version(value, editor)
        body = {"result": _result(value), "was_cancelled": False, "lead_time": version.tag}
        call(editor, "PATCH", f"/api/annotations/{annotation['id']}/", body)
        self.oracle.edited(self.oracle.act(annotation), version)

    def _delete(self, rater: int, sample: int, modality: str) -> None:
        annotation = self._own(rater, sample, modality)
        if annotation is not None and self._has_account(self.raters[rater]):
            call(self.raters[rater], "DELETE", f"/api/annotations/{annotation['id']}/")
            self.oracle.act(annotation).deleted = True

    def _delete_rater(self, rater: int) -> None:
        numbers = {email: number for number, email in self.oracle.accounts().items()}
        left = [other.email for other in self.raters if other.email in numbers]
        # One person at least goes on.
        if self.raters[rater].email in left and len(left) > 1:
            call(self.server.owner, "DELETE", f"/api/users/{numbers[self.raters[rater].email]}/")
            self.oracle.look_anew()

    def _edit_key(self, sample: int, modality: str, how: str) -> None:
        tasks = self.oracle.ls_tasks(modality)
        if not tasks:
            return
        task = tasks[sample % len(tasks)]
        data = dict(task["data"])
        if how == "gone":
            data.pop("key", None)
        elif how == "typo":
            data["key"] = f"{data.get('key', '')}x"
        else:
            data["key"] = tasks[(sample + 1) % len(tasks)]["data"].get("key", "")
        call(self.server.owner, "PATCH", f"/api/tasks/{task['id']}/", {"data": data})

    def _own(self, rater: int, sample: int, modality: str) -> Mapping[str, Any] | None:
        """Of the answers of this rater in the pass the one that the number falls on."""
        email = self.raters[rater].email
        annotations = [a for task in self.oracle.ls_tasks(modality) for a in task["annotations"]]
        mine = [a for a in annotations if self.oracle.act(a).rater == email]
        return mine[sample % len(mine)] if mine else None

    def _version(self, value: str | None, author: Rater) -> Version:
        # Label Studio keeps how long it took, so each state of each answer is known by it wherever it goes.
        return Version(1 + next(self._tags) / 1000, value, author.email)

    def _has_account(self, rater: Rater) -> bool:
        return rater.email in self.oracle.accounts().values()

    def _pull(self, operation: h.Pull) -> None:
        more = {"accept_deletions": True} if operation.accept and HAS_ACCEPT else {}
        before = self.oracle.stored()
        outcome = self._run(lambda project: pull(project, full=operation.full, **more), operation)
        self.oracle.after_pull(before, outcome, accepted=operation.accept)

    def _next_batch(self, operation: h.NextBatch) -> None:
        before = self.oracle.stored()
        outcome = self._run(lambda project: next_batch(project, n=operation.n, seed=1), operation)
        self.oracle.after_batch(before, outcome)

    def _run(self, command: Callable[[Project], Any], operation: h.Pull | h.NextBatch) -> Outcome:
        """As a command that is typed: nothing stays open after it."""
        if operation.kill is not None:
            outcome = run_and_kill(lambda: command(dataclasses.replace(self.project)), operation.kill)
        else:
            outcome = run(lambda: command(self.project))
            self.close()
        if outcome.killed and operation.lose_wal:
            self.database.lose_wal()
        return outcome

    def close(self) -> None:
        if "engine" in self.project.__dict__:
            self.project.engine.dispose()


def _result(value: str | None) -> list[dict[str, Any]]:
    return [] if value is None else form(sentiment=value)


def playing(
    history: h.History, server: Server, project: Project, database: Database, raters: list[Rater]
) -> Iterator[tuple[h.Operation, Oracle]]:  # fmt: skip
    """Each operation after it was done. Raises `Violation` as soon as something does not hold."""
    asked = asking(project, history.raters_asked, server.url, server.owner.token)
    player = Player(server, database, asked, raters)
    # Each command opens a client, which reads all that there is about TLS; nothing here is encrypted.
    with mock.patch("certifi.where", lambda: str(_one_certificate(project.root))):
        try:
            for operation in player.play(history):
                yield operation, player.oracle
        finally:
            player.close()
            server.set_clock(0.0)


def _one_certificate(folder: Path) -> Path:
    path = folder / "certificate.pem"
    if not path.exists():
        end = "-----END CERTIFICATE-----\n"
        path.write_text(Path(certifi.__file__).with_name("cacert.pem").read_text().partition(end)[0] + end)
    return path
