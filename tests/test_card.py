"""Cards and files of exports that are damaged, or say what is not so."""

import json
import shutil

import numpy as np
import pytest

from keras_ae.errors import UserError
from keras_ae.exports import card
from keras_ae.exports.load import Exported


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def rewrite(folder, **values):
    contents = json.loads((folder / "card.json").read_text()) | values
    (folder / "card.json").write_text(json.dumps(contents))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", float("inf")),
        ("format", True),
        ("format", "1"),
        ("image_shape", None),
        ("image_shape", [16, 16]),
        ("image_shape", [16, 16, -3]),
        ("image_shape", "16x16"),
        ("input_shape", {"height": 16}),
        ("latent_dim", 6.5),
        ("latent_dim", 10**9),
        ("code_shape", [2, "3"]),
        ("code_shape", [2, 2]),
        ("labels", 5),
        ("labels", [1, 2]),
        ("task", "identity"),
        ("configuration", []),
        ("configuration", {"task": 7}),
        ("data", 3),
        ("held_out", {"mse": "x"}),
        ("held_out", {"mse": float("nan")}),
        ("held_out", {"mse": 0}),
        ("files", []),
        ("files", {"encoder/saved_model.pb": 5}),
    ],
)
def test_wrong_values_of_a_card_are_one_line(copy, key, value):
    rewrite(copy, **{key: value})
    with pytest.raises(UserError, match=key) as refused:
        Exported(copy)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "[" * 100_000, '{"format": ' + "9" * 5000 + "}", "\x00"])
def test_a_card_that_is_no_card_is_one_line(copy, text):
    (copy / "card.json").write_text(text)
    with pytest.raises(UserError, match="card.json"):
        Exported(copy)


@pytest.mark.parametrize(
    "values",
    [{"image_shape": [8, 8, 3]}, {"latent_dim": 5, "code_shape": [5]}, {"labels": ["a", "b"]}, {"input_shape": [8, 8, 3]}],
    ids=lambda values: next(iter(values)),
)
def test_a_card_that_contradicts_its_networks_is_one_line(copy, values):
    rewrite(copy, **values)
    with pytest.raises(UserError, match="card"):
        model = Exported(copy, label=0 if "labels" in values else None)
        model.reconstruct(np.zeros((1, *model.input_shape), "uint8"))


@pytest.mark.parametrize("name", ["encoder", "decoder", "generator"])
@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"])
def test_one_flipped_bit_is_noticed(copy, name, file):
    path = copy / name / file
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 3] ^= 1
    path.write_bytes(contents)
    model = Exported(copy)
    with pytest.raises(UserError, match=f"{name}/{file} is damaged: it is not as card.json describes it"):
        if name == "generator":
            model.generate(1)
        model.reconstruct(np.zeros((1, *model.input_shape), "uint8"))


@pytest.mark.parametrize("damage", [b"", b"cut"])
def test_damaged_exports_without_a_card_are_one_line_too(copy, damage):
    (copy / "card.json").unlink()
    (copy / "decoder" / "saved_model.pb").write_bytes(damage)
    with pytest.raises(UserError, match="is not a SavedModel that loads|has no signature"):
        Exported(copy)


def test_an_export_without_a_card_or_without_digests_works_unverified(copy, exported):
    expected = Exported(exported).generate(2)[0]
    contents = json.loads((copy / "card.json").read_text())
    del contents["files"]
    (copy / "card.json").write_text(json.dumps(contents))
    np.testing.assert_array_equal(Exported(copy).generate(2)[0], expected)
    (copy / "card.json").unlink()
    np.testing.assert_array_equal(Exported(copy).generate(2)[0], expected)


def test_a_card_describes_every_file_of_its_saved_models(exported):
    contents = card.read(exported, exported)
    listed = {name for name in card.described(exported) if "/" in name}
    assert set(contents["files"]) == listed
    for name in ("encoder", "decoder", "generator"):
        card.verify(exported, exported, name, contents)


def test_an_export_that_is_replaced_while_it_is_read_is_never_mixed(copy, course):
    model = Exported(copy)
    z = model.encode(np.zeros((1, 16, 16, 3), "uint8"))
    other = course / "vae"
    shutil.move(copy, copy.with_name("moved"))
    shutil.copytree(other, copy)
    # the decoder of the export that was opened, from wherever it is now
    assert model.decode(z).shape == (1, 16, 16, 3)
