"""Spec 3.3, plugin registry - decides what is kept of the packages that are installed.

Rules:
- A package is known by the digest of its content; putting it twice leaves one.

Not here: the files (`plugins/core/packages.py`).
"""

from __future__ import annotations

import builtins
from datetime import datetime

from sqlmodel import col, delete, select

from domain.contracts import PluginPackage
from store.records import read
from store.sessions import Sessions, upsert
from store.tables import PackageRow


class Packages:
    """Every package that is installed."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def put(self, package: PluginPackage, at: datetime) -> None:
        """Keep a package; the moment is that of its first put."""
        row = {
            "digest": package.digest,
            "name": package.contract.name,
            "version": str(package.contract.version),
            "added_at": at,
            "body": package.model_dump(mode="json"),
        }
        with self._sessions.writing() as session:
            upsert(session, PackageRow, [row], key=("digest",))

    def find(self, digest: str) -> PluginPackage | None:
        """Return the package of that digest, or None."""
        with self._sessions.reading() as session:
            row = session.exec(select(PackageRow).where(PackageRow.digest == digest)).first()
        return None if row is None else read(PluginPackage, digest, row.body)

    def list(self) -> builtins.list[PluginPackage]:
        """Return all packages, in the order in which they came."""
        with self._sessions.reading() as session:
            rows = session.exec(select(PackageRow).order_by(col(PackageRow.position))).all()
        return [read(PluginPackage, row.digest, row.body) for row in rows]

    def providing(self, capability: str) -> builtins.list[tuple[PluginPackage, datetime]]:
        """Return the packages that provide a capability, each with the moment it came, in that order."""
        with self._sessions.reading() as session:
            rows = session.exec(select(PackageRow).order_by(col(PackageRow.position))).all()
        packages = ((read(PluginPackage, row.digest, row.body), row.added_at) for row in rows)
        return [(package, at) for package, at in packages if capability in package.contract.capabilities]

    def remove(self, digest: str) -> bool:
        """Forget a package; return whether it was there."""
        with self._sessions.writing() as session:
            return session.exec(delete(PackageRow).where(col(PackageRow.digest) == digest)).rowcount > 0
