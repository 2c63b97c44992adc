"""Outputs appear whole or not at all, nothing that is not ours is replaced, and locks end with their process."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from keras_ae.errors import UserError
from keras_ae.files import check_output, find_foreign, lock, write_file, write_folder


def save_png(path, software=None):
    text = PngImagePlugin.PngInfo()
    if software:
        text.add_text("Software", software)
    Image.new("RGB", (4, 4)).save(path, pnginfo=text)


def save_gif(path, comment=b""):
    frames = [Image.fromarray(np.full((8, 8, 3), shade, "uint8")) for shade in (0, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:], comment=comment, loop=0)


def save_webp(path, software):
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = software
    # more than is read at the beginning
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (700, 700, 3), "uint8"))
    noise.save(path, exif=exif, lossless=True, method=0)


def save_mp4(path, comment):
    path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(99) + b"\xa9cmt\0\0\0\x18data\0\0\0\1\0\0\0\0" + comment)


def save_text(path, text):
    path.write_text(text)


FILES = {
    "a.png": (save_png, "keras_ae", "Paint"),
    "a.gif": (save_gif, b"keras_ae", b"mine"),
    "a.webp": (save_webp, "keras_ae", "Paint"),
    "a.mp4": (save_mp4, b"keras_ae", b"mine"),
    "a.html": (save_text, '<!doctype html><meta name="generator" content="keras_ae 1">', "<p>keras_ae"),
    "a.json": (save_text, json.dumps({"versions": {"keras_ae": "0"}}), json.dumps(["keras_ae"])),
    "a.csv": (save_text, "file,mse\na,1\n", "file,price\na,1\n"),
    "codes.csv": (save_text, "file,label,z0,z1\n", "file,label\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_replaced_only_with_our_mark_or_by_force(tmp_path, name):
    save, ours, foreign = FILES[name]
    path = tmp_path / name
    assert check_output(path) == path
    save(path, ours)
    assert find_foreign(path) is None
    assert check_output(path, suffixes=(path.suffix,)) == path
    save(path, foreign)
    with pytest.raises(UserError, match=f"{name} exists and is not from keras_ae.*`force`"):
        check_output(path)
    assert check_output(path, force=True) == path
    path.write_bytes(b"")
    with pytest.raises(UserError, match="not from keras_ae"):
        check_output(path)


@pytest.mark.parametrize("foreign", ["notes.txt", "encoder/a.png", "b.csv", "link.npz", "encoder/.hidden"])
def test_a_folder_is_replaced_only_if_everything_in_it_is_ours_or_by_force(tmp_path, foreign):
    out = tmp_path / "vae"
    with write_folder(out) as folder:
        assert not out.exists()
        (folder / "encoder").mkdir()
        for name in ("README.md", "prior.npz", "encoder/saved_model.pb", "encoder/variables.data-00000-of-00001"):
            (folder / name).touch()
        save_text(folder / "card.json", '{"keras_ae": 1}')
    with write_folder(out) as folder:
        save_text(folder / "card.json", '{"keras_ae": 2}')
    assert [path.name for path in out.iterdir()] == ["card.json"]
    (out / "encoder").mkdir()
    if foreign.startswith("link"):
        (out / foreign).symlink_to(out / "card.json")
    else:
        (out / foreign).touch()
    with pytest.raises(UserError, match=f"{foreign} exists and is not from keras_ae"), write_folder(out):
        pass
    assert (out / foreign).exists()
    with write_folder(out, force=True):
        pass
    assert os.listdir(out) == [] and os.listdir(tmp_path) == ["vae"]
    save_png(out / "a.png", "keras_ae")
    (out / "mine.npz").touch()
    # nothing says that all of the folder is ours
    with pytest.raises(UserError, match="mine.npz"):
        check_output(out)


def test_what_appears_in_a_folder_while_it_is_written_is_not_lost(tmp_path):
    with pytest.raises(UserError, match="late.txt"), write_folder(tmp_path / "out"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out/late.txt").touch()
    assert os.listdir(tmp_path) == ["out"] and os.listdir(tmp_path / "out") == ["late.txt"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("write", [write_file, write_folder])
def test_an_error_leaves_the_old_output_and_nothing_else(tmp_path, write, error):
    out = tmp_path / "out.json"
    with write(out) as partial:
        (partial if write is write_file else partial / "a.json").write_text('{"keras_ae": 1}')
    with pytest.raises(type(error)), write(out) as partial:
        assert write is write_folder or partial.name == "out.json"
        (partial if write is write_file else partial / "a.json").write_text("half")
        raise error
    assert os.listdir(tmp_path) == ["out.json"]
    assert (out if write is write_file else out / "a.json").read_text() == '{"keras_ae": 1}'


@pytest.mark.parametrize(
    ("name", "suffixes", "message"),
    [
        ("", (), "must have a name"),
        ("  ", (".png",), "must have a name"),
        ("a\0b", (), "must have a name"),
        ("gs://bucket/a", (), "must be local"),
        (".", (), "contains the current folder"),
        ("/", (), "contains the current folder"),
        ("..", (), "contains the current folder"),
        ("~", (), "home folder"),
        ("a.jpg", (".png", ".gif"), "must end in .png or .gif. Received: a.jpg"),
        ("folder.png", (".png",), "is not a file"),
        (os.devnull, (), "is not a file"),
    ],
)
def test_an_output_that_cannot_be_is_refused_even_with_force(tmp_path, monkeypatch, name, suffixes, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match=message):
        check_output(name.replace("~", str(tmp_path / "home")), True, suffixes)


def test_a_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("a.txt", "folder"):
        (tmp_path / name).symlink_to(tmp_path / "there" / name)
    with write_file(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    with write_folder(tmp_path / "folder") as partial:
        (partial / "b").touch()
    assert (tmp_path / "a.txt").is_symlink() and (tmp_path / "there/a.txt").read_text() == "new"
    assert (tmp_path / "folder").is_symlink() and (tmp_path / "there/folder/b").exists()


KILLED = """
import sys, time
from keras_ae.files import lock, write_file, write_folder
with lock(sys.argv[1] + "/lock", "busy"), write_file(sys.argv[1] + "/a.txt") as a, write_folder(sys.argv[1] + "/b") as b:
    a.write_text("half"), (b / "half").touch()
    print("ready", flush=True)
    time.sleep(20)
"""


def test_a_killed_process_leaves_nothing_half_written_and_its_lock_is_free(tmp_path):
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(UserError, match="busy now"), lock(tmp_path / "lock", "busy now"):
            pass
        process.send_signal(signal.SIGKILL)
    assert {path.name for path in tmp_path.glob("[!.]*")} <= {"lock"}
    with lock(tmp_path / "lock", "busy"), write_file(tmp_path / "a.txt") as a, write_folder(tmp_path / "b"):
        a.touch()
    assert {path.name for path in tmp_path.glob("[!.]*")} <= {"lock", "a.txt", "b"}


def test_a_waiting_lock_says_so_and_no_timeout_but_its_own_is_an_answer(tmp_path, capsys):
    thread = threading.Thread(target=lambda: lock(tmp_path / "lock", "waiting", wait=True).lock.release())
    with lock(tmp_path / "lock", "busy"):
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and capsys.readouterr().err == "waiting\n"
    thread.join(30)
    assert not thread.is_alive()
    with pytest.raises(filelock.Timeout), lock(tmp_path / "lock", "busy"):
        raise filelock.Timeout("other")
