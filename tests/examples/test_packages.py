"""The example's plugin packages are packages such as a stranger would publish."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from plugins.core.contracts import checks_of
from plugins.core.packages import read_package
from plugins.core.registry import PluginRegistry, RegistryIndex
from tests.examples.packages import (
    AGENT,
    FOLDERS,
    INSTALLED,
    REGISTRY,
    ROOT,
    Call,
    date_calls,
    document_calls,
    methods_of,
    offered,
    text_calls,
    unit_calls,
)


def name_of(folder: Path) -> str:
    return folder.relative_to(AGENT).as_posix()


@pytest.fixture(params=FOLDERS, ids=name_of)
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_the_example_has_what_its_story_needs() -> None:
    assert {(found.contract.name, found.contract.version) for found in map(read_package, FOLDERS)} == {
        ("dates", "1.0.0"),
        ("documents", "1.0.0"),
        ("documents", "1.1.0"),
        ("text", "1.0.0"),
        ("text", "1.1.0"),
        ("text", "2.0.0-beta.1"),
        ("units", "1.0.0"),
        ("currency", "1.0.0"),
    }


def test_a_package_is_valid_and_has_tests_and_a_page_that_names_its_tools(folder: Path) -> None:
    contract = read_package(folder).contract
    page = (folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert page.startswith(f"# {contract.name} {contract.version}\n")
    assert [tool for tool in map("__".join, checks_of(contract)) if tool not in page] == []
    assert list((folder / "tests").glob("test_*.py"))


def test_every_method_has_golden_calls_that_fit_its_contract_and_are_answered_as_promised(folder: Path) -> None:
    for (capability, method), checks in checks_of(read_package(folder).contract).items():
        assert checks.method.examples, f"{method} has none"
        assert checks.method.repeatable
        for example in checks.method.examples:
            checks.check_arguments(example.arguments)
            result = getattr(methods_of(folder, capability), method)(**example.arguments)
            checks.check_result(result)
            assert example.result is None or result == example.result


def test_the_packages_own_tests_pass() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", str(AGENT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("folder", "calls"),
    [
        (INSTALLED / "text", text_calls),
        (offered("text", "1.1.0"), text_calls),
        (INSTALLED / "documents", document_calls),
        (INSTALLED / "dates", date_calls),
        (offered("units", "1.0.0"), unit_calls),
    ],
    ids=["text-1.0.0", "text-1.1.0", "documents-1.0.0", "dates-1.0.0", "units-1.0.0"],
)
def test_what_users_ask_is_answered_within_the_contract(
    folder: Path, calls: Callable[[Random, int], Iterator[Call]]
) -> None:
    contract = read_package(folder).contract
    checks, tools = checks_of(contract), methods_of(folder, contract.capabilities[0])
    for capability, method, arguments in calls(Random(11), 60):
        checks[capability, method].check_arguments(arguments)
        checks[capability, method].check_result(getattr(tools, method)(**arguments))


def test_the_index_lists_the_packages_as_they_are() -> None:
    index = RegistryIndex.model_validate_json((REGISTRY / "index.json").read_text(encoding="utf-8"))
    assert [(entry.folder, entry.package.digest) for entry in index.entries] == [
        (folder.relative_to(REGISTRY).as_posix(), read_package(folder).digest)
        for folder in FOLDERS
        if folder.is_relative_to(REGISTRY)
    ]


def test_a_copy_of_the_registry_keeps_the_index_it_came_with(tmp_path: Path) -> None:
    shutil.copytree(REGISTRY, tmp_path / "registry", copy_function=shutil.copyfile)
    before = (tmp_path / "registry" / "index.json").read_bytes()
    assert len(PluginRegistry(tmp_path / "registry").entries()) == 5
    assert (tmp_path / "registry" / "index.json").read_bytes() == before
