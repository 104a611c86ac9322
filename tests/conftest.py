"""What holds for every test: how long a generated example may take is the machine's affair, not the test's."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("house", deadline=None)
settings.load_profile("house")
