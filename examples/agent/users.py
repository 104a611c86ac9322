"""The example agent's users: twelve people whose agent calls tools through the door, all day long.

Rules:
- Calls arrive at random moments, from a seeded source, and each is made by a user who is free: whoever waits for an
  answer asks nothing else. So a busy machine has fewer calls, and no queue that outgrows every timeout.
- A call fails when its answer is an error, or when no answer comes even over a second connection. A tool that is not
  there, or not yet enabled for the user, is lacking and counted apart.
- With `money`, they also want to change money, and call it by the name it should have.
- Whoever lacks unit conversion calls it by the name it should have, or asks for it in their own words; they look at
  the tool list now and then, as agents do, and use it once it is there.

Not here: the inputs (`inputs.py`), the protocol (`door.py`).

Run it beside a door: `python examples/agent/users.py --door http://127.0.0.1:8700/mcp --seconds 20`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.agent import inputs
from examples.agent.door import Answer, Door, Kind, PlainDoor, SdkDoor, Tool, agent_url

AGENT = "desk_agent"
INTERNAL_TESTER = "ada"
USERS = ("ada", "bruno", "chiara", "dmitri", "elif", "farid", "grace", "hana", "ivan", "jun", "kofi", "lena")
SDK_USERS = {"bruno": "auto", "chiara": "legacy"}
"""Users of the official client, and how it agrees on a protocol; the others speak plain HTTP."""

WANTED_TOOL = "units__convert"
MONEY_TOOL = "currency__exchange"
REQUEST_TOOL = "request_capability"

_JOBS = {"text": 0.45, "documents": 0.35, "dates": 0.10, "units": 0.10}
_MONEY_JOB = {"currency": 0.10}
_TEXT_METHODS = {"summarise": 0.5, "keywords": 0.3, "similar_lines": 0.2}
_DOCUMENT_METHODS = {"outline": 0.75, "extract_tables": 0.12, "word_count": 0.13}
_AGAIN = 0.3
"""How often a user comes back to a document they had lately."""

_RELIST_EVERY = 3.0
_EXAMPLES = 10
_DRAIN_SECONDS = 15.0


@dataclass
class Tally:
    """What became of the calls to one capability; the latencies are those of calls that were answered well."""

    calls: int = 0
    ok: int = 0
    lacking: int = 0
    failed: int = 0
    latencies_ms: list[float] = field(default_factory=list, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts, with median and 95th percentile in milliseconds."""
        ordered = sorted(self.latencies_ms)
        at = {name: ordered[int(part * (len(ordered) - 1))] if ordered else None for name, part in _PERCENTILES.items()}
        return {"calls": self.calls, "ok": self.ok, "lacking": self.lacking, "failed": self.failed, **at}


_PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95}


@dataclass(frozen=True)
class UserReport:
    """What the users saw, all together."""

    total: int
    ok: int
    lacking: int
    retried: int
    failed_by_kind: dict[str, int]
    failures: tuple[str, ...]
    per_capability: dict[str, dict[str, Any]]

    @property
    def failed(self) -> int:
        """How many calls failed."""
        return sum(self.failed_by_kind.values())


class _User:
    """One person: their way to the door, what they know of its tools, and the documents on their desk."""

    def __init__(self, name: str, door: Door, random: Random, jobs: dict[str, float]) -> None:
        self.name = name
        self.door = door
        self._random = random
        self._jobs = jobs
        self._desk: deque[str] = deque(maxlen=4)
        self._tools: dict[str, Tool] = {}
        self._listed_at = float("-inf")

    async def act(self) -> tuple[str, Answer]:
        """Do one thing; return the capability it was about and how it ended."""
        job = _choose(self._random, self._jobs)
        if job == "units":
            return job, await self._convert()
        if job == "currency":
            return job, await self.door.call(MONEY_TOOL, inputs.exchange(self._random))
        method, arguments = self._work(job)
        return job, await self.door.call(f"{job}__{method}", arguments)

    def _work(self, job: str) -> tuple[str, dict[str, Any]]:
        random = self._random
        if job == "dates":
            return inputs.date_call(random)
        if job == "documents":
            return _choose(random, _DOCUMENT_METHODS), {"text": self._document()}
        method = _choose(random, _TEXT_METHODS)
        if method == "summarise":
            return method, {"text": inputs.prose(random, random.randint(22, 34)), "sentences": random.randint(2, 5)}
        if method == "keywords":
            return method, {"text": inputs.prose(random, random.randint(60, 90)), "limit": random.randint(5, 15)}
        return method, {"text": inputs.notes(random, random.randint(30, 42))}

    def _document(self) -> str:
        if not self._desk or self._random.random() >= _AGAIN:
            self._desk.append(inputs.document(self._random))
            return self._desk[-1]
        return self._random.choice(self._desk)

    async def _convert(self) -> Answer:
        """Convert something, or say that it cannot be done."""
        if time.monotonic() - self._listed_at > _RELIST_EVERY:
            self._listed_at = time.monotonic()
            with suppress(OSError, LookupError):
                self._tools = await self.door.tools()
        asking = self._tools.get(REQUEST_TOOL)
        if WANTED_TOOL not in self._tools and asking is not None and self._random.random() < 0.6:
            answer = await self.door.call(REQUEST_TOOL, {_text_argument(asking): inputs.wish(self._random)})
            return Answer(Kind.LACKING, retried=answer.retried) if answer.kind is Kind.OK else answer
        return await self.door.call(WANTED_TOOL, inputs.conversion(self._random))


