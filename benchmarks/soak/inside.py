"""The process behind `workers.Worker`: python inside.py KIND reads requests, one JSON object a line, and answers each with one.

An answer is {"answer": text} where keras_ae did as it promises (a result, or a refusal of one line), else {"wrong": text}.
"""

import json
import os
import sys
import time
from pathlib import Path

from keras_ae import commandline
from keras_ae.errors import UserError

# codes of the intact export and of a damaged one that count as the same
TOLERANCE = 1e-3


def refused(error):
    """The answer for a UserError or DamagedPicture: its text is one line, as commands print it."""
    text = commandline.one_line(error)
    return {"answer": "refused: " + text} if text.strip() and len(text.splitlines()) == 1 else {"wrong": f"message {text!r}"}


def picture(path, size, channels, how):
    """Decode a picture file: `how` is "decode" (bytes), "read" (a path) or "find" (every file found in a folder)."""
    from keras_ae.images import pictures

    try:
        if how == "find":
            paths, said = pictures.find(path), []
            arrays = [array for _, array in pictures.readable(paths, size, channels, said.append)]
            if not all(commandline.one_line(text).strip() for text in said):
                return {"wrong": f"message {said!r}"}
        elif how == "read":
            arrays = [pictures.read(path, size, channels)]
        else:
            arrays = [pictures.decode(Path(path).read_bytes(), size, channels)]
    except (UserError, pictures.DamagedPicture) as error:
        return refused(error)
    for array in arrays:
        if array.shape != (size, size, channels) or array.dtype != "uint8":
            return {"wrong": f"{array.dtype} {array.shape}"}
    return {"answer": f"{len(arrays)} pictures"}


def experiment(path, overrides):
    """Read an experiment file; what is read is complete and can be written as JSON, as a run does."""
    from keras_ae.training import experiment, schema

    try:
        chosen = experiment.read(path, overrides)
    except UserError as error:
        return refused(error)
    if set(chosen.tables) != set(schema.TABLES):
        return {"wrong": f"tables {sorted(chosen.tables)}"}
    return {"answer": f"read, {len(json.dumps(chosen.tables))} characters"}


def make_exports(folder):
    """Write small exports of untrained models: `plain`, `other` (with other weights) and `conditional`."""
    import keras
    import numpy as np

    import keras_ae

    shape, images = (16, 16, 3), np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3)).astype("uint8")

    def built(seed, classes=0):
        keras.utils.set_random_seed(seed)
        make_encoder = lambda latent, planes=0: keras_ae.conv_encoder((16, 16, 3 + planes), latent, widths=[8, 8])  # noqa: E731
        make_decoder = lambda latent_dim: keras_ae.conv_decoder(shape, latent_dim, widths=[8, 8])  # noqa: E731
        latent = keras_ae.Gaussian(6, seed=seed)
        if classes:
            return keras_ae.VAE(*keras_ae.on_label(make_encoder, make_decoder, latent, classes))
        return keras_ae.VAE(make_encoder(latent), make_decoder(6))

    keras_ae.save(built(1), Path(folder) / "plain", images)
    keras_ae.save(built(2), Path(folder) / "other", images)
    keras_ae.save(built(3, 4), Path(folder) / "conditional", images, labels=np.arange(64) % 4)
    return {"answer": "made"}


def results_of(folder):
    """Everything that an export computes, for fixed arguments."""
    import numpy as np

    from keras_ae.exports.reading import Exported

    model = Exported(folder)
    labels = np.arange(2) % len(model.labels) if model.labels else None
    drawn, codes = model.generate(2, seed=5)
    z = np.linspace(-1, 1, 2 * codes.shape[1], dtype="float32").reshape(2, -1)
    ramp = (np.arange(2 * 16 * 16 * 3).reshape(2, 16, 16, 3) % 256).astype("uint8")
    decoded = np.asarray(model.decode(z, labels))
    pictures = np.rint((np.clip(decoded, -1, 1) + 1) * 127.5)
    return {"drawn": drawn, "decoded": pictures, "drawn codes": codes, "codes": model.encode(ramp, labels)}


class Exports:
    """Compares exports with the intact ones that they were made from."""

    def __init__(self):
        self.intact = {}

    def compare(self, folder, intact):
        """Open and use the export `folder`: refused, or all results as those of one of the exports `intact`."""
        import numpy as np

        for path in intact:
            if path not in self.intact:
                self.intact[path] = results_of(path)
        try:
            results = results_of(folder)
        except UserError as error:
            return refused(error)
        different = {}
        for path in intact:
            wanted = self.intact[path]
            different[path] = [
                name
                for name, values in results.items()
                if np.shape(values) != np.shape(wanted[name])
                or not np.allclose(np.asarray(values, float), np.asarray(wanted[name], float), atol=TOLERANCE)
            ]
            if not different[path]:
                return {"answer": "the same"}
        return {"wrong": f"undetected, other {', '.join(different[intact[0]])}"}

    def replace(self, folder, sources, seconds):
        """Replace the export `folder` by each of `sources` in turn, as the package replaces folders, for some time."""
        import shutil

        from keras_ae import outputs

        ends, times = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            with outputs.folder(folder) as partial:
                shutil.copytree(sources[times % len(sources)], partial, dirs_exist_ok=True)
            times += 1
            # some reads are shorter than a pause, some longer
            time.sleep(0.05 * (times % 20))
        return {"answer": f"replaced {times} times"}


def peak_mebibytes():
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak():
    """Begin to measure the peak anew, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def handlers(kind):
    """The functions that a worker of a kind can be asked for, after slow imports."""
    if kind == "pictures":
        from keras_ae.images import pictures  # noqa: F401

        return {"picture": picture}
    commandline.import_tensorflow()
    if kind == "experiments":
        from keras_ae.training import experiment as imported  # noqa: F401

        return {"experiment": experiment}
    exports = Exports()
    return {"make_exports": make_exports, "compare": exports.compare, "replace": exports.replace}


def main():
    # nothing that a library prints gets between the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    functions = handlers(sys.argv[1])
    print(json.dumps({"answer": "ready"}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        forget_peak()
        began = time.monotonic()
        try:
            answer = functions[request.pop("function")](**request)
        except BaseException as error:
            answer = {"wrong": f"{type(error).__name__}: {str(error)[:300]}"}
        answer |= {"mebibytes": peak_mebibytes(), "seconds": time.monotonic() - began}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
