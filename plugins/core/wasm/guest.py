"""Spec 3.1, the plugin's side of the tier wasm - decides how a plugin's code is served inside its cell.

Rules:
- It runs in the cell's own Python, with the cell's own copy of the standard library, imported when the cell
  was built: there are no files to import it from later. What is not there cannot be had.
- A plugin is served by the very code that serves it in a process of its own (`runtime.py`), line for line; here the
  pipe is a function of the process around the cell, and nothing else of that process can be reached.
- There are no threads. A coroutine runs to its end on a loop without sockets before the next call begins.
- A sleep is cut into slices, between which the cell can be interrupted.

Not here: the process around it (`runner.py`), how the cell is built (`compiler.py`).
"""

from __future__ import annotations

import asyncio
import importlib
import io
import json
import pkgutil
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import wit_world

from plugins.core import asking, fetching, runtime

NOT_FOR_PLUGINS = frozenset(
    {"antigravity", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "this", "tkinter", "turtle", "turtledemo"}
    | {"venv"}
)
BEFORE_THE_PLUGIN = frozenset({"importlib", "os", "sys", "time"})
"""What a plugin's own files cannot take the place of in a process, either: `runtime.py` has imported it before."""
SLICE_SECONDS = 0.05

_sleep = time.sleep


def sleep(seconds: float) -> None:
    """Sleep in slices."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        _sleep(min(left, SLICE_SECONDS))


class Clock:
    """What a loop without sockets waits on: the time."""

    def select(self, timeout: float | None) -> list[Any]:
        """Wait; nothing but time ever comes."""
        if timeout is None:
            raise RuntimeError("the coroutine waits for something that cannot happen here")
        sleep(timeout)
        return []


class Loop(asyncio.BaseEventLoop):
    """Runs coroutines that wait for one another and for the time."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = Clock()

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: there are no events."""

    def _write_to_self(self) -> None:
        """Do nothing: there is no other thread to be woken by."""


class Coroutines:
    """Runs a coroutine to its end.

    Args:
        answers: takes what it returns (`answers.Answers`).
    """

    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self._loop = Loop()

    def answer(self, identifier: Any, value: Any) -> None:
        """Run a method, and send what comes of it."""
        try:
            outcome = self.finish(value)
        except BaseException as error:  # SystemExit, too, is one call's failure
            self._answers.reply_failure(identifier, error)
        else:
            self._answers.reply_result(identifier, outcome)

    def finish(self, value: Any) -> Any:
        """Run a method or a hook."""
        asyncio.set_event_loop(self._loop)
        return self._loop.run_until_complete(value)


class Pipe(io.BytesIO):
    """The way out of the cell."""

    def write(self, line: Any) -> int:
        """Hand a message to the process around the cell."""
        wit_world.write(line.decode())
        return len(line)


class Guest(runtime.Server):
    """Serves one plugin."""

    def __init__(self, folder: str) -> None:
        super().__init__(io.BytesIO(), Pipe())
        manifest = runtime.read_json(folder, "manifest.json")
        make_room(folder, f"{folder}/{runtime.SITE}")
        self._coroutines = Coroutines(self.answers)
        if manifest.get("security_profile", {}).get("network_hosts"):
            self.web = fetching.Fetching(self._ask)
        self.plugin = runtime.Plugin(folder, manifest)

    def awaited(self) -> Coroutines:
        """Return what runs coroutines."""
        return self._coroutines

    def _ask(self, message: dict[str, Any]) -> None:
        self.web.answered(json.loads(wit_world.ask(json.dumps(message))))


class WitWorld:
    """What the process around the cell calls (`plugin.wit`); it is made anew for every call."""

    guest: ClassVar[Guest]

    def start(self, folder: str) -> str:
        """Import the plugin, which finds no module of the house's and no numbers that were drawn before."""
        forget("plugins")
        random.seed()
        return failure_of(lambda: setattr(WitWorld, "guest", Guest(folder)))

    def hook(self, name: str) -> str:
        """Run one of the manifest's lifecycle hooks."""
        return failure_of(lambda: self.guest.settle(self.guest.plugin.hook(name)))

    def serve(self, line: str) -> None:
        """Answer one request."""
        self.guest.serve(self.guest.plugin, json.loads(line))


def failure_of(work: Callable[[], None]) -> str:
    """Do something and return how it failed, nothing when it did not."""
    try:
        work()
    except BaseException:  # SystemExit, too
        return traceback.format_exc()
    return ""


def make_room(*folders: str) -> None:
    """Forget modules of the library that a plugin brings along under the same name."""
    names = {path.name.removesuffix(".py") for folder in folders for path in Path(folder).glob("*")}
    for name in names - BEFORE_THE_PLUGIN:
        forget(name)


def forget(name: str) -> None:
    """Forget a module and all beneath it."""
    for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[module]


def library() -> Iterator[str]:
    """Yield the modules of the standard library, packages before what is in them."""
    for name in sorted(sys.stdlib_module_names - NOT_FOR_PLUGINS):
        yield name
        for inside in pkgutil.walk_packages(getattr(sys.modules.get(name), "__path__", ()), f"{name}."):
            if not {"__main__", "test", "tests"} & set(inside.name.split(".")):
                yield inside.name


def take_in() -> None:
    """Import everything of the standard library that there is in the cell."""
    for name in library():
        try:
            importlib.import_module(name)
        except BaseException:  # what cannot be imported here cannot be used here
            forget(name)


take_in()
vars(time).update(sleep=sleep)
vars(runtime).update(beside={"asking": vars(asking), "fetching": vars(fetching)}.__getitem__)
