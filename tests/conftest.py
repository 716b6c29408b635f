"""Fixtures that several test modules share."""

import logging
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import hub, loaded, nothing_cached, published

__all__ = ["hub", "loaded", "nothing_cached", "published"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", autouse=True)
def no_lazy_modules() -> Iterator[None]:
    """SpeechBrain leaves modules that raise ImportError when hypothesis asks for their file."""
    yield
    for name, module in list(sys.modules.items()):
        if type(module).__name__ == "DeprecatedModuleRedirect":
            del sys.modules[name]


@pytest.fixture(autouse=True)
def bars() -> Iterator[None]:
    """`--quiet` silences a process; the next test has bars again."""
    yield
    logging.getLogger("persona").setLevel(logging.NOTSET)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children answer to Ctrl-C, though a script in the background or nohup has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """The book's pages, made from the notebooks as they are committed."""
    source = tmp_path_factory.mktemp("book")
    shutil.copytree(ROOT / "book", source, dirs_exist_ok=True)
    shutil.copytree(ROOT / "notebooks", source / "notebooks", ignore=shutil.ignore_patterns(".*"))
    shutil.copy(ROOT / "_config.yml", source)
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", "--warningiserror", "--keep-going", source]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return source / "_build" / "html"
