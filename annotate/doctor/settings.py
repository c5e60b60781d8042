"""Checks that the names in `annotate.toml` exist, fit together, and can run on this machine."""

from collections.abc import Sequence

from annotate.corpus.rules import Rules
from annotate.doctor.findings import Finding, State
from annotate.doctor.plugins import wrong_names
from annotate.project import Project
from annotate.rounds.settings import model_config_of, overruled
from annotate.wording import counted, either


def rules(project: Project) -> Finding:
    """Every rule in `[checks]` names an existing check and fits its measurement."""
    count = len(Rules(project.settings).by_check)
    return Finding(
        State.OK, f"{counted(count, 'rule')} {either(count, 'fits its check', 'fit their checks')}"
    )


def network(project: Project) -> Finding:
    """`[train]` names plug-ins and options that exist, this machine has what it asks for, and nothing
    overrides its preset."""
    from annotate.learning.hardware import missing

    model_config_of(project)
    train = project.settings.train
    problems = list(missing(train.device, train.precision, compiles=train.compile))
    over = overruled(train)
    if over:
        keys = ", ".join(over)
        problems.append(
            (
                f"annotate.toml or a variable overrides the preset {train.preset}: {keys}",
                "delete those lines of [train], or preset",
            )
        )
    if problems:
        return _joined(State.WARN, problems)
    return Finding(State.OK, f"{train.sharing}, {train.fusion}, {train.encoder}: all there")


def plugins(project: Project) -> Finding:
    """The plug-ins that other sections name exist, and have what they need."""
    problems = wrong_names(project)
    if problems:
        return _joined(State.FAIL, problems)
    return Finding(State.OK, "segmenters, executor, transcriber, extractors and strategies: all there")


def _joined(state: State, problems: Sequence[tuple[str, str]]) -> Finding:
    """One finding of several problems and what to do about each."""
    return Finding(state, "; ".join(what for what, _ in problems), "; ".join(do for _, do in problems))
