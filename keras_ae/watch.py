"""Follow a run while it is trained: python -m keras_ae.watch runs/vae"""

from keras_ae import commandline

# between two looks at the folder
SECONDS = 2.0


def parser():
    parser = commandline.Parser("watch", "Print the epochs of a run as they end, until it ends; Ctrl-C only stops watching.")
    parser.add_argument("run", metavar="DIR", nargs="?", default="runs/vae", help="run folder, or a folder of runs: its newest")
    parser.add_argument("--once", action="store_true", help="print what there is, and end")
    return parser


def epochs_of(run, known):
    """Lines of the epochs of a run after the first `known`."""
    from keras_ae.training import callbacks

    experiment, rows = run.experiment(), run.history()
    second, has_posterior = experiment.second_stage.epochs, experiment.tables["latent"]["name"] != "point"
    for index, row in list(enumerate(rows))[known:]:
        stage = [other for other in rows[: index + 1] if other["stage"] == row["stage"]]
        # patience may have ended the first stage early
        first = experiment.training.epochs if row["stage"] == 1 else index + 1 - len(stage)
        stages = [(0, first), (first, first + second)][int(row["stage"]) - 1 :]
        left = callbacks.time_left(sum(other["seconds"] for other in stage) / len(stage), index, stages)
        yield callbacks.epoch_line(index + 1, first + second, row, has_posterior, row["seconds"], left)


def watch(arguments):
    import time

    from keras_ae.training import folders, results

    run, known = folders.find(arguments.run), 0
    print(*run.read_json("config")["data"]["summary"], f"pictures  {run.preview}, {run.tensorboard}", sep="\n", flush=True)
    while True:
        lives = run.in_use()
        for line in epochs_of(run, known):
            known += 1
            print(line, flush=True)
        if run.complete:
            print(results.summary(run, run.read_json("metrics")))
        elif not lives:
            print(f"no process trains in {run}; continue it with {run.resume_command}")
        if arguments.once or run.complete or not lives:
            return
        time.sleep(SECONDS)


def main(argv=None):
    commandline.run(parser(), watch, argv)


if __name__ == "__main__":
    main()
