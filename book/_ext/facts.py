"""Pages of facts, each as Markdown: every number is read from what the repository ships."""

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import persona
from persona import corpora
from persona.corpora.base import Corpus, Published
from persona.keeping import store
from persona.study import comparison, worth
from persona.study.terms import METRICS, interval, listed, number, shown

ROOT = Path(persona.__file__).resolve().parent.parent


def repository() -> str:
    """Address of the public repository, or nothing: the environment's PERSONA_REPOSITORY."""
    return os.environ.get("PERSONA_REPOSITORY", "").rstrip("/")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; columns of numbers are aligned to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    numbers = [all(cell[:1].isdigit() for cell in column) for column in zip(*cells, strict=True)]
    ruler = ["--:" if number else "---" for number in numbers]
    return "\n".join("| " + " | ".join(line) + " |" for line in [[*header], ruler, *cells])


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def model_card() -> str:
    """The card of the model that ships."""
    card = store.read_json(store.find("models", "default", "card.json"))
    sections = {
        "Intended": bullets(card["uses"]["intended"]),
        "Not for": bullets(card["uses"]["refused"]),
        "Limits": bullets(card["limits"]),
        "Data": _data(card["data"]),
        "How good it is on unseen speakers": _evaluation(card["evaluation"]),
        "Fairness": _groups(card["evaluation"]["groups"]),
        "How sure it is": _certainty(card),
        "What it is made of": _network(card),
    }
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())


def _data(data: dict[str, Any]) -> str:
    rows = [(c["title"], f"{c['clips']:,}", c["language"], c["licence"]) for c in data["corpora"]]
    youngest, oldest = data["ages"]
    return f"{data['speakers']} speakers of CREMA-D, aged {youngest} to {oldest}.\n\n" + table(
        ["corpus", "clips", "language", "licence"], rows
    )


def _evaluation(evaluation: dict[str, Any]) -> str:
    measured, constant = evaluation["metrics"], evaluation["constant"]
    rows = [
        (measure.heading, _measured(measured[name], name), number(constant[name], name))
        for name, measure in METRICS.items()
    ]
    header = ["measure", "unseen speakers", "always the same answer"]
    protocol = evaluation["protocol"]
    return f"{protocol[0].upper()}{protocol[1:]}.\n\n{table(header, rows)}\n\n{beyond()}"


def beyond() -> str:
    """What the accuracy of emotion leaves out: new sentences, and what people hear."""
    known, new = (comparison.value(sums, "emotion_accuracy") for sums in worth.sentences())
    named, neutral = worth.as_heard()
    return (
        "The actors say sentences of the training. Networks of this kind name "
        f"{100 * known:.1f} % of the emotions on known sentences and {100 * new:.1f} % on new "
        "ones, from equally many clips. Emotions are those that actors intend, not those that "
        "people hear. Where one emotion leads the listeners' votes, the model names that one in "
        f"{100 * named:.1f} % of clips; always answering *neutral* would be right in "
        f"{100 * neutral:.1f} %."
    )


def _groups(groups: dict[str, Any]) -> str:
    names = ("emotion_accuracy", "gender_accuracy", "age_rmse")
    rows = [
        (group, of["speakers"], *(_measured(of[name], name) for name in names))
        for group, of in groups.items()
    ]
    return table(["group", "speakers", *(METRICS[name].heading for name in names)], rows)


def _measured(of: dict[str, Any], name: str) -> str:
    """A number with its interval, if it has one: of few speakers none is given."""
    if of["low"] is None:
        return number(of["value"], name)
    return interval((of["value"], of["low"], of["high"]), name)


def _certainty(card: dict[str, Any]) -> str:
    ages, calibration = card["age_interval"], card["calibration"]
    coverage = table(
        ["group", "speakers", "ages inside the interval, % of clips"],
        [
            (group, of["speakers"], _measured(of, "gender_accuracy"))
            for group, of in ages["coverage"].items()
        ],
    )
    errors = table(
        ["task", "expected calibration error before, %", "and after temperature scaling, %"],
        [
            (task, f"{100 * of['error_before']:.1f}", f"{100 * of['error_after']:.1f}")
            for task, of in calibration.items()
            if task != "method"
        ],
    )
    return (
        f"Age comes with an interval meant for {100 * ages['level']:.0f} % of clips: "
        f"{ages['method']}.\n\n"
        f"{coverage}\n\nProbabilities: {calibration['method']}.\n\n{errors}"
    )


def _network(card: dict[str, Any]) -> str:
    training, settings = card["training"], card["training"]["settings"]
    weights = {made["weights"]["name"]: made["weights"]["licence"] for made in
               card["representations"]}  # fmt: skip
    published = listed([f"`{name}` ({licence})" for name, licence in weights.items()])
    rows = [
        ("representation", shown(training["representation"])),
        ("its weights", published),
        ("numbers in", card["network"]["dimension"]),
        ("networks averaged", card["network"]["networks"]),
        ("hidden units", listed([str(width) for width in card["network"]["hidden"]])),
        ("epochs, batch size", f"{settings['epochs']}, {settings['batch_size']}"),
        ("learning rate", f"{settings['learning_rate']:g}, {settings['schedule']}"),
        ("detector of speech", card["speech"]["detector"]),
        ("made with", listed([f"{name} {v}" for name, v in card["software"].items()])),
        *((f"SHA-256 of {file}", f"`{digest}`") for file, digest in card["sha256"].items()),
    ]
    return table(["", ""], rows)


