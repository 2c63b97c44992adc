"""Export a finished run as SavedModels and ONNX files: python -m keras_ae.export --model runs/vae --out exported/vae"""

import json

from keras_ae import commandline


def parser():
    description = "Write the best weights of a finished run as SavedModels and ONNX files with a card.json."
    parser = commandline.run_parser("export", description, "folder to write (default: exported/NAME)")
    text = "licence of the model, an SPDX name such as mit, for its card"
    parser.add_argument("--license", default="unknown", metavar="NAME", help=text)
    return parser


def export(arguments):
    from keras_ae.exports import card as cards
    from keras_ae.exports import save
    from keras_ae.priors.mixture import load_prior
    from keras_ae.training import folders

    run = folders.find_complete(arguments.model)
    out = f"exported/{run.experiment().name}" if arguments.out is None else arguments.out
    card = cards.of_run(run) | {"license": arguments.license}
    out = save.write(out, *run.best_networks(), load_prior(run.prior), card)
    card = json.loads((out / "card.json").read_text(encoding="utf-8"))
    for kind in ("onnx", "litert"):
        if reason := card[kind].get("missing"):
            commandline.warn(f"{out} has no folder {kind}: {reason}")
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    folders = [name for name in ("encoder", "decoder", "generator", "onnx", "litert") if (out / name).is_dir()]
    print(f"{run} -> {out}: {', '.join(folders)}, card.json ({size / 1e6:.1f} MB)")


def main(argv=None):
    commandline.run(parser(), export, argv)


if __name__ == "__main__":
    main()
