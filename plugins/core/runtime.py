"""Spec 3.1, the plugin's side of the pipe - decides how a plugin's code is fed calls and how its answers leave it.

    python -I -S runtime.py PACKAGE_FOLDER [LIMITS]

Rules:
- Standard library only and short, so that one person can audit what runs beside foreign code.
- The wire is MCP 2026-07-28 over stdio: one JSON-RPC message a line. Any MCP client of that generation can talk to it.
- The channel is moved away before the plugin's code is imported: a stray `print` goes to stderr, `input` reads nothing.
- Synchronous methods run on the main thread, one at a time, in the order of arrival; asynchronous ones run side by
  side on one event loop of their own thread. A plugin that mixes both guards what they share.
- `ping` is answered by the reading thread even while a method runs; it says "alive", not "free".
- `tools/list` is answered by the threads that run the methods, one after the other: it says "free".
- A method is given what it takes by keyword only: `progress(done, total=None, message="")`; `ask`, which puts a
  question to the person (`asking.py`); `fetch`, which is the network, if the manifest names hosts (`fetching.py`).
- `upgrade_loop/hook` runs one of the manifest's lifecycle hooks, on the thread that runs the methods.
- A manifest with a `command` is a foreign server's: the process becomes that server (`foreign.py`) once its limits are
  set.
- A request that is none is answered with an error; it stops neither the reading nor the plugin.
- At the end of input the running calls may finish, then `on_stop` runs, then the process ends; after
  `LAST_WORDS_SECONDS` it ends whatever still runs, so a plugin never outlives its host.

Not here: the form of answers (`answers.py`), coroutines (`coroutines.py`), the host's side (`channel.py`,
`process.py`), the walls around the process (`sandbox.py`).
"""

from __future__ import annotations

