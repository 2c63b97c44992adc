"""Draw the pictures of a finished run again: python -m keras_ae.pictures --model runs/vae"""

from keras_ae import commandline


def parser():
    description = "Draw curves, reconstructions, samples and interpolations of a finished run again."
    return commandline.run_parser("pictures", description, "folder to write (default: RUN/pictures)")


def draw(arguments):
    from keras_ae import outputs
    from keras_ae.data import pipeline
    from keras_ae.errors import UserError
    from keras_ae.training import folders, results

    run = folders.find_complete(arguments.model)
    out = outputs.check_place(run.pictures if arguments.out is None else arguments.out)
    source = run.experiment().data
    image_set = pipeline.load(source.name, source.directory, source.size, source.channels)
    if image_set.fingerprint != run.read_json("config")["data"]["fingerprint"]:
        raise UserError(f"the data set of {run} has changed since it was trained; train again")
    with outputs.into(out) as partial:
        results.draw(run, image_set, partial, arguments.seed)
    print(f"{run} -> {out}: {', '.join(sorted(path.name for path in out.glob('*.png')))}")


def main(argv=None):
    commandline.run(parser(), draw, argv)


if __name__ == "__main__":
    main()
