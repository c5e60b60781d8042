"""The tasks that a finished sample needs, and those that were added after samples had been judged."""

from difflib import get_close_matches

from annotate.errors import ConfigError
from annotate.project import Project
from annotate.types import Task
from annotate.wording import counted, either
from db import stats
from db.engine import Session


def required_tasks(project: Project) -> tuple[Task, ...]:
    """The tasks for which a finished sample needs labels.

    Raises `ConfigError` for a required task that no pass asks.
    """
    settings = project.settings
    tasks, wanted = settings.tasks(), settings.export.require
    known = {m.value for m in settings.passes} | {task.id for task in tasks}
    for name in wanted:
        if name in known:
            continue
        if "." not in name:
            raise ConfigError(
                f"export.require names {name}, which no pass asks",
                hint=f"the passes are {', '.join(m.value for m in settings.passes)}; correct export.require",
            )
        ids = [task.id for task in tasks]
        close = get_close_matches(name, ids, n=1)
        raise ConfigError(
            f"export.require names {name!r}, and there is no such task",
            hint=f"did you mean {close[0]!r}?" if close else f"known: {', '.join(ids)}",
        )
    return tuple(t for t in tasks if not wanted or t.modality.value in wanted or t.id in wanted)


def gaps(project: Project, session: Session, *, to_ask: bool = False) -> dict[str, int]:
    """How many samples were finished in the pass of each required task without an answer to it, by task id.

    Raters answered other tasks of the same pass, so this one's dimension was not on the page yet. With
    `to_ask`, only samples count that `annotate next-batch --tasks` can ask for it now.
    """
    try:
        required = {task.id for task in required_tasks(project)}
    except ConfigError:
        return {}  # `annotate export` reports the problem
    tasks = project.settings.tasks()
    counts = {}
    for task in tasks:
        others = [t.id for t in tasks if t.modality is task.modality and t.id != task.id]
        if others and task.id in required:
            counts[task.id] = stats.judged_without(session, task, others, to_ask=to_ask)
    return {task_id: count for task_id, count in counts.items() if count}


def gap_warnings(project: Project, session: Session) -> list[str]:
    """A warning about all such tasks, with the ways to ask for them or to export without them."""
    missing = gaps(project, session)
    if not missing:
        return []
    listed = ", ".join(f"{task_id} for {counted(n, 'sample')}" for task_id, n in missing.items())
    to_ask = ",".join(gaps(project, session, to_ask=True))
    others = ", ".join(f'"{task.id}"' for task in required_tasks(project) if task.id not in missing)
    ways = [f"to ask for it, run `annotate next-batch --tasks {to_ask}`"] if to_ask else []
    if others:
        ways.append(f"to export without it, set export.require = [{others}] in annotate.toml")
    before = either(len(missing), "a task was", "some tasks were")
    return [
        f"raters finished samples before {before} asked, and gave no answer to it: {listed}. Exports leave "
        f"these samples out as partly labelled{'; ' if ways else ''}{'; '.join(ways)}"
    ]
