"""Sentences as numbers, the same on every machine."""

import hashlib
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from ddpm_controller.data.text_features import (
    LONGEST_WORDS,
    TextError,
    text_features,
    text_names,
    words_of,
)
from ddpm_controller.simulation.stick.drum_world import DrumWorld

SENTENCE = "Strike three times"


def digest(counts):
    return hashlib.sha256(counts.astype("<f8").tobytes()).hexdigest()[:16]


def drum_sentences():
    world, found = DrumWorld(), set()
    for seed in range(250):
        world.reset(seed)
        found.add(world.instruction)
    world.close()
    return sorted(found)


def test_a_sentence_has_the_same_numbers_on_every_machine_for_ever():
    """Checkpoints live on them; a hash that is salted in each process would show here."""
    program = (
        "import sys; from ddpm_controller.data.text_features import text_features\n"
        f"sys.stdout.buffer.write(text_features({SENTENCE!r}, 32).astype('<f8').tobytes())"
    )
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, check=True).stdout
    here = text_features(SENTENCE, 32)
    np.testing.assert_array_equal(np.frombuffer(told), here)
    assert digest(here) == "d78828cf9ede6b08"


def test_words_and_pairs_are_counted_with_their_signs():
    """By hand: 3 words and 4 pairs, each at the place and with the sign of its hash."""
    expected = np.zeros(32)
    for feature in (
        "strike",
        "three",
        "times",
        "< strike",
        "strike three",
        "three times",
        "times >",
    ):
        eight_bytes = hashlib.blake2b(feature.encode(), digest_size=8).digest()
        number = int.from_bytes(eight_bytes, "little")
        expected[number // 2 % 32] += -1 if number % 2 else 1
    np.testing.assert_array_equal(text_features(SENTENCE, 32), expected)
    assert set(np.sign(expected)) == {-1, 0, 1}


def test_letters_and_marks_do_not_matter_words_and_their_order_do():
    same = text_features("  strike, THREE times!", 64)
    np.testing.assert_array_equal(same, text_features("Strike three\ttimes.", 64))
    assert words_of("Don't hit №3") == ["don't", "hit", "no3"]
    assert words_of("schlag Größe_2") == ["schlag", "größe", "2"]
    for other in (
        "times three strike",
        "strike three",
        "strike 3 times",
        "strike three times now",
    ):
        assert (text_features(other, 64) != same).any()


def test_the_sentences_of_the_drum_are_all_told_apart():
    sentences = drum_sentences()
    assert len(sentences) == 32
    features = {sentence: text_features(sentence, 64) for sentence in sentences}
    nearest = min(np.abs(a - b).sum() for a, b in combinations(features.values(), 2))
    assert nearest >= 2  # whole numbers, and a change of a word is one less and one more


@pytest.mark.parametrize("text", ["", "  ", "...!", "word " * (LONGEST_WORDS + 1)])
def test_a_text_that_says_nothing_or_far_too_much_is_refused(text):
    with pytest.raises(TextError, match=f"1 to {LONGEST_WORDS} words"):
        text_features(text, 32)


def test_elements_have_names():
    assert text_names(3) == ("text_0", "text_1", "text_2")
