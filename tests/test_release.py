"""What is said of the package in several places is the same in all."""

import json
import re
import tomllib
from pathlib import Path

import yaml

from persona import __version__

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
DOCKER = ROOT / "tools" / "docker"


def test_zenodo_is_told_what_citations_say():
    zenodo = json.loads((ROOT / ".zenodo.json").read_text("utf-8"))
    for said in ("title", "version", "license"):
        assert zenodo[said] == CITATION[said]
    assert zenodo["upload_type"] == CITATION["type"] == "software"
    assert [who["name"] for who in zenodo["creators"]] == [a["name"] for a in CITATION["authors"]]


def test_one_version():
    recipe = (ROOT / "tools" / "conda" / "recipe.yaml").read_text("utf-8")
    assert CITATION["version"] == yaml.safe_load(recipe)["context"]["version"] == __version__


def test_conda_installs_what_pip_does():
    recipe = yaml.safe_load((ROOT / "tools" / "conda" / "recipe.yaml").read_text("utf-8"))
    python, *packages = recipe["requirements"]["run"]
    assert python == f"python {PROJECT['requires-python']}"
    wanted = [re.sub(r"(?=[<>=])", " ", name, count=1) for name in PROJECT["dependencies"]]
    assert packages == wanted
    assert recipe["about"]["license"] == PROJECT["license"]


def test_the_image_serves_as_nobody_and_bears_a_read_only_file_system():
    image = (DOCKER / "Dockerfile").read_text("utf-8")
    default = image.rpartition("\nFROM ")[2]
    assert "USER 65534" in default and 'CMD ["serve", "--host", "0.0.0.0"]' in default
    service = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))["services"]["persona"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_the_space_is_static_and_begins_with_what_the_hub_reads():
    front = (ROOT / "tools" / "space" / "README.md").read_text("utf-8").split("---\n")[1]
    assert yaml.safe_load(front)["sdk"] == "static"


def test_every_release_passes_the_checks_before_anything_is_published():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))["jobs"]
    assert jobs["checked"]["uses"].endswith("systems.yml")
    assert jobs["index"]["needs"] == "checked"
    assert {name: job["needs"] for name, job in jobs.items() if name in ("page", "book")} == {
        "page": "index", "book": "index",
    }  # fmt: skip
