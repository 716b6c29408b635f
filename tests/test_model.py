"""A model's folder: what is written is what is read, and what is damaged or hostile is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import toy_model
import yaml
from hub_server import COMMIT, Hub, use_hub
from onnx import TensorProto, helper
from toy_model import CLIP, DIMENSION

from persona import audio
from persona.audio import speech
from persona.calibration import tempered
from persona.errors import AudioError, ModelError, PersonaError
from persona.model import voices
from persona.model.heads import OUTPUTS, Heads, write_heads
from persona.model.hub_page import readme
from persona.model.predictor import Predictor
from persona.model.saved import Model, load
from persona.network import AGE_HEADS, ARCHITECTURES

FILES = {"card.json", "heads.onnx", "model.safetensors"}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    toy_model.register(monkeypatch)


@pytest.fixture(scope="module")
def model() -> Model:
    return toy_model.model()


@pytest.fixture
def folder(model, tmp_path) -> Path:
    return model.save(tmp_path / "model")


def edit_card(folder: Path, edit) -> None:
    card = json.loads((folder / "card.json").read_text())
    edit(card)
    (folder / "card.json").write_text(json.dumps(card))


class TestHeads:
    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    @pytest.mark.parametrize("age_head", AGE_HEADS)
    def test_answer_as_the_networks_do_on_torch(self, architecture, age_head):
        ensemble = toy_model.ensemble(architecture, age_head)
        heads = Heads(write_heads(ensemble, toy_model.space()))
        x = 3 * toy_model.embeddings(50)  # beyond the limit of the standardised input, too
        answers, wanted = heads.run(x), ensemble.predict(torch.from_numpy(x))
        assert answers.emotion == pytest.approx(wanted.emotion.numpy(), abs=1e-3)
        assert answers.gender == pytest.approx(wanted.gender.numpy(), abs=1e-3)
        assert answers.age == pytest.approx(wanted.age.numpy(), abs=0.05)

    def test_temper_the_averaged_probabilities(self):
        ensemble, x = toy_model.ensemble(), toy_model.embeddings(20)
        answers = Heads(write_heads(ensemble, toy_model.space(), (2.0, 0.5))).run(x)
        wanted = ensemble.predict(torch.from_numpy(x))
        assert answers.emotion == pytest.approx(tempered(wanted.emotion.numpy(), 2.0), abs=1e-5)
        assert answers.gender == pytest.approx(tempered(wanted.gender.numpy(), 0.5), abs=1e-5)

    def test_measure_the_distance_from_the_nearest_speaker(self):
        space, x = toy_model.space(), toy_model.embeddings(20)
        found = Heads(write_heads(toy_model.ensemble(), space)).run(x).distance
        z = (x - space.mean) @ space.projection
        wanted = np.linalg.norm(z[:, None] - space.speakers, axis=-1).min(axis=1)
        assert found == pytest.approx(wanted, rel=1e-3)

    def test_say_what_voices_are_usually_like_if_they_know(self):
        usual = np.random.default_rng(0).normal(size=(7, DIMENSION)).astype(np.float32)
        graph = write_heads(toy_model.ensemble(), toy_model.space(), usual=usual)
        np.testing.assert_array_equal(Heads(graph).usual(), usual)
        x = toy_model.embeddings(5)
        without = Heads(write_heads(toy_model.ensemble(), toy_model.space()))
        assert without.usual() is None
        np.testing.assert_array_equal(Heads(graph).run(x).emotion, without.run(x).emotion)

    def test_refuse_usual_voices_of_another_size(self):
        usual = np.zeros((3, DIMENSION), np.float32)
        with pytest.raises(ModelError, match="usual has the shape"):
            Heads(write_heads(toy_model.ensemble(), toy_model.space(), usual=usual))

    def test_answer_one_embedding_as_among_many(self, model):
        heads, x = Heads(model.heads), toy_model.embeddings(7)
        many, one = heads.run(x), heads.run(x[3:4])
        assert one.emotion[0] == pytest.approx(many.emotion[3], abs=1e-6)

    def test_refuse_to_answer_by_what_is_no_number(self, model):
        with pytest.raises(AudioError, match="no answer is a number"):
            Heads(model.heads).run(np.full((1, DIMENSION), np.nan, np.float32))


def graph(*nodes, initializers=(), outputs=None, inputs=None, **options) -> onnx.ModelProto:
    """A graph of the right inputs and outputs, unless others are given."""
    shape = ["batch", DIMENSION]
    inputs = inputs or [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, shape)]
    outputs = outputs or [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *size])
        for name, size in OUTPUTS.items()
    ]
    made = helper.make_graph(list(nodes), "g", inputs, outputs, list(initializers))
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], **options)


def external(name: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def node(operator: str = "Identity", **options):
    return helper.make_node(operator, ["embeddings"], ["emotion"], **options)


def constant(tensor: TensorProto):
    return helper.make_node("Constant", [], ["emotion"], value=tensor)


INNER = helper.make_graph([node()], "inner", [], [])
HOSTILE = {
    "reads weights from a file": [
        graph(initializers=[external("w")]),
        graph(constant(external("w"))),
    ],
    "uses the operator 'Loop'": [graph(node("Loop", body=INNER))],
    "uses the operator 'EPContext'": [graph(node("EPContext"))],
    "uses operators of 'com.microsoft'": [graph(node("Gemm", domain="com.microsoft"))],
    "a graph within a graph": [graph(node("Identity", body=INNER))],
    "more than one graph": [
        graph(node(), functions=[helper.make_function("d", "f", [], [], [], [])])
    ],
    "cannot load it": [graph(node("Gemm")), graph()],
}


class TestAHostileGraph:
    @pytest.mark.parametrize(
        ("words", "made"), [(words, made) for words, each in HOSTILE.items() for made in each]
    )
    def test_is_one_sentence(self, words, made):
        with pytest.raises(ModelError, match=words) as raised:
            Heads(made.SerializeToString())
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"PK\x03\x04 a zip archive", b"{}"])
    def test_that_is_none_is_one_sentence(self, content):
        with pytest.raises(ModelError, match=r"The graph of the model's heads cannot be used"):
            Heads(content)

    def test_cut_short_anywhere_is_refused(self, model):
        for length in np.linspace(1, len(model.heads) - 1, 40).astype(int):
            with pytest.raises(ModelError):
                Heads(model.heads[:length])

    def test_with_other_outputs_is_refused(self, model):
        made = onnx.load_from_string(model.heads)
        made.graph.output.pop()
        with pytest.raises(ModelError, match="its outputs have to be emotion, gender, age"):
            Heads(made.SerializeToString())

    @pytest.mark.parametrize("size", [8, "any"])
    def test_with_outputs_of_another_shape_is_refused(self, size):
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
            for name in OUTPUTS
        ]
        nodes = [helper.make_node("Identity", ["embeddings"], [name]) for name in OUTPUTS]
        with pytest.raises(ModelError, match="emotion has the type"):
            Heads(graph(*nodes, outputs=outputs).SerializeToString())


def test_the_model_that_ships_answers_as_its_networks_do_on_torch():
    predictor = Predictor.load()
    speeches = [
        speech.only(audio.read(clip).samples).samples for clip in CLIP.parent.glob("*.flac")
    ]
    x = np.hstack([r.embed(speeches) for r in predictor._representations])
    answers = Heads(predictor.model.heads).run(x)
    wanted = predictor.model.networks().predict(torch.from_numpy(x))
    for task in ("emotion", "gender"):
        temperature = predictor.card["calibration"][task]["temperature"]
        probabilities = tempered(getattr(wanted, task).numpy(), temperature)
        assert getattr(answers, task) == pytest.approx(probabilities, abs=1e-3)
    assert answers.age == pytest.approx(wanted.age.numpy(), abs=0.05)


class TestAFolder:
    def test_holds_the_card_the_heads_and_the_weights_and_gives_the_same_model(self, model, folder):
        assert {file.name for file in folder.iterdir()} == FILES
        again = load(folder)
        assert (again.heads, again.weights) == (model.heads, model.weights)
        predicted = Predictor(again).predict(CLIP)
        assert predicted.to_dict() == Predictor(model).predict(CLIP).to_dict()

    def test_gives_networks_to_train_further(self, folder):
        x = torch.from_numpy(toy_model.embeddings(5))
        wanted = toy_model.ensemble().predict(x).emotion
        assert torch.allclose(load(folder).networks().predict(x).emotion, wanted, atol=1e-6)

    @pytest.mark.parametrize("name", ["heads.onnx", "model.safetensors"])
    def test_with_a_flipped_bit_is_refused(self, folder, name):
        damaged = bytearray((folder / name).read_bytes())
        damaged[-1] ^= 1
        (folder / name).write_bytes(damaged)
        with pytest.raises(ModelError, match=f"{name} is damaged"):
            load(folder)

    def test_that_lacks_its_heads_is_refused(self, folder):
        (folder / "heads.onnx").unlink()
        with pytest.raises(ModelError, match=r"heads\.onnx cannot be read"):
            load(folder)

    def test_that_lacks_its_weights_answers_but_is_neither_saved_nor_trained(self, model, folder):
        (folder / "model.safetensors").unlink()
        loaded = load(folder)
        assert Predictor(loaded).predict(CLIP).age == Predictor(model).predict(CLIP).age
        for use in (loaded.networks, lambda: loaded.save(folder)):
            with pytest.raises(ModelError, match=r"has no model\.safetensors"):
                use()

    def test_without_a_model_says_how_to_make_one(self, tmp_path):
        with pytest.raises(ModelError, match="persona train"):
            load(tmp_path)

    def test_whose_weights_are_of_another_network_cannot_be_trained_further(self, folder):
        edit_card(folder, lambda card: card["network"].update(dimension=7))
        with pytest.raises(ModelError, match="does not fit"):
            load(folder).networks()

    @pytest.mark.parametrize("parts", [[[0, 4]], [[0, 3, 6], [0, 4]], [[-1, 4], [4, 2]]])
    def test_whose_networks_cannot_listen_to_its_parts_cannot_be_trained_further(
        self, folder, parts
    ):
        edit_card(folder, lambda card: card["network"].update(parts=parts))
        with pytest.raises(ModelError, match="does not fit"):
            load(folder).networks()

    @pytest.mark.parametrize("name", ["no such/folder/here", "../x", "a/..", "/nowhere", "a/../b"])
    def test_that_is_neither_here_nor_a_name_on_the_hub_is_refused(self, name):
        with pytest.raises(ModelError, match="There is no model"):
            load(name)


EDITS = {
    "missing required field `limits`": lambda card: card.pop("limits"),
    r"field `hidden` - at `\$\.network`": lambda card: card["network"].pop("hidden"),
    "unknown field `colour`": lambda card: card.update(colour="red"),
    "unknown field `in two lines`": lambda card: card.update({"in\ntwo\tlines": "red"}),
    r"float`, got `str` - at `\$\.age_interval\.level`": lambda card: card["age_interval"].update(
        level="much"
    ),
    "JSON is malformed": lambda card: card["distances"].append(float("nan")),
    r"array`, got `object` - at `\$\.representations`": lambda card: card.update(
        representations={}
    ),
    r"int`, got `bool` - at `\$\.network\.networks`": lambda card: card["network"].update(
        networks=True
    ),
    r"array`, got `int` - at `\$\.network\.parts\[": lambda card: card["network"].update(parts=[3]),
    r"object`, got `str` - at `\$\.representations\[": lambda card: card.update(
        representations=["x"]
    ),
    "ages have to rise": lambda card: card["age_interval"].update(ages=[60, 20]),
    r">= 0.* - at `\$\.age_interval\.below\[": lambda card: card["age_interval"].update(
        below=[-1, 20]
    ),
    "distances have to rise": lambda card: card.update(distances=list(range(101, 0, -1))),
    r"length >= 101 - at `\$\.distances`": lambda card: card.update(distances=[0, 1]),
    r"unknown field `mood` - at `\$\.tasks`": lambda card: card.update(tasks={"mood": ["low"]}),
    r"no task is named - at `\$\.tasks`": lambda card: card.update(tasks={}),
    r"array` of length >= 1 - at `\$\.tasks\.emotion`": lambda card: card.update(
        tasks={"emotion": []}
    ),
    "emotion names a class twice": lambda card: card.update(tasks={"emotion": ["a", "a"]}),
    r"at `\$\.tasks\.gender`": lambda card: card.update(tasks={"gender": ["male"]}),
    r"at `\$\.tasks": lambda card: card.update(tasks=3),
    r"null`, got `object` - at `\$\.trust`": lambda card: card.update(trust={}),
    "missing required field `format`": lambda card: card.pop("format"),
    "is malformed": lambda card: card.update(evaluation={"age": float("inf")}),
}


class TestACard:
    @pytest.mark.parametrize("words", EDITS)
    def test_that_states_other_things_is_one_sentence_naming_the_key(self, folder, words):
        edit_card(folder, EDITS[words])
        with pytest.raises(ModelError, match=words) as raised:
            load(folder)
        assert "\n" not in str(raised.value) and str(raised.value).endswith(".")

    @pytest.mark.parametrize("content", ["", "[]", "{}", "{", '{"format": 2}', "[" * 100_000])
    def test_that_is_none_is_refused(self, tmp_path, content):
        (tmp_path / "card.json").write_text(content)
        with pytest.raises(ModelError, match="is not the card of a model"):
            load(tmp_path)

    def test_of_another_format_is_refused(self, tmp_path):
        (tmp_path / "card.json").write_text('{"format": 1}')
        with pytest.raises(ModelError, match="has format 1, this version reads format 2"):
            load(tmp_path)

    def test_cannot_name_a_representation_that_is_not_in_the_registry(self, folder):
        edit_card(folder, lambda card: card.update(representations=[{"representation": "../x"}]))
        with pytest.raises(Exception, match="There is no representation"):
            Predictor.load(folder)

    @pytest.mark.parametrize(
        "representation",
        [{}, {"representation": None}, {"representation": "bands", "version": None}],
    )
    def test_whose_representation_is_none_is_one_sentence(self, folder, representation):
        edit_card(folder, lambda card: card.update(representations=[representation]))
        with pytest.raises(PersonaError) as raised:
            Predictor.load(folder)
        assert "\n" not in str(raised.value)

    @pytest.mark.parametrize(
        ("representation", "values"),
        [
            ("xvector", {"model": "someone/evil"}),
            ("xvector", {"model": "../../evil"}),
            ("wavlm", {"model": "someone/evil"}),
            ("wavlm", {"model": "/tmp/evil"}),
            ("wavlm", {"layer": 5}),
            ("whisper", {"model": "someone/evil"}),
        ],
    )
    def test_cannot_have_other_weights_loaded(self, folder, representation, values, monkeypatch):
        monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail())
        monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: pytest.fail())
        provenance = {"representation": representation, **values}
        edit_card(folder, lambda card: card.update(representations=[provenance]))
        with pytest.raises(PersonaError) as raised:
            Predictor.load(folder)
        assert "\n" not in str(raised.value)


class TestSharing:
    @pytest.fixture
    def hub(self, model, tmp_path, nothing_cached, monkeypatch):
        model.save(tmp_path / "published" / "someone" / "persona")
        with Hub(tmp_path / "published") as running:
            use_hub(running.endpoint, monkeypatch)
            yield running

    def test_a_name_on_the_hub_is_downloaded_at_one_commit(self, model, hub):
        assert load("someone/persona").heads == model.heads
        assert f"GET /someone/persona/resolve/{COMMIT}/model.safetensors" in hub.asked

    def test_what_was_downloaded_serves_where_there_is_no_network(self, hub, monkeypatch):
        load("someone/persona")
        use_hub("http://127.0.0.1:9", monkeypatch)
        assert load("someone/persona").card["name"] == "toy"

    def test_without_the_hub_s_library_a_name_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(ModelError, match=r"pip install 'persona-voice\[hub\]'"):
            load("someone/persona")

    def test_a_name_the_hub_does_not_know_is_one_sentence(self, hub):
        with pytest.raises(ModelError, match="has no model someone/else"):
            load("someone/else")

    def test_a_revision_the_hub_does_not_know_is_one_sentence(self, hub):
        with pytest.raises(ModelError, match="no revision v9 of someone/persona"):
            load("someone/persona", revision="v9")

    @pytest.mark.parametrize("revision", ["../main", "/etc", "a..b"])
    def test_a_revision_that_is_a_path_is_refused(self, revision):
        with pytest.raises(ModelError, match="is not a revision"):
            load("someone/persona", revision=revision)

    def test_a_model_is_pushed_whole_and_answers_from_there(self, model, hub, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
        assert model.push_to_hub("someone/mine", private=True) == f"{hub.endpoint}/someone/mine"
        again = load("someone/mine")
        assert (again.heads, again.weights) == (model.heads, model.weights)

    def test_its_page_there_is_written_from_its_card(self, model, hub, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_of_the_test")
        model.push_to_hub("someone/mine")
        text = (tmp_path / "published" / "someone" / "mine" / "README.md").read_text("utf-8")
        _, front, page = text.split("---\n", 2)
        stated = yaml.safe_load(front)
        assert stated["pipeline_tag"] == "audio-classification"
        assert stated["tags"] == ["speech", "emotion", "gender", "age"]
        assert 'Predictor.load("someone/mine")' in page
        assert "## Not for\n- Hiring & firing." in page

    def test_the_page_of_the_model_that_ships_names_its_corpora(self):
        front = yaml.safe_load(readme(load().card, "someone/persona").split("---\n")[1])
        assert front["language"] == ["en"]
        assert "CREMA-D (7,435 clips, ODbL-1.0" in readme(load().card, "someone/persona")


class TestVoices:
    """Four speakers far apart in one dimension, close in another, where clips spread."""

    x = np.array([[100 * s, d] for s in range(4) for d in (-1.0, 0, 1)], np.float32)
    speakers = np.repeat(np.arange(4), 3)

    def test_stand_where_their_clips_are(self):
        space = voices.fit(self.x, self.speakers)
        z = (self.x - space.mean) @ space.projection
        distance = np.linalg.norm(z[:, None] - space.speakers, axis=-1)
        assert distance.argmin(axis=1).tolist() == self.speakers.tolist()

    def test_unseen_ones_are_farther_than_those_trained_on(self):
        space = voices.fit(self.x, self.speakers)
        z = (self.x - space.mean) @ space.projection
        own = np.linalg.norm(z - space.speakers[self.speakers], axis=-1)
        percentiles = voices.unseen(self.x, self.speakers, space)
        assert percentiles.shape == (voices.PERCENTILES,)
        assert (np.diff(percentiles) >= 0).all()
        assert percentiles[0] > own.max()
