from pathlib import Path

import pytest

from cli import logbook


def test_the_log_file_is_rotated_by_size_and_old_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "_FILE_MAX_BYTES", 2000)
    log = logbook.file_log(tmp_path / "mcpbox.log")
    for number in range(200):
        log.info("line %d %s", number, "x" * 80, extra={"service": "worker"})
    log.handlers[0].close()

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["mcpbox.log", "mcpbox.log.1", "mcpbox.log.2", "mcpbox.log.3"]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    assert "worker   | line 199" in logbook.last_lines(tmp_path / "mcpbox.log")[-1]


def test_a_log_that_was_never_written_has_no_lines(tmp_path: Path) -> None:
    assert logbook.last_lines(tmp_path / "none.log") == []
