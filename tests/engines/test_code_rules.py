"""Spec 11.1, static analysis: which dangerous things code does, whatever it calls them."""

from __future__ import annotations

import pytest

from engines.code_rules import imported, uses


def rules(code: str) -> list[str]:
    return [use.rule for use in uses("plugin.py", code)]


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import subprocess", "subprocess"),
        ("import multiprocessing.pool", "subprocess"),
        ("from asyncio import create_subprocess_exec", "subprocess"),
        ("import os\nos.popen('x')", "subprocess"),
        ("import asyncio\nasyncio.open_connection('a', 1)", "socket"),
        ("import socket as quiet", "socket"),
        ("import ctypes", "native_code"),
        ("from pickle import loads", "dynamic_code"),
        ("x = {'run': eval}", "dynamic_code"),
        ("__builtins__['eval']", "dynamic_code"),
        ("from os import *", "dynamic_code"),
        ("import os\ngetattr(os, 'system')('x')", "subprocess"),
        ("import os as quiet\ngetattr(quiet, 'sys' + 'tem')('x')", "dynamic_code"),
        ("import sys\nsys.modules['os'].system('x')", "dynamic_code"),
        ("import os\nos.environ.get('A')", "environment"),
        ("import os\nos.getenv('A')", "environment"),
        ("open('a', 'x')", "file_write"),
        ("import gzip\ngzip.open('a', 'wb')", "file_write"),
        ("import tarfile\ntarfile.open('a', 'w:gz')", "file_write"),
        ("import codecs\ncodecs.open('a', mode='w')", "file_write"),
        ("import os\nos.open('a', os.O_RDWR)", "file_write"),
        ("import zipfile\nzipfile.ZipFile('a').open('b', 'w')", "file_write"),
        ("def f(path): path.open('r+')", "file_write"),
        ("def f(path, how): path.open(how)", "file_write"),
        ("def f(path, how): path.open(**how)", "file_write"),
        ("def f(path): path.unlink()", "file_write"),
        ("import sqlite3", "file_write"),
    ],
)
def test_a_dangerous_thing_is_seen(code: str, rule: str) -> None:
    assert rule in rules(code)


@pytest.mark.parametrize(
    "code",
    [
        "open('wax')",
        "open('a', 'r', 1)",
        "import gzip\ngzip.open('wax.gz')",
        "import gzip\ngzip.open('a', 'rb')",
        "import tarfile\ntarfile.open('wax.tar', 'r:gz')",
        "import zipfile\nzipfile.ZipFile('a').open('wax.txt')",
        "def f(path): path.open()",
        "def f(path): path.open('rb')",
        "def f(path): path.open('r', 1)",
        "import os\nos.getcwd()",
        "import os\ngetattr(os, 'getcwd')()",
        "def f(thing, name): return getattr(thing, name)",
        "class Model:\n    def eval(self): ...\nModel().eval()",
        "# import subprocess",
    ],
)
def test_a_harmless_twin_is_not(code: str) -> None:
    assert rules(code) == []


def test_a_use_says_what_it_is_and_where() -> None:
    (use,) = uses("lib/work.py", "import os\n\n\nos.system('x')\n")

    assert use == ("subprocess", "use of os.system", "lib/work.py", 4)


def test_uses_come_in_the_order_of_their_lines() -> None:
    found = list(uses("plugin.py", "def f():\n    eval('1')\nimport socket\n"))

    assert [use.line for use in found] == [2, 3]


def test_imports_are_top_level_modules_and_relative_ones_are_the_packages_own() -> None:
    code = "import os.path, json\nfrom xml.dom import minidom\nfrom . import a\nfrom .b import c\n"

    assert [use.rule for use in imported("plugin.py", code)] == ["os", "json", "xml"]


def test_a_file_that_cannot_be_parsed_does_nothing_here() -> None:
    assert rules("def broken(:") == []
    assert list(imported("plugin.py", "def broken(:")) == []
