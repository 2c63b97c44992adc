import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_ae import export, files, generate, interpolate, reconstruct
from keras_ae.exports.reading import FORMAT, Exported
from keras_ae.media import images
from keras_ae.training.runs import Run

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(path.stem for path in (ROOT / "keras_ae").glob("*.py") if "commandline.run(" in path.read_text())
RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.uniform(-1, 1, (5, 16, 16, 3)).astype("float32")


def loaded(folder, name):
    # the object must outlive its signatures
    model = tf.saved_model.load(str(folder / name))
    return model, model.signatures


def test_exported_networks_equal_those_in_memory(exported, run):
    encoder, decoder = Run(run).best_networks()
    model = Exported(exported)
    z = encoder(PICTURES)["z_mean"]
    np.testing.assert_allclose(model.encode(PICTURES), z, atol=1e-5)
    np.testing.assert_allclose(model.decode(z), decoder(z), atol=1e-5)


def test_the_signatures_are_those_of_the_contract(exported):
    model, signatures = loaded(exported, "encoder")
    codes = signatures["serving_default"](images=tf.constant(PICTURES))
    assert set(codes) == {"z", "z_mean", "z_log_var"}
    assert codes["z"].shape == (5, 6)
    np.testing.assert_array_equal(codes["z"], codes["z_mean"])
    decoder, signatures = loaded(exported, "decoder")
    rebuilt = signatures["serving_default"](z=codes["z"])["images"]
    assert (rebuilt.dtype, rebuilt.shape) == (tf.float32, (5, 16, 16, 3))
    pixels = signatures["decode_uint8"](z=codes["z"])["images"]
    assert pixels.dtype == tf.uint8
    np.testing.assert_array_equal(pixels, images.to_uint8(rebuilt))
    generator, signatures = loaded(exported, "generator")
    drawn = signatures["serving_default"](n=tf.constant(3), seed=tf.constant(1), temperature=tf.constant(1.0))
    assert (drawn["images"].dtype, drawn["images"].shape) == (tf.uint8, (3, 16, 16, 3))
    assert (drawn["z"].dtype, drawn["z"].shape) == (tf.float32, (3, 6))
    np.testing.assert_array_equal(drawn["images"], Exported(exported).generate(3, seed=1)[0])


@pytest.mark.parametrize("size", [(16, 16), (40, 40), (30, 50), (17, 9)])
def test_the_encoder_takes_pixels_of_any_size_as_picture_files_are_read(exported, tmp_path, size):
    smooth = tf.image.resize(RANDOM.uniform(0, 255, (4, 4, 3)), size, method="bicubic")
    pixels = np.clip(smooth, 0, 255).astype("uint8")
    images.write_png(tmp_path / "a.png", pixels)
    model, signatures = loaded(exported, "encoder")
    expected = Exported(exported).encode(images.to_float(images.read(tmp_path / "a.png", 16))[None])
    found = signatures["encode_uint8"](images=tf.constant(pixels[None]))["z"]
    np.testing.assert_allclose(found, expected, atol=0.05 * np.std(expected) + 0.02)


def test_drawing_in_pieces_equals_drawing_at_once(exported):
    model = Exported(exported)
    whole, codes = model.generate(10, seed=4, prior="normal")
    pieces = [model.generate(n, seed=4, prior="normal", first=first)[0] for first, n in ((0, 3), (3, 7))]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert len(np.unique(codes, axis=0)) == 10


def test_the_card_tells_what_the_model_is(exported):
    card = json.loads((exported / "card.json").read_text())
    assert card["format"] == FORMAT
    assert card["experiment"] == "tiny"
    assert card["image_shape"] == [16, 16, 3]
    assert card["latent_dim"] == 6
    assert card["held_out"]["n"] == card["data"]["n_test"]
    assert {"seed", "versions", "training_seconds", "configuration", "held_out_baseline", "image_range"} <= set(card)
    assert "directory" not in card["configuration"]["data"]


def twelve_lines():
    """The Python block of the README that loads an export in another program."""
    readme = (ROOT / "README.md").read_text()
    block = next(block for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "saved_model.load" in block)
    assert "keras_ae" not in block
    assert len(block.splitlines()) <= 12
    return block


