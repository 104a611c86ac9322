"""Spec 9.1, failures inside a workflow: what a person is told of them."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    RetryState,
    TimeoutError,  # noqa: A004 - Temporal's own name
    TimeoutType,
)

from workflows.failures import EXITS, reason_of


def of_activity(cause: BaseException) -> ActivityError:
    """Return a failure as a workflow gets it from an activity."""
    failure = ActivityError(
        "Activity task failed",
        scheduled_event_id=5,
        started_event_id=6,
        identity="worker",
        activity_type="judge_stage",
        activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    failure.__cause__ = cause
    return failure


def of_child(cause: BaseException) -> ChildWorkflowError:
    """Return a failure as a workflow gets it from a child."""
    failure = ChildWorkflowError(
        "Child Workflow execution failed",
        namespace="default",
        workflow_id="experiment-1",
        run_id="1",
        workflow_type="Experiment",
        initiated_event_id=5,
        started_event_id=6,
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    failure.__cause__ = cause
    return failure


def refused() -> ApplicationError:
    """Return a failure of the house as it leaves an activity: with its hint, and with what it came from."""
    failure = ApplicationError("No plan. Name one.", type="configuration_invalid", non_retryable=True)
    failure.__cause__ = ApplicationError("No plan.", type="ConfigurationInvalid")
    return failure


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ApplicationError("the gate is red", type="rollout_rolled_back"), "the gate is red"),
        (of_activity(refused()), "No plan. Name one."),
        (of_child(of_activity(refused())), "No plan. Name one."),
        (
            of_activity(
                TimeoutError(
                    "activity StartToClose timeout", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]
                )
            ),
            "judge_stage took too long: activity StartToClose timeout",
        ),
        (of_activity(CancelledError("stopped")), "cancelled"),
        (of_child(CancelledError("stopped")), "cancelled"),
        (asyncio.CancelledError(), "cancelled"),
        (ValueError(), "ValueError"),
    ],
    ids=["own", "activity", "child", "timeout", "activity-cancelled", "child-cancelled", "cancelled", "silent"],
)
def test_a_person_is_told_one_sentence_without_the_layers_around_it(failure: BaseException, told: str) -> None:
    assert reason_of(failure) == told


def test_a_mistake_in_the_code_does_not_end_a_saga_in_order() -> None:
    assert not isinstance(AssertionError(), EXITS)
    assert isinstance(asyncio.CancelledError(), EXITS)
    assert isinstance(of_activity(refused()), EXITS)
