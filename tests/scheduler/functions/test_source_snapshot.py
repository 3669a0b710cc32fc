"""One version of the user's sources: modules are loaded as they were, whatever has been saved since."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from scheduler.functions import source_snapshot
from scheduler.functions.source_snapshot import (
    SourceSnapshot,
    Stamp,
    changed_names,
    have_changed,
    python_files,
    take_snapshot,
)

#: Takes a snapshot, has `change` change the folder, and imports `cloud` from the snapshot.
PROGRAM = """
import importlib, os, sys, traceback
from pathlib import Path
from scheduler.functions.own_modules import put_first
from scheduler.functions.source_snapshot import load_from, take_snapshot

folder = Path(sys.argv[1])
snapshot = take_snapshot([folder])
load_from(snapshot)
put_first(str(folder.resolve()), "cloud")
exec(sys.argv[2])
import cloud
print(cloud.answer())
"""


def after(folder: Path, change: str) -> str:
    """What a program prints that imports `cloud` after the change."""
    words = [sys.executable, "-P", "-c", PROGRAM, str(folder), change]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "cloud.py").write_text(
        "from pathlib import Path\nimport helper, shop.price\n"
        "def answer():\n    import late\n"
        "    return [helper.N, shop.price.N, late.N, Path(__file__).with_name('data').read_text()]\n"
    )
    (tmp_path / "shop").mkdir()
    for name in ("helper.py", "late.py", "shop/__init__.py", "shop/price.py"):
        (tmp_path / name).write_text("N = 1\n")
    (tmp_path / "data").write_text("of the disk")
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        "",
        "[file.write_text('N = 2') for file in folder.rglob('*.py')]",
        "[file.write_text('def broken(:') for file in folder.rglob('*.py')]",
        "[file.unlink() for file in folder.rglob('*.py')]",
        "[os.closerange(3, 1000)]",
        "folder.joinpath('helper').mkdir(); folder.joinpath('helper/__init__.py').write_text('N = 2')",
    ],
)
def test_modules_are_loaded_as_they_were(project: Path, change: str) -> None:
    """Modules, packages, and what a function imports late; files beside them are read from the disk."""
    assert after(project, change) == "[1, 1, 1, 'of the disk']"


def test_links_are_loaded_as_they_were(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """To files, as in a mounted ConfigMap, and to packages elsewhere."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    hidden = project / "..2026"
    hidden.mkdir()
    for name in ("cloud.py", "helper.py"):
        (project / name).rename(hidden / name)
        (project / name).symlink_to(hidden / name)
    (project / "shop").rename(elsewhere / "shop")
    (project / "shop").symlink_to(elsewhere / "shop")
    change = (
        "import shutil; shutil.rmtree(folder / '..2026');"
        f"[file.unlink() for file in Path({str(elsewhere)!r}).rglob('*.py')]"
    )
    assert after(project, change) == "[1, 1, 1, 'of the disk']"


def test_code_that_was_cached_meanwhile_is_not_loaded(project: Path) -> None:
    """Another program has compiled the new version."""
    change = (
        "folder.joinpath('helper.py').write_text('N = 2');"
        "import subprocess; subprocess.run([sys.executable, '-c', 'import helper'], cwd=folder, check=True)"
    )
    assert after(project, change) == "[1, 1, 1, 'of the disk']"
    assert after(project, "") == "[2, 1, 1, 'of the disk']"


def test_a_module_that_was_not_there_is_loaded_from_the_disk(project: Path) -> None:
    """So a program can write modules of its own."""
    (project / "late.py").unlink()
    assert after(project, "folder.joinpath('late.py').write_text('N = 7')") == "[1, 1, 7, 'of the disk']"


def test_tracebacks_show_the_lines_that_were_loaded(project: Path) -> None:
    """Not those that stand there now."""
    (project / "cloud.py").write_text("import traceback\ndef answer():\n    try:\n        return 1 / 0  # first\n")
    with (project / "cloud.py").open("a") as file:
        file.write("    except ArithmeticError:\n        return traceback.format_exc()\n")
    assert "return 1 / 0  # first" in after(project, "folder.joinpath('cloud.py').write_text('# other\\n' * 9)")


def test_odd_files_of_a_folder_do_no_harm(tmp_path: Path) -> None:
    """Pipes, folders and broken links that are named like modules, names that are no text, virtual environments."""
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "dangling.py").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    Path(os.fsdecode(bytes(tmp_path) + b"/\xff.py")).write_text("x = 1")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "venv" / "inside.py").touch()
    (tmp_path / "empty.py").touch()
    snapshot = take_snapshot([tmp_path])
    assert snapshot is not None
    assert str(tmp_path / "empty.py") in snapshot
    assert snapshot.source(str(tmp_path / "empty.py")) == b""
    for name in ("pipe.py", "dangling.py", "venv/inside.py", "loop/empty.py"):
        assert str(tmp_path / name) not in snapshot


@pytest.mark.parametrize(("name", "most"), [("MOST_FILES", 3), ("MOST_BYTES", 5)])
def test_a_folder_that_is_no_project_has_no_snapshot(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    """A whole disk is not read."""
    monkeypatch.setattr(source_snapshot, name, most)
    assert take_snapshot([project]) is None


def test_a_snapshot_is_one_file_without_a_name_that_cannot_be_written(project: Path) -> None:
    """A function that writes to every descriptor changes nothing."""
    snapshot = take_snapshot([project, project])
    assert snapshot is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.write(snapshot.fileno, b"x")
    assert "(deleted)" in str(Path(f"/proc/self/fd/{snapshot.fileno}").readlink())
    again = SourceSnapshot(os.dup(snapshot.fileno))
    assert again.source(str(project / "helper.py")) == b"N = 1\n"


def test_files_that_were_saved_since_are_named(project: Path) -> None:
    """By time or size, or because they are gone."""
    stamps = {}
    for name in ("helper.py", "late.py", "cloud.py", "data"):
        status = (project / name).stat()
        stamps[str(project / name)] = Stamp(status.st_mtime_ns, status.st_size)
    assert changed_names(stamps) == []
    os.utime(project / "data", ns=(1, 1))
    os.utime(project / "cloud.py", ns=(1, 1))
    assert changed_names(stamps) == ["cloud.py", "data"]
    for path, stamp in stamps.items():
        stamps[path] = stamp._replace(checksum=zlib.crc32(Path(path).read_bytes()))
    assert changed_names(stamps) == []  # saved as it was
    (project / "cloud.py").write_bytes((project / "cloud.py").read_bytes()[::-1])
    assert changed_names(stamps) == ["cloud.py"]
    del stamps[str(project / "cloud.py")]
    (project / "helper.py").write_text("N = 22\n")
    (project / "late.py").unlink()
    names = changed_names(stamps)
    assert names == ["helper.py", "late.py"]
    assert have_changed(names) == "helper.py, late.py have changed"
    assert have_changed(["a", "b", "c", "d"]) == "a, b, c and 1 more have changed"
    assert sorted(Path(path).name for path in python_files(project))[:2] == ["__init__.py", "cloud.py"]
