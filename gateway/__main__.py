"""Spec 10.1, starting the gateway alone - decides how `python -m gateway [HOME]` starts a process of its own.

Not here: the command line of the product (`worker/cli.py`).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from config.home import Home
from config.loading import load_settings
from domain.errors import UpgradeLoopError
from gateway.main import run_gateway


def main(arguments: list[str]) -> int:
    """Serve the home that is named, and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    home = Home.locate(Path(arguments[0]) if arguments else None)
    try:
        asyncio.run(run_gateway(home, load_settings(home)))
    except UpgradeLoopError as error:
        sys.stderr.write(f"{error.message} {error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
