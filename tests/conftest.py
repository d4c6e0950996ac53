"""What all tests share."""

from __future__ import annotations

import pytest

from fastmpr.runtime import threads


@pytest.fixture(autouse=True)
def as_many_threads_as_asked_for(monkeypatch):
    """The tests' volumes are so small that one thread would do: two at work would never be tested."""
    monkeypatch.setattr(threads, "_SHARE", 1)
