"""The commands on exports, on exports of every kind: plain, conditional, restoring and musical models."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mido
import numpy as np
import pytest
from PIL import Image

from keras_ae import __main__ as listing
from keras_ae import commandline, denoise, edit, embed, generate, interpolate, reconstruct, score, upscale
from keras_ae.data.sets.cat_drawing import draw
from keras_ae.data.sets.cat_factors import sample_factors
from keras_ae.data.sets.melodies import compose
from keras_ae.exports.card import FORMAT
from keras_ae.exports.reading import Exported
from keras_ae.images import charts, melodies, pictures

ROOT = Path(__file__).parents[1]
COMMANDS = sorted(path.stem for path in (ROOT / "keras_ae").glob("*.py") if "\n@command(" in path.read_text())


def cat(path, index=0, side=16):
    """The path of a drawn cat, written to `path`."""
    pictures.write_png(path, draw(sample_factors(0, index), side))
    return str(path)


def read(path):
    return np.asarray(Image.open(path)).astype(int)


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full of Linux")
def test_the_list_on_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "keras_ae"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "python -m keras_ae: error: No space left on device\n")


@pytest.mark.parametrize("words", [(), ("--help",)])
def test_the_package_lists_every_command_with_a_line(words):
    program = f"import runpy, sys\nsys.argv = ['x', *{words!r}]\nrunpy.run_module('keras_ae', run_name='__main__')\n"
    program += "assert 'tensorflow' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[2:] if line.startswith("  ") and line.split()[0] in COMMANDS]
    assert [line[0] for line in lines] == COMMANDS
    assert all(len(line) > 2 for line in lines)


def test_an_unknown_command_is_one_line_and_a_known_one_runs(fails, exported, tmp_path):
    assert "invalid choice: 'dream' (choose from" in fails(listing.main, "dream")
    listing.main(["generate", "--model", str(exported), "--n", "2", "--out", str(tmp_path / "a.png")])
    assert (tmp_path / "a.png").exists()


def test_commands_on_exports_import_neither_model_nor_data_code(exported, tmp_path):
    program = """
