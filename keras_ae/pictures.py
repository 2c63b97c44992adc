"""Draw the pictures of a finished run again: python -m keras_ae.pictures --model runs/vae"""

from keras_ae import commandline


def parser():
    description = "Draw curves, reconstructions, samples and interpolations of a finished run again."
    return commandline.run_parser("pictures", description, "folder to write (default: RUN/pictures)")


def draw(arguments):
    from pathlib import Path

    from keras_ae.data import pipeline
    from keras_ae.errors import UserError
    from keras_ae.training import results, runs

    run = runs.find_complete(arguments.model)
    source = run.experiment().data
    image_set = pipeline.load(source.name, source.directory, source.size, source.channels)
    if image_set.fingerprint != run.read_json("config")["data"]["fingerprint"]:
        raise UserError(f"the data set of {run} has changed since it was trained; train again")
    folder = results.draw(run, image_set, Path(arguments.out) if arguments.out else run.pictures, arguments.seed)
    print(f"{run} -> {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def main(argv=None):
    commandline.run(parser(), draw, argv)


if __name__ == "__main__":
    main()
