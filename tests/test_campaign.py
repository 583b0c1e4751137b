"""The campaign in small: every document damaged some times, by the seeds of `make campaign`; and the page that it makes."""

from __future__ import annotations

import random
import re
import resource
from pathlib import Path

import pytest
from campaign import examples, kills, mutations, page, workers
from campaign.documents import DOCUMENTS

import crashing
from neural_microscope.training import Observer

CASES = 8
FOUND = [("run.json, resealed", 414, 1), ("commits.jsonl, resealed", 760, 1)]
"""Cases that failed once."""


def test_no_damaged_document_is_read_as_another_or_ends_in_a_foreign_error() -> None:
    assert crashing.CONTEXT  # its fork server has everything imported
    chosen = [name for name, document in DOCUMENTS.items() if document.seconds < 10]  # not whole pages
    tallies = workers.campaign([*((name, 0, CASES) for name in chosen), *FOUND])
    assert [str(failure) for tally in tallies.values() for failure in tally.failures] == []
    assert all(sum(tally.counts.values()) >= CASES for tally in tallies.values())
    assert sum(tally.counts["error"] for tally in tallies.values()) > CASES * len(chosen) // 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_case_does_not_depend_on_the_cases_before_it() -> None:
    """Values that cases shared once grew, until one document held itself and a case never ended."""
    values = [mutations.strange(None, random.Random(seed)) for seed in range(200)]
    parts = [one for value in values for one in mutations._parts(value)]
    assert len(parts) > 20
    assert len({id(one) for one in parts}) == len(parts)


def test_a_limit_on_processor_time_ends_with_the_reading() -> None:
    """Otherwise the campaign's own work counts, and the case is called a hang."""
    before = resource.getrlimit(resource.RLIMIT_CPU)
    with workers._limited(2):
        assert resource.getrlimit(resource.RLIMIT_CPU) != before
    assert resource.getrlimit(resource.RLIMIT_CPU) == before


@pytest.mark.usefixtures("undrawn")  # in the forks too
def test_each_command_is_killed_at_a_file_event_and_goes_on(tmp_path: Path) -> None:
    examples.write(tmp_path / "recorded")
    for name, command in kills.commands(kills.Pages(tmp_path / "recorded")).items():
        if command.quick:
            command.quick(tmp_path, Observer())
        one = kills.Killing(name, command, tmp_path)
        assert all(one.at_event(number) for number in (1, 4, 8))
        assert not one.at_event(10_000)
        assert (one.outcome.events, one.outcome.problems) == (3, [])


def test_the_page_says_what_was_tried() -> None:
    text = page.PAGE.read_text("utf-8")
    found = re.search(r"\*\*([\d,]+) damaged documents were read, and writers were killed ([\d,]+) times", text)
    assert found
    tried, killed = (int(number.replace(",", "")) for number in found.groups())
    assert tried > 10_000
    assert killed > 100
    assert re.findall(r"\| [\d-]{10} \| \d+ \| \d+ \| [\d.]+ \| `[0-9a-f]{64}` \|", text)
    for command in ("train", "resume", "population", "report", "explore"):
        row = re.search(rf"^\| {command} \| (\d+) \| (\d+)", text, re.MULTILINE)
        assert row
        assert int(row[1]) >= 25
        assert int(row[2]) > 0
    for document in DOCUMENTS:
        assert f"| {document} |" in text


def test_the_page_says_as_much_as_was_to_be_tried() -> None:
    text = page.PAGE.read_text("utf-8")
    tried, killed = re.search(r"\*\*([\d,]+) damaged .* killed ([\d,]+) times", text).groups()  # type: ignore[union-attr]
    assert int(tried.replace(",", "")) >= 100_000
    assert int(killed.replace(",", "")) >= 200
    assert all(f"| {command} |" in text for command in ("sweep", "demo"))
