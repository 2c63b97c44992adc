"""A small composer of melodies of two bars, for the built-in data set of piano rolls.

A melody is an integer array (32,) of steps, as in `keras_ae.images.melodies`.
"""

import numpy as np

from keras_ae.images.melodies import HIGHEST, HOLD, REST

# major, minor, dorian, major pentatonic, minor pentatonic: semitones above the tonic
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))
# lengths of the notes of one beat, in sixteenths; negative: a rest
BEATS = ((4,), (2, 2), (2, 1, 1), (1, 1, 2), (3, 1), (1, 1, 1, 1), (-2, 2), (2, -2), (-4,))
BEAT_WEIGHTS = np.array([5, 6, 3, 3, 3, 2, 1, 1, 0.5])
# steps of the scale from one note to the next
MOVES = (-2, -1, -1, 0, 1, 1, 2, 3, -3)
REPEATED = 0.4


def _two_beats(random):
    return [BEATS[random.choice(len(BEATS), p=BEAT_WEIGHTS / BEAT_WEIGHTS.sum())] for _ in range(2)]


def _bar(random):
    """The notes of a bar: (length in sixteenths, move along the scale, or None for a rest)."""
    beats = _two_beats(random)
    beats += beats if random.random() < REPEATED else _two_beats(random)
    return [(abs(length), None if length < 0 else int(random.choice(MOVES))) for beat in beats for length in beat]


def _step(root, scale, degree):
    """The step that starts the note `degree` of the scale above the MIDI pitch `root`, shifted by octaves into the range."""
    pitch = root + 12 * (degree // len(scale)) + scale[degree % len(scale)]
    while pitch > HIGHEST:
        pitch -= 12
    return HIGHEST - max(pitch, HIGHEST - HOLD + 1)


def compose(seed, index):
    """Melody number `index` of the sequence `seed`: int (32,).

    A random scale and motif of one bar; the second bar repeats, shifts, mirrors or answers the motif and ends on the tonic.
    """
    random = np.random.default_rng((seed, index))
    scale = SCALES[random.integers(len(SCALES))]
    root = int(random.integers(55, 67))
    motif = _bar(random)
    kind = random.choice(["repeat", "shift", "mirror", "answer"])
    second = {"mirror": [(n, None if m is None else -m) for n, m in motif], "answer": _bar(random)}.get(kind, motif)
    start = int(random.integers(len(scale), 2 * len(scale)))
    shift = int(random.choice([-2, -1, 1, 2])) if kind == "shift" else 0
    steps = []
    for bar, first in ((motif, start), (second, start + shift)):
        degree = first
        for length, move in bar:
            if move is None:
                steps += [REST] * length
                continue
            degree = int(np.clip(degree + move, 0, 3 * len(scale) - 1))
            steps += [_step(root, scale, degree)] + [HOLD] * (length - 1)
    # the last note becomes the nearest tonic
    last = max((place for place, step in enumerate(steps) if step < HOLD), default=None)
    if last is not None:
        octave = round(degree / len(scale))
        steps[last] = _step(root, scale, octave * len(scale))
    return np.array(steps, "int64")
