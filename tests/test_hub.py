"""Published weights, through the hub library's own code, from a hub on this machine.

The weights are random; what is tested is how they are found, checked and loaded.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import (
    COMMIT,
    MODELS,
    WAVLM,
    WEIGHTS,
    XVECTOR,
    Hub,
    is_one_sentence,
    noise,
    same_sound_at_16_and_48_khz,
    use_hub,
)  # fmt: skip
from huggingface_hub import constants

from persona import audio, representations
from persona.errors import AudioError, PersonaError, WeightsError
from persona.representations import hub as weights_hub
from persona.representations.wavlm import WavLM
from persona.representations.xvector import XVector

each = pytest.mark.parametrize("name", MODELS)


class TestDownload:
    def test_happens_once_and_then_needs_no_network(
        self, published: Path, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = (
            "import json, numpy, sys; from persona import representations\n"
            "loaded = [representations.load(name) for name in sys.argv[1:]]\n"
            "clip = numpy.sin(numpy.arange(8000, dtype=numpy.float32))\n"
            "print(json.dumps([[r.provenance(), r.embed([clip])[0].tolist()] for r in loaded]))\n"
        )
        with Hub(published) as running:
            first = subprocess.run(
                [sys.executable, "-c", script, *MODELS],
                env=os.environ
                | {
                    "HF_HOME": str(nothing_cached),
                    "HF_ENDPOINT": running.endpoint,
                    "NO_PROXY": "127.0.0.1",
                    "TQDM_POSITION": "-1",  # shows the hub's bars where there is no terminal
                },
                cwd=Path(__file__).parent.parent,
                capture_output=True,
                text=True,
            )
        assert first.returncode == 0, first.stderr
        assert "Fetching 3 files" in first.stderr, "no progress bar"
        for name, model in MODELS.items():
            files = [path for path in running.asked if path.startswith(f"GET /{model}/resolve/")]
            assert len(files) == len(set(files)), "a file was downloaded twice"
            assert files.count(f"GET /{model}/resolve/{COMMIT}/{WEIGHTS[name]}") == 1
        assert not [path for path in running.asked if "discussions" in path], "wants a conversion"

        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(nothing_cached / "hub"))
        clip = np.sin(np.arange(8000, dtype=np.float32))
        for name, (provenance, vector) in zip(MODELS, json.loads(first.stdout), strict=True):
            again = representations.load(name)
            assert provenance["commit"] == COMMIT
            assert again.provenance() == provenance
            np.testing.assert_allclose(again.embed([clip])[0], vector, atol=1e-5)

    @each
    def test_takes_what_is_needed_of_the_commit_that_the_revision_meant(
        self, name: str, hub: Hub
    ) -> None:
        representations.load(name)
        model = MODELS[name]
        files = [path for path in hub.asked if path.startswith(f"GET /{model}/resolve/")]
        assert all(f"/resolve/{COMMIT}/" in path for path in files)
        assert len(files) == {"wavlm": 3, "xvector": 1, "whisper": 2}[name]

    def test_can_be_pinned_to_a_full_commit(self, hub: Hub) -> None:
        provenance = XVector(revision=COMMIT).provenance()
        assert (provenance["revision"], provenance["commit"]) == (COMMIT, COMMIT)

    @each
    def test_without_network_one_sentence_says_what_is_missing_and_how_to_get_it(
        self, name: str, nothing_cached: Path
    ) -> None:
        start = time.perf_counter()
        with pytest.raises(WeightsError) as caught:
            representations.load(name)
        assert time.perf_counter() - start < 8, "it went on trying"
        message = str(caught.value)
        assert is_one_sentence(message)
        assert f"{MODELS[name]}, revision main" in message
        assert "cannot be reached" in message
        assert f"`persona weights {name}`" in message
        assert str(nothing_cached / "by hand" / MODELS[name]) in message

    def test_gives_up_on_a_hub_that_takes_calls_and_never_answers(
        self, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(weights_hub, "PATIENCE", 0.5)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            use_hub(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
            start = time.perf_counter()
            with pytest.raises(WeightsError, match="cannot be reached"):
                XVector()
            assert time.perf_counter() - start < 5

    def test_names_offline_mode_as_the_reason(
        self, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set") as caught:
            WavLM()
        assert is_one_sentence(str(caught.value))

    def test_says_that_the_cache_cannot_be_written(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", "/proc/none/hub")
        with pytest.raises(WeightsError, match=r"HF_HOME|FileNotFoundError") as caught:
            XVector()
        assert is_one_sentence(str(caught.value))

    def test_names_the_revision_that_was_asked_for_in_the_command(
        self, nothing_cached: Path
    ) -> None:
        with pytest.raises(WeightsError, match="`persona weights xvector --revision v1`"):
            XVector(revision="v1")

    @pytest.mark.parametrize(
        ("name", "file"),
        [("wavlm", "pytorch_model.bin"), ("whisper", "config.json")],
    )
    def test_names_a_file_that_the_hub_does_not_have(
        self,
        name: str,
        file: str,
        published: Path,
        nothing_cached: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        root = nothing_cached / "incomplete"
        (root / MODELS[name]).mkdir(parents=True)
        for path in (published / MODELS[name]).iterdir():
            if path.name != file:
                (root / MODELS[name] / path.name).symlink_to(path)
        with Hub(root) as incomplete:
            use_hub(incomplete.endpoint, monkeypatch)
            with pytest.raises(WeightsError, match=f"{MODELS[name]} has no {file}") as caught:
                representations.load(name)
        assert is_one_sentence(str(caught.value))

    def test_answers_a_wrong_revision_with_one_sentence(self, hub: Hub) -> None:
        with pytest.raises(WeightsError, match=f"has no revision v9 of {WAVLM}") as caught:
            WavLM(revision="v9")
        assert "\n" not in str(caught.value)

    def test_answers_a_model_that_the_hub_lacks_with_one_sentence(self, hub: Hub) -> None:
        with pytest.raises(WeightsError, match="has no model nobody/nothing") as caught:
            WavLM("nobody/nothing", weights_sha256="0" * 64, config_sha256="0" * 64)
        assert "\n" not in str(caught.value)


class TestPlacedByHand:
    @each
    def test_comes_first(self, name: str, loaded: dict[str, Any], published: Path) -> None:
        provenance = loaded[name].provenance()
        content = (published / MODELS[name] / WEIGHTS[name]).read_bytes()
        assert provenance["commit"] == "placed by hand"
        if name != "whisper":
            assert provenance["weights_sha256"] == sha256(content).hexdigest()
        assert provenance["model"] == MODELS[name]
        assert provenance["revision"] == "main"
        assert all(isinstance(value, str | int | float) for value in provenance.values())

    def test_has_its_place_in_the_data_folder(
        self,
        published: Path,
        tmp_path: Path,
        nothing_cached: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("PERSONA_WEIGHTS")
        monkeypatch.setenv("PERSONA_DATA", str(tmp_path))
        (tmp_path / "weights").symlink_to(published)
        assert XVector().provenance()["commit"] == "placed by hand"

    @each
    def test_what_an_incomplete_folder_lacks_is_named(
        self, name: str, nothing_cached: Path
    ) -> None:
        folder = nothing_cached / "by hand" / MODELS[name]
        folder.mkdir(parents=True)
        (folder / "config.json").touch()
        with pytest.raises(WeightsError) as caught:
            representations.load(name)
        message = str(caught.value)
        assert is_one_sentence(message)
        assert str(folder) in message
        assert WEIGHTS[name] in message
        assert " config.json" not in message


class TestDamage:
    def test_of_a_download_is_said_and_can_be_put_right(
        self, hub: Hub, nothing_cached: Path
    ) -> None:
        XVector()
        (blob,) = (p for p in nothing_cached.rglob("blobs/*") if p.stat().st_size > 16_000_000)
        blob.write_bytes(blob.read_bytes()[:100_000])
        with pytest.raises(WeightsError, match="cannot be used for xvector") as caught:
            XVector()
        message = str(caught.value)
        assert "\n" not in message
        shutil.rmtree(message.split("remove ")[1].split(" and run")[0])
        XVector()

    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("wavlm", "encoder.pos_conv_embed.conv.weight_g"),
            ("xvector", "blocks.0.conv.bias"),
            ("whisper", "model.encoder.layers.1.fc1.weight"),
        ],
    )
    def test_never_leaves_parameters_at_random(
        self, name: str, key: str, published: Path, nothing_cached: Path
    ) -> None:
        from safetensors.torch import load_file, save_file

        folder = nothing_cached / "by hand" / MODELS[name]
        shutil.copytree(published / MODELS[name], folder)
        read, write = (load_file, save_file) if name == "whisper" else (torch.load, torch.save)
        state = read(folder / WEIGHTS[name])
        del state[key]
        write(state, folder / WEIGHTS[name])
        with pytest.raises(WeightsError, match="cannot be used") as caught:
            representations.load(name)
        assert "\n" not in str(caught.value)


class _Malice:
    """Unpickling it makes a file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.witness),)


