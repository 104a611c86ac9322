"""The history of the tables, run by Alembic from `store/schema.py`."""
