"""A small Hugging Face hub on this machine, and models for it with random weights.

The models have the files, the key names and the layer shapes of the published ones (WavLM with
two transformer layers in place of twelve, Whisper with two in place of six and narrow ones), so
that the libraries load them as they would the real.
"""

import base64
import json
import re
import socket
import threading
from collections.abc import Iterator
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from persona import audio, representations

WAVLM = "microsoft/wavlm-base"
XVECTOR = "speechbrain/spkrec-xvect-voxceleb"
WHISPER = "openai/whisper-base"
MODELS = {"wavlm": WAVLM, "xvector": XVECTOR, "whisper": WHISPER}
WEIGHTS = {
    "wavlm": "pytorch_model.bin",
    "xvector": "embedding_model.ckpt",
    "whisper": "model.safetensors",
}
COMMIT = "c0ffee" * 6 + "beef"

HYPERPARAMS = """\
# Feature parameters
n_mels: 24

# Pretrain folder (HuggingFace)
pretrained_path: speechbrain/spkrec-xvect-voxceleb

# Output parameters
out_n_neurons: 7205

# Model params
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>

mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False

embedding_model: !new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: !ref <n_mels>
    activation: !name:torch.nn.LeakyReLU
    tdnn_blocks: 5
    tdnn_channels: [512, 512, 512, 512, 1500]
    tdnn_kernel_sizes: [5, 3, 3, 1, 1]
    tdnn_dilations: [1, 2, 3, 1, 1]
    lin_neurons: 512

classifier: !new:speechbrain.lobes.models.Xvector.Classifier
    input_shape: [null, null, 512]
    activation: !name:torch.nn.LeakyReLU
    lin_blocks: 1
    lin_neurons: 512
    out_neurons: !ref <out_n_neurons>

mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False

modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    mean_var_norm_emb: !ref <mean_var_norm_emb>
    classifier: !ref <classifier>

label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder

pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        mean_var_norm_emb: !ref <mean_var_norm_emb>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        mean_var_norm_emb: !ref <pretrained_path>/mean_var_norm_emb.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def build_wavlm(root: Path) -> None:
    """Write microsoft/wavlm-base's three files below `root`."""
    import torch
    from transformers import WavLMConfig, WavLMModel

    folder = root / WAVLM
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    config = WavLMConfig(
        num_hidden_layers=2, feat_extract_norm="group", do_stable_layer_norm=False, conv_bias=False
    )
    assert config.hidden_size == 768
    network = WavLMModel(config)
    # The published file is from before PyTorch renamed weight normalisation's two parts.
    renamed = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    state = {
        re.sub("|".join(renamed), lambda found: renamed[found.group()], key): value
        for key, value in network.state_dict().items()
    }
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "config.json").write_text(
        json.dumps(config.to_dict() | {"architectures": ["WavLMModel"]})
    )
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_normalize": False,
                "feature_extractor_type": "Wav2Vec2FeatureExtractor",
                "feature_size": 1,
                "padding_side": "right",
                "padding_value": 0.0,
                "return_attention_mask": False,
                "sampling_rate": 16000,
            }
        )
    )


def build_xvector(root: Path) -> None:
    """Write speechbrain/spkrec-xvect-voxceleb's six files below `root`."""
    import torch
    from speechbrain.lobes.models.Xvector import Classifier, Xvector

    folder = root / XVECTOR
    folder.mkdir(parents=True)
    torch.manual_seed(2)
    network = Xvector(in_channels=24)
    for buffer, values in network.named_buffers():
        if buffer.endswith("running_mean"):
            values.normal_(0, 0.1)
        elif buffer.endswith("running_var"):
            values.uniform_(0.5, 1.5)
    classifier = Classifier(input_shape=(None, None, 512), out_neurons=7205)
    norm = {"count": 10, "glob_mean": torch.full((512,), 0.5), "glob_std": torch.ones(512)}
    norm |= {"spk_dict_mean": {}, "spk_dict_std": {}, "spk_dict_count": {}}
    torch.save(network.state_dict(), folder / "embedding_model.ckpt")
    torch.save(classifier.state_dict(), folder / "classifier.ckpt")
    torch.save(norm, folder / "mean_var_norm_emb.ckpt")
    speakers = "".join(f"'id{10000 + i}' => {i}\n" for i in range(7205))
    (folder / "label_encoder.txt").write_text(
        speakers + "================\n'starting_index' => 0\n"
    )
    (folder / "config.json").write_text(
        json.dumps({"speechbrain_interface": "speechbrain.inference.EncoderClassifier"})
    )
    (folder / "hyperparams.yaml").write_text(HYPERPARAMS)


def build_whisper(root: Path) -> None:
    """Write openai/whisper-base's two files that matter below `root`, decoder and all."""
    import torch
    from safetensors.torch import save_file
    from transformers import WhisperConfig, WhisperModel

    folder = root / WHISPER
    folder.mkdir(parents=True)
    torch.manual_seed(3)
    config = WhisperConfig(
        d_model=64, encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=128,
        decoder_layers=1, decoder_attention_heads=4, decoder_ffn_dim=128,
    )  # fmt: skip
    state = {
        f"model.{name}": values.half().float().contiguous()
        for name, values in WhisperModel(config).state_dict().items()
    }
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of what the hub publishes."""
    root = tmp_path_factory.mktemp("published")
    build_wavlm(root)
    build_xvector(root)
    build_whisper(root)
    return root


@pytest.fixture(scope="session")
def loaded(published: Path) -> dict[str, Any]:
    """Every representation of `MODELS`, from the published files placed by hand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONA_WEIGHTS", str(published))
        return {name: representations.load(name) for name in MODELS}


