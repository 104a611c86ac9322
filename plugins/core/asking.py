"""Spec 3.4, the plugin's side of a call of several rounds - decides how a method puts questions to the person.

Rules:
- A method that takes `ask` by keyword only is given a function `ask(key, message, schema)`: it returns what the person
  filled in, or None when they would not.
- At a question that has no answer yet the method ends; when the answer is there it runs again from its start, and
  the question then returns at once. So a method asks before it does anything that cannot be done twice.
- Answers of earlier rounds travel in the request's state, so that any instance can go on.

Standard library only: this is loaded beside foreign code, by `runtime.py` at first need.

Not here: what may be asked (`rounds.py`).
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Asking(BaseException):
    """The end of a round: no `except Exception` of the method holds it back."""

    def __init__(self, key: str, params: dict[str, Any], known: dict[str, Any]) -> None:
        super().__init__(f"asks {key}")
        self.mcp_result = {
            "resultType": "input_required",
            "inputRequests": {key: {"method": "elicitation/create", "params": params}},
            "requestState": json.dumps(known),
        }


def asker(params: dict[str, Any]) -> Callable[[str, str, dict[str, Any]], dict[str, Any] | None]:
    """Return the function that a method asks with, for one round of a call."""
    known = json.loads(params.get("requestState") or "{}") | params.get("inputResponses", {})

    def ask(key: str, message: str, schema: dict[str, Any]) -> dict[str, Any] | None:
        if key not in known:
            raise Asking(key, {"mode": "form", "message": message, "requestedSchema": schema}, known)
        answer = known[key]
        return answer.get("content") if answer["action"] == "accept" else None

    return ask
