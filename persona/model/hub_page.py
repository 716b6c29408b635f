"""A model's page on the Hugging Face hub, from its card."""

import json
from collections.abc import Iterable
from typing import Any

from persona.model import card as cards


def readme(card: dict[str, Any], name: str) -> str:
    """Markdown with the front matter that the hub reads.

    name : of the model there, "owner/model".
    """
    corpora = card["data"].get("corpora", [])
    front = {
        "library_name": "persona-voice",
        "pipeline_tag": "audio-classification",
        "tags": ["speech", *cards.tasks(card)],
        "language": sorted({corpus["language"] for corpus in corpora}),
        "license": "other",
        "license_name": "of-the-corpora-it-was-trained-on",
    }
    learnt = [f"{of['title']} ({of['clips']:,} clips, {of['licence']})" for of in corpora]
    parts = [
        "---",
        *(f"{key}: {json.dumps(value)}" for key, value in front.items() if value),  # which is YAML
        "---",
        f"# {card['name']}",
        "```python",
        "# pip install 'persona-voice[hub]'",
        "from persona import Predictor",
        "",
        f'prediction = Predictor.load({json.dumps(name)}).predict("talk.mp3")',
        "```",
        *_section("Intended", card["uses"]["intended"]),
        *_section("Not for", card["uses"]["refused"]),
        *_section("Limits", card["limits"]),
        *_section("Trained on", learnt),
        f"`{cards.CARD}` says how good it was found to be, and on whom.",
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", *(f"- {line}" for line in lines), ""]
