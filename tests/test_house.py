"""The package's rooms: the root is the paper, imports point one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From what imports nothing to what may import all before it.
ORDER = (
    "errors", "labels", "keeping", "audio", "representations", "corpora", "people", "features",
    "dataset", "folds", "network", "losses", "training", "predictions", "evaluation",
    "calibration", "experiment", "cross_validation", "run", "model", "own", "app", "cli",
)  # fmt: skip
LAST = ("study", "paper", "__init__")
MODULES = sorted((ROOT / "persona").rglob("*.py"))


def room(module: str) -> str:
    """The room of `persona.room.file`, or the file at the root."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(file: Path) -> Iterator[str]:
    """Modules of the package that a file imports, those for types included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("persona"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "persona":
            whole = node.module == "persona"
            yield from (f"persona.{n.name}" for n in node.names) if whole else (node.module,)


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_one_way(file):
    own = file.relative_to(ROOT / "persona").parts[0].removesuffix(".py")
    if own in LAST:
        return
    for module in imports(file):
        if module in ("persona.__version__",):
            continue
        other = room(module)
        assert other in ORDER, f"{own} imports {module}"
        assert ORDER.index(other) <= ORDER.index(own), f"{own} imports {module}, which lies above"


def test_the_root_is_the_paper():
    files = {file.stem for file in (ROOT / "persona").glob("*.py")}
    assert files <= {*ORDER, "paper", "__init__"}
    assert len(files) <= 16


def test_no_room_is_missing_from_the_order():
    rooms = {file.relative_to(ROOT / "persona").parts[0].removesuffix(".py") for file in MODULES}
    assert rooms <= {*ORDER, *LAST}
