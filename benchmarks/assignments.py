"""How many callers a second are placed, beside what other products' Python SDKs do with the same users and share.

    python -m benchmarks.assignments [--quick]

Rules:
- One thread, one process; every round takes all ways in turn, and each way's best round counts: what the machine does
  beside the measurement only ever makes a way slower.
- The full record is what the door tells a program that asks (OFREP): variant, version, reason, rollout and placement.
- GrowthBook is asked as its documentation says, a new instance for each user; Unleash's engine is asked directly,
  without the client around it, which is generous to it. Peers that are not installed are left out
  (`pip install growthbook UnleashClient`).

Not here: what a call costs at the door (`calls.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import xxhash

from domain.routing import PluginVersion, Route
from domain.versions import SemanticVersion
from engines.placement import placer
from engines.routing import Router
from gateway.identity import Caller
from gateway.ofrep import Flag

SHARE, SALT = 0.25, "rollout-1"
RECORD, ROUTER = "full record", "router"
RECORD_GOAL, PEER_GOAL, ROUTER_GOAL = 1_000_000, 10, 5
Way = Callable[[str], object]


def a_route() -> Route:
    """Return a route with a candidate."""
    old, new = (
        PluginVersion(plugin="text_tools", version=SemanticVersion(number), digest=letter * 64)
        for number, letter in (("1.0.0", "a"), ("1.1.0", "b"))
    )
    return Route(capability="text", control=old, candidate=new, share=SHARE, salt=SALT, upgrade_id="text")


def ways() -> Mapping[str, Way]:
    """Return what can be measured here, by name."""
    route = a_route()
    router, flag, place = Router(route), Flag(route), placer(SALT)
    found: dict[str, Way] = {
        "raw xxh3": lambda user: xxhash.xxh3_64_intdigest(user.encode()),
        "slot": place,
        ROUTER: lambda user: router.choose(user, user),
        RECORD: lambda user: flag.evaluate(Caller(name=user, hash=user)),
    }
    if find_spec("growthbook"):
        found["GrowthBook"] = _growthbook()
    if find_spec("yggdrasil_engine"):
        found["Unleash engine"] = _unleash()
    return found


def _growthbook() -> Way:
    from growthbook import Experiment, GrowthBook

    experiment = Experiment(
        key=SALT, variations=["control", "candidate"], weights=[1 - SHARE, SHARE], hashVersion=2, seed=SALT
    )
    return lambda user: GrowthBook(attributes={"id": user}).run(experiment)


def _unleash() -> Way:
    from yggdrasil_engine.engine import UnleashEngine

    parameters = {"rollout": f"{SHARE:.0%}".rstrip("%"), "stickiness": "userId", "groupId": SALT}
    strategy = {"name": "flexibleRollout", "parameters": parameters}
    engine: Any = UnleashEngine()
    feature = {"name": "text", "enabled": True, "strategies": [strategy]}
    engine.take_state(json.dumps({"version": 1, "features": [feature]}))
    return lambda user: engine.is_enabled("text", {"userId": user})


def measure(users: int, rounds: int) -> dict[str, float]:
    """Return how many users a second each way places.

    Args:
        users: of one round.
        rounds: of which the best counts.
    """
    names = [f"user-{number}" for number in range(users)]
    best: dict[str, float] = {}
    found = ways()
    for _ in range(rounds):
        for name, way in found.items():
            started = time.process_time()
            for user in names:
                way(user)
            best[name] = max(best.get(name, 0.0), users / (time.process_time() - started))
    return best


def lines(best: Mapping[str, float]) -> list[str]:
    """Return the table, and how the goals fared."""
    table = [f"{'way':<16} {'a second':>12} {'of the record':>14}"]
    table += [f"{name:<16} {rate:>12,.0f} {rate / best[RECORD]:>14.2f}" for name, rate in best.items()]
    peers = [rate for name, rate in best.items() if name in {"GrowthBook", "Unleash engine"}]
    if peers:
        table.append(f"full record to the best peer: {best[RECORD] / max(peers):.1f} (goal: at least {PEER_GOAL})")
    table.append(f"full record: {best[RECORD]:,.0f} a second (goal: at least {RECORD_GOAL:,})")
    table.append(f"router to full record: {best[ROUTER] / best[RECORD]:.1f} (goal: at least {ROUTER_GOAL})")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.assignments", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a second instead of half a minute; rougher numbers")
    quick = parser.parse_args(arguments).quick
    print("\n".join(lines(measure(2_000 if quick else 20_000, 3 if quick else 15))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
