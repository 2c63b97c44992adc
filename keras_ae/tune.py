"""Search for better values of an experiment: python -m keras_ae.tune vae --data DIR --set latent.dim=32..256 --minutes 60

Every trial trains for the same minutes. What is found is a front: no other trial has more PSNR and more sharpness. The same
command continues a search that was interrupted. --set takes a range 32..256, a choice plain|residual, or one value for all.
"""

import csv
import io
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
    """Values for all trials, ["table.key=value"], and the space to search, {"table.key": distribution of Optuna}.

    Raises UserError where a range is empty, or nothing is to be searched.
    """
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
        raise UserError(
            "nothing to search: give --set a range, such as latent.dim=32..256, or a choice, decoder.name=plain|residual"
        )
    return fixed, space


def first_guess(chosen, space):
    """The values that the experiment itself has for what is searched; None where one lies outside of the space."""
    guess = {}
    for path, values in space.items():
        table, _, key = path.partition(".")
        value = chosen.tables[table].get(key)
        if choices := getattr(values, "choices", None):
            value = str(value)
        if not (value in choices if choices else value is not None and values.low <= value <= values.high):
            return None
        guess[path] = value
    return guess


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


def last_line(path):
    """The last line of a log, or where it should be."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else f"no {path}"


def write_results(path, study, words, title):
    """Write trials.csv and trials.html, with a chart, into the folder `path`. words: of each trial, by its number."""
    from keras_ae.images import charts

    done = [trial for trial in study.trials if trial.values]
    best = {trial.number for trial in study.best_trials}
    names = sorted({name for trial in done for name in trial.params})
    rows = [
        [trial.number, *(f"{value:.3f}" for value in trial.values), *(trial.params.get(name, "") for name in names)]
        for trial in sorted(done, key=lambda trial: -trial.values[0])
    ]
    header = ["trial", "PSNR dB", "sharpness", *names]
    table = io.StringIO()
    csv.writer(table).writerows([header, *rows])
    figure, axes = charts.new_axes(title, "held-out PSNR (dB)", "sharpness, of real images")
    for label, colour, inside in (("other trials", "tab:gray", False), ("front", "tab:orange", True)):
        chosen = [trial for trial in done if (trial.number in best) == inside]
        axes.scatter(*zip(*([trial.values for trial in chosen] or [(None, None)]), strict=True), color=colour, label=label)
        for trial in chosen:
            axes.annotate(str(trial.number), trial.values, xytext=(4, 4), textcoords="offset points", fontsize=8)
    axes.legend()
    charts.save(figure, path / "trials.png")
    train = ["python", "-m", "keras_ae.train"]
    commands = {number: shlex.join([*train, *words(number), "--export"]) for number in sorted(best)}
    values = {"title": title, "header": header, "rows": rows, "best": best, "commands": commands}
    page = files.render("keras_ae.images", "trials.html", **values)
    for name, text in (("trials.csv", table.getvalue()), ("trials.html", page)):
        with files.write_file(path / name) as partial:
            partial.write_text(text, encoding="utf-8", newline="")


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
        where = f"sqlite:///{path / 'study.db'}"
        study = optuna.create_study(
            storage=where, study_name=chosen.name, sampler=sampler, load_if_exists=True, directions=["maximize"] * 2
        )
        if not study.trials and (guess := first_guess(chosen, space)):
            study.enqueue_trial(guess)

        def words(number):
            values = [f"{name}={value}" for name, value in study.trials[number].params.items()]
            return [arguments.experiment, *data, *(word for one in [*fixed, *values] for word in ("--set", one))]

        def finish(number):
            measured = train(path / f"{number:03d}", words(number), each)
            if measured is None:
                study.tell(number, state=optuna.trial.TrialState.FAIL)
                print(f"trial {number} failed: {last_line(path / f'{number:03d}.log')}", flush=True)
                return
            # sharper than real images is no better
            study.tell(number, [measured["psnr"], min(1.0, measured["sharpness"])])
            write_results(path, study, words, f"{chosen.name}: trials of {each:g} minutes")
            values = ", ".join(f"{name}={value}" for name, value in study.trials[number].params.items())
            print(
                f"trial {number}: PSNR {measured['psnr']:.2f} dB, sharpness {measured['sharpness']:.2f}  {values}", flush=True
            )

        # those that an earlier call was interrupted in
        for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
            finish(trial.number)
        end = time.monotonic() + 60 * arguments.minutes
        while time.monotonic() + 60 * each <= end:
            finish(study.ask(space).number)
        best = study.best_trials if any(trial.values for trial in study.trials) else []
        if not best:
            raise UserError(f"no trial of {path} was trained to its end; its .log files say why")
        print(f"{len(study.trials)} trials, {len(best)} on the front -> {path}: trials.html, trials.csv")


if __name__ == "__main__":
    main()
