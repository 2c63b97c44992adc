"""Shapes on a plane: signed distances (negative inside), smooth steps, noise and colours. NumPy only; x and y are arrays."""

import numpy as np


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
    inside = None
    nearest = None
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        distance, _ = segment(x, y, start, end)
        side = (end[0] - start[0]) * (y - start[1]) - (end[1] - start[1]) * (x - start[0])
        inside = side if inside is None else np.minimum(inside, side)
        nearest = distance if nearest is None else np.minimum(nearest, distance)
    return np.where(inside > 0, -nearest, nearest)


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
    table = random.normal(size=(cells, cells)).astype("float64")

    def field(x, y):
        column, row = np.clip((x + 2) / 4, 0, 0.9999) * (cells - 1), np.clip((y + 2) / 4, 0, 0.9999) * (cells - 1)
        left, top = column.astype(int), row.astype(int)
        right, down = column - left, row - top
        right, down = right * right * (3 - 2 * right), down * down * (3 - 2 * down)
        upper = table[top, left] * (1 - right) + table[top, left + 1] * right
        lower = table[top + 1, left] * (1 - right) + table[top + 1, left + 1] * right
        return upper * (1 - down) + lower * down

    return field
