"""The store: written whole or not at all, and never read with other values than were written."""

import errno
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from persona import __version__
from persona.errors import StoreError
from persona.keeping import store

COLUMNS = {
    "clip": np.array(["a", "b", "ü"], dtype=object),
    "age": np.array([20.5, np.nan, 40], np.float32),
    "seed": np.array([0, 1, 2], np.int16),
    "vector": np.arange(12, dtype=np.float32).reshape(3, 4),
    "small": np.arange(-3, 3, dtype=np.int8).reshape(3, 2),
}


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "folder" / "table.parquet"
    store.write_table(path, COLUMNS, {"made": "by a test"})
    return path


def only_file(folder: Path) -> str:
    (name,) = os.listdir(folder)
    return name


class TestTables:
    def test_what_is_written_is_read_with_its_types_and_what_made_it(self, file):
        table = store.read_table(file)
        assert table.provenance == {"made": "by a test"}
        assert list(table.columns) == list(COLUMNS)
        assert len(table) == 3
        for name, values in COLUMNS.items():
            assert table.columns[name].dtype == values.dtype
            np.testing.assert_array_equal(table.columns[name], values)

    def test_vectors_are_kept_byte_by_byte_and_text_by_a_dictionary(self, file):
        """Which is why they take little room; numbers differ too much for a dictionary."""
        group = parquet.read_metadata(file).row_group(0)
        kept = [group.column(i) for i in range(group.num_columns)]
        assert {column.compression for column in kept} == {"ZSTD"}
        by = {"BYTE_STREAM_SPLIT": [], "RLE_DICTIONARY": []}
        for encoding, columns in by.items():
            columns += [c.path_in_schema for c in kept if encoding in c.encodings]
        assert by == {"BYTE_STREAM_SPLIT": ["vector.list.element"], "RLE_DICTIONARY": ["clip"]}

    def test_a_vector_of_small_whole_numbers_takes_a_byte_for_each(self, file):
        schema = parquet.read_metadata(file).schema
        small = schema.column(schema.names.index("small"))
        assert (small.physical_type, small.length) == ("FIXED_LEN_BYTE_ARRAY", 2)

    def test_a_table_without_rows_is_read_again(self, tmp_path):
        empty = {name: values[:0] for name, values in COLUMNS.items()}
        store.write_table(tmp_path / "empty.parquet", empty, {})
        found = store.read_table(tmp_path / "empty.parquet").columns
        assert found["vector"].shape == (0, 4)

    def test_many_row_groups_are_one_table(self, tmp_path):
        vectors = np.random.default_rng(0).random((5, 3))
        columns = {"clip": np.arange(5).astype(str), "vector": vectors}
        store.write_table(tmp_path / "t.parquet", columns, {})
        parquet.write_table(
            parquet.read_table(tmp_path / "t.parquet"), tmp_path / "t.parquet", row_group_size=2
        )
        found = store.read_table(tmp_path / "t.parquet").columns["vector"]
        np.testing.assert_array_equal(found, columns["vector"])

    def test_equal_columns_have_equal_checksums_and_others_do_not(self):
        usual = store.checksum(COLUMNS)
        assert usual == store.checksum({n: v.copy() for n, v in COLUMNS.items()})
        for name, values in COLUMNS.items():
            other = values.copy()
            other[0] = "z" if name == "clip" else 7
            assert store.checksum({**COLUMNS, name: other}) != usual
        assert store.checksum({**COLUMNS, "age": COLUMNS["age"].astype(float)}) != usual
        renamed = {("years" if n == "age" else n): v for n, v in COLUMNS.items()}
        assert store.checksum(renamed) != usual

    def test_every_flipped_bit_is_noticed_or_changes_nothing(self, file):
        """Of a bit in every fifth byte: values, lengths, names and metadata."""
        intact = file.read_bytes()
        wanted, noticed = store.checksum(COLUMNS), 0
        for at in range(0, len(intact), 5):
            file.write_bytes(intact[:at] + bytes([intact[at] ^ 1 << at % 8]) + intact[at + 1 :])
            try:
                found = store.read_table(file)
            except StoreError as error:
                assert str(file) in str(error)
                noticed += 1
            else:
                assert store.checksum(found.columns) == wanted
        assert noticed > len(intact) / 5 / 4

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
    def test_half_a_file_is_refused(self, file, share):
        intact = file.read_bytes()
        file.write_bytes(intact[: int(share * len(intact))])
        with pytest.raises(StoreError, match=r"table\.parquet .*make it again\."):
            store.read_table(file)

    def rewritten(self, file, change) -> None:
        parquet.write_table(change(parquet.read_table(file)), file)

    @pytest.mark.parametrize(
        "change",
        [
            lambda t: t.rename_columns(["name", *t.column_names[1:]]),
            lambda t: t.replace_schema_metadata({"persona": "{}"}),
            lambda t: t.replace_schema_metadata({"persona": "{", "sha256": "0"}),
            lambda t: t.replace_schema_metadata({"persona": b"\xff", "sha256": "0"}),
            lambda t: t.replace_schema_metadata(None),
            lambda t: t.slice(0, 2),
            lambda t: t.take([1, 0, 2]),
            lambda t: t.set_column(3, "vector", pa.array([[1.0] * 4, None, [2.0] * 4])),
            lambda t: t.set_column(3, "vector", pa.array(t["vector"].to_pylist())),
            lambda t: t.set_column(
                3, "vector",
                pa.array([[1.0, None, 1, 1], None, [2.0] * 4], pa.list_(pa.float32(), 4)),
            ),
            lambda t: t.set_column(
                3, "vector", pa.array(t["vector"].to_pylist(), pa.list_(pa.float64(), 4))
            ),
            lambda t: t.set_column(0, "clip", pa.array(["a", None, "c"])),
        ],
        ids=[
            "renamed column", "no checksum", "broken metadata", "metadata that is no text",
            "no metadata", "a row less", "rows in another order", "null vector", "plain lists",
            "null value", "float64", "null name",
        ],
    )  # fmt: skip
    def test_what_others_made_of_it_is_refused_in_one_sentence(self, file, change):
        self.rewritten(file, change)
        with pytest.raises(StoreError, match=r"table\.parquet [^.]*: .*make it again\.$"):
            store.read_table(file)

    def test_a_missing_table_and_a_folder_in_its_place_are_named(self, tmp_path):
        with pytest.raises(StoreError, match=r"gone\.parquet is missing: make it"):
            store.read_table(tmp_path / "gone.parquet")
        (tmp_path / "t.parquet").mkdir()
        with pytest.raises(StoreError, match=r"t\.parquet"):
            store.read_table(tmp_path / "t.parquet")

    def test_provenance_is_read_without_values_and_empty_where_there_is_none(self, file, tmp_path):
        assert store.read_provenance(file) == {"made": "by a test"}
        assert store.read_provenance(tmp_path / "gone.parquet") == {}
        file.write_bytes(b"nonsense")
        assert store.read_provenance(file) == {}


