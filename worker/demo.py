"""Spec 9.1, the demo's story - decides what happens in it, and when it has gone as it should.

    start everything in a home of its own, let twelve users work, look for what to improve (one cycle), answer what the
    loop asks as the owner would, wait until every upgrade has its outcome, stop the users, count.

Rules:
- Nothing is simulated: a real Temporal server, real plugin processes, real calls; what the story says is read from the
  store.
- The demo's home is removed when the story has gone as it should, and kept otherwise.
- The story has gone as it should when a new capability and a better version were deployed, a harmful version was taken
  back, and no call was failed by the loop, neither in the ledger nor in the eyes of the users.

Not here: the agent, its users and its plugins (`examples/agent/`); the words (`worker/narration.py`).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client

from config.home import Home
from domain.cycles import CycleRecord, CycleStatus
from domain.errors import UpgradeImplementationFailed
from domain.upgrades import OUTCOMES, UpgradeRecord, UpgradeStatus
from examples.agent.users import UserReport, Users
from gateway.admin_client import AdminClient
from store.database import Store
from worker.addresses import StackAddresses, connect
from worker.agents import adopt, settings_of
from worker.api import SelfUpgradingLoopAPI
from worker.main import built_context
from worker.narration import Line, Mood, Narrator
from worker.processes import stop_event
from worker.stack import Stack, StackOptions

AGENT = Path(__file__).resolve().parent.parent / "examples" / "agent"
SEED = 7
PATIENCE_SECONDS = 150.0
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class StoryEnd:
    """How the story ended."""

    cycle: CycleRecord
    upgrades: tuple[UpgradeRecord, ...]
    calls: int
    failed_by_loop: int
    users: UserReport
    addresses: StackAddresses

    @property
    def wrong(self) -> str:
        """What did not go as it should; empty when all did."""
        deployed = [one for one in self.upgrades if one.status is UpgradeStatus.DEPLOYED]
        missing = {
            "no new capability was deployed": not any(one.from_version is None for one in deployed),
            "no better version was deployed": not any(one.from_version is not None for one in deployed),
            "no harmful version was taken back": not any(
                one.status is UpgradeStatus.ROLLED_BACK for one in self.upgrades
            ),
            f"the loop failed {self.failed_by_loop} calls": self.failed_by_loop > 0,
            f"users saw {self.users.failed} calls fail": self.users.failed > 0,
        }
        return "; ".join(sentence for sentence, is_so in missing.items() if is_so)

    @property
    def as_told(self) -> bool:
        """Whether all went as it should."""
        return not self.wrong


@dataclass
class Story:
    """The story, and how it is told.

    Attributes:
        home: the installation under which the demo makes a home of its own.
        warm_up: seconds that users work before the loop looks.
        rate: calls per second of all users together.
        keep: whether everything goes on running afterwards.
        tell: called with every line of the story.
    """

    home: Home
    warm_up: float
    rate: float
    keep: bool
    tell: Callable[[Line], None]

    async def run(self, ended: Callable[[StoryEnd], None]) -> StoryEnd:
        """Tell the story, hand its end over, and clear away."""
        stopping = stop_event()
        own = Home(self.home.root / "demo" / datetime.now(UTC).strftime("%Y%m%d-%H%M%S"))
        settings = adopt(own, AGENT, datetime.now(UTC))
        stack = Stack(own, settings, StackOptions(), self._of_part)
        try:
            client = await self._start(own, stack)
            with built_context(own, settings, client) as context:
                api = SelfUpgradingLoopAPI(context, client, actor="owner")
                end = await self._act(api, context.store, own, stack.addresses)
            ended(end)
            if self.keep:
                self._say("demo", f"still running; Ctrl+C ends it. Temporal UI: {stack.addresses.ui}")
                await stopping.wait()
        finally:
            await stack.stop()
        if end.as_told:
            await asyncio.to_thread(shutil.rmtree, own.root, ignore_errors=True)
        else:
            self._say("demo", f"what happened, logs included, is kept in {own.root}", Mood.BAD)
        return end

    async def _start(self, home: Home, stack: Stack) -> Client:
        self._say("demo", "starts Temporal, the worker and the gateway")
        await stack.start()
        self._say("demo", f"all are up. Watch every step at {stack.addresses.ui or 'your Temporal UI'}")
        return await connect(home, settings_of(home))

    async def _act(self, api: SelfUpgradingLoopAPI, store: Store, home: Home, addresses: StackAddresses) -> StoryEnd:
        users = Users(addresses.gateway, SEED, self.rate)
        await users.start()
        self._say("demo", f"twelve users work with the agent, {self.rate:g} calls a second at most")
        await asyncio.sleep(self.warm_up)
        cycle_id = await api.trigger_cycle()
        narrator = Narrator(store)
        cycle = await self._until_cycle_ended(store, cycle_id, narrator)
        upgrades = await self._until_upgrades_ended(api, store, cycle, narrator)
        report = await users.stop()
        async with AdminClient.of(home) as gateway:
            await gateway.flush()
        totals = await asyncio.to_thread(store.calls.totals)
        return StoryEnd(
            cycle=store.cycles.get(cycle_id),
            upgrades=tuple(upgrades),
            calls=totals.total,
            failed_by_loop=totals.failed_by_loop,
            users=report,
            addresses=addresses,
        )

    async def _until_cycle_ended(self, store: Store, cycle_id: str, narrator: Narrator) -> CycleRecord:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self._pass_on(narrator)
            cycle = store.cycles.find(cycle_id)
            if cycle is not None and cycle.status is not CycleStatus.RUNNING:
                return cycle
            await asyncio.sleep(LOOK_SECONDS)
        raise UpgradeImplementationFailed(f"Cycle {cycle_id} did not end in time.", hint="See the logs in the home.")

    async def _until_upgrades_ended(
        self, api: SelfUpgradingLoopAPI, store: Store, cycle: CycleRecord, narrator: Narrator
    ) -> list[UpgradeRecord]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        answered: set[str] = set()
        while True:
            self._pass_on(narrator)
            found = [store.upgrades.find(upgrade_id) for upgrade_id in cycle.upgrade_ids]
            records = [record for record in found if record is not None]
            for record in records:
                if record.status is UpgradeStatus.AWAITING_APPROVAL and record.id not in answered:
                    answered.add(record.id)
                    await api.approve_upgrade(record.opportunity_id, "the demo's owner agrees")
            everyone = len(records) == len(cycle.upgrade_ids)
            if (everyone and all(record.status in OUTCOMES for record in records)) or time.monotonic() > deadline:
                return [api.with_stages(record) for record in records]
            await asyncio.sleep(LOOK_SECONDS)

    def _pass_on(self, narrator: Narrator) -> None:
        for line in narrator.news():
            self.tell(line)

    def _of_part(self, name: str, sentence: str) -> None:
        """Pass on what happens to a process of ours; that it started is no news."""
        if not sentence.startswith("started"):
            self._say("demo", f"{name}: {sentence}", Mood.BAD)

    def _say(self, subject: str, text: str, mood: Mood = Mood.PLAIN) -> None:
        self.tell(Line(datetime.now(UTC), subject, text, mood))
