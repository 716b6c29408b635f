"""The README says what the results say, and names commands that exist."""

import re
from pathlib import Path

import pytest

from persona import cli, readme

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()


def commands(pattern: str) -> list[str]:
    """What follows a command's name where the README shows code."""
    return sorted(set(re.findall(rf"(?:^|`|&& ){pattern}", TEXT, re.MULTILINE)))


def test_the_headline_table_is_the_one_the_results_give():
    assert readme.filled(TEXT) == TEXT, "run `make results`"


def test_it_has_five_findings():
    assert len(re.findall(r"^\d\. [A-Z]", TEXT.split("<!-- findings")[1], re.MULTILINE)) == 5


def test_a_chapters_closing_sentence_is_its_last_one_in_short():
    said = [{"data": {"text/markdown": ["**In short:** ", f"{i}."]}} for i in range(2)]
    notebook = {"cells": [{"outputs": [said[0]]}, {"outputs": [said[1], {}]}, {"source": ""}]}
    assert readme.closing_sentence(notebook) == "1."


def test_a_table_that_someone_edited_would_be_noticed():
    number = re.search(r"\d\d\.\d \[", TEXT.split("<!-- headline")[1])
    edited = TEXT.replace(number[0], "99.9 [", 1)
    assert edited != TEXT and readme.filled(edited) == TEXT


@pytest.mark.parametrize("target", commands(r"make ([a-z]+)"))
def test_every_make_target_it_names_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", commands(r"persona ((?:corpus )?[a-z]+)"))
def test_every_persona_command_it_names_exists(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command.split(), "--help"])
    assert stopped.value.code == 0
