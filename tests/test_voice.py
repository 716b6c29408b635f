"""A person's usual voice: what it is taken for, and how it is kept."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from persona import Predictor
from persona.cli import main
from persona.errors import AudioError, PersonaError, StoreError
from persona.model import enrolment
from persona.people import kept, voice
from persona.people.voice import Voice

CLASSES, SIZE = 3, 40
rng = np.random.default_rng(0)
USUAL = np.vstack([rng.normal(0, 1, (1, SIZE)), 3 * np.eye(CLASSES, SIZE)]).astype(np.float32)
OWN = np.float32(rng.normal(0, 2, SIZE) * (np.arange(SIZE) >= CLASSES))
"""How somebody's voice differs from everybody's, in what says nothing of a feeling."""


def emotions(embeddings: np.ndarray) -> np.ndarray:
    """Probabilities by how near embeddings are to what each class does to the usual voice."""
    logits = 3 * (embeddings - USUAL[0]) @ USUAL[1:].T / 9
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def said(*classes: int, noise: float = 0.1) -> np.ndarray:
    """Phrases of this person, one for each class named."""
    chance = np.random.default_rng(1).normal(0, noise, (len(classes), SIZE))
    return (USUAL[0] + OWN + USUAL[1:][list(classes)] + chance).astype(np.float32)


class TestTheOffset:
    def test_of_many_mixed_phrases_is_the_persons(self):
        found = voice.learn(said(*[0, 1, 2] * 40), USUAL, emotions)
        assert found.dtype == np.float32 and found == pytest.approx(OWN, abs=0.25)

    def test_of_few_is_drawn_to_everybodys_voice(self):
        few, many = (voice.learn(said(*[0, 1, 2] * n), USUAL, emotions) for n in (1, 40))
        assert np.linalg.norm(few) < 0.7 * np.linalg.norm(many)

    def test_of_one_feeling_holds_little_of_that_feeling(self):
        angry = voice.learn(said(*[0] * 20), USUAL, emotions)
        blind = (said(*[0] * 20).mean(axis=0) - USUAL[0]) * 20 / (20 + voice.SHRINK)
        assert blind[0] > 2 and abs(angry[0]) < 0.7

    def test_of_plain_phrases_takes_the_plain_class_away_by_itself(self):
        found = voice.learn(said(*[2] * 30), USUAL, emotions, plain=2)
        assert found == pytest.approx(OWN * 30 / (30 + voice.SHRINK_PLAIN), abs=0.1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PERSONA_VOICES", str(tmp_path / "voices"))
    return tmp_path / "voices"


ANNA = Voice(OWN, 12, plain=False, made_for="a" * 64)


class TestKept:
    def test_is_what_was_learnt(self, folder):
        kept.keep("anna", ANNA)
        found = kept.load("anna")
        np.testing.assert_array_equal(found.offset, ANNA.offset)
        assert (found.phrases, found.plain, found.made_for) == (12, False, "a" * 64)
        assert kept.names() == ["anna"]

    @pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
    def test_is_readable_by_its_owner_alone_whatever_the_umask(self, folder):
        before = os.umask(0)
        try:
            file = kept.keep("anna", ANNA)
        finally:
            os.umask(before)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_is_small(self, folder):
        large = Voice(np.zeros(8192, np.float32), 200, plain=True, made_for="b" * 64)
        assert kept.keep("bert", large).stat().st_size < 1_000_000

    def test_is_gone_when_forgotten(self, folder):
        kept.keep("anna", ANNA)
        kept.forget("anna")
        assert kept.names() == [] and not list(folder.iterdir())
        with pytest.raises(PersonaError, match="There is no voice 'anna'"):
            kept.load("anna")

    @pytest.mark.parametrize("name", ["", "../anna", "a/b", ".anna", "x" * 80])
    def test_has_a_name_that_leads_nowhere_else(self, folder, name):
        with pytest.raises(PersonaError, match="cannot be a voice's name"):
            kept.keep(name, ANNA)

    def test_is_one_sentence_where_it_cannot_be_written(self, folder, tmp_path):
        (tmp_path / "file").touch()
        for place in ("file", "file/deeper"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("PERSONA_VOICES", str(tmp_path / place))
                with pytest.raises(StoreError, match=r"cannot be kept in .* set PERSONA_VOICES"):
                    kept.keep("anna", ANNA)

    def test_is_exported_whole_for_its_owners_eyes_to_where_it_is_read_from(self, folder, tmp_path):
        kept.keep("anna", ANNA)
        out = tmp_path / "shared" / "a.voice"
        kept.export("anna", out)
        np.testing.assert_array_equal(kept.load(str(out)).offset, ANNA.offset)
        if os.name == "posix":
            assert stat.S_IMODE(out.stat().st_mode) == 0o600
        with pytest.raises(PersonaError, match=r"b.npz does not end in .voice"):
            kept.export("anna", tmp_path / "b.npz")
        with pytest.raises(StoreError, match="cannot be written"):
            kept.export("anna", out / "deeper.voice")

    def test_is_refused_when_damaged(self, folder):
        file = kept.keep("anna", ANNA)
        file.write_bytes(file.read_bytes()[:100])
        with pytest.raises(StoreError, match="no voice, or is damaged"):
            kept.load("anna")


CLIPS = sorted((Path(__file__).resolve().parents[1] / "data" / "listening").glob("*.flac"))[:6]


class TestKnownSpeakers:
    """With the model that ships: whose recordings are named is answered against their voice."""

    @pytest.fixture(scope="class")
    def predictor(self) -> Predictor:
        return Predictor.load()

    def test_are_read_against_the_voice_of_all_of_their_recordings(self, predictor):
        answers = [*predictor.predict_many(CLIPS, speakers=[*3 * ["ann"], "bob", "bob", None])]
        ann = enrolment.learn(predictor, CLIPS[:3])
        alone = [predictor.predict(clip) for clip in CLIPS]
        assert answers[:3] == [predictor.predict(clip, voice=ann) for clip in CLIPS[:3]]
        assert answers[0].emotion != alone[0].emotion and answers[0].age == alone[0].age
        assert answers[3:] == alone[3:]  # of two recordings nobody tells voice from feeling

    def test_a_recording_that_cannot_be_used_stops_nothing(self, predictor, tmp_path):
        bad = 4 * [tmp_path / "none.wav"]
        speakers = [*4 * ["ann"], *3 * ["nobody"]]
        found = [*predictor.predict_many([*CLIPS[:3], *bad], speakers=speakers)]
        ann = enrolment.learn(predictor, CLIPS[:3])
        assert found[1] == predictor.predict(CLIPS[1], voice=ann)
        assert all(isinstance(answer, AudioError) for answer in found[3:])

    def test_as_many_as_recordings_or_none_and_no_voice_beside_them(self, predictor):
        with pytest.raises(PersonaError, match="6 recordings and 1 speakers"):
            next(predictor.predict_many(CLIPS, speakers=["ann"]))
        voice = enrolment.learn(predictor, CLIPS[:1])
        with pytest.raises(PersonaError, match="one person's"):
            next(predictor.predict_many(CLIPS, speakers=["ann"] * 6, voice=voice))

    def predicted(self, capsys, *arguments) -> list[dict]:
        assert main(["--quiet", "predict", *map(str, arguments), "--jsonl"]) == 0
        rows = map(json.loads, capsys.readouterr().out.splitlines())
        return [{**row, "file": Path(row["file"]).name} for row in rows]

    def test_of_a_folder_or_a_table_in_the_command(self, predictor, tmp_path, capsys):
        folder = tmp_path / "anna"
        folder.mkdir()
        for clip in CLIPS:
            (folder / clip.name).write_bytes(clip.read_bytes())
        same = self.predicted(capsys, folder, "--same-speaker")
        assert same[0]["emotion"] != self.predicted(capsys, folder)[0]["emotion"]
        lines = "".join(f"anna/{clip.name},anna\n" for clip in CLIPS)
        (tmp_path / "clips.csv").write_text("file,speaker\n" + lines)
        assert self.predicted(capsys, tmp_path / "clips.csv") == same

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--voice", "anna", "--same-speaker"], "--same-speaker does not go with --voice"),
            (["--people", "2", "--same-speaker"], "does not go with --people 2"),
            (["--csv", "--resume", "rows.csv", "--same-speaker"], "not go with --resume"),
            (["clips.csv", "--same-speaker"], "--same-speaker does not go with a table"),
            (["clips.csv", "--csv", "--resume", "rows.csv"], "A table, which names who speaks,"),
            (["clips.csv", "other.csv"], "Two tables name 'ann' and 'bob'"),
        ],
    )
    def test_do_not_go_with_what_says_otherwise(
        self, tmp_path, monkeypatch, capsys, options, words
    ):
        monkeypatch.chdir(tmp_path)
        for name, speaker in (("clips", "ann"), ("other", "bob")):
            Path(f"{name}.csv").write_text(f"file,speaker\n{CLIPS[0]},{speaker}\n")
        assert main(["predict", str(CLIPS[0]), *options]) == 1
        assert words in capsys.readouterr().err


SIX = Path(__file__).resolve().parents[2] / "shared" / "crema-d" / "six"


@pytest.mark.skipif(not SIX.is_dir(), reason="needs ../shared/crema-d/six")
class TestTheCommand:
    """With the model that ships, on one actor's clips in six emotions."""

    def run(self, *arguments) -> int:
        return main(["--quiet", *map(str, arguments)])

    def emotion(self, capsys, *arguments) -> dict[str, float]:
        clip = SIX / "1020_IEO_SAD_HI.flac"
        assert self.run("predict", clip, "--jsonl", *arguments) == 0
        return json.loads(capsys.readouterr().out)

    def test_learns_lists_predicts_exports_and_forgets(self, folder, tmp_path, capsys):
        alone = self.emotion(capsys)
        assert self.run("voice", "learn", "--plain", "anna", SIX / "1020_IEO_NEU_XX.flac") == 0
        assert self.run("voice", "list") == 0
        assert "anna" in (printed := capsys.readouterr().out) and "1 phrases, plain" in printed
        against = self.emotion(capsys, "--voice", "anna")
        assert against["emotion"] != alone["emotion"]
        assert (against["gender"], against["age"]) == (alone["gender"], alone["age"])
        assert self.run("voice", "export", "anna", tmp_path / "a.voice") == 0
        assert self.run("voice", "forget", "anna") == 0
        capsys.readouterr()
        assert self.emotion(capsys, "--voice", tmp_path / "a.voice") == against
        assert self.run("predict", SIX / "1020_IEO_SAD_HI.flac", "--voice", "anna") == 1
        assert "There is no voice 'anna' (known: none yet)" in capsys.readouterr().err

    def test_a_voice_of_another_model_and_one_of_several_people_are_refused(self):
        predictor = Predictor.load()
        clip, size = SIX / "1020_IEO_SAD_HI.flac", predictor.heads.dimension
        other = Voice(np.zeros(size, np.float32), 1, plain=False, made_for="0" * 64)
        with pytest.raises(PersonaError, match="learnt by another model"):
            predictor.predict(clip, voice=other)
        own = Voice(np.zeros(size, np.float32), 1, plain=False, made_for=predictor.fingerprint)
        with pytest.raises(PersonaError, match="of the one person who speaks"):
            predictor.predict(clip, voice=own, people=2)
        assert predictor.predict(clip, voice=own) == predictor.predict(clip, people=1)

    def test_is_learnt_from_what_can_be_used_and_says_what_cannot(self, folder, tmp_path, capsys):
        silent = tmp_path / "silent.wav"
        soundfile.write(silent, np.zeros(16_000), 16_000)
        assert self.run("voice", "learn", "anna", SIX / "1020_IEO_NEU_XX.flac", silent) == 1
        assert "skipped: " in capsys.readouterr().err and kept.load("anna").phrases == 1
        assert self.run("voice", "learn", "nobody", silent) == 1
        assert "nobody" not in kept.names()
