"""Melodies of two bars as pictures, composed by a small program, read from and written to MIDI files with mido.

A melody is 32 steps, sixteenth notes. A step is a whole number: 0 ... 29 starts the note of MIDI pitch 84 - step (C6 down to
G3), HOLD lets the last one sound on, REST is silence. Its picture, uint8 (32, 32, 1), has a white pixel in each column, in the
row of the step (Roberts et al. 2018, arXiv:1803.05428, encode melodies so: one event out of many for each step).
"""

import numpy as np

from keras_ae.errors import UserError

STEPS = 32
HIGHEST = 84
HOLD, REST = 30, 31
SHAPE = (32, STEPS, 1)
SUFFIXES = (".mid", ".midi")
TICKS = 120
TEMPO = 500_000

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))
# lengths of the notes of one beat, in sixteenths; negative: silence
BEATS = ((4,), (2, 2), (2, 1, 1), (1, 1, 2), (3, 1), (1, 1, 1, 1), (-2, 2), (2, -2), (-4,))
BEAT_WEIGHTS = np.array([5, 6, 3, 3, 3, 2, 1, 1, 0.5])


def _bar(random):
    """Lengths of the notes of a bar and how far each moves along the scale; silence moves by None."""
    beats = [BEATS[random.choice(len(BEATS), p=BEAT_WEIGHTS / BEAT_WEIGHTS.sum())] for _ in range(2)]
    # a bar is two beats, then the same or others
    beats += (
        beats
        if random.random() < 0.4
        else [BEATS[random.choice(len(BEATS), p=BEAT_WEIGHTS / BEAT_WEIGHTS.sum())] for _ in beats]
    )
    moves = (-2, -1, -1, 0, 1, 1, 2, 3, -3)
    return [(abs(length), None if length < 0 else int(random.choice(moves))) for beat in beats for length in beat]


def compose(seed, index):
    """Melody number `index` of the sequence `seed`: int (32,).

    A scale, a motif of one bar, and a second bar that repeats, shifts, mirrors or answers it, ending on the tonic.
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
    # the last note that starts is the tonic nearest to where it was
    last = max((place for place, step in enumerate(steps) if step < HOLD), default=None)
    if last is not None:
        octave = round(degree / len(scale))
        steps[last] = _step(root, scale, octave * len(scale))
    return np.array(steps, "int64")


def _step(root, scale, degree):
    pitch = root + 12 * (degree // len(scale)) + scale[degree % len(scale)]
    while pitch > HIGHEST:
        pitch -= 12
    return HIGHEST - max(pitch, HIGHEST - HOLD + 1)


def to_picture(steps):
    """The picture of a melody, uint8 (32, 32, 1)."""
    return (np.arange(SHAPE[0])[:, None] == np.asarray(steps)[None]).astype("uint8")[..., None] * 255


def from_picture(picture):
    """The melody of a picture (32, 32, 1): in each column the brightest row."""
    return np.argmax(picture[..., 0], axis=0)


def of(pictures):
    """The melodies of uint8 pictures (n, 32, 32, 1). Raises UserError where they are of another shape."""
    if pictures.shape[1:] != SHAPE:
        raise UserError(f"a MIDI file needs a model of melodies, of pictures {SHAPE}. Received: {pictures.shape[1:]}")
    return [from_picture(picture) for picture in pictures]


def notes(steps):
    """(first step, number of steps, MIDI pitch) of each note."""
    found, sounding = [], False
    for place, step in enumerate(steps):
        if step < HOLD:
            found.append([place, 1, HIGHEST - int(step)])
        elif step == HOLD and sounding:
            found[-1][1] += 1
        sounding = step < HOLD or (step == HOLD and sounding)
    return [tuple(note) for note in found]


def write(path, melodies):
    """Write melodies one after another as a MIDI file of one track, 120 beats a minute."""
    import mido

    from keras_ae.files import written_whole

    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=TEMPO)])
    events = []
    for index, steps in enumerate(melodies):
        for first, length, pitch in notes(steps):
            begin = (index * STEPS + first) * TICKS
            # ends sort before beginnings at the same time
            events += [(begin, 1, pitch), (begin + length * TICKS, 0, pitch)]
    now = 0
    for time, starts, pitch in sorted(events):
        track.append(mido.Message("note_on" if starts else "note_off", note=pitch, velocity=90 * starts, time=time - now))
        now = time
    track.append(mido.MetaMessage("end_of_track", time=len(melodies) * STEPS * TICKS - now))
    with written_whole(path) as partial, open(partial, "wb") as file:
        mido.MidiFile(ticks_per_beat=4 * TICKS, tracks=[track]).save(file=file)


def read(path):
    """The first two bars of a MIDI file as a melody: of all tracks the highest note at each sixteenth.

    Notes outside G3 ... C6 are moved by octaves. Raises UserError.
    """
    import mido

    try:
        file = mido.MidiFile(str(path))
        step = file.ticks_per_beat / 4
        steps = np.full(STEPS, REST)
        for pitch, begin, end in sorted(_sounding(file)):
            first, last = round(begin / step), max(round(end / step), round(begin / step) + 1)
            while pitch > HIGHEST:
                pitch -= 12
            while pitch <= HIGHEST - HOLD:
                pitch += 12
            if first < STEPS:
                steps[first:last] = HOLD
                steps[first] = HIGHEST - pitch
    except (OSError, EOFError, ValueError, IndexError, KeyError) as error:
        raise UserError(f"cannot read the MIDI file {path}: {error or 'it ends early'}") from None
    if np.all(steps >= HOLD):
        raise UserError(f"the MIDI file {path} has no notes in its first two bars")
    return steps


def _sounding(file):
    """(pitch, begin, end) in ticks of every note of a mido.MidiFile."""
    for track in file.tracks:
        now, begun = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                begun[message.note] = now
            elif message.type in ("note_on", "note_off") and message.note in begun:
                yield message.note, begun.pop(message.note), now
