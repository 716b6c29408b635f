"""One environment, said three times: project file, lock and environment.yml agree."""

import re
import tomllib
from importlib.metadata import metadata, version
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILT_ON = [
    "jupyter-book", "jupyterlab", "torch", "speechbrain", "transformers", "librosa", "matplotlib",
    "seaborn", "papermill", "ipywidgets", "pytest", "nbval",
]  # fmt: skip


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower()


def lock() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = [line.split(";")[0].strip() for line in lines if line and not line.startswith("#")]
    assert all(line.count("==") == 1 for line in pinned), "every line of the lock is name==version"
    return {normal(name): pin for name, pin in (line.split("==") for line in pinned)}


def wanted() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]


@pytest.mark.parametrize("requirement", wanted())
def test_every_dependency_of_the_project_is_locked(requirement):
    assert normal(requirement) in lock()


@pytest.mark.parametrize("package", BUILT_ON)
def test_every_package_the_project_is_built_on_is_a_dependency(package):
    assert package in map(normal, wanted())


def test_jupyter_book_is_the_one_configured_by_config_yml():
    assert lock()["jupyter-book"].startswith("1.")


def test_nothing_locked_needs_a_compiler():
    assert "webrtcvad" not in lock() and "webrtcvad-wheels" in lock()


def test_conda_brings_the_same_python_and_takes_every_package_from_the_lock():
    text = (ROOT / "environment.yml").read_text()
    packages = yaml.safe_load(text)["dependencies"]
    python = next(item.split("=")[1] for item in packages if item.startswith("python="))
    assert PROJECT["requires-python"].startswith(f">={python}")
    assert not set(map(normal, packages)) & set(lock()) - {"pip"}
    assert "pip install --no-deps -r requirements.lock" in text


def test_the_lock_installs_on_the_oldest_python_that_the_project_takes():
    """Debian 12 has Python 3.11.2: what wants 3.11.5 would not install there."""
    oldest = PROJECT["requires-python"].split(",")[0].removeprefix(">=") + ".0"
    wants = {name: metadata(name).get("Requires-Python") or "" for name in lock()}
    assert {n: w for n, w in wants.items() if not SpecifierSet(w).contains(oldest)} == {}


@pytest.mark.parametrize("package", ["torch", "numpy", "librosa", "speechbrain", "transformers"])
def test_what_is_installed_is_what_is_locked(package):
    assert version(package) == lock()[package]
