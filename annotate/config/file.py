"""Writes `[train]` into `annotate.toml` and leaves everything else unchanged."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from annotate.config import settings as config
from annotate.config.sections import TrainSettings
from annotate.durable import write_whole
from annotate.errors import ConfigError
from annotate.project import Project


def write_train(project: Project, wanted: TrainSettings) -> list[str]:
    """Change what differs from the present settings; what was written, a line for each key.

    Raises `ConfigError` when the file changed meanwhile, or when a variable would overrule what is written;
    then nothing is.
    """
    import tomlkit

    path = project.root / config.FILE_NAME
    present, target = project.settings.train.network_options(), wanted.network_options()
    with project.writing():
        content = path.read_bytes().decode("utf-8-sig")
        if config.load(path).train != project.settings.train:
            raise ConfigError(f"{path} changed meanwhile; nothing was written", hint="run the command again")
        document = tomlkit.parse(content)
        lines = _change(document.setdefault("train", tomlkit.table()), present, target, "train")
        written = tomlkit.dumps(document)
        read = config.parse(tomllib.loads(written), where=str(path)).train.network_options()
        if read != target:
            keys = ", ".join(key for key in target if read[key] != target[key])
            raise ConfigError(
                f"a variable overrules {keys} of [train]; nothing was written",
                hint=f"unset {', '.join(f'ANNOTATE_TRAIN__{key.upper()}' for key in keys.split(', '))}",
            )
        write_whole(path, written.encode())
    return lines


def _change(table: Any, present: Mapping[str, Any], target: Mapping[str, Any], where: str) -> list[str]:
    """Set in a TOML table what differs; tables inside are gone through in the same way."""
    import tomlkit

    lines: list[str] = []
    for key, value in target.items():
        name = f"{where}.{key}"
        if isinstance(value, Mapping):
            before = present.get(key, {})
            if value != before:
                inner = table.setdefault(key, tomlkit.table(is_super_table=key == "options"))
                lines += _change(inner, before, value, name)
        elif key not in present or present[key] != value:
            plain = list(value) if isinstance(value, tuple) else value
            table[key] = plain
            lines.append(f"{name} = {json.dumps(plain, ensure_ascii=False)}")
    for key in present.keys() - target.keys():
        if key in table:
            table.remove(key)
            lines.append(f"{where}.{key} taken out")
    return lines
