"""Whatever happens to the server, the database and the commands: nothing is lost, doubled or blamed wrongly.

Histories are drawn by a seed (`tests/histories/history.py`) and judged by an oracle that knows what people
really did (`tests/histories/oracle.py`). Those that are marked `soak` are run by `make soak`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from annotate.errors import LabelStudioError
from annotate.labelstudio.install import ensure_installed
from tests.histories.corpus import Corpus, Database, PostgresDatabase, make_corpus
from tests.histories.history import (
    RATERS,
    Answer,
    BackUpStudio,
    History,
    NextBatch,
    Operation,
    Pull,
    RestoreStudio,
    SetClock,
    Skip,
    draw,
    shrink,
)
from tests.histories.oracle import Oracle, Violation
from tests.histories.player import playing
from tests.histories.servers import RealServer, Server, call, model_server, real_server
from tests.histories.watching import Seen, Watcher
from tests.support.needs import cannot
from tests.support.postgres import unique

ON_THE_MODEL, ON_A_REAL_SERVER = range(200), range(40)
KINDS = ("sqlite", "postgres")
ALWAYS = {("model", n, KINDS[n % 2]) for n in (0, 1, 3, 4, 5, 6, 7, 8, 9, 10)} | {
    ("real", 1, "sqlite"), ("real", 3, "postgres")
}  # fmt: skip
"""What `make test` plays, each on one of the databases; the others are left to `make soak`."""


def seeds(server: str, numbers: range) -> list[Any]:
    """Every seed on either database."""
    return [
        pytest.param(
            number, kind, id=f"{number}-{kind}",
            marks=[
                *([pytest.mark.postgres] if kind == "postgres" else []),
                *([] if (server, number, kind) in ALWAYS else [pytest.mark.soak]),
            ],
        )
        for number in numbers
        for kind in KINDS
    ]  # fmt: skip


@pytest.fixture(scope="session")
def corpora(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Corpus]:
    """The project that every history begins with, on either database; made when first asked for."""
    made: dict[str, Corpus] = {}

    def corpus(kind: str) -> Corpus:
        if kind not in made:
            postgres = None
            if kind == "postgres":
                postgres = PostgresDatabase(request.getfixturevalue("postgres_server"), unique("corpus"))
                postgres.copy_of("template1")
            made[kind] = make_corpus(tmp_path_factory.mktemp("histories") / kind, postgres)
        return made[kind]

    return corpus


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server of their own, because they turn its clock and put back its data."""
    try:
        program = ensure_installed()
    except LabelStudioError as error:
        cannot(f"no Label Studio: {error}")
    folder = tmp_path_factory.mktemp("studio")
    with real_server(program, folder, tmp_path_factory.getbasetemp()) as server:
        yield server


class Stage:
    """Where histories are played, each on a copy of the corpus of its own."""

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        self._corpus, self._folder, self._played = corpus, folder, 0

    def play(self, history: History, server: Server) -> None:
        for _ in self._steps(history, server):
            pass

    def watch(self, history: History, server: Server) -> Iterator[Seen]:
        """The same, with what is on the server, and after commands in the database, after each operation."""
        watcher = None
        for operation, oracle in self._steps(history, server):
            watcher = watcher or Watcher(oracle)
            yield watcher.look(operation)

    def _steps(self, history: History, server: Server) -> Iterator[tuple[Operation, Oracle]]:
        self._played += 1
        project, database = self._corpus.copy(self._folder / f"{self._played}", "history")
        raters = [server.rater() for _ in range(RATERS)]
        try:
            yield from playing(history, server, project, database, raters)
        finally:
            _clean_up(server, database, raters, project.settings.project.name)


def _clean_up(server: Server, database: Database, raters: list[Any], name: str) -> None:
    if isinstance(database, PostgresDatabase):
        database.drop()
    if isinstance(server, RealServer):
        server.give_back(raters)
        for project in call(server.owner, "GET", "/api/projects/", page_size=1000)["results"]:
            if project["title"].startswith(f"{name} "):
                call(server.owner, "DELETE", f"/api/projects/{project['id']}/")


@pytest.fixture
def stage(kind: str, corpora: Callable[[str], Corpus], tmp_path: Path) -> Stage:
    return Stage(corpora(kind), tmp_path)


@pytest.mark.parametrize(("seed", "kind"), seeds("model", ON_THE_MODEL))
def test_nothing_is_lost_doubled_or_blamed_wrongly_on_a_modelled_server(seed: int, stage: Stage) -> None:
    try:
        play_on_model(stage, draw(seed))
    except Violation as violation:
        pytest.fail(explain(seed, violation, stage), pytrace=False)


ONCE_WRONG = {
    # The lost answer and the new one have one number and one task: it was listed by every other pull only,
    # and `--accept-deletions` did nothing.
    "a number is given again in the same task": History(
        1,
        (
            NextBatch(2), BackUpStudio(), Answer(1, 0, "T", "0"), Pull(), RestoreStudio(), Skip(1, 0, "T"),
        ),
    ),
    # The backup is younger than the answer by the clock: the answer in A was taken for a deleted one, though
    # the one in T showed that the server was restored.
    "a backup is restored that a late clock makes younger than the answers": History(
        1,
        (
            NextBatch(4), SetClock(-7200.0), BackUpStudio(), NextBatch(2), Answer(0, 1, "A", "0"),
            Answer(1, 4, "T", "-1"), Pull(), RestoreStudio(),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ONCE_WRONG)
def test_what_histories_once_showed_to_be_wrong_stays_right(
    what: str, corpora: Callable[[str], Corpus], tmp_path: Path
) -> None:
    play_on_model(Stage(corpora("sqlite"), tmp_path), ONCE_WRONG[what])


@pytest.mark.studio
@pytest.mark.slow
@pytest.mark.parametrize(("seed", "kind"), seeds("real", ON_A_REAL_SERVER))
def test_nothing_is_lost_doubled_or_blamed_wrongly_on_a_real_server_and_the_model_does_the_same(
    seed: int, stage: Stage, real: RealServer
) -> None:
    try:
        with model_server() as model:
            steps = zip(stage.watch(draw(seed), real), stage.watch(draw(seed), model), strict=True)
            for theirs, ours in steps:
                assert ours == theirs
    except Violation as violation:
        pytest.fail(explain(seed, violation, stage), pytrace=False)


def play_on_model(stage: Stage, history: History) -> None:
    with model_server() as server:
        stage.play(history, server)


def explain(seed: int, violation: Violation, stage: Stage) -> str:
    """What does not hold, and a shorter history that shows it, too."""

    def fails(history: History) -> bool:
        try:
            play_on_model(stage, history)
        except Violation as other:
            return other.promise == violation.promise
        return False

    history = draw(seed)
    shorter = shrink(history, fails) if fails(history) else history
    return f"seed {seed}: {violation}\n{shorter}"
