from __future__ import annotations

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from domain.errors import ConfigurationInvalid, StoreUnusable
from store.connections import connect, look
from store.database import Store, open_store
from store.schema import VERSION_TABLE
from store.tables import metadata
from tests.store.factories import cycle


def open_and_write(url: str, number: int) -> int:
    store = open_store(url)
    store.cycles.put(cycle(number))
    store.close()
    return number


def test_a_fresh_store_answers_and_is_empty(store: Store) -> None:
    store.ping()
    assert store.cycles.list() == []
    assert store.audit.verify().ok


def test_what_was_written_is_there_after_closing_and_opening_again(url: str) -> None:
    first = open_store(url)
    first.cycles.put(cycle())
    first.close()
    second = open_store(url)
    assert second.cycles.get("cycle-1") == cycle()
    second.close()


def test_looking_at_a_database_says_where_it_is_and_makes_none(url: str, sqlite_url: str, tmp_path: Path) -> None:
    assert look(sqlite_url) == ""
    assert list(tmp_path.iterdir()) == []
    open_store(url).close()
    assert look(url)


def test_the_migrations_make_exactly_the_tables_that_the_models_declare(url: str) -> None:
    open_store(url).close()
    engine = connect(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_three_processes_may_open_a_new_database_at_once(url: str) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        assert sorted(pool.map(open_and_write, [url] * 3, range(3))) == [0, 1, 2]
    store = open_store(url)
    assert len(store.cycles.list()) == 3
    store.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    open_store(url).close()
    engine = connect(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(
        StoreUnusable, match=r"made by a newer version \(schema 9999; this one knows up to 0001\)"
    ) as info:
        open_store(url)
    assert "Update this program" in info.value.hint
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar_one() == "9999"
    engine.dispose()


def test_another_programs_sqlite_file_is_refused_and_left_alone(sqlite_url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "loop.db") as connection:
        connection.execute("CREATE TABLE precious (x)")
    connection.close()
    with pytest.raises(StoreUnusable, match="belongs to another program: it holds precious"):
        open_store(sqlite_url)


def test_a_postgresql_database_may_hold_other_tables_but_not_of_our_names(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE precious (x int)")
    open_store(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE {VERSION_TABLE}".encode())
    with pytest.raises(StoreUnusable, match="belongs to another program"):
        open_store(postgres_url)


def test_a_file_that_is_no_database_is_told_with_its_path_and_what_to_do(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "loop.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(StoreUnusable) as info:
        open_store(sqlite_url)
    assert str(path) in info.value.message
    assert "\n" not in info.value.message
    assert "Move the file away" in info.value.hint


def test_a_database_damaged_in_its_middle_is_told_when_the_damage_is_met(sqlite_url: str, tmp_path: Path) -> None:
    store = open_store(sqlite_url)
    for number in range(300):
        store.cycles.put(cycle(number))
    store.close()
    overwrite_root_page(tmp_path / "loop.db", "cycles")
    damaged = open_store(sqlite_url)
    damaged.ping()
    with pytest.raises(StoreUnusable, match=r"loop\.db is damaged\.$"):
        damaged.cycles.list()
    damaged.close()


def overwrite_root_page(path: Path, table: str) -> None:
    connection = sqlite3.connect(path)
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xa5" * size)


def test_a_folder_in_place_of_the_file_is_told_with_its_path(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "loop.db").mkdir()
    with pytest.raises(StoreUnusable, match=r"loop\.db cannot be opened") as info:
        open_store(sqlite_url)
    assert "folder exists" in info.value.hint


def test_the_folder_of_the_file_is_made_when_it_can_be(tmp_path: Path) -> None:
    open_store(f"sqlite:///{(tmp_path / 'a' / 'b' / 'loop.db').as_posix()}").close()
    assert (tmp_path / "a" / "b" / "loop.db").exists()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnusable, match="cannot be made"):
        open_store(f"sqlite:///{(tmp_path / 'file' / 'loop.db').as_posix()}")


def test_a_server_that_does_not_answer_is_told_without_its_password() -> None:
    with pytest.raises(StoreUnusable, match="does not answer") as info:
        open_store("postgresql://me:secret@127.0.0.1:1/loop")
    assert "secret" not in str(info.value.document())
    assert "127.0.0.1:1/loop" in info.value.message


@pytest.mark.parametrize("wrong", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "no url at all"])
def test_a_url_of_another_kind_is_a_mistake_in_the_configuration(wrong: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="no database that the store can use") as info:
        open_store(wrong)
    assert "store.url" in info.value.hint


def test_the_place_of_a_store_is_its_file(sqlite_store: Store, tmp_path: Path) -> None:
    assert sqlite_store.place == str(tmp_path / "loop.db")


def test_a_store_that_another_program_locks_is_told_after_some_patience(sqlite_store: Store, tmp_path: Path) -> None:
    blocker = sqlite3.connect(tmp_path / "loop.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with sqlite_store._sessions.reading() as session:
        session.connection().exec_driver_sql("PRAGMA busy_timeout = 50")
    with pytest.raises(StoreUnusable, match="stays locked by another program"):
        sqlite_store.cycles.put(cycle())
    assert sqlite_store.cycles.list() == []
    blocker.execute("ROLLBACK")
    blocker.close()
    sqlite_store.cycles.put(cycle())
