"""A disk that is full: a small one in memory where the system lets us mount it, else a limit on the size of files."""

import resource
import subprocess

from soak import commands
from soak.kills import summary
from soak.table import Finding
from soak.training import complete, copy_of_cache, generated

KIND = "full disk"


def mounted(place, kibibytes):
    """Whether a disk of so many KiB could be mounted at `place`. `Campaign.clear` unmounts it."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(place)]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def full(campaign, index, rng, place):
    """A command whose run, cache, export or pictures do not fit: one line and nothing half-written; with room, it goes on."""
    training, disk = campaign.training, place / "disk"
    what = ("run", "export", "cache", "pictures")[index % 4]
    kibibytes = int(2 ** rng.uniform(4, 10 if what == "pictures" else 11.5))
    on_disk = mounted(disk, kibibytes)
    out = disk / {"export": "export", "pictures": "drawn"}.get(what, "run")
    cache = disk / "cache" if what == "cache" else copy_of_cache(campaign, place)
    run = place / "run" if what == "cache" else out
    words = {
        "export": ["export", "--model", training.run, "--out", out],
        "pictures": ["generate", "--model", campaign.exports / "plain", "--n", "1000", "--separate", "--out", out],
    }.get(what, training.words(run))
    command = commands.Command(campaign, words, place, cache)
    if not on_disk:
        campaign.note(KIND, "no small disk could be mounted: the size of files was limited instead")
        try:
            resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (64 * kibibytes, 64 * kibibytes))
        except (OSError, ValueError, AttributeError) as error:
            command.wait()
            campaign.note(KIND, f"skipped: neither a small disk nor limits of files ({error})")
            return Finding("skipped", count=1)
    outcomes = [command.wait()]
    wrong = outcomes[0].wrong(place)
    if on_disk:
        subprocess.run(["mount", "-o", "remount,size=1g", str(disk)], check=False, capture_output=True)
    if not wrong and what in ("run", "cache"):
        wrong, more = complete(campaign, run, place, cache)
    else:
        more = [commands.run(campaign, words, place, cache)]
        wrong = wrong or more[0].wrong(place, statuses=(0,))
    if not wrong and what == "export":
        wrong, drawn = generated(campaign, out, place, training.folder / "export.png")
        more.append(drawn)
    return Finding(f"{what}, {kibibytes} KiB", wrong, **summary(outcomes + more))
