"""What the corpus promises: a faithful table, named oddities, and audio that is verified."""

import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import wave
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from persona import corpora
from persona.corpora import download
from persona.errors import CorpusError

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
needs_crema = pytest.mark.skipif(
    not (SHARED / "crema-d").is_dir(), reason="the CREMA-D samples are not beside the repository"
)
needs_emodb = pytest.mark.skipif(
    not (SHARED / "emodb").is_dir(), reason="the EmoDB samples are not beside the repository"
)

TINY = (
    "1001_IEO_ANG_HI",
    "1001_IEO_NEU_XX",
    "1002_TIE_HAP_XX",
    "1002_TIE_NEU_XX",  # same audio as the one above
    "1002_MTI_SAD_XX",  # digital silence
    "1040_ITH_SAD_XX",
)


def save_wav(path, samples):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def make_checkout(folder, names=TINY):
    """A checkout of the official repository in small."""
    (folder / "AudioWAV").mkdir(parents=True)
    (folder / "processedResults").mkdir()
    random = np.random.default_rng(0)
    for name in names:
        samples = random.integers(-9999, 9999, size=random.integers(4000, 8000))
        save_wav(folder / "AudioWAV" / f"{name}.wav", samples)
    if names is TINY:
        audio = folder / "AudioWAV"
        shutil.copy(audio / "1002_TIE_HAP_XX.wav", audio / "1002_TIE_NEU_XX.wav")
        save_wav(audio / "1002_MTI_SAD_XX.wav", np.zeros(16000))
    with open(folder / "VideoDemographics.csv", "w", newline="") as file:
        rows = [
            (1001, 51, "Male", "Caucasian", "Not Hispanic"),
            (1002, 21, "Female", "African American", "Not Hispanic"),
            (1040, 42, "Female", "Unknown", "Hispanic"),
        ]
        csv.writer(file).writerows([("ActorID", "Age", "Sex", "Race", "Ethnicity"), *rows])
    with open(folder / "processedResults" / "summaryTable.csv", "w", newline="") as file:
        rows = [(i, name, "A:D:N" if i == 0 else "N", "50") for i, name in enumerate(names)]
        csv.writer(file).writerows([("", "FileName", "VoiceVote", "VoiceLevel"), *rows])
    return folder


@pytest.fixture
def official(tmp_path, monkeypatch):
    """A small corpus whose table is the one in use; returns its folder of WAV files."""
    checkout = make_checkout(tmp_path / "checkout")
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "data"))
    corpora.build_table(checkout)
    return checkout / "AudioWAV"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "corpus"


def held(folder):
    """What a folder holds, hidden files and folders included."""
    return {p.name: sha256(p.read_bytes()) if p.is_file() else "folder" for p in folder.iterdir()}


def all_of(official):
    return held(official)


# The committed table


def test_the_table_counts_what_the_corpus_is_known_to_hold():
    table = corpora.clips("all")
    assert len(table) == table["clip"].nunique() == 7442
    assert table["clip"].is_monotonic_increasing
    assert table["emotion"].value_counts().to_dict() == {
        "anger": 1271,
        "disgust": 1271,
        "fear": 1271,
        "happy": 1271,
        "sad": 1271,
        "neutral": 1087,
    }
    actors = table.drop_duplicates("speaker")
    assert actors["gender"].value_counts().to_dict() == {"male": 48, "female": 43}
    assert (actors["age"].min(), actors["age"].max()) == (20, 74)
    assert table["sentence"].nunique() == 12
    assert set(table["level"]) == {"LO", "MD", "HI", "XX"}
    assert int(table["wav_bytes"].sum()) == 605_899_936
    assert table["seconds"].sum() / 3600 == pytest.approx(5.26, abs=0.005)
    assert table["seconds"].median() == pytest.approx(2.50, abs=0.005)


def test_the_vote_by_voice_keeps_ties():
    """Cao et al. (2014): single listeners named the intended emotion in 40.9 % of trials."""
    table = corpora.clips("all")
    votes = table["voice_vote"].str.split(":")
    assert {name for vote in votes for name in vote} == set(corpora.EMOTIONS)
    assert all(vote == sorted(vote) for vote in votes)
    assert int((votes.str.len() > 1).sum()) == 644
    assert int((table["voice_vote"] == table["emotion"]).sum()) == 3099  # 41.6 %


