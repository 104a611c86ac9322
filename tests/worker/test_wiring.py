"""What workflows ask for and what workers carry: the same activities, each on one queue."""

from __future__ import annotations

import ast
import inspect
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import FunctionType
from typing import cast

import pytest_asyncio
from temporalio.client import Client

from activities.context import Context
from config.home import Home
from config.settings import Settings
from tests.house.source import ROOT
from worker.main import built_context
from worker.wiring import WORKFLOWS, Activity, host_activities, loop_activities
from workflows import hands


@pytest_asyncio.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    """Everything an activity may reach, but a Temporal service that answers."""
    client = await Client.connect("127.0.0.1:1", lazy=True)
    with built_context(Home(tmp_path / "home"), Settings(), client) as made:
        yield made


def names(activities: Iterable[Activity]) -> list[str]:
    return sorted(one.__name__ for one in activities)


def asked_for() -> dict[str, bool]:
    """Return the activities that workflows ask for, and whether each is sent to the agent's machine."""
    asked: dict[str, bool] = {}
    for function in vars(hands).values():
        if not isinstance(function, FunctionType) or function.__name__.startswith("_"):
            continue
        for call in ast.walk(ast.parse(inspect.getsource(function))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "_do":
                name = cast("ast.Constant", call.args[0]).value
                asked[str(name)] = any(keyword.arg == "host" for keyword in call.keywords)
    return asked


async def test_workers_carry_what_workflows_ask_for_and_nothing_else(context: Context) -> None:
    asked = asked_for()
    assert names(loop_activities(context)) == sorted(name for name, on_host in asked.items() if not on_host)
    assert names(host_activities(context)) == sorted(name for name, on_host in asked.items() if on_host)


def test_an_activity_is_asked_for_by_its_own_name() -> None:
    assert {name: callable(getattr(hands, name, None)) for name in asked_for()} == dict.fromkeys(asked_for(), True)


def test_workers_carry_every_workflow_there_is() -> None:
    written = {
        node.name
        for path in (ROOT / "workflows").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any("defn" in ast.unparse(one) for one in node.decorator_list)
    }
    assert {one.__name__ for one in WORKFLOWS} == written
