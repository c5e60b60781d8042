"""What every dataset format keeps, built in or plugged in."""

import dataclasses
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from annotate.errors import ExportError
from annotate.registry import EXPORTERS
from annotate.types import Dataset, Label
from exporters.manifest import FILE_NAME, read_manifest, write_manifest
from tests.conftest import ROOT
from tests.support.datasets import TASKS, make_dataset

pytestmark = pytest.mark.parametrize("name", EXPORTERS.names())


def write(name: str, dataset: Dataset, folder: Path) -> list[Path]:
    folder.mkdir()
    files = EXPORTERS.get(name)().write(dataset, folder)
    write_manifest(dataset, folder, files, format=name, features={})
    return files


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_two_processes_write_the_same_bytes(name: str, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        # Another hash seed, another media folder: neither may leave a trace.
        media, out = tmp_path / f"media{seed}", tmp_path / seed
        code = (
            "from pathlib import Path; from tests.support.datasets import make_dataset;"
            "from tests.contracts.test_exporter_contract import write;"
            f"write({name!r}, make_dataset(Path({str(media)!r})), Path({str(out)!r}))"
        )
        env = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True)
    first, second = contents(tmp_path / "1"), contents(tmp_path / "2")
    assert first == second
    assert len(first) > 1


def test_it_says_whether_it_needs_the_clips(name: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "media")
    shutil.rmtree(tmp_path / "media", ignore_errors=True)
    if EXPORTERS.get(name)().needs_clips:
        with pytest.raises(ExportError, match="clip"):
            write(name, dataset, tmp_path / "out")
    else:
        assert write(name, dataset, tmp_path / "out")


def test_the_manifest_names_every_file_with_its_true_checksum(name: str, tmp_path: Path) -> None:
    write(name, make_dataset(tmp_path / "media"), tmp_path / "out")
    found = contents(tmp_path / "out")
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert {f["path"]: f["sha256"] for f in manifest["files"]} == {
        path: hashlib.sha256(data).hexdigest() for path, data in found.items() if path != FILE_NAME
    }
    assert manifest["samples"] == {"train": 4, "valid": 2, "test": 3}
    assert manifest["left_out"] == {"not labelled": 1}


def test_nothing_of_this_machine_is_inside(name: str, tmp_path: Path) -> None:
    write(name, make_dataset(tmp_path / "media"), tmp_path / "out")
    for path, data in contents(tmp_path / "out").items():
        assert str(tmp_path).encode() not in data, path
        assert not (tmp_path / "out" / path).is_symlink()


def test_a_label_that_is_not_a_number_is_refused(name: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "media")
    row = dataset.rows[0]
    bad = Label(row.sample_id, TASKS[3].id, math.nan, {}, 1)
    rows = [dataclasses.replace(row, labels={**row.labels, TASKS[3].id: bad}), *dataset.rows[1:]]
    with pytest.raises(ExportError):
        write(name, dataclasses.replace(dataset, rows=rows), tmp_path / "out")


def test_the_readme_tells_the_scale_and_what_was_left_out(name: str, tmp_path: Path) -> None:
    write(name, make_dataset(tmp_path / "media"), tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "-1 (negative), 0 (neutral), 1 (positive)" in text
    assert "not labelled: 1" in text


def test_the_class_says_what_it_writes(name: str) -> None:
    assert EXPORTERS.descriptions()[name]
    json.dumps(name)
