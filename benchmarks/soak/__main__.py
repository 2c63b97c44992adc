"""Repeat the campaign of docs/reliability.md: python benchmarks/soak [--minutes 20] [--seed S] [--only KIND:INDEX] [--keep]

Every case draws its random numbers from the seed, its kind and its index. Two cases run at a time. Exit status 1 if anything
fell short.
"""

import argparse
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).parents[1])

from soak import commands, disks, experiments, exports, kills, pictures, together, workers  # noqa: E402  after the path is set
from soak.campaign import Campaign, Kind, run_kind  # noqa: E402
from soak.table import Row, explanations, markdown  # noqa: E402
from soak.training import Training  # noqa: E402
from soak.workers import Worker  # noqa: E402

CORES = 2
# kinds of cases that need neither a run nor an export
ALONE = {"pictures", "experiment files"}


def kinds():
    """All kinds of cases, the long ones first. Shares are of the time of one core; they add up to CORES."""
    return [
        Kind("kill -9", 40, 2, 0.75, kills.killed),
        Kind("pictures", 3000, 50, 0.3, pictures.Pictures()),
        Kind("experiment files", 3000, 50, 0.06, experiments.Experiments()),
        Kind("cards", 500, 10, 0.12, exports.Damaged(exports.damage_card)),
        Kind("SavedModels", 500, 10, 0.12, exports.Damaged(exports.damage_file)),
        Kind("Ctrl-C and SIGTERM", 12, 1, 0.15, kills.interrupted),
        Kind(disks.KIND, 8, 1, 0.1, disks.full),
        Kind("commands on odd pictures", 8, 1, 0.05, pictures.on_an_odd_folder),
        Kind("commands on damaged exports", 10, 1, 0.05, exports.used),
        Kind("commands on odd experiments", 16, 1, 0.1, experiments.trained),
        Kind("two on one run", 2, 1, 0.04, together.on_one_run),
        Kind("two on one cache", 2, 1, 0.05, together.on_one_cache),
        Kind("two on one export", 2, 1, 0.03, together.on_one_export),
        Kind("export replaced while read", 2, 1, 0.03, together.replaced),
        Kind("folder changed while read", 4, 1, 0.03, together.changing_folder),
        Kind("eight commands at once", 2, 1, 0.02, together.eight_at_once),
    ]


def parser():
    parser = argparse.ArgumentParser(prog="python benchmarks/soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20, help="length on 2 cores; counts scale with it (default: 20)")
    parser.add_argument("--seed", type=int, help="seed of everything random (default: from the clock)")
    parser.add_argument("--only", metavar="KIND[:INDEX]", help="one kind of cases, or one case that the end names")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    return parser


def in_threads(campaign, functions):
    """Run functions at the same time; if this is interrupted, their processes are killed."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.2)
    except BaseException:
        campaign.stopped.set()
        while any(thread.is_alive() for thread in threads):
            commands.end_all()
            workers.end_all()
            time.sleep(0.2)
        raise


def prepare(campaign):
    """The uninterrupted run and the intact exports. Whoever cannot train needs no campaign: SystemExit."""
    campaign.exports = campaign.folder / "exports"
    campaign.training = Training(campaign.folder / "training")
    made = {}

    def make_exports():
        worker = Worker(campaign, "exports")
        made.update(worker.ask(240, function="make_exports", folder=str(campaign.exports)))
        worker.close()
        if "wrong" not in made:
            campaign.training.generate_plain(campaign)

    in_threads(campaign, [lambda: campaign.training.train_whole(campaign), make_exports])
    wrong = [made.get("wrong")] + [outcome.wrong(statuses=(0,)) for outcome in campaign.training.outcomes]
    if any(wrong):
        sys.exit(f"without any damage, keras_ae does not work: {next(filter(None, wrong))}")


def run_all(campaign, chosen, minutes, index):
    """The rows of all kinds, of which two run at a time; none begins after one and a half times the minutes."""
    waiting, rows = queue.Queue(), {}
    for kind in chosen:
        waiting.put(kind)
    ends = time.monotonic() + 1.5 * minutes * 60

    def work():
        while not campaign.stopped.is_set():
            try:
                kind = waiting.get_nowait()
            except queue.Empty:
                return
            late = time.monotonic() > ends
            rows[kind.name] = Row(kind.name, kind.wanted(minutes)) if late else run_kind(campaign, kind, minutes, index)

    in_threads(campaign, [work] * CORES)
    return [rows[kind.name] for kind in chosen if kind.name in rows]


def main():
    arguments = parser().parse_args()
    seed = arguments.seed if arguments.seed is not None else time.time_ns() % 2**31
    chosen, index = kinds(), None
    if arguments.only:
        name, _, number = arguments.only.partition(":")
        chosen, index = [kind for kind in chosen if kind.name == name], int(number) if number else None
        if not chosen:
            parser().error(f"unknown kind '{name}'; choose one of {', '.join(kind.name for kind in kinds())}")
    # a shell that starts this in the background has it ignore Ctrl-C, which commands would inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="keras_ae-soak-"))
    campaign, began = Campaign(folder, seed), time.monotonic()
    print(f"seed {seed}, {arguments.minutes:g} minutes on {CORES} cores, in {folder}", flush=True)
    try:
        if not {kind.name for kind in chosen} <= ALONE:
            prepare(campaign)
        # the last ones may not fit into a short campaign: other seeds, others
        campaign.rng("order", 0).shuffle(tail := chosen[5:])
        rows = run_all(campaign, chosen[:5] + tail, arguments.minutes, index)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        workers.end_all()
        if not arguments.keep:
            campaign.clear(folder)
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{markdown(rows)}\n\nseed {seed}, {(time.monotonic() - began) / 60:.1f} minutes")
    for line in explanations(rows, seed):
        print(line)
    sys.exit(any(row.shortfalls for row in rows))


if __name__ == "__main__":
    main()
