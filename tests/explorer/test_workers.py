"""All images are computed in workers: one computation for all who ask, kept for those who ask again, dropped when nobody waits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

SENT = """const sent = [], post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, ...more) { sent.push(message); post.call(this, message, ...more); };
    const asks = what => sent.filter(message => message.path?.join() === what);
    const {models: [model], images, evaluators, lab: {workers}} = microscope, [layer] = model.data.layers;
    const own = most => new evaluators[0].constructor(0, model, images, workers, most);
    const cut = unit => new Map([[layer, new Map([[unit, {kind: 'zero'}]])]]);"""
"""Listens to what the page sends its workers, as Comlink's messages."""


@pytest.fixture
def page(explorer: Path, opened: Callable[..., Page]) -> Page:
    tab = opened(explorer)
    tab.locator(".cost[data-accuracy]").last.wait_for()
    return tab


def test_what_two_ask_for_is_computed_once_and_kept(page: Page) -> None:
    same, shares, first, after = page.evaluate(
        f"""async () => {{ {SENT}
            const evaluator = own();
            const [one, other] = await Promise.all([evaluator.answers(1, cut(2)), evaluator.answers(1, cut(2))]);
            const first = asks('found').length;
            await evaluator.answers(1, cut(2));
            const again = new workers.constructor(microscope.models, images);
            const shares = asks('start').map(message => message.argumentList[1].value.count);
            return [one === other, shares, first, asks('found').length]; }}"""
    )
    assert same
    assert sum(shares) == 300
    assert max(shares) - min(shares) <= 1
    assert first == after == len(shares)  # one message to each worker


def test_results_beyond_the_limit_are_dropped_the_oldest_first(page: Page) -> None:
    kept, again = page.evaluate(
        f"""async () => {{ {SENT}
            const evaluator = own(1000);
            for (let unit = 0; unit < 6; unit++) await evaluator.answers(1, cut(unit));
            const start = asks('found').length, kept = evaluator.asked.size;
            await evaluator.answers(1, cut(5));
            const middle = asks('found').length;
            await evaluator.answers(1, cut(0));
            return [kept, [middle - start, asks('found').length - middle > 0]]; }}"""
    )
    assert kept == 3  # of 300 predictions each
    assert again == [0, True]


def test_a_request_that_nobody_waits_for_is_withdrawn_and_can_be_made_again(page: Page) -> None:
    reason, withdrawn, shared, again, other = page.evaluate(
        f"""async () => {{ {SENT}
            const evaluator = own(), stop = new AbortController(), both = new AbortController();
            const gone = evaluator.answers(1, cut(3), stop.signal).catch(error => error.name);
            stop.abort();
            const withdrawn = asks('cancel').length > 0;
            const waits = evaluator.answers(2, cut(3)), left = evaluator.answers(2, cut(3), both.signal).catch(error => error.name);
            both.abort(); // the other still waits
            return [await gone, withdrawn, [await left, (await waits).loss], (await evaluator.answers(1, cut(3))).loss,
                (await evaluators[0].answers(1, cut(3))).loss]; }}"""
    )
    assert reason == shared[0] == "AbortError"
    assert withdrawn
    assert shared[1] > 0
    assert again == other


def test_a_problem_in_a_worker_reaches_who_asked(page: Page) -> None:
    said = page.evaluate(
        f"""async () => {{ {SENT}
            const evaluator = own(), problem = await evaluator.answers(99, cut(0)).catch(error => error.message);
            return [problem, (await evaluator.answers(3, cut(0))).right > 0]; }}"""
    )
    assert "undefined" in said[0]
    assert said[1]


def test_a_worker_serves_every_network_and_is_given_only_the_snapshots_asked_for(page: Page) -> None:
    started, sent = page.evaluate(
        f"""async () => {{ {SENT}
            const team = new workers.constructor(microscope.models, images);
            const evaluator = new evaluators[0].constructor(0, model, images, team);
            for (const unit of [1, 2]) await evaluator.answers(2, cut(unit));
            const [networks] = asks('start')[0].argumentList;
            return [networks.value.map(one => one.weights.length),
                asks('take').map(message => message.argumentList.slice(0, 2).map(one => one.value).concat(team.all.length))]; }}"""
    )
    assert started == [0, 0]  # both networks, without a snapshot
    assert sent == [[0, 2, sent[0][2]]] * sent[0][2]
