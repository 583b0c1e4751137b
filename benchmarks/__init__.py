"""Timings side by side in one run, on one thread. A ratio is a claim; a time is not: machines differ, and are busy."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy reads it: a second thread beside a busy one spins
