import json

import mido
import numpy as np
import pytest

import keras_ae
from course import midi, music
from course.music import SCALES, compose
from keras_ae.data import sources
from keras_ae.errors import UserError
from keras_ae.images import pictures
from keras_ae.judge.judge import load_images
from keras_ae.models import latents


def test_composed_melodies_are_whole_in_one_scale_and_repeat_by_number():
    for index in range(100):
        steps = compose(0, index)
        assert steps.shape == (midi.STEPS,)
        assert 0 <= steps.min() <= steps.max() <= midi.REST
        np.testing.assert_array_equal(steps, compose(0, index))
        pitches = {pitch % 12 for _, _, pitch in midi.notes(steps)}
        assert any(pitches <= {(root + step) % 12 for step in scale} for root in range(12) for scale in SCALES), index
    assert len({compose(0, index).tobytes() for index in range(100)}) > 95
    image = midi.to_image(compose(0, 3))
    assert image.shape == midi.SHAPE and (image.sum(axis=0) == 255).all()
    np.testing.assert_array_equal(midi.from_images(image[None])[0], compose(0, 3))


def test_notes_of_a_melody_written_by_hand():
    steps = np.full(midi.STEPS, midi.REST)
    # C5 for two steps, then E5 for one, a rest, and a hold without a note before it
    steps[:5] = [84 - 72, midi.HOLD, 84 - 76, midi.REST, midi.HOLD]
    assert midi.notes(steps) == [(0, 2, 72), (2, 1, 76)]


def test_midi_files_restore_melodies(tmp_path):
    for index in range(20):
        steps = compose(0, index)
        midi.write(tmp_path / "tune.mid", [steps])
        assert midi.notes(midi.read(tmp_path / "tune.mid")) == midi.notes(steps)
        midi.write(tmp_path / "again.mid", [steps])
        assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "tune.mid").read_bytes()


def test_midi_files_of_other_programs_are_read_and_their_octaves_shifted(tmp_path):
    track = mido.MidiTrack()
    for pitch, ticks in ((30, 96), (100, 48)):
        track.append(mido.Message("note_on", note=pitch, time=0))
        track.append(mido.Message("note_on", note=pitch, velocity=0, time=ticks))
    mido.MidiFile(ticks_per_beat=96, tracks=[track]).save(str(tmp_path / "x.mid"))
    assert midi.notes(midi.read(tmp_path / "x.mid")) == [(0, 4, 66), (4, 2, 76)]


# a key signature of 127 sharps in a track of one event
KEY = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00`MTrk\x00\x00\x00\x06\x00\xffY\x02\x7f\x00"
NO_TICKS = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00MTrk\x00\x00\x00\x08\x00\x90\x3c\x40`\x80\x3c\x40"


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"not midi", "cannot read the MIDI file"),
        (b"", "it ends early"),
        (KEY, "cannot read the MIDI file .*key"),
        (NO_TICKS, "its beat has 0 ticks"),
        (NO_TICKS.replace(b"\x00\x00MTrk", b"\xe7\x28MTrk"), "its beat has -6360 ticks"),
    ],
)
def test_broken_midi_files_are_refused(tmp_path, contents, message):
    (tmp_path / "x.mid").write_bytes(contents)
    with pytest.raises(UserError, match=message):
        midi.read(tmp_path / "x.mid")


def test_files_without_notes_and_images_of_another_shape_are_not_melodies(tmp_path):
    midi.write(tmp_path / "x.mid", [np.full(midi.STEPS, midi.REST)])
    with pytest.raises(UserError, match="no notes"):
        midi.read(tmp_path / "x.mid")
    with pytest.raises(UserError, match=r"melodies are images of shape .* Received: \(28, 28, 1\)"):
        midi.from_images(np.zeros((2, 28, 28, 1), "uint8"))


def test_the_data_set_has_melodies_once_and_a_tenth_held_out(monkeypatch):
    monkeypatch.setattr(music, "COUNT", 100)
    source = sources.open_source("melodies", None)
    items = list(source.items())
    assert (len(source.names), source.labels, source.size, source.channels) == (100, (), 32, 1)
    assert len({item.data for item in items}) == 100
    assert [item.side for item in items] == ["train"] * 90 + ["test"] * 10
    np.testing.assert_array_equal(pictures.decode(items[0].data, (32, 32, 1)), midi.to_image(compose(0, 0)))


