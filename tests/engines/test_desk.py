from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stages.core.errors import UserError
from stages.engines.desk import CHUNK, StoreDesk, replay
from stages.engines.fulfil import single
from stages.engines.request import Completion, Job, Request
from stages.engines.store import Store
from tests.engines.teacher_server import asks


def fine(text: str = "fine", spent: int = 3, finish: str = "stop", logs: str = "") -> Completion:
    return Completion(text, finish, 5, spent, "", "", logs)


def chained(request: Request) -> Job[str]:
    first = yield request
    second = yield replace(request, messages=(("user", f"then {first.text}"),))
    return second.text


def served(desk: StoreDesk, **completions: Completion) -> list[Request]:
    """What is asked when all that is asked is answered at once, `fine` where nothing is said."""
    asked = []
    while request := desk.next():
        asked.append(request)
        desk.deliver([(request, completions.get(request.messages[-1][1], fine()))])
    return asked


def test_jobs_are_pulled_only_as_far_as_answers_are_missing(store: Store) -> None:
    pulled = 0

    def jobs() -> Iterator[Job[Completion]]:
        nonlocal pulled
        for request in asks(5 * CHUNK):
            pulled += 1
            yield single(request)

    store.put_many([(request, fine()) for request in asks(2 * CHUNK)])
    desk = StoreDesk(jobs(), store)
    assert pulled == 0
    first = desk.peek()
    assert first == asks(1, start=2 * CHUNK)[0]
    assert (pulled, desk.held, desk.done) == (3 * CHUNK, 2 * CHUNK, 2 * CHUNK)
    for _ in range(CHUNK):
        desk.next()
    assert pulled == 3 * CHUNK
    desk.next()
    assert pulled == 4 * CHUNK


def test_what_is_asked_twice_is_handed_out_once_and_serves_both(store: Store) -> None:
    wanted = [*asks(2), *asks(2)]
    desk = StoreDesk(map(single, wanted), store)
    assert served(desk) == asks(2)
    assert (desk.done, desk.held) == (4, 0)
    assert [made.text for made in replay(map(single, wanted), store)] == ["fine"] * 4


def test_a_later_call_is_handed_out_once_the_one_before_is_durable(store: Store) -> None:
    desk = StoreDesk(map(chained, asks(2)), store)
    first, second = desk.next(), desk.next()
    assert first and second and desk.next() is None
    desk.deliver([(first, fine("one"))])
    assert store.get_many([first]) == [fine("one")]
    third = desk.next()
    assert third and third.messages == (("user", "then one"),)
    assert desk.done == 0
    desk.deliver([(third, fine("two")), (second, fine("one"))])
    # the later call of the second is the same request, which is held now
    assert (desk.next(), desk.done, desk.held) == (None, 2, 1)
    assert list(replay(map(chained, asks(2)), store)) == ["two", "two"]


def test_a_request_that_is_given_up_ends_what_depends_on_it(store: Store) -> None:
    desk = StoreDesk([chained(request) for request in [*asks(2), *asks(1)]], store)
    first = desk.next()
    assert first
    desk.drop(first)
    assert len(served(desk)) == 2
    assert (desk.dropped, desk.done) == (1, 1)


def test_an_answer_without_log_probabilities_serves_none_who_wants_them(store: Store) -> None:
    plain, more = asks(1) + asks(1, top_logprobs=2)
    desk = StoreDesk(map(single, [plain, more, plain]), store)
    assert served(desk) == [plain, more]
    assert desk.done == 3
    assert len(list(replay(map(single, [plain, more, plain]), store))) == 3


def test_an_answer_with_log_probabilities_serves_who_needs_none(store: Store) -> None:
    plain, more = asks(1) + asks(1, top_logprobs=2)
    desk = StoreDesk(map(single, [more, plain]), store)
    assert served(desk, q0=fine(logs='[["fine",-0.5,[]]]')) == [more]
    assert [made.logprobs for made in replay(map(single, [plain, more]), store)] == [
        '[["fine",-0.5,[]]]'
    ] * 2


def test_a_recorded_error_is_no_better_with_log_probabilities(store: Store) -> None:
    plain, more = asks(1) + asks(1, top_logprobs=2)
    desk = StoreDesk(map(single, [plain, more]), store)
    assert served(desk, q0=Completion("", "error", 0, 0, "HTTP 400: no")) == [plain]
    assert desk.done == 2


def test_one_key_under_two_limits(store: Store) -> None:
    low, high = asks(1, max_tokens=8) + asks(1, max_tokens=64)
    desk = StoreDesk(map(single, [low, high]), store)
    assert served(desk, q0=fine("cut", 8, "length")) == [low, high]
    assert desk.done == 2


def test_an_answer_that_another_process_stored_first_is_the_one_that_counts(store: Store) -> None:
    desk = StoreDesk(map(chained, asks(1)), store)
    first = desk.next()
    assert first
    with Store(store.path) as beside:
        beside.put_many([(first, fine("theirs"))])
    desk.deliver([(first, fine("ours"))])
    second = desk.next()
    assert second and second.messages == (("user", "then theirs"),)
    desk.deliver([(second, fine("end"))])
    assert list(replay(map(chained, asks(1)), store)) == ["end"]


def test_refresh_finds_what_came_in_beside_this_process(store: Store) -> None:
    desk = StoreDesk(map(single, asks(4)), store)
    under_way = desk.next()
    with Store(store.path) as beside:
        beside.put_many([(request, fine()) for request in asks(3)])
    desk.refresh()
    assert desk.peek() == asks(1, start=3)[0]
    assert (desk.held, desk.done) == (2, 2), "what is under way is waited for"
    assert under_way
    desk.deliver([(under_way, fine())])
    assert desk.done == 3


def test_jobs_that_ask_nothing(store: Store) -> None:
    def idle() -> Job[str]:
        return "made of nothing"
        yield

    desk = StoreDesk([idle(), single(asks(1)[0]), idle()], store)
    assert served(desk) == asks(1)
    assert desk.done == 3
    assert list(replay([idle(), idle()], store)) == ["made of nothing"] * 2


def test_a_replay_of_what_is_not_held(store: Store) -> None:
    with pytest.raises(LookupError) as caught:
        list(replay(map(single, asks(1)), store))
    assert str(caught.value) == f"no completion is held for the request {asks(1)[0].key}"


def test_answers_are_kept_though_what_is_made_of_them_fails(store: Store, tmp_path: Path) -> None:
    def broken(request: Request) -> Job[str]:
        yield request
        raise ValueError("a bug")

    desk = StoreDesk(map(broken, asks(1)), store)
    request = desk.next()
    assert request
    with pytest.raises(ValueError, match="a bug"):
        desk.deliver([(request, fine())])
    assert store.get_many([request]) == [fine()]


def test_a_full_disk_leaves_the_desk_as_it_was(store: Store) -> None:
    desk = StoreDesk(map(single, asks(1)), store)
    request = desk.next()
    assert request
    store.db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(UserError, match="E601 no space left on the disk"):
        desk.deliver([(request, fine("x" * 100_000))])
    store.db.execute("PRAGMA max_page_count = 10000")
    desk.deliver([(request, fine())])
    assert desk.done == 1
