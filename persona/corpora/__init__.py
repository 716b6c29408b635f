"""Corpora: the table of CREMA-D's clips, the audio behind it, and EmoDB for cross-corpus tests."""

from persona.corpora.berlin import emodb
from persona.corpora.build import build_table, is_silent
from persona.corpora.copies import import_copy
from persona.corpora.crema import (
    COMMIT,
    EMOTIONS,
    GENDERS,
    POLICIES,
    clips,
    corpus_hash,
    oddities,
)
from persona.corpora.download import BASE_URL, fetch
from persona.corpora.files import Problem, default_folder, locate, verify

__all__ = [
    "BASE_URL",
    "COMMIT",
    "EMOTIONS",
    "GENDERS",
    "POLICIES",
    "Problem",
    "build_table",
    "clips",
    "corpus_hash",
    "default_folder",
    "emodb",
    "fetch",
    "import_copy",
    "is_silent",
    "locate",
    "oddities",
    "verify",
]
