"""Cat faces drawn from known factors, with NumPy alone: analytic antialiasing, soft light, any size.

Shapes are signed distances (negative inside) on a plane where the head is about one unit wide, x to the right, y down. Paired
parts (ears, eyes, whiskers) are drawn once, on the absolute value of x. Computed in float64: NumPy's float32 sine differs in
its last bit between processors, which changes a pixel in some images.
"""

import dataclasses
import functools

import numpy as np

PATTERNS = ("solid", "tabby", "bicolour", "calico", "colourpoint")
EAR_SHAPES = ("pointed", "rounded", "folded")
BACKGROUNDS = ("gradient", "stripes", "bokeh", "garden")
# classes of each class factor, range of each number factor
CLASSES = {
    "pattern": PATTERNS,
    "coat": ("black", "grey", "ginger", "cream", "brown", "white"),
    "ear_shape": EAR_SHAPES,
    "eye_colour": ("green", "amber", "blue", "copper"),
    "nose": ("pink", "black", "brick"),
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
COAT_COLOURS = np.array(
    [[0.17, 0.16, 0.18], [0.50, 0.52, 0.56], [0.90, 0.55, 0.23], [0.93, 0.80, 0.60], [0.47, 0.33, 0.23], [0.94, 0.92, 0.89]]
)
EYES = np.array([[0.45, 0.74, 0.30], [0.95, 0.72, 0.16], [0.36, 0.66, 0.93], [0.80, 0.42, 0.12]])
NOSE_COLOURS = np.array([[0.92, 0.58, 0.58], [0.22, 0.18, 0.19], [0.70, 0.36, 0.29]])
WHITE = np.array([0.97, 0.95, 0.92])
DARK = np.array([0.13, 0.10, 0.11])
ORANGE = np.array([0.88, 0.50, 0.18])
PINK = np.array([0.93, 0.66, 0.64])

# the number factors that vary between simple cats, and their ranges: a hue is an angle, and a third of the circle is a line
SIMPLE = {name: RANGES[name] for name in ("x", "y", "scale")} | {"background_hue": (0.33, 0.67)}

# Everything that decides an image: indices into `CLASSES`, numbers within `RANGES`, and the seed of the random details. roll is
# in degrees; yaw, pitch and gaze are fractions of the largest turn; x, y and scale place the head.
Factors = dataclasses.make_dataclass(
    "Factors",
    [*((name, int) for name in CLASSES), *((name, float) for name in RANGES), ("texture", int)],
    frozen=True,
    namespace={"__module__": __name__},
)


def sample_factors(seed, index, simple=False):
    """Factors of cat number `index` of the sequence `seed`: independent, each uniform over its classes or its range.

    simple: only those of `SIMPLE` vary; the others are the first class and the middle of the range.
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
    """Names of the properties of a drawn cat: numbers such as "eye_size", classes such as "coat=black"."""
    return [*RANGES, *(f"{factor}={known}" for factor, classes in CLASSES.items() for known in classes)]


def factor_value(factors, name):
    """The value of a property: the number, or for "factor=class" 1.0 if it holds, else 0.0."""
    factor, _, known = name.partition("=")
    number = getattr(factors, factor)
    return float(number == CLASSES[factor].index(known)) if known else number


def ellipse(x, y, radius_x, radius_y):
    """Distance to an ellipse around the origin, exact near its edge (Quilez)."""
    scaled = np.sqrt((x / radius_x) ** 2 + (y / radius_y) ** 2) + 1e-6
    return scaled * (scaled - 1) / (np.sqrt((x / radius_x**2) ** 2 + (y / radius_y**2) ** 2) + 1e-6)


def segment(x, y, start, end):
    """Distance to the line segment from start to end, and the position of the nearest point along it (0 to 1)."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    part = np.clip(((x - start[0]) * along_x + (y - start[1]) * along_y) / (along_x**2 + along_y**2), 0, 1)
    return np.hypot(x - start[0] - part * along_x, y - start[1] - part * along_y), part


def triangle(x, y, corners):
    """Signed distance to a triangle with corners (3, 2), clockwise as x points right and y down."""
    edges = list(zip(corners, np.roll(corners, -1, axis=0), strict=True))
    nearest = np.minimum.reduce([segment(x, y, start, end)[0] for start, end in edges])
    sides = [(end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0]) for start, end in edges]
    return np.where(np.minimum.reduce(sides) > 0, -nearest, nearest)


