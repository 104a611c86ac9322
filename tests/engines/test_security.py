"""Spec 11.1, UpgradeSecurityModel: each check lets the declared pass and stops what goes beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from domain.security import CheckName, SecurityCheck, SecurityPolicy
from engines.security import (
    CHECKS,
    WARNING,
    code_signing,
    dependency_scan,
    network_access,
    permission_scope,
    static_analysis,
    verify,
)
from tests.engines.factories import digest_of, package

HARMLESS = {"plugin.py": "import json\nfrom helpers import tidy\n", "helpers.py": "def tidy(x):\n    return x\n"}
TEXT = package()
LISTED = {TEXT.id: TEXT.digest}
SIGNED = SecurityPolicy(listed=LISTED, signed=(TEXT.digest,))
NOTHING = SecurityPolicy()


def analysed(code: str, **profile: Any) -> list[str]:
    check = static_analysis(package(security_profile=profile), {"plugin.py": code}, NOTHING)
    assert check.passed is not bool(check.findings)
    return [finding.rule for finding in check.findings]


def rules(check: SecurityCheck) -> list[str]:
    return [finding.rule for finding in check.findings]


def test_a_signed_harmless_package_passes_all_five_checks_in_the_specs_order() -> None:
    answer = verify(TEXT, HARMLESS, SIGNED)

    assert answer.passed
    assert [check.name for check in answer.checks] == list(CheckName)
    assert len(CHECKS) == 5
    assert answer.recommendations == ()


def test_one_failed_check_fails_the_whole_and_is_advised_on() -> None:
    answer = verify(TEXT, {"plugin.py": "eval('1')"}, SIGNED)

    assert not answer.passed
    assert [check.passed for check in answer.checks] == [True, False, True, True, True]
    assert len(answer.recommendations) == 1


def test_an_unsigned_package_passes_only_where_that_is_allowed_and_loudly() -> None:
    strict = code_signing(TEXT, {}, SecurityPolicy(listed=LISTED))
    lenient = code_signing(TEXT, {}, SecurityPolicy(listed=LISTED, allow_unsigned=True))

    assert not strict.passed
    assert lenient.passed
    assert [finding.severity for finding in lenient.findings] == [WARNING]
    assert "NOBODY HAS SIGNED" in lenient.findings[0].message


@pytest.mark.parametrize("listed", [{}, {TEXT.id: digest_of("other")}])
def test_files_that_are_not_the_listed_ones_never_pass(listed: dict[str, str]) -> None:
    policy = SecurityPolicy(listed=listed, signed=(TEXT.digest,), allow_unsigned=True)

    assert not code_signing(TEXT, {}, policy).passed


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import subprocess", "subprocess"),
        ("import os\nos.system('x')", "subprocess"),
        ("from os import system as tidy\ntidy('x')", "subprocess"),
        ("import os as quiet\nquiet.popen('x')", "subprocess"),
        ("import socket", "socket"),
        ("from socket import create_connection", "socket"),
        ("import ctypes", "native_code"),
        ("eval('1')", "dynamic_code"),
        ("exec(x)", "dynamic_code"),
        ("run = eval", "dynamic_code"),
        ("__import__('os')", "dynamic_code"),
        ("import importlib\nimportlib.import_module('os')", "dynamic_code"),
        ("import pickle\npickle.loads(x)", "dynamic_code"),
        ("import os\nos.environ['HOME']", "environment"),
        ("from os import getenv\ngetenv('A')", "environment"),
        ("open('a', 'w')", "file_write"),
        ("open('a', mode='ab')", "file_write"),
        ("open('a', mode)", "file_write"),
        ("open('a', **how)", "file_write"),
        ("import io\nio.open('a', 'r+')", "file_write"),
        ("from pathlib import Path\nPath('a').open('w')", "file_write"),
        ("from pathlib import Path\nPath('a').write_text('b')", "file_write"),
        ("import os\nos.remove('a')", "file_write"),
        ("import shutil", "file_write"),
    ],
)
def test_what_code_does_beyond_its_manifest_is_an_error(code: str, rule: str) -> None:
    assert rule in analysed(code)


@pytest.mark.parametrize(
    "code",
    [
        "open('a')",
        "open('a', 'rb')",
        "open('a', mode='r')",
        "import os\nos.path.join('a', 'b')",
        "from pathlib import Path\nPath('a').read_text()",
        "text = 'eval(1)'  # eval",
        "import re\nre.compile('x')",
        "class A:\n    def exec(self): return self.exec()",
    ],
)
def test_harmless_code_is_not_objected_to(code: str) -> None:
    assert analysed(code) == []


@pytest.mark.parametrize(
    ("code", "profile"),
    [
        ("import subprocess", {"subprocess": True}),
        ("import socket", {"network_hosts": ["a.example.org"]}),
        ("import os\nos.environ['A']", {"environment": ["A"]}),
        ("open('a', 'w')", {"write_paths": ["data"]}),
    ],
)
def test_what_the_manifest_declares_is_allowed(code: str, profile: dict[str, Any]) -> None:
    assert analysed(code, **profile) == []


def test_code_built_at_run_time_cannot_be_declared() -> None:
    everything = {"subprocess": True, "network_hosts": ["a"], "environment": ["A"], "write_paths": ["d"]}

    assert analysed("eval('1')", **everything) == ["dynamic_code"]


def test_findings_name_file_and_line() -> None:
    check = static_analysis(TEXT, {"plugin.py": "\n\neval('1')\n"}, NOTHING)

    assert [(finding.file, finding.line) for finding in check.findings] == [("plugin.py", 3)]


@pytest.mark.parametrize("code", ["def (", "\0"])
@pytest.mark.parametrize("check", [static_analysis, dependency_scan, network_access])
def test_a_file_that_cannot_be_parsed_has_not_passed(check: Any, code: str) -> None:
    answer = check(TEXT, {"plugin.py": code}, NOTHING)

    assert not answer.passed
    assert rules(answer) == ["unparsable"]


def test_only_the_standard_library_and_own_files_may_be_imported() -> None:
    sources = {
        "plugin.py": "import json, requests\nfrom parts.one import x\nfrom . import helpers\nimport helpers",
        "helpers.py": "",
        "parts/one.py": "import numpy.linalg",
    }
    check = dependency_scan(TEXT, sources, NOTHING)

    assert [(finding.file, finding.message.split()[2]) for finding in check.findings] == [
        ("parts/one.py", "numpy.linalg"),
        ("plugin.py", "requests"),
    ]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secrets", "a/../../b", "~/x", "C:\\Windows", "\\\\server\\share", "a\\..\\b"]
)
def test_a_path_outside_the_plugins_folder_is_refused_on_every_system(path: str) -> None:
    asked = package(security_profile={"read_paths": [path]})

    assert rules(permission_scope(asked, {}, NOTHING)) == ["path"]


def test_permissions_must_be_within_the_policy() -> None:
    asked = package(security_profile={"permissions": ["clipboard"], "subprocess": True, "write_paths": ["data/out"]})

    assert rules(permission_scope(asked, {}, NOTHING)) == ["permission", "subprocess"]
    assert permission_scope(asked, {}, SecurityPolicy(permissions=("clipboard",), subprocess=True)).passed


@pytest.mark.parametrize(
    ("host", "passed"),
    [
        ("api.example.org", True),
        ("API.example.org:443", True),
        ("example.com", False),
        ("api.example.org:80", False),
        ("api.example.org:8443", True),
    ],
)
def test_hosts_must_be_within_the_policy(host: str, passed: bool) -> None:
    asked = package(security_profile={"network_hosts": [host]})

    policy = SecurityPolicy(network_hosts=("*.example.org", "*.example.org:8443"))
    assert network_access(asked, {}, policy).passed is passed


def test_network_code_needs_hosts() -> None:
    sources = {"plugin.py": "from urllib.request import urlopen"}
    named = package(security_profile={"network_hosts": ["a.example.org"]})

    assert rules(network_access(TEXT, sources, NOTHING)) == ["undeclared_network"]
    assert network_access(named, sources, SecurityPolicy(network_hosts=("a.example.org",))).passed
