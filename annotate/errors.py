"""Every error a user can cause, with the way out of it.

AnnotateError               exit 1
├── UsageError              exit 2: options that do not fit together or a value that cannot be
├── UnknownName             a plug-in, preset or format that does not exist
├── ConfigError             annotate.toml cannot be read, or holds an unknown key or an impossible value
├── ProjectNotFound         no annotate.toml here or above
├── ProjectBusy             another command writes to this project
├── ReadOnlyProject         the project's folder or database cannot be written
├── DatabaseDamaged         the database holds what it cannot have stored, or cannot read its own pages
├── SchemaMismatch          the database is older or newer than the code
├── MediaError              a file that cannot be probed, cut or read
├── StorageError            a media root or a source behind a URL cannot be used
├── FeatureError            features are missing, damaged or of another extractor
├── ModelError              a model cannot be trained or read
├── LabelStudioError        Label Studio is down, refuses, or answers nonsense
├── ExportError             the dataset cannot be written
├── CorpusError             a corpus of others cannot be imported as it is
└── NothingToDo             exit 3: no pool, no labels, nothing left to ask
"""


class AnnotateError(Exception):
    """An error that the user can fix; `hint` says how."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AnnotateError):
    """Options that contradict each other, or an invalid value."""

    exit_code = 2


class UnknownName(AnnotateError):
    """No plug-in, preset or format of that name exists."""


class ConfigError(AnnotateError):
    """`annotate.toml` or an `ANNOTATE_*` variable cannot be used."""


class ProjectNotFound(AnnotateError):
    """No `annotate.toml` in this folder or above it."""


class ProjectBusy(AnnotateError):
    """Another command is writing to this project."""


class ReadOnlyProject(AnnotateError):
    """The project's folder or its database cannot be written by this user."""


class DatabaseDamaged(AnnotateError):
    """The database cannot read what it stored."""


class SchemaMismatch(AnnotateError):
    """The database is older or newer than the code that opens it."""


class MediaError(AnnotateError):
    """A media file that cannot be probed, cut or read.

    `code` is the short reason that is stored with the file, such as ``broken`` or ``no-audio``.
    """

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class StorageError(AnnotateError):
    """What lies behind a URL cannot be reached, read or written, or its driver is not installed."""


class FeatureError(AnnotateError):
    """Features are missing, damaged, or were made by another extractor."""


class ModelError(AnnotateError):
    """A model cannot be trained, or a checkpoint cannot be read."""


class LabelStudioError(AnnotateError):
    """Label Studio is down, refuses the credential, or answers nonsense."""


class ExportError(AnnotateError):
    """The dataset cannot be written as asked."""


class CorpusError(AnnotateError):
    """A corpus that others made cannot be imported as it is."""


class NothingToDo(AnnotateError):
    """The step has nothing to work on. A script can loop until it sees exit code 3."""

    exit_code = 3
