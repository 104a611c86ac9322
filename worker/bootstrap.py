"""Spec 10.2, triggers - decides what the Temporal Service must know before the loop can run on it.

Rules:
- Everything here may be done again at every start; nothing is changed that is right already.
- The cycle's Schedule skips a run while the last one is still going, so cycles never pile up; runs missed while the
  service was down are made up for an hour at most.
- Histories are kept for 30 days; the server's own default is one.

Not here: starting one cycle by hand or by event (`worker/api.py`).
"""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
)
from temporalio.service import RPCError, RPCStatusCode

from activities import messages as m
from config.settings import Settings
from domain.cycles import Trigger
from workflows.display import SEARCH_ATTRIBUTES

RETENTION = timedelta(days=30)
CYCLE_SCHEDULE = "upgrade-cycle"
JANITOR_SCHEDULE = "janitor"
JANITOR_INTERVAL = timedelta(minutes=15)
CATCH_UP = timedelta(hours=1)


async def prepare(client: Client, settings: Settings) -> None:
    """Make search attributes, retention and Schedules what they should be."""
    await add_search_attributes(client)
    await _keep_histories(client)
    await _schedule(client, CYCLE_SCHEDULE, _cycle_schedule(settings))
    await _schedule(client, JANITOR_SCHEDULE, _janitor_schedule(settings))


async def add_search_attributes(client: Client) -> None:
    """Make the search attributes that are missing."""
    listing = ListSearchAttributesRequest(namespace=client.namespace)
    known = (await client.operator_service.list_search_attributes(listing)).custom_attributes
    missing = {key.name: key.indexed_value_type for key in SEARCH_ATTRIBUTES if key.name not in known}
    if not missing:
        return
    request = AddSearchAttributesRequest(namespace=client.namespace)
    for name, kind in missing.items():
        request.search_attributes[name] = IndexedValueType.ValueType(int(kind))
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as failure:
        if failure.status is not RPCStatusCode.ALREADY_EXISTS:
            raise


async def _keep_histories(client: Client) -> None:
    retention = Duration()
    retention.FromTimedelta(RETENTION)
    config = NamespaceConfig(workflow_execution_retention_ttl=retention)
    await client.workflow_service.update_namespace(UpdateNamespaceRequest(namespace=client.namespace, config=config))


async def _schedule(client: Client, schedule_id: str, schedule: Schedule) -> None:
    try:
        await client.create_schedule(schedule_id, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(schedule_id).update(lambda _: ScheduleUpdate(schedule=schedule))


def _cycle_schedule(settings: Settings) -> Schedule:
    start = m.CycleInput(trigger=Trigger.SCHEDULED, host=settings.temporal.host_name)
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "UpgradeCycle", start, id="cycle", task_queue=settings.temporal.task_queue, static_summary="scheduled cycle"
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(minutes=settings.cycle.interval_minutes))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        state=ScheduleState(paused=not settings.cycle.enabled),
    )


def _janitor_schedule(settings: Settings) -> Schedule:
    start = m.SweepInput(host=settings.temporal.host_name)
    return Schedule(
        action=ScheduleActionStartWorkflow(
            "Janitor", start, id="janitor", task_queue=settings.temporal.task_queue, static_summary="janitor's round"
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=JANITOR_INTERVAL)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
    )