def test_provenance_names_the_committed_table():
    home = REPOSITORY / "data" / "crema-d"
    provenance = json.loads((home / "provenance.json").read_text())
    assert provenance["sha256"] == sha256((home / "clips.csv").read_bytes())
    assert provenance["rows"] == 7442
    assert provenance["commit"] == corpora.COMMIT
    assert provenance["corpus_hash"] == corpora.corpus_hash()


@needs_crema
def test_the_table_agrees_with_the_official_files():
    table = corpora.clips("all").set_index("clip")
    with open(SHARED / "crema-d" / "manifest.csv") as file:
        manifest = {r["clip"]: (r["wav_sha256"], int(r["wav_bytes"])) for r in csv.DictReader(file)}
    assert (
        dict(
            zip(table.index, zip(table["wav_sha256"], table["wav_bytes"], strict=True), strict=True)
        )
        == manifest
    )
    with open(SHARED / "crema-d" / "VideoDemographics.csv") as file:
        actors = {int(row["ActorID"]): row for row in csv.DictReader(file)}
    with open(SHARED / "crema-d" / "summaryTable.csv") as file:
        votes = {row["FileName"]: row["VoiceVote"] for row in csv.DictReader(file)}
    for clip, row in table.iterrows():
        actor = actors[int(clip[:4])]
        assert (row["speaker"], row["age"]) == (int(clip[:4]), int(actor["Age"]))
        assert row["gender"] == actor["Sex"].lower()
        assert (row["race"], row["ethnicity"]) == (actor["Race"], actor["Ethnicity"])
        assert f"{row['sentence']}_{row['emotion'][:3].upper()}_{row['level']}" == clip[5:]
        assert ":".join(n[0].upper() for n in row["voice_vote"].split(":")) == votes[clip]
    inputs = json.loads((REPOSITORY / "data/crema-d/provenance.json").read_text())["inputs_sha256"]
    assert {Path(name).name: digest for name, digest in inputs.items()} == {
        name: sha256((SHARED / "crema-d" / name).read_bytes())
        for name in ("VideoDemographics.csv", "summaryTable.csv")
    }


@needs_crema
def test_durations_and_silence_in_the_table_are_those_of_the_audio():
    table = corpora.clips("all").set_index("clip")
    silent = set()
    for path in (SHARED / "crema-d" / "audio").glob("*.flac"):
        samples, rate = soundfile.read(path, dtype="int16")
        assert table.at[path.stem, "seconds"] == len(samples) / rate
        if not samples.any():
            silent.add(path.stem)
    assert silent == set(table.index[table["silent"]]) == {"1076_MTI_SAD_XX"}


# Oddities and policies


def test_code_finds_the_known_oddities_of_the_corpus():
    found = corpora.oddities()
    assert dict(zip(found["clip"], found["oddity"], strict=True)) == {
        "1006_TIE_HAP_XX": "duplicate",
        "1006_TIE_NEU_XX": "duplicate",
        "1013_WSI_DIS_XX": "duplicate",
        "1013_WSI_SAD_XX": "duplicate",
        "1017_IWW_ANG_XX": "duplicate",
        "1017_IWW_FEA_XX": "duplicate",
        "1076_MTI_SAD_XX": "silent",
    }
    detail = found.set_index("clip").at["1017_IWW_ANG_XX", "detail"]
    assert detail == "byte-identical to 1017_IWW_FEA_XX"


def test_the_clean_policy_leaves_out_the_oddities_and_nothing_else():
    everything, clean = corpora.clips("all"), corpora.clips()
    assert set(everything["clip"]) - set(clean["clip"]) == set(corpora.oddities()["clip"])
    assert len(clean) == 7435
    assert list(clean.index) == list(range(7435))


