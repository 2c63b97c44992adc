"""Search for better values of an experiment: python -m keras_ae.tune vae --data DIR --set latent.dim=32..256 --minutes 60

Every trial trains for the same minutes. What is found is a front: no other trial has more PSNR and more sharpness. The same
command continues a search that was interrupted. --set takes a range 32..256, a choice plain|residual, or one value for all.
"""

import csv
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from keras_ae import files
from keras_ae.commandline import SEED, command, number, option, out
from keras_ae.errors import UserError

RANGE = re.compile(r"(-?[\d.]+(?:e-?\d+)?)\.\.(-?[\d.]+(?:e-?\d+)?)")


def read_space(overrides):
    """Values for all trials, ["table.key=value"], and the space to search, {"table.key": distribution}. Raises UserError."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    fixed, space = [], {}
    for override in overrides:
        key, _, text = override.partition("=")
        if found := RANGE.fullmatch(text):
            whole = all(part.lstrip("-").isdigit() for part in found.groups())
            low, high = (int(part) if whole else float(part) for part in found.groups())
            if low >= high:
                raise UserError(f"--set {override}: {low:g} is not below {high:g}")
            # a range over a power of ten is one of sizes
            space[key] = (IntDistribution if whole else FloatDistribution)(low, high, log=low > 0 and high >= 10 * low)
        elif "|" in text:
            space[key] = CategoricalDistribution(text.split("|"))
        else:
            fixed.append(override)
    if not space:
        raise UserError("nothing to search: give --set a range, latent.dim=32..256, or a choice, decoder.name=plain|residual")
    return fixed, space


def contains(values, value):
    """Whether a value of an experiment lies in a distribution of Optuna."""
    if choices := getattr(values, "choices", None):
        return str(value) in choices
    return isinstance(value, int | float) and values.low <= value <= values.high


def train(folder, words, minutes):
    """Train a trial in `folder` for so many minutes, or what is left of it: its held-out metrics, or None where it failed."""
    from keras_ae.training.run import Run

    run = Run(folder)
    if not run.complete:
        resume = ["--resume"] if run.exists else []
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder.with_suffix(".log"), "a", encoding="utf-8") as log:
            command = [sys.executable, "-m", "keras_ae.train", *words, "--out", str(folder), "--minutes", str(minutes), *resume]
            subprocess.run(command, stdout=log, stderr=log, check=False)
    return run.read_json("metrics")["reconstruction"] if run.complete else None


def write_results(path, study, words, title):
    """Write trials.csv and trials.html, with a chart, into the folder `path`. words: of each trial, by its number."""
    from keras_ae.images import charts

    done = sorted((trial for trial in study.trials if trial.values), key=lambda trial: -trial.values[0])
    best = {trial.number for trial in study.best_trials}
    names = sorted({name for trial in done for name in trial.params})
    header = ["trial", "PSNR dB", "sharpness", *names]
    rows = [
        [trial.number, *(f"{value:.3f}" for value in trial.values), *(trial.params.get(name, "") for name in names)]
        for trial in done
    ]
    figure, axes = charts.new_axes(title, "held-out PSNR (dB)", "sharpness, of real images")
    for trial in done:
        axes.plot(*trial.values, "o", color="tab:orange" if trial.number in best else "tab:gray")
        axes.annotate(str(trial.number), trial.values, xytext=(4, 4), textcoords="offset points", fontsize=8)
    charts.save(figure, path / "trials.png")
    train = ["python", "-m", "keras_ae.train"]
    commands = {number: shlex.join([*train, *words(number), "--export"]) for number in sorted(best)}
    values = {"title": title, "header": header, "rows": rows, "best": best, "commands": commands}
    with files.write_file(path / "trials.html") as partial:
        partial.write_text(files.render("keras_ae.images", "trials.html", **values), encoding="utf-8")
    with files.write_file(path / "trials.csv") as partial, open(partial, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@command(
    option("experiment", metavar="EXPERIMENT", help="experiment file, or the name of one of the package, such as vae"),
    option("--data", metavar="DATA", help="as that of python -m keras_ae.train"),
    option("--set", action="append", default=[], metavar="TABLE.KEY=VALUES", dest="overrides", help="what to search, or fix"),
    option("--minutes", type=number(1, 100_000), default=60, metavar="M", help="of the whole search"),
    option("--each", type=number(0.1, 100_000), metavar="M", help="of a trial (default: a tenth of --minutes)"),
    out(None, "folder of the search (default: runs/tune_NAME)"),
    SEED,
)
def main(arguments):
    import optuna

    from keras_ae.training import experiment

    fixed, space = read_space(arguments.overrides)
    chosen = experiment.read(arguments.experiment, fixed)
    # before anything trains: wrong names and values
    ends = [(name, getattr(values, "choices", None) or (values.low, values.high)) for name, values in space.items()]
    for end in (0, -1):
        experiment.read(arguments.experiment, [*fixed, *(f"{name}={values[end]}" for name, values in ends)])
    path = Path(arguments.out or f"runs/tune_{chosen.name}")
    each, data = arguments.each or arguments.minutes / 10, ["--data", arguments.data] if arguments.data else []
    path.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with files.lock(path / ".lock", f"another process searches in {path}; choose another --out or wait"):
        sampler = optuna.samplers.TPESampler(seed=arguments.seed, n_startup_trials=5)
        known = {"storage": f"sqlite:///{path / 'study.db'}", "study_name": chosen.name, "load_if_exists": True}
        study = optuna.create_study(sampler=sampler, directions=["maximize"] * 2, **known)
        if not study.trials:
            # first what the experiment itself has, where it lies in the space
            own = {name: value for name, value in chosen.values().items() if name in space and contains(space[name], value)}
            study.enqueue_trial({name: value if hasattr(space[name], "low") else str(value) for name, value in own.items()})

        def set_values(number):
            return [f"{name}={value}" for name, value in study.trials[number].params.items()]

        def words(number):
            sets = [word for one in [*fixed, *set_values(number)] for word in ("--set", one)]
            return [arguments.experiment, *data, *sets]

        def finish(number):
            measured = train(path / f"{number:03d}", words(number), each)
            if measured is None:
                study.tell(number, state=optuna.trial.TrialState.FAIL)
                print(f"trial {number} failed: {path / f'{number:03d}.log'} says why", flush=True)
                return
            # sharper than real images is no better
            study.tell(number, [measured["psnr"], min(1.0, measured["sharpness"])])
            write_results(path, study, words, f"{chosen.name}: trials of {each:g} minutes")
            numbers = f"PSNR {measured['psnr']:.2f} dB, sharpness {measured['sharpness']:.2f}"
            print(f"trial {number}: {numbers}  {shlex.join(set_values(number))}", flush=True)

        # those that an earlier call was interrupted in
        for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
            finish(trial.number)
        end = time.monotonic() + 60 * arguments.minutes
        while time.monotonic() + 60 * each <= end:
            finish(study.ask(space).number)
        if not any(trial.values for trial in study.trials):
            raise UserError(f"no trial of {path} was trained to its end; its .log files say why")
        print(f"{len(study.trials)} trials, {len(study.best_trials)} on the front -> {path}: trials.html, trials.csv")
