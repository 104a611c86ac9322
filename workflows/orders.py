"""Appendix B, orders - decides how a person's word enters a running workflow.

Rules:
- Every order exists twice under one name: as an Update, answered at once, and as a Signal, kept while no worker runs.
- An order names who gives it. The role table decides whether they may; the answer is written to the audit log.
- A refused Update fails with the reason; a Signal that is refused, or cannot be read, is noted and does nothing.
- An order repeated with the same `request_id` counts once.

Not here: what an order does; the workflow that owns the desk takes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities import messages as m
from domain.approvals import Order
from domain.roles import Command
from workflows import hands

REMEMBERED_REQUESTS = 100


class OrderDesk:
    """Receives the orders of one workflow.

    Args:
        subject: the id the orders are about, for the audit log.
        refusal: returns why an order makes no sense now, or None if it does.
        take: does what the order says.
        seen: request ids known from before a continue-as-new.
    """

    def __init__(
        self,
        subject: str,
        refusal: Callable[[Command], str | None],
        take: Callable[[Command, Order], None],
        seen: Iterable[str] = (),
    ) -> None:
        self._subject = subject
        self._refusal = refusal
        self._take = take
        self._seen = list(seen)
        self.notes: list[str] = []

    def open(self, names: dict[str, Command]) -> None:
        """Install the Update and the Signal of every order."""
        for name, command in names.items():
            workflow.set_update_handler(name, self._update(command), validator=self._validator(command))
            workflow.set_signal_handler(name, self._signal(command))

    @property
    def seen(self) -> tuple[str, ...]:
        """The request ids to carry across a continue-as-new."""
        return tuple(self._seen)

    def _validator(self, command: Command) -> Callable[[Order], None]:
        def validate(order: Order) -> None:
            if reason := self._objection(command, order):
                raise ApplicationError(reason, type="OrderRefused")

        return validate

    def _update(self, command: Command) -> Callable[[Order], Awaitable[str]]:
        async def handle(order: Order) -> str:
            return await self._accept(command, order)

        return handle

    def _signal(self, command: Command) -> Callable[[Any], Awaitable[None]]:
        async def handle(payload: Any = None) -> None:
            try:
                order = Order.model_validate(payload or {})
                if reason := self._objection(command, order):
                    self._note(command, reason)
                else:
                    await self._accept(command, order)
            except (ValidationError, ApplicationError) as refused:
                self._note(command, str(refused))

        return handle

    def _objection(self, command: Command, order: Order) -> str | None:
        if not order.actor.strip():
            return f'{command} needs to know who orders it: {{"actor": "your name", "reason": "why"}}.'
        return None if self._was_taken(order) else self._refusal(command)

    async def _accept(self, command: Command, order: Order) -> str:
        if self._was_taken(order):
            return f"{command} was already taken."
        check = m.OrderCheck(
            subject=self._subject,
            command=command,
            order=order,
            at=workflow.now(),
        )
        answer = await hands.authorise(check)
        if not answer.allowed:
            raise ApplicationError(answer.reason, type="PermissionDenied")
        if self._was_taken(order):
            return f"{command} was already taken."
        if reason := self._refusal(command):
            raise ApplicationError(reason, type="OrderRefused")
        if order.request_id is not None:
            self._seen = [*self._seen, order.request_id][-REMEMBERED_REQUESTS:]
        self._take(command, order)
        return f"{command} by {order.actor} taken."

    def _was_taken(self, order: Order) -> bool:
        return order.request_id is not None and order.request_id in self._seen

    def _note(self, command: Command, reason: str) -> None:
        self.notes.append(f"{command} ignored: {reason}")
        workflow.logger.warning("order ignored", extra={"command": str(command), "reason": reason})
