"""What an artefact was made with: code version, library versions, machine-independent."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import persona


@cache
def code_version() -> str:
    """Version of this package, with the git commit when it runs from a checkout."""
    root = Path(__file__).resolve().parent.parent
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return persona.__version__
    return f"{persona.__version__}+{commit}"


def software(*packages: str) -> dict[str, str]:
    """Versions of this code, of Python and of the named installed packages."""
    found = {"persona": code_version(), "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
