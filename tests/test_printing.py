"""What the command prints of many files: as it is ready, whatever the files are called or hold."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import toy_model
from audio_samples import encode, save, sine
from toy_model import CLIP

from persona.audio import folders as files
from persona.audio import reader
from persona.cli import printing
from persona.errors import PersonaError
from persona.labels import EMOTIONS

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    with pytest.MonkeyPatch.context() as patch:
        toy_model.register(patch)
        return str(toy_model.model().save(tmp_path_factory.mktemp("model")))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    toy_model.register(monkeypatch)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two recordings, and one that is none."""
    inside = tmp_path / "recordings"
    (inside / "deep").mkdir(parents=True)
    (inside / "a.flac").write_bytes(CLIP.read_bytes())
    (inside / "deep" / "b.FLAC").write_bytes(CLIP.read_bytes())
    (inside / "deep" / "bad.wav").write_text("no audio")
    return inside


@pytest.fixture
def run(model, capsys):
    def predict(*names: object, form: str = "csv", **options):
        code = printing.predict([str(n) for n in names], model=model, form=form, **options)
        out, err = capsys.readouterr()
        return code, out, err

    return predict


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestForms:
    def test_csv_has_a_row_for_each_file_good_or_bad(self, run, folder):
        code, out, err = run(folder)
        found = rows(out)
        assert code == 1
        assert [Path(row["file"]).name for row in found] == ["a.flac", "b.FLAC", "bad.wav"]
        assert sum(float(found[0][e]) for e in EMOTIONS) == pytest.approx(1, abs=1e-3)
        assert float(found[0]["seconds"]) > float(found[0]["speech_seconds"]) > 1
        assert "cannot be" in found[2]["error"] and not found[2]["age"]
        assert err.startswith("persona: ")

    def test_json_lines_hold_all_with_the_timeline(self, run, folder):
        code, out, _ = run(folder / "a.flac", folder / "deep" / "b.FLAC", form="jsonl")
        found = [json.loads(line) for line in out.splitlines()]
        assert code == 0
        assert len(found) == 2 and found[0]["timeline"] and found[0]["quality"]

    def test_json_is_one_list(self, run, folder):
        code, out, _ = run(folder, form="json")
        assert code == 1
        assert ["error" in row for row in json.loads(out)] == [False, False, True]

    @pytest.mark.parametrize("form", ["csv", "jsonl", "json", "table"])
    def test_a_row_may_be_of_a_person_or_a_turn(self, run, folder, form):
        for by in ("person", "turn"):
            code, out, _ = run(folder, form=form, by=by)
            assert code == 1
            if form == "csv":
                found = rows(out)
                assert [row["person"] for row in found] == ["1", "1", ""]
                assert "cannot be" in found[2]["error"]
                assert sum(float(found[0][e]) for e in EMOTIONS) == pytest.approx(1, abs=1e-3)
            elif form == "table":
                assert out.split()[:2] == ["file", "person"]
            else:
                lines = out if form == "json" else f"[{','.join(out.splitlines())}]"
                found = json.loads(lines)
                assert [row.get("person") for row in found] == [1, 1, None]
                assert ("start" in found[0]) == (by == "turn")

    def test_rows_of_people_are_not_gone_on_with(self, run, folder, tmp_path):
        with pytest.raises(PersonaError, match="--by file"):
            run(folder, by="turn", resume=tmp_path / "out.csv")

    def test_a_table_is_for_reading(self, run, folder):
        code, out, _ = run(folder / "a.flac", form="table")
        assert code == 0
        first, second = out.splitlines()
        assert first.split() == ["file", "seconds", "emotion", "gender", "age", "notes"]
        assert str(folder / "a.flac") in second and "%" in second

    def test_an_emotion_less_probable_than_was_asked_is_named_in_none(self, run, tmp_path):
        note = "no emotion has a probability of 100 % or more"
        for form in printing.FORMS:
            code, out, _ = run(CLIP, form=form, at_least=1.0, textgrid=str(tmp_path))
            assert code == 0 and note in out
        found = rows(run(CLIP, at_least=1.0)[1])[0]
        assert not any(found[emotion] for emotion in EMOTIONS)
        assert 0 < float(found["trust"]) < 1 and float(found["female"]) > 0
        assert json.loads(run(CLIP, form="jsonl", at_least=1.0)[1])["emotion"] is None
        assert "not named" in run(CLIP, form="table", at_least=1.0)[1]
        labels = (tmp_path / f"{CLIP.stem}.TextGrid").read_text()
        assert not any(f'"{emotion}"' in labels for emotion in EMOTIONS)

    def test_nothing_to_predict_or_an_unknown_form_is_one_sentence(self, run, folder):
        with pytest.raises(PersonaError, match="name a file"):
            run()
        with pytest.raises(PersonaError, match="no form 'xml'"):
            run(folder, form="xml")