class TestJson:
    def test_it_is_sorted_and_read_again(self, tmp_path):
        store.write_json(tmp_path / "a.json", {"b": [1, "ü"], "a": None})
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert text == '{\n "a": null,\n "b": [\n  1,\n  "ü"\n ]\n}\n'
        assert store.read_json(tmp_path / "a.json") == {"b": [1, "ü"], "a": None}

    def test_nan_is_not_written(self, tmp_path):
        with pytest.raises(ValueError):
            store.write_json(tmp_path / "a.json", {"a": float("nan")})
        assert not os.listdir(tmp_path)

    @pytest.mark.parametrize("content", [b"{", b"\xff\xfe", None])
    def test_broken_and_missing_files_are_one_sentence(self, tmp_path, content):
        if content is not None:
            (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(StoreError, match=r"a\.json (cannot be read|is missing).*\.$"):
            store.read_json(tmp_path / "a.json")

    def test_equal_contents_have_equal_fingerprints_in_any_order(self):
        assert store.fingerprint({"a": 1, "b": [2]}) == store.fingerprint({"b": [2], "a": 1})
        assert store.fingerprint([1, 2]) != store.fingerprint([2, 1])

    def test_what_json_does_not_know_has_no_fingerprint(self):
        with pytest.raises(ValueError):
            store.fingerprint([float("nan")])

    def test_a_file_that_cannot_be_read_has_no_checksum(self, tmp_path):
        with pytest.raises(StoreError, match=r"gone cannot be read \(No .*\): check the file\."):
            store.sha256(tmp_path / "gone")


class TestWriting:
    def test_nothing_is_left_of_a_block_that_fails(self, tmp_path):
        with pytest.raises(RuntimeError), store.writing(tmp_path / "a") as aside:
            aside.write_bytes(b"half")
            raise RuntimeError
        assert not os.listdir(tmp_path)

    def test_the_old_file_stays_until_the_new_one_is_whole(self, tmp_path):
        store.write_bytes(tmp_path / "a", b"old")
        with pytest.raises(KeyboardInterrupt), store.writing(tmp_path / "a") as aside:
            aside.write_bytes(b"new")
            assert (tmp_path / "a").read_bytes() == b"old"
            raise KeyboardInterrupt
        assert (tmp_path / "a").read_bytes() == b"old"
        assert only_file(tmp_path) == "a"

    def test_it_is_on_the_disk_before_it_has_its_name(self, tmp_path, monkeypatch):
        synced = []
        fsync = os.fsync
        monkeypatch.setattr(
            os, "fsync", lambda f: (synced.append((tmp_path / "a").exists()), fsync(f))
        )
        store.write_bytes(tmp_path / "a", b"x")
        assert synced == [False]

    def test_it_is_made_beside_its_place_hidden_and_named_as_unfinished(self, tmp_path):
        with store.writing(tmp_path / "a") as aside:
            assert aside.parent == tmp_path  # a name can be given within one file system only
            assert aside.name.startswith(".a-") and aside.suffix == ".unfinished"

    def test_no_file_stays_open(self, tmp_path):
        before = os.listdir("/proc/self/fd")
        store.write_bytes(tmp_path / "a", b"x")
        assert os.listdir("/proc/self/fd") == before

    @pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
    def test_who_may_read_it_is_for_the_users_umask_to_say(self, tmp_path, umask, mode):
        before = os.umask(umask)
        try:
            with store.writing(tmp_path / "a") as aside:
                assert aside.stat().st_mode & 0o777 == mode
            with store.lock(tmp_path / "a"):
                assert (tmp_path / ".a.lock").stat().st_mode & 0o777 == mode
        finally:
            os.umask(before)
        assert (tmp_path / "a").stat().st_mode & 0o777 == mode

    @pytest.mark.parametrize("call", ["fsync", "replace"])
    def test_a_full_disk_is_one_sentence_and_leaves_nothing(self, tmp_path, monkeypatch, call):
        store.write_bytes(tmp_path / "a", b"old")

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os if call == "fsync" else Path, call, full)
        monkeypatch.setenv("PERSONA_BUILD", str(tmp_path))
        wanted = r"/a cannot be written \(No space left on device\): make room .*PERSONA_BUILD"
        with pytest.raises(StoreError, match=wanted):
            store.write_bytes(tmp_path / "a", b"new")
        monkeypatch.undo()
        assert only_file(tmp_path) == "a"
        assert (tmp_path / "a").read_bytes() == b"old"

    def test_a_file_in_place_of_a_folder_is_one_sentence(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be written"):
            store.write_bytes(tmp_path / "file" / "a", b"")
        with pytest.raises(StoreError, match="cannot be written"):
            store.write_table(tmp_path / "file" / "t.parquet", COLUMNS, {})
        with (
            pytest.raises(StoreError, match="cannot be written"),
            store.lock(tmp_path / "file" / "a"),
        ):
            pass


LOCKED = """
    import sys, time
    from pathlib import Path
    from persona.keeping import store
    with store.lock(Path(sys.argv[1]) / "thing"):
        print("in", flush=True)
        time.sleep(float(sys.argv[2]))
"""


class TestLock:
    def started(self, folder, seconds):
        script = folder / "locked.py"
        script.write_text(textwrap.dedent(LOCKED))
        command = [sys.executable, str(script), str(folder), str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "in\n"
        return process

    def test_the_second_waits_until_the_first_has_ended(self, tmp_path):
        process = self.started(tmp_path, 0.5)
        began = time.monotonic()
        with store.lock(tmp_path / "thing"):
            waited = time.monotonic() - began
            assert process.wait(60) == 0
        assert waited > 0.3

    def test_its_folder_is_made(self, tmp_path):
        with store.lock(tmp_path / "not" / "there" / "thing"):
            assert only_file(tmp_path / "not" / "there") == ".thing.lock"

    def test_a_killed_process_does_not_keep_it(self, tmp_path):
        process = self.started(tmp_path, 60)
        process.kill()
        process.wait()
        began = time.monotonic()
        with store.lock(tmp_path / "thing"):
            assert time.monotonic() - began < 5


class TestFolders:
    def test_the_environment_names_them(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
        assert store.shipped() == tmp_path / "data"
        assert store.made() == tmp_path / "build"

    def test_what_a_user_made_goes_before_what_ships(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PERSONA_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
        assert store.find("a", "b") == tmp_path / "data" / "a" / "b"
        store.write_bytes(tmp_path / "build" / "a" / "b", b"")
        assert store.find("a", "b") == tmp_path / "build" / "a" / "b"

    def test_a_checkout_holds_what_ships_and_what_is_made(self, tmp_path, monkeypatch):
        monkeypatch.delenv("PERSONA_BUILD", raising=False)
        monkeypatch.delenv("PERSONA_DATA", raising=False)
        monkeypatch.setattr(store, "_CHECKOUT", tmp_path)
        (tmp_path / "pyproject.toml").touch()
        assert not store.in_checkout()
        (tmp_path / "notebooks").mkdir()
        assert store.in_checkout()
        assert (store.shipped(), store.made()) == (tmp_path / "data", tmp_path / "build")

    def test_an_installed_package_keeps_what_is_made_in_the_cache_folder(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.delenv("PERSONA_BUILD", raising=False)
        monkeypatch.delenv("PERSONA_DATA", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        package = tmp_path / "lib" / "site-packages" / "persona"
        monkeypatch.setattr(store, "_PACKAGE", package)
        monkeypatch.setattr(store, "_CHECKOUT", package.parent)
        store.code_version.cache_clear()
        try:
            assert store.made() == tmp_path / "persona-voice"
            assert store.shipped() == package / "data"
            assert "+" not in store.code_version()  # no commit of a repository around it
        finally:
            store.code_version.cache_clear()

    def test_a_checkout_of_a_repository_names_its_commit(self, tmp_path, monkeypatch):
        def git(*words: str) -> str:
            who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
            command = ["git", "-C", str(tmp_path), *who, *words]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        monkeypatch.setattr(store, "_CHECKOUT", tmp_path)
        code_version = store.code_version.__wrapped__
        (tmp_path / "pyproject.toml").touch()
        (tmp_path / "notebooks").mkdir()
        assert code_version() == __version__
        git("init")
        git("add", ".")
        git("commit", "--message", "First")
        commit = git("rev-parse", "--short", "HEAD").strip()
        assert code_version() == f"{__version__}+{commit}"
        (tmp_path / "pyproject.toml").write_text("# changed")
        assert code_version() == f"{__version__}+{commit}-dirty"


def test_software_names_this_code_python_and_what_is_not_installed():
    found = store.software("numpy", "no-such-package")
    assert found["numpy"] == np.__version__
    assert found["no-such-package"] == "not installed"
    assert {"persona", "python"} <= set(found)
    json.dumps(found)
