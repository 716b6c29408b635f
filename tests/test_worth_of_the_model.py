"""What an accuracy leaves out is computed from what ships."""

import sys
from pathlib import Path

from persona.app import offered
from persona.dataset import Dataset
from persona.keeping import store
from persona.study import worth
from persona.study.comparison import value

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "book" / "_ext"))
import facts


def test_new_sentences_are_tested_on_the_same_clips_as_known_ones():
    known, new = worth.sentences()
    assert known.emotion.sum() == new.emotion.sum() == len(Dataset("crema-d").clips)
    assert value(new, "emotion_accuracy") < value(known, "emotion_accuracy")


def test_the_model_names_what_listeners_heard_less_often_than_neutral_would():
    named, neutral = worth.as_heard()
    assert 0.4 < named < neutral < 0.6


def test_the_card_says_what_new_sentences_leave_of_it_and_what_people_hear():
    (known, new), heard = worth.sentences(), worth.as_heard()
    card = facts.model_card()
    for share in (*(value(sums, "emotion_accuracy") for sums in (known, new)), *heard):
        assert f"{100 * share:.1f} %" in card


def test_what_the_app_says_of_its_answers_is_computed_from_the_predictions_that_ship():
    """Else `make results` writes it again."""
    found = store.read_json(offered.WORTH)
    assert found == worth.answers()
    lowest, highest = found["unseen"][0], found["unseen"][-1]
    assert lowest["meant"] < lowest["below"] and highest["meant"] > 0.9 and highest["below"] == 1
    assert all(of["heard"] < of["meant"] for of in found["unseen"])