@pytest.fixture
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, an empty folder for weights by hand, and a hub that is not there."""
    from huggingface_hub import constants

    monkeypatch.setenv("PERSONA_WEIGHTS", str(tmp_path / "by hand"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        use_hub(f"http://127.0.0.1:{free.getsockname()[1]}", monkeypatch)
    return tmp_path


@pytest.fixture
def hub(published: Path, nothing_cached: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Hub"]:
    """The hub, reachable, with nothing downloaded from it yet."""
    with Hub(published) as running:
        use_hub(running.endpoint, monkeypatch)
        yield running


def use_hub(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub's library ask `endpoint`."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def noise(*seconds: float) -> list[np.ndarray]:
    """Clips of noise."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, round(s * audio.RATE)).astype(np.float32) for s in seconds]


def same_sound_at_16_and_48_khz(folder: Path) -> list[np.ndarray]:
    """A voice as read from a file of 16 kHz in mono, and from one of 48 kHz in stereo."""

    def voice(rate: int) -> np.ndarray:
        t = np.arange(rate) / rate
        harmonics = [np.sin(2 * np.pi * 150 * k * t + k) / k for k in range(1, 30)]
        return 0.1 * np.sum(harmonics, axis=0) * (1 + np.sin(2 * np.pi * 3 * t))

    left_only = 0.05 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    stereo = np.stack([voice(48_000) + left_only, voice(48_000) - left_only], axis=1)
    soundfile.write(folder / "16.wav", voice(16_000), 16_000, subtype="FLOAT")
    soundfile.write(folder / "48.wav", stereo, 48_000, subtype="FLOAT")
    return [audio.read(folder / file).samples for file in ("16.wav", "48.wav")]


def is_one_sentence(message: str) -> bool:
    return "\n" not in message and message.endswith(".") and ". " not in message


class Hub:
    """Serves `<root>/<owner>/<model>/<file>` as the hub serves revision `main` at `COMMIT`.

    Use it in a `with` statement; `asked` collects "METHOD path" of every request.
    """

    def __init__(self, root: Path) -> None:
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(root, self.asked))
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Hub":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(root: Path, asked: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_POST(self) -> None:
            """What `upload_folder` asks for: a repository, how to send, and to take a commit."""
            asked.append(f"{self.command} {self.path}")
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = f"http://{self.headers['Host']}"
            if self.path == "/api/repos/create":
                wanted = json.loads(sent)
                name = f"{wanted.get('organization', 'me')}/{wanted['name']}"
                (root / name).mkdir(parents=True, exist_ok=True)
                answer = {"url": f"{url}/{name}"}
            elif self.path == "/api/validate-yaml":
                answer = {"errors": [], "warnings": []}
            elif self.path.split("?")[0].endswith("/preupload/main"):
                files = json.loads(sent)["files"]
                answer = {"files": [{"path": file["path"], "uploadMode": "regular",
                                     "shouldIgnore": False} for file in files]}  # fmt: skip
            else:
                name = re.fullmatch(r"/api/models/(.+)/commit/main", self.path.split("?")[0])[1]
                for line in map(json.loads, sent.splitlines()):
                    if line["key"] == "file":
                        content = base64.b64decode(line["value"]["content"])
                        (root / name / line["value"]["path"]).write_bytes(content)
                answer = {"commitUrl": f"{url}/{name}/commit/{COMMIT}", "commitOid": COMMIT,
                          "success": True}  # fmt: skip
            self._send(json.dumps(answer).encode(), body=True)

        def _answer(self, body: bool) -> None:
            asked.append(f"{self.command} {self.path}")
            path = self.path.split("?")[0]
            found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^/]+)", path)
            listed = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(?:revision|tree)/([^/]+)", path)
            if not (found or listed):
                return self._refuse("EntryNotFound")
            model, revision = (found or listed).groups()[:2]
            if not (root / model).is_dir():
                return self._refuse("RepoNotFound")
            if revision not in ("main", COMMIT):
                return self._refuse("RevisionNotFound")
            if listed:
                return self._send(self._listing(model, tree="/tree/" in path), body)
            file = root / model / found.group(3)
            return (
                self._send(file.read_bytes(), body)
                if file.is_file()
                else self._refuse("EntryNotFound")
            )

        def _listing(self, model: str, *, tree: bool) -> bytes:
            files = sorted((root / model).iterdir())
            if tree:
                return json.dumps(
                    [
                        {
                            "type": "file",
                            "path": file.name,
                            "size": file.stat().st_size,
                            "oid": sha1(file.read_bytes()).hexdigest(),
                        }
                        for file in files
                    ]
                ).encode()
            siblings = [{"rfilename": file.name} for file in files]
            return json.dumps({"id": model, "sha": COMMIT, "siblings": siblings}).encode()

        def _send(self, content: bytes, body: bool) -> None:
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if body:
                self.wfile.write(content)

        def _refuse(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    return Handler
