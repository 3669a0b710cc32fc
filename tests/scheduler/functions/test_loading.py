"""Loading a user's functions, and the errors when that fails."""

import itertools
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scheduler.errors import TargetError
from scheduler.functions.loading import load

NUMBERS = itertools.count()
ENGINE = "from scheduler.engine import Engine\nengine = Engine()\n\n@engine.define\ndef hello():\n    return 1\n"


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Write a module under a name of its own; the interpreter's path and modules are restored afterwards."""
    path, modules = list(sys.path), set(sys.modules)

    def write(text: str) -> Path:
        file = tmp_path / f"cloud_{next(NUMBERS)}.py"
        file.write_text(text)
        return file

    yield write
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("cloud_"):
            del sys.modules[name]


def test_the_engine_of_a_file_is_found(write: Callable[[str], Path]) -> None:
    """Whatever its variable is called."""
    target = load(str(write(ENGINE.replace("engine =", "my_engine =").replace("@engine", "@my_engine"))))
    assert target.registry.names() == ["hello"]
    assert target.application is target.module.my_engine


def test_a_registry_is_loaded_too(write: Callable[[str], Path]) -> None:
    """Timers need no HTTP."""
    file = write("from scheduler.functions import Registry\nr = Registry()\nr.define(lambda: 1, name='one')\n")
    assert load(str(file)).registry.names() == ["one"]


