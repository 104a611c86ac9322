"""Spec 3.4, calls of several rounds - decides whether a further round belongs to a call, and which version it goes to.

Rules:
- A round that ends with questions is kept under a name nobody can guess. The name is good once, for the same caller,
  the same tool and the same arguments, for `ROUND_SECONDS`.
- The next round goes to the version that asked, whatever the table says by then: the state is that version's own. A
  version is not put down while a round of it is open.
- An answer that does not fit its question goes to no plugin, and uses the round up no more than a stranger's try does.
- What is kept is bounded: `MOST_ROUNDS` in all, `MOST_OF_ONE_CALLER` of each caller, the oldest go first; a call
  has at most `LONGEST_TALK` rounds. A restart of the gateway ends all of them.

Not here: what may be asked (`plugins/core/rounds.py`), how agents are asked (`gateway/door.py`).
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from domain.base import JsonObject
from domain.routing import PluginVersion, VariantName
from plugins.core.channel import Progress
from plugins.core.rounds import Asked, Question

ROUND_SECONDS: Final = 600.0
MOST_ROUNDS: Final = 1_000
MOST_OF_ONE_CALLER: Final = 32
LONGEST_TALK: Final = 10


@dataclass(frozen=True)
class Extras:
    """What comes along with a call's arguments.

    Attributes:
        progress: told how far the call is.
        can_ask: whether the person can be asked.
        round: the name of the round that is answered; None begins a call.
        answers: the person's answers.
    """

    progress: Progress | None = None
    can_ask: bool = False
    round: str | None = None
    answers: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """One call between two rounds.

    Attributes:
        caller: the hash of who made it.
        version: who asked, and goes on.
        number: how many rounds there have been.
    """

    call_id: str
    caller: str
    tool: str
    arguments: JsonObject
    variant: VariantName
    version: PluginVersion
    number: int


@dataclass(frozen=True)
class _Kept:
    standing: Standing
    questions: Mapping[str, Question]
    state: str | None
    until: float


@dataclass(frozen=True)
class Resumed:
    """A call that goes on, and the state that its version gave along."""

    standing: Standing
    state: str | None


class Rounds:
    """The calls whose person is being asked.

    Args:
        monotonic: seconds that never run backwards.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def keep(self, standing: Standing, asked: Asked) -> str:
        """Keep a call until it is answered, and return the name of its round."""
        self._forget()
        own = [name for name, kept in self._kept.items() if kept.standing.caller == standing.caller]
        if len(own) >= MOST_OF_ONE_CALLER:
            del self._kept[own[0]]
        elif len(self._kept) >= MOST_ROUNDS:
            self._kept.popitem(last=False)
        name = secrets.token_urlsafe(24)
        self._kept[name] = _Kept(standing, asked.questions, asked.state, self._monotonic() + ROUND_SECONDS)
        return name

    def resume(self, caller: str, tool: str, arguments: JsonObject, extras: Extras) -> Resumed | str:
        """Take the call that a further round goes on with.

        Args:
            caller: the hash of who makes the round.
            tool: its name.
            arguments: as in the first round.
            extras: the round it names, and the answers it brings.

        Returns:
            The call, or one sentence that says why there is none.
        """
        self._forget()
        kept = self._kept.get(extras.round or "")
        asked = kept.standing if kept is not None else None
        if kept is None or asked is None or (asked.caller, asked.tool, asked.arguments) != (caller, tool, arguments):
            return f"No question of {tool} waits for this answer any more; make the call again from its start."
        for key, answer in extras.answers.items():
            question = kept.questions.get(key)
            fault = "nobody asked" if question is None else question.fault_of(answer)
            if fault is not None:
                return f"The answer {key[:64]!r} to {tool} does not fit: {fault}."
        del self._kept[extras.round or ""]
        return Resumed(asked, kept.state)

    def open_of(self, digest: str) -> bool:
        """Say whether somebody is being asked for a version."""
        self._forget()
        return any(kept.standing.version.digest == digest for kept in self._kept.values())

    def _forget(self) -> None:
        now = self._monotonic()
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._kept.popitem(last=False)
