"""The ratchet itself."""

from __future__ import annotations

from pathlib import Path

from tests.repo.long_functions import complaints, functions


def test_it_measures_and_complains(tmp_path: Path) -> None:
    body = "\n".join("    x = 1" for _ in range(80))
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "long.py").write_text(f"def grown():\n{body}\n\n\ndef fine():\n    return 1\n")
    found = functions(tmp_path / "src")
    assert found == [(81, "src/long.py:1 grown"), (2, "src/long.py:84 fine")]
    assert len(complaints(found, allowed=1)) == 1
    assert len(complaints(found, allowed=0)) == 2
    assert "write 0 into" in complaints([(2, "fine")], allowed=1)[0]
