"""The factors that decide a drawn cat: their classes and ranges, random draws of them, and their values by name."""

import dataclasses

import numpy as np

PATTERNS = ("solid", "tabby", "bicolour", "calico", "colourpoint")
COATS = ("black", "grey", "ginger", "cream", "brown", "white")
EAR_SHAPES = ("pointed", "rounded", "folded")
EYE_COLOURS = ("green", "amber", "blue", "copper")
NOSES = ("pink", "black", "brick")
BACKGROUNDS = ("gradient", "stripes", "bokeh", "garden")

# classes of each class factor, range of each number factor
CLASSES = {
    "pattern": PATTERNS,
    "coat": COATS,
    "ear_shape": EAR_SHAPES,
    "eye_colour": EYE_COLOURS,
    "nose": NOSES,
    "background": BACKGROUNDS,
}
RANGES = {
    "lightness": (-1.0, 1.0),
    "ear_angle": (-1.0, 1.0),
    "eye_size": (0.8, 1.2),
    "eye_opening": (0.45, 1.0),
    "pupil": (0.0, 1.0),
    "gaze_x": (-1.0, 1.0),
    "gaze_y": (-1.0, 1.0),
    "muzzle": (0.8, 1.2),
    "whiskers": (0.3, 1.0),
    "roll": (-20.0, 20.0),
    "yaw": (-1.0, 1.0),
    "pitch": (-1.0, 1.0),
    "x": (-0.15, 0.15),
    "y": (-0.12, 0.12),
    "scale": (0.85, 1.2),
    "light_angle": (-1.0, 1.0),
    "light_strength": (0.2, 1.0),
    "background_hue": (0.0, 1.0),
}


@dataclasses.dataclass(frozen=True)
class Factors:
    """Everything that decides an image. Class factors are indices into `CLASSES`, number factors lie within `RANGES`.

    roll is in degrees; yaw, pitch and gaze are fractions of the largest turn; x, y and scale place the head. `texture` is the
    seed of the random details: grain of the fur, edges of patches, positions of background spots.
    """

    pattern: int
    coat: int
    ear_shape: int
    eye_colour: int
    nose: int
    background: int
    lightness: float
    ear_angle: float
    eye_size: float
    eye_opening: float
    pupil: float
    gaze_x: float
    gaze_y: float
    muzzle: float
    whiskers: float
    roll: float
    yaw: float
    pitch: float
    x: float
    y: float
    scale: float
    light_angle: float
    light_strength: float
    background_hue: float
    texture: int


# the number factors that vary between simple cats, and their ranges: a hue is an angle, and a third of the circle is a line
SIMPLE = {name: RANGES[name] for name in ("x", "y", "scale")} | {"background_hue": (0.33, 0.67)}


def sample_factors(seed, index, simple=False):
    """Factors of cat number `index` of the sequence `seed`: independent, each uniform over its classes or its range.

    simple: only the factors of `SIMPLE` vary. The others are the first class and the middle of the range, the same in all cats.
    """
    random = np.random.default_rng((seed, index))
    if simple:
        numbers = {name: (low + high) / 2 for name, (low, high) in RANGES.items()}
        numbers |= {name: float(np.float32(random.uniform(*span))) for name, span in SIMPLE.items()}
        return Factors(**dict.fromkeys(CLASSES, 0), **numbers, texture=0)
    classes = {name: int(random.integers(len(known))) for name, known in CLASSES.items()}
    numbers = {name: float(np.float32(random.uniform(*span))) for name, span in RANGES.items()}
    return Factors(**classes, **numbers, texture=int(random.integers(2**31)))


def factor_names():
    """Names of the properties of a drawn cat: number factors by name ("eye_size"), classes as "factor=class" ("coat=black")."""
    return [*RANGES, *(f"{factor}={known}" for factor, classes in CLASSES.items() for known in classes)]


def factor_value(factors, name):
    """The value of property `name`, one of `factor_names()`: the number, or for "factor=class" 1.0 if it holds, else 0.0."""
    factor, _, known = name.partition("=")
    number = getattr(factors, factor)
    return float(number == CLASSES[factor].index(known)) if known else number