def test_a_module_is_found_by_name_and_attribute(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a WSGI server."""
    file = write(ENGINE)
    monkeypatch.chdir(file.parent)
    assert load(f"{file.stem}:engine").registry.names() == ["hello"]
    assert load(file.stem).registry.names() == ["hello"]


def test_a_symbolic_link_is_loaded_by_its_own_name(write: Callable[[str], Path], tmp_path: Path) -> None:
    """It imports what is beside it first, then what is beside the file; as in a release, or a mounted ConfigMap."""
    file = write(ENGINE + "import cloud_beside, cloud_there\nFOUND = cloud_beside.N, cloud_there.N\n")
    (tmp_path / "cloud_beside.py").write_text("N = 'beside the file'\n")
    (tmp_path / "cloud_there.py").write_text("N = 'beside the file'\n")
    folder = tmp_path / "current"
    folder.mkdir()
    (folder / "cloud_beside.py").write_text("N = 'beside the link'\n")
    link = folder / f"cloud_{next(NUMBERS)}.py"
    link.symlink_to(file)
    target = load(str(link))
    assert target.registry.names() == ["hello"]
    assert target.module.FOUND == ("beside the link", "beside the file")
    assert target.module.__name__ == link.stem
    assert sys.path[:2] == [str(folder), str(tmp_path)]


def test_one_engine_under_two_names_is_one_engine(write: Callable[[str], Path]) -> None:
    """`application = engine`, as wsgi.py has it."""
    assert load(str(write(ENGINE + "application = engine\n"))).registry.names() == ["hello"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\n", "has no engine; it needs a line like: engine = Engine"),
        ("def f(:\n", r"SyntaxError: .*\(line 1\)"),
        ("import os\n1 / 0\n", r"ZeroDivisionError: division by zero \(line 2: 1 / 0\)"),
        ("import nonesuch\n", r"No module named 'nonesuch' \(line 1: import nonesuch\)"),
        ("class B(BaseException): pass\nraise B('x')\n", r"\.B: x \(line 2"),
        ("raise SystemExit(4)\n", r"ended the program while it was imported: SystemExit\(4\)"),
        (ENGINE + "other = Engine()\n", "has several engines .engine, other.; name the one"),
        (ENGINE + "@engine.define\ndef hello(): pass\n", "function 'hello' is defined twice"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_refused_with_its_line(
    write: Callable[[str], Path], text: str, words: str
) -> None:
    """In one line: the file, the error, and the line in the file."""
    file = write(text)
    with pytest.raises(TargetError, match=words) as refused:
        load(str(file))
    assert file.name in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\ny = 1 / 0\n", r"ZeroDivisionError: division by zero \(cloud_other_1.py, line 2: y = 1 / 0\)"),
        ("def f(:\n", r"SyntaxError: .* \(cloud_other_2.py, line 1\)"),
    ],
)
def test_an_error_in_another_file_of_the_project_is_shown_there(
    write: Callable[[str], Path], text: str, words: str
) -> None:
    """If wsgi.py imports cloud.py, the error names cloud.py and its line."""
    other = "cloud_other_1" if "y =" in text else "cloud_other_2"
    file = write(f"import {other}\n")
    (file.parent / f"{other}.py").write_text(text)
    with pytest.raises(TargetError, match=words) as refused:
        load(str(file))
    assert str(refused.value).startswith(f"{file} raised while it was imported: ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing_here.py", "no such file"),
        ("", "names no file and no module"),
        ("no_such_module_at_all", "no module of that name"),
        ("json:loads", "json:loads is a function, not an engine"),
        ("json:nothing", "has no attribute 'nothing'"),
        ("json", "json has no engine"),
    ],
)
def test_a_missing_target_is_refused(name: str, words: str) -> None:
    """Before anything is started."""
    with pytest.raises(TargetError, match=words):
        load(name)


def test_a_file_with_the_name_of_another_module_is_refused(tmp_path: Path) -> None:
    """`json.py` would never be imported."""
    (tmp_path / "json.py").write_text(ENGINE)
    with pytest.raises(TargetError, match="another module is named 'json' too; rename the file"):
        load(str(tmp_path / "json.py"))
    sys.path.remove(str(tmp_path))


def test_patched_threads_are_refused(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the wsgi.py of LeanCloud's sample project patches them; also where that makes the import fail."""
    monkey = types.ModuleType("gevent.monkey")
    monkey.is_module_patched = lambda name: name == "threading"  # type: ignore[attr-defined]
    for text in (ENGINE, "1 / 0\n"):
        monkeypatch.setitem(sys.modules, "gevent.monkey", monkey)
        with pytest.raises(TargetError, match=r"gevent's \(monkey\.patch_all\), .*; remove that line"):
            load(str(write(text)))


def test_a_module_of_python_2_has_its_present_name(write: Callable[[str], Path]) -> None:
    """Old projects of LeanEngine were written for it."""
    with pytest.raises(TargetError, match=r"urllib2 is of Python 2; in Python 3 use urllib\.request"):
        load(str(write("import urllib2\n")))


def test_a_line_that_imports_leancloud_is_to_be_changed(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its SDK is not installed."""
    monkeypatch.setitem(sys.modules, "leancloud", None)
    with pytest.raises(TargetError, match="change the line to `from scheduler"):
        load(str(write("from leancloud import Engine\n")))


def test_a_module_of_a_package_is_to_be_named_as_one(tmp_path: Path) -> None:
    """A relative import fails in a file that is named by its path."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "cloud_in_package.py").write_text("from . import prices\n")
    with pytest.raises(TargetError, match=r"from the folder above: scheduler up shop\.cloud_in_package$"):
        load(str(tmp_path / "shop" / "cloud_in_package.py"))


def test_an_engine_that_has_taken_up_the_others_is_the_one(tmp_path: Path) -> None:
    """LeanCloud's way to divide functions among files: engine.register(other)."""
    text = "engine = Engine()\nother = Engine()\n\n@other.define\ndef theirs(): pass\n\nengine.register(other)\n"
    (tmp_path / "divided.py").write_text(f"from scheduler.engine import Engine\n{text}")
    assert load(str(tmp_path / "divided.py")).registry.names() == ["theirs"]


def test_a_colon_in_the_path_is_no_attribute(tmp_path: Path) -> None:
    """Of a file; behind the file there may be one."""
    folder = tmp_path / "a:b"
    folder.mkdir()
    (folder / "colon_cloud.py").write_text("from scheduler.engine import Engine\nmine = Engine()\n")
    assert load(f"{folder}/colon_cloud.py").application is load(f"{folder}/colon_cloud.py:mine").application


def test_a_file_whose_name_has_a_dot_is_refused(tmp_path: Path) -> None:
    """No module can have it."""
    (tmp_path / "cloud.v2.py").write_text("")
    with pytest.raises(TargetError, match="the name of a module has no dot; rename the file"):
        load(str(tmp_path / "cloud.v2.py"))


@pytest.mark.parametrize("data", [ENGINE.encode("utf-16"), (ENGINE + "x = '").encode() + "你好'".encode("gbk")])
def test_the_error_for_a_file_that_is_not_utf_8_says_so(write: Callable[[str], Path], data: bytes) -> None:
    """As editors of Windows save it."""
    file = write("")
    file.write_bytes(data)
    with pytest.raises(TargetError, match="save the file as UTF-8"):
        load(str(file))


def test_a_file_in_place_of_an_installed_package_is_named(
    write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the package was meant."""
    monkeypatch.delitem(sys.modules, "flask", raising=False)
    (tmp_path / "flask.py").write_text("x = 1\n")
    for line in ("from flask import Flask", "import flask\nflask.Flask"):
        with pytest.raises(TargetError, match=r"flask\.py is imported in place of the installed package"):
            load(str(write(f"{line}\n{ENGINE}")))
        sys.modules.pop("flask", None)
