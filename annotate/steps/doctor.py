"""Check the installation and the project, and say how to fix each problem."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from annotate.doctor import database, settings, storage, studio
from annotate.doctor.deep import Deep
from annotate.doctor.findings import Finding, State
from annotate.doctor.installation import DISTRIBUTION, INSTALLATION
from annotate.errors import AnnotateError, UsageError
from annotate.progress import SILENT, Progress
from annotate.project import Project

PROJECT: Mapping[str, Callable[[Project], Finding]] = {
    "disk": lambda project: storage.disk(project.root),
    "database": database.schema,
    "labels": database.labels,
    "rules": settings.rules,
    "network": settings.network,
    "plug-ins": settings.plugins,
    "writer lock": storage.lock,
    "permissions": storage.permissions,
    "folders": storage.folders,
    "media root": storage.media_root,
    "login": studio.login,
    "label studio": studio.label_studio,
}
"""The checks of a project, by name, in the order in which they run."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The outcome of every check."""

    healthy: bool
    """False when a check failed; a warning leaves it True."""
    checks: Sequence[Mapping[str, str]]
    """``check``, ``state`` (ok, warn, fail), ``detail``, ``do``."""
    problems: Sequence[Mapping[str, str]] = ()
    """``check`` and ``detail`` of each single problem that a deep check reports."""


def doctor(project: Project | None, *, deep: bool = False, progress: Progress = SILENT) -> DoctorReport:
    """Check the installation, and `project` when there is one. Changes nothing; a failure is a finding.

    `deep` also reads the whole database, hashes clips and features, and compares Label Studio with the
    database: that may take minutes. Raises `UsageError` when that is asked for without a project.
    """
    if deep and project is None:
        raise UsageError(
            "--deep checks a project, and there is none here", hint="annotate -C PROJECT doctor --deep"
        )
    checks: dict[str, Callable[[], Finding]] = dict(INSTALLATION)
    slow: Deep | None = None
    if project is not None:
        checks |= {name: lambda check=check: check(project) for name, check in PROJECT.items()}  # type: ignore[misc]
        if deep:
            slow = Deep(project, progress)
            checks |= slow.checks()
    else:
        checks["disk"] = lambda: storage.disk(Path.cwd())
    findings: dict[str, Finding] = {}
    for name, check in checks.items():
        try:
            findings[name] = check()
        except AnnotateError as error:
            findings[name] = Finding(State.FAIL, str(error), error.hint)
        except PermissionError as error:
            detail = f"{error.filename}: {error.strerror}"
            findings[name] = Finding(State.FAIL, detail, f"see who owns {error.filename}")
        except Exception as error:  # so that the other checks run
            detail = f"{type(error).__name__}: {error}"
            findings[name] = Finding(State.FAIL, detail, f"reinstall {DISTRIBUTION}")
    return DoctorReport(
        healthy=all(finding.state is not State.FAIL for finding in findings.values()),
        checks=[{"check": name, **asdict(finding)} for name, finding in findings.items()],
        problems=slow.problems if slow else [],
    )
