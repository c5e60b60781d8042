"""Run every benchmark in turn; exit 1 when any bar is short."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Pass the arguments on to each benchmark, in a process of its own."""
    names = sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("_"))
    short = []
    for name in names:
        print(f"== {name}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *sys.argv[1:]], cwd=HERE.parent, check=False
        )
        if done.returncode:
            short.append(name)
    print(f"short: {', '.join(short) or 'none'}")
    return int(bool(short))


if __name__ == "__main__":
    sys.exit(main())
