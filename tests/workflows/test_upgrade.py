"""Spec 9.1, upgrades on a real server: what one upgrade does, whatever happens to it."""

from __future__ import annotations

from domain.opportunities import OpportunityStatus
from domain.upgrades import StepType, UpgradeStatus
from tests.workflows.world import World


async def test_a_better_version_is_deployed_and_every_step_is_remembered(world: World) -> None:
    plan = world.plan()
    record = await (await world.start(plan)).result()
    assert record.status is UpgradeStatus.DEPLOYED, record.reason
    assert list(record.steps) == list(StepType)
    served = world.served()
    assert served is not None
    assert served.control == world.candidate
    assert served.candidate is None
    store = world.context.store
    assert store.upgrades.get(plan.id) == record
    assert store.opportunities.get(plan.opportunity.id).status is OpportunityStatus.UPGRADED
    assert store.slots.held() == []
    assert store.audit.verify().ok
