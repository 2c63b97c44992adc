"""Train an experiment: python -m keras_ae.train vae [--data DIR] [--set table.key=value ...] [--export]"""

import argparse
import json

from keras_ae import files, training
from keras_ae.commandline import FORCE, command, number, option, out
from keras_ae.errors import UserError


class _List(argparse.Action):
    """Print the experiments of the package and exit, as --help does."""

    def __call__(self, parser, namespace, values, option_string=None):
        known = training.experiment_files()
        for name, path in known.items():
            header, *_ = path.read_text(encoding="utf-8").splitlines()
            print(f"{name:<{max(map(len, known))}}  {header.removeprefix('#').strip()}")
        parser.exit()


def open_run(name, out, resume, workers):
    """The Run to train in: an existing one to resume, or a new one."""
    from keras_ae.training.run import ROOT, Run, find_run, new_run

    if workers:
        if not out:
            raise UserError("workers need the folder that they share; name it with --out")
        # they come at any time, the chief may have begun
        return Run(out)
    if resume:
        return find_run(out or ROOT / name)
    if out is None:
        return new_run(ROOT / name)
    run = Run(out)
    if run.exists:
        raise UserError(f"{run} already holds a run; add --resume to continue it, or choose another --out")
    if run.folder.is_file() or any(run.folder.glob("[!.]*")):
        raise UserError(f"{run} exists and is no run; choose another --out")
    return run


@command(
    option("experiment", metavar="EXPERIMENT", help="experiment file, or the name of one of the package, such as vae"),
    option("--list", action=_List, nargs=0, help="show the experiments of the package, and exit"),
    option("--data", metavar="DATA", help="folder of pictures, of tensorflow-datasets, or a data set: cats ... (docs/data.md)"),
    option("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", dest="overrides", help="override a value"),
    option("--start-from", metavar="DIR", help="begin with an export's networks; same as --set training.start_from=DIR"),
    option("--seed", type=number(0, 2**31 - 1, int), help="same as --set training.seed=SEED"),
    out(None, "run folder (default: the next number in runs/NAME)"),
    option("--export", metavar="DIR", nargs="?", const="", help="export the complete run, and draw samples (to exported/NAME)"),
    option("--resume", action="store_true", help="continue the run in --out, or the newest in runs/NAME; also for more epochs"),
    option("--minutes", type=number(0.1, 100_000), metavar="M", help="train as many epochs as fit here into so many minutes"),
    FORCE,
)
def main(arguments):
    from keras_ae import export
    from keras_ae.data import pipeline
    from keras_ae.training import devices, experiment, fit

    overrides = list(arguments.overrides)
    if arguments.seed is not None:
        overrides.append(f"training.seed={arguments.seed}")
    if arguments.start_from is not None:
        overrides.append(f"training.start_from={json.dumps(arguments.start_from)}")
    chosen = experiment.read(arguments.experiment, overrides)
    if arguments.data:
        name, directory = pipeline.resolve(chosen.data.name, arguments.data)
        chosen = chosen.with_tables(data={"name": name, "directory": directory})
    exported = arguments.export
    if exported is not None:
        exported = files.check_output(exported or f"exported/{chosen.name}", arguments.force)

    run = open_run(chosen.name, arguments.out, arguments.resume, chosen.training.devices == "workers")
    has = run.experiment().training.epochs if run.complete else 0
    extends = "training.epochs" in chosen.chosen and chosen.training.epochs > has
    if run.complete and exported is None and not extends:
        more = f"more epochs continue it, such as --set training.epochs={2 * has}"
        raise UserError(f"the run in {run} is complete with {has} epochs; {more}; train without --resume for a new one")
    words = [arguments.experiment, *(["--data", arguments.data] if arguments.data else [])]
    words += [word for override in overrides for word in ("--set", override)]
    try:
        if not run.complete or extends:
            fit.train(chosen, run, words, arguments.minutes)
        if exported is not None and devices.is_chief(devices.open_strategy(chosen.training.devices)):
            export.export_run(run, exported, force=arguments.force)
    except KeyboardInterrupt:
        if not run.exists:
            raise
        more, saved = ["--export", str(exported)] if exported else [], f"{run.epochs} whole epochs are saved"
        raise KeyboardInterrupt(f"interrupted: {saved}; continue with  {run.command(*more)}") from None
    finally:
        run.remove_if_empty()