class Users:
    """The twelve users at one door.

    Args:
        door_url: the door's address, such as `http://127.0.0.1:8700/mcp`.
        seed: makes who calls what with which inputs, and when, the same again.
        calls_per_second: mean rate of all users together, while the door keeps up with it.
        money: whether they want to change money too.
    """

    def __init__(self, door_url: str, seed: int, calls_per_second: float = 60.0, *, money: bool = False) -> None:
        self._url = agent_url(door_url, AGENT)
        self._seed = seed
        self._rate = calls_per_second
        self._jobs = _JOBS | _MONEY_JOB if money else _JOBS
        self._users: list[_User] = []
        self._arrivals: asyncio.Task[None] | None = None
        self._free: list[_User] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._tallies: dict[str, Tally] = {job: Tally() for job in self._jobs}
        self._failed: Counter[str] = Counter()
        self._failures: list[str] = []
        self._retried = 0

    async def start(self) -> None:
        """Connect everybody and begin; raises what the client raises when the door cannot be reached."""
        self._users = [self._user(name) for name in USERS]
        for user in self._users:
            await user.door.open()
        self._free = list(self._users)
        self._arrivals = asyncio.create_task(self._arrive())

    async def stop(self) -> UserReport:
        """Let nobody begin anything new, wait for what is under way, disconnect, and report."""
        if self._arrivals is not None:
            self._arrivals.cancel()
            with suppress(asyncio.CancelledError):
                await self._arrivals
        if self._calls:
            _, late = await asyncio.wait(self._calls, timeout=_DRAIN_SECONDS)
            for call in late:
                call.cancel()
        for user in self._users:
            await user.door.close()
        return self.report()

    def report(self) -> UserReport:
        """Say what the users saw so far; calls under way are not in it."""
        tallies = self._tallies.values()
        return UserReport(
            total=sum(tally.calls for tally in tallies),
            ok=sum(tally.ok for tally in tallies),
            lacking=sum(tally.lacking for tally in tallies),
            retried=self._retried,
            failed_by_kind=dict(self._failed),
            failures=tuple(self._failures),
            per_capability={job: tally.as_dict() for job, tally in self._tallies.items()},
        )

    def _user(self, name: str) -> _User:
        mode = SDK_USERS.get(name)
        door: Door = PlainDoor(self._url, name) if mode is None else SdkDoor(self._url, name, mode)
        return _User(name, door, Random(f"{self._seed}/{name}"), self._jobs)

    async def _arrive(self) -> None:
        random = Random(f"{self._seed}/arrivals")
        due = time.monotonic()
        while True:
            due += random.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._free:
                call = asyncio.create_task(self._serve(self._free.pop(random.randrange(len(self._free)))))
                self._calls.add(call)
                call.add_done_callback(self._calls.discard)

    async def _serve(self, user: _User) -> None:
        began = time.perf_counter()
        job, answer = await user.act()
        self._count(user.name, job, answer, (time.perf_counter() - began) * 1000)
        self._free.append(user)

    def _count(self, user: str, job: str, answer: Answer, elapsed_ms: float) -> None:
        tally = self._tallies[job]
        tally.calls += 1
        self._retried += answer.retried
        if answer.kind is Kind.OK:
            tally.ok += 1
            tally.latencies_ms.append(round(elapsed_ms, 2))
        elif answer.kind is Kind.LACKING:
            tally.lacking += 1
        else:
            tally.failed += 1
            self._failed[answer.failure] += 1
            if len(self._failures) < _EXAMPLES:
                self._failures.append(f"{user}, {job}: {answer.failure}: {answer.text}")


def _choose(random: Random, weights: dict[str, float]) -> str:
    return random.choices(list(weights), list(weights.values()))[0]


def _text_argument(tool: Tool) -> str:
    """Return the argument that takes the user's own words: the first one that is required."""
    required = tool.input_schema.get("required") or list(tool.input_schema.get("properties", {})) or ["text"]
    return str(required[0])


async def _run(users: Users, seconds: float) -> UserReport:
    await users.start()
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(seconds)
    return await users.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the users for a while and print what they saw; 1 when a call failed."""
    parser = argparse.ArgumentParser(description="Let the example agent's users call tools through a door.")
    parser.add_argument("--door", required=True, help="address of the door, such as http://127.0.0.1:8700/mcp")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long; until Ctrl-C when not given")
    parser.add_argument("--rate", type=float, default=60.0, help="calls per second of all users together")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same users' day")
    parser.add_argument("--money", action="store_true", help="let them also want to change money")
    options = parser.parse_args(arguments)
    users = Users(options.door, options.seed, options.rate, money=options.money)
    report = asyncio.run(_run(users, options.seconds))
    print(json.dumps({**asdict(report), "failed": report.failed}, indent=2))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
