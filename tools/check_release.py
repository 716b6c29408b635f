"""What is released, tried as far as it goes without an account: `make release-check`.

Builds the source archive, from that the wheel, and puts each into an empty environment of every
Python that is here, where it answers a recording. Then checks what else a release carries:
licences, the page of the index, workflows, Dockerfile, recipe, metadata of the data. What could not
be tried here is said at the end; a failure ends it at once.

`python tools/check_release.py --installs FOLDER` does the environments alone, of archives that are
in the folder, and needs nothing but Python.
"""

import argparse
import ast
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "data" / "examples" / "1018_IEO_HAP_HI.flac"
OUT = ROOT / "build" / "release"
SYSTEMS = ("Linux", "macOS", "Windows")
LICENCES = ("LICENSE", "data/models/campplus/LICENSE", "data/models/campplus/NOTICE",
            "data/models/silero/LICENSE")  # fmt: skip
DOCKERFILE = ROOT / "tools" / "docker" / "Dockerfile"
LARGEST = 100e6
"""Bytes that the index takes of a file."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--installs", type=Path, metavar="FOLDER", help="of sdist and wheel")
    asked = parser.parse_args().installs
    dist = asked.resolve() if asked else OUT / "dist"
    if not asked:
        tools = made_tools()
        build(tools, dist)
        metadata(tools)
    sdist, wheel = one(dist, "*.tar.gz"), one(dist, "*.whl")
    whole(sdist, wheel)
    here = dict(pythons())
    for number, python in here.items():
        for archive in (wheel, sdist):
            done(f"Python {number}, {archive.name}: {answers(python, archive, number)}")
    done(f"served as the Dockerfile says: {served(wheel)}")
    print(f"SHA-256 of {sdist.name}: {hashlib.sha256(sdist.read_bytes()).hexdigest()}")
    away = [f"Python {n}" for n in wanted() if n not in here]
    away += [name for name in SYSTEMS if name != system()]
    print(
        f"not tried here: {', '.join(away)}; images (docker build), and whatever takes an account"
    )


def done(what: str) -> None:
    print(f"ok  {what}", flush=True)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints; what it complains of, where it fails."""
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PIP_TARGET")}
    clean["PYTHONUTF8"] = "1"
    ended = subprocess.run(
        [*map(str, command)], cwd=cwd, env=clean, capture_output=True, text=True, encoding="utf-8"
    )
    if ended.returncode:
        said = (ended.stdout + ended.stderr).strip()[-3000:]
        sys.exit(f"failed: {' '.join(map(str, command))}\n{said}")
    return ended.stdout.strip()


def one(folder: Path, pattern: str) -> Path:
    found = list(folder.glob(pattern))
    return found[0] if len(found) == 1 else sys.exit(f"{folder} holds {len(found)} of {pattern}")


def environment(python: str, name: str) -> Path:
    """Folder of the commands of a new, empty environment."""
    shutil.rmtree(OUT / name, ignore_errors=True)
    run(python, "-m", "venv", OUT / name)
    return commands_of(name)


def commands_of(name: str) -> Path:
    return OUT / name / ("Scripts" if os.name == "nt" else "bin")


def made_tools() -> Path:
    pinned = project()["dependency-groups"]["release"]
    tools = environment(sys.executable, "tools")
    run(tools / "python", "-m", "pip", "install", "--quiet", *pinned)
    return tools


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def build(tools: Path, dist: Path) -> None:
    shutil.rmtree(dist, ignore_errors=True)
    run(tools / "python", "-m", "build", "--outdir", dist, ROOT)
    for archive in sorted(dist.iterdir()):
        if archive.stat().st_size > LARGEST:
            sys.exit(f"{archive} is larger than the index takes")
        done(f"{archive.name}, {archive.stat().st_size / 1e6:.0f} MB")
    run(tools / "python", "-m", "twine", "check", "--strict", *dist.iterdir())
    done("their page on the index renders")


