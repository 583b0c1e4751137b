"""Timings side by side in one run, on one thread. A ratio is a claim; a time is not: machines differ, and are busy."""
