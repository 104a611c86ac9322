"""Spec 10.1, configure_loop - decides which file the settings come from, and whether it may be used.

Rules:
- The home's file wins over the one shipped here; the environment wins over both.
- A file is checked on its own first, so a mistake is blamed on the file or on the variable that holds it.
- A plan that the settings name must exist.
- A file is applied whole or not at all.

Not here: which settings exist (`config/settings.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

from config.documents import Document, Location, explain, nearest, read
from config.home import HOME_VARIABLE, Home
from config.rollouts import load_rollouts, plan_named
from config.settings import CONFIG_FILE_NAME, ROOT_KEY, SHIPPED_FILE, Settings
from domain.base import JsonObject
from domain.errors import ConfigurationInvalid

_PREFIX = "UPGRADE_LOOP_"
_DELIMITER = "__"


class _FileAlone(Settings):
    """The settings of one file, whatever the environment says."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what is given."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def load_settings(home: Home) -> Settings:
    """Return the settings of an installation: its file, or the one shipped here, under the environment.

    Raises:
        ConfigurationInvalid: file or environment cannot be used; the message names the key and where it stands.
    """
    document = read(settings_file(home))
    _validated(document)
    _refuse_unknown_variables()
    try:
        settings = Settings(**document.section(ROOT_KEY))
    except SettingsError as error:
        raise ConfigurationInvalid(
            f"A variable of the environment is no JSON: {', '.join(_no_json()) or error}.",
            hint='Lists and mappings are written as JSON, such as ["a", "b"] or {"name": "value"}.',
        ) from error
    except ValidationError as error:
        raise explain(error, _variable, known_keys()) from error
    _require_plans(home, settings)
    return settings


def check_file(path: Path) -> Settings:
    """Return what a file alone would set, without the environment.

    Raises:
        ConfigurationInvalid: it cannot be used.
    """
    return _validated(read(path))


def apply_file(home: Home, path: Path) -> Settings:
    """Make a file the home's settings, atomically, after checking it.

    Returns:
        What the file alone sets.

    Raises:
        ConfigurationInvalid: the file cannot be used, or the home cannot be written; nothing has changed then.
    """
    settings = check_file(path)
    _require_plans(home, settings)
    target = home.config / CONFIG_FILE_NAME
    draft = target.with_name(f"{CONFIG_FILE_NAME}.{os.getpid()}.new")
    try:
        home.config.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise ConfigurationInvalid(
            f"{target} cannot be written: {error.strerror}.", hint="Check the permissions of the home folder."
        ) from error
    return settings


def settings_file(home: Home) -> Path:
    """Return the file that `load_settings` reads."""
    own = home.config / CONFIG_FILE_NAME
    return own if own.exists() else SHIPPED_FILE


def document(settings: Settings) -> JsonObject:
    """Return settings as a document that a file could hold, with the passwords inside URLs masked."""
    content = settings.model_dump(mode="json")
    for section, key in (("store", "url"), ("notifications", "webhook_url")):
        content[section][key] = _masked(content[section][key])
    return {ROOT_KEY: content}


def known_keys(model: type[BaseModel] = Settings, prefix: str = "") -> tuple[str, ...]:
    """Return every dotted key of the settings, sections included."""
    return tuple(_keys(model, prefix))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _keys(inner, f"{prefix}{name}.")


def _validated(document: Document) -> Settings:
    section = document.section(ROOT_KEY)
    try:
        alone = _FileAlone(**{str(key): value for key, value in section.items()})
    except ValidationError as error:
        raise explain(
            error,
            lambda location: f"{document.path}{document.at((ROOT_KEY, *location))}",
            known_keys(),
            prefix=f"{ROOT_KEY}.",
        ) from error
    return Settings.model_construct(**dict(alone))


def _require_plans(home: Home, settings: Settings) -> None:
    plans = load_rollouts(home)
    for name in (settings.rollout.plan, settings.rollout.new_capability_plan):
        plan_named(plans, name)


def _variable(location: Location) -> str:
    if not location:
        return "the environment, laid over the file"
    name = _PREFIX + _DELIMITER.join(str(part).upper() for part in location)
    return f"the environment ({name})"


def _no_json() -> list[str]:
    """Return the variables that must hold a list or a mapping and do not."""
    defaults = Settings.model_construct()
    compound = (tuple, dict, BaseModel)
    keys = [key for key in known_keys() if isinstance(reduce(getattr, key.split("."), defaults), compound)]
    names = {f"{_PREFIX}{key.replace('.', _DELIMITER)}".upper() for key in keys}
    return sorted(name for name, text in os.environ.items() if name.upper() in names and not _is_json(text))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _refuse_unknown_variables() -> None:
    sections = {name.upper(): name for name in Settings.model_fields}
    for variable in sorted(os.environ):
        name = variable.upper()
        section, delimiter, _ = name.removeprefix(_PREFIX).partition(_DELIMITER)
        if name == HOME_VARIABLE or not name.startswith(_PREFIX) or not delimiter or section in sections:
            continue
        near = nearest(section.lower(), tuple(sections.values()))
        raise ConfigurationInvalid(
            f"The variable {variable} names no section of the settings.",
            hint=f"The nearest known one is {_PREFIX}{near.upper()}__..."
            if near
            else f"Sections: {', '.join(sections)}.",
        )


def _masked(url: Any) -> Any:
    parts = urlsplit(url or "")
    if not parts.password:
        return url
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{place}"))
