"""Spec 10.1, configuration files - decides how a YAML file is read and how its mistakes are told.

Rules:
- A mistake names the file, the line and the full dotted key, what stands there and what is expected.
- An unknown key is refused, and the nearest known key is named.
- A key written twice is refused; the last one does not silently win.

Not here: which keys there are (`config/settings.py`, `config/rollouts.py`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from domain.errors import ConfigurationInvalid

Location = tuple[int | str, ...]
"""Where in a document: keys and list positions, outermost first."""

_SHOWN = 80

_WANTED = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "model_type": "expected a mapping of keys to values",
    "dict_type": "expected a mapping of keys to values",
    "int_from_float": "expected a whole number",
    "int_parsing": "expected a whole number",
    "float_parsing": "expected a number",
    "tuple_type": "expected a list",
}


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        """Build a mapping whose keys are distinct texts."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be plain text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Document:
    """One YAML file as it was read.

    Attributes:
        path: where it lies.
        data: its content.
        node: its content with line numbers; None for an empty file.
    """

    path: Path
    data: Any
    node: yaml.Node | None

    def section(self, root: str) -> dict[str, Any]:
        """Return what stands under the one key at the top.

        Raises:
            ConfigurationInvalid: the key is missing, is not the only one, or holds no mapping.
        """
        if not isinstance(self.data, dict) or root not in self.data:
            raise ConfigurationInvalid(
                f"{self.path} does not start with the key {root!r}.",
                hint=f"Put everything under one top-level key `{root}:`, as in the file that is shipped.",
            )
        if others := sorted(str(key) for key in self.data if key != root):
            raise ConfigurationInvalid(
                f"Unknown key {others[0]!r} at the top of {self.path}{self.at((others[0],))}.",
                hint=f"The only key at the top is `{root}`; move what is meant below it.",
            )
        content = {} if self.data[root] is None else self.data[root]
        if not isinstance(content, dict):
            raise ConfigurationInvalid(
                f"{self.path}: {root} is {shown(content)}; expected a mapping of keys to values."
            )
        return content

    def at(self, location: Location) -> str:
        """Return `, line N` for the deepest part of a location that is in the file, or nothing."""
        mark = None
        node = self.node
        for part in location:
            step = _child(node, part)
            if step is None:
                break
            node, line = step
            mark = line
        return "" if mark is None else f", line {mark}"


def read(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigurationInvalid: there is no such file, it cannot be read, or it is not YAML; with the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigurationInvalid(f"There is no file {path}.", hint="Check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationInvalid(f"{path} is not UTF-8 text: {error.reason}.", hint="Save it as UTF-8.") from error
    except OSError as error:
        raise ConfigurationInvalid(
            f"{path} cannot be read: {error.strerror}.", hint="Check its permissions."
        ) from error
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _not_yaml(path, text, error) from error
    finally:
        if loader is not None:
            loader.dispose()
    return Document(path, data, node)


def explain(
    error: ValidationError, place: Callable[[Location], str], known: Iterable[str], prefix: str = ""
) -> ConfigurationInvalid:
    """Turn a model's complaint into one that a person can act on.

    Args:
        error: what the model refused.
        place: names the file (and line) or the variable that a location came from.
        known: every dotted key there is, to name the nearest one.
        prefix: key that stands before every location, with its dot.
    """
    keys = tuple(known)
    found = [_complaint(detail, place, keys, prefix) for detail in error.errors(include_url=False)]
    messages = [message for message, _ in found]
    hints = [hint for _, hint in found if hint]
    return ConfigurationInvalid(
        "\n".join(messages), hint="\n".join(dict.fromkeys(hints)), details={"mistakes": [*messages]}
    )


def dotted(location: Sequence[int | str]) -> str:
    """Return a location as people write it: `stages[0].duration`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(key: str, known: Sequence[str]) -> str | None:
    """Return the known key that was most likely meant, or None if none is near.

    The same last word elsewhere in the tree comes first, then the closest neighbour, then the closest path of all.
    """
    parent, _, leaf = key.rpartition(".")
    moved = [name for name in known if name.rpartition(".")[2] == leaf]
    if moved:
        return moved[0]
    beside = {name.rpartition(".")[2]: name for name in known if name.rpartition(".")[0] == parent}
    if close := difflib.get_close_matches(leaf, beside, n=1):
        return beside[close[0]]
    elsewhere = [name for name in known if not key.startswith(f"{name}.")]
    return next(iter(difflib.get_close_matches(key, elsewhere, n=1)), None)


def shown(value: object) -> str:
    """Return a value as it is quoted in a message, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _complaint(
    detail: ErrorDetails, place: Callable[[Location], str], known: Sequence[str], prefix: str
) -> tuple[str, str]:
    location = detail["loc"]
    key, where = dotted(location), place(location)
    if detail["type"] == "extra_forbidden":
        near = nearest(key, known)
        advice = f"the nearest known key is {prefix}{near}" if near else _neighbours(key, known)
        return f"Unknown key {prefix}{key} in {where}; {advice}.", "Rename the key or take it out."
    if detail["type"] == "missing":
        return f"{prefix}{key} is missing in {where}.", ""
    said = detail["msg"].removeprefix("Value error, ").replace("Input should be", "expected", 1)
    wanted = _WANTED.get(detail["type"], said)
    if not location:
        return f"{where}: {wanted}.", ""
    return f"{prefix}{key} in {where} is {shown(detail['input'])}: {wanted}.", ""


def _neighbours(key: str, known: Sequence[str]) -> str:
    parent = key.rpartition(".")[0]
    names = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == parent]
    return f"known keys there: {', '.join(names)}" if names else "there are no keys there"


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        value = node.value[part]
        return value, value.start_mark.line + 1
    return None


def _not_yaml(path: Path, text: str, error: Exception) -> ConfigurationInvalid:
    line, problem = "", str(error) or type(error).__name__
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line, problem = f", line {error.problem_mark.line + 1}", error.problem or problem
    elif isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, problem = f", line {before.count(chr(10)) + 1}", f"the character {error.character!r} is not allowed"
    return ConfigurationInvalid(
        f"{path}{line} cannot be read as YAML: {problem}.", hint="Mend the line; indent with spaces, not tabs."
    )
