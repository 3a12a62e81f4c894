import sys
import threading

import pytest

from saewidgets.widgets.hurry import TURN, hurry
from saewidgets.widgets.worker import Job, Worker


@pytest.fixture(autouse=True)
def usual():
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.004)
    yield 0.004
    assert sys.getswitchinterval() == pytest.approx(0.004, rel=0.05)
    sys.setswitchinterval(before)


def test_as_usual_once_the_last_work_has_ended(usual):
    one, other = object(), object()
    hurry.begin(one)
    hurry.begin(other)
    hurry.begin(one)
    hurry.end(one)
    assert sys.getswitchinterval() == pytest.approx(TURN, rel=0.05)
    hurry.end(one)
    assert sys.getswitchinterval() == pytest.approx(TURN, rel=0.05)
    hurry.end(other)
    assert sys.getswitchinterval() == pytest.approx(usual, rel=0.05)


def test_turns_that_are_shorter_stay():
    sys.setswitchinterval(0.0001)
    hurry.begin(1)
    assert sys.getswitchinterval() == pytest.approx(0.0001, rel=0.05)
    hurry.end(1)
    assert sys.getswitchinterval() == pytest.approx(0.0001, rel=0.05)
    sys.setswitchinterval(0.004)


def test_from_the_stop_of_a_job_to_its_end(usual):
    worker, begun, seen = Worker(), threading.Event(), []
    worker.start()

    def work(job: Job) -> None:
        begun.set()
        while not job.stopping:
            pass
        while sys.getswitchinterval() > 2 * TURN:
            pass
        seen.append(sys.getswitchinterval())
        job.check()

    job = worker.post(Job("view", "run", work))
    assert begun.wait(30)
    job.stop()
    job.wait()
    assert seen == [pytest.approx(TURN, rel=0.05)]
    assert sys.getswitchinterval() == pytest.approx(usual, rel=0.05)
    job.stop()  # too late
    assert sys.getswitchinterval() == pytest.approx(usual, rel=0.05)
    worker.end()


def test_a_job_that_waits_needs_no_hurry(usual):
    job = Job("view", "run", lambda job: None)
    job.stop()
    assert sys.getswitchinterval() == pytest.approx(usual, rel=0.05)
    job.run()
    assert job.state == "stopped"
