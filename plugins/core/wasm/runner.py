"""Spec 3.1, the process around a cell - decides what goes in and out of it, and when it is stopped.

Rules:
- To the house it is a plugin's process like any other: the same pipe, the same messages, the same endings.
- The plugin has the cell and nothing of this process: its own package to read, the time, random numbers, stderr;
  no other file, no socket, no environment, no more memory than its contract says.
- A call that is given up is interrupted where it stands, and a new cell takes the place of the old one. Whatever
  else stops the cell ends the process.
- One call runs at a time. The cell is kept from call to call, as a process would be.

Not here: the plugin's side of the cell (`guest.py`).
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any

from wasmtime import Config, Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import Component, Linker

from plugins.core.runtime import Server, take_channel
from plugins.core.walls import contain

PACKAGE = "/plugin"
"""Where the plugin finds its package."""
OWN_MEMORY_MB = 192
"""What the process needs beside the cell's memory: its own Python, and the machine code."""


class PluginFailed(Exception):
    """The plugin's own code could not be imported, or a hook of it failed; the message is its traceback."""


class Cell:
    """A cell with a plugin in it.

    Args:
        code: the machine code.
        folder: the plugin's package.
        memory_mb: what the plugin may use.
        runner: takes what the plugin says and asks.
    """

    def __init__(self, code: str, folder: str, memory_mb: int, runner: Runner) -> None:
        config = Config()
        config.epoch_interruption = True
        self._engine = Engine(config)
        self._component = Component.deserialize_file(self._engine, code)
        self._linker = Linker(self._engine)
        self._linker.add_wasip2()
        with self._linker.root() as root:
            root.add_func("write", lambda _, line: runner.pass_on(line))
            root.add_func("ask", lambda _, line: runner.ask(line))
        self._folder = folder
        self._memory = memory_mb << 20
        self._start()

    def renew(self) -> None:
        """Put a new cell in the place of one that was stopped."""
        self._start()
        self.hook("on_start")

    def hook(self, name: str) -> None:
        """Run one of the manifest's lifecycle hooks.

        Raises:
            PluginFailed: it failed.
        """
        if told := self._enter("hook", name):
            raise PluginFailed(told)

    def serve(self, line: str) -> None:
        """Answer one request."""
        self._enter("serve", line)

    def interrupt(self) -> None:
        """Stop what the cell does now; may be called from another thread."""
        self._engine.increment_epoch()

    def _start(self) -> None:
        wasi = WasiConfig()
        wasi.preopen_dir(self._folder, PACKAGE, False)
        wasi.inherit_stdout()  # which is stderr by now
        wasi.inherit_stderr()
        self._store = Store(self._engine)
        self._store.set_limits(memory_size=self._memory)
        self._store.set_wasi(wasi)
        self._store.set_epoch_deadline(1)
        self._instance = self._linker.instantiate(self._store, self._component)
        if told := self._enter("start", PACKAGE):
            raise PluginFailed(told)

    def _enter(self, name: str, argument: str) -> str | None:
        self._store.set_epoch_deadline(1)
        function = self._instance.get_func(self._store, name)
        assert function is not None
        result: str | None = function(self._store, argument)
        function.post_return(self._store)
        return result


class Runner(Server):
    """Hands requests to the cell, one after the other, and what it says to the host."""

    def __init__(self, requests: Any, answers: Any) -> None:
        super().__init__(requests, answers)
        self.web = self
        self._deciding = threading.Lock()
        self._current: Any = None
        self._cell: Any = None
        self._interrupted = False
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()

    def serve(self, plugin: Any, message: dict[str, Any]) -> None:
        """Let the cell answer a request, and replace it if it was interrupted at that."""
        with self._deciding:
            self._current, self._cell, self._interrupted = message["id"], plugin, False
        try:
            plugin.serve(json.dumps(message))
        except WasmtimeError:
            if not self._interrupted:
                raise
            plugin.renew()
        finally:
            with self._deciding:
                self._cell = None

    def cancel(self, identifier: Any) -> None:
        """Forget a request that waits, or stop the cell if it is at it."""
        self.waiting.discard(identifier)
        with self._deciding:
            if self._cell is not None and identifier == self._current:
                self._interrupted = True
                self._cell.interrupt()

    def pass_on(self, line: str) -> None:
        """Hand a message of the plugin to the host."""
        self.answers.write(line.rstrip("\n").encode())

    def ask(self, line: str) -> str:
        """Hand a request of the plugin to the host, and wait for the answer."""
        self.pass_on(line)
        return self._heard.get()

    def answered(self, message: dict[str, Any]) -> None:
        """Take an answer of the host."""
        self._heard.put(json.dumps(message))


def main(arguments: list[str]) -> None:
    """Serve the plugin of a package folder until the end of input."""
    code, folder, memory_mb = arguments[0], arguments[1], int(arguments[2])
    contain({"memory_mb": memory_mb + OWN_MEMORY_MB, "disk_mb": 1, "shared": False})
    runner = Runner(*take_channel())
    threading.Thread(target=runner.read, name="reader", daemon=True).start()
    try:
        cell: Any = Cell(code, folder, memory_mb, runner)
        runner.work(cell)
    except BaseException as error:  # without its cell the process is of no use
        sys.stderr.write(f"{told_of(error)}\n")
        sys.stderr.flush()
        os._exit(1)


def told_of(error: BaseException) -> str:
    """Return what a plugin's author can make something of: of a stopped cell, why, and not where."""
    if isinstance(error, WasmtimeError):
        return f"The cell was stopped: {str(error).rpartition('Caused by:')[2].strip()}"
    return str(error) if isinstance(error, PluginFailed) else repr(error)
