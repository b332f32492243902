"""Secrets are found in every tracked file, and nobody reads them in the log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gates.asking import Project
from trimtab.gates.secret_scan import _baseline

KEY = "AKIA" + "Q3EGZXMPLW7RJ2NV"
PASSWORD = "hunter2" + "hunter2"
CODE = f'key = "{KEY}"\n\npassword = "{PASSWORD}"\n'


def test_a_folder_without_secrets_passes(project: Project) -> None:
    answer = project.write({"a.py": "print('hello')\n", "b/c.txt": "text\n"}).ask("secret-scan")
    assert (answer.code, answer.said["files"]) == (0, 2)


def test_secrets_are_named_by_place_and_kind_and_never_by_their_value(project: Project) -> None:
    project.write({"src/a.py": CODE, "notes.txt": "nothing\n"})
    answer = project.ask("secret-scan", "--sarif", "out.sarif")
    assert answer.code == 1
    assert ("AWS Access Key", "src/a.py:1") in answer.found
    assert ("Secret Keyword", "src/a.py:3") in answer.found
    spoken = project.ask("secret-scan", as_json=False)
    for text in (answer.out, answer.err, (project.folder / "out.sarif").read_text(), spoken.out, spoken.err):
        assert KEY not in text
        assert PASSWORD not in text


def test_what_is_in_the_baseline_is_known_and_what_is_new_is_found(project: Project) -> None:
    project.write({"a.py": CODE})
    scan = [str(Path(sys.executable).with_name("detect-secrets")), "scan", "--all-files"]
    made = subprocess.run(scan, cwd=project.folder, capture_output=True, check=True)
    project.write({".secrets.baseline": made.stdout})
    assert project.ask("secret-scan").code == 0
    project.write({"a.py": CODE + 'secret = "' + "correct" + "horse9x" + '"\n'})
    assert project.ask("secret-scan").found == [("Secret Keyword", "a.py:4")]
    baseline = json.loads(made.stdout)
    for each in baseline["results"]["a.py"]:
        each["is_secret"] = True
    project.write({"a.py": CODE, ".secrets.baseline": json.dumps(baseline)})
    assert project.ask("secret-scan").code == 1, "an audit has found them to be real"


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"results": {"a.py": [{}]}}', '{"results": []}'])
def test_a_baseline_that_is_none_does_not_pass(text: str, project: Project) -> None:
    answer = project.write({".secrets.baseline": text}).ask("secret-scan")
    assert (answer.code, answer.problems) == (2, ["gate-input"])


def test_with_git_only_tracked_files_are_looked_at(project: Project) -> None:
    project.write({"a.py": "fine = 1\n", "untracked.py": CODE})
    for words in (["init", "-q"], ["add", "a.py"]):
        subprocess.run(["git", *words], cwd=project.folder, check=True)
    assert project.ask("secret-scan").code == 0
    subprocess.run(["git", "add", "."], cwd=project.folder, check=True)
    assert project.ask("secret-scan").code == 1


def test_what_is_no_text_is_counted_and_what_is_excluded_passed_over(project: Project) -> None:
    project.write({"image.png": b"\x89PNG\0\1", "latin.txt": "é".encode("latin-1"), "tests/data/a.py": CODE})
    answer = project.ask("secret-scan", "--exclude", "tests/data/*")
    assert (answer.code, answer.said["passed_over"], answer.said["files"]) == (0, 2, 0)


def test_no_secret_is_tried_out_whatever_the_baseline_says(tmp_path: Path) -> None:
    """`detect-secrets scan` writes so into every baseline; it would send secrets to where they open something."""
    verifying = "detect_secrets.filters.common.is_ignored_due_to_verification_policies"
    filters = [{"path": verifying, "min_level": 2}, {"path": "detect_secrets.filters.heuristic.is_lock_file"}]
    (tmp_path / "b").write_text(json.dumps({"results": {}, "filters_used": filters}))
    _, configuration = _baseline(tmp_path / "b")
    assert configuration["filters_used"] == filters[1:]
