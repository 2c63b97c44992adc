"""Train an experiment: python -m keras_ae.train experiments/vae.toml [--data DIR] [--set table.key=value ...]"""

import shlex
import signal
import sys

from keras_ae import commandline


def parser():
    parser = commandline.Parser("train", "Train the experiment of a TOML file into a new run folder.")
    parser.add_argument("experiment", metavar="FILE.toml", help="experiment file, such as experiments/vae.toml")
    parser.add_argument("--data", metavar="DIR", help="folder of pictures, or tensorflow-datasets folder of a prepared set")
    parser.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", dest="overrides", help="override a value of the file"
    )
    parser.add_argument("--seed", type=commandline.SEED, help="same as --set training.seed=SEED")
    parser.add_argument("--out", metavar="DIR", help="run folder (default: the next number in runs/NAME)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, or with the newest in runs/NAME")
    return parser


def overrides_of(arguments):
    """All overrides of the command line as --set arguments, in order."""
    overrides = list(arguments.overrides)
    if arguments.seed is not None:
        overrides.append(f"training.seed={arguments.seed}")
    return overrides


def resume_command(arguments, run):
    """The command line that goes on with `run`."""
    words = ["python", "-m", "keras_ae.train", arguments.experiment]
    words += ["--data", arguments.data] if arguments.data else []
    for override in overrides_of(arguments):
        words += ["--set", override]
    return shlex.join([*words, "--out", str(run), "--resume"])


def choose_run(arguments, experiment):
    """The Run to train in: an existing one to resume, or a fresh one."""
    from keras_ae.errors import UserError
    from keras_ae.training import runs

    if arguments.resume:
        return runs.find(arguments.out or runs.ROOT / experiment.name)
    if arguments.out is None:
        return runs.fresh(runs.ROOT / experiment.name)
    run = runs.Run(arguments.out)
    if run.exists:
        raise UserError(f"{run} holds a run already; add --resume to go on with it, or choose another --out")
    run.folder.mkdir(parents=True, exist_ok=True)
    return run


def described(experiment, pictures):
    """The run's config.json."""
    from keras_ae.training import runs

    return {
        "experiment": experiment.name,
        "tables": experiment.tables,
        "precision": experiment.precision,
        "data": {
            "name": pictures.name,
            "n_train": pictures.n_train,
            "n_test": pictures.n_test,
            "shape": list(pictures.shape),
            "labels": list(pictures.labels),
            "fingerprint": pictures.fingerprint,
            "summary": list(pictures.summary),
        },
        "versions": runs.versions(),
        "git": runs.git_state(),
    }


def check_unchanged(run, config):
    """UserError if the run was begun with other values, other pictures or another precision than `config`."""
    from keras_ae.errors import UserError

    begun = run.read_json("config")
    changed = [
        f"{table}.{key} was {begun['tables'].get(table, {}).get(key)!r}, now {value!r}"
        for table, keys in config["tables"].items()
        for key, value in keys.items()
        # a folder may have moved: its contents are compared below
        if key != "directory" and begun["tables"].get(table, {}).get(key) != value
    ]
    if begun["data"]["fingerprint"] != config["data"]["fingerprint"]:
        changed.append("the pictures are not the same")
    if begun["precision"] != config["precision"]:
        changed.append(f"precision was {begun['precision']}, now {config['precision']}")
    if changed:
        raise UserError(f"cannot resume {run}: {'; '.join(changed)}. Ask for the same again, or train without --resume")


def fit_stage(run, experiment, pictures, stage, model, kept, batch, first, last):
    """Train epochs `first` ... `last - 1` of a stage, or until patience ends."""
    import keras

    from keras_ae.data import pipeline as data
    from keras_ae.training import callbacks

    steps_per_epoch = pictures.n_train // batch
    source, options = experiment.data, experiment.training
    progress = callbacks.Progress(last, steps_per_epoch, first)
    task = experiment.task()
    shown = data.first_batch(pictures, "test", 16, task)
    try:
        model.fit(
            data.training(pictures, batch, options.seed, first, flip=source.flip, shift=source.shift, task=task),
            validation_data=data.batches(pictures, "test", batch, task),
            initial_epoch=first,
            epochs=last,
            steps_per_epoch=steps_per_epoch,
            shuffle=False,
            verbose=0,
            callbacks=[
                callbacks.StopOnNaN(),
                keras.callbacks.TensorBoard(run.tensorboard, write_graph=False),
                *kept,
                callbacks.Pictures(run, shown, experiment.latent_dim, options.seed, options.pictures_every),
                callbacks.Bookkeeping(run, stage, kept),
                # an epoch that was told is an epoch that was kept
                progress,
            ],
        )
    finally:
        progress.close()


