import mido
import numpy as np
import pytest

from keras_ae.data.sets.melodies import SCALES, compose
from keras_ae.errors import UserError
from keras_ae.images import melodies
from keras_ae.models import losses


def test_composed_melodies_are_whole_and_repeat_by_number():
    for index in range(200):
        steps = compose(0, index)
        assert steps.shape == (melodies.STEPS,)
        assert steps.min() >= 0
        assert steps.max() <= melodies.REST
        np.testing.assert_array_equal(steps, compose(0, index))
    assert len({compose(0, index).tobytes() for index in range(200)}) > 190


def test_composed_notes_are_in_one_scale():
    for index in range(50):
        pitches = {pitch % 12 for _, _, pitch in melodies.notes(compose(1, index))}
        assert any(pitches <= {(root + step) % 12 for step in scale} for root in range(12) for scale in SCALES), index


def test_an_image_holds_a_melody():
    steps = compose(0, 3)
    image = melodies.to_image(steps)
    assert image.shape == melodies.SHAPE
    assert (image.sum(axis=0) == 255).all()
    np.testing.assert_array_equal(melodies.from_image(image), steps)


def test_notes_of_a_melody_written_by_hand():
    steps = np.full(melodies.STEPS, melodies.REST)
    # C5 for two steps, then E5 for one, a rest, and a hold without a note before it
    steps[:5] = [84 - 72, melodies.HOLD, 84 - 76, melodies.REST, melodies.HOLD]
    assert melodies.notes(steps) == [(0, 2, 72), (2, 1, 76)]


def test_midi_files_restore_melodies(tmp_path):
    for index in range(20):
        steps = compose(0, index)
        melodies.write(tmp_path / "tune.mid", [steps])
        assert melodies.notes(melodies.read(tmp_path / "tune.mid")) == melodies.notes(steps)


def test_the_same_melodies_make_the_same_file(tmp_path):
    for name in ("a.mid", "b.mid"):
        melodies.write(tmp_path / name, [compose(0, 1), compose(0, 2)])
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_midi_files_of_other_programs_are_read_and_their_octaves_shifted(tmp_path):
    track = mido.MidiTrack()
    for pitch, ticks in ((30, 96), (100, 48)):
        track.append(mido.Message("note_on", note=pitch, time=0))
        track.append(mido.Message("note_on", note=pitch, velocity=0, time=ticks))
    mido.MidiFile(ticks_per_beat=96, tracks=[track]).save(str(tmp_path / "x.mid"))
    assert melodies.notes(melodies.read(tmp_path / "x.mid")) == [(0, 4, 66), (4, 2, 76)]


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
        melodies.read(tmp_path / "x.mid")


def test_a_midi_file_without_notes_is_refused(tmp_path):
    melodies.write(tmp_path / "x.mid", [np.full(melodies.STEPS, melodies.REST)])
    with pytest.raises(UserError, match="no notes"):
        melodies.read(tmp_path / "x.mid")


def test_images_of_another_shape_are_not_melodies():
    with pytest.raises(UserError, match=r"a MIDI file needs a model of melodies.* Received: \(28, 28, 1\)"):
        melodies.of(np.zeros((2, 28, 28, 1), "uint8"))


def test_the_categorical_likelihood_is_a_cross_entropy_over_rows():
    random = np.random.default_rng(0)
    brightness = random.uniform(0.01, 1, (5, 32, 32, 1))
    images = np.stack([melodies.to_image(compose(0, index)) for index in range(5)]) / 127.5 - 1
    chosen = brightness / brightness.sum(axis=1, keepdims=True)
    expected = -np.log(chosen[images > 0].reshape(5, 32)).sum(axis=1)
    nats = losses.categorical(images.astype("float32"), (2 * brightness - 1).astype("float32"))
    np.testing.assert_allclose(nats, expected, rtol=1e-4)


def test_a_step_that_two_rows_could_be_is_no_certain_one():
    image = melodies.to_image(np.zeros(32, "int64"))[None] / 127.5 - 1
    twice = image.copy()
    twice[:, 1] = 1
    nats = losses.categorical(np.float32(image), np.float32(twice))
    np.testing.assert_allclose(nats, 32 * np.log(2), rtol=1e-3)
