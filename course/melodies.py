"""Melodies rebuilt, sampled and interpolated, as piano rolls and MIDI files, and the share of their notes in one key."""

import numpy as np

from course import charts, checks
from keras_ae.data import pipeline
from keras_ae.data.sets.melodies import SCALES
from keras_ae.errors import UserError
from keras_ae.images import melodies as midi
from keras_ae.images.pictures import to_uint8
from keras_ae.priors import space


def in_one_key(steps):
    """The largest share of the notes of a melody (32,) that lie in one major (or relative minor) scale; 1.0 without notes."""
    pitches = [pitch % 12 for _, _, pitch in midi.notes(steps)]
    scales = [{(root + step) % 12 for step in SCALES[0]} for root in range(12)]
    return max(np.mean([pitch in scale for pitch in pitches]) for scale in scales) if pitches else 1.0


def run(models, image_set, seed, folder, *, n=1000, shown=6):
    """Shares of steps and of whole melodies that are rebuilt without error, and of notes in one key."""
    name, model = next(iter(models.items()))
    if model.shape != midi.SHAPE:
        raise UserError(f"{name} was not trained on melodies")
    checks.need_images(image_set, max(2, shown // 2))
    checks.need_unconditional({name: model})
    images = pipeline.examples(image_set, "test", n)
    z = model.encode(images)
    originals, rebuilt = midi.of(to_uint8(images)), midi.of(to_uint8(model.decode(z)))
    drawn = midi.of(model.generate(n, seed)[0])
    path = midi.of(to_uint8(model.decode(space.spherical(z[0], z[1], shown + 1))))
    pairs = {}
    for index in range(shown // 2):
        pairs |= {f"original {index + 1}": originals[index], f"rebuilt {index + 1}": rebuilt[index]}
    rolls = {
        "melodies_rebuilt": (pairs, "held-out melodies"),
        "melodies": ({f"sample {index + 1}": steps for index, steps in enumerate(drawn[:shown])}, "sampled melodies"),
        "melodies_interpolation": (
            {f"{index / shown:.0%}": steps for index, steps in enumerate(path)},
            "from one held-out melody to another",
        ),
    }
    for file, (melodies, text) in rolls.items():
        notes = {label: midi.notes(steps) for label, steps in melodies.items()}
        charts.rolls(notes, folder / f"{file}.png", f"{name}: {text}")
    midi.write(folder / "melodies_samples.mid", drawn[:shown])
    midi.write(folder / "melodies_interpolation.mid", path)
    right = np.stack(rebuilt) == np.stack(originals)
    random = np.random.default_rng(seed).integers(0, midi.SHAPE[0], (n, midi.STEPS))
    kinds = {"sampled": drawn, "composed": originals, "random steps": random}
    return {
        "n": len(images),
        "steps_right": float(right.mean()),
        "melodies_right": float(right.all(axis=1).mean()),
        "notes_in_one_key": {kind: float(np.mean([in_one_key(steps) for steps in found])) for kind, found in kinds.items()},
    }