def test_oddities_are_looked_for_in_any_table(official):
    found = corpora.oddities()
    assert list(zip(found["clip"], found["oddity"], strict=True)) == [
        ("1002_TIE_HAP_XX", "duplicate"),
        ("1002_TIE_NEU_XX", "duplicate"),
        ("1002_MTI_SAD_XX", "silent"),
    ]
    without = corpora.clips("all").query("clip != '1002_TIE_HAP_XX' and not silent")
    assert corpora.oddities(without).empty


@pytest.mark.parametrize(
    ("samples", "silent"),
    [([0, 0, 0], True), ([7, 7, 7], True), ([0, 0, 1], False), ([], True), ([-1, 1], False)],
)
def test_silence_is_a_waveform_that_never_moves(samples, silent):
    assert corpora.is_silent(np.array(samples, dtype=np.int16)) is silent


def test_an_unknown_policy_is_refused():
    with pytest.raises(CorpusError, match="no clip policy 'tidy'; use one of clean, all"):
        corpora.clips("tidy")


def test_a_missing_table_is_one_clear_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path))
    with pytest.raises(CorpusError, match=r"clips\.csv is missing: restore it"):
        corpora.clips()


def test_the_corpus_hash_depends_on_every_clip_and_not_on_order(official):
    table = corpora.clips("all")
    lines = "".join(
        f"{path.stem} {sha256(path.read_bytes())}\n" for path in sorted(official.iterdir())
    )
    assert corpora.corpus_hash() == sha256(lines.encode())
    assert corpora.corpus_hash(table.iloc[::-1]) == corpora.corpus_hash()
    assert corpora.corpus_hash(table.iloc[1:]) != corpora.corpus_hash()


# Building the table


def test_a_row_says_what_the_official_files_say(official):
    row = corpora.clips("all").set_index("clip").loc["1001_IEO_ANG_HI"]
    data = (official / "1001_IEO_ANG_HI.wav").read_bytes()
    assert row.to_dict() == {
        "speaker": 1001,
        "age": 51,
        "gender": "male",
        "race": "Caucasian",
        "ethnicity": "Not Hispanic",
        "sentence": "IEO",
        "emotion": "anger",
        "level": "HI",
        "seconds": (len(data) - 44) / 32000,
        "wav_sha256": sha256(data),
        "wav_bytes": len(data),
        "voice_vote": "anger:disgust:neutral",
        "silent": False,
    }


def to_pointers(checkout, audio):
    """Turn a checkout into what a clone without Git LFS holds; the audio goes elsewhere."""
    shutil.copytree(checkout / "AudioWAV", audio)
    for path in (checkout / "AudioWAV").iterdir():
        data = path.read_bytes()
        path.write_text(
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{sha256(data)}\nsize {len(data)}\n"
        )


def test_the_table_is_the_same_from_pointers_and_from_audio(official, tmp_path):
    to_pointers(official.parent, tmp_path / "audio")
    corpora.build_table(official.parent, tmp_path / "again", audio=tmp_path / "audio")
    for name in ("clips.csv", "provenance.json"):
        assert (tmp_path / "again" / name).read_bytes() == (
            tmp_path / "data" / "crema-d" / name
        ).read_bytes()


def test_pointers_alone_cannot_tell_silence(official, tmp_path):
    to_pointers(official.parent, tmp_path / "audio")
    with pytest.raises(CorpusError, match="is a Git LFS pointer: give the folder"):
        corpora.build_table(official.parent, tmp_path / "again")


def test_audio_that_differs_from_its_pointer_is_refused(official, tmp_path):
    to_pointers(official.parent, tmp_path / "audio")
    save_wav(tmp_path / "audio" / "1001_IEO_NEU_XX.wav", np.arange(4000))
    with pytest.raises(CorpusError, match=r"1001_IEO_NEU_XX\.wav is not the one"):
        corpora.build_table(official.parent, tmp_path / "again", audio=tmp_path / "audio")


def test_another_wav_layout_is_refused(official, tmp_path):
    soundfile.write(official / "1001_IEO_NEU_XX.wav", np.zeros(4000), 44100)
    with pytest.raises(CorpusError, match=r"NEU_XX\.wav is not a 16 kHz, mono, 16-bit WAV"):
        corpora.build_table(official.parent, tmp_path / "again")


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="is not a checkout of CREMA-D"):
        corpora.build_table(tmp_path, tmp_path / "out")


