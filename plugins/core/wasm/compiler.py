"""Spec 3.1, the cell of the tier wasm - decides how it is built: once for each system, not for each plugin.

    python -I compiler.py FOLDER

Rules:
- Python itself, its standard library and the house's runtime become one WebAssembly component (componentize-py), and
  that becomes machine code (wasmtime). A plugin is data to it, so a new plugin compiles nothing.
- Machine code asks of the processor no more than every one of its kind has: a home may move to another computer.
- It runs in a process of its own, which may take what it needs and can be ended.

Not here: when it is built, and where it is kept (`cells.py`).
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CORE = Path(__file__).resolve().parents[1]
RUNTIME = ("runtime.py", "lean_json.py", "answers.py", "asking.py", "fetching.py")
SOURCES = ("__init__.py", *RUNTIME, "wasm/__init__.py", "wasm/guest.py")
WIT = "wasm/plugin.wit"
COMPONENT = "cell.wasm"
CODE = "cell.cwasm"
TARGETS = {
    ("linux", "x86_64"): "x86_64-unknown-linux-gnu",
    ("linux", "aarch64"): "aarch64-unknown-linux-gnu",
    ("win32", "amd64"): "x86_64-pc-windows-msvc",
    ("darwin", "x86_64"): "x86_64-apple-darwin",
    ("darwin", "arm64"): "aarch64-apple-darwin",
}
COMPONENTIZE = "import sys, componentize_py; sys.exit(componentize_py.script())"


def componentize(target: Path) -> None:
    """Make the component from copies of the sources, which the cell will not see again."""
    with tempfile.TemporaryDirectory(dir=target.parent) as place:
        for name in SOURCES:
            copy = Path(place, "plugins", "core", name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CORE / name, copy)
        world = ["-d", str(CORE / WIT), "-w", "plugin", "componentize", "plugins.core.wasm.guest"]
        argv = [sys.executable, "-I", "-c", COMPONENTIZE, "-q", *world, "-p", place, "-o", str(target)]
        needed = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
        subprocess.run(argv, check=True, env=needed)


def compile_component(component: Path, target: Path) -> None:
    """Make machine code of the component."""
    from wasmtime import Config, Engine
    from wasmtime.component import Component

    config = Config()
    config.epoch_interruption = True
    triple = TARGETS.get((sys.platform, platform.machine().lower()))
    if triple is not None:
        config.target = triple
    target.write_bytes(Component.from_file(Engine(config), str(component)).serialize())


def main(arguments: list[str]) -> None:
    """Build the cell into a folder."""
    folder = Path(arguments[0])
    componentize(folder / COMPONENT)
    compile_component(folder / COMPONENT, folder / CODE)
    (folder / COMPONENT).unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
