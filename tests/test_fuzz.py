"""Ten thousand broken inputs, and nothing but sentences comes out; `make fuzz` tries more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MORE = int(os.environ.get("PERSONA_FUZZ", "1"))  # times as many, other ones
BATCH = 1000
BATCHES = {"audio": 5, "graph": 2, "card": 1, "table": 1, "csv": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "batch"),
    [(target, batch) for target, n in BATCHES.items() for batch in range(MORE * n)],
)
def test_a_broken_input_is_one_sentence_and_no_crash_or_hang(target, batch):
    """Each batch in a process of its own, so that a crash is seen; its last number says where."""
    command = [sys.executable, "-W", "ignore", "fuzzing.py", target, str(batch * BATCH), str(BATCH)]
    environment = os.environ | {"PYTHONPATH": str(TESTS.parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True)
    numbers = [line for line in done.stdout.splitlines() if line.isdigit()]
    assert done.returncode == 0, (
        f"input {numbers[-1:]} of {target}, exit {done.returncode}: {done.stderr[-2000:]}"
    )
    assert len(numbers) == BATCH


def test_an_error_that_is_not_ours_fails_a_batch():
    script = (
        "import fuzzing\n"
        "def broken(rng): raise ValueError('not ours')\n"
        "fuzzing.TARGETS['broken'] = broken\n"
        "fuzzing.main('broken', 0, 3)\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0 and "not ours" in done.stderr
    assert done.stdout.split() == ["0"]
