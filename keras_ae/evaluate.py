"""Measure how good models are on held-out images: python -m keras_ae.evaluate --model exported/vae --data DIR"""

import functools
import shlex

from keras_ae.commandline import FORCE, MODEL, SEED, check_out, command, number, option, out, warn
from keras_ae.errors import UserError


@command(
    out("report", "folder to write: index.html and metrics.json"),
    option("--compare", nargs="+", metavar="DIR", default=[], help="exports to compare, instead of --model"),
    option("--data", metavar="DIR", help="folder of picture files, or tensorflow-datasets folder (default: as trained on)"),
    option("--others", metavar="DIR", help="folder of picture files from elsewhere, to be reconstructed too"),
    option(
        "--refine",
        type=number(0, 10_000, int),
        default=0,
        metavar="STEPS",
        help="judge reconstructions from refined codes too, after this many steps of gradient descent on each code",
    ),
    option("--n", type=number(50, 50_000, int), default=2000, help="how many images to draw"),
    option(
        "--features",
        choices=("auto", "learned", "gabor", "inception"),
        default="auto",
        help="features that samples are compared in; auto is InceptionV3 if its weights are in Keras' cache, else learned",
    ),
    option(
        "--recognition",
        choices=("auto", "on", "off"),
        default="auto",
        help="whether EfficientNetV2B0, trained on ImageNet, names samples and compares reconstructions; on downloads its "
        "weights (29 MB), auto uses them if they are in Keras' cache",
    ),
    *(MODEL, SEED, FORCE),
)
def main(arguments):
    from keras_ae.exports.load import Exported
    from keras_ae.images import pictures
    from keras_ae.judge import features, recognition, side_by_side
    from keras_ae.judge.judge import Judge

    out = check_out(arguments)
    folders = side_by_side.named(arguments.compare or [arguments.model])
    models = {name: Exported(folder) for name, folder in folders.items()}
    for name, model in models.items():
        model.check_rebuilds()
        if model.labels:
            command = f"python -m course labels --model {shlex.quote(str(model.folder))}"
            raise UserError(f"{name} is conditional; judge it with {command}")
    chosen = arguments.features
    if chosen == "auto":
        chosen = "inception" if features.inception_is_present() else "learned"
    image_set = side_by_side.load_images(models, arguments.data)
    others = None
    if arguments.others:
        size, _, channels = image_set.shape
        others = pictures.to_float(pictures.read_all(pictures.find(arguments.others), size, channels, warn)[1])
    recognizes = arguments.recognition == "on" or (arguments.recognition == "auto" and recognition.is_present())
    judge = Judge(image_set, arguments.n, chosen, arguments.seed, others=others, recognition=recognizes)
    warnings = [*judge.warnings(), *side_by_side.trained_on_others(models, image_set)]
    for line in warnings:
        warn(line)
    makers = [functools.partial(side_by_side.candidate, model, name) for name, model in models.items()]
    if steps := arguments.refine:
        refined = {f"{name}, {steps} steps": model for name, model in models.items()}
        makers += [functools.partial(side_by_side.refined, model, name, steps) for name, model in refined.items()]
    makers += [functools.partial(judge.baseline, size) for size in sorted({model.latent_dim for model in models.values()})]
    print(side_by_side.write(out, judge, models, *side_by_side.judge_all(judge, makers), warnings))
    print(f"report  {out / 'index.html'}  (and metrics.json, pictures/)")


if __name__ == "__main__":
    main()
