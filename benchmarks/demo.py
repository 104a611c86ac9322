"""How long the demo takes, from its command to its end.

    python -m benchmarks.demo [--json FILE]

The environment is there already; what making it takes depends on the network and is not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.fronts import ROOT

GOAL_SECONDS = 180.0


def main() -> int:
    """Run the demo once, tell its time, and return its exit code."""
    parser = argparse.ArgumentParser(description="How long the demo takes.")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    started = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-m", "worker.cli", "demo", "--json"], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    seconds = time.perf_counter() - started
    calls = json.loads(run.stdout)["calls"] if run.returncode == 0 else {}
    print(f"demo: {seconds:.0f} s (goal: at most {GOAL_SECONDS:.0f}), exit code {run.returncode}, calls {calls}")
    if options.json:
        document = {"seconds": seconds, "exit_code": run.returncode, "calls": calls}
        options.json.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
