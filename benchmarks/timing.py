"""Seconds of calls and of fresh processes."""

import os
import statistics
import subprocess
import sys
import time


def timed(function):
    """Seconds that one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def wall_time(*arguments):
    """Seconds of a fresh Python process: the median of five."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *arguments]

    def run():
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    run()
    return statistics.median(timed(run) for _ in range(5))
