"""Export a finished run as SavedModels, ONNX and LiteRT files: python -m keras_ae.export --model runs/vae"""

import json

from keras_ae.commandline import FORCE, SEED, command, native_lines_hidden, option, out, warn


def export_run(run, folder, license="unknown", force=False):
    """Export a complete run to `folder`, and print what was written."""
    from keras_ae.exports import save
    from keras_ae.priors import mixture

    card = run.card() | {"license": license}
    with native_lines_hidden():
        path = save.write(folder, *run.best_networks(), mixture.load_prior(run.prior), card, force, run.critic())
    card = json.loads((path / "card.json").read_text(encoding="utf-8"))
    for kind in ("onnx", "litert"):
        if reason := card[kind].get("missing"):
            warn(f"{path} has no folder {kind}: {reason}")
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    written = [name for name in ("encoder", "decoder", "generator", "onnx", "litert") if (path / name).is_dir()]
    print(f"{run} -> {path}: {', '.join(written)}, card.json, samples.png ({size / 1e6:.1f} MB)")


@command(
    option("--model", default="runs/vae", metavar="DIR", help="run folder, or a folder of runs: its newest"),
    out(None, "folder to write (default: exported/NAME)"),
    option("--license", default="unknown", metavar="NAME", help="licence of the model, an SPDX name such as mit, for its card"),
    *(SEED, FORCE),
)
def main(arguments):
    from keras_ae.training.run import find_run

    run = find_run(arguments.model, complete=True)
    export_run(run, arguments.out or f"exported/{run.experiment().name}", arguments.license, arguments.force)
