"""What the builders of networks share: sides of feature maps, normalization, residual blocks."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MinLen
from keras import layers

from keras_ae.errors import UserError

# height, width, channels
ImageShape = tuple[int, int, int]
Width = Annotated[int, Ge(1), Le(4096)]
Widths = Annotated[Sequence[Width], MinLen(1), MaxLen(16)]
Count = Annotated[int, Ge(0), Le(64)]
Counts = Annotated[Sequence[Count], MinLen(1), MaxLen(16)]


def sides(size, halvings):
    """Sides of the feature maps after each halving: 64, 3 -> [32, 16, 8]. Stops where a side is odd or would fall below 4.

    Large images are halved more often, until the side is at most 8, so that the dense layers stay small.
    """
    sides_of_maps = []
    while size % 2 == 0 and size >= 8 and (len(sides_of_maps) < halvings or size > 8):
        size //= 2
        sides_of_maps.append(size)
    return sides_of_maps


def square(image_shape):
    """The side of square images. Raises UserError for others."""
    height, width = image_shape[:2]
    if height != width:
        raise UserError(f"this network takes square images; dense takes others. Received: {tuple(image_shape)}")
    return height


def of_stage(numbers, stage):
    """The number of a stage; the last one repeats where there are too few. Raises UserError where there is none."""
    if not len(numbers):
        raise UserError(f"widths and blocks must have at least one number. Received: {numbers}")
    return numbers[min(stage, len(numbers) - 1)]


def stages(image_shape, widths):
    """Pairs (side, width) from the largest map to the smallest; the last width repeats where `widths` is too short.

    [] where the side cannot be halved, as in an encoder of very small images. Raises UserError unless they are square.
    """
    of_stage(widths, 0)
    return [(side, of_stage(widths, stage)) for stage, side in enumerate(sides(square(image_shape), len(widths)))]


def enlarging_stages(image_shape, widths):
    """`stages` of a decoder, which needs one at least. Raises UserError where the side cannot be halved."""
    found = stages(image_shape, widths)
    if not found:
        needed = "an even side of at least 8 pixels"
        raise UserError(f"this network takes images with {needed}; dense takes others. Received: {tuple(image_shape)}")
    return found


def normalized(x):
    """GroupNorm of at most 8 groups of the same size, then SiLU."""
    groups = max(count for count in range(1, 9) if x.shape[-1] % count == 0)
    return layers.Activation("silu")(layers.GroupNormalization(groups, epsilon=1e-4)(x))


def rectified(x):
    """ReLU, for networks without normalization."""
    return layers.Activation("relu")(x)


def ResidualBlock(width, activated=normalized, kernel=3):
    """x + conv(activated(conv(activated(x)))) with two convolutions, the last of which begins as zero (He et al. 2016).

    activated: `normalized` (Wu & He 2018) or `rectified`. kernel: side of the kernels, or their height and width.
    """

    def apply(x):
        residual = x
        x = layers.Conv2D(width, kernel, padding="same")(activated(x))
        x = layers.Conv2D(width, kernel, padding="same", kernel_initializer="zeros")(activated(x))
        return layers.Add()([residual, x])

    return apply