def metadata(tools: Path) -> None:
    """Files that other services read."""
    flows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    run(tools / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *flows)
    done(f"{len(flows)} workflows")
    run(tools / "hadolint", DOCKERFILE)
    compose = DOCKERFILE.with_name("compose.yaml")
    run(tools / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", compose)
    done("Dockerfile and compose file")
    render = "import sys, rattler_build as r; r.Stage0Recipe.from_file(sys.argv[1]).render()"
    run(tools / "python", "-c", render, ROOT / "tools" / "conda" / "recipe.yaml")
    done("recipe")
    for file in sorted((ROOT / "build" / "data").glob("croissant*.json")):
        run(tools / "mlcroissant", "validate", "--jsonld", file)
        load = ("--record_set", "metrics", "--num_records", "1")
        run(tools / "mlcroissant", "load", "--jsonld", file, *load)
        done(file.name)


def whole(sdist: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        inside = {n.partition(".dist-info/licenses/")[2] for n in opened.namelist()}
    with tarfile.open(sdist) as opened:
        source = {name.partition("/")[2] for name in opened.getnames()}
    for missing in {*LICENCES} - (inside & source):
        sys.exit(f"{missing} is not in both archives")
    done("licences are in both")


def wanted() -> list[str]:
    low, high = map(int, re.findall(r"3\.(\d+)", project()["project"]["requires-python"]))
    return [f"3.{minor}" for minor in range(low, high)]


def pythons() -> Iterator[tuple[str, str]]:
    """Those of the supported Pythons that are here, by version."""
    for number in wanted():
        here = f"{sys.version_info.major}.{sys.version_info.minor}" == number
        python = sys.executable if here else shutil.which(f"python{number}")
        if python and subprocess.run([python, "--version"], capture_output=True).returncode == 0:
            yield number, python


def system() -> str:
    return {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}.get(sys.platform, "")


def answers(python: str, archive: Path, number: str) -> str:
    """What a command that was installed in an empty environment says of the example."""
    commands = environment(python, f"Größe {number}")
    run(commands / "python", "-m", "pip", "install", "--quiet", archive)
    version = run(commands / "persona", "--version")
    if version not in archive.name:
        sys.exit(f"{archive.name} calls itself {version}")
    talk = OUT / "ein Gespräch.flac"
    shutil.copy(CLIP, talk)
    [row] = json.loads(run(commands / "persona", "predict", talk.name, "--json", cwd=OUT))
    return f"{max(row['emotion'], key=row['emotion'].get)}, {row['age']:.1f} years"


def served(wheel: Path) -> str:
    """What the image would run, and its check of health, in an environment with what the image
    would install, and without a home; what it answers.
    """
    commands = next(commands_of(f"Größe {number}") for number, _ in pythons())
    run(commands / "python", "-m", "pip", "install", "--quiet", f"{wheel}[serve]")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    image = DOCKERFILE.read_text("utf-8").rpartition("\nFROM ")[2].replace(":8000/", f":{port}/")
    entry, default, check = (
        ast.literal_eval(re.findall(rf"^{word}.*?(\[.*\])$", image, re.MULTILINE)[-1])
        for word in ("ENTRYPOINT", "CMD", "HEALTHCHECK")
    )
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "SYSTEMROOT", "TEMP", "TMP")}
    server = subprocess.Popen(
        [commands / entry[0], *entry[1:], *default, "--port", port],
        env={**kept, "HOME": str(OUT / "nowhere"), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    try:
        for _ in range(60):
            time.sleep(1)
            healthy = subprocess.run([commands / check[0], *check[1:]], capture_output=True)
            if healthy.returncode == 0:
                return posted(f"http://127.0.0.1:{port}/predict")
        sys.exit("its check of health fails")
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(60)


def posted(address: str) -> str:
    """What a server answers to the example."""
    head = '--x\r\nContent-Disposition: form-data; name="file"; filename="talk.flac"\r\n\r\n'
    body = head.encode() + CLIP.read_bytes() + b"\r\n--x--\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    with urllib.request.urlopen(urllib.request.Request(address, body, form)) as answer:
        [row] = json.load(answer)
    return f"{max(row['emotion'], key=row['emotion'].get)}"


if __name__ == "__main__":
    main()
