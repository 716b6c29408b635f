"""PERSONA: one network hears emotion, gender and age in a voice."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from persona.model.prediction import Prediction
    from persona.model.predictor import Predictor

__version__ = "0.1.0"
__all__ = ["Prediction", "Predictor", "__version__"]

# ONNX Runtime's wheels report their use to Microsoft and keep an identifier of the device in the
# user's cache folder, unless this is set before they are imported. Nothing leaves this machine,
# unless whoever started it has decided otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    # Imported where it is asked for, so that `import persona` costs nothing.
    if name in ("Prediction", "Predictor"):
        from persona.model import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
