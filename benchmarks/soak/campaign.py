"""The frame of a campaign: its temporary folder, its random numbers, the kinds of cases, and the loop over the cases of one."""

import dataclasses
import math
import os
import shutil
import subprocess
import threading
import time
import traceback
import zlib

import numpy as np
from tqdm import tqdm

from soak.table import Finding, Row

# planned counts are for so many minutes
FULL = 20
# patience with a kind of cases, as a multiple of its share of the minutes
PATIENCE = 1.5


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of cases. full: how many in FULL minutes. least: how many at least. share: part of the time of one core.

    body: campaign, index, rng, place (an empty folder) -> Finding, or an iterator of them.
    """

    name: str
    full: int
    least: int
    share: float
    body: object

    def wanted(self, minutes):
        return max(self.least, math.ceil(self.full * minutes / FULL))


class Campaign:
    """What all cases share. folder: holds everything that is written. Random numbers depend on seed, kind and index."""

    def __init__(self, folder, seed):
        self.folder, self.seed = folder, seed
        self.stopped = threading.Event()
        self.notes = {}
        home = folder / "home"
        for name in ("home", "tmp", "cases", "programs"):
            (folder / name).mkdir()
        # what Pillow would start for an EPS file leaves a trace
        self.ghostscript = folder / "ghostscript"
        program = folder / "programs" / "gs"
        program.write_text(f"#!/bin/sh\ntouch '{self.ghostscript}'\n")
        program.chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home),
            "TMPDIR": str(folder / "tmp"),
            "KERAS_AE_CACHE": str(folder / "cache"),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONUNBUFFERED": "1",
        }

    def rng(self, kind, index):
        return np.random.default_rng([self.seed, zlib.crc32(kind.encode()), index])

    def note(self, kind, text):
        """A line below the table, once for each text."""
        self.notes.setdefault(kind, {})[text] = None

    def clear(self, place):
        """Remove a folder, whatever is mounted in it."""
        for line in reversed(open("/proc/mounts").read().splitlines() if os.path.exists("/proc/mounts") else []):
            if line.split()[1].startswith(f"{place}/"):
                subprocess.run(["umount", "-l", line.split()[1]], check=False, capture_output=True)
        shutil.rmtree(place, ignore_errors=True)


def _findings(campaign, kind, index):
    """The findings of one case, which has a folder of its own while it lasts."""
    place = campaign.folder / "cases" / f"{kind.name.replace(' ', '_')}-{index}"
    place.mkdir()
    try:
        found = kind.body(campaign, index, campaign.rng(kind.name, index), place)
        yield from [found] if isinstance(found, Finding) else found
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"the soak failed: {type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"
        yield Finding("soak", text)
    finally:
        campaign.clear(place)


def run_kind(campaign, kind, minutes, only=None):
    """Cases of one kind until as many as planned are done, or the least when PATIENCE ends. only: index of a single case."""
    row = Row(kind.name, 1 if only is not None else kind.wanted(minutes))
    ends = time.monotonic() + PATIENCE * kind.share * minutes * 60
    index = only or 0
    with tqdm(total=row.wanted, desc=kind.name, disable=None, leave=False) as bar:
        while row.count < min(row.wanted, kind.least if time.monotonic() > ends else row.wanted):
            if campaign.stopped.is_set():
                break
            for finding in _findings(campaign, kind, index):
                row.add(index, finding)
                bar.update(finding.count)
            index += 1
            if only is not None:
                break
    if only is not None:
        row.wanted = row.count
    row.notes += campaign.notes.get(kind.name, ())
    return row