import sys
from keras_ae import denoise, edit, embed, generate, interpolate, reconstruct, score, upscale
generate.main(["--model", sys.argv[1], "--out", "a.png", "--n", "3"])
interpolate.main(["--model", sys.argv[1], "--out", "b.gif", "--steps", "3"])
reconstruct.main(["--model", sys.argv[1], "--out", "c.png", "a.png"])
score.main(["--model", sys.argv[1], "--out", "d.csv", "a.png"])
embed.main(["--model", sys.argv[1], "--out", "e", "a.png", "c.png", "a.png"])
edit.main(["--model", sys.argv[1], "--out", "f.png", "--attribute", "eye_size", "--examples", "20"])
drawing = {"keras_ae.data", "keras_ae.data.sets"} | {f"keras_ae.data.sets.{name}" for name in sys.argv[2:]}
wrong = ("keras_ae.models", "keras_ae.data", "keras_ae.training")
imported = {name for name in sys.modules if name.startswith(wrong)}
assert imported <= drawing, imported - drawing
"""
    arguments = [str(exported), "cat_drawing", "cat_factors", "shapes"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 8


def test_without_a_model_the_trained_one_is_used_else_the_shipped_one_and_stderr_says_which(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    seen = []
    parser = commandline.Parser("generate")
    flags, settings = commandline.MODEL
    parser.add_argument(*flags, **settings)
    assert "exported/vae where it exists, else exported/cats" in " ".join(parser.format_help().split())

    def body(arguments):
        seen.append(arguments.model)

    (tmp_path / "exported" / "cats").mkdir(parents=True)
    commandline.run(parser, body, [])
    assert capfd.readouterr() == ("", "model     exported/cats (no --model given)\n")
    (tmp_path / "exported" / "vae").mkdir()
    commandline.run(parser, body, [])
    assert capfd.readouterr() == ("", "model     exported/vae (no --model given)\n")
    commandline.run(parser, body, ["--model", "other"])
    assert capfd.readouterr() == ("", "")
    assert seen == ["exported/cats", "exported/vae", "other"]


def test_generate_writes_the_same_file_twice_and_one_line(exported, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        generate.main(["--model", str(exported), "--out", str(tmp_path / name), "--n", "7", "--columns", "4", "--seed", "5"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(tmp_path / "a.png").size == (4 * 18 - 2, 2 * 18 - 2)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_separate_images_are_those_of_the_grid(exported, tmp_path):
    for _ in range(2):
        generate.main(["--model", str(exported), "--out", str(tmp_path / "many"), "--n", "70", "--separate"])
    names = sorted(path.name for path in (tmp_path / "many").glob("*.png"))
    assert names == [f"{index:04d}.png" for index in range(70)]
    whole = Exported(exported, runtime="auto").generate(70)[0]
    np.testing.assert_array_equal(read(tmp_path / "many" / "0066.png"), whole[66])


def test_reconstruct_draws_originals_over_reconstructions(exported, folder, tmp_path, capsys):
    reconstruct.main(["--model", str(exported), "--data", str(folder), "--n", "11", "--out", str(tmp_path / "a.png")])
    drawn = read(tmp_path / "a.png")
    assert drawn.shape == (4 * 18 - 2, 8 * 18 - 2, 3)
    printed = capsys.readouterr().out
    assert "11 pictures reconstructed" in printed
    originals = np.stack([pictures.read(path, 16) for path in pictures.chosen([], folder, 11, 0)])
    rebuilt = pictures.to_uint8(Exported(exported, runtime="auto").reconstruct(originals))
    np.testing.assert_array_equal(drawn[:16, :16], originals[0])
    np.testing.assert_array_equal(drawn[54:70, 36:52], rebuilt[10])
    mse = np.mean((pictures.to_float(originals) - pictures.to_float(rebuilt)) ** 2)
    assert f"PSNR {10 * np.log10(4 / mse):.2f} dB" in printed


def test_refined_codes_rebuild_each_picture_better(exported, folder, tmp_path, capfd, fails):
    def psnr(*more):
        reconstruct.main(["--model", str(exported), "--data", str(folder), "--n", "5", "--out", str(tmp_path / "a.png"), *more])
        return float(capfd.readouterr().out.split("PSNR ")[1].split()[0])

    assert psnr("--refine", "10") > psnr("--refine", "3") > psnr()
    assert "must be a whole number from 0" in fails(reconstruct.main, "--refine", "-1", "a.png")
    model = Exported(exported)
    originals = np.stack([pictures.read(path, 16) for path in pictures.find(folder)[:4]])
    z = model.encode(originals)
    refined = model.refine(originals, z, 8)
    errors = [np.square(model.decode(codes) - pictures.to_float(originals)).sum(axis=(1, 2, 3)) for codes in (z, refined)]
    assert (errors[1] <= errors[0]).all()
    assert np.array_equal(model.refine(originals, z, 0), z)
    assert np.allclose(model.refine(originals[:2], z[:2], 8), refined[:2], atol=1e-2)


def test_a_conditional_model_refines_with_its_labels(course):
    model = Exported(course / "cvae")
    originals = np.random.default_rng(0).uniform(-1, 1, (6, *model.shape)).astype("float32")
    labels = np.arange(6)
    z = model.encode(originals, labels)
    refined = model.refine(originals, z, 10, labels)
    errors = [np.square(model.decode(codes, labels) - originals).mean() for codes in (z, refined)]
    assert errors[1] < errors[0]


def test_interpolation_begins_and_ends_at_the_reconstructions(exported, folder, tmp_path):
    paths = pictures.find(folder)[:2]
    out = tmp_path / "a.png"
    interpolate.main(["--model", str(exported), *map(str, paths), "--steps", "5", "--out", str(out)])
    rebuilt = pictures.to_uint8(Exported(exported).reconstruct(np.stack([pictures.read(path, 16) for path in paths])))
    assert np.abs(read(out)[:, :16] - rebuilt[0]).max() <= 1
    assert np.abs(read(out)[:, -16:] - rebuilt[1]).max() <= 1


@pytest.mark.parametrize("n", ["0", "-3", "1e9", "abc", "1000000000", "2.5"])
def test_impossible_numbers_are_refused(exported, tmp_path, fails, n):
    line = fails(generate.main, "--model", exported, "--out", tmp_path / "a.png", "--n", n)
    assert "must be a whole number from 1 to 1,000,000" in line
    assert n in line
    assert not any(tmp_path.iterdir())


def test_too_many_images_for_one_picture_point_to_separate(exported, tmp_path, fails):
    assert "add --separate" in fails(generate.main, "--model", exported, "--out", tmp_path / "a.png", "--n", 20000)


@pytest.mark.parametrize("main", [generate.main, reconstruct.main, interpolate.main])
def test_folders_that_are_no_usable_export_are_refused(main, exported, run, folder, tmp_path, fails):
    more = () if main is generate.main else ("--data", folder)
    assert "no such folder" in fails(main, *more, "--model", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "is not an export" in fails(main, *more, "--model", tmp_path / "empty")
    assert f"python -m keras_ae.export --model {run}" in fails(main, *more, "--model", run)
    shutil.copytree(exported, tmp_path / "newer")
    card = json.loads((exported / "card.json").read_text()) | {"format": FORMAT + 1}
    (tmp_path / "newer" / "card.json").write_text(json.dumps(card))
    assert "was exported by a newer keras_ae" in fails(main, *more, "--model", tmp_path / "newer")
    shutil.copytree(exported, tmp_path / "broken")
    for part in ("encoder", "decoder", "generator"):
        shutil.rmtree(tmp_path / "broken" / part / "variables")
    out = tmp_path / "out.png"
    more = (*more, "--runtime", "tensorflow")
    assert "is missing, or was replaced" in fails(main, *more, "--model", tmp_path / "broken", "--out", out)
    (tmp_path / "broken" / "card.json").unlink()
    assert "is not a SavedModel that loads" in fails(main, *more, "--model", tmp_path / "broken", "--out", out)
    assert not out.exists()


def test_a_line_break_in_a_name_stays_in_one_line(tmp_path, fails):
    line = fails(generate.main, "--model", tmp_path / "two\nlines", "--out", tmp_path / "a.png")
    assert r"two\nlines: no such folder" in line
    assert fails(generate.main, "--n", "1\n2").endswith(r"Received: 1\n2")


def test_a_title_with_dollars_is_text(tmp_path):
    figure = charts.Figure()
    figure.add_subplot().set_title(r"$\frac{ and $x_")
    charts.save(figure, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.7, 1.5])
def test_a_signal_during_the_start_ends_in_one_line(exported, tmp_path, number, delay):
    command = [sys.executable, "-m", "keras_ae.generate", "--model", str(exported), "--out", str(tmp_path / "a.png")]
    # which takes seconds to start
    command += ["--runtime", "tensorflow"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(delay)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in errors
    assert process.returncode == 0 or errors == "python -m keras_ae.generate: interrupted\n"
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


@pytest.mark.parametrize("command", [generate, reconstruct, interpolate, edit])
def test_outputs_of_another_kind_than_the_suffix_says_are_refused(command, exported, tmp_path, fails):
    line = fails(command.main, "--model", exported, "--out", tmp_path / "rec.txt")
    assert "must end in .png" in line
    assert line.endswith(f"Received: {tmp_path / 'rec.txt'}")
    assert not any(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_one_line(exported, tmp_path, fails):
    (tmp_path / "file").touch()
    assert "file" in fails(generate.main, "--model", exported, "--out", tmp_path / "file" / "a.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious.txt").touch()
    line = fails(generate.main, "--model", exported, "--out", tmp_path / "folder", "--separate")
    assert "precious.txt exists and is not from keras_ae" in line
    assert (tmp_path / "folder" / "precious.txt").exists()


def test_a_full_disk_leaves_the_old_picture_and_nothing_half_written(exported, tmp_path, fails, monkeypatch):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    out = tmp_path / "a.png"
    generate.main(["--model", str(exported), "--out", str(out)])
    old = out.read_bytes()
    monkeypatch.setattr(Image.Image, "save", full_disk)
    assert "No space left on device" in fails(generate.main, "--model", exported, "--out", out)
    assert "No space left on device" in fails(generate.main, "--model", exported, "--out", tmp_path / "b", "--separate")
    assert out.read_bytes() == old
    assert {path.name for path in tmp_path.iterdir()} == {"a.png"}


@pytest.mark.parametrize("main", [reconstruct.main, interpolate.main])
def test_files_that_are_no_pictures_are_refused(main, exported, tmp_path, fails):
    (tmp_path / "words.jpg").write_text("words")
    more = ("--model", exported, "--out", tmp_path / "out.png")
    assert "not a picture" in fails(main, *more, tmp_path / "words.jpg", tmp_path / "words.jpg")
    assert "cannot read the picture" in fails(main, *more, tmp_path / "nowhere.jpg", tmp_path / "nowhere.jpg")
    assert "no such folder" in fails(main, *more, "--data", tmp_path / "nowhere")
    assert not (tmp_path / "out.png").exists()


def test_generate_draws_the_given_class_or_each_in_turn(course, tmp_path, fails):
    model = ("--model", str(course / "cvae"))
    generate.main([*model, "--n", "12", "--label", "7", "--out", str(tmp_path / "seven.png"), "--columns", "12"])
    generate.main([*model, "--n", "12", "--out", str(tmp_path / "all.png"), "--columns", "12"])
    seven, each = read(tmp_path / "seven.png"), read(tmp_path / "all.png")
    # image 7 has class 7 in both, image 8 in one
    columns = slice(7 * 10, 7 * 10 + 8), slice(8 * 10, 8 * 10 + 8)
    np.testing.assert_array_equal(seven[:, columns[0]], each[:, columns[0]])
    assert np.any(seven[:, columns[1]] != each[:, columns[1]])
    assert "unknown label '10'; choose one of 0, 1," in fails(generate.main, *model, "--label", "10")
    assert "is not conditional" in fails(generate.main, "--model", course / "vae", "--label", "1")


def test_reconstruct_takes_the_classes_from_the_label_or_from_the_sub_folders(course, tmp_path, fails):
    for index in (2, 5):
        cat(tmp_path / "in" / str(index) / "x.png", index, side=8)
    out, model = str(tmp_path / "y.png"), ("--model", str(course / "cvae"))
    reconstruct.main(["--data", str(tmp_path / "in"), *model, "--out", out])
    of_folders = read(out)
    rebuilt = []
    for index in (2, 5):
        reconstruct.main([str(tmp_path / "in" / str(index) / "x.png"), "--label", str(index), *model, "--out", out])
        rebuilt.append(read(out)[10:])
    assert np.abs(of_folders[10:, :8] - rebuilt[0]).max() <= 1
    assert np.abs(of_folders[10:, 10:] - rebuilt[1]).max() <= 1
    reconstruct.main(["--data", str(tmp_path / "in"), "--label", "5", *model, "--out", out])
    assert np.abs(read(out)[10:, :8] - rebuilt[0]).max() > 1
    assert "name a class with --label" in fails(reconstruct.main, tmp_path / "in" / "2" / "x.png", *model, "--out", out)
    cat(tmp_path / "in" / "tabby" / "x.png")
    line = fails(reconstruct.main, "--data", tmp_path / "in", *model, "--out", out)
    assert "is in the sub-folder 'tabby', which is not one of its classes" in line


@pytest.mark.parametrize(("command", "model"), [(denoise, "denoiser"), (upscale, "upscaler")])
def test_restoring_commands_write_each_picture_and_a_comparison(course, tmp_path, fails, command, model):
    files = [cat(tmp_path / folder / "cat.png", 1, side=24) for folder in ("a", "b")]
    out = tmp_path / "out"
    for _ in range(2):
        command.main([*files, "--model", str(course / model), "--out", str(out)])
    assert {path.name for path in out.glob("*.png")} == {"cat.png", "cat-2.png", "comparison.png"}
    exported = Exported(course / model)
    expected = pictures.to_uint8(exported.reconstruct(pictures.read(files[0], exported.input_shape[0], 1)[None]))[0]
    assert np.abs(read(out / "cat.png") - expected[..., 0]).max() <= 1
    assert "was trained for the task 'identity'" in fails(command.main, *files, "--model", course / "vae", "--out", out)
    assert "name picture files, or a folder" in fails(command.main, "--model", course / model, "--out", out)
    assert "is not from keras_ae" in fails(command.main, *files, "--model", course / model, "--out", tmp_path / "a")


@pytest.mark.parametrize(("command", "model"), [(reconstruct, "vae"), (denoise, "denoiser"), (upscale, "upscaler")])
def test_a_damaged_file_among_others_is_skipped_and_reported(course, tmp_path, fails, capfd, command, model):
    good = [cat(tmp_path / f"{index}.png", index, side=8) for index in range(2)]
    (tmp_path / "words.png").write_text("words")
    out = ("--model", str(course / model), "--out", str(tmp_path / "out.png"))
    command.main([good[0], str(tmp_path / "words.png"), good[1], *out])
    printed = capfd.readouterr()
    assert "words.png: not a picture file" in printed.err and printed.err.count("\n") == 1
    assert printed.out.startswith("2 pictures")
    line = fails(command.main, tmp_path / "words.png", tmp_path / "words.png", *out)
    assert "none of these picture files can be read: cannot use the picture" in line


def test_reconstruct_gives_the_pictures_beside_a_damaged_file_their_own_classes(course, tmp_path):
    for index in (2, 5):
        cat(tmp_path / "in" / str(index) / "x.png", index, side=8)
    command = ["--data", str(tmp_path / "in"), "--model", str(course / "cvae"), "--out"]
    reconstruct.main([*command, str(tmp_path / "without.png")])
    (tmp_path / "in" / "2" / "a.png").write_text("words")
    reconstruct.main([*command, str(tmp_path / "with.png")])
    assert np.array_equal(read(tmp_path / "without.png"), read(tmp_path / "with.png"))


def test_embed_writes_names_that_are_not_unicode_with_escapes(course, tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/in/\xe8")
    cat(Path(folder) / os.fsdecode(b"caf\xe9.png"))
    embed.main(["--data", str(tmp_path / "in"), "--model", str(course / "vae"), "--out", str(tmp_path / "out")])
    name = str(tmp_path / "in" / r"\xe8" / r"caf\xe9.png")
    with np.load(tmp_path / "out" / "codes.npz") as arrays:
        assert arrays["files"].tolist() == [name] and arrays["labels"].tolist() == [r"\xe8"]
    for table in ("codes.csv", "projector/metadata.tsv"):
        assert name in (tmp_path / "out" / table).read_text(encoding="utf-8")


def test_a_restoring_command_without_its_export_names_the_target_that_makes_it(tmp_path, fails, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    assert "make it with make train-denoise_cats" in fails(denoise.main, "x.png")
    assert "make it with make train-upscale_cats_4x" in fails(upscale.main, "x.png")


def test_noise_added_before_denoising_has_the_deviation_asked_for():
    grey = np.full((4, 64, 64, 1), 128, "uint8")
    noisy = denoise.add_noise(grey, 0.25, seed=0)
    assert pictures.to_float(noisy).std() == pytest.approx(0.25, rel=0.03)


def test_embed_writes_codes_with_names_and_a_projector_that_tensorboard_reads(course, tmp_path, fails):
    for index in range(5):
        cat(tmp_path / "in" / ("left" if index < 3 else "right") / f"{index}.png", index)
    (tmp_path / "in" / "left" / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    embed.main(["--data", str(tmp_path / "in"), "--model", str(course / "vae"), "--out", str(out)])
    with np.load(out / "codes.npz") as arrays:
        assert arrays["z"].shape == (5, 2)
        assert arrays["labels"].tolist() == ["left"] * 3 + ["right"] * 2
        first = pictures.read(arrays["files"][0], 8, 1)
        expected = Exported(course / "vae", runtime="auto").encode(first[None])[0]
        np.testing.assert_allclose(arrays["z"][0], expected, rtol=1e-4, atol=1e-5)
    assert len((out / "codes.csv").read_text().splitlines()) == 6
    from google.protobuf import text_format
    from tensorboard.plugins import projector

    config = text_format.Parse((out / "projector" / "projector_config.pbtxt").read_text(), projector.ProjectorConfig())
    (entry,) = config.embeddings
    assert len((out / "projector" / entry.tensor_path).read_text().splitlines()) == 5
    # names, classes and a line above them
    assert len((out / "projector" / entry.metadata_path).read_text().splitlines()) == 6
    side = entry.sprite.single_image_dim[0]
    assert Image.open(out / "projector" / entry.sprite.image_path).size == (3 * side, 3 * side)
    assert Image.open(out / "map.png").size[0] > 100
    into = ("--model", course / "vae", "--out")
    assert "is not from keras_ae" in fails(embed.main, "--data", tmp_path / "in", *into, tmp_path / "in")
    assert "name picture files, or a folder" in fails(embed.main, *into, tmp_path / "other")


def test_edit_moves_a_picture_along_a_built_in_attribute(course, tmp_path, fails):
    model = ("--model", str(course / "vae"))
    picture = cat(tmp_path / "1.png")
    few = ("--attribute", "eye_size", "--examples", "50")
    for name in ("a.png", "b.png"):
        edit.main([picture, *few, *model, "--out", str(tmp_path / name), "--steps", "5"])
    assert Image.open(tmp_path / "a.png").size == (5 * 10 - 2, 8)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    rebuilt = pictures.to_uint8(Exported(course / "vae").reconstruct(pictures.read(picture, 8, 1)[None]))[0, ..., 0]
    # the middle of the strip is the picture itself
    assert np.abs(read(tmp_path / "a.png")[:, 20:28] - rebuilt).max() <= 1
    assert "unknown attribute 'hat'; name folders" in fails(
        edit.main, picture, "--attribute", "hat", *model, "--out", tmp_path / "d.png"
    )
    assert "no attribute given" in fails(edit.main, picture, *model, "--out", tmp_path / "d.png")
    assert not (tmp_path / "d.png").exists()


class Lamp:
    """A model whose first number is the brightness of its pictures, and whose second one is that of their corners."""

    folder, input_shape = "lamp", (16, 16, 3)

    def generate(self, n, seed):
        z = np.random.default_rng(seed).normal(size=(n, 3)).astype("float32")
        levels = np.clip(128 + 30 * z[:, :2], 0, 255)[:, :, None, None, None]
        pixels = np.broadcast_to(levels[:, 0], (n, 16, 16, 3)).copy()
        for corner in (np.s_[:2, :2], np.s_[:2, -2:], np.s_[-2:, :2], np.s_[-2:, -2:]):
            pixels[:, *corner] = levels[:, 1]
        return pixels.round().astype("uint8"), z


@pytest.mark.parametrize(("attribute", "way"), [("brightness", (1, 0, 0)), ("background", (0, 1, 0))])
def test_edit_learns_a_property_from_generated_pictures(attribute, way):
    arguments = edit.main.parser().parse_args(["--attribute", attribute])
    np.testing.assert_allclose(edit.find_direction(Lamp(), arguments), way, atol=0.1)


def test_edit_refuses_a_property_that_all_pictures_share(course, tmp_path, fails):
    few = ("--attribute", "warmth", "--examples", "50", "--model", course / "vae")
    assert "warmth is the same in all pictures of" in fails(edit.main, *few, "--out", tmp_path / "b.png")


def test_edit_learns_an_attribute_from_two_folders_without_a_name(course, tmp_path, fails, capfd):
    model = ("--model", str(course / "vae"))
    for index in range(8):
        cat(tmp_path / ("with" if index % 2 else "without") / f"{index}.png", index)
    folders = ("--with", str(tmp_path / "with"), "--without", str(tmp_path / "without"))
    for more in ((), ("--attribute", "odd")):
        edit.main([*folders, *more, *model, "--out", str(tmp_path / "c.gif")])
    lines = capfd.readouterr().out.splitlines()
    assert f"{tmp_path / 'with'} against {tmp_path / 'without'} from -3 to 3" in lines[0]
    assert "7 pictures, odd from -3 to 3" in lines[1]
    assert Image.open(tmp_path / "c.gif").n_frames > 5
    for option in ("--with", "--without"):
        line = fails(edit.main, option, tmp_path / "with", *model, "--out", tmp_path / "d.png")
        assert "--with and --without belong together" in line


def test_melodies_are_generated_reconstructed_interpolated_and_edited_as_midi(course, tmp_path, fails):
    model = ("--model", str(course / "music"))
    ends = [str(tmp_path / f"{index}.mid") for index in range(2)]
    for index, path in enumerate(ends):
        melodies.write(path, [compose(0, index)])
    generate.main([*model, "--n", "3", "--out", str(tmp_path / "three.mid")])
    interpolate.main([*ends, *model, "--steps", "4", "--out", str(tmp_path / "way.mid")])
    edit.main([ends[0], "--attribute", "roll", "--examples", "20", *model, "--out", str(tmp_path / "edit.mid")])
    reconstruct.main([*ends, *model, "--out", str(tmp_path / "both.mid")])
    # each melody, then its reconstruction
    assert melodies.notes(melodies.read(tmp_path / "both.mid")) == melodies.notes(compose(0, 0))
    seconds = {path.stem: round(mido.MidiFile(path).length / 4) for path in tmp_path.glob("*.mid")}
    assert seconds == {"0": 1, "1": 1, "three": 3, "way": 4, "edit": 7, "both": 4}
    score.main([*ends, *model, "--out", str(tmp_path / "s.csv")])
    assert "a MIDI file needs a model of melodies" in fails(
        generate.main, "--model", course / "vae", "--out", tmp_path / "x.mid"
    )
    assert "is a MIDI file, but the model takes images of 8x8" in fails(
        reconstruct.main, *ends, "--model", course / "vae", "--out", tmp_path / "x.png"
    )


def test_a_package_that_is_not_installed_is_named_in_one_line(monkeypatch, exported, tmp_path, fails):
    def lacking(*_):
        raise ModuleNotFoundError("No module named 'tensorboard.plugins'", name="tensorboard.plugins")

    monkeypatch.setattr(generate, "generated", lacking)
    line = fails(generate.main, "--model", exported, "--out", tmp_path / "a.png")
    assert line.endswith("error: this needs the package tensorboard, which is not installed; pip install tensorboard")


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("words", [["keras_ae"], ["keras_ae.train", "--list"], ["keras_ae.generate", "--help"]], ids=str)
def test_a_reader_that_has_ended_ends_a_command_without_a_word(words, buffered):
    reading, writing = os.pipe()
    os.close(reading)
    environment = os.environ | {"PYTHONUNBUFFERED": buffered}
    done = subprocess.run([sys.executable, "-m", *words], stdout=writing, stderr=subprocess.PIPE, text=True, env=environment)
    os.close(writing)
    # argparse says nothing of a help text that it could not write
    assert done.returncode in (commandline.UNREAD, 0 if "--help" in words else commandline.UNREAD)
    assert done.stderr == ""