def test_a_clip_without_labels_is_refused(official, tmp_path):
    save_wav(official / "1099_IEO_ANG_HI.wav", np.arange(4000))
    with pytest.raises(CorpusError, match="do not label the clip 1099_IEO_ANG_HI"):
        corpora.build_table(official.parent, tmp_path / "again")


# Verifying and locating


def test_verify_names_what_is_missing_and_what_is_corrupt(official, folder):
    shutil.copytree(official, folder)
    assert corpora.verify(folder) == []
    (folder / "1001_IEO_NEU_XX.wav").unlink()
    damaged = bytearray((folder / "1040_ITH_SAD_XX.wav").read_bytes())
    damaged[-1] ^= 1
    (folder / "1040_ITH_SAD_XX.wav").write_bytes(damaged)
    assert corpora.verify(folder) == [
        ("1001_IEO_NEU_XX", "missing"),
        ("1040_ITH_SAD_XX", "corrupt"),
    ]
    assert corpora.verify(folder, clips=["1001_IEO_ANG_HI"]) == []


def test_locate_answers_only_with_a_complete_corpus(official, folder):
    with pytest.raises(CorpusError, match=r"is not in .*corpus: run `persona corpus fetch`, or "):
        corpora.locate(folder)
    shutil.copytree(official, folder)
    assert corpora.locate(folder) == folder
    (folder / "1001_IEO_NEU_XX.wav").write_bytes(b"")
    with pytest.raises(
        CorpusError,
        match=r"1 clip of CREMA-D missing or corrupt \(1001_IEO_NEU_XX.wav: corrupt\) in .*corpus: "
        r"run `persona corpus fetch`, or `persona corpus fetch --from DIR`",
    ):
        corpora.locate(folder)
    assert corpora.locate(folder, clips=["1001_IEO_ANG_HI", "1040_ITH_SAD_XX"]) == folder


def test_the_default_folder_is_in_the_data_folder(official, tmp_path):
    home = tmp_path / "data" / "audio" / "crema-d"
    assert corpora.default_folder() == home
    shutil.copytree(official, home)
    assert corpora.locate() == home


# Downloading


