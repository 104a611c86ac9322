"""Spec 10.1, configure_loop - decides whether settings are found, checked, explained and applied as promised.

Not here: which settings exist (`tests/config/test_settings.py`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import yaml

from config.home import Home
from config.loading import apply_file, check_file, document, known_keys, load_settings, settings_file
from config.settings import CONFIG_FILE_NAME, SHIPPED_FILE
from domain.errors import ConfigurationInvalid


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def own(home: Home, text: str) -> Path:
    return written(home.config / CONFIG_FILE_NAME, text)


def complaint(path: Path) -> ConfigurationInvalid:
    with pytest.raises(ConfigurationInvalid) as caught:
        check_file(path)
    return caught.value


def with_line(text: str) -> str:
    return f"self_upgrading_loop:\n  cycle:\n    {text}\n"


def test_the_shipped_file_is_used_until_the_home_has_one(home: Home) -> None:
    assert settings_file(home) == SHIPPED_FILE
    assert load_settings(home).cycle.interval_minutes == 60

    own(home, with_line("interval_minutes: 5"))

    assert load_settings(home).cycle.interval_minutes == 5


def test_what_a_file_leaves_out_keeps_its_default(home: Home) -> None:
    own(home, "self_upgrading_loop:\n")

    assert load_settings(home) == check_file(SHIPPED_FILE)


def test_the_environment_wins_over_the_file(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    own(home, with_line("interval_minutes: 5"))
    monkeypatch.setenv("UPGRADE_LOOP_CYCLE__INTERVAL_MINUTES", "7.5")

    settings = load_settings(home)

    assert settings.cycle.interval_minutes == 7.5
    assert check_file(home.config / CONFIG_FILE_NAME).cycle.interval_minutes == 5


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("UPGRADE_LOOP_CYCLE__INTERVAL_MINUTES", "soon", "UPGRADE_LOOP_CYCLE__INTERVAL_MINUTES"),
        ("UPGRADE_LOOP_CYCLE__INTERVAL_MINUTE", "5", "the nearest known key is cycle.interval_minutes"),
        ("UPGRADE_LOOP_CICLE__INTERVAL_MINUTES", "5", "UPGRADE_LOOP_CICLE__INTERVAL_MINUTES names no section"),
        ("UPGRADE_LOOP_ROLES", "{owner", "is no JSON: UPGRADE_LOOP_ROLES"),
        ("UPGRADE_LOOP_AGENT__SOURCE_PATHS", "src", "UPGRADE_LOOP_AGENT__SOURCE_PATHS"),
    ],
)
def test_a_wrong_variable_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(ConfigurationInvalid) as caught:
        load_settings(home)

    assert said in caught.value.message


def test_a_mistake_of_the_file_is_blamed_on_the_file_even_where_a_variable_covers_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = own(home, with_line("interval_minutes: soon"))
    monkeypatch.setenv("UPGRADE_LOOP_CYCLE__INTERVAL_MINUTES", "5")

    with pytest.raises(ConfigurationInvalid, match="interval_minutes") as caught:
        load_settings(home)

    assert f"{path}, line 3" in caught.value.message


@pytest.mark.parametrize(
    ("line", "nearest"),
    [
        ("interval_minuts: 5", "self_upgrading_loop.cycle.interval_minutes"),
        ("max_concurrent: 5", "self_upgrading_loop.cycle.max_concurrent_upgrades"),
        ("auto_approve_threshold: 0.9", "self_upgrading_loop.decision.auto_approve_threshold"),
    ],
    ids=["misspelt", "cut short", "in the wrong section"],
)
def test_an_unknown_key_names_the_nearest_one(tmp_path: Path, line: str, nearest: str) -> None:
    path = written(tmp_path / "a.yaml", with_line(line))

    error = complaint(path)

    key = line.partition(":")[0]
    assert error.message == (
        f"Unknown key self_upgrading_loop.cycle.{key} in {path}, line 3; the nearest known key is {nearest}."
    )


def test_an_unknown_key_near_nothing_shows_what_there_is(tmp_path: Path) -> None:
    error = complaint(written(tmp_path / "a.yaml", with_line("zzz: 1")))

    assert "known keys there: enabled, interval_minutes, max_concurrent_upgrades" in error.message


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("interval_minutes: soon", "'soon': expected a number"),
        ("interval_minutes: 0", "0: expected greater than 0"),
        ("interval_minutes: .nan", "nan: expected"),
        ("max_concurrent_upgrades: 1.5", "1.5: expected a whole number"),
        ("enabled: perhaps", "'perhaps': expected true or false"),
        ("enabled: [yes]", "[True]: expected true or false"),
    ],
)
def test_a_wrong_value_says_what_stands_there_and_what_is_expected(tmp_path: Path, line: str, wanted: str) -> None:
    path = written(tmp_path / "a.yaml", with_line(line))

    assert wanted in complaint(path).message
    assert f"{path}, line 3" in complaint(path).message


def test_every_mistake_is_told_not_only_the_first(tmp_path: Path) -> None:
    path = written(tmp_path / "a.yaml", f"{with_line('interval_minutes: soon')}  rollbak: 1\n")

    error = complaint(path)

    assert len(error.message.splitlines()) == 2
    assert error.details["mistakes"] == error.message.splitlines()


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("self_upgrading_loop:\n  cycle: [\n", "line 3", ""),
        ("self_upgrading_loop:\n\tcycle: 1\n", "line 2", "cannot start any token"),
        ("a: 1\nb: 2\na: 3\n", "line 3", "the key 'a' stands twice"),
        ("a: b: c\n", "line 1", "mapping values are not allowed"),
        ("? [1, 2]\n: 3\n", "line 1", "a key must be plain text"),
        ("a: \x07\n", "line 1", "is not allowed"),
        ("a: !!python/object:os.system x\n", "line 1", "could not determine a constructor"),
    ],
    ids=["unclosed", "tab", "twice", "nested", "list as key", "bell", "python object"],
)
def test_what_is_no_yaml_is_told_with_its_line(tmp_path: Path, text: str, line: str, problem: str) -> None:
    path = written(tmp_path / "a.yaml", text)

    message = complaint(path).message

    assert message.startswith(f"{path}, {line} cannot be read as YAML")
    assert problem in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not start with the key 'self_upgrading_loop'"),
        ("- 1\n", "does not start with the key"),
        ("cycle:\n  enabled: true\n", "does not start with the key"),
        ("self_upgrading_loop: 5\n", "self_upgrading_loop is 5; expected a mapping"),
        ("self_upgrading_loop: {}\ncycle: {}\n", "Unknown key 'cycle' at the top"),
        ("self_upgrading_loop:\n  cycle: 5\n", "cycle"),
        ("self_upgrading_loop:\n  5: 5\n", "Unknown key self_upgrading_loop.5"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in complaint(written(tmp_path / "a.yaml", text)).message


def test_a_file_that_is_not_there_or_is_no_text_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")

    assert "There is no file" in complaint(tmp_path / "missing.yaml").message
    assert "is not UTF-8 text" in complaint(binary).message
    assert "cannot be read" in complaint(tmp_path).message


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    text = "self_upgrading_loop:\n  decision:\n    approve_at: 0.9\n    auto_approve_threshold: 0.8\n"

    message = complaint(written(tmp_path / "a.yaml", text)).message

    assert "decision.auto_approve_threshold must not be below decision.approve_at" in message


def test_a_plan_that_is_not_there_is_refused_and_the_known_ones_are_named(home: Home) -> None:
    own(home, "self_upgrading_loop:\n  rollout:\n    plan: speedy\n")

    with pytest.raises(ConfigurationInvalid, match="no rollout plan 'speedy'; known plans: new_capability, standard"):
        load_settings(home)


def test_an_applied_file_is_the_homes_to_the_byte(home: Home, tmp_path: Path) -> None:
    source = written(tmp_path / "new.yaml", f"# mine\n{with_line('interval_minutes: 5')}")

    applied = apply_file(home, source)

    assert (home.config / CONFIG_FILE_NAME).read_bytes() == source.read_bytes()
    assert load_settings(home) == applied


@pytest.mark.parametrize(
    "text", [with_line("interval_minutes: soon"), "a: [", "self_upgrading_loop:\n  rollout:\n    plan: speedy\n"]
)
def test_a_file_that_does_not_pass_changes_nothing(home: Home, tmp_path: Path, text: str) -> None:
    before = own(home, with_line("interval_minutes: 5")).read_bytes()

    with pytest.raises(ConfigurationInvalid):
        apply_file(home, written(tmp_path / "new.yaml", text))

    assert (home.config / CONFIG_FILE_NAME).read_bytes() == before
    assert [path.name for path in home.config.iterdir()] == [CONFIG_FILE_NAME]


def test_a_crash_in_the_middle_of_applying_leaves_the_old_file_whole(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = own(home, with_line("interval_minutes: 5")).read_bytes()

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(ConfigurationInvalid, match="No space left on device"):
        apply_file(home, written(tmp_path / "new.yaml", with_line("interval_minutes: 9")))

    assert (home.config / CONFIG_FILE_NAME).read_bytes() == before
    assert [path.name for path in home.config.iterdir()] == [CONFIG_FILE_NAME]


@pytest.mark.skipif(sys.platform == "win32", reason="a file cannot stand in a folder's place there")
def test_a_home_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    blocked = Home(written(tmp_path / "home", "I am a file"))

    with pytest.raises(ConfigurationInvalid, match="cannot be written"):
        apply_file(blocked, written(tmp_path / "new.yaml", with_line("interval_minutes: 9")))


def test_a_shown_document_can_be_applied_again(home: Home, tmp_path: Path) -> None:
    shown = yaml.safe_dump(document(load_settings(home)))

    assert apply_file(home, written(tmp_path / "shown.yaml", shown)) == load_settings(home)


def test_no_password_is_shown(home: Home) -> None:
    own(
        home,
        "self_upgrading_loop:\n"
        "  store:\n    url: postgresql://loop:secret@db/loop\n"
        "  notifications:\n    webhook_url: https://bot:secret@chat.example/hook?a=1\n",
    )

    shown = yaml.safe_dump(document(load_settings(home)))

    assert "secret" not in shown
    assert "postgresql://loop:***@db/loop" in shown
    assert "https://bot:***@chat.example/hook?a=1" in shown


def test_the_known_keys_are_those_of_every_section() -> None:
    assert {"cycle", "cycle.interval_minutes", "discovery.gap_analysis.enabled", "roles"} <= set(known_keys())
