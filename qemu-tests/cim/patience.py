"""How long tests wait for what must come, in seconds.

Such a limit only ends a hang: it is far beyond what a slow and busy machine takes, and no test says that something was quick. What
must happen before something else is asked in that order, and not timed.
"""

import time

# One answer: to a request, a connection, a login.
ANSWER = 150
# A job, a state, an indication, a line from a tiny guest.
PATIENCE = 240
# Linux from its start to its shell, and from its power button to its end.
BOOT = 480


def wait_until(holds, what, seconds=PATIENCE, pause=0.05):
    """The first thing that `holds` returns and that is true."""
    end = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s: {what() if callable(what) else what}")
        time.sleep(pause)