class Server(ThreadingHTTPServer):
    """Serves a folder below /AudioWAV/, misbehaving as told; `asked` counts requests by clip.

    missing, corrupt : names of clips answered with 404, with other bytes.
    cuts : how many more times a clip's body is cut in the middle.
    stalled : names of clips whose body pauses in the middle until `go` is set.
    """

    daemon_threads = True

    def __init__(self, root):
        self.root, self.asked = root, Counter()
        self.missing, self.corrupt, self.stalled = set(), set(), set()
        self.cuts, self.go, self.broken = Counter(), threading.Event(), False
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/AudioWAV"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, Path(self.path).name
        clip = name.removesuffix(".wav")
        server.asked[clip] += 1
        path = server.root / name
        if server.broken or clip in server.missing or not path.is_file():
            self.send_error(503 if server.broken else 404)
            return
        data = path.read_bytes()
        if clip in server.corrupt:
            data = data[:-2] + b"\x00\x01"
        half = len(data) // 2
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:half])
        self.wfile.flush()
        if server.cuts[clip]:
            server.cuts[clip] -= 1
            return
        if clip in server.stalled:
            server.go.wait(20)
        self.wfile.write(data[half:])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(official, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    server = Server(official)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.go.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_official_address_is_pinned_to_a_commit():
    assert corpora.BASE_URL == (
        "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/"
        "1658cd342dff90010aa843eaeebd53610a08b1dc/AudioWAV/"
    )


def test_fetch_downloads_everything_under_one_progress_bar(official, folder, server, capfd):
    assert corpora.fetch(folder, base_url=server.url) == folder
    assert held(folder) == all_of(official)
    assert server.asked == Counter(TINY)
    bar = capfd.readouterr().err
    assert bar.count("\n") == 1
    assert "CREMA-D: 100%" in bar


def test_a_second_fetch_asks_for_nothing(official, folder, server):
    corpora.fetch(folder, base_url=server.url)
    server.asked.clear()
    corpora.fetch(folder, base_url=server.url)
    assert not server.asked


def test_fetch_replaces_a_damaged_file_and_keeps_the_rest(official, folder, server):
    shutil.copytree(official, folder)
    (folder / "1001_IEO_NEU_XX.wav").write_bytes(b"damaged")
    corpora.fetch(folder, base_url=server.url)
    assert server.asked == Counter(["1001_IEO_NEU_XX"])
    assert held(folder) == all_of(official)


def test_fetch_tries_again_after_a_cut_connection(official, folder, server):
    server.cuts["1001_IEO_NEU_XX"] = 2
    corpora.fetch(folder, base_url=server.url)
    assert held(folder) == all_of(official)
    assert server.asked["1001_IEO_NEU_XX"] == 3


def test_a_connection_cut_every_time_names_the_clip_and_a_rerun_finishes(official, folder, server):
    server.cuts["1001_IEO_NEU_XX"] = 3
    with pytest.raises(
        CorpusError,
        match=r"1 clip of .*1001_IEO_NEU_XX.wav: no connection, or it was cut\).*"
        "run `persona corpus fetch` again",
    ):
        corpora.fetch(folder, base_url=server.url)
    expected = all_of(official)
    del expected["1001_IEO_NEU_XX.wav"]
    assert held(folder) == expected
    server.asked.clear()
    corpora.fetch(folder, base_url=server.url)
    assert held(folder) == all_of(official)
    assert server.asked == Counter(["1001_IEO_NEU_XX"])


def test_a_corrupt_and_a_missing_file_are_named_and_not_left_in_place(official, folder, server):
    server.corrupt, server.missing = {"1001_IEO_ANG_HI"}, {"1040_ITH_SAD_XX"}
    with pytest.raises(CorpusError) as caught:
        corpora.fetch(folder, base_url=server.url)
    assert str(caught.value).startswith(
        "2 clips of CREMA-D missing or corrupt (1001_IEO_ANG_HI.wav: corrupt, "
        "1040_ITH_SAD_XX.wav: the server answered 404) in "
    )
    expected = all_of(official)
    del expected["1001_IEO_ANG_HI.wav"], expected["1040_ITH_SAD_XX.wav"]
    assert held(folder) == expected


def test_a_corrupt_download_does_not_stay_even_over_a_damaged_file(official, folder, server):
    shutil.copytree(official, folder)
    (folder / "1001_IEO_ANG_HI.wav").write_bytes(b"damaged")
    server.corrupt = {"1001_IEO_ANG_HI"}
    with pytest.raises(CorpusError, match=r"1001_IEO_ANG_HI.wav: corrupt"):
        corpora.fetch(folder, base_url=server.url)
    assert corpora.verify(folder) == [("1001_IEO_ANG_HI", "corrupt")]


def many(tmp_path, monkeypatch, count=100):
    names = [f"1001_{i:03}_ANG_XX" for i in range(count)]
    checkout = make_checkout(tmp_path / "many", names)
    monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "many-data"))
    corpora.build_table(checkout)
    return checkout / "AudioWAV"


def test_fetch_does_not_ask_a_dead_server_for_every_clip(server, folder, tmp_path, monkeypatch):
    server.root = many(tmp_path, monkeypatch)
    server.broken = True
    with pytest.raises(
        CorpusError, match=r"^100 clips .*: the server answered 503, .*and 95 more\)"
    ):
        corpora.fetch(folder, base_url=server.url, jobs=4)
    assert server.asked.total() < 3 * (24 + 8)
    assert held(folder) == {}


def test_no_server_at_all_is_one_clear_sentence(official, folder, monkeypatch):
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    with pytest.raises(CorpusError, match=r"^6 clips .*wav: no connection, or it was cut, "):
        corpora.fetch(folder, base_url="http://127.0.0.1:9/")


def test_a_folder_that_cannot_be_written_is_one_clear_sentence(official, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CorpusError, match="cannot be written to"):
        corpora.fetch(tmp_path / "file" / "corpus")


