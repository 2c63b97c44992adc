"""Several processes at once: on one run, one cache, one export; an export and a folder that change while they are read."""

import shutil
import threading
import time

from soak import commands
from soak.kills import summary
from soak.mutations import mutated
from soak.table import Finding
from soak.training import copy_of_cache, difference, generated
from soak.workers import Worker


def _first_wrong(*texts):
    return next((text for text in texts if text), "")


def on_one_run(campaign, index, rng, place):
    """Two trainings in one folder, begun up to some seconds apart: one of them trains, the other says so."""
    training, out, cache = campaign.training, place / "run", copy_of_cache(campaign, place)
    delay = rng.uniform(0, training.seconds["train"]) if index % 2 else rng.uniform(0, 0.3)
    first = commands.Command(campaign, training.words(out), place, cache)
    first.sleep(delay)
    more = ["--resume"] if (out / "config.json").exists() else []
    second = commands.Command(campaign, training.words(out, *more), place, cache)
    outcomes = [first.wait(), second.wait()]
    wrong = _first_wrong(*(outcome.wrong(place) for outcome in outcomes))
    if not wrong and 0 not in (outcome.status for outcome in outcomes):
        wrong = f"neither trained: {outcomes[0].errors}, {outcomes[1].errors}"
    wrong = wrong or difference(out, training.run)
    return Finding(f"the second {delay:.2f} s after the first", wrong, **summary(outcomes))


def on_one_cache(campaign, index, rng, place):
    """Two trainings that need the same cache, which is not there yet: both end as one alone."""
    training, cache = campaign.training, place / "cache"
    runs = [place / "run1", place / "run2"]
    first = commands.Command(campaign, training.words(runs[0]), place, cache)
    delay = rng.uniform(0, 0.5)
    first.sleep(delay)
    outcomes = [first, commands.Command(campaign, training.words(runs[1]), place, cache)]
    outcomes = [command.wait() for command in outcomes]
    wrong = _first_wrong(*(outcome.wrong(place, statuses=(0,)) for outcome in outcomes))
    wrong = wrong or _first_wrong(*(difference(run, training.run) for run in runs))
    return Finding(f"the second {delay:.2f} s after the first", wrong, **summary(outcomes))


def on_one_export(campaign, index, rng, place):
    """Two exports into one folder: at least one succeeds, and what is there is whole."""
    training, out = campaign.training, place / "export"
    words = ["export", "--model", training.run, "--out", out]
    first = commands.Command(campaign, words, place)
    delay = rng.uniform(0, 1.0)
    first.sleep(delay)
    outcomes = [command.wait() for command in (first, commands.Command(campaign, words, place))]
    wrong = _first_wrong(*(outcome.wrong(place) for outcome in outcomes))
    if not wrong and 0 not in (outcome.status for outcome in outcomes):
        wrong = f"neither exported: {outcomes[0].errors}, {outcomes[1].errors}"
    drawn, outcome = generated(campaign, out, place, training.folder / "export.png")
    return Finding(f"the second {delay:.2f} s after the first", wrong or drawn, **summary([*outcomes, outcome]))


def replaced(campaign, index, rng, place):
    """An export is replaced by another and back, in a loop, while it is read: one of both, or one line; never a mixture."""
    seconds, folder = 20, place / "export"
    sources = [str(campaign.exports / name) for name in ("plain", "other")]
    shutil.copytree(sources[0], folder)
    writer, reader = Worker(campaign, "exports"), Worker(campaign, "exports")
    said = {}
    loop = threading.Thread(
        target=lambda: said.update(writer.ask(60, function="replace", folder=str(folder), sources=sources, seconds=seconds))
    )
    command = ["generate", "--model", folder, "--n", "4", "--out", place / "a.png"]
    try:
        loop.start()
        running = commands.Command(campaign, command, place)
        ends, reads, wrong = time.monotonic() + seconds, 0, ""
        while time.monotonic() < ends and not wrong and not campaign.stopped.is_set():
            answer = reader.ask(60, function="compare", folder=str(folder), intact=sources)
            reads, wrong = reads + 1, answer.get("wrong", "")
        outcome = running.wait()
        loop.join()
        wrong = _first_wrong(wrong, said.get("wrong", ""), outcome.wrong(place))
        return Finding(f"read {reads} times, {said.get('answer')}", wrong, **summary([outcome]))
    finally:
        writer.close()
        reader.close()


def changing_folder(campaign, index, rng, place):
    """A folder of pictures in which files appear, disappear and are cut while a command reads it."""
    training, folder = campaign.training, place / "cats"
    shutil.copytree(training.pictures, folder)
    paths, ended = sorted(folder.iterdir()), threading.Event()

    def change():
        while not ended.is_set():
            path = paths[int(rng.integers(len(paths)))]
            kind = int(rng.integers(4))
            if kind == 0:
                path.unlink(missing_ok=True)
            elif kind == 1 and path.exists():
                path.write_bytes(mutated(path.read_bytes() or b"x", rng)[0])
            elif kind == 2:
                path.rename(folder / f"new{rng.integers(10**9)}.png") if path.exists() else None
            else:
                shutil.copyfile(training.pictures / path.name, path)
            ended.wait(0.02)

    verb = ("train", "score", "embed", "reconstruct")[index % 4]
    out = place / {"score": "a.csv", "reconstruct": "a.png"}.get(verb, "out")
    words = [verb, "--model", campaign.exports / "plain", "--data", folder, "--out", out]
    if verb == "train":
        words = ["train", training.file, "--data", folder, "--out", out, "--set", "refinement.epochs=0"]
    changing = threading.Thread(target=change)
    changing.start()
    try:
        outcome = commands.run(campaign, words, place, place / "cache")
    finally:
        ended.set()
        changing.join()
    return Finding(verb, outcome.wrong(place, place / "cache"), **summary([outcome]))


def eight_at_once(campaign, index, rng, place):
    """Eight commands on one export: each does what it does alone."""
    training, model = campaign.training, ["--model", campaign.exports / "plain"]
    data = ["--data", training.pictures]
    pictures = [training.pictures / f"{number}.png" for number in (0, 1)]
    words = [["generate", *model, "--n", "4", "--out", place / f"{number}.png"] for number in range(4)]
    words += [["score", *model, *data, "--out", place / "score.csv"], ["embed", *model, *data, "--out", place / "codes"]]
    words += [["reconstruct", *model, *data, "--out", place / "r.png"]]
    words += [["interpolate", *model, *pictures, "--out", place / "i.gif"]]
    running = [commands.Command(campaign, one, place, place / "cache") for one in words]
    outcomes = [command.wait() for command in running]
    wrong = _first_wrong(*(outcome.wrong(place, statuses=(0,)) for outcome in outcomes))
    if not wrong and any((place / f"{number}.png").read_bytes() != training.picture.read_bytes() for number in range(4)):
        wrong = "another picture"
    return Finding("four draw, one scores, embeds, reconstructs, interpolates", wrong, **summary(outcomes))
