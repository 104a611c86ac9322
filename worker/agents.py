"""Spec 10.2, the agent - decides how an agent's folder is taken into a home.

An agent's folder holds `agent.yaml`: its `name`, the `source_paths` to scan, the folder of its `installed` plugins and
that of its plugin `registry`; and optionally `config/`, whose files become the home's when it has none of its own.

Rules:
- Taking an agent in twice changes nothing; what the loop has upgraded since stays as it is.
- The folder is remembered in the home, so later starts need not name it again.
- Nothing is written into the agent's folder.

Not here: running its plugins (`gateway/`).
"""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime
from pathlib import Path

import yaml
from pydantic import ValidationError

from config.home import Home
from config.loading import load_settings
from config.rollouts import load_rollouts, plan_named
from config.settings import AgentSettings, Settings
from domain.base import Model
from domain.errors import ConfigurationInvalid, NotFound, StoreUnusable
from domain.routing import PluginVersion, Route
from plugins.core.folders import PluginFolders
from plugins.core.packages import PackageStore, write_whole
from store.database import Store, open_store

logger = logging.getLogger("upgrade_loop.agents")

AGENT_FILE = "agent.yaml"


class AgentFile(Model):
    """What `agent.yaml` says; paths are relative to its folder."""

    name: str = "agent"
    source_paths: tuple[Path, ...] = ()
    installed: Path = Path("plugins/installed")
    registry: Path | None = None


class KnownAgent(Model):
    """What the home remembers."""

    folder: Path


def remember_agent(home: Home, folder: Path) -> None:
    """Remember whose home this is, and give it the agent's configuration files where it has none.

    Raises:
        NotFound: the folder has no `agent.yaml`.
        ConfigurationInvalid: the file cannot be used.
    """
    folder = folder.resolve()
    read_agent(folder)
    home.create()
    for source in sorted((folder / "config").glob("*.yaml")):
        target = home.config / source.name
        if not target.exists():
            write_whole(target, source.read_bytes())
    write_whole(_memory(home), KnownAgent(folder=folder).model_dump_json().encode())


def settings_of(home: Home) -> Settings:
    """Return the home's settings, with what is known of its agent."""
    settings = load_settings(home)
    folder = known_folder(home)
    if folder is None:
        return settings
    agent = read_agent(folder)
    known = AgentSettings(
        name=agent.name,
        source_paths=tuple(folder / path for path in agent.source_paths),
        registry=folder / agent.registry if agent.registry else settings.agent.registry,
        strategic_keywords=settings.agent.strategic_keywords,
    )
    return settings.model_copy(update={"agent": known})


def known_folder(home: Home) -> Path | None:
    """Return the agent's folder, if the home has an agent."""
    try:
        text = _memory(home).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return KnownAgent.model_validate_json(text).folder


def adopt(home: Home, folder: Path | None, at: datetime, *, needs_store: bool = True) -> Settings:
    """Take an agent's folder in, if one is named, check all settings, and install the agent's own plugins.

    Args:
        home: into which it is taken.
        folder: of the agent, None for the one that the home knows.
        at: now.
        needs_store: False for who can do without the database; what is not installed then, is at the next start.

    Raises:
        InvalidInput: the folder or a file of the configuration cannot be used.
        StoreUnusable: the database is needed and cannot be used.
    """
    home.create()
    if folder is not None:
        remember_agent(home, folder)
    settings = settings_of(home)
    plans = load_rollouts(home)
    plan_named(plans, settings.rollout.plan)
    plan_named(plans, settings.rollout.new_capability_plan)
    try:
        with contextlib.closing(open_store(settings.store.url or home.database_url)) as store:
            install_plugins(home, store, at)
    except StoreUnusable as error:
        if needs_store:
            raise
        logger.warning("The agent's own plugins are not looked for: %s", error)
    return settings


def install_plugins(home: Home, store: Store, at: datetime) -> list[PluginVersion]:
    """Install and route the agent's own plugins, where nothing is routed yet; return what was new."""
    folder = known_folder(home)
    if folder is None:
        return []
    installed = folder / read_agent(folder).installed
    packages, folders = PackageStore(home.packages), PluginFolders(home.plugins)
    added: list[PluginVersion] = []
    for source in sorted(path for path in installed.iterdir() if path.is_dir()):
        package = packages.add(source)
        contract = package.contract
        version = PluginVersion(plugin=contract.name, version=contract.version, digest=package.digest)
        table = store.routes.load()
        fresh = [capability for capability in contract.capabilities if capability not in table.routes]
        for capability in fresh:
            table = table.with_route(Route(capability=capability, control=version))
            store.routes.save(table, at)
        if fresh:
            store.packages.put(package, at)
            folders.install(version)
            added.append(version)
    return added


def read_agent(folder: Path) -> AgentFile:
    """Return what an agent's folder says about it.

    Raises:
        NotFound: it has no `agent.yaml`.
        ConfigurationInvalid: the file cannot be used.
    """
    path = folder / AGENT_FILE
    try:
        return AgentFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except FileNotFoundError:
        raise NotFound(
            f"{folder} is no agent's folder: it has no {AGENT_FILE}.", hint="See examples/agent for one that has."
        ) from None
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as wrong:
        raise ConfigurationInvalid(f"{path} cannot be used: {wrong}") from wrong


def _memory(home: Home) -> Path:
    return home.root / "agent.json"