def fit(run, experiment, pictures):
    """Both stages, from wherever the run stands, until their epochs are done or patience ends the first."""
    import keras

    from keras_ae.training import callbacks, results

    options, extra = experiment.training, experiment.tables["adversarial"]
    stage, done, stopped = callbacks.progress_of(run)
    if stage == 1 and not stopped and done[1] < options.epochs:
        model, kept = experiment.model(pictures.shape, pictures.n_train // options.batch, len(pictures.labels))
        if options.patience:
            kept = [*kept, keras.callbacks.EarlyStopping("val_neg_elbo", patience=options.patience, mode="min")]
        fit_stage(run, experiment, pictures, 1, model, kept, options.batch, done[1], options.epochs)
        _, done, _ = callbacks.progress_of(run)
    if done[2] < extra["epochs"]:
        run.keep_first_stage()
        prior = results.fit_prior(run, run.best_networks()[0], pictures)
        model = experiment.refined(*run.best_networks(experiment.precision), prior)
        fit_stage(run, experiment, pictures, 2, model, [], extra["batch"], sum(done.values()), done[1] + extra["epochs"])


def summary(run, experiment, pictures, measured):
    """The closing lines: held-out numbers and where everything lies."""
    baseline = measured["baseline"]
    rows = [(experiment.name, measured["reconstruction"]), (baseline["name"], baseline)]
    lines = [f"{measured['reconstruction']['n']} held-out pictures   PSNR dB      L1    SSIM  sharpness"]
    for name, numbers in rows:
        ssim = f"{numbers['ssim']:7.3f}" if "ssim" in numbers else "      -"
        lines.append(f"  {name:<23} {numbers['psnr']:9.2f} {numbers['l1']:7.4f} {ssim} {numbers['sharpness']:10.2f}")
    bound = measured["bound"]
    lines += [
        f"bound {bound['neg_elbo']:.1f} nats = reconstruction {bound['reconstruction']:.1f} + KL {bound['kl']:.1f} "
        f"(epoch {measured['best_epoch']} of {measured['epochs']}, {measured['training_seconds'] / 60:.1f} min)",
        f"run       {run}  (history.csv, metrics.json, weights.npz)",
        f"pictures  {run.pictures}",
        f"watch     tensorboard --logdir {run.tensorboard}",
        f"export    python -m keras_ae.export --model {run} --out exported/{experiment.name}",
    ]
    return "\n".join(lines)


def train(arguments):
    from keras_ae.data import pipeline as data
    from keras_ae.errors import UserError
    from keras_ae.training import callbacks, experiment, results

    tables = overrides_of(arguments)
    asked = experiment.read(arguments.experiment, tables)
    if arguments.data:
        asked = asked.with_data(*data.resolve(asked.data.name, arguments.data))
    source = asked.data
    pictures = data.load(source.name, source.directory, source.size, source.channels)
    for table in ("training", "adversarial") if asked.tables["adversarial"]["epochs"] else ("training",):
        batch = asked.tables[table]["batch"]
        if pictures.n_train < batch:
            raise UserError(
                f"{pictures.n_train} training pictures are fewer than a batch of {batch}; "
                f"add pictures or lower it with --set {table}.batch=N"
            )
    for line in pictures.summary:
        print(line)
    config = described(asked, pictures)
    run = choose_run(arguments, asked)
    with run.locked():
        if arguments.resume:
            check_unchanged(run, config)
            if run.complete:
                raise UserError(f"the run in {run} has ended; train without --resume for a new one")
            print(f"resuming {run} after epoch {sum(callbacks.progress_of(run)[1].values())}")
        else:
            run.write_json("config", config)
            print(f"training {asked.name} in {run}, {config['precision']}")
        try:
            fit(run, asked, pictures)
            print("fitting the prior, measuring, drawing ...")
            measured = results.finish(run, pictures)
        except KeyboardInterrupt:
            done = sum(callbacks.progress_of(run)[1].values())
            kept = f"{done} whole epochs and the best weights are kept" if done else "no epoch was finished"
            print(f"interrupted: {kept}. Go on with\n  {resume_command(arguments, run)}", file=sys.stderr)
            sys.exit(130)
    print(summary(run, asked, pictures, measured))


def main(argv=None):
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    commandline.run(parser(), train, argv)


if __name__ == "__main__":
    main()
