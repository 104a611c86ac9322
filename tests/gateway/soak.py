"""Runs a door with many plugins under load and measures what grows: memory, descriptors, children, waiting work.

    python -m tests.gateway.soak --plugins 50 --minutes 10

While agents call, versions are swapped and plugins are killed, since that is where things are left behind.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from domain.routing import PluginVersion
from tests.children import own_children
from tests.gateway.factories import Agent, House, Running, house, route

AGENTS = 4
SWAP_EVERY_SECONDS = 0.5
ONE_INSTANCE = {"instances": 1, "spares": 0}


@dataclass(frozen=True)
class Weight:
    """What the door and its plugins take at one moment.

    Attributes:
        door_mib: private memory of the process that holds the door.
        plugins_mib: private memory of all plugin processes together.
        descriptors: open in the door's process.
        children: processes of the door, theirs included.
        tasks: on the door's event loop, the agents' own included.
    """

    door_mib: float
    plugins_mib: float
    descriptors: int
    children: int
    tasks: int


@dataclass
class Soaked:
    """What a soak has seen.

    Attributes:
        weights: after the warm-up, then at equal distances, with nothing in flight.
        failed: what callers were told that was no answer.
    """

    calls: int = 0
    swaps: int = 0
    kills: int = 0
    weights: list[Weight] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def growth(self) -> Weight:
        """What the last weight has more than the first."""
        first, last = asdict(self.weights[0]), asdict(self.weights[-1])
        return Weight(**{name: last[name] - first[name] for name in first})


async def soak(root: Path, plugins: int, rounds: Sequence[float]) -> Soaked:
    """Load a door for as many rounds as there are durations, in seconds, and weigh it after each.

    The first round is the warm-up: what it has grown is not growth.
    """
    seen = Soaked()
    built = house(root, warm_hold_seconds=0, drain_seconds=5)
    names = [f"text_{number}" for number in range(plugins)]
    pairs = {name: _versions(built, name) for name in names}
    async with built.running() as running:
        for name, (first, _) in pairs.items():
            await running.admin.set_route(route(first, capability=name))
        for seconds in rounds:
            await _round(running, pairs, seconds, seen)
            seen.weights.append(await _weighed(running, plugins))
    return seen


def _versions(built: House, name: str) -> tuple[PluginVersion, PluginVersion]:
    one, two = (built.install(version, capability=name, resources=ONE_INSTANCE) for version in ("1.0.0", "1.1.0"))
    return one, two


async def _round(
    running: Running, pairs: dict[str, tuple[PluginVersion, PluginVersion]], seconds: float, seen: Soaked
) -> None:
    until = asyncio.get_running_loop().time() + seconds
    names = itertools.cycle(pairs)
    callers = [_call(running, names, until, seen) for _ in range(AGENTS)]
    await asyncio.gather(*callers, _disturb(running, pairs, until, seen))


async def _call(running: Running, names: Iterable[str], until: float, seen: Soaked) -> None:
    clock = asyncio.get_running_loop().time
    async with Agent(running.door) as agent:
        for name in names:
            if clock() >= until:
                return
            result = await agent.call(f"{name}__shout", {"text": "a" * 200})
            seen.calls += 1
            if result.get("isError"):
                seen.failed.append(f"{name}: {result['content'][0]['text']}")


async def _disturb(
    running: Running, pairs: dict[str, tuple[PluginVersion, PluginVersion]], until: float, seen: Soaked
) -> None:
    """Swap one plugin after the other to its other version, and kill every third one after its swap."""
    clock = asyncio.get_running_loop().time
    for name in itertools.cycle(pairs):
        await asyncio.sleep(SWAP_EVERY_SECONDS)
        if clock() >= until:
            return
        serving = (await running.admin.status()).table.routes[name].control
        wanted = next(version for version in pairs[name] if version != serving)
        await running.admin.set_route(route(wanted, capability=name))
        seen.swaps += 1
        if seen.swaps % 3 == 0:
            youngest = max(own_children(), key=lambda child: child.create_time())
            youngest.kill()
            seen.kills += 1


async def _weighed(running: Running, plugins: int) -> Weight:
    """Weigh the door once every plugin is up again and nothing else is."""
    await running.admin.flush()
    for _ in range(300):
        standing = (await running.admin.status()).versions
        if len(standing) == plugins and all(one.instances == 1 for one in standing):
            break
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    gc.collect()
    here = psutil.Process()
    children = own_children(recursive=True)
    return Weight(
        door_mib=_private_mib(here),
        plugins_mib=sum(map(_private_mib, children)),
        descriptors=_descriptors(here),
        children=len(children),
        tasks=len(asyncio.all_tasks()),
    )


def _descriptors(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return int(process.num_handles())
    return process.num_fds()


def _private_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().uss) / (1 << 20)
    except psutil.Error:
        return 0.0


def main() -> None:
    """Soak as long as the command line says, and print what was seen as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugins", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10.0)
    wanted = parser.parse_args()
    rounds = [wanted.minutes * 60 / 10] * 11
    with tempfile.TemporaryDirectory() as place:
        seen = asyncio.run(soak(Path(place), wanted.plugins, rounds))
    print(json.dumps(asdict(seen) | {"growth": asdict(seen.growth)}, indent=2))


if __name__ == "__main__":
    main()
