"""Commands on exports of every kind: conditional, restoring and musical models."""

import numpy as np
import pytest
from PIL import Image

from keras_ae import denoise, edit, embed, generate, interpolate, reconstruct, upscale
from keras_ae.data.sets.cat_drawing import draw, sample_factors
from keras_ae.exports.reading import Exported
from keras_ae.media import images


def test_generate_draws_the_label_asked_for_or_each_in_turn(course, tmp_path, fails):
    model = ("--model", str(course / "cvae"))
    generate.main([*model, "--n", "12", "--label", "7", "--out", str(tmp_path / "seven.png"), "--columns", "12"])
    generate.main([*model, "--n", "12", "--out", str(tmp_path / "all.png"), "--columns", "12"])
    seven, each = (np.asarray(Image.open(tmp_path / name)) for name in ("seven.png", "all.png"))
    # picture 7 has label 7 in both, picture 8 in one
    columns = slice(7 * 10, 7 * 10 + 8), slice(8 * 10, 8 * 10 + 8)
    np.testing.assert_array_equal(seven[:, columns[0]], each[:, columns[0]])
    assert np.any(seven[:, columns[1]] != each[:, columns[1]])
    assert "unknown label '10'; choose one of 0, 1," in fails(generate.main, *model, "--label", "10")
    assert "is not conditional" in fails(generate.main, "--model", course / "vae", "--label", "1")


def test_conditional_models_ask_for_a_label_where_they_need_one(course, tmp_path, fails):
    images.write_png(tmp_path / "x.png", np.zeros((8, 8, 1), "uint8"))
    model = ("--model", course / "cvae")
    assert "name a class with --label" in fails(reconstruct.main, tmp_path / "x.png", *model, "--out", tmp_path / "y.png")
    reconstruct.main(
        [str(tmp_path / "x.png"), "--model", str(course / "cvae"), "--label", "3", "--out", str(tmp_path / "y.png")]
    )
    assert (tmp_path / "y.png").exists()


@pytest.mark.parametrize(("command", "model", "row"), [(denoise, "denoiser", "noisy"), (upscale, "upscaler", "input")])
def test_restoring_commands_write_each_picture_and_a_comparison(course, tmp_path, fails, command, model, row):
    for folder in ("a", "b"):
        images.write_png(tmp_path / folder / "cat.png", draw(sample_factors(0, 1), 24))
    pictures = [str(tmp_path / folder / "cat.png") for folder in ("a", "b")]
    out = tmp_path / "out"
    for _ in range(2):
        command.main([*pictures, "--model", str(course / model), "--out", str(out)])
    assert {path.name for path in out.iterdir()} == {"cat.png", "cat-2.png", "comparison.png"}
    assert Image.open(out / "cat.png").size == (8, 8)
    assert "was trained for the task 'identity'" in fails(command.main, *pictures, "--model", course / "vae", "--out", out)
    assert "name picture files, or a folder" in fails(command.main, "--model", course / model, "--out", out)
    assert "holds something else" in fails(command.main, *pictures, "--model", course / model, "--out", tmp_path / "a")


def test_embed_writes_codes_with_names_and_a_projector_that_tensorboard_reads(course, tmp_path, fails):
    for index in range(5):
        images.write_png(
            tmp_path / "in" / ("left" if index < 3 else "right") / f"{index}.png", draw(sample_factors(0, index), 16)
        )
    (tmp_path / "in" / "left" / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    embed.main(["--data", str(tmp_path / "in"), "--model", str(course / "vae"), "--out", str(out)])
    with np.load(out / "codes.npz") as arrays:
        assert arrays["z"].shape == (5, 2)
        assert arrays["labels"].tolist() == ["left"] * 3 + ["right"] * 2
        first = images.read(arrays["files"][0], 8, 1)
        z = Exported(course / "vae").encode(images.to_float(first[None]))
        np.testing.assert_allclose(arrays["z"][0], z[0], rtol=1e-4)
    assert len((out / "codes.csv").read_text().splitlines()) == 6
    from google.protobuf import text_format
    from tensorboard.plugins import projector

    config = text_format.Parse((out / "projector" / "projector_config.pbtxt").read_text(), projector.ProjectorConfig())
    (entry,) = config.embeddings
    assert len((out / "projector" / entry.tensor_path).read_text().splitlines()) == 5
    # names, labels and a line above them
    assert len((out / "projector" / entry.metadata_path).read_text().splitlines()) == 6
    side = entry.sprite.single_image_dim[0]
    assert Image.open(out / "projector" / entry.sprite.image_path).size == (3 * side, 3 * side)
    assert Image.open(out / "map.png").size[0] > 100
    assert "holds something else" in fails(
        embed.main, "--data", tmp_path / "in", "--model", course / "vae", "--out", tmp_path / "in"
    )
    assert "name picture files, or a folder" in fails(embed.main, "--model", course / "vae", "--out", tmp_path / "other")


def test_edit_moves_a_picture_along_a_factor_or_between_two_folders(course, tmp_path, fails, monkeypatch):
    monkeypatch.setattr(edit, "EXAMPLES", 50)
    model = ("--model", str(course / "vae"))
    for index in range(8):
        images.write_png(tmp_path / ("with" if index % 2 else "without") / f"{index}.png", draw(sample_factors(0, index), 16))
    picture = str(tmp_path / "with" / "1.png")
    for name in ("a.png", "b.png"):
        edit.main([picture, "--attribute", "eye_size", *model, "--out", str(tmp_path / name), "--steps", "5"])
    assert Image.open(tmp_path / "a.png").size == (5 * 10 - 2, 8)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    folders = ("--with", str(tmp_path / "with"), "--without", str(tmp_path / "without"))
    edit.main([picture, "--attribute", "odd", *folders, *model, "--out", str(tmp_path / "c.gif")])
    assert Image.open(tmp_path / "c.gif").n_frames > 5
    assert "unknown attribute 'hat'" in fails(edit.main, picture, "--attribute", "hat", *model, "--out", tmp_path / "d.png")
    only = ("--attribute", "odd", "--with", tmp_path / "with", *model, "--out", tmp_path / "d.png")
    assert "belong together" in fails(edit.main, picture, *only)
    assert "must end in .png or .gif" in fails(
        edit.main, picture, "--attribute", "eye_size", *model, "--out", tmp_path / "d.bmp"
    )
    assert not (tmp_path / "d.png").exists()


def test_melodies_are_generated_and_interpolated_as_midi(course, tmp_path, fails):
    model = ("--model", str(course / "music"))
    generate.main([*model, "--n", "3", "--out", str(tmp_path / "three.mid")])
    from keras_ae.media import melodies

    for index in range(2):
        melodies.write(tmp_path / f"{index}.mid", [melodies.compose(0, index)])
    ends = [str(tmp_path / f"{index}.mid") for index in range(2)]
    interpolate.main([*ends, *model, "--steps", "4", "--out", str(tmp_path / "way.mid")])
    assert {path.name for path in tmp_path.glob("*.mid")} == {"0.mid", "1.mid", "three.mid", "way.mid"}
    assert "a MIDI file needs a model of melodies" in fails(
        generate.main, "--model", course / "vae", "--out", tmp_path / "x.mid"
    )
    assert "is a MIDI file, but the model is of pictures of 8x8" in fails(
        reconstruct.main, *ends, "--model", course / "vae", "--out", tmp_path / "x.png"
    )