import _queue
import _thread
import importlib
import marshal
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` costs a fifth of the start-up time
    from collections.abc import Callable
    from typing import Any, BinaryIO

PROTOCOL_VERSION = "2026-07-28"
PROTOCOL_KEY = "io.modelcontextprotocol/protocolVersion"
SITE = "_site"
PYC_HEAD = 16
LAST_WORDS_SECONDS = 5.0

INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS = -32600, -32601, -32602
UNSUPPORTED_VERSION = -32022


def beside(name: str) -> dict[str, Any]:
    """Return what a file that lies beside this one defines; the import system would open the whole folder to it."""
    folder, compiled = os.path.dirname(__file__), __file__.endswith(".pyc")  # noqa: PTH120 - pathlib doubles the start-up
    names: dict[str, Any] = {"__name__": name}
    with open(os.path.join(folder, name + (".pyc" if compiled else ".py")), "rb") as file:  # noqa: PTH118, PTH123
        code = marshal.loads(file.read()[PYC_HEAD:]) if compiled else compile(file.read(), f"{name}.py", "exec")  # noqa: S302 - our own
    exec(code, names)  # noqa: S102 - our own
    return names


JSON, ANSWERS = beside("lean_json"), beside("answers")
read_text, shorten = JSON["loads"], ANSWERS["shorten"]


class Refused(Exception):
    """A request that is answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.error = (code, message, data)


def take_channel() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipe to private descriptors; leave nothing to read on 0 and stderr on 1."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing, unused = os.pipe()  # not the null device, which a jail need not have
    os.close(unused)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


def read_json(*parts: str) -> Any:
    """Read one JSON file."""
    with open(os.path.join(*parts), encoding="utf-8") as file:  # noqa: PTH118, PTH123 - pathlib doubles the start-up
        return read_text(file.read())


def describe_tool(folder: str, capability: str, method: dict[str, Any]) -> dict[str, Any]:
    """Return a method as `tools/list` shows it; schemas come from the manifest, else from `contracts/`."""
    name = f"{capability}__{method['name']}"
    schemas = {"input": method.get("input_schema"), "output": method.get("output_schema")}
    if None in schemas.values():
        stated = read_json(folder, "contracts", f"{name}.json")
        schemas = {key: stated[key] if value is None else value for key, value in schemas.items()}
    effects = method.get("side_effects", "unsafe")
    return {
        "name": name,
        "description": method["description"],
        "inputSchema": schemas["input"],
        "outputSchema": schemas["output"],
        "annotations": {"readOnlyHint": effects == "none", "idempotentHint": effects != "unsafe"},
    }


class Plugin:
    """The plugin's code, imported, and what of its manifest it really offers."""

    def __init__(self, folder: str, manifest: dict[str, Any]) -> None:
        self.manifest = manifest
        sys.path[:0] = [folder, f"{folder}{os.sep}{SITE}"]
        self.module = importlib.import_module(self.manifest.get("entry_point", "plugin.py").removesuffix(".py"))
        self.tools: list[dict[str, Any]] = []
        self.functions: dict[str, Callable[..., Any]] = {}
        for interface in self.manifest["provided_interfaces"]:
            provider = self.module.capabilities.get(interface["name"])
            for method in interface["methods"]:
                function = getattr(provider, method["name"], None)
                if callable(function):
                    tool = describe_tool(folder, interface["name"], method)
                    self.tools.append(tool)
                    self.functions[tool["name"]] = function
        asks = any(takes(function, "ask") for function in self.functions.values())
        self.asker: Any = beside("asking")["asker"] if asks else None

    def hook(self, name: str) -> Any:
        """Run a lifecycle hook if the manifest names one; the value may have to be awaited."""
        function = self.manifest.get("lifecycle_hooks", {}).get(name)
        return getattr(self.module, function)() if function else None


class Server:
    """Answers requests: one thread reads, the main thread works, coroutines have a loop of their own."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests = requests
        self.answers: Any = ANSWERS["Answers"](answers, JSON["dumps"])
        self.inbox: _queue.SimpleQueue[dict[str, Any] | None] = _queue.SimpleQueue()
        self.waiting: set[Any] = set()
        self.coroutines: Any = None
        self.web: Any = None

    def read(self) -> None:
        """Read until the end of input; then leave the main thread a little time, and end the process."""
        try:
            for line in self.requests:
                try:
                    self.accept(read_text(line))
                except Exception as error:
                    self.answers.reply_error(None, INVALID_REQUEST, shorten(error))
        finally:
            self.inbox.put(None)
            time.sleep(LAST_WORDS_SECONDS)
            os._exit(0)

    def accept(self, message: dict[str, Any]) -> None:
        """Answer what needs no plugin code at once, and queue the rest."""
        if "method" not in message and self.web is not None:
            self.web.answered(message)
        elif message["method"] == "notifications/cancelled":
            self.cancel(message["params"]["requestId"])
        elif message["method"] == "ping":
            self.answers.reply(message["id"], {"resultType": "complete"})
        elif "id" in message:
            self.waiting.add(message["id"])
            self.inbox.put(message)

    def cancel(self, identifier: Any) -> None:
        """Forget a call that waits, or cancel its coroutine; a running synchronous method cannot be stopped."""
        self.waiting.discard(identifier)
        if self.coroutines is not None:
            self.coroutines.cancel(identifier)

    def work(self, plugin: Plugin) -> None:
        """Serve until the end of input."""
        self.settle(plugin.hook("on_start"))
        while (message := self.inbox.get()) is not None:
            if message["id"] in self.waiting:
                self.waiting.discard(message["id"])
                self.serve(plugin, message)
        while self.coroutines is not None and self.coroutines.running:
            time.sleep(0.01)
        self.settle(plugin.hook("on_stop"))

    def serve(self, plugin: Plugin, message: dict[str, Any]) -> None:
        """Answer one request."""
        params = message.get("params", {})
        try:
            check_version(params)
            if message["method"] == "server/discover":
                self.answers.reply(message["id"], cacheable(discovery(plugin.manifest)))
            elif message["method"] == "tools/list":
                self.list(message["id"], {"tools": plugin.tools})
            elif message["method"] == "tools/call":
                self.call(plugin, message["id"], params)
            elif message["method"] == "upgrade_loop/hook":
                self.settle(plugin.hook(params["name"]))
                self.answers.reply(message["id"], {"resultType": "complete"})
            else:
                raise Refused(UNKNOWN_METHOD, "Method not found", message["method"])
        except Refused as refusal:
            self.answers.reply_error(message["id"], *refusal.error)
        except Exception as error:
            self.answers.reply_error(message["id"], INVALID_REQUEST, shorten(error))

    def list(self, identifier: Any, tools: dict[str, Any]) -> None:
        """Answer `tools/list` through the event loop, if there is one, so that a blocked loop is silent."""
        reply = self.answers.reply if self.coroutines is None else self.coroutines.reply_when_free
        reply(identifier, cacheable(tools))

    def call(self, plugin: Plugin, identifier: Any, params: dict[str, Any]) -> None:
        """Call the plugin; a coroutine is handed to the loop and answered from there."""
        function = plugin.functions.get(params.get("name", ""))
        if function is None:
            raise Refused(INVALID_PARAMS, f"Unknown tool: {params.get('name')}")
        try:
            more = {"progress": self.answers.progress_of(params)} if takes(function, "progress") else {}
            more |= {"ask": plugin.asker(params)} if takes(function, "ask") else {}
            more |= {"fetch": self.web.bound_to(identifier, function)} if self.web and takes(function, "fetch") else {}
            value = function(**params.get("arguments", {}), **more)
        except BaseException as error:  # SystemExit, too, is one call's failure
            self.answers.reply_failure(identifier, error)
            return
        if hasattr(value, "__await__"):
            self.awaited().answer(identifier, value)
        else:
            self.answers.reply_result(identifier, value)

    def settle(self, value: Any) -> None:
        """Wait for a hook that is a coroutine."""
        if hasattr(value, "__await__"):
            self.awaited().finish(value)

    def awaited(self) -> Any:
        """Return what runs coroutines."""
        if self.coroutines is None:
            self.coroutines = beside("coroutines")["Coroutines"](self.answers)
        return self.coroutines


def takes(function: Any, name: str) -> bool:
    """Say whether a method takes an argument by keyword only; `inspect` is slow to import."""
    code = getattr(function, "__code__", None)
    return code is not None and name in code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]


def check_version(params: dict[str, Any]) -> None:
    """Refuse a request that names a protocol generation we do not speak."""
    wanted = params.get("_meta", {}).get(PROTOCOL_KEY, PROTOCOL_VERSION)
    if wanted != PROTOCOL_VERSION:
        data = {"supported": [PROTOCOL_VERSION], "requested": wanted}
        raise Refused(UNSUPPORTED_VERSION, "Unsupported protocol version", data)


def discovery(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to `server/discover`."""
    server = {"io.modelcontextprotocol/serverInfo": {"name": manifest["name"], "version": manifest["version"]}}
    return {"supportedVersions": [PROTOCOL_VERSION], "capabilities": {"tools": {}}, "_meta": server}


def cacheable(answer: dict[str, Any]) -> dict[str, Any]:
    """Add what every cacheable MCP result carries."""
    return {"resultType": "complete", "ttlMs": 0, "cacheScope": "private", **answer}


def main(arguments: list[str]) -> None:
    """Serve the plugin of a package folder until the end of input."""
    folder = os.path.abspath(arguments[0])  # noqa: PTH100 - pathlib doubles the start-up
    manifest = read_json(folder, "manifest.json")
    command = manifest.get("command")
    if sys.platform == "win32":
        beside("runtime_windows")["wait_for_host"]()
    if len(arguments) > 1:
        beside("walls")["contain"](read_text(arguments[1]))
    if command:
        beside("foreign")["become"](command, folder, SITE)
    server = Server(*take_channel())
    if manifest.get("security_profile", {}).get("network_hosts"):
        server.web = beside("fetching")["Fetching"](server.answers.send)
    _thread.start_new_thread(server.read, ())  # `threading` is slow to import
    try:
        server.work(Plugin(folder, manifest))
    except BaseException:  # whatever threads the plugin has left: without this one it is of no use
        sys.excepthook(*sys.exc_info())
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