class TestNames:
    def test_two_bad_files_of_one_name_are_told_apart(self, run, tmp_path):
        for place in ("x", "y"):
            (tmp_path / place).mkdir()
            save(tmp_path / place / "bad.wav", b"no audio")
        _, _, err = run(tmp_path / "x" / "bad.wav", tmp_path / "y" / "bad.wav")
        assert str(tmp_path / "x" / "bad.wav") in err
        assert str(tmp_path / "y" / "bad.wav") in err

    @pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
    def test_no_cell_starts_a_formula(self, run, tmp_path, monkeypatch, first):
        monkeypatch.chdir(tmp_path)
        name = f"{first}1+1.flac"
        Path(name).write_bytes(CLIP.read_bytes())
        _, out, _ = run(name)
        assert rows(out)[0]["file"][0] in "'\\"

    def test_that_no_terminal_can_bear_are_escaped_in_every_form(self, run, tmp_path):
        name = "\x1b[31m\udcff\u202e.flac"
        file = os.path.join(tmp_path, name)
        Path(file).write_bytes(CLIP.read_bytes())
        for form in printing.FORMS:
            code, out, _ = run(file, form=form)
            assert code == 0
            assert out.isprintable() or not set(out) & {"\x1b", "\udcff", "\u202e"}
            out.encode()
        _, out, _ = run(file, form="jsonl")
        assert json.loads(out)["file"].endswith(r"\x1b[31m\udcff\u202e.flac")

    def test_that_the_output_cannot_encode_are_escaped(self):
        narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
        assert printing._encodable("ä 你.wav", narrow) == r"ä \u4f60.wav"


