"""Rivals that a server finds by name."""

import pytest

from tests.benchmarks import planted


@pytest.fixture
def rivals(tmp_path, monkeypatch):
    """Make the module `rivals` importable in servers."""
    (tmp_path / "rivals.py").write_text(planted.RIVALS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield
    from fejer.benchmarks.servers import close_all

    close_all()