def test_sequence_networks_keep_a_position_for_each_step():
    encoder = music.sequence_encoder((32, 40, 1), latents.Gaussian(5), width=8)
    decoder = music.sequence_decoder((32, 40, 1), 5, width=8)
    assert encoder(np.zeros((2, 32, 40, 1), "float32"))["z_mean"].shape == (2, 5)
    images = np.asarray(decoder(np.ones((2, 5), "float32")))
    assert images.shape == (2, 32, 40, 1)
    assert np.abs(images).max() <= 1
    with pytest.raises(UserError, match="at most 128 rows. Received: 256"):
        music.sequence_decoder((256, 256, 1), 5)


def test_commands_take_midi_files(course, tmp_path, fails):
    model = ("--model", str(course / "music"))
    ends = [str(tmp_path / f"{index}.mid") for index in range(2)]
    for index, path in enumerate(ends):
        midi.write(path, [compose(0, index)])
    midi.main(["generate", *model, "--n", "3", "--out", str(tmp_path / "three.mid")])
    midi.main(["interpolate", *ends, *model, "--steps", "4", "--out", str(tmp_path / "way.mid")])
    midi.main(["reconstruct", *ends, *model, "--out", str(tmp_path / "both.mid")])
    # each melody, then its reconstruction
    assert midi.notes(midi.read(tmp_path / "both.mid")) == midi.notes(compose(0, 0))
    seconds = {path.stem: round(mido.MidiFile(path).length / 4) for path in tmp_path.glob("*.mid")}
    assert seconds == {"0": 1, "1": 1, "three": 3, "way": 4, "both": 4}
    line = fails(midi.main, "generate", "--model", course / "vae", "--out", tmp_path / "x.mid")
    assert "melodies are images of shape" in line
    line = fails(midi.main, "reconstruct", *ends, "--model", course / "vae", "--out", tmp_path / "x.png")
    assert "the model takes" in line


def test_the_categorical_likelihood_is_a_cross_entropy_over_rows():
    random = np.random.default_rng(0)
    brightness = random.uniform(0.01, 1, (5, 32, 32, 1))
    images = np.stack([midi.to_image(compose(0, index)) for index in range(5)]) / 127.5 - 1
    chosen = brightness / brightness.sum(axis=1, keepdims=True)
    expected = -np.log(chosen[images > 0].reshape(5, 32)).sum(axis=1)
    nats = music.categorical(images.astype("float32"), (2 * brightness - 1).astype("float32"))
    np.testing.assert_allclose(nats, expected, rtol=1e-4)


def test_a_step_that_two_rows_could_be_is_no_certain_one():
    image = midi.to_image(np.zeros(32, "int64"))[None] / 127.5 - 1
    twice = image.copy()
    twice[:, 1] = 1
    nats = music.categorical(np.float32(image), np.float32(twice))
    np.testing.assert_allclose(nats, 32 * np.log(2), rtol=1e-3)


def test_composed_melodies_stay_in_one_key_and_random_steps_do_not(course, tmp_path, short):
    models = {"music": keras_ae.load(course / "music")}
    with short():
        image_set = load_images(models, None)
    numbers = music.melodies(models, image_set, 0, tmp_path, n=60)
    assert json.dumps(numbers)
    shares = numbers["notes_in_one_key"]
    assert shares["composed"] >= 0.95 > shares["random steps"]
    assert 0 <= numbers["melodies_right"] <= numbers["steps_right"] <= 1
    names = {"melodies.png", "melodies_rebuilt.png", "melodies_interpolation.png"}
    assert {path.name for path in tmp_path.iterdir()} == names | {"melodies_samples.mid", "melodies_interpolation.mid"}


def test_a_chromatic_scale_is_in_no_key_and_a_major_one_in_its_own():
    # a step is the distance below C6, MIDI pitch 84
    assert music.in_one_key(np.array([24 - step for step in (0, 2, 4, 5, 7, 9, 11, 12)])) == 1
    assert music.in_one_key(np.arange(12)) == pytest.approx(7 / 12)