class TestForeignModels:
    """What a card may name as a representation's model, and what comes of it."""

    @each
    @pytest.mark.parametrize(
        "model",
        [
            "../../etc/passwd",
            "..",
            "../x",
            "owner/..",
            "owner/../../name",
            "/etc/passwd",
            "/tmp/owner/name",
            "owner\\name",
            "C:\\owner/name",
            "owner/na\\me",
            "name",
            "a/b/c",
            "owner/",
            "/name",
            "owner/name\n",
            "not an identifier",
            "",
        ],
    )
    def test_a_name_that_is_not_owner_and_name_is_refused(
        self, name: str, model: str, hub: Hub
    ) -> None:
        with pytest.raises(WeightsError, match="is not the name of a model") as caught:
            representations.restore({"representation": name, "model": model})
        assert is_one_sentence(str(caught.value))
        assert not hub.asked

    @pytest.mark.parametrize("revision", ["../../x", "/etc", "a\\b", "", "refs/../../x"])
    def test_a_revision_that_is_a_path_is_refused(self, revision: str, hub: Hub) -> None:
        with pytest.raises(WeightsError, match="is not a revision"):
            XVector(revision=revision)
        assert not hub.asked

    @each
    def test_an_unknown_model_is_not_even_asked_for(self, name: str, hub: Hub) -> None:
        with pytest.raises(WeightsError, match="not among the published models") as caught:
            representations.restore({"representation": name, "model": "someone/evil"})
        assert is_one_sentence(str(caught.value))
        assert MODELS[name] in str(caught.value)
        assert not hub.asked

    @each
    def test_an_unknown_model_placed_by_hand_is_not_loaded_either(
        self, name: str, published: Path, nothing_cached: Path
    ) -> None:
        shutil.copytree(published / MODELS[name], nothing_cached / "by hand" / "someone/own")
        with pytest.raises(WeightsError, match="not among the published models"):
            representations.load(name, model="someone/own")

    def test_any_model_is_loaded_if_it_is_what_its_sha256_says(
        self, published: Path, nothing_cached: Path
    ) -> None:
        folder = nothing_cached / "by hand" / "someone/own"
        shutil.copytree(published / XVECTOR, folder)
        stated = sha256((folder / "embedding_model.ckpt").read_bytes()).hexdigest()
        made_by = XVector("someone/own", weights_sha256=stated).provenance()
        assert representations.restore(made_by).provenance() == made_by

    @pytest.mark.parametrize("name", ["wavlm", "xvector"])
    def test_files_other_than_stated_are_refused_before_they_are_loaded(
        self, name: str, loaded: dict[str, Any], published: Path, nothing_cached: Path
    ) -> None:
        folder = nothing_cached / "by hand" / MODELS[name]
        shutil.copytree(published / MODELS[name], folder)
        witness = nothing_cached / "witness"
        torch.save({"state": _Malice(witness)}, folder / WEIGHTS[name])
        with pytest.raises(WeightsError, match="was not loaded") as caught:
            representations.restore(loaded[name].provenance())
        assert is_one_sentence(str(caught.value))
        assert not witness.exists()

    @pytest.mark.parametrize("name", ["wavlm", "xvector"])
    def test_a_pickle_that_runs_code_does_not_even_with_its_sha256(
        self, name: str, published: Path, nothing_cached: Path
    ) -> None:
        folder = nothing_cached / "by hand" / "someone/evil"
        shutil.copytree(published / MODELS[name], folder)
        witness = nothing_cached / "witness"
        torch.save({"state": _Malice(witness)}, folder / WEIGHTS[name])
        card = {"representation": name, "model": "someone/evil"}
        files = {"weights_sha256": WEIGHTS[name], "config_sha256": "config.json"}
        card |= {k: sha256((folder / f).read_bytes()).hexdigest() for k, f in files.items()}
        with pytest.raises(WeightsError, match="cannot be used"):
            representations.restore(card)
        assert not witness.exists()

    def test_the_settings_of_a_repository_are_not_executed(
        self, published: Path, nothing_cached: Path
    ) -> None:
        folder = nothing_cached / "by hand" / XVECTOR
        shutil.copytree(published / XVECTOR, folder)
        witness = nothing_cached / "witness"
        (folder / "hyperparams.yaml").write_text(f"x: !apply:os.mkdir [{witness}]\n")
        XVector()
        assert not witness.exists()

    def test_what_a_config_names_beside_the_network_is_not_followed(
        self, published: Path, nothing_cached: Path
    ) -> None:
        folder = nothing_cached / "by hand" / WAVLM
        shutil.copytree(published / WAVLM, folder)
        config = json.loads((folder / "config.json").read_text())
        config |= {
            "attn_implementation": "someone/kernel",
            "_attn_implementation_internal": "someone/kernel",
            "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
            "auto_map": {"AutoModel": "evil.Evil"},
        }
        (folder / "config.json").write_text(json.dumps(config))
        clip = noise(0.3)
        vectors = WavLM().embed(clip)
        shutil.copy(published / WAVLM / "config.json", folder)
        np.testing.assert_array_equal(WavLM().embed(clip), vectors)

    def test_vectors_of_other_weights_are_refused(
        self, loaded: dict[str, Any], published: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PERSONA_WEIGHTS", str(published))
        made_by = loaded["whisper"].provenance() | {"encoder_sha256": "0" * 64}
        with pytest.raises(PersonaError, match="were made with encoder_sha256 0000"):
            representations.restore(made_by)


class TestEachOfThem:
    @each
    def test_embeds_a_clip_the_same_alone_and_in_any_company(
        self, name: str, loaded: dict[str, Any]
    ) -> None:
        clips = noise(0.3, 1.0, 0.7, 1.0, 0.3, 1.0, 0.031)
        together = loaded[name].embed(clips)
        alone = np.concatenate([loaded[name].embed([clip]) for clip in clips])
        np.testing.assert_allclose(together, alone, atol=1e-5)
        np.testing.assert_allclose(loaded[name].embed(clips[::-1])[::-1], alone, atol=1e-5)

    @each
    def test_gives_finite_float32_of_the_stated_dimension(
        self, name: str, loaded: dict[str, Any]
    ) -> None:
        silence = np.zeros(audio.RATE, np.float32)
        vectors = loaded[name].embed([*noise(0.3, 1), silence, np.ones(audio.RATE, np.float32)])
        assert loaded[name].dimension == {"wavlm": 768, "xvector": 512, "whisper": 64}[name]
        assert vectors.shape == (4, loaded[name].dimension)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        assert loaded[name].embed([]).shape == (0, loaded[name].dimension)

    @pytest.mark.parametrize(
        ("name", "shortest"), [("wavlm", 400), ("xvector", 480), ("whisper", 400)]
    )
    def test_refuses_a_clip_without_a_frame_in_one_sentence(
        self, name: str, shortest: int, loaded: dict[str, Any]
    ) -> None:
        assert np.isfinite(loaded[name].embed([np.ones(shortest, np.float32)])).all()
        for samples in (shortest - 1, 0):
            with pytest.raises(AudioError, match="too short") as caught:
                loaded[name].embed([np.ones(samples, np.float32)])
            assert "\n" not in str(caught.value)

    @each
    def test_embeds_48_khz_in_stereo_like_the_same_sound_at_16_khz_in_mono(
        self, name: str, loaded: dict[str, Any], tmp_path: Path
    ) -> None:
        read = same_sound_at_16_and_48_khz(tmp_path)
        low, high, other = loaded[name].embed([*read, *noise(1)])
        assert np.linalg.norm(high - low) < 0.05 * np.linalg.norm(other - low)

    @each
    def test_embeds_in_several_threads_if_it_says_so(
        self, name: str, loaded: dict[str, Any]
    ) -> None:
        from concurrent.futures import ThreadPoolExecutor

        assert representations.class_of(name).thread_safe
        clips = noise(0.3, 0.5, 0.7, 0.4)
        expected = [loaded[name].embed([clip]) for clip in clips]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda clip: loaded[name].embed([clip]), clips * 4))
        for vector, wanted in zip(found, expected * 4, strict=True):
            np.testing.assert_allclose(vector, wanted, atol=1e-6)
