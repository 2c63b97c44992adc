import numpy as np
import pytest
from PIL import Image

from keras_ae.data.sets.melodies import compose
from keras_ae.errors import UserError
from keras_ae.images import melodies, pictures, writing

FRAMES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), "uint8")


def tunes(n):
    return np.stack([melodies.to_image(compose(0, index)) for index in range(n)])


@pytest.mark.parametrize("suffix", writing.WRITERS)
def test_every_suffix_writes_the_same_bytes_twice(tmp_path, suffix):
    for name in ("a", "b"):
        writing.write(tmp_path / f"{name}{suffix}", tunes(3))
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_png_is_a_square_grid_or_has_the_columns_asked_for(tmp_path):
    writing.write(tmp_path / "square.png", FRAMES)
    writing.write(tmp_path / "strip.PNG", FRAMES, columns=6)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "square.png")), pictures.grid(FRAMES, 3))
    assert Image.open(tmp_path / "strip.PNG").size == (6 * 10 - 2, 8)


def test_a_gif_goes_forward_and_backward_in_a_loop(tmp_path):
    grey = np.arange(0, 200, 50, dtype="uint8")[:, None, None, None] * np.ones((1, 8, 8, 1), "uint8")
    writing.write(tmp_path / "a.gif", grey, milliseconds=120)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"], gif.info["duration"]) == (6, (24, 24), 0, 120)
        shown = []
        for index in range(gif.n_frames):
            gif.seek(index)
            shown.append(int(np.asarray(gif.convert("L"))[0, 0]))
    assert shown == [0, 50, 100, 150, 100, 50]


def test_a_midi_file_holds_the_melodies_one_after_another(tmp_path):
    writing.write(tmp_path / "a.mid", tunes(2))
    assert melodies.notes(melodies.read(tmp_path / "a.mid")) == melodies.notes(compose(0, 0))
    with pytest.raises(UserError, match="a MIDI file needs a model of melodies"):
        writing.write(tmp_path / "b.midi", FRAMES)
    assert not (tmp_path / "b.midi").exists()


def test_another_suffix_is_refused_with_those_that_work():
    with pytest.raises(UserError, match=r"--out must end in \.png or \.gif\. Received: a\.txt"):
        writing.check("a.txt", (".png", ".gif"))
    with pytest.raises(UserError, match=r"--out must end in \.csv\. Received: scores"):
        writing.check("scores", (".csv",))
    with pytest.raises(UserError, match=r"must end in \.png, \.gif, \.mid or \.midi"):
        writing.write("a.bmp", FRAMES)
    assert writing.check("a.GIF").name == "a.GIF"
