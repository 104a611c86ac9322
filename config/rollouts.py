"""Spec 5.2, STANDARD_ROLLOUT_CONFIG - decides which rollout plans there are and how the settings name one.

Rules:
- The home's `rollouts.yaml` replaces the one shipped here, whole.
- Durations are ISO 8601 (`PT24H`) or seconds.
- A name that no plan has is refused, and the known plans are named.

Not here: what makes a plan sound (`domain/rollouts.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from config.documents import Document, explain, read, shown
from config.home import Home
from domain.errors import ConfigurationInvalid
from domain.rollouts import AutoRollback, RolloutConfiguration, RolloutStage, StageGate, TargetCriteria

ROLLOUTS_FILE_NAME = "rollouts.yaml"
SHIPPED_ROLLOUTS = Path(__file__).parent / ROLLOUTS_FILE_NAME
ROLLOUTS_KEY = "rollouts"


def load_rollouts(home: Home) -> dict[str, RolloutConfiguration]:
    """Return the plans of an installation by name: those of its file, else the shipped ones.

    Raises:
        ConfigurationInvalid: the file cannot be used; the message names the key and the line.
    """
    own = home.config / ROLLOUTS_FILE_NAME
    return read_rollouts(own if own.exists() else SHIPPED_ROLLOUTS)


def read_rollouts(path: Path) -> dict[str, RolloutConfiguration]:
    """Return the plans of one file by name.

    Raises:
        ConfigurationInvalid: it cannot be used.
    """
    document = read(path)
    section = document.section(ROLLOUTS_KEY)
    return {str(name): _plan(document, (ROLLOUTS_KEY, str(name)), content) for name, content in section.items()}


def plan_in(path: Path, name: str = "") -> RolloutConfiguration:
    """Return the plan of a file that is like `rollouts.yaml`, or holds the keys of one plan alone.

    Args:
        path: the file.
        name: which plan; not needed where there is only one.

    Raises:
        ConfigurationInvalid: the file cannot be used, or it is not clear which plan is meant.
    """
    document = read(path)
    if isinstance(document.data, dict) and "stages" in document.data:
        return _plan(document, (), {"name": path.stem, **document.data})
    plans = read_rollouts(path)
    if not name and len(plans) != 1:
        known = ", ".join(sorted(plans)) or "none"
        raise ConfigurationInvalid(f"{path} has {len(plans)} plans: {known}.", hint="Say which one with --name.")
    return plan_named(plans, name) if name else next(iter(plans.values()))


def plan_named(plans: Mapping[str, RolloutConfiguration], name: str) -> RolloutConfiguration:
    """Return the plan of that name.

    Raises:
        ConfigurationInvalid: there is none; the message names the plans there are.
    """
    if name in plans:
        return plans[name]
    known = ", ".join(sorted(plans)) or "none"
    raise ConfigurationInvalid(
        f"There is no rollout plan {name!r}; known plans: {known}.",
        hint=f"Name a known plan in the settings, or add {name!r} to {ROLLOUTS_FILE_NAME} in the home's config folder.",
    )


def _plan(document: Document, place: tuple[str, ...], content: Any) -> RolloutConfiguration:
    """Return the plan that stands at a place of a document."""
    if not isinstance(content, dict):
        raise ConfigurationInvalid(
            f"{'.'.join(place)} in {document.path} is {shown(content)}; expected a plan with `stages`."
        )
    named = {"name": place[-1]} if place else {}
    try:
        return RolloutConfiguration.model_validate({**named, **content})
    except ValidationError as error:
        raise explain(
            error,
            lambda location: f"{document.path}{document.at((*place, *location))}",
            (*RolloutConfiguration.model_fields, *_known_below(content)),
            prefix="".join(f"{key}." for key in place),
        ) from error


def _known_below(content: Mapping[Any, Any]) -> list[str]:
    known: list[str] = []
    stages = content.get("stages")
    for index, stage in enumerate(stages if isinstance(stages, list) else []):
        prefix = f"stages[{index}]"
        known += [f"{prefix}.{name}" for name in RolloutStage.model_fields]
        known += [f"{prefix}.target_criteria.{name}" for name in TargetCriteria.model_fields]
        known += [f"{prefix}.auto_rollback.{name}" for name in AutoRollback.model_fields]
        gates = stage.get("gates") if isinstance(stage, dict) else None
        for position in range(len(gates) if isinstance(gates, list) else 0):
            known += [f"{prefix}.gates[{position}].{name}" for name in StageGate.model_fields]
    return known
