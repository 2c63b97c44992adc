"""Train an experiment: python -m keras_ae.train vae [--data DIR] [--set table.key=value ...]"""

import argparse
import json
import shlex
import sys

from keras_ae.commandline import command, number, option, out


class _List(argparse.Action):
    """Print the experiments of the package and exit, as --help does."""

    def __call__(self, parser, namespace, values, option_string=None):
        from keras_ae import training

        files = training.experiment_files()
        for name, path in files.items():
            with open(path, encoding="utf-8") as file:
                print(f"{name:<{max(map(len, files))}}  {file.readline().removeprefix('#').strip()}")
        parser.exit()


def overrides_of(arguments):
    """All overrides of the command line as --set arguments, in order."""
    overrides = list(arguments.overrides)
    if arguments.seed is not None:
        overrides.append(f"training.seed={arguments.seed}")
    if arguments.start_from is not None:
        overrides.append(f"training.start_from={json.dumps(arguments.start_from)}")
    return overrides


def words_of(arguments, overrides):
    """Words of a command line: the experiment, its data and overrides."""
    words = ["-m", "keras_ae.train", arguments.experiment]
    words += ["--data", arguments.data] if arguments.data else []
    for override in overrides:
        words += ["--set", override]
    return words


def resume_command(arguments, run):
    """The command line that continues `run`."""
    words = ["python", *words_of(arguments, overrides_of(arguments)), "--out", str(run), "--resume"]
    return shlex.join([*words, *(["--workers", str(arguments.workers)] if arguments.workers else [])])


def choose_run(arguments, experiment):
    """The Run to train in: an existing one to resume, or a fresh one, whose folder is made."""
    from keras_ae import outputs
    from keras_ae.errors import UserError
    from keras_ae.training import folders, runs

    if arguments.resume:
        return folders.find(arguments.out or folders.ROOT / experiment.name)
    if arguments.out is None:
        return folders.fresh(folders.ROOT / experiment.name)
    run = runs.Run(arguments.out)
    if run.exists:
        raise UserError(f"{run} already holds a run; add --resume to continue it, or choose another --out")
    outputs.check_place(run.folder)
    run.folder.mkdir(parents=True, exist_ok=True)
    if foreign := sorted(path.name for path in run.folder.iterdir() if path.name != runs.LOCK):
        raise UserError(f"{run} contains {foreign[0]} and is no run; choose another --out")
    return run


def prepared(arguments):
    """The experiment of the command line."""
    from keras_ae.data import pipeline
    from keras_ae.training import experiment, starting

    on_workers = ["training.devices=workers"] if arguments.workers else []
    chosen = experiment.read(arguments.experiment, overrides_of(arguments) + on_workers)
    chosen = chosen.with_data(*pipeline.resolve(chosen.data.name, arguments.data)) if arguments.data else chosen
    return starting.adopted(chosen)


def fit(arguments, run, experiment, image_set, devices, stage):
    """Train, and let the chief measure and draw. The metrics, or None in other processes."""
    from keras_ae.training import loop, results

    if devices.chief:
        print(f"preview {run.preview}, replaced while training")
    try:
        loop.fit(run, experiment, image_set, stage, devices, arguments.open)
        print("fitting the prior, measuring, drawing ...")
        measured = results.finish(run, image_set) if devices.chief else None
        devices.wait()
    except KeyboardInterrupt:
        done = run.position().epochs
        saved = f"{done} whole epochs and the best weights are saved" if done else "no epoch was finished"
        print(f"interrupted: {saved}. Continue with\n  {resume_command(arguments, run)}", file=sys.stderr)
        sys.exit(130)
    return measured


def train_as_chief(arguments, experiment, image_set, devices):
    """Train in the folder of a run."""
    from keras_ae.errors import UserError
    from keras_ae.training import callbacks, loop, results, runs

    config = runs.config_of(experiment, image_set)
    # a fresh run gets its folder after all checks
    stage = None if arguments.resume else loop.first_stage(experiment, image_set, runs.Position(), devices)
    run = choose_run(arguments, experiment)
    with run.locked():
        if arguments.resume:
            runs.check_unchanged(run, config)
            if run.has_state:
                run.restore_views()
                callbacks.log_missing(run)
            if run.complete:
                raise UserError(f"the run in {run} is complete; train without --resume for a new one")
            devices.send_run(run)
            stage = loop.first_stage(experiment, image_set, run.position(), devices)
            print(f"resuming {run} after epoch {run.position().epochs}")
        else:
            run.write_json("config", config)
            devices.send_run(run)
            print(", ".join(filter(None, [f"training {experiment.name} in {run}", config["precision"], str(devices)])))
        measured = fit(arguments, run, experiment, image_set, devices, stage)
    print(results.summary(run, measured))


def train_with_chief(arguments, experiment, image_set, devices):
    """Train what the chief trains, in a temporary folder."""
    import tempfile

    from keras_ae.training import loop, runs

    stage = None if arguments.resume else loop.first_stage(experiment, image_set, runs.Position(), devices)
    with tempfile.TemporaryDirectory(prefix="keras_ae-") as folder:
        run = runs.Run(folder)
        devices.send_run(run)
        runs.check_unchanged(run, runs.config_of(experiment, image_set))
        if arguments.resume:
            stage = loop.first_stage(experiment, image_set, run.position(), devices)
        fit(arguments, run, experiment, image_set, devices, stage)


def train_on_devices(arguments, experiment):
    """Train on the devices that the experiment names."""
    from keras_ae.training import devices, loop

    used = devices.opened(experiment.training.devices)
    with used.explained(), used.quiet():
        experiment, image_set = loop.loaded(experiment, used)
        (train_as_chief if used.chief else train_with_chief)(arguments, experiment, image_set, used)


@command(
    option("experiment", metavar="EXPERIMENT", help="experiment file, or the name of one of the package, such as vae"),
    option("--list", action=_List, nargs=0, help="show the experiments of the package, and exit"),
    option(
        "--data",
        metavar="DATA",
        help="folder of picture files, data folder of tensorflow-datasets, or a data set: cats, cifar10 ... (docs/data.md)",
    ),
    option("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", dest="overrides", help="override a value"),
    option(
        "--start-from",
        metavar="DIR",
        help="begin with the networks and weights of an export, such as exported/cats; same as --set training.start_from=DIR",
    ),
    option("--seed", type=number(0, 2**31 - 1, int), help="same as --set training.seed=SEED"),
    out(None, "run folder (default: the next number in runs/NAME)"),
    option("--workers", type=number(2, 64, int), metavar="N", help="train with N processes on this machine, as a test"),
    option("--open", action="store_true", help="open the preview picture when the first epoch has ended"),
    option("--resume", action="store_true", help="continue the run in --out, or the newest in runs/NAME"),
)
def main(arguments):
    from keras_ae.training import local_workers

    experiment = prepared(arguments)
    if not arguments.workers:
        train_on_devices(arguments, experiment)
        return
    words = words_of(arguments, [*overrides_of(arguments), "training.devices=workers"])
    command = [sys.executable, *words, *(["--resume"] if arguments.resume else [])]
    with local_workers.started(arguments.workers, command):
        train_on_devices(arguments, experiment)


if __name__ == "__main__":
    main()