def fetch_in_another_process(folder, server):
    code = (
        "import signal, sys, persona.corpora as c\n"
        # Where the tests run in the background, Ctrl-C would be ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "c.fetch(sys.argv[1], base_url=sys.argv[2])\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), server.url],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_killed_fetch_resumes_with_only_what_is_missing(official, folder, server):
    server.stalled = {"1001_IEO_ANG_HI", "1040_ITH_SAD_XX"}
    arrived = {f"{name}.wav" for name in TINY if name not in server.stalled}
    process = fetch_in_another_process(folder, server)
    wait_until(lambda: server.asked.total() == 6 and arrived <= set(held(folder)))
    process.kill()
    process.communicate()
    unfinished = list((folder / ".incoming").iterdir())
    assert len(unfinished) == 2
    assert [p.name for p in folder.glob("*.wav") if p.stem in server.stalled] == []
    assert {p.clip for p in corpora.verify(folder)} == server.stalled

    server.go.set()
    server.asked.clear()
    corpora.fetch(folder, base_url=server.url)
    assert server.asked == Counter(server.stalled)
    assert held(folder) == all_of(official)


def test_ctrl_c_leaves_no_broken_file(official, folder, server):
    server.stalled = {"1001_IEO_ANG_HI"}
    process = fetch_in_another_process(folder, server)
    wait_until(lambda: len(list(folder.glob("*.wav"))) == 5)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    server.go.set()
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert not (folder / ".incoming").exists()
    # The download under way may still have finished; whatever is there is right.
    assert held(folder).items() <= all_of(official).items()


# Importing a copy


def test_import_takes_wav_and_flac_from_anywhere_below_a_folder(official, folder, tmp_path):
    source = tmp_path / "copy"
    (source / "deep" / "er").mkdir(parents=True)
    for number, path in enumerate(sorted(official.iterdir())):
        if number % 2:
            shutil.copy(path, source / "deep" / "er" / path.name)
        else:
            samples, rate = soundfile.read(path, dtype="int16")
            soundfile.write(source / "deep" / f"{path.stem}.FLAC", samples, rate, format="FLAC")
    (source / "notes.txt").write_text("not audio")
    save_wav(source / "holiday.wav", np.arange(500))
    assert corpora.import_copy(source, folder) == {}
    assert held(folder) == all_of(official)


def test_import_recognises_a_renamed_file_by_its_content(official, folder, tmp_path):
    source = tmp_path / "copy"
    shutil.copytree(official, source)
    (source / "1040_ITH_SAD_XX.wav").rename(source / "1040_ITH_SAD_X.wav")
    assert corpora.import_copy(source, folder) == {"1040_ITH_SAD_X.wav": "1040_ITH_SAD_XX"}
    assert held(folder) == all_of(official)


def test_a_corpus_folder_can_be_put_right_in_place(official, folder):
    shutil.copytree(official, folder)
    (folder / "1040_ITH_SAD_XX.wav").rename(folder / "1040_ITH_SAD_X.wav")
    corpora.import_copy(folder, folder)
    assert corpora.verify(folder) == []


def test_a_wrong_file_is_named_and_the_rest_imported(official, folder, tmp_path):
    source = tmp_path / "copy"
    shutil.copytree(official, source)
    save_wav(source / "1001_IEO_NEU_XX.wav", np.arange(4000))
    (source / "1001_IEO_ANG_HI.wav").unlink()
    samples, _ = soundfile.read(source / "1040_ITH_SAD_XX.wav", dtype="int16")
    (source / "1040_ITH_SAD_XX.wav").unlink()
    soundfile.write(source / "1040_ITH_SAD_XX.flac", samples, 48000)
    (source / "1002_MTI_SAD_XX.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CorpusError) as caught:
        corpora.import_copy(source, folder)
    assert str(caught.value) == (
        f"2 of 6 clips are now in {folder}; 3 wrong and not imported "
        f"({source}/1001_IEO_NEU_XX.wav is corrupt, "
        f"{source}/1002_MTI_SAD_XX.wav is a Git LFS pointer, not audio, "
        f"{source}/1040_ITH_SAD_XX.flac is not 16 kHz, mono, 16-bit); "
        f"1 not found in {source} (1001_IEO_ANG_HI.wav): "
        "`persona corpus fetch` downloads the rest."
    )
    good = ("1002_TIE_HAP_XX.wav", "1002_TIE_NEU_XX.wav")
    assert held(folder) == {name: all_of(official)[name] for name in good}


def test_one_wrong_sample_makes_a_flac_wrong(official, folder, tmp_path):
    source = tmp_path / "copy"
    source.mkdir()
    samples, rate = soundfile.read(official / "1001_IEO_NEU_XX.wav", dtype="int16")
    samples[100] ^= 1
    soundfile.write(source / "1001_IEO_NEU_XX.flac", samples, rate)
    with pytest.raises(CorpusError, match=r"1 wrong and not imported .*NEU_XX.flac is corrupt"):
        corpora.import_copy(source, folder)
    assert held(folder) == {}


def test_import_adds_to_what_is_there(official, folder, tmp_path):
    for part in (TINY[:2], TINY[2:]):
        source = tmp_path / part[0]
        source.mkdir()
        for name in part:
            shutil.copy(official / f"{name}.wav", source)
    with pytest.raises(CorpusError, match=r"^2 of 6 clips are now in .*; 4 not found in"):
        corpora.import_copy(tmp_path / TINY[0], folder)
    corpora.import_copy(tmp_path / TINY[2], folder)
    assert held(folder) == all_of(official)


def test_a_source_that_is_no_folder_is_refused(official, folder, tmp_path):
    with pytest.raises(CorpusError, match="is not a folder"):
        corpora.import_copy(tmp_path / "nowhere", folder)


@needs_crema
def test_the_real_flac_files_become_the_official_wav_files(folder):
    source = SHARED / "crema-d" / "audio"
    names = {path.stem for path in source.glob("*.flac")}
    with pytest.raises(
        CorpusError, match=r"^1,099 of 7,442 clips are now in .*; 6,343 not found in"
    ):
        corpora.import_copy(source, folder)
    assert {path.stem for path in folder.iterdir()} == names
    assert corpora.verify(folder, clips=names) == []


# EmoDB


def test_emodb_names_are_read_and_boredom_is_dropped(tmp_path):
    for name in ("03a01Fa.wav", "16b10Wb.flac", "14a05Lb.wav", "08a02Tc.wav"):
        (tmp_path / name).touch()
    rows = corpora.emodb(tmp_path)
    assert [tuple(row) for row in rows.to_numpy()] == [
        ("03a01Fa", tmp_path / "03a01Fa.wav", 3, 31, "male", "happy"),
        ("08a02Tc", tmp_path / "08a02Tc.wav", 8, 34, "female", "sad"),
        ("16b10Wb", tmp_path / "16b10Wb.flac", 16, 31, "female", "anger"),
    ]


def test_a_file_not_named_as_emodb_names_them_is_refused(tmp_path):
    (tmp_path / "song.wav").touch()
    with pytest.raises(CorpusError, match=r"song.wav is not named like a clip of EmoDB"):
        corpora.emodb(tmp_path)


def test_a_folder_without_emodb_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="There is no WAV or FLAC file of EmoDB in"):
        corpora.emodb(tmp_path / "nowhere")


@needs_emodb
def test_emodb_counts_are_the_published_ones():
    rows = corpora.emodb(SHARED / "emodb" / "audio")
    assert rows["emotion"].value_counts().to_dict() == {
        "anger": 127,
        "neutral": 79,
        "happy": 71,
        "fear": 69,
        "sad": 62,
        "disgust": 46,
    }
    actors = rows.drop_duplicates("speaker").set_index("speaker")
    assert actors["gender"].value_counts().to_dict() == {"male": 5, "female": 5}
    assert actors["age"].to_dict() == {
        3: 31, 8: 34, 9: 21, 10: 32, 11: 26, 12: 30, 13: 32, 14: 35, 15: 25, 16: 31,
    }  # fmt: skip


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'pandas', 'pooch', 'requests', 'soundfile', 'tqdm'}"
    code = f"import sys, persona.corpora; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
