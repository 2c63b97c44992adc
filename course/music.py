"""What experiments/music.toml adds to keras_ae: a data set of melodies, networks and a likelihood for them; and their study.

Importing this module adds `melodies` to the data sets, `sequence` to the networks, and `categorical` to the likelihoods. What a
melody is: see `course.midi`.
"""

from typing import Annotated

import keras
import numpy as np
from annotated_types import Ge, Le
from keras import layers, ops

from course import charts, checks, midi
from course.midi import HIGHEST, HOLD, REST, SHAPE, STEPS, from_images, notes, to_image
from keras_ae.data import pipeline, sources
from keras_ae.data.sources import Encoded, Source
from keras_ae.errors import UserError
from keras_ae.images.pictures import to_uint8
from keras_ae.models import losses, networks
from keras_ae.priors import space

Width = Annotated[int, Ge(1), Le(4096)]
Count = Annotated[int, Ge(0), Le(64)]
# melodies of the data set, nine in ten of them for training
COUNT = 30_000

# major, minor, dorian, major pentatonic, minor pentatonic: semitones above the tonic
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9), (0, 3, 5, 7, 10))
# lengths of the notes of one beat, in sixteenths; negative: a rest
BEATS = ((4,), (2, 2), (2, 1, 1), (1, 1, 2), (3, 1), (1, 1, 1, 1), (-2, 2), (2, -2), (-4,))
BEAT_WEIGHTS = np.array([5, 6, 3, 3, 3, 2, 1, 1, 0.5])
# steps of the scale from one note to the next
MOVES = (-2, -1, -1, 0, 1, 1, 2, 3, -3)


def _compose_two_beats(random):
    return [BEATS[random.choice(len(BEATS), p=BEAT_WEIGHTS / BEAT_WEIGHTS.sum())] for _ in range(2)]


def _compose_bar(random):
    """The notes of a bar: (length in sixteenths, move along the scale, or None for a rest). Four in ten repeat two beats."""
    beats = _compose_two_beats(random)
    beats += beats if random.random() < 0.4 else _compose_two_beats(random)
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
    motif = _compose_bar(random)
    kind = random.choice(["repeat", "shift", "mirror", "answer"])
    second = {"mirror": [(n, None if m is None else -m) for n, m in motif], "answer": _compose_bar(random)}.get(kind, motif)
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


def melody_source(directory=None):
    """The data set: 30,000 different melodies of the sequence 0, the last tenth held out; no download."""

    def items():
        known = set()
        index = 0
        while len(known) < COUNT:
            image = to_image(compose(0, index))
            index += 1
            if image.tobytes() not in known:
                known.add(image.tobytes())
                yield Encoded(sources.encode_png(image), 0, "train" if len(known) <= 0.9 * COUNT else "test")

    return Source("melodies", [str(number) for number in range(COUNT)], f"composed 2, {COUNT}", items, (), SHAPE[0], 1)


def _over_time(x, width, blocks):
    """Residual blocks (He et al. 2016) of convolutions over time, about a beat wide; ReLU without normalization."""
    for _ in range(blocks):
        residual = x
        x = layers.Conv2D(width, (1, 5), padding="same")(layers.ReLU()(x))
        x = layers.Conv2D(width, (1, 5), padding="same", kernel_initializer="zeros")(layers.ReLU()(x))
        x = layers.Add()([residual, x])
    return layers.ReLU()(x)


def sequence_encoder(image_shape, latent, *, width: Width = 128, blocks: Count = 2):
    """A linear layer on each column, then `blocks` residual blocks of convolutions over time with `width` channels.

    Each column is one step in time. Convolutions over time see all rows of a column at once: in a piano roll, rows have no
    neighbourhood, and the last ones are no pitches at all.
    """
    images = keras.Input(image_shape, name="images")
    x = layers.Conv2D(width, (image_shape[0], 1))(images)
    return keras.Model(images, latent(layers.Flatten()(_over_time(x, width, blocks))), name="encoder")


