"""Spec 10.1, configure_loop - decides what is kept of changed settings.

Rules:
- Settings equal to the newest ones kept are no change and leave no trace.

Not here: which settings there are (`config/settings.py`).
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from domain.base import JsonObject, Model, Moment
from store.journal import Journal, Line
from store.sessions import Sessions
from store.tables import SettingsRow


class SettingsChange(Model):
    """The settings as they were from one moment on, and who set them."""

    at: Moment
    actor: str
    document: JsonObject = Field(default_factory=dict)


class SettingsLog:
    """Every change of the settings."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._journal = Journal(sessions, SettingsRow, SettingsChange)

    def put(self, at: datetime, actor: str, document: JsonObject) -> bool:
        """Keep settings if they differ from the newest ones kept; return whether they do."""
        change = SettingsChange(at=at, actor=actor, document=document)
        with self._sessions.exclusive("settings"):
            newest = self.list(limit=1)
            if newest and newest[0].document == document:
                return False
            self._journal.append([Line(f"{change.at.isoformat()}/{actor}", actor, change.at, change)])
            return True

    def list(self, limit: int = 50) -> list[SettingsChange]:
        """Return the changes, newest first."""
        return self._journal.newest(limit)
