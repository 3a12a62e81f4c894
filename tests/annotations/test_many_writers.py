"""Four processes write at once and are killed at random: what was acknowledged is there, and every file loads."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saewidgets.annotations import AnnotationStore, Target

RECORDS = 2_000
WRITERS = 4
KILLS = 4

# Writes records from a number on, and says each number once its call has returned.
WRITER = """
import sys
from saewidgets.annotations import AnnotationStore, Target

folder, writer, start, stop = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = AnnotationStore(folder, writer, refresh_every=None)
target = Target("feature", "gpt2", "h", "s", 0)
for n in range(start, stop):
    store.write([(target, {"add": {"tags": [f"{writer} {n}"]}})])
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def folder(tmp_path: Path):
    """In memory where there is such a place: kill -9 loses no page of the system's, and 8,000 syncs of a disk last."""
    memory = Path("/dev/shm")
    place = tmp_path if not os.access(memory, os.W_OK) else memory / f"saewidgets-{tmp_path.name}-{os.getpid()}"
    yield place
    for path in place.glob("*"):
        path.unlink()
    place.rmdir()


def start(folder: Path, log: Path, writer: int, first: int) -> subprocess.Popen:
    with log.open("ab") as out:
        command = [sys.executable, "-c", WRITER, str(folder), f"w{writer}", str(first), str(RECORDS)]
        return subprocess.Popen(command, stdout=out)


def acknowledged(log: Path) -> list[int]:
    """The numbers that were said; what the kill cut off of one is a smaller number, which was said too."""
    return [int(number) for number in log.read_text().split("\n")[:-1] if number]


def test_nothing_acknowledged_is_lost(folder, tmp_path):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    logs = [tmp_path / f"log{writer}" for writer in range(WRITERS)]
    # How many bytes of its log each writer has written when it is killed: far from its start, which takes a second.
    plans = [sorted(chance.sample(range(100, 4 * RECORDS), KILLS), reverse=True) for _ in range(WRITERS)]
    running = {writer: start(folder, logs[writer], writer, 0) for writer in range(WRITERS)}
    killed = 0
    while running:
        for writer, process in list(running.items()):
            size = logs[writer].stat().st_size
            if plans[writer] and size >= plans[writer][-1]:
                plans[writer] = [later for later in plans[writer] if later > size + 50]
                process.send_signal(signal.SIGKILL)
            elif process.poll() is None:
                continue
            if process.wait() == 0:
                del running[writer]
                continue
            assert process.returncode == -signal.SIGKILL
            killed += 1
            said = acknowledged(logs[writer])
            with logs[writer].open("ab") as out:
                out.write(b"\n")  # a number that was cut off by the kill gets an end of its own
            running[writer] = start(folder, logs[writer], writer, max(said) + 1)
        time.sleep(0.001)
    store = AnnotationStore(folder)
    there = set(store.annotation(Target("feature", "gpt2", "h", "s", 0)).tags)
    lost = {f"w{writer} {n}" for writer in range(WRITERS) for n in acknowledged(logs[writer])} - there
    files = len(list(folder.glob("*.jsonl")))
    print(f"{len(there)} records of {WRITERS} writers, {killed} killed, {files} files, {len(store.problems)} torn ends")
    assert lost == set(), f"seed {seed}"
    assert len(there) == WRITERS * RECORDS
    assert killed > WRITERS
    assert files == WRITERS + killed  # each was killed after it had begun to write
    assert all("the last line has no end" in problem.reason for problem in store.problems)
    assert len(store.problems) <= killed
