"""Cards of exports that are damaged, or say what cannot be."""

import json
import shutil

import pytest
from conftest import CATS, rewrite

from keras_ae.errors import UserError
from keras_ae.exports.card import read_card


@pytest.fixture
def folder(tmp_path):
    shutil.copy(CATS / "card.json", tmp_path)
    return tmp_path


WRONG = {
    "format": [float("inf"), True, "1", 2],
    "image_shape": [None, [16, 16], [16, 16, -3], "16x16"],
    "input_shape": [{"height": 16}],
    "latent_dim": [6.5, 10**9],
    "code_shape": [[2, "3"], [2, 2]],
    "labels": [5, [1, 2]],
    "task": ["identity"],
    "configuration": [[], {"task": 7}],
    "data": [3],
    "held_out": [{"mse": "x"}, {"mse": float("nan")}, {"mse": 0}],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_wrong_values_of_a_card_are_one_line(folder, key, value):
    rewrite(folder, **{key: value})
    with pytest.raises(UserError, match=key) as refused:
        read_card(folder)
    assert len(str(refused.value)) < 500
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000, '{"format": ' + "9" * 5000 + "}", "\x00"])
def test_a_card_that_is_no_card_is_one_line(folder, text):
    (folder / "card.json").write_text(text)
    with pytest.raises(UserError, match="card.json"):
        read_card(folder)


def test_keys_that_are_not_known_are_kept(folder):
    rewrite(folder, colour="ginger")
    assert read_card(folder) == {"fit": "crop"} | json.loads((folder / "card.json").read_text())
    assert read_card(folder)["colour"] == "ginger"
