"""Spec 8.2, snapshot management - decides what a snapshot of the system holds and how it comes back.

Rules:
- Code: the route of the capability and the plugin version behind it. Config: the configuration files. State: the rows
  of the plugins that are installed.
- A snapshot is read back and verified before it counts.
- Restoring checks every part's hash first, then brings back code, config and state; a restore that cannot be verified
  has failed, and says what is wrong.
- A configuration file that a person has changed since, and that is sound, is theirs: it is left alone.

Not here: keeping the bytes (`store/blobs.py`).
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context
from config.loading import check_file
from config.settings import CONFIG_FILE_NAME
from domain.base import JsonObject
from domain.contracts import PluginPackage
from domain.errors import ConfigurationInvalid, RestoreFailed
from domain.routing import Route
from domain.snapshots import Component, SnapshotPart, SystemSnapshot
from plugins.core.packages import write_whole


class SnapshotActivities:
    """Takes snapshots."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn
    def create_snapshot(self, message: m.SnapshotInput) -> m.StepReport:
        """Keep the system as it is now, and prove that it can be read back."""
        contents = _contents(self._context, message.plan.capability)
        parts = tuple(
            SnapshotPart(component=component, digest=self._context.blobs.put(content), bytes=len(content))
            for component, content in contents.items()
        )
        snapshot = SystemSnapshot(
            id=message.snapshot_id,
            upgrade_id=message.plan.id,
            taken_at=message.at,
            version="1",
            parts=parts,
        )
        read_parts(self._context, snapshot)
        self._context.store.snapshots.put(snapshot)
        self._context.store.audit.append(
            key=snapshot.id,
            at=message.at,
            actor=LOOP,
            action="snapshot.created",
            subject=message.plan.id,
            detail={part.component: part.digest for part in parts},
        )
        size = sum(part.bytes for part in parts)
        return m.StepReport(passed=True, summary=f"{snapshot.id}: {len(parts)} components, {size} bytes, verified.")


def read_parts(context: Context, snapshot: SystemSnapshot) -> dict[Component, JsonObject]:
    """Return the content of every part, checked.

    Raises:
        RestoreFailed: a part is damaged.
    """
    return {part.component: json.loads(context.blobs.get(part.digest)) for part in snapshot.parts}


async def restore(context: Context, snapshot_id: str) -> None:
    """Bring the system back to a snapshot; harmless when it was never taken or is in force already.

    Raises:
        RestoreFailed: a part is damaged, or what came back is not what was kept.
    """
    snapshot = await asyncio.to_thread(context.store.snapshots.find, snapshot_id)
    if snapshot is None:
        return
    parts = await asyncio.to_thread(read_parts, context, snapshot)
    await _restore_code(context, parts[Component.CODE])
    await asyncio.to_thread(_restore_config, context, parts[Component.CONFIG])
    await asyncio.to_thread(_restore_state, context, parts[Component.STATE], snapshot.taken_at)


def _contents(context: Context, capability: str) -> dict[Component, bytes]:
    route = context.store.routes.load().routes.get(capability)
    code: JsonObject = {"capability": capability, "route": route.model_dump(mode="json") if route else None}
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(context.home.config.glob("*.yaml"))}
    packages = [package.model_dump(mode="json") for package in context.store.packages.list()]
    documents: dict[Component, JsonObject] = {
        Component.CODE: code,
        Component.CONFIG: dict(files),
        Component.STATE: {"packages": list(packages)},
    }
    return {part: json.dumps(document, sort_keys=True).encode() for part, document in documents.items()}


async def _restore_code(context: Context, code: JsonObject) -> None:
    capability = str(code["capability"])
    async with context.gateway() as gateway:
        if code["route"] is None:
            await gateway.remove_route(capability)
            return
        route = Route.model_validate(code["route"])
        for version in route.versions:
            if not context.packages.verify(version.digest):
                raise RestoreFailed(f"{version.id} of {capability} is missing or damaged on disk.")
        table = await gateway.set_route(route)
    if table.routes.get(capability) != route:
        raise RestoreFailed(f"The gateway does not serve {capability} as the snapshot says.")
    if route.control is not None:
        await asyncio.to_thread(context.folders.install, route.control)


def _restore_config(context: Context, files: JsonObject) -> None:
    for name, content in files.items():
        path = context.home.config / name
        if not _is_sound(path):
            write_whole(path, str(content).encode())


def _is_sound(path: Path) -> bool:
    if not path.exists():
        return False
    if path.name != CONFIG_FILE_NAME:
        return True
    try:
        check_file(path)
    except ConfigurationInvalid:
        return False
    return True


def _restore_state(context: Context, state: JsonObject, taken_at: datetime) -> None:
    known = {package.digest for package in context.store.packages.list()}
    rows = state["packages"]
    assert isinstance(rows, list)
    for row in rows:
        package = PluginPackage.model_validate(row)
        if package.digest not in known:
            context.store.packages.put(package, taken_at)
