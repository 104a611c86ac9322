"""Spec 1.2, anti-pattern: each rule sees the flaw, and is silent about its clean twin."""

from __future__ import annotations

import pytest

from domain.patterns import PatternType
from engines.anti_patterns import (
    MAX_BRANCHES,
    MAX_METHODS,
    MAX_NESTING,
    MAX_PARAMETERS,
    MAX_STATEMENTS,
    RULES,
    find_anti_patterns,
)
from tests.engines.sources import parsed


def nested(depth: int) -> str:
    lines = ["def f(a):", *(f"{'    ' * level}if a > {level}:" for level in range(1, depth + 1))]
    return "\n".join([*lines, f"{'    ' * (depth + 1)}a = 0"])


def statements(count: int) -> str:
    return "def f():\n" + "\n".join(f"    x{number} = {number}" for number in range(count))


def parameters(count: int, first: str = "") -> str:
    names = ", ".join([*([first] if first else []), *(f"p{number}" for number in range(count))])
    return f"def f({names}): ..."


def branches(count: int) -> str:
    return "def f(a):\n" + "\n".join(f"    if a == {number}: a = 0" for number in range(count))


def methods(count: int, decorator: str = "") -> str:
    lines = [f"    {decorator}\n    def m{number}(self): ..." for number in range(count)]
    return "class A:\n" + "\n".join(lines)


FLAWED = [
    ("long_function", statements(MAX_STATEMENTS + 1)),
    ("long_parameter_list", parameters(MAX_PARAMETERS + 1)),
    ("long_parameter_list", f"class A:\n    {parameters(MAX_PARAMETERS + 1, 'self')}"),
    ("long_parameter_list", "def f(a, b, /, c, d, *, e, g, h): ..."),
    ("deep_nesting", nested(MAX_NESTING + 1)),
    ("complex_function", branches(MAX_BRANCHES)),
    (
        "complex_function",
        "def f(a):\n    return " + " or ".join(f"a == {number}" for number in range(MAX_BRANCHES + 1)),
    ),
    ("god_class", methods(MAX_METHODS + 1)),
    ("god_class", methods(MAX_METHODS + 1, "@staticmethod")),
    ("swallowed_exception", "def f():\n    try: g()\n    except: pass"),
    ("swallowed_exception", "def f():\n    try: g()\n    except Exception: ..."),
    ("swallowed_exception", "def f():\n    for x in y:\n        try: g()\n        except BaseException as e: continue"),
    ("swallowed_exception", "def f():\n    try: g()\n    except (ValueError, Exception):\n        'never mind'"),
    ("swallowed_exception", "try:\n    import fast\nexcept:\n    pass"),
    ("swallowed_exception", "class A:\n    try: x = g()\n    except Exception: pass"),
    ("mutable_default", "def f(a=[]): ..."),
    ("mutable_default", "def f(*, a={}): ..."),
    ("mutable_default", "def f(a=dict(b=1)): ..."),
    ("mutable_default", "async def f(a=list()): ..."),
    ("mutable_default", "def f(a=[b for b in c]): ..."),
    ("evaluated_text", "def f(a): return eval(a)"),
    ("evaluated_text", "exec('x = 1')"),
    ("sql_from_parts", "def f(db, a): db.execute(f'SELECT * FROM t WHERE a = {a}')"),
    ("sql_from_parts", "def f(db, a): db.execute('delete from t where a = ' + a)"),
    ("sql_from_parts", "def f(db, a): db.executemany('INSERT INTO %s VALUES (1)' % a, [])"),
    ("sql_from_parts", "def f(db, a): db.execute('UPDATE {} SET a = 1'.format(a))"),
    ("blocking_in_async", "import time\nasync def f(): time.sleep(1)"),
    ("blocking_in_async", "from time import sleep as wait\nasync def f(): wait(1)"),
    ("blocking_in_async", "import requests\nasync def f(): return requests.get('http://a')"),
    ("unreachable_code", "def f():\n    return 1\n    g()"),
    ("unreachable_code", "def f():\n    for a in b:\n        break\n        g()"),
    ("unreachable_code", "def f():\n    try: g()\n    except ValueError:\n        raise\n        h()"),
    ("unreachable_code", "for a in b:\n    continue\n    g()"),
]

