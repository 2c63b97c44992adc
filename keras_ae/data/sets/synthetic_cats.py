"""synthetic_cats for tensorflow-datasets: drawn cat faces with their factors. Needs no download."""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from keras_ae.data.sets.cat_drawing import draw_all
from keras_ae.data.sets.cat_factors import CLASSES, RANGES

SIZE = 64
# train and held-out cats come from different sequences of factors
SEEDS = {"train": 0, "test": 1}


@dataclasses.dataclass
class SyntheticCatsConfig(tfds.core.BuilderConfig):
    """Number of cats in the training and in the test split; simple: only position, size and background vary."""

    n_train: int = 8400
    n_test: int = 1000
    simple: bool = False


class SyntheticCats(tfds.core.GeneratorBasedBuilder):
    """Cat faces of 64x64 pixels with independent random factors (`cat_factors`); the label is the pattern of the coat."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {"1.0.0": "First cats.", "1.1.0": "Drawn in float64: the same bytes on every processor."}
    BUILDER_CONFIGS = [
        SyntheticCatsConfig(name="default", description="8,400 training cats, 1,000 test cats."),
        SyntheticCatsConfig(name="simple", description="Only position, size and background hue vary.", simple=True),
        SyntheticCatsConfig(name="tiny", description="For tests.", n_train=160, n_test=20),
    ]

    def _info(self):
        classes = {name: tfds.features.ClassLabel(names=names) for name, names in CLASSES.items()}
        numbers = {name: np.float32 for name in RANGES}
        return tfds.core.DatasetInfo(
            builder=self,
            description="Cat faces drawn by a program, with the factors of each image.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 3)),
                    "label": tfds.features.ClassLabel(names=CLASSES["pattern"]),
                    "texture": np.int64,
                    **classes,
                    **numbers,
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        counts = {"train": self.builder_config.n_train, "test": self.builder_config.n_test}
        return {side: self._generate_examples(side, count) for side, count in counts.items()}

    def _generate_examples(self, side, count):
        numbers = [(SEEDS[side], index, self.builder_config.simple) for index in range(count)]
        for index, (factors, image) in enumerate(draw_all(numbers)):
            yield index, {"image": image, "label": factors.pattern, **dataclasses.asdict(factors)}
