"""The commands on exports, on exports of every kind: plain, conditional and restoring models."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import CATS, ROOT, draw_cat, process
from PIL import Image, ImageSequence
from scipy import stats

import keras_ae
from keras_ae import __main__ as listing
from keras_ae import commandline, denoise, edit, embed, generate, interpolate, reconstruct, restore, score, upscale
from keras_ae.errors import UserError
from keras_ae.images import pictures

COMMANDS = list(listing.commands())


def cat(path, index=0, side=16):
    """The path of a drawn cat, written to `path`."""
    pictures.write_png(path, draw_cat(index, side, 0))
    return str(path)


def read(path):
    return np.asarray(Image.open(path)).astype(int)


# what all commands share


def test_help_is_quick_and_needs_no_tensorflow():
    program = f"""
import importlib, sys
for name in {COMMANDS}:
    text = importlib.import_module("keras_ae." + name).main.parser().format_help()
    assert text.startswith("usage: python -m keras_ae." + name), text
    assert ("--seed" in text or name in ("copies", "demo", "publish", "search")) and ("--out" in text or name == "publish")
assert not {{"tensorflow", "keras", "matplotlib", "pydantic", "sklearn"}} & set(sys.modules)
"""
    began = time.perf_counter()
    done = process("-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.perf_counter() - began < 5


def test_an_unknown_command_is_one_line_and_a_known_one_runs(fails, exported, tmp_path):
    assert "invalid choice: 'dream'" in fails(listing.main, "dream")
    listing.main(["generate", "--model", str(exported), "--n", "2", "--out", str(tmp_path / "a.png")])
    assert (tmp_path / "a.png").exists()


def test_arguments_of_library_errors_become_options_where_the_command_has_them(fails):
    @commandline.command(commandline.LABEL, commandline.option("--start-from", help="x"))
    def main(arguments):
        raise UserError("name `label`, or `start_from`, or `other`, or\na `two words`")

    assert fails(main).endswith("error: name --label, or --start-from, or `other`, or\\na `two words`")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("no"), 2, "error: no"),
        (OSError(28, "No space left on device", "a.png"), 2, "error: No space left on device: a.png"),
        (MemoryError(), 2, "error: not enough memory"),
        (UnicodeEncodeError("utf-8", "lauf \udcfc", 5, 6, "surrogates not allowed"), 2, "choose a name of plain letters"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyboardInterrupt("interrupted: continue with --resume"), 130, ": interrupted: continue with --resume"),
        (ModuleNotFoundError("x", name="tensorboard.plugins"), 2, "pip install 'keras_ae[train]'"),
        (ModuleNotFoundError("x", name="av"), 2, "pip install 'keras_ae[video]'"),
    ],
)
def test_errors_that_a_user_understands_are_one_line(capfd, error, status, line):
    @commandline.command()
    def main(arguments):
        raise error

    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == status
    (printed,) = capfd.readouterr().err.splitlines()
    assert line in printed
    with pytest.raises(ZeroDivisionError):
        commandline.command()(lambda arguments: 1 / 0)([])


def test_without_a_model_the_trained_one_is_used_else_the_shipped_one(tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    assert "no export at exported/cats: no such folder; make one with keras-ae train vae --export" in fails(generate.main)
    seen = []
    main = commandline.command(commandline.MODEL)(lambda arguments: seen.append(arguments.model))
    main([])
    (tmp_path / "exported/vae").mkdir(parents=True)
    main([])
    main(["--model", "other"])
    assert seen == ["exported/cats", "exported/vae", "other"]


@pytest.mark.parametrize("words", [["keras_ae"], ["keras_ae.train", "--list"], ["keras_ae.generate", "--help"]], ids=str)
def test_a_reader_that_has_ended_ends_a_command_without_a_word(words):
    reading, writing = os.pipe()
    os.close(reading)
    done = process("-m", *words, stdout=writing)
    os.close(writing)
    # argparse says nothing of a help text that it could not write
    assert done.returncode in (commandline.UNREAD, 0 if "--help" in words else commandline.UNREAD)
    assert done.stderr == ""


def test_a_signal_during_the_start_ends_in_one_line(exported, tmp_path):
    # which takes seconds to start
    command = ["-m", "keras_ae.generate", "--runtime", "tensorflow", "--model", str(exported), "--out", str(tmp_path / "a.png")]
    running = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    status, handled = Path(f"/proc/{running.pid}/status"), 0
    while not handled >> (signal.SIGTERM - 1) & 1:
        time.sleep(0.05)
        handled = int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode in (0, 130)
    assert running.returncode == 0 or errors == "python -m keras_ae.generate: interrupted\n"
    assert running.returncode == 0 or not any(tmp_path.iterdir())


# wrong models, inputs and outputs


@pytest.mark.parametrize(
    ("main", "words", "message"),
    [
        (generate.main, ["--n", "0"], "argument --n: must be a whole number from 1 to 1,000,000. Received: 0"),
        (generate.main, ["--n", "1e9"], "must be a whole number from 1 to 1,000,000. Received: 1e9"),
        (generate.main, ["--n", "1\n2"], r"Received: 1\n2"),
        (generate.main, ["--n", "20000"], "add --separate"),
        (generate.main, ["--temperature", "nan"], "must be a number from 0 to 10. Received: nan"),
        (generate.main, ["--model", "two\nlines"], r"two\nlines: no such folder"),
        (generate.main, ["--out", ""], "an output must have a name"),
        (generate.main, ["--out", "rec.txt"], "must end in .png"),
        (reconstruct.main, ["--out", "rec.txt"], "must end in .png"),
        (interpolate.main, ["--out", "rec"], "must end in .png"),
        (score.main, ["--keep"], "--keep keeps what is learned from usual pictures"),
        (embed.main, ["--out", "/"], "contains the current folder"),
        (generate.main, ["--label", "1"], "is not conditional"),
        (reconstruct.main, [], "--data"),
        (reconstruct.main, ["--data", "nowhere"], "no such folder"),
        (reconstruct.main, ["words.jpg"], "not a picture"),
        (reconstruct.main, ["nowhere.jpg"], "cannot read the picture nowhere.jpg"),
        (reconstruct.main, ["--refine", "-1", "a.png"], "must be a whole number from 0"),
        (interpolate.main, ["words.jpg"], "not a picture"),
        (interpolate.main, ["--seeds", "0-3", "--grid", "4x2"], "needs two pictures for each walk. Received: 4 for 8"),
        (interpolate.main, ["--seeds", "5-3"], "must be 2 to 10,000 numbers, such as 0-31 or 3,5,8. Received: 5-3"),
        (interpolate.main, ["--seeds", "0-99999999999999999999"], "must be 2 to 10,000 numbers"),
        (interpolate.main, ["--grid", "0x2"], "must be columns and rows up to 16, such as 4x2. Received: 0x2"),
        (edit.main, ["--attribute", "hat"], "unknown attribute 'hat'; name folders"),
        (edit.main, [], "no attribute given"),
        (edit.main, ["--with", "in"], "--with and --without belong together"),
        (denoise.main, ["words.jpg"], "was trained for the task 'identity'"),
        (upscale.main, ["words.jpg"], "was trained for the task 'identity'"),
    ],
    ids=lambda value: getattr(value, "__module__", str(value)),
)
def test_a_mistake_is_one_line_and_writes_nothing(exported, tmp_path, monkeypatch, fails, main, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.jpg").write_text("words")
    assert message in fails(main, *([] if "--model" in words else ["--model", exported]), *words)
    assert os.listdir(tmp_path) == ["words.jpg"]


def test_what_is_not_ours_is_kept_unless_forced_and_what_is_read_is_never_replaced(exported, tmp_path, fails):
    picture = cat(tmp_path / "in" / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    words = ["--model", str(exported), "--out", str(tmp_path / "photo.png")]
    assert "photo.png exists and is not from keras_ae; choose another name for the output, or add --force" in fails(
        generate.main, *words
    )
    generate.main([*words, "--force"])
    generate.main([*words, "--seed", "1"])
    assert read(tmp_path / "photo.png").shape[0] > 8
    for out in (tmp_path / "in" / "a.png", tmp_path / "in"):
        main = reconstruct.main if out.suffix else embed.main
        assert "which is read" in fails(main, picture, "--model", exported, "--out", out, "--force")
    assert os.listdir(tmp_path / "in") == ["a.png"]
    (tmp_path / "in" / "notes.txt").touch()
    line = fails(generate.main, "--model", exported, "--separate", "--out", tmp_path / "in")
    assert "notes.txt exists and is not from keras_ae" in line


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
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize(("command", "model"), [(reconstruct, "vae"), (denoise, "denoiser"), (upscale, "upscaler")])
def test_a_damaged_file_among_others_is_skipped_and_reported(course, tmp_path, fails, capfd, command, model):
    good = [cat(tmp_path / f"{index}.png", index, side=8) for index in range(2)]
    (tmp_path / "words.png").write_text("words")
    out = ("--model", str(course / model), "--out", str(tmp_path / "out.png"))
    command.main([good[0], str(tmp_path / "words.png"), good[1], *out])
    printed = capfd.readouterr()
    assert "words.png: not a picture file" in printed.err and printed.err.count("\n") == 1
    assert printed.out.startswith("2 pictures")
    assert "none of these picture files can be read" in fails(command.main, tmp_path / "words.png", *out, "--force")


# what each command writes


def test_generate_writes_the_same_file_twice_and_separate_images_are_those_of_the_grid(exported, tmp_path, capsys):
    for name in ("a.png", "b.png"):
        generate.main(["--model", str(exported), "--out", str(tmp_path / name), "--n", "7", "--columns", "4", "--seed", "5"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(tmp_path / "a.png").size == (4 * 18 - 2, 2 * 18 - 2)
    assert len(capsys.readouterr().out.splitlines()) == 2
    for _ in range(2):
        generate.main(["--model", str(exported), "--out", str(tmp_path / "many"), "--n", "70", "--separate"])
    assert sorted(os.listdir(tmp_path / "many")) == [f"{index:04d}.png" for index in range(70)]
    whole = keras_ae.load(exported, runtime="auto").generate(70)[0]
    np.testing.assert_array_equal(read(tmp_path / "many" / "0066.png"), whole[66])


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


def test_reconstruct_draws_originals_over_reconstructions_and_says_how_close_they_are(exported, folder, tmp_path, capsys):
    words = ["--model", str(exported), "--data", str(folder), "--n", "11", "--out", str(tmp_path / "a.png")]
    reconstruct.main(words)
    drawn, printed = read(tmp_path / "a.png"), capsys.readouterr().out
    assert drawn.shape == (4 * 18 - 2, 8 * 18 - 2, 3)
    originals = np.stack([pictures.read(path, (16, 16, 3)) for path in pictures.choose([], folder, 11, 0)])
    rebuilt = pictures.to_uint8(keras_ae.load(exported, runtime="auto").reconstruct(originals))
    np.testing.assert_array_equal(drawn[:16, :16], originals[0])
    np.testing.assert_array_equal(drawn[54:70, 36:52], rebuilt[10])
    mse = np.mean((pictures.to_float(originals) - pictures.to_float(rebuilt)) ** 2)
    assert f"11 pictures reconstructed by {exported}, PSNR {10 * np.log10(4 / mse):.2f} dB" in printed
    reconstruct.main([*words, "--refine", "5"])
    assert float(capsys.readouterr().out.split("PSNR ")[1].split()[0]) > 10 * np.log10(4 / mse)


def test_classes_come_from_the_label_or_from_the_sub_folders(course, tmp_path, fails):
    for index in (2, 5):
        cat(tmp_path / "in" / str(index) / "x.png", index, side=8)
    out, model = tmp_path / "y.png", ("--model", str(course / "cvae"))

    def rebuilt(*words):
        reconstruct.main([*map(str, words), *model, "--out", str(out)])
        return read(out)[10:]

    both = rebuilt("--data", tmp_path / "in")
    for place, index in enumerate((2, 5)):
        alone = rebuilt(tmp_path / "in" / str(index) / "x.png", "--label", index)
        assert np.abs(both[:, 10 * place : 10 * place + 8] - alone).max() <= 1
    assert np.abs(rebuilt("--data", tmp_path / "in", "--label", 5)[:, :8] - both[:, :8]).max() > 1
    # a damaged file takes no other one's class
    (tmp_path / "in" / "2" / "a.png").write_text("words")
    np.testing.assert_array_equal(rebuilt("--data", tmp_path / "in"), both)
    assert "--label" in fails(reconstruct.main, tmp_path / "in" / "2" / "x.png", *model, "--out", out)
    cat(tmp_path / "in" / "tabby" / "x.png")
    line = fails(reconstruct.main, "--data", tmp_path / "in", *model, "--out", out)
    assert "is in the sub-folder 'tabby', which is not one of its classes" in line


def test_interpolation_begins_and_ends_at_the_reconstructions(exported, folder, tmp_path):
    paths = pictures.find(folder)[:2]
    interpolate.main(["--model", str(exported), *map(str, paths), "--steps", "5", "--out", str(tmp_path / "a.png")])
    originals = np.stack([pictures.read(path, (16, 16, 3)) for path in paths])
    rebuilt = pictures.to_uint8(keras_ae.load(exported, runtime="auto").reconstruct(originals))
    assert np.abs(read(tmp_path / "a.png")[:, :16] - rebuilt[0]).max() <= 1
    assert np.abs(read(tmp_path / "a.png")[:, -16:] - rebuilt[1]).max() <= 1


FILMS = {
    "a.gif": (interpolate, ["--seeds", "0-1,7,9", "--grid", "2x1", "--seconds", "0.2"], 7, (3 * 130, 3 * 64)),
    "a.webp": (interpolate, ["--seconds", "0.2"], 7, (3 * 64, 3 * 64)),
    "a.mp4": (interpolate, ["--seconds", "0.2"], 7, (3 * 64, 3 * 64)),
    "b.gif": (edit, ["--attribute", "brightness", "--examples", "20", "--seconds", "0.4"], 13, (3 * 64, 3 * 64)),
}


@pytest.mark.parametrize("name", FILMS)
def test_a_film_has_the_length_asked_for_and_ends_with_its_first_frame(tmp_path, name):
    command, words, frames, size = FILMS[name]
    if name.endswith("mp4"):
        pytest.importorskip("av")
    command.main(["--model", str(CATS), *words, "--out", str(tmp_path / name)])
    shown = read_film(tmp_path / name)
    assert shown.shape == (frames, *size[::-1], 3)
    assert np.abs(shown[0] - shown[-1]).mean() <= (0 if name.endswith("gif") else 3)


def read_film(path):
    """The frames of a film, int (n, h, w, 3)."""
    if path.suffix == ".mp4":
        import av

        with av.open(str(path)) as film:
            assert film.streams.video[0].average_rate == 30
            return np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]).astype(int)
    with Image.open(path) as film:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]).astype(int)


@pytest.mark.parametrize(("command", "model"), [(denoise, "denoiser"), (upscale, "upscaler")])
def test_restoring_commands_write_each_picture_and_a_comparison(course, tmp_path, command, model):
    files = [cat(tmp_path / folder / "cat.png", 1, side=24) for folder in ("a", "b")]
    for _ in range(2):
        command.main([*files, "--model", str(course / model), "--out", str(tmp_path / "out")])
    assert set(os.listdir(tmp_path / "out")) == {"cat.png", "cat-2.png", "comparison.png"}
    export = keras_ae.load(course / model, runtime="auto")
    expected = pictures.to_uint8(export.reconstruct(pictures.read(files[0], export.input_shape)[None]))[0]
    assert np.abs(read(tmp_path / "out" / "cat.png") - expected[..., 0]).max() <= 1


def test_embed_writes_codes_with_names_and_a_map(course, tmp_path, monkeypatch, capsys):
    # names need not be Unicode
    for index, name in enumerate([b"left/0", b"left/1", b"left/2", b"right/3", b"right/caf\xe9"]):
        cat(Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/" + name + b".png")), index)
    (tmp_path / "in" / "left" / "broken.png").write_bytes(b"no picture")
    words, out = (
        ["--data", str(tmp_path / "in"), "--model", str(course / "vae"), "--out", str(tmp_path / "out")],
        tmp_path / "out",
    )
    embed.main(words)
    model = keras_ae.load(course / "vae", runtime="auto")
    with open(out / "codes.csv", encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    assert [row[1] for row in rows] == ["left"] * 3 + ["right"] * 2
    assert rows[-1][0] == str(tmp_path / "in" / "right" / r"caf\xe9.png")
    expected = model.encode(pictures.read(rows[0][0], (8, 8, 1))[None])[0]
    for found in (np.load(out / "codes.npy")[0], np.array(rows[0][2:], "float32")):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert Image.open(out / "map.png").size[0] > 100
    # of very many pictures, some are shown
    monkeypatch.setattr(embed, "ON_MAP", 3)
    embed.main(words)
    assert "the map shows 3 of 5 pictures, evenly spaced" in capsys.readouterr().out
    assert len(np.load(out / "codes.npy")) == 5


def test_edit_moves_a_picture_along_an_attribute_and_its_middle_is_the_picture(course, tmp_path, capfd, fails):
    model = ("--model", str(course / "vae"))
    picture = cat(tmp_path / "1.png")
    for index in range(8):
        cat(tmp_path / ("with" if index % 2 else "without") / f"{index}.png", index)
    words = [picture, *model, "--steps", "5", "--out", str(tmp_path / "a.png")]
    rebuilt = keras_ae.load(course / "vae", runtime="auto").reconstruct(pictures.read(picture, (8, 8, 1))[None])
    for attribute in (
        ["--attribute", "eye_size", "--examples", "50"],
        ["--with", str(tmp_path / "with"), "--without", str(tmp_path / "without")],
    ):
        edit.main([*words, *attribute])
        assert Image.open(tmp_path / "a.png").size == (5 * 10 - 2, 8)
        assert np.abs(read(tmp_path / "a.png")[:, 20:28] - pictures.to_uint8(rebuilt)[0, ..., 0]).max() <= 1
    assert f"{tmp_path / 'with'} against {tmp_path / 'without'} from -3 to 3" in capfd.readouterr().out
    few = ("--attribute", "warmth", "--examples", "50", *model)
    assert "warmth is the same in all pictures of" in fails(edit.main, *few, "--out", tmp_path / "b.png")


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


def test_the_score_is_the_negative_elbo_at_the_mean_code(exported, folder):
    model = keras_ae.load(exported, runtime="auto")
    original = pictures.read(pictures.find(folder)[0], (16, 16, 3))[None]
    scores, rebuilt = score.score(model, original), np.clip(model.reconstruct(original), -1, 1)
    codes = model.codes(original)
    image = pictures.to_float(original)
    log_likelihood = stats.norm.logpdf(image.astype("float64"), rebuilt, model.card["held_out"]["mse"] ** 0.5).sum()
    kl = 0.5 * np.sum(codes["z_mean"] ** 2 + np.exp(codes["z_log_var"]) - 1 - codes["z_log_var"])
    assert scores["neg_elbo"][0] == pytest.approx(kl - log_likelihood, rel=1e-4)
    assert scores["mse"][0] == pytest.approx(np.mean((image - rebuilt) ** 2), rel=1e-4)


def test_restore_keeps_what_is_visible_and_gives_different_answers_to_the_rest(exported, tmp_path, fails):
    for name, shape, white in (("half", (40, 60), np.s_[:, 30:]), ("none", (40, 60), np.s_[:0]), ("small", (20, 30), np.s_[:])):
        mask = np.zeros((*shape, 1), "uint8")
        mask[white] = 255
        pictures.write_png(tmp_path / f"{name}.png", mask)
    picture = cat(tmp_path / "cat.png", 3, side=60)
    Image.open(picture).crop((0, 10, 60, 50)).save(picture)
    words = ["--model", exported, picture, "--mask"]
    assert "the mask marks nothing" in fails(restore.main, *words, tmp_path / "none.png", "--out", tmp_path / "no")
    assert "the size of the picture, 60x40. Received: 30x20" in fails(restore.main, *words, tmp_path / "small.png")
    restore.main([*map(str, words), str(tmp_path / "half.png"), "--out", str(tmp_path / "restored")])
    expected, answers = pictures.read(picture, (16, 16, 3)), [read(tmp_path / "restored" / f"{n}.png") for n in (1, 2, 3)]
    assert {path.name for path in (tmp_path / "restored").iterdir()} == {"1.png", "2.png", "3.png", "comparison.png"}
    for index, answer in enumerate(answers):
        np.testing.assert_array_equal(answer[:, :7], expected[:, :7])
        assert (answer[:, 9:] != answers[index - 1][:, 9:]).any()


def test_what_is_hidden_has_no_influence_on_what_fills_it(exported):
    model, image = keras_ae.load(exported), draw_cat(5, 16, 7)
    hidden = np.arange(16) * np.ones((16, 1)) > 9
    other = np.where(hidden[..., None], np.uint8(90), image)
    np.testing.assert_array_equal(*(restore.fill(model, one, hidden, 1, steps=5)[0][hidden] for one in (image, other)))
