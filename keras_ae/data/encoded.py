"""What a source of images is: a stream of encoded pictures, before anything is decoded."""

import collections.abc
import dataclasses


@dataclasses.dataclass(frozen=True)
class Encoded:
    """One encoded image: file name, bytes, class, and "train" or "test" if the data set has a split of its own, else None.

    Instead of the bytes there may be the path of a file, which is read where it is decoded.
    """

    name: str
    data: bytes | str
    label: int = 0
    side: str | None = None


@dataclasses.dataclass(frozen=True)
class Source:
    """A data set before decoding: `items(first)` is a new stream of its `count` Encoded images from number `first` on.

    labels: names of the classes, if any. size, channels: those of its images, or None if the images differ. split: whether
    it has sides of its own.
    """

    name: str
    count: int
    stamp: str
    items: collections.abc.Callable
    labels: tuple = ()
    size: int | None = None
    channels: int | None = None
    split: bool = False