CLEAN = [
    ("long_function", statements(MAX_STATEMENTS)),
    ("long_parameter_list", parameters(MAX_PARAMETERS)),
    ("long_parameter_list", f"class A:\n    {parameters(MAX_PARAMETERS, 'self')}"),
    ("deep_nesting", nested(MAX_NESTING)),
    ("deep_nesting", "def f(a):\n    if a == 0: x()\n" + "\n".join(f"    elif a == {n}: x()" for n in range(1, 9))),
    ("deep_nesting", "def f():\n" + "\n".join(f"{'    ' * level}def f{level}():" for level in range(1, 7)) + " ..."),
    ("complex_function", branches(MAX_BRANCHES - 1)),
    ("god_class", methods(MAX_METHODS)),
    ("god_class", methods(MAX_METHODS + 5, "@property")),
    ("god_class", methods(MAX_METHODS + 5, "@m.setter")),
    ("god_class", methods(MAX_METHODS + 5, "@typing.overload")),
    ("swallowed_exception", "def f():\n    try: g()\n    except ValueError: pass"),
    ("swallowed_exception", "def f():\n    try: g()\n    except Exception as e: log(e)"),
    ("swallowed_exception", "def f():\n    try: g()\n    except (KeyError, ValueError): pass"),
    ("mutable_default", "def f(a=(), b=None, c=1, d=frozenset()): ..."),
    ("evaluated_text", "import ast\ndef f(a): return ast.literal_eval(a)"),
    ("evaluated_text", "def f(model): return model.eval()"),
    ("sql_from_parts", "def f(db, a): db.execute('SELECT * FROM t WHERE a = ?', (a,))"),
    ("sql_from_parts", "def f(db): db.execute('SELECT a ' + 'FROM t')"),
    ("sql_from_parts", "def f(db): db.execute(f'SELECT 1')"),
    ("sql_from_parts", "def f(shell, a): shell.execute(f'show me {a}')"),
    ("sql_from_parts", "def f(db, query): db.execute(query)"),
    ("blocking_in_async", "import time\ndef f(): time.sleep(1)"),
    ("blocking_in_async", "import asyncio\nasync def f(): await asyncio.sleep(1)"),
    ("blocking_in_async", "import time\nasync def f():\n    def g(): time.sleep(1)\n    await run(g)"),
    ("unreachable_code", "def f(a):\n    if a:\n        return 1\n    g()"),
    ("unreachable_code", "def empty():\n    return\n    yield"),
]


def rules_of(code: str) -> list[str]:
    return [finding.rule for finding in find_anti_patterns(parsed(code))]


@pytest.mark.parametrize(("rule", "code"), FLAWED)
def test_a_flaw_is_found_once(rule: str, code: str) -> None:
    assert rules_of(code).count(rule) == 1


@pytest.mark.parametrize(("rule", "code"), CLEAN)
def test_its_clean_twin_is_not_objected_to(rule: str, code: str) -> None:
    assert rule not in rules_of(code)


def test_every_rule_has_a_flawed_and_a_clean_example() -> None:
    assert {rule for rule, _ in FLAWED} == {rule for rule, _ in CLEAN} == RULES.keys()


def test_what_stands_in_an_inner_scope_is_told_of_that_one_only() -> None:
    (finding,) = find_anti_patterns(
        parsed("class A:\n    def f(self):\n        def g():\n            eval('1')\n        return g")
    )

    assert (finding.locations[0].symbol, finding.locations[0].start_line) == ("A.f.g", 4)


def test_what_stands_outside_of_functions_is_told_of_the_file() -> None:
    (finding,) = find_anti_patterns(parsed("eval('1')", "agent/start.py"))

    assert finding.locations[0].symbol == ""
    assert finding.title == "agent/start.py runs text as code with eval()"


def test_findings_come_in_the_order_of_their_lines_and_name_what_they_are() -> None:
    found = find_anti_patterns(parsed("def b(a=[]): ...\n\n\ndef a(b={}):\n    eval(b)\n"))

    assert [(one.locations[0].start_line, one.rule) for one in found] == [
        (1, "mutable_default"),
        (4, "mutable_default"),
        (5, "evaluated_text"),
    ]
    assert {one.type for one in found} == {PatternType.ANTI_PATTERN}