class TestFolders:
    def test_say_what_they_leave_out_and_why(self, run, folder):
        (folder / "._a.flac").write_bytes(b"resource fork")
        (folder / "notes.txt").write_text("x")
        os.mkfifo(folder / "pipe.wav")
        _, out, err = run(folder)
        assert len(rows(out)) == 3
        assert "files whose names do not end as those of recordings (1)" in err
        assert "._ files of macOS, which hold no sound (1)" in err
        assert "broken links, pipes or devices (1)" in err

    def test_without_audio_are_an_error_row(self, run, tmp_path):
        (tmp_path / "empty").mkdir()
        code, out, _ = run(tmp_path / "empty")
        assert code == 1
        assert "holds no audio" in rows(out)[0]["error"]

    def test_that_cannot_be_read_are_an_error_row(self, run, folder, monkeypatch):
        """As root every folder can be read, so the refusal is made."""
        real = os.scandir

        def scandir(path):
            if str(path).endswith("deep"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        code, out, _ = run(folder)
        bad = [row for row in rows(out) if row["error"]]
        assert code == 1
        assert len(bad) == 1 and "deep" in bad[0]["file"]
        assert "cannot be read (Permission denied)" in bad[0]["error"]

    def test_name_a_file_once_that_is_given_twice(self):
        assert files.find([str(CLIP), str(CLIP)]).files == [str(CLIP)]


def test_a_fifo_that_is_named_is_an_error_row_and_does_not_hang(run, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    code, out, _ = run(tmp_path / "pipe.wav")
    assert code == 1 and "is a pipe or a device" in rows(out)[0]["error"]


def test_a_drive_that_vanishes_is_an_error_row(run, folder, monkeypatch):
    def gone(*_, **__):
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(reader, "File", gone)
    code, out, _ = run(folder)
    assert code == 1 and len(rows(out)) == 3
    assert all("Transport endpoint" in row["error"] for row in rows(out))


class TestResuming:
    def test_skips_what_is_done_and_appends_the_rest(self, run, folder, tmp_path):
        out = tmp_path / "out.csv"
        assert run(folder / "a.flac", resume=str(out))[0] == 0
        before = out.read_text()
        calls = toy_model.Bands.calls
        code, printed, _ = run(folder, resume=str(out))
        assert code == 1 and printed == ""
        assert toy_model.Bands.calls == calls + 1
        assert out.read_text().startswith(before)
        assert len(rows(out.read_text())) == 3

    @pytest.mark.parametrize("form", ["csv", "jsonl"])
    def test_tries_again_what_failed_and_what_was_cut_off(self, run, folder, tmp_path, form):
        out = tmp_path / "out"
        run(folder, form=form, resume=str(out))
        whole = out.read_text()
        out.write_text(whole + whole[-40:-20])  # as a kill in the middle of a row leaves it
        (folder / "deep" / "bad.wav").write_bytes(CLIP.read_bytes())
        calls = toy_model.Bands.calls
        assert run(folder, form=form, resume=str(out))[0] == 0
        assert toy_model.Bands.calls == calls + 1
        found = (
            rows(out.read_text())
            if form == "csv"
            else [json.loads(line) for line in out.read_text().splitlines()]
        )
        assert len(found) == 3 and not any(row.get("error") for row in found)

    def test_knows_a_name_that_looks_like_a_formula_again(self, run, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("=1.flac", "'=1.flac"):
            Path(name).write_bytes(CLIP.read_bytes())
        run("=1.flac", resume="out.csv")
        calls = toy_model.Bands.calls
        run("=1.flac", resume="out.csv")
        assert toy_model.Bands.calls == calls

    @pytest.mark.parametrize("place", ["/dev/null", "/dev/full", "folder"])
    def test_of_what_is_no_file_is_one_sentence(self, run, folder, tmp_path, place):
        """One swallows every row, of another the end is never reached."""
        (tmp_path / "folder").mkdir()
        with pytest.raises(PersonaError, match="no file that rows can be appended to"):
            run(folder / "a.flac", resume=str(tmp_path / place))

    def test_of_another_file_is_one_sentence_and_leaves_it_alone(self, run, folder, tmp_path):
        other = save(tmp_path / "mine.csv", b"name,mark\nme,1\n")
        for form in ("csv", "jsonl"):
            with pytest.raises(PersonaError, match="name another"):
                run(folder, form=form, resume=str(other))
        assert other.read_bytes() == b"name,mark\nme,1\n"

    @pytest.mark.parametrize("form", ["csv", "jsonl"])
    @pytest.mark.parametrize(
        ("other", "words"),
        [
            ({"at_least": 0.3}, "another --at-least"),
            ({"textgrid": "grids"}, "another --textgrid"),
            ({"model": {"name": "second"}}, "another model"),
            ({"model": {"tasks": {"emotion": ["a", "b", "c", "d", "e", "f"], "age": []}}}, "model"),
        ],
    )
    def test_by_another_model_or_with_other_options_is_refused(
        self, run, folder, tmp_path, monkeypatch, form, other, words
    ):
        """Rows of two models in one file look like one answer of one."""
        monkeypatch.chdir(tmp_path)
        run(folder / "a.flac", form=form, resume="out")
        before = Path("out").read_text()
        options = dict(other)
        if changes := options.pop("model", None):
            options["model"] = str(toy_model.model(**changes).save(tmp_path / "second"))
            with pytest.raises(PersonaError, match=words):
                printing.predict([str(folder)], form=form, resume="out", **options)
        else:
            with pytest.raises(PersonaError, match=words):
                run(folder, form=form, resume="out", **options)
        assert Path("out").read_text() == before
        assert run(folder, form=form, resume="out")[0] == 1

    def test_of_a_file_that_was_changed_answers_it_again_and_says_so(self, run, folder, tmp_path):
        out, changed = tmp_path / "out.csv", folder / "a.flac"
        run(folder, resume=str(out))
        samples, rate = soundfile.read(changed)
        soundfile.write(changed, samples[: len(samples) // 2], rate)
        calls = toy_model.Bands.calls
        _, _, err = run(folder, resume=str(out))
        assert "Changed since they were answered" in err and str(changed) in err
        assert toy_model.Bands.calls == calls + 1
        found = {
            Path(row["file"]).name: float(row["seconds"] or 0) for row in rows(out.read_text())
        }
        assert len(found) == 3 and found["a.flac"] == pytest.approx(
            len(samples) / 2 / rate, abs=0.1
        )

    @pytest.mark.parametrize("form", ["csv", "jsonl"])
    def test_does_not_mind_how_a_spreadsheet_saves_text(self, run, folder, tmp_path, form):
        """A byte order mark, and lines that end as on Windows."""
        out = tmp_path / "out"
        run(folder / "a.flac", form=form, resume=str(out))
        text = out.read_text()
        out.write_bytes(("\ufeff" + text.replace("\n", "\r\n")).encode())
        calls = toy_model.Bands.calls
        run(folder / "a.flac", folder / "deep" / "b.FLAC", form=form, resume=str(out))
        assert toy_model.Bands.calls == calls + 1
        assert out.read_bytes().startswith(text.encode()) and b"\r" not in out.read_bytes()

    def test_of_rows_of_which_nobody_knows_what_began_them_is_refused(self, run, folder, tmp_path):
        out = tmp_path / "out.csv"
        out.write_text(run(folder)[1])
        with pytest.raises(PersonaError, match=r"Nobody knows what began .*name another"):
            run(folder, resume=str(out))

    def test_of_standard_input_is_refused(self, run, tmp_path):
        with pytest.raises(PersonaError, match="standard input has none: name files"):
            run("-", resume=str(tmp_path / "out.csv"))

    def test_goes_with_rows_only(self, run, folder, tmp_path):
        with pytest.raises(PersonaError, match="--csv or --jsonl"):
            run(folder, form="table", resume=str(tmp_path / "x"))


class TestTextGrids:
    def test_are_written_one_for_each_file_with_four_tiers(self, run, folder, tmp_path):
        run(folder, textgrid=str(tmp_path / "grids"))
        assert {p.name for p in (tmp_path / "grids").iterdir()} == {"a.TextGrid", "b.TextGrid"}
        text = (tmp_path / "grids" / "a.TextGrid").read_text()
        assert [line.split('"')[1] for line in text.splitlines() if "        name" in line] == [
            "emotion", "gender", "age", "speech",
        ]  # fmt: skip
        assert 'text = "speech"' in text and 'text = ""' in text

    def test_cover_all_of_the_time_without_overlaps(self, run, folder, tmp_path):
        run(folder / "a.flac", textgrid=str(tmp_path))
        text = (tmp_path / "a.TextGrid").read_text()
        for tier in text.split("item [")[2:]:
            values = [
                float(line.split("=")[1]) for line in tier.splitlines() if line.startswith(" " * 12)
                and ("xmin" in line or "xmax" in line)
            ]  # fmt: skip
            assert values[0] == 0 and values[1:-1:2] == values[2::2]
            assert f"xmax = {values[-1]!r}" in text

    def test_of_two_files_of_one_name_are_two(self, run, folder, tmp_path):
        (folder / "deep" / "a.flac").write_bytes(CLIP.read_bytes())
        run(folder, textgrid=str(tmp_path / "grids"))
        assert len(list((tmp_path / "grids").iterdir())) == 3


SCRIPT = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "tests")!r})
import toy_model, pytest
toy_model.register(pytest.MonkeyPatch())
from persona.cli import printing
if sys.argv[3] == "slow":
    embed = toy_model.Bands.embed
    def slowly(self, waveforms):
        time.sleep(0.5)
        if sys.argv[2] == "table":
            sys.stderr.write("embedded\\n")
        return embed(self, waveforms)
    toy_model.Bands.embed = slowly
sys.exit(printing.predict(sys.argv[4:], model=sys.argv[1], form=sys.argv[2]))
"""


def start(model: str, form: str, speed: str, *names: object, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, model, form, speed, *map(str, names)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, **options,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_a_recording_is_read_from_standard_input(model, name):
    process = start(model, "jsonl", "fast", name, stdin=subprocess.PIPE)
    out, err = process.communicate(CLIP.read_bytes(), timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["file"] == name


@pytest.fixture
def many(tmp_path) -> list[Path]:
    found = [tmp_path / f"{i:02d}.flac" for i in range(30)]
    for file in found:
        file.write_bytes(CLIP.read_bytes())
    return found


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("form", "lines"), [("csv", 2), ("jsonl", 1), ("table", 0)])
def test_ctrl_c_keeps_what_was_ready(model, many, form, lines):
    process = start(model, form, "slow", *many)
    first = [process.stdout.readline() for _ in range(lines)]
    if form == "table":  # which prints nothing until its end: the later ones follow the first
        heard = 2 * (os.cpu_count() or 1)
        assert [process.stderr.readline() for _ in range(heard)] == [b"embedded\n"] * heard
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == printing.STOPPED
    assert b"Traceback" not in err
    whole = (b"".join(first) + rest).decode()
    assert whole.endswith("\n") and "00.flac" in whole and "29.flac" not in whole


def test_a_closed_pipe_ends_it_quietly(model, many):
    process = start(model, "csv", "slow", *many)
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=60)
    assert process.returncode == printing.CLOSED
    assert process.stderr.read().strip() in (b"",)


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "--quiet"])
def test_nobody_has_to_read_its_complaints(folder, closed):
    """They do not end up in the output instead, and a bar that cannot be drawn stops nothing."""
    script = "import sys; from persona.cli import main; sys.exit(main())"
    command = ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", script]
    command += ["predict", "--csv", str(folder), "--jobs", "1"]
    if closed == "--quiet":
        command = [*command[4:7], closed, *command[7:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert len(rows(done.stdout)) == 3 and "persona:" not in done.stdout


def test_what_a_full_standard_error_still_holds_does_not_change_the_exit_code():
    """Python would try to write it on the way out, and exit with 120."""
    script = (
        "import sys; from persona.cli import main; code = main(['predict', 'none.wav']);"
        "sys.stderr.write('half a line'); sys.exit(code)"
    )
    command = ["sh", "-c", '"$@" 2>/dev/full', "sh", sys.executable, "-c", script]
    assert subprocess.run(command, cwd=ROOT).returncode == 1


def test_noise_is_an_error_row_too(run, tmp_path):
    code, out, _ = run(save(tmp_path / "sine.wav", encode(sine())))
    assert code == 1 and "no speech was found in 2.0 s" in rows(out)[0]["error"]
