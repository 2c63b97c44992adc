"""Music: melodies of two bars, drawn as piano rolls and written as MIDI."""

import numpy as np

from keras_ae.codes import paths as codes
from keras_ae.data import pipeline as data
from keras_ae.errors import UserError
from keras_ae.judging.judge import batched
from keras_ae.media import figures
from keras_ae.media import melodies as midi
from keras_ae.media.images import to_uint8

SHOWN = 6


def _in_key(steps):
    """The greatest share of a melody's notes that lie in one major scale (or its relative minor)."""
    pitches = [pitch % 12 for _, _, pitch in midi.notes(steps)]
    scales = [{(root + step) % 12 for step in midi.SCALES[0]} for root in range(12)]
    return max(np.mean([pitch in scale for pitch in pitches]) for scale in scales) if pitches else 1.0


def melodies(models, pictures, seed, folder):
    """Rebuilt, sampled and interpolated melodies; samples and the interpolation as MIDI files too."""
    name, model = next(iter(models.items()))
    if model.shape != midi.SHAPE:
        raise UserError(f"{name} is no model of melodies")
    images = data.examples(pictures, "test", 1000)
    z = batched(model.encode, images)
    rebuilt = midi.of(to_uint8(batched(model.decode, z)))
    originals = midi.of(to_uint8(images))
    shown = {}
    for index in range(3):
        shown |= {f"original {index + 1}": midi.notes(originals[index]), f"rebuilt {index + 1}": midi.notes(rebuilt[index])}
    figures.rolls(shown, folder / "melodies_rebuilt.png", f"{name}: held-out melodies")
    drawn = midi.of(model.generate(1000, seed)[0])
    midi.write(folder / "melodies_samples.mid", drawn[:SHOWN])
    rolls = {f"sample {index + 1}": midi.notes(steps) for index, steps in enumerate(drawn[:SHOWN])}
    figures.rolls(rolls, folder / "melodies.png", f"{name}: sampled melodies")
    way = midi.of(to_uint8(model.decode(codes.spherical(z[0], z[1], SHOWN + 1))))
    midi.write(folder / "melodies_interpolation.mid", way)
    rolls = {f"{index / SHOWN:.0%}": midi.notes(steps) for index, steps in enumerate(way)}
    figures.rolls(rolls, folder / "melodies_interpolation.png", f"{name}: from one held-out melody to another")
    right = np.stack(rebuilt) == np.stack(originals)
    random = np.random.default_rng(seed).integers(0, midi.SHAPE[0], (1000, midi.STEPS))
    return {
        "n": len(images),
        "steps_right": float(right.mean()),
        "melodies_right": float(right.all(axis=1).mean()),
        "notes_in_one_key": {
            "sampled": float(np.mean([_in_key(steps) for steps in drawn])),
            "composed": float(np.mean([_in_key(steps) for steps in originals])),
            "random steps": float(np.mean([_in_key(steps) for steps in random])),
        },
    }
