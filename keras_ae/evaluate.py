"""Measure how good models are on held-out images: python -m keras_ae.evaluate --model exported/vae --data DIR"""

import functools
import shlex

from keras_ae.commandline import FORCE, MODEL, SEED, check_out, command, number, option, out, read_folder, warn
from keras_ae.errors import UserError
from keras_ae.images import pictures


@command(
    out("report", "folder to write: index.html and metrics.json"),
    option("--compare", nargs="+", metavar="DIR", default=[], help="exports to compare, instead of --model"),
    option("--data", metavar="DIR", help="folder of picture files, or tensorflow-datasets folder (default: as trained on)"),
    option("--others", metavar="DIR", help="folder of picture files from elsewhere, to be reconstructed too"),
    option("--refine", type=number(0, 10_000, int), default=0, help="judge codes after this many steps of refinement, too"),
    option("--n", type=number(50, 50_000, int), default=2000, help="how many images to draw"),
    option("--features", choices=("gabor", "inception"), default="gabor", help="inception downloads 88 MB of weights"),
    *(MODEL, SEED, FORCE),
)
def main(arguments):
    from keras_ae.exports.load import Exported
    from keras_ae.judge import judge, report

    out = check_out(arguments)
    models = {name: Exported(folder) for name, folder in judge.name_folders(arguments.compare or [arguments.model]).items()}
    for name, model in models.items():
        model.check_rebuilds()
        if model.labels:
            course = f"python -m course labels --model {shlex.quote(str(model.folder))}"
            raise UserError(f"{name} is conditional; judge it with {course}")
    image_set = judge.load_images(models, arguments.data)
    print(*image_set.summary, sep="\n")
    first = next(iter(models.values()))
    others = pictures.to_float(read_folder(first, arguments.others)) if arguments.others else None
    judging = judge.Judge(image_set, arguments.n, arguments.features, arguments.seed, others)
    warnings = [*judging.warnings(), *judge.warn_of_other_data(models, image_set)]
    for line in warnings:
        warn(line)
    makers = [functools.partial(judge.export_candidate, model, name) for name, model in models.items()]
    if steps := arguments.refine:
        refined = {f"{name}, {steps} steps": model for name, model in models.items()}
        makers += [functools.partial(judge.export_candidate, model, name, steps) for name, model in refined.items()]
    makers += [functools.partial(judging.baseline, size) for size in sorted({model.latent_dim for model in models.values()})]
    print(report.write(out, judging, models, *judging.measure_all(makers), warnings, arguments.force))
    print(f"report  {out / 'index.html'}  (and metrics.json, pictures/)")
