"""Waiting for a condition with a deadline, never for a length of time."""

import time


def until(condition, seconds, what):
    """Calls `condition` until it returns something true, and returns that; fails with `what` after `seconds`.

    `what` may be a function, which is then asked when the time is up.
    """
    deadline = time.monotonic() + seconds
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
