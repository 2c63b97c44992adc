"""Measure exports on held-out images: python -m keras_ae.evaluate --model exported/vae --data DIR --out report"""

import functools

from keras_ae import commandline


def parser():
    parser = commandline.Parser("evaluate", "Measure how good a model is on held-out images: index.html and metrics.json.")
    commandline.add_common(parser, "report", "folder to write")
    parser.add_argument("--compare", nargs="+", metavar="DIR", default=[], help="exports to compare, instead of --model")
    parser.add_argument(
        "--data", metavar="DIR", help="folder of picture files, or tensorflow-datasets folder (default: as trained on)"
    )
    parser.add_argument("--others", metavar="DIR", help="folder of picture files from elsewhere, to be reconstructed too")
    steps = commandline.whole_number(0, 10_000)
    text = "judge reconstructions from refined codes too, after this many steps of gradient descent on each code"
    parser.add_argument("--refine", type=steps, default=0, metavar="STEPS", help=text)
    parser.add_argument("--n", type=commandline.whole_number(50, 50_000), default=2000, help="how many images to draw")
    text = "features that samples are compared in; inception downloads weights trained on ImageNet (88 MB)"
    parser.add_argument("--features", choices=("gabor", "inception"), default="gabor", help=text)
    return parser


def evaluate(arguments):
    from keras_ae import outputs
    from keras_ae.errors import UserError
    from keras_ae.exports.reading import Exported
    from keras_ae.images import pictures
    from keras_ae.judge import judge as judging
    from keras_ae.judge import report

    out = outputs.check_folder(arguments.out)
    models = {name: Exported(folder) for name, folder in judging.name_folders(arguments.compare or [arguments.model]).items()}
    for name, model in models.items():
        model.check_rebuilds()
        if model.labels:
            raise UserError(f"{name} is conditional; judge it with python -m course labels --model {model.folder}")
    image_set = judging.load_images(models, arguments.data)
    others = None
    if arguments.others:
        size, _, channels = image_set.shape
        others = pictures.to_float(pictures.read_all(pictures.find(arguments.others), size, channels, commandline.warn)[1])
    judge = judging.Judge(image_set, arguments.n, arguments.features, arguments.seed, others=others)
    warnings = [*judge.warnings(), *judging.warn_of_other_data(models, image_set)]
    for line in warnings:
        commandline.warn(line)
    makers = [functools.partial(judging.export_candidate, model, name) for name, model in models.items()]
    if steps := arguments.refine:
        makers += [functools.partial(judging.export_candidate, model, f"{name}, {steps} steps", steps) for name, model in models.items()]
    makers += [functools.partial(judge.baseline, size) for size in sorted({model.latent_dim for model in models.values()})]
    print(report.write(out, judge, models, *judge.measure_all(makers), warnings))
    print(f"report  {out / 'index.html'}  (and metrics.json, pictures/)")


def main(argv=None):
    commandline.run(parser(), evaluate, argv)


if __name__ == "__main__":
    main()
