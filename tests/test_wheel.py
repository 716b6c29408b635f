"""The wheel alone, in an empty environment: what it weighs, and that it hears a clip."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "data" / "examples" / "1018_IEO_HAP_HI.flac"
LARGEST = 310  # MB that the package and all it needs may take
COLD = 3.0  # seconds: twice what an idle machine may take, as that of a test is often busy
MEMORY = 400  # MB of a process that answers

pytestmark = pytest.mark.slow

# What a process took is measured by the process itself: other programs do not count. The peak
# comes from VmHWM: `ru_maxrss` starts with the memory of the process that started this one.
MEASURED = """
import json, sys, time
from pathlib import Path
from persona import Predictor
predicted = Predictor.load().predict(sys.argv[1])
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
modules = sorted({name.partition(".")[0] for name in sys.modules})
json.dump(
    {
        "answer": predicted.to_dict(),
        "seconds": time.process_time(),
        "memory": int(status["VmHWM"].split()[0]) / 1000,
        "modules": modules,
    },
    sys.stdout,
)
"""


class Environment:
    """A virtual environment that holds the wheel, what it declares, and nothing else."""

    def __init__(self, folder: Path) -> None:
        run(sys.executable, "-m", "venv", str(folder))
        self.bin = folder / "bin"
        before = size(folder)
        self.install(str(wheel(folder.parent)))
        self.megabytes = size(folder) - before

    def install(self, requirement: str) -> None:
        try:
            run(str(self.bin / "pip"), "install", "--quiet", requirement)
        except subprocess.CalledProcessError as error:
            if "connection broken by" in error.stderr:
                pytest.skip(f"the index of packages cannot be reached: {error.stderr[-300:]}")
            raise AssertionError(error.stderr) from error

    def python(self, *arguments: str) -> str:
        return run(str(self.bin / "python"), "-I", *arguments)


def run(*command: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command, cwd="/", check=True, capture_output=True, text=True, env=clean
    ).stdout


def wheel(folder: Path) -> Path:
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
        "--wheel-dir", str(folder), str(ROOT),
    )  # fmt: skip
    return next(folder.glob("*.whl"))


def size(folder: Path) -> float:
    """In MB, of all files."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Environment:
    return Environment(tmp_path_factory.mktemp("wheel") / "environment")


@pytest.fixture(scope="module")
def measured(environment) -> dict:
    """Of the fastest of four processes: the first one reads the files from the disk."""
    runs = [json.loads(environment.python("-c", MEASURED, str(CLIP))) for _ in range(4)]
    return min(runs, key=lambda run: run["seconds"])


def test_it_takes_about_300_mb_with_all_it_needs(environment):
    print(f"\nthe package and all it needs: {environment.megabytes:.0f} MB")
    assert environment.megabytes < LARGEST


def test_it_hears_a_clip_as_the_repository_does(measured):
    from persona import Predictor

    wanted = Predictor.load().predict(CLIP)
    assert measured["answer"]["emotion"] == pytest.approx(wanted.emotion, abs=1e-3)
    assert measured["answer"]["gender"] == pytest.approx(wanted.gender, abs=1e-3)
    assert measured["answer"]["age"] == pytest.approx(wanted.age, abs=0.05)


def test_it_answers_from_cold_in_seconds_and_little_memory(measured):
    print(f"\nfrom cold: {measured['seconds']:.2f} s of a processor, {measured['memory']:.0f} MB")
    assert measured["seconds"] < COLD
    assert measured["memory"] < MEMORY


def test_it_answers_without_what_the_study_needs(environment, measured):
    heavy = {"torch", "pandas", "scipy", "sympy", "librosa", "huggingface_hub", "rich", "pydantic"}
    assert not heavy & set(measured["modules"])
    listed = json.loads(environment.python("-m", "pip", "list", "--format=json"))
    assert not heavy & {package["name"].lower().replace("-", "_") for package in listed}


def test_its_command_answers_and_says_which_extra_other_commands_need(environment):
    persona = str(environment.bin / "persona")
    assert json.loads(run(persona, "predict", "--json", str(CLIP)))[0]["emotion"]
    for words, extra in ((["serve"], "serve"), (["corpus", "oddities"], "study")):
        with pytest.raises(subprocess.CalledProcessError) as raised:
            run(persona, *words)
        assert raised.value.returncode == 1
        assert f"pip install 'persona-voice[{extra}]'" in raised.value.stderr
        assert len(raised.value.stderr.strip().splitlines()) == 1