def smooth_step(low, high, values):
    """0 below `low`, 1 above `high` (or the reverse where low > high), a cubic with zero slope at both ends between them."""
    part = np.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


def smooth_union(first, second, width):
    """Signed distance to the union of two shapes, with the crease between them rounded over about `width` (Quilez)."""
    part = np.clip(0.5 + 0.5 * (second - first) / width, 0, 1)
    return second + part * (first - second) - width * part * (1 - part)


def rainbow(hue, saturation, value):
    """The RGB colour (3,) of a hue, saturation and value, each 0 to 1; the hue is periodic."""
    wheel = np.clip(np.abs((hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6 - 3) - 1, 0, 1)
    return value * (1 - saturation * (1 - wheel))


def noise(random, cells):
    """A smooth random field with mean 0 and deviation of about 1: a function of x and y in [-2, 2]. random: a Generator."""
    table = random.normal(size=(cells, cells))

    def field(x, y):
        column, row = np.clip((x + 2) / 4, 0, 0.9999) * (cells - 1), np.clip((y + 2) / 4, 0, 0.9999) * (cells - 1)
        left, top = column.astype(int), row.astype(int)
        right, down = smooth_step(0, 1, column - left), smooth_step(0, 1, row - top)
        upper = table[top, left] * (1 - right) + table[top, left + 1] * right
        lower = table[top + 1, left] * (1 - right) + table[top + 1, left + 1] * right
        return upper * (1 - down) + lower * down

    return field


def paint(image, cover, colour):
    """Blend a colour into an image (size, size, 3), in place, with the opacity `cover`, (size, size) in [0, 1]."""
    image += cover[..., None] * (np.asarray(colour) - image)


def _background(x, y, factors, random):
    low = rainbow(factors.background_hue, 0.35, 0.62)
    high = rainbow(factors.background_hue + 0.08, 0.25, 0.92)
    name = BACKGROUNDS[factors.background]
    image = np.tile(low, (*x.shape, 1))
    paint(image, smooth_step(-1.2, 1.2, -y + 0.3 * x), high)
    image *= (0.75 + 0.25 * smooth_step(1.3, -0.9, y))[..., None]
    if name == "stripes":
        paint(image, 0.7 * smooth_step(-0.25, 0.25, np.sin(9 * (x + 0.45 * y))), low)
    elif name == "bokeh":
        for _ in range(9):
            centre, radius = random.uniform(-1, 1, 2), random.uniform(0.1, 0.3)
            disc = smooth_step(0.05, -0.05, np.hypot(x - centre[0], y - centre[1]) - radius)
            paint(image, 0.5 * disc, rainbow(factors.background_hue + random.uniform(-0.15, 0.15), 0.3, 1.0))
    elif name == "garden":
        blades = 0.12 * np.sin(23 * x + random.uniform(0, 6)) + 0.07 * np.sin(41 * x)
        paint(image, smooth_step(0.03, -0.03, 0.35 - y + blades), rainbow(0.28, 0.55, 0.5))
        paint(image, smooth_step(0.03, -0.03, 0.6 - y + 0.8 * blades), rainbow(0.26, 0.6, 0.4))
    return image


def _coat_colours(factors):
    """Main and second colour of the fur, and those of the ears and the muzzle."""
    pattern, base = PATTERNS[factors.pattern], COAT_COLOURS[factors.coat]
    base = np.clip(base * (1 + 0.18 * factors.lightness), 0, 1)
    if pattern == "colourpoint":
        main, second = 0.25 * base + 0.75 * np.array([0.93, 0.87, 0.77]), 0.55 * base + 0.45 * DARK
        return main, second, second, 0.6 * second + 0.4 * WHITE
    if pattern == "calico":
        main, second = WHITE * (1 + 0.04 * factors.lightness), 0.75 * base + 0.25 * DARK
        return main, second, ORANGE, 0.35 * main + 0.65 * WHITE
    return base, 0.45 * base + 0.12 * DARK, base, 0.35 * base + 0.65 * WHITE


def _fur(x, y, factors, main, second, random):
    """Colour of the fur at every point of the head, (size, size, 3): coat, pattern and grain."""
    fur = np.tile(main, (*x.shape, 1))
    patches, grain = noise(random, 9), noise(random, 60)
    wobble = 0.05 * patches(x, y)
    pattern = PATTERNS[factors.pattern]
    if pattern == "tabby":
        forehead = smooth_step(-0.02, -0.2, y) * smooth_step(0.42, 0.3, np.abs(x) + 0.3 * y)
        paint(fur, 0.85 * forehead * smooth_step(0.1, 0.6, np.cos(26 * (np.abs(x + wobble) * (1 - 0.5 * y)))), second)
        cheeks = smooth_step(0.26, 0.36, np.abs(x)) * smooth_step(-0.1, 0.05, y)
        paint(fur, 0.8 * cheeks * smooth_step(0.1, 0.6, np.sin(30 * (y - 0.35 * np.abs(x) + wobble))), second)
    elif pattern == "bicolour":
        blaze = 0.05 + 0.75 * np.maximum(y + 0.22, 0) + wobble
        paint(fur, smooth_step(0.04, -0.04, np.abs(x) - blaze) * smooth_step(-0.62, -0.45, y), WHITE)
    elif pattern == "calico":
        paint(fur, smooth_step(0.15, 0.45, patches(x, y)), ORANGE)
        paint(fur, smooth_step(0.15, 0.45, patches(-y, x + 0.4)), second)
        paint(fur, smooth_step(0.05, -0.05, np.hypot(x, y - 0.42) - 0.22), WHITE)
    elif pattern == "colourpoint":
        paint(fur, 0.9 * smooth_step(0.45, 0.05, np.hypot(0.9 * x, y - 0.18)), second)
    return fur * (1 + 0.07 * grain(x * 1.3, y * 0.6)[..., None] + 0.03 * grain(0.7 * y, x)[..., None])


def _ears(image, x, y, factors, cover, main, ear):
    across = np.abs(x)
    spread = 0.1 * factors.ear_angle
    tip = np.array([0.5 + spread, -0.78 + 0.35 * abs(spread)])
    name = EAR_SHAPES[factors.ear_shape]
    rounding = {"pointed": 0.03, "rounded": 0.13, "folded": 0.07}[name]
    if name == "rounded":
        tip = tip + [-0.04, 0.14]
    if name == "folded":
        tip = tip + [0.0, 0.26]
    outer = np.array([[0.12, -0.36], tip, [0.56, -0.08]])
    paint(image, cover(triangle(across, y, outer) - rounding), ear * 0.92)
    centre = outer.mean(axis=0) + [0.01, 0.03]
    inner = centre + 0.55 * (outer - centre)
    paint(image, 0.85 * cover(triangle(across, y, inner) - 0.5 * rounding, soft=2.5), 0.6 * PINK + 0.4 * main)
    if name == "folded":
        flap = np.array([tip + [-0.2, 0.02], tip + [0.1, 0.06], [tip[0] + 0.03, tip[1] + 0.27]])
        paint(image, 0.35 * cover(triangle(across, y, flap) - 0.075, soft=3), 0.3 * ear)
        paint(image, cover(triangle(across, y, flap) - 0.045), 0.9 * ear)


def _eyes(image, x, y, factors, cover):
    sign = np.where(x < 0, -1.0, 1.0)
    size, lids = factors.eye_size, factors.eye_opening
    across, up = x - sign * 0.245, y + 0.02
    # the outer corners lie slightly higher
    across, up = across + 0.15 * sign * up, up + 0.18 * sign * across
    width, height = 0.155 * size, 0.155 * size * lids
    eye = ellipse(across, up, width, height)
    paint(image, cover(eye - 0.028), DARK)
    inside = cover(eye)
    iris = EYES[factors.eye_colour]
    paint(image, inside, iris)
    paint(image, inside * 0.55 * smooth_step(0.02, 0.16, up + 0.03), np.clip(iris * 1.45, 0, 1))
    gaze_x, gaze_y = across - 0.055 * factors.gaze_x, up - 0.04 * factors.gaze_y
    paint(image, inside * cover(ellipse(gaze_x, gaze_y, (0.028 + 0.075 * factors.pupil) * size, 0.125 * size)), DARK)
    paint(image, inside * 0.45 * smooth_step(-0.2 * height, -1.1 * height, up), DARK)
    paint(image, inside * cover(np.hypot(across + 0.05, up + 0.055 * lids) - 0.036 * size), (1, 1, 1))
    paint(image, inside * 0.7 * cover(np.hypot(across - 0.06, up - 0.06 * lids) - 0.018 * size), (1, 1, 1))


def _muzzle(image, x, y, factors, cover, light):
    size = factors.muzzle
    across = np.abs(x)
    pads = ellipse(across - 0.115 * size, y - 0.335, 0.165 * size, 0.125 * size)
    chin = ellipse(x, y - 0.46, 0.11 * size, 0.075 * size)
    paint(image, 0.8 * cover(chin, soft=2), light * 0.95)
    paint(image, 0.9 * cover(pads, soft=2), light)
    mouth = np.abs(np.hypot(across - 0.075 * size, y - 0.315) - 0.078 * size)
    paint(image, 0.75 * cover(np.maximum(mouth - 0.008, 0.335 - y)), DARK)
    paint(image, 0.7 * cover(np.maximum(across - 0.007, np.abs(y - 0.29) - 0.045)), DARK)
    nose = np.array([[-0.075, 0.195], [0.075, 0.195], [0.0, 0.265]]) * [size, 1]
    paint(image, cover(triangle(x, y, nose) - 0.022), NOSE_COLOURS[factors.nose])
    paint(image, 0.5 * cover(ellipse(x + 0.02, y - 0.195, 0.035, 0.012)), (1, 1, 1))
    for row in range(3):
        spot = np.hypot(across - (0.13 + 0.035 * (row % 2)), y - 0.3 - 0.035 * row)
        paint(image, 0.5 * cover(spot - 0.008), DARK)


def _whiskers(image, x, y, factors, cover):
    across = np.abs(x)
    for row in range(3):
        start = (0.16, 0.305 + 0.035 * row)
        end = (0.2 + 0.62 * factors.whiskers, 0.2 + 0.13 * row)
        # bent downwards: a parabola over the straight line
        bend = 0.12 * np.clip((across - start[0]) / (end[0] - start[0]), 0, 1.2) ** 2
        distance, part = segment(across, y - bend, start, end)
        paint(image, 0.85 * cover(distance - 0.011 * (1 - 0.6 * part)), (0.98, 0.98, 0.96))


def plane(size):
    """x and y of the pixels of an image, (size, size) each: from -1 to 1, right and down."""
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    return np.meshgrid(axis, axis)


def place_body(factors, x, y):
    """Points of the image as points of the cat's plane: x, y."""
    scale = 1.12 * factors.scale
    return (x - factors.x) / scale, (y - factors.y - 0.1) / scale


def place_head(factors, x, y, depth=0.0):
    """Points of the image as points of the head: x, y. Turning it shifts parts at height `depth` above the face."""
    angle, (x, y) = np.deg2rad(factors.roll), place_body(factors, x, y)
    turned_x, turned_y = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return turned_x - 0.13 * depth * factors.yaw, turned_y - 0.09 * depth * factors.pitch


def draw(factors, size=64, without=""):
    """Draw the cat of `factors`: uint8 (size, size, 3). without: "ears", "muzzle" or "eyes" are left out."""
    random = np.random.default_rng(factors.texture)
    image_x, image_y = plane(size)
    image = _background(image_x, image_y, factors, random)
    turn = functools.partial(place_head, factors, image_x, image_y)
    (moved_x, moved_y), (x, y) = place_body(factors, image_x, image_y), turn(0)
    pixel = 2 / size / (1.12 * factors.scale)

    def cover(distance, soft=1.0):
        return np.clip(0.5 - distance / (pixel * soft), 0, 1)

    main, second, ear, muzzle = _coat_colours(factors)
    body = ellipse(moved_x, moved_y - 1.05, 0.72, 0.72)
    paint(image, cover(body, soft=2), 0.72 * main)
    if without != "ears":
        _ears(image, *turn(-0.5), factors, cover, main, ear)

    skull = ellipse(x, y + 0.02, 0.6, 0.5)
    cheeks = ellipse(np.abs(x) - 0.24, y - 0.2, 0.36, 0.3)
    head = smooth_union(skull, cheeks, 0.12)
    # tufts: the outline of the cheeks is slightly ragged
    head = head + 0.012 * np.sin(38 * np.arctan2(y, x)) * smooth_step(0.0, 0.3, y)
    paint(image, 0.35 * cover(head - 0.05, soft=5), 0.25 * main)
    whole = cover(head)
    paint(image, whole, _fur(*turn(0.6), factors, main, second, random))

    light_x, light_y = np.sin(1.1 * factors.light_angle), -0.75
    shade = (x / 0.62 * light_x + y / 0.52 * light_y) * factors.light_strength
    image *= (1 + whole * (0.3 * shade - 0.05))[..., None]
    if without != "muzzle":
        _muzzle(image, *turn(1.5), factors, cover, muzzle)
    if without != "eyes":
        _eyes(image, *turn(1.0), factors, cover)
    _whiskers(image, *turn(1.5), factors, cover)
    return np.rint(255 * np.clip(image, 0, 1)).astype("uint8")


def draw_all(numbers, size=64):
    """Factors and image (size, size, 3) of each of a list of cats, (seed, index, simple), a generator; on all cores."""
    # programs that draw one cat start without it
    import joblib

    cats = [sample_factors(*number) for number in numbers]
    with joblib.Parallel(-1 if len(cats) >= 1000 else 1, "loky", idle_worker_timeout=10) as parallel:
        for first in range(0, len(cats), 500):
            some = cats[first : first + 500]
            yield from zip(some, parallel(joblib.delayed(draw)(factors, size) for factors in some), strict=True)


def draw_cats(n, shape, seed, simple=False, fit="crop"):
    """n cats of the sequence `seed` for a model of images of `shape` (H, W, C): list of Factors, uint8 (n, H, W, C).

    simple: see `sample_factors`. fit: see `images.pictures.decode`; cats are square.
    """
    # drawing alone needs NumPy alone
    from PIL import Image

    from keras_ae.images import pictures

    *sides, channels = shape
    factors, images = zip(*draw_all([(seed, index, simple) for index in range(n)], max(sides)), strict=True)
    images = np.stack([pictures.arrange(Image.fromarray(image), (*sides, 3), fit) for image in images])
    return list(factors), images if channels == 3 else np.rint(images.mean(axis=-1, keepdims=True)).astype("uint8")
