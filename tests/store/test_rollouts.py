from __future__ import annotations

from domain.rollouts import GateLogEntry, Rollout, RolloutAction, RolloutDecision, RolloutStatus
from store.database import Store
from tests.store.factories import at, rollout_plan, version


def look(seconds: float) -> RolloutDecision:
    return RolloutDecision(action=RolloutAction.HOLD, reason="too early", next_at=at(seconds + 60))


def test_every_look_at_the_gates_is_kept_in_order(store: Store) -> None:
    store.gate_log.append("rollout-1", "canary", look(0), at(0))
    store.gate_log.append("rollout-1", "canary", look(60), at(60))
    store.gate_log.append("rollout-2", "canary", look(0), at(0))
    assert store.gate_log.of("rollout-1") == [
        GateLogEntry(rollout_id="rollout-1", stage="canary", at=at(0), decision=look(0)),
        GateLogEntry(rollout_id="rollout-1", stage="canary", at=at(60), decision=look(60)),
    ]


def test_one_look_told_twice_is_kept_once(store: Store) -> None:
    store.gate_log.append("rollout-1", "canary", look(0), at(0))
    store.gate_log.append("rollout-1", "canary", look(0), at(0))
    assert len(store.gate_log.of("rollout-1")) == 1


def test_a_rollout_is_listed_by_status_and_capability(store: Store) -> None:
    rollout = Rollout(
        id="rollout-1",
        upgrade_id="upgrade-1",
        capability="text",
        control=None,
        candidate=version(),
        plan=rollout_plan(),
        status=RolloutStatus.RUNNING,
    )
    store.rollouts.put(rollout)
    assert store.rollouts.list(status=RolloutStatus.RUNNING, capability="text") == [rollout]
    assert store.rollouts.list(status=RolloutStatus.PAUSED) == []
