"""Spec 3.1, circuit breaker - decides when a version that keeps failing is left alone for a while.

Rules:
- After `FAULTS_IN_A_ROW` faults with no sound answer in between the circuit opens: calls are refused at once.
- After a pause one call is let through. Sound, and the circuit closes; a fault, and it opens for twice as long, up to
  `LONGEST_PAUSE_SECONDS`.
- A fault is an answer the version owed and did not give: silence, a crash, a result its contract does not allow. A
  method's own error is a sound answer. What never reached the version, or was called off, says nothing of it.

Not here: processes that die (`lifecycle.py`); who answers instead (`gateway/`).
"""

from __future__ import annotations

from typing import Final

from domain.calls import ErrorKind

FAULTS_IN_A_ROW: Final = 10
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
FAULTS: Final = frozenset(
    {ErrorKind.TIMEOUT, ErrorKind.PLUGIN_CRASH, ErrorKind.OUTCOME_UNKNOWN, ErrorKind.INVALID_RESULT}
)

SOUND: Final = frozenset({None, ErrorKind.TOOL_ERROR})


class Breaker:
    """The circuit of one version.

    Attributes:
        faults: in a row.
    """

    def __init__(self) -> None:
        self.faults = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._closed_until: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for one that tries."""
        return self._closed_until is not None

    def wait(self, now: float) -> float:
        """Return for how many seconds a call is refused; 0 lets it through, and it has to be told of with `ended`."""
        if self._closed_until is None:
            return 0.0
        if self._trying or now < self._closed_until:
            return max(self._closed_until - now, 0.001)
        self._trying = True
        return 0.0

    def ended(self, now: float, error: ErrorKind | None) -> bool:
        """Take note of how a call ended, and say whether the circuit opened or closed by it."""
        was_open, self._trying = self.is_open, False
        if error in SOUND:
            self.faults, self._closed_until, self._pause = 0, None, FIRST_PAUSE_SECONDS
            return was_open
        if error not in FAULTS:
            return False
        self.faults += 1
        if was_open:
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        if was_open or self.faults >= FAULTS_IN_A_ROW:
            self._closed_until = now + self._pause
        return self.is_open and not was_open
