"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from shared_data import SPFLUOS, make_centrioles

from fastmpr.runtime import threads


@pytest.fixture(autouse=True)
def as_many_threads_as_asked_for(monkeypatch):
    """The tests' volumes are so small that one thread would do: two at work would never be tested."""
    monkeypatch.setattr(threads, "_SHARE", 1)


@pytest.fixture(scope="session")
def centrioles(tmp_path_factory) -> Path:
    """Ten particles that SPFluo simulated, or ten of ours where those are not at hand."""
    return SPFLUOS if SPFLUOS.is_dir() else make_centrioles(tmp_path_factory.mktemp("centrioles"))