def test_the_readme_s_twelve_lines_run_where_keras_ae_cannot_be_imported(tmp_path):
    program = "import sys\nsys.modules['keras_ae'] = None\n" + twelve_lines()
    shutil.copytree(ROOT / "exported" / "cats", tmp_path / "exported" / "vae")
    done = subprocess.run([sys.executable, "-I", "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "(64, 64, 3)" in done.stdout


def test_commands_on_exports_import_neither_model_nor_data_code(exported, tmp_path):
    program = """
import sys
from keras_ae import edit, embed, generate, interpolate, reconstruct, score
generate.main(["--model", sys.argv[1], "--out", "a.png", "--n", "3"])
interpolate.main(["--model", sys.argv[1], "--out", "b.gif", "--steps", "3"])
reconstruct.main(["--model", sys.argv[1], "--out", "c.png", "a.png"])
score.main(["--model", sys.argv[1], "--out", "d.csv", "a.png"])
embed.main(["--model", sys.argv[1], "--out", "e", "a.png", "c.png", "a.png"])
edit.EXAMPLES = 20
edit.main(["--model", sys.argv[1], "--out", "f.png", "--attribute", "eye_size"])
known = {"images", "melodies", "exported", "codes", "files", "errors", "commandline", "figures", "projections"}
known |= {"generate", "interpolate", "reconstruct", "score", "embed", "edit", "attributes", "datasets"}
imported = {name.split(".")[1] for name in sys.modules if name.startswith("keras_ae.")}
assert imported <= known, imported - known
"""
    done = subprocess.run([sys.executable, "-c", program, str(exported)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 8


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_quick_and_needs_no_tensorflow(command):
    program = (
        "import runpy, sys\nsys.argv = ['x', '--help']\n"
        f"try:\n    runpy.run_module('keras_ae.{command}', run_name='__main__')\n"
        "except SystemExit as stopped:\n    assert stopped.code == 0\nassert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage: python -m keras_ae." in done.stdout
    assert "--seed" in done.stdout


def test_generate_writes_the_same_file_twice_and_one_line(exported, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        generate.main(["--model", str(exported), "--out", str(tmp_path / name), "--n", "7", "--columns", "4", "--seed", "5"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(tmp_path / "a.png").size == (4 * 18 - 2, 2 * 18 - 2)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_separate_pictures_are_those_of_the_grid(exported, tmp_path):
    for _ in range(2):
        generate.main(["--model", str(exported), "--out", str(tmp_path / "many"), "--n", "70", "--separate"])
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert names == [f"{index:04d}.png" for index in range(70)]
    whole = Exported(exported).generate(70)[0]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "many" / "0066.png")), whole[66])


def test_temperature_and_prior_change_the_pictures(exported):
    model = Exported(exported)
    drawn = [model.generate(4)[0], model.generate(4, temperature=0.5)[0], model.generate(4, prior="normal")[0]]
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_reconstruct_lays_originals_over_reconstructions(exported, folder, tmp_path, capsys):
    reconstruct.main(["--model", str(exported), "--data", str(folder), "--n", "11", "--out", str(tmp_path / "a.png")])
    assert Image.open(tmp_path / "a.png").size == (8 * 18 - 2, 4 * 18 - 2)
    assert "11 pictures rebuilt" in capsys.readouterr().out


def test_interpolation_begins_and_ends_at_the_reconstructions(exported, folder, tmp_path):
    paths = images.find(folder)[:2]
    out = tmp_path / "a.png"
    interpolate.main(["--model", str(exported), *map(str, paths), "--steps", "5", "--out", str(out)])
    model = Exported(exported)
    rebuilt = images.to_uint8(model.decode(model.encode(images.to_float(np.stack([images.read(p, 16) for p in paths])))))
    strip = np.asarray(Image.open(out)).astype(int)
    assert np.abs(strip[:, :16] - rebuilt[0]).max() <= 1
    assert np.abs(strip[:, -16:] - rebuilt[1]).max() <= 1


@pytest.mark.parametrize("n", ["0", "-3", "1e9", "abc", "1000000000", "2.5"])
def test_impossible_numbers_are_refused(exported, tmp_path, fails, n):
    line = fails(generate.main, "--model", exported, "--out", tmp_path / "a.png", "--n", n)
    assert "must be a whole number from 1 to 1,000,000" in line
    assert n in line
    assert not any(tmp_path.iterdir())


def test_too_many_for_one_picture_points_to_separate(exported, tmp_path, fails):
    assert "add --separate" in fails(generate.main, "--model", exported, "--out", tmp_path / "a.png", "--n", 20000)


COMMANDS = [generate.main, reconstruct.main, interpolate.main]


@pytest.mark.parametrize("main", COMMANDS)
def test_models_that_are_none_are_refused(main, exported, folder, tmp_path, fails):
    more = () if main is generate.main else ("--data", folder)
    assert "no such folder" in fails(main, *more, "--model", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "is no export" in fails(main, *more, "--model", tmp_path / "empty")
    shutil.copytree(exported, tmp_path / "newer")
    card = json.loads((exported / "card.json").read_text()) | {"format": FORMAT + 1}
    (tmp_path / "newer" / "card.json").write_text(json.dumps(card))
    assert "was exported by a newer keras_ae" in fails(main, *more, "--model", tmp_path / "newer")
    shutil.copytree(exported, tmp_path / "broken")
    for part in ("encoder", "decoder", "generator"):
        shutil.rmtree(tmp_path / "broken" / part / "variables")
    out = tmp_path / "out.gif"
    assert "is not a SavedModel that loads" in fails(main, *more, "--model", tmp_path / "broken", "--out", out)
    assert not out.exists()


def test_an_output_that_cannot_be_written_is_one_line(exported, tmp_path, fails):
    (tmp_path / "file").touch()
    assert "file" in fails(generate.main, "--model", exported, "--out", tmp_path / "file" / "a.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious.txt").touch()
    line = fails(generate.main, "--model", exported, "--out", tmp_path / "folder", "--separate")
    assert "holds more than numbered pictures" in line
    assert (tmp_path / "folder" / "precious.txt").exists()


def full_disk(*_, **__):
    raise OSError(28, "No space left on device")


def test_a_full_disk_leaves_the_old_picture_and_nothing_half_written(exported, tmp_path, fails, monkeypatch):
    out = tmp_path / "a.png"
    out.write_bytes(b"old")
    monkeypatch.setattr(Image.Image, "save", full_disk)
    assert "No space left on device" in fails(generate.main, "--model", exported, "--out", out)
    assert "No space left on device" in fails(generate.main, "--model", exported, "--out", tmp_path / "b", "--separate")
    assert out.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_failed_export_leaves_the_old_one_whole(exported, run, tmp_path, fails, monkeypatch):
    shutil.copytree(exported, tmp_path / "vae")
    monkeypatch.setattr(export, "write_generator", full_disk)
    assert "No space left" in fails(export.main, "--model", run, "--out", tmp_path / "vae")
    assert Exported(tmp_path / "vae").generate(1)[0].shape == (1, 16, 16, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".vae.lock", "vae"]


def test_an_export_that_another_writes_is_refused(run, tmp_path, fails):
    with files.locked(tmp_path / ".vae.lock", "busy"):
        line = fails(export.main, "--model", run, "--out", tmp_path / "vae")
    assert "is being written by another export" in line
    assert not (tmp_path / "vae").exists()


def test_an_export_does_not_replace_a_folder_that_is_none(run, tmp_path, fails):
    (tmp_path / "precious.txt").touch()
    assert "is no export" in fails(export.main, "--model", run, "--out", tmp_path)


def test_runs_that_are_none_cannot_be_exported(tmp_path, run, fails):
    assert "no run in" in fails(export.main, "--model", tmp_path)
    shutil.copytree(run, tmp_path / "half")
    (tmp_path / "half" / "metrics.json").unlink()
    assert "has not ended" in fails(export.main, "--model", tmp_path / "half", "--out", tmp_path / "vae")


@pytest.mark.parametrize("main", [reconstruct.main, interpolate.main])
def test_pictures_that_are_none_are_refused(main, exported, tmp_path, fails):
    (tmp_path / "words.jpg").write_text("words")
    more = ("--model", exported, "--out", tmp_path / "out.png")
    assert "not a picture" in fails(main, *more, tmp_path / "words.jpg", tmp_path / "words.jpg")
    assert "cannot read the picture" in fails(main, *more, tmp_path / "nowhere.jpg", tmp_path / "nowhere.jpg")
    assert "no such folder" in fails(main, *more, "--data", tmp_path / "nowhere")
    assert not (tmp_path / "out.png").exists()


def test_the_shipped_model_is_small_and_draws_cats():
    folder = ROOT / "exported" / "cats"
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 30e6
    pictures, _ = Exported(folder).generate(16)
    assert pictures.shape == (16, 64, 64, 3)
    # neither grey nor all alike
    assert pictures.std(axis=(1, 2, 3)).min() > 15
    assert pictures.astype(float).std(axis=0).mean() > 20


def test_a_conditional_export_keeps_its_contract(course):
    label = tf.constant([3, 5])
    encoder, decoder, generator = (tf.saved_model.load(str(course / "cvae" / n)) for n in ("encoder", "decoder", "generator"))
    codes = encoder.signatures["serving_default"](images=tf.zeros((2, 8, 8, 1)), label=label)
    assert codes["z_mean"].shape == (2, 3)
    assert encoder.signatures["encode_uint8"](images=tf.zeros((2, 30, 20, 1), tf.uint8), label=label)["z"].shape == (2, 3)
    drawn = decoder.signatures["serving_default"](z=tf.zeros((2, 3)), label=label)["images"]
    assert drawn.shape == (2, 8, 8, 1)
    assert np.any(drawn[0] != drawn[1])
    arguments = {"n": tf.constant(2), "seed": tf.constant(0), "temperature": tf.constant(1.0)}
    both = generator.signatures["serving_default"](label=label, **arguments)
    one = generator.signatures["serving_default"](label=tf.constant([5]), **arguments)
    np.testing.assert_array_equal(both["z"], one["z"])
    np.testing.assert_array_equal(both["images"][1], one["images"][1])
    card = json.loads((course / "cvae" / "card.json").read_text())
    assert card["labels"] == [str(digit) for digit in range(10)]
    assert "label" in (course / "cvae" / "README.md").read_text()
