"""Export a finished run as SavedModels, ONNX and LiteRT files: python -m keras_ae.export --model runs/vae"""

import json

from keras_ae.commandline import FORCE, SEED, command, option, out, warn


@command(
    option("--model", default="runs/vae", metavar="DIR", help="run folder, or a folder of runs: its newest"),
    out(None, "folder to write (default: exported/NAME)"),
    option("--license", default="unknown", metavar="NAME", help="licence of the model, an SPDX name such as mit, for its card"),
    *(SEED, FORCE),
)
def main(arguments):
    from keras_ae.exports import writing
    from keras_ae.training import folders

    run = folders.find_complete(arguments.model)
    path = writing.write_run(run, arguments.out or f"exported/{run.experiment().name}", arguments.license)
    card = json.loads((path / "card.json").read_text(encoding="utf-8"))
    for kind in ("onnx", "litert"):
        if reason := card[kind].get("missing"):
            warn(f"{path} has no folder {kind}: {reason}")
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    written = [name for name in ("encoder", "decoder", "generator", "onnx", "litert") if (path / name).is_dir()]
    print(f"{run} -> {path}: {', '.join(written)}, card.json ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