def sequence_decoder(image_shape, latent_dim, *, width: Width = 128, blocks: Count = 2):
    """The mirror image of `sequence_encoder`; tanh. All steps are decoded at once, not one after another.

    Raises UserError for images of more than 128 rows.
    """
    rows, steps, channels = image_shape
    if rows > 128:
        # TensorFlow 2.21 ends with a segmentation fault in a transposed convolution with a kernel of 256 rows
        raise UserError(f"sequence networks take images of at most 128 rows. Received: {rows}; set a smaller data.size")
    z = keras.Input((latent_dim,), name="z")
    x = layers.Reshape((1, steps, width))(layers.Dense(steps * width)(z))
    x = layers.Conv2DTranspose(channels, (rows, 1))(_over_time(x, width, blocks))
    return keras.Model(z, layers.Activation("tanh", dtype="float32")(x), name="decoder")


def categorical(images, reconstructions):
    """Cross-entropy of images with one white pixel in each column: the row of that pixel, summed over columns, (batch,).

    The brightness (x + 1) / 2 of a pixel, divided by the sum over its column, is the probability of its row. A softmax of the
    values before tanh would ignore a constant that is added to all of them: several rows could then be white.
    """
    targets = (images + 1) / 2
    brightness = ops.clip((reconstructions + 1) / 2, 1e-6, 1)
    return -ops.sum(targets * (ops.log(brightness) - ops.log(ops.sum(brightness, axis=1, keepdims=True))), axis=(1, 2, 3))


sources.SOURCES["melodies"] = melody_source
networks.ENCODERS["sequence"] = sequence_encoder
networks.DECODERS["sequence"] = sequence_decoder
losses.RECONSTRUCTIONS["categorical"] = categorical


def in_one_key(steps):
    """The largest share of the notes of a melody (32,) that lie in one major (or relative minor) scale; 1.0 without notes."""
    pitches = [pitch % 12 for _, _, pitch in notes(steps)]
    scales = [{(root + step) % 12 for step in SCALES[0]} for root in range(12)]
    return max(np.mean([pitch in scale for pitch in pitches]) for scale in scales) if pitches else 1.0


def melodies(models, image_set, seed, folder, *, n=1000, shown=6):
    """The study: shares of steps and of whole melodies that are rebuilt without error, and of notes in one key."""
    name, model = next(iter(models.items()))
    if model.shape != SHAPE:
        raise UserError(f"{name} was not trained on melodies")
    checks.need_images(image_set, max(2, shown // 2))
    checks.need_unconditional({name: model})
    images = pipeline.examples(image_set, "test", n)
    z = model.encode(images)
    originals, rebuilt = from_images(to_uint8(images)), from_images(to_uint8(model.decode(z)))
    drawn = from_images(model.generate(n, seed)[0])
    path = from_images(to_uint8(model.decode(space.curve(z[:2], points=shown))))
    pairs = {}
    for index in range(shown // 2):
        pairs |= {f"original {index + 1}": originals[index], f"rebuilt {index + 1}": rebuilt[index]}
    samples = {f"sample {index + 1}": steps for index, steps in enumerate(drawn[:shown])}
    way = {f"{index / shown:.0%}": steps for index, steps in enumerate(path)}
    for file, lines, text in (
        ("melodies_rebuilt", pairs, "held-out melodies"),
        ("melodies", samples, "sampled melodies"),
        ("melodies_interpolation", way, "from one held-out melody to another"),
    ):
        rolls = {label: notes(steps) for label, steps in lines.items()}
        charts.rolls(rolls, folder / f"{file}.png", f"{name}: {text}")
    midi.write(folder / "melodies_samples.mid", drawn[:shown])
    midi.write(folder / "melodies_interpolation.mid", path)
    right = rebuilt == originals
    random = np.random.default_rng(seed).integers(0, SHAPE[0], (n, STEPS))
    kinds = {"sampled": drawn, "composed": originals, "random steps": random}
    return {
        "n": len(images),
        "steps_right": float(right.mean()),
        "melodies_right": float(right.all(axis=1).mean()),
        "notes_in_one_key": {kind: float(np.mean([in_one_key(steps) for steps in found])) for kind, found in kinds.items()},
    }
