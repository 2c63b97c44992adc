"""Export a finished run as SavedModels: python -m keras_ae.export --model runs/vae --out exported/vae"""

from keras_ae import commandline


def parser():
    description = "Write the best weights of a finished run as SavedModels with a card.json."
    return commandline.run_parser("export", description, "folder to write (default: exported/NAME)")


def export(arguments):
    from keras_ae.exports import writing
    from keras_ae.training import folders

    run = folders.find_complete(arguments.model)
    out = writing.write_run(run, f"exported/{run.experiment().name}" if arguments.out is None else arguments.out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{run} -> {out}: encoder, decoder, generator, card.json ({size / 1e6:.1f} MB)")


def main(argv=None):
    commandline.run(parser(), export, argv)


if __name__ == "__main__":
    main()
