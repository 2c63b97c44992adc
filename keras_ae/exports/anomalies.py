"""The search for anomalies as a part of an export: learned from usual images, and kept beside the networks.

anomaly/ is a SavedModel, and onnx/anomaly.onnx the same for other programs: from `images` in [-1, 1], (n, H, W, C), to `map`,
float32 (n, H, W), whose unit is the threshold; `score` (n,), the largest number of the map, or a multiple of what a tenth of it
exceeds if that is more: an image of something else is unusual everywhere, and in no place very; and `anomalous`, whether the
score is above 1.
"""

import json

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_ae import files
from keras_ae.errors import UserError, first_line
from keras_ae.exports.load import load_savedmodel
from keras_ae.images import pictures
from keras_ae.judge import anomalies
from keras_ae.priors.space import batched

# usual images to learn from
FEWEST = 20


class Detector(tf.Module):
    """What finds anomalies with the networks of an export: `find(images[, label])`, see the module, of tensors.

    model: an `Exported`. usual, held_out: uint8 (n, H, W, C) to learn from, and others for the threshold; labels: class numbers
    of both for a conditional model, or (None, None). false_alarms: the share of usual images to be above the threshold.
    about: what the card says, a dict. Shows progress. Raises UserError for fewer than 20 images.
    """

    def __init__(self, model, usual, held_out, labels=(None, None), false_alarms=0.01):
        super().__init__()
        if min(len(usual), len(held_out) * 10) < FEWEST:
            raise UserError(f"{len(usual)} usual images and {len(held_out)} held out are too few; name a folder of 100 or more")
        self.encoder, self.decoder = (load_savedmodel(model.folder, name) for name in ("encoder", "decoder"))
        self.sides = model.shape[:2]
        specs = [tf.TensorSpec((None, *model.shape), tf.float32, "images")]
        specs += [tf.TensorSpec((None,), tf.int32, "label")] if model.labels else []
        describe = tf.function(self._describe, specs, autograph=False)
        self.find = tf.function(self._find, specs, autograph=False)
        size = np.prod(describe.get_concrete_function().output_shapes[1:])
        features = _apply(describe, usual[: max(FEWEST, anomalies.MOST // size)], labels[0], "learning")
        fitted = anomalies.fit_gaussians(features, lambda cells: tqdm(cells, "cells", disable=None, leave=False))
        self.means, self.factors = (tf.Variable(values, trainable=False) for values in fitted)
        self.threshold, self.wide = tf.Variable(1.0), tf.Variable(1.0)
        peaks, tenths = _peaks(batched(self._compare, features[:1000], 64))
        # one of 100 usual images exceeds either
        self.wide.assign(np.quantile(peaks, 0.99) / np.quantile(tenths, 0.99))
        scores = _apply(self.find, held_out, labels[1], "threshold")["score"]
        threshold, expected = anomalies.choose_threshold(scores, false_alarms)
        self.threshold.assign(threshold)
        rates = {"threshold": threshold, "false_alarms": false_alarms, "expected_false_alarms": expected}
        self.about = rates | {"n_usual": len(features), "n_held_out": len(held_out)}

    def _describe(self, images, *label):
        given = dict(zip(("label",), label, strict=False))
        z = self.encoder.signatures["serving_default"](images=images, **given)["z"]
        rebuilt = self.decoder.signatures["serving_default"](z=z, **given)["images"]
        return anomalies.describe(images, tf.clip_by_value(rebuilt, -1.0, 1.0))

    def _compare(self, features):
        """Maps (n, H, W) of features of `_describe`."""
        far = tf.norm(tf.einsum("nhwd,hwde->nhwe", features - self.means, self.factors), axis=-1, keepdims=True)
        return tf.image.resize(far / self.threshold, self.sides)[..., 0]

    def _find(self, images, *label):
        found = self._compare(self._describe(images, *label))
        peaks, tenths = _peaks(found)
        score = tf.maximum(peaks, self.wide * tenths)
        return {"map": found, "score": score, "anomalous": score > 1.0}

    def __call__(self, images, labels=None):
        """The dict of `find` as NumPy arrays, of uint8 images."""
        return _apply(self.find, images, labels)


def _peaks(maps):
    """The largest number of maps (n, H, W), and that which a tenth of each exceeds, both (n,)."""
    height, width = maps.shape[1:]
    largest, _ = tf.math.top_k(tf.reshape(maps, (-1, height * width)), height * width // 10)
    return largest[:, 0], largest[:, -1]


def _apply(function, images, labels, progress=None):
    """A function of tensors on uint8 images (n, H, W, C), in batches."""

    def apply(rows):
        label = [] if labels is None else [tf.constant(labels[rows], tf.int32)]
        return function(tf.constant(pictures.to_float(images[rows])), *label)

    return batched(apply, np.arange(len(images)), 64, progress)


def keep(detector, model):
    """Write a `Detector` into the export of its model, and what it knows into the card; why there is no ONNX file, or ""."""
    with files.write_folder(model.folder / "anomaly", force=True) as folder:
        tf.saved_model.save(detector, str(folder), detector.find)
    missing, path = "", model.folder / "onnx" / "anomaly.onnx"
    try:
        import onnxruntime
        import tf2onnx

        with files.write_file(path) as partial:
            tf2onnx.convert.from_function(detector.find, detector.find.input_signature, opset=17, output_path=str(partial))
            session = onnxruntime.InferenceSession(partial, providers=["CPUExecutionProvider"])
            given = {"images": np.zeros((2, *model.shape), "float32")}
            given |= {"label": np.zeros(2, "int32")} if model.labels else {}
            expected, (score,) = detector.find(*given.values())["score"], session.run(["score"], given)
            if not np.allclose(score, expected, rtol=0.01):
                raise UserError(f"it finds {score[0]:.4g} instead of {expected[0]:.4g}")
    except Exception as error:
        # converters raise errors of many kinds for what they do not know
        missing = first_line(error)
        path.unlink(missing_ok=True)
    about = detector.about | ({"onnx": {"missing": missing}} if missing else {})
    with files.write_file(model.folder / "card.json") as partial:
        partial.write_text(json.dumps(model.card | {"anomaly": about}, indent=2) + "\n", encoding="utf-8")
    return missing
