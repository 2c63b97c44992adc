"""Melodies as images and as MIDI files, which any command of keras_ae takes: python -m course.midi generate --out new.mid

A melody is 32 steps, two bars of sixteenth notes. A step is an integer: 0 ... 29 starts the note of MIDI pitch 84 - step (C6
down to G3), HOLD continues the last note, REST is silence. Its image, uint8 (32, 32, 1), has one white pixel in each column, in
the row of the step: the one-hot encoding of Roberts et al. 2018, arXiv:1803.05428.
"""

import re

import numpy as np

from keras_ae import files
from keras_ae.__main__ import main
from keras_ae.errors import UserError, first_line
from keras_ae.images import pictures

STEPS = 32
HIGHEST = 84
HOLD, REST = 30, 31
SHAPE = (32, STEPS, 1)
# MIDI ticks of a sixteenth note, microseconds of a beat
TICKS = 120
TEMPO = 500_000


def to_image(steps):
    """The image of a melody, uint8 (32, 32, 1)."""
    return (np.arange(SHAPE[0])[:, None] == np.asarray(steps)[None]).astype("uint8")[..., None] * 255


def from_images(images):
    """The melodies of images (n, 32, 32, 1), int (n, 32): the brightest row of each column. UserError for another shape."""
    if images.shape[1:] != SHAPE:
        raise UserError(f"melodies are images of shape {SHAPE}. Received: {images.shape[1:]}")
    return np.argmax(images[..., 0], axis=1)


def notes(steps):
    """The notes of a melody (32,): a list of (first step, number of steps, MIDI pitch)."""
    found, sounding = [], False
    for place, step in enumerate(steps):
        if step < HOLD:
            found.append([place, 1, HIGHEST - int(step)])
        elif step == HOLD and sounding:
            found[-1][1] += 1
        sounding = step < HOLD or (step == HOLD and sounding)
    return [tuple(note) for note in found]


def write(path, melodies):
    """Write melodies (n, 32), one after another, as a MIDI file of one track at 120 beats per minute."""
    import mido

    track = mido.MidiTrack([mido.MetaMessage("track_name", name="keras_ae"), mido.MetaMessage("set_tempo", tempo=TEMPO)])
    events = []
    for index, steps in enumerate(melodies):
        for first, length, pitch in notes(steps):
            begin = (index * STEPS + first) * TICKS
            # at the same time, ends sort before beginnings
            events += [(begin, 1, pitch), (begin + length * TICKS, 0, pitch)]
    now = 0
    for time, starts, pitch in sorted(events):
        track.append(mido.Message("note_on" if starts else "note_off", note=pitch, velocity=90 * starts, time=time - now))
        now = time
    track.append(mido.MetaMessage("end_of_track", time=len(melodies) * STEPS * TICKS - now))
    with files.write_file(path) as partial:
        mido.MidiFile(ticks_per_beat=4 * TICKS, tracks=[track]).save(partial)


def read(path):
    """The first two bars of a MIDI file as a melody (32,): the highest note of all tracks at each sixteenth.

    Notes outside G3 ... C6 are shifted by octaves. Raises UserError for a damaged file and for one without notes there.
    """
    import mido

    try:
        file = mido.MidiFile(str(path))
        if file.ticks_per_beat <= 0:
            raise ValueError(f"its beat has {file.ticks_per_beat} ticks")
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
    except Exception as error:
        # mido raises many kinds of errors on broken bytes
        reason = "it ends early" if isinstance(error, EOFError) else first_line(error)
        raise UserError(f"cannot read the MIDI file {path}: {reason}") from None
    if np.all(steps >= HOLD):
        raise UserError(f"the MIDI file {path} has no notes in its first two bars")
    return steps


def _sounding(file):
    """(pitch, begin, end) of every note of a mido.MidiFile, in ticks."""
    for track in file.tracks:
        now, begun = 0, {}
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                begun[message.note] = now
            elif message.type in ("note_on", "note_off") and message.note in begun:
                yield message.note, begun.pop(message.note), now


# what commands read and write, and what they may replace: files with this name of their track
for suffix in (".mid", ".midi"):
    pictures.READERS[suffix] = lambda path: to_image(read(path))
    pictures.WRITERS[suffix] = lambda path, images, columns=None, milliseconds=None: write(path, from_images(images))
    files.MARKS[suffix] = re.compile(rb"\xff\x03\x08keras_ae")

if __name__ == "__main__":
    main()
