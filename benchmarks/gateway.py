"""What the door costs, whether swaps lose calls, how fast plugins start and what they hold, in one command.

    python -m benchmarks.gateway [--quick] [--json FILE] [--only calls,swaps,starts]
                                 [--calls N] [--swaps N] [--rate N] [--soak MINUTES]

FastMCP is measured where it is installed: `uv sync --group bench`, or `pip install "fastmcp>=4,<5"`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Protocol

import psutil

from benchmarks import calls, soak, starts, swaps

PLUGINS = 50


class Measured(Protocol):
    """What one part has measured."""

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""

    def lines(self) -> list[str]:
        """Return what to print."""


Part = Callable[[argparse.Namespace], Awaitable[Measured]]


async def _calls(options: argparse.Namespace) -> Measured:
    return await calls.measure(seconds=1 if options.quick else 4, rounds=1 if options.quick else 5)


async def _swaps(options: argparse.Namespace) -> Measured:
    quick = options.quick
    plan = swaps.Plan(
        calls=options.calls or (1_500 if quick else 12_000),
        swaps=options.swaps or (5 if quick else 40),
        rate=options.rate,
    )
    return await swaps.measure(plan)


async def _starts(options: argparse.Namespace) -> Measured:
    cells = Path(gettempdir()) / "upgrade-loop-cells"
    return await starts.measure(5 if options.quick else 30, 10 if options.quick else PLUGINS, cells)


async def _soak(options: argparse.Namespace) -> Measured:
    return await soak.measure(options.soak, PLUGINS)


PARTS: dict[str, Part] = {"calls": _calls, "swaps": _swaps, "starts": _starts}


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    try:
        peer = version("fastmcp")
    except PackageNotFoundError:
        peer = "not installed"
    return {
        "processors": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "fastmcp": peer,
        "load_at_start": psutil.getloadavg()[0],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for, print it, and return 0."""
    options = _options().parse_args(arguments)
    chosen = {name: PARTS[name] for name in options.only}
    if options.soak:
        chosen["soak"] = _soak
    document: dict[str, Any] = {"machine": machine()}
    print(", ".join(f"{key} {value}" for key, value in document["machine"].items()))
    for name, part in chosen.items():
        measured = asyncio.run(_measured(part, options))
        document[name] = measured.document()
        print(f"\n{name}\n" + "\n".join(measured.lines()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return 0


async def _measured(part: Part, options: argparse.Namespace) -> Measured:
    return await part(options)


def _parts(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    unknown = set(names) - set(PARTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    return names


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute instead of several; rougher numbers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the numbers")
    parser.add_argument("--only", type=_parts, default=list(PARTS), metavar="PARTS", help=f"of {','.join(PARTS)}")
    parser.add_argument("--calls", type=int, default=0, metavar="N", help="calls of the swap test; 12000")
    parser.add_argument("--swaps", type=int, default=0, metavar="N", help="swaps of the swap test; 40")
    parser.add_argument("--rate", type=float, default=300, metavar="N", help="calls a second of the swap test; 300")
    parser.add_argument(
        "--soak", type=float, default=0, metavar="MINUTES", help="load on 50 plugins, looking for growth"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
