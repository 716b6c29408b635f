"""Nothing in the package is of POSIX alone, and paths may be of any system and script."""

import ast
import json
from pathlib import Path

import pytest

from persona.cli import labels, main

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "data" / "examples" / "1018_IEO_HAP_HI.flac"
MODULES = sorted((ROOT / "persona").rglob("*.py"))

POSIX = {"fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog"}
POSIX_OS = {
    "chown", "chroot", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getuid",
    "killpg", "mkfifo", "mknod", "nice", "setsid", "sysconf", "uname", "wait", "waitpid",
}  # fmt: skip
POSIX_SIGNALS = {"SIGALRM", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGUSR2", "alarm"}
TEXT = {"open", "read_text", "write_text"}


def said(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def binary(call: ast.Call) -> bool:
    """`av.open`, `os.open`, or a mode with a b."""
    strings = [a.value for a in call.args if isinstance(a, ast.Constant)]
    of = getattr(getattr(call.func, "value", None), "id", "")
    return of in ("av", "os", "soundfile") or any("b" in str(mode) for mode in strings)


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(ROOT)))
def test_no_module_is_of_posix_alone(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not POSIX & {getattr(node, "module", ""), *(n.name for n in node.names)}
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert not (node.value.id == "os" and node.attr in POSIX_OS), node.attr
            assert not (node.value.id == "signal" and node.attr in POSIX_SIGNALS), node.attr


@pytest.mark.parametrize("file", MODULES, ids=lambda f: str(f.relative_to(ROOT)))
def test_text_is_read_and_written_in_a_stated_encoding(file):
    """Windows has another by default than Linux, and a name with an umlaut is then another."""
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and said(call) in TEXT and not binary(call):
            stated = any(k.arg == "encoding" for k in call.keywords)
            by_place = said(call) == "read_text" and call.args
            assert stated or by_place, f"line {call.lineno}"


def test_a_path_with_blanks_and_umlauts_is_a_path(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "Größe 1"
    folder.mkdir()
    (folder / "ein Gespräch, 日本.flac").write_bytes(CLIP.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "Größe 1", "--json", "--srt", "Unter Titel"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["file"] == str(Path("Größe 1", "ein Gespräch, 日本.flac"))
    assert "happy" in (tmp_path / "Unter Titel" / "ein Gespräch, 日本.srt").read_text("utf-8")


def test_a_file_of_labels_has_a_name_that_every_system_bears():
    """Two of one name take their paths; a drive's colon is none of a file's name."""
    found = labels.paths("out", ["C:/a/talk.wav", "b/talk.wav"])
    assert [path.name for path in found.values()] == ["C__a_talk.wav.TextGrid",
                                                      "b_talk.wav.TextGrid"]  # fmt: skip