def datasheet() -> str:
    """The corpora whose clip tables ship."""
    parts = []
    for name in corpora.NAMES:
        corpus = corpora.load(name)
        file = store.shipped() / name / "provenance.json"
        if isinstance(corpus, Published) and file.is_file():
            parts.append(f"## {corpus.title}\n\n{_sheet(corpus, json.loads(file.read_text()))}")
    return "\n\n".join(parts)


def _sheet(corpus: Corpus, provenance: dict[str, Any]) -> str:
    clips = corpus.clips()
    people = clips.drop_duplicates("speaker")
    counts = people["gender"].value_counts()
    rows = [
        ("citation", provenance["citation"]),
        ("licence", provenance["licence"]),
        ("source", provenance["source"]),
        ("commit of the source", f"`{provenance['commit']}`" if "commit" in provenance else "none"),
        ("language", corpus.language),
        ("clips in the table", f"{provenance['rows']:,}"),
        ("clips used", f"{len(clips):,}"),
        ("speakers", listed([f"{n} {gender}" for gender, n in counts.items()])),
        ("ages", f"{people['age'].min():.0f} to {people['age'].max():.0f}, "
                 f"median {people['age'].median():.0f}"),
        ("clips by emotion", _share(clips["emotion"].dropna().value_counts())),
        ("table made by", f"`{provenance['made_by']}`"),
        ("SHA-256 of the table", f"`{provenance['sha256']}`"),
        ("fingerprint of the audio", f"`{provenance['fingerprint']}`"),
    ]  # fmt: skip
    return table(["", ""], rows)


def _share(counts: Any) -> str:
    return (
        listed([f"{n:,} {name}" for name, n in counts.items()]) if len(counts) else "not labelled"
    )


def protections() -> str:
    """What is promised, the test that holds it, and what was taken out to see it fail."""
    rows = _rows("protections")
    seen = [row for row in rows if row["seen_to_fail"]]
    listing = bullets(
        f"**{row['promise']}** Held by `{row['test'].removeprefix('tests/')}`, "
        + (
            f"seen to fail on {row['seen_to_fail']} without {row['taken_out']}."
            if row["seen_to_fail"]
            else "not yet seen to fail."
        )
        for row in rows
    )
    return f"{len(seen)} of {len(rows)} promises have a test that was seen to fail.\n\n{listing}"


def coverage() -> str:
    """Lines and branches that the tests run, in all and of the modules where most is not run."""
    total, *modules = _rows("coverage")
    lines, branches = (_ran(total, what) for what in ("lines", "branches"))
    modules.sort(key=lambda row: int(row["lines_run"]) - int(row["lines"]))
    listing = table(
        ["module", "lines", "not run", "branches", "not taken"],
        [
            (
                f"`{row['module']}`", row["lines"], int(row["lines"]) - int(row["lines_run"]),
                row["branches"], int(row["branches"]) - int(row["branches_taken"]),
            )
            for row in modules[:8]
        ],
    )  # fmt: skip
    package = Path(persona.__file__).parent
    files = {f"persona/{file.relative_to(package).as_posix()}" for file in package.rglob("*.py")}
    since = sorted(files - {row["module"] for row in modules})
    names = ", ".join(f"`{name}`" for name in since)
    uncounted = f"\n\nNot counted, as they came since: {names}." if since else ""
    return (
        f"On {total['date']} the tests ran {100 * lines:.1f} % of the package's lines of code and "
        f"took {100 * branches:.1f} % of their branches. These modules have the most lines that no "
        f"test runs:\n\n{listing}{uncounted}"
    )


def _ran(row: dict[str, str], what: str) -> float:
    run = {"lines": "lines_run", "branches": "branches_taken"}[what]
    return int(row[run]) / max(int(row[what]), 1)


def mutants() -> str:
    """What became of small faults that were put into modules on purpose."""
    return bullets(
        f"`{row['module']}`: {row['killed']} of {row['mutants']} were found by a test. "
        f"Left: {row['survivors']}."
        for row in _rows("mutants")
    )


def measurements() -> str:
    """What was measured once, and is too slow or depends too much on the machine for a test."""
    return bullets(
        f"**{row['what']}** {row['measured']} ({row['date']}, `{row['command']}`)"
        for row in _rows("measurements")
    )


def _rows(name: str) -> list[dict[str, str]]:
    with open(ROOT / "tests" / f"{name}.csv", encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def changelog() -> str:
    """The changelog without its title."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n", 1)[1]


def elsewhere() -> str:
    """How a chapter is run on machines of others, where the repository's address is known."""
    address = repository()
    alone = "No GPU is needed, and none is used: two cores train a network of the paper in seconds."
    if not address:
        return (
            f"{alone} This copy of the book was built without the address of a public repository, "
            "so it has no buttons to Binder and Colab, to its source and to its issues. "
            "`PERSONA_REPOSITORY=https://github.com/OWNER/NAME make study` builds one with them."
        )
    return f"""{alone} The rocket above each chapter opens it on Binder, which installs the lock, or
on Colab, whose first cell has to be this one:

```python
!git clone --depth 1 {address} persona
%pip install --quiet --editable './persona[study]'
%cd persona/notebooks
```"""
