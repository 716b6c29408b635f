"""Feature tables: resumable, equal whatever the number of processes, never of other audio."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import soundfile
import toys

from persona import corpora, features
from persona.audio import degradations
from persona.dataset import Dataset
from persona.errors import FeatureError, PersonaError
from persona.keeping import parallel, store

SOME = [f"{i:04d}" for i in range(12)]


@pytest.fixture(autouse=True)
def build(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_BUILD", str(tmp_path / "build"))
    monkeypatch.setattr(features, "PART", 5)
    return tmp_path / "build"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    toys.record(folder, SOME)
    return folder


@pytest.fixture
def audio(recorded, tmp_path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "audio"))


class Small(toys.Toy):
    """One speaker, whose audio decides the fingerprint."""

    def __init__(self, folder: Path):
        super().__init__(folder, speakers=1)


@pytest.fixture
def corpus(audio) -> Small:
    return Small(audio)


def made(corpus, **options):
    """A table extracted in this process, and the clips that could not be read."""
    options = {"jobs": 1, **options}
    _, bad = features.extract(corpus, "toy", **options)
    return features.read(options.get("name") or "toy", corpus.name), bad


def file_of(build: Path, name: str = "toy") -> Path:
    return build / "features" / "toy" / f"{name}.parquet"


@pytest.fixture
def embedded(monkeypatch) -> list[str]:
    """Clips that are embedded from here on."""
    seen: list[str] = []
    original = features._embed_part

    def watched(corpus, clips, representation, parameters):
        seen.extend(clips)
        return original(corpus, clips, representation, parameters)

    monkeypatch.setattr(features, "_embed_part", watched)
    return seen


class TestExtraction:
    def test_a_table_holds_the_embedding_of_every_clip_and_what_made_it(self, corpus, build):
        table, bad = made(corpus)
        assert bad == {}
        assert list(table.clips) == SOME
        samples = [corpus.waveform(clip) for clip in SOME]
        wanted = toys.ToyRepresentation().embed([x - x.mean() for x in samples])
        assert np.array_equal(table.embeddings, wanted)
        assert table.provenance["representation"] == toys.ToyRepresentation().provenance()
        assert table.provenance["corpus"] == {
            "name": "toy", "fingerprint": corpus.fingerprint(), "clips": 12,
        }  # fmt: skip
        assert table.provenance["no_speech_found"] == SOME  # noises, all of them
        assert {"speech", "software", "skipped"} <= set(table.provenance)
        assert [p.name for p in file_of(build).parent.iterdir() if p.name[0] != "."] == [
            "toy.parquet"
        ]

    def test_one_process_and_several_give_the_same_digits(self, corpus):
        one, _ = made(corpus, name="one")
        two, _ = made(corpus, name="two", jobs=2)
        toys.stop_workers()
        assert one.checksum == two.checksum
        assert one.provenance == two.provenance

    @pytest.mark.parametrize("kind", ["int8", "float16", "float32"])
    def test_values_are_stored_as_the_representation_makes_them(self, corpus, build, kind):
        table, _ = made(corpus, name="own", dtype=kind)
        assert store.read_table(file_of(build, "own")).columns["embedding"].dtype == kind
        assert table.embeddings.dtype == np.float32
        assert np.abs(table.embeddings).max() > 0

    def test_other_precision_is_no_embedding(self, corpus):
        with pytest.raises(FeatureError, match="holds embeddings of type float64"):
            made(corpus, name="own", dtype="float64")

    def test_progress_and_parameters_belong_to_the_representation(self, corpus):
        with pytest.raises(PersonaError, match="toy has no parameter layer"):
            made(corpus, layer=3)


class TestDamage:
    def test_damaged_and_missing_clips_are_skipped_and_named(self, corpus, audio, monkeypatch):
        monkeypatch.setattr(Small, "digests", lambda self: dict.fromkeys(SOME, "published"))
        (audio / "0003.wav").write_bytes(b"this is no audio")
        (audio / "0007.wav").unlink()
        table, bad = made(corpus)
        assert list(bad) == ["0003", "0007"]
        assert "0003.wav" in bad["0003"] and "0007" in bad["0007"]
        assert len(table.clips) == 10
        assert table.provenance["skipped"] == bad

    def test_audio_of_another_recording_than_is_published_is_skipped_and_named(
        self, tmp_path, monkeypatch
    ):
        clips = corpora.load("crema-d").clips()["clip"].head(2).tolist()
        toys.record(tmp_path / "wrong", clips)
        with pytest.raises(FeatureError, match=r"No clip could be read: .*does not hold the audio"):
            features.extract(
                corpora.load("crema-d", folder=tmp_path / "wrong"), "toy", name="some",
                clips=clips, jobs=1,
            )  # fmt: skip

    def test_a_clip_that_the_representation_refuses_is_skipped_and_named(self, corpus):
        """Clips of less than 4,300 samples: those numbered 0, 1, 10 and 11."""
        table, bad = made(corpus, name="own", least=4300)
        assert list(bad) == ["0000", "0001", "0010", "0011"]
        assert bad["0010"] == "0010: It is too short: record more."
        assert list(table.clips) == SOME[2:10]
        assert table.provenance["no_speech_found"] == SOME[2:10]
        whole, _ = made(corpus, name="whole")
        assert np.array_equal(whole.at(table.clips), table.embeddings)

    def test_where_nothing_can_be_read_there_is_no_table(self, corpus, audio, build):
        for file in audio.iterdir():
            file.write_bytes(b"x")
        with pytest.raises(FeatureError, match=r"No clip could be read: .*0000\.wav"):
            made(corpus)
        assert not file_of(build).exists()

    def test_a_silent_clip_is_embedded(self, corpus, audio):
        soundfile.write(audio / "0000.wav", np.zeros(8000), 16_000)
        table, bad = made(corpus)
        assert bad == {} and np.isfinite(table.embeddings).all()

    def test_numbers_that_are_not_finite_never_become_a_table(self, corpus, build, monkeypatch):
        embed = toys.ToyRepresentation.embed

        def broken(self, waveforms):
            values = embed(self, waveforms)
            values[-1, 0] = np.nan
            return values

        monkeypatch.setattr(toys.ToyRepresentation, "embed", broken)
        with pytest.raises(FeatureError, match="not finite, of clip 0004"):
            made(corpus)
        assert not file_of(build).exists()


class TestResuming:
    def interrupted(self, corpus, monkeypatch, after: int = 2, **options) -> None:
        """An extraction that is stopped when so many parts are done."""
        run = parallel.run

        def stopping(*arguments, **given):
            for number, result in enumerate(run(*arguments, **given)):
                if number == after:
                    raise KeyboardInterrupt
                yield result

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(parallel, "run", stopping)
            made(corpus, **options)

    def test_what_was_done_is_not_done_again(self, corpus, monkeypatch, embedded, build):
        wanted, _ = made(corpus, name="undisturbed")
        self.interrupted(corpus, monkeypatch)
        assert not file_of(build).exists()
        embedded.clear()
        table, _ = made(corpus)
        assert embedded == SOME[10:]
        assert table.checksum == wanted.checksum
        assert not list(build.rglob("*.npz"))

    def test_parts_of_other_audio_under_the_same_names_are_not_mixed_in(
        self, corpus, monkeypatch, audio, embedded
    ):
        self.interrupted(corpus, monkeypatch)
        toys.record(audio, SOME, seed=1)
        embedded.clear()
        table, _ = made(corpus)
        assert embedded == SOME
        fresh, _ = made(corpus, name="fresh")
        assert table.checksum == fresh.checksum

    @pytest.mark.parametrize("what", ["version", "parameter", "speech"])
    def test_parts_made_by_other_code_are_not_mixed_in(self, corpus, monkeypatch, embedded, what):
        self.interrupted(corpus, monkeypatch, name="own")
        embedded.clear()
        if what == "version":
            monkeypatch.setattr(toys.ToyRepresentation, "version", 2)
        if what == "speech":
            monkeypatch.setattr(features.speech, "VERSION", 99)
        made(corpus, name="own", dtype="float16" if what == "parameter" else "float32")
        assert embedded == SOME

    def test_parts_of_other_clips_are_not_mixed_in(self, corpus, monkeypatch, embedded):
        self.interrupted(corpus, monkeypatch, name="some", clips=SOME[:11])
        embedded.clear()
        made(corpus, name="some")
        assert embedded == SOME


class TestParts:
    def test_a_part_needs_a_name_of_its_own(self, corpus, build):
        with pytest.raises(FeatureError, match=r"Only 3 of 12 clips of toy are here.*give --name"):
            made(corpus, clips=SOME[:3])
        assert not build.exists()
        table, _ = made(corpus, clips=SOME[2::-1], name="three")
        assert list(table.clips) == SOME[:3]

    def test_a_part_never_replaces_a_whole_table(self, corpus, build):
        made(corpus)
        before = file_of(build).read_bytes()
        with pytest.raises(FeatureError, match=r"holds 12 clips and would be replaced by 3: give"):
            made(corpus, clips=SOME[:3], name="toy")
        assert file_of(build).read_bytes() == before
        made(corpus, clips=SOME[:3], name="three")
        with pytest.raises(FeatureError, match="holds 3 clips and would be replaced by 2"):
            made(corpus, clips=SOME[:2], name="three")
        made(corpus, clips=SOME[:4], name="three")

    def test_a_run_that_meets_damaged_clips_does_not_replace_a_whole_table(
        self, corpus, audio, build
    ):
        made(corpus)
        before = file_of(build).read_bytes()
        (audio / "0003.wav").write_bytes(b"this is no audio")
        with pytest.raises(FeatureError, match="holds 12 clips and would be replaced by 11"):
            made(corpus)
        assert file_of(build).read_bytes() == before

    def test_no_clip_at_all_is_one_sentence(self, corpus):
        with pytest.raises(FeatureError, match="no clip of toy to extract: get its audio first"):
            made(corpus, clips=[])

    @pytest.mark.parametrize(
        "name", ["", "../toy", "a/b", "/etc/x", "..", ".hidden", "a..b", "a b"]
    )
    def test_a_name_is_a_name_and_no_path(self, corpus, name, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(FeatureError, match="cannot be the name of a feature table"):
            features.extract(corpus, "toy", name=name, jobs=1)
        with pytest.raises(FeatureError, match="cannot be the name of a feature table"):
            features.read(name, "toy")
        assert sorted(tmp_path.rglob("*")) == before


def with_columns(file: Path, **columns) -> None:
    """The same table with other columns, written as the store writes it."""
    table = store.read_table(file)
    store.write_table(file, {**table.columns, **columns}, table.provenance)


def with_provenance(file: Path, **changes) -> None:
    table = parquet.read_table(file)
    metadata = dict(table.schema.metadata)
    made_by = json.loads(metadata[b"persona"]) | changes
    metadata[b"persona"] = json.dumps(made_by).encode()
    parquet.write_table(table.replace_schema_metadata(metadata), file)


class TestNameByDefault:
    """A name that a representation has means its default parameters, here and in every chapter."""

    @pytest.mark.parametrize("name", [None, "toy"])
    def test_goes_with_no_other_parameter(self, recorded, build, name):
        before = made(Small(recorded))[0]
        with pytest.raises(FeatureError, match=r"named toy holds .* not toy, width=9: give it a n"):
            made(Small(recorded), name=name, width=9)
        assert features.read("toy", "toy").checksum == before.checksum
        assert made(Small(recorded), name="wide", width=9)[0].embeddings.shape[1] == 9

    def test_goes_with_the_defaults_written_out(self, recorded):
        assert made(Small(recorded), width=6)[0].checksum == made(Small(recorded))[0].checksum

    def test_goes_with_no_other_representation(self, recorded, build):
        with pytest.raises(FeatureError, match="named mfcc holds what mfcc makes by default, not"):
            made(Small(recorded), name="mfcc")
        assert not file_of(build, "mfcc").exists()


class TestReading:
    @pytest.fixture
    def file(self, build) -> Path:
        return toys.write_features(toys.Toy())

    def test_a_table_is_read(self, file):
        table = features.read("toy", "toy")
        assert table.embeddings.shape == (120, toys.DIMENSION)
        assert np.array_equal(table.embeddings, toys.embeddings(toys.clips()))
        assert features.available("toy", "toy") and features.listed("toy") == ["toy"]

    def test_a_missing_table_names_what_there_is_and_what_makes_it(self, file):
        wanted = r"no feature table 'other' of toy: make it with `persona extract.*are: toy\)\."
        with pytest.raises(FeatureError, match=wanted):
            features.read("other", "toy")
        assert not features.available("toy+other", "toy")

    def test_a_clip_twice_is_named(self, file):
        names = store.read_table(file).columns["clip"]
        names[5] = names[3]
        with_columns(file, clip=names)
        with pytest.raises(FeatureError, match=r"toy\.parquet holds the clip 0003 more than once"):
            features.read("toy", "toy")

    @pytest.mark.parametrize("wrong", [np.nan, np.inf])
    def test_a_number_that_is_not_finite_is_named(self, file, wrong):
        values = store.read_table(file).columns["embedding"].copy()
        values[7, 3] = wrong
        with_columns(file, embedding=values)
        with pytest.raises(FeatureError, match=r"toy\.parquet .* not finite, of clip 0007"):
            features.read("toy", "toy")

    @pytest.mark.parametrize("wrong", [np.zeros((120, 4)), np.zeros(120, np.float32)])
    def test_what_is_no_embedding_is_refused(self, file, wrong):
        with_columns(file, embedding=wrong)
        with pytest.raises(FeatureError, match=r"toy\.parquet holds embeddings of type"):
            features.read("toy", "toy")

    def test_a_flipped_bit_a_renamed_column_and_nonsense_are_refused(self, file):
        intact = file.read_bytes()
        renamed = parquet.read_table(file).rename_columns(["name", "embedding"])
        parquet.write_table(renamed, file)
        broken = [file.read_bytes(), b"nonsense", intact[:-100]]
        at = len(intact) // 2
        broken.append(intact[:at] + bytes([intact[at] ^ 4]) + intact[at + 1 :])
        for content in broken:
            file.write_bytes(content)
            with pytest.raises(FeatureError, match=r"toy\.parquet is no feature table, or is dam"):
                features.read("toy", "toy")

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"representation": {"representation": "toy", "version": 0}}, "version 0 of toy, this"),
            ({"representation": {"representation": "gone", "version": 1}}, "not say what made it"),
            ({"representation": "toy"}, "does not say what made it"),
            ({"speech": {"speech": 0}}, "made with another detection of speech"),
            ({"corpus": {}}, "does not say what made it"),
        ],
    )
    def test_a_table_of_other_code_is_refused(self, file, change, sentence):
        with_provenance(file, **change)
        with pytest.raises(FeatureError, match=rf"toy\.parquet .*{sentence}.*: make it with"):
            features.read("toy", "toy")

    def test_a_table_of_other_audio_than_the_corpus_has_is_refused(self, file, monkeypatch):
        monkeypatch.setattr(corpora, "NAMES", (*corpora.NAMES, "toy"))
        monkeypatch.setattr(toys.Toy, "fingerprint", lambda self: "0" * 64)
        features.read("toy", "toy")
        monkeypatch.setattr(toys.Toy, "fingerprint", lambda self: "1" * 64)
        with pytest.raises(FeatureError, match=r"toy\.parquet was made from other audio than toy"):
            features.read("toy", "toy")

    def test_vectors_that_ship_belong_to_the_copies_that_are_made_today(self, monkeypatch):
        features.read("mfcc_delta", "crema-d-degraded")
        monkeypatch.setattr(degradations, "VERSION", degradations.VERSION + 1)
        with pytest.raises(FeatureError, match="was made from other audio than crema-d-degraded"):
            features.read("mfcc_delta", "crema-d-degraded")

    def test_clips_that_the_table_lacks_are_named(self, file):
        with pytest.raises(FeatureError, match=r"lacks 1 clips \(nobody"):
            features.read("toy", "toy").at(["0001", "nobody"])

    def test_tables_joined_by_plus_stand_side_by_side_clip_by_clip(self, file):
        other = toys.embeddings(toys.clips(), 5)
        second = toys.write_features(toys.Toy(), other, "other")
        names = store.read_table(second).columns["clip"]
        with_columns(second, clip=names[::-1].copy(), embedding=other[::-1].copy())
        joined = features.read("toy+other", "toy")
        assert joined.embeddings.shape == (120, 2 * toys.DIMENSION)
        assert np.array_equal(joined.embeddings[:, toys.DIMENSION :], other)
        assert joined.checksum != features.read("other+toy", "toy").checksum
        assert Dataset("toy", "toy+other").embeddings_checksum == joined.checksum

    def test_the_order_of_at_is_that_of_the_names(self, file):
        table = features.read("toy", "toy")
        rows = table.at(["0009", "0002"])
        assert np.array_equal(rows, table.embeddings[[9, 2]])
