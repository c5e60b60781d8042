"""Installs the newest releases of all dependencies in a scratch environment and reports what breaks.

    python .ci/deps.py [--keep FOLDER]

constraints.txt is left out. Packages in `BEYOND` are then installed in their newest release even where
another package asks for an older one, because our own code has to run with them. The tests in `TESTS` run
file by file. The scratch environment is removed at the end, unless `--keep` names the folder of one to make
or to use again. The exit status is 1 when a file of tests fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEYOND = ("opencv-python-headless", "numpy")
TESTS = (
    "tests/test_imports.py",
    "tests/unit/features/test_features.py",
    "tests/unit/features/test_oriented_gradients.py",
    "tests/unit/media/test_yunet.py",
    "tests/unit/media/test_subtitles.py",
    "tests/unit/learning/test_graph_cache.py",
    "tests/unit/learning/test_estimator.py",
    "tests/unit/strategies/test_modal.py",
    "tests/unit/db",
    "tests/journeys/test_demo.py",
)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="Try the newest releases of all dependencies.")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="environment to make or to use again")
    keep = parser.parse_args().keep
    if keep:
        return check(keep.resolve())
    with tempfile.TemporaryDirectory(prefix="annotate-deps-") as folder:
        return check(Path(folder) / "venv")


def check(folder: Path) -> int:
    """Install, report and test with the environment in `folder`."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    print("installing the newest releases (gigabytes where torch comes with CUDA)", flush=True)
    install = [*pip, "install", "--quiet", "--upgrade", "--upgrade-strategy", "eager"]
    subprocess.run([*install, "--editable", f"{ROOT}[dev,pretrained]"], check=True)
    outdated = [*pip, "list", "--outdated", "--format", "json"]
    for row in json.loads(subprocess.run(outdated, check=True, stdout=subprocess.PIPE).stdout):
        print(f"held back: {row['name']} {row['version']}, newest {row['latest_version']}")
    subprocess.run([*pip, "install", "--quiet", "--upgrade", "--no-deps", *BEYOND], check=True)
    conflicts = subprocess.run([*pip, "check"], check=False, capture_output=True, text=True)
    for line in conflicts.stdout.splitlines():
        print(f"pip check: {line}")
    broken = [tests for tests in TESTS if not passes(python, tests)]
    print(f"{len(TESTS) - len(broken)} of {len(TESTS)} pass")
    for name in broken:
        print(f"  breaks: {name}")
    return 1 if broken else 0


def passes(python: Path, tests: str) -> bool:
    """Whether one file or folder of tests passes. pytest prints what fails."""
    print(f"testing {tests}", flush=True)
    command = [python, "-m", "pytest", tests, "-q", "--tb=short", "-p", "no:cacheprovider"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
