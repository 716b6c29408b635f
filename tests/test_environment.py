"""One environment, said three times: project file, lock and environment.yml agree."""

import os
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
    return {normal(name): pin for name, (pin, _) in locked().items()}


def locked() -> dict[str, tuple[str, list[str]]]:
    """Version, and SHA-256 of the files that may be installed, of every package."""
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    found = {}
    for entry in text.replace("\\\n", " ").strip().splitlines():
        package, *hashes = entry.split()
        name, pin = package.split("==")
        found[name] = pin, [one.removeprefix("--hash=sha256:") for one in hashes]
    return found


def test_every_file_that_the_lock_installs_has_its_hash():
    """pip then takes no file that is another, whatever the registry answers."""
    bare = [n for n, (_, hashes) in locked().items() if not hashes]
    assert bare == []
    digests = [digest for _, hashes in locked().values() for digest in hashes]
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests)


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


def test_binder_takes_the_steps_of_conda_and_so_has_the_same_environment():
    described = (ROOT / "environment.yml").read_text()
    assert (ROOT / ".binder" / "environment.yml").read_text() == described
    script = ROOT / ".binder" / "postBuild"
    steps = re.findall(r"pip install .+", script.read_text().replace(" --no-cache-dir", ""))
    assert steps == re.findall(r"pip install .+", described) and len(steps) == 2
    assert os.access(script, os.X_OK)


def test_the_lock_installs_on_the_oldest_python_that_the_project_takes():
    """Debian 12 has Python 3.11.2: what wants 3.11.5 would not install there."""
    oldest = PROJECT["requires-python"].split(",")[0].removeprefix(">=") + ".0"
    wants = {name: metadata(name).get("Requires-Python") or "" for name in lock()}
    assert {n: w for n, w in wants.items() if not SpecifierSet(w).contains(oldest)} == {}


@pytest.mark.parametrize("package", ["torch", "numpy", "librosa", "speechbrain", "transformers"])
def test_what_is_installed_is_what_is_locked(package):
    assert version(package) == lock()[package]
