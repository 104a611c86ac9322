"""The memory of the house: tables, repositories and migrations, on SQLite or PostgreSQL.

Everything is synchronous and safe to use from several threads and processes at once.
Start with `store.database.open_store`.
"""
