from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import pytest

from stages.engines.fulfil import fulfil, single
from stages.engines.request import Completion, Deliver, Job, Request
from stages.engines.store import Store
from tests.engines.helpers import answer, silent


class Batches:
    """Generates whole batches of two over all requests, as the local engine does."""

    endpoint, model = "local", "m@1"

    def __init__(self, finish: str = "stop") -> None:
        self.asked: list[str] = []
        self.finish = finish

    def complete(
        self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
    ) -> None:
        for start in range(0, len(requests), 2):
            batch = requests[start : start + 2]
            if any(request.key in missing for request in batch):
                self.asked += [request.messages[-1][1] for request in batch]
                deliver([(item, Completion("new", self.finish, 5, 3)) for item in batch])


def ask(question: str, max_tokens: int = 64, system: str = "Think.") -> Request:
    return Request("local", "m@1", (("system", system), ("user", question)), max_tokens)


def test_each_request_once_and_the_second_run_is_free(tmp_path: Path) -> None:
    engine, seen = Batches(), []
    wanted = [ask("a"), ask("b"), ask("a"), ask("c")]
    with Store(tmp_path / "s") as store:
        first = answer(wanted, engine, store, lambda *now: seen.append(now))
        again = answer(reversed(wanted), engine, store)
    assert engine.asked == ["a", "b", "c"]
    assert seen == [(0, 4, 0), (2, 4, 6), (3, 4, 9), (4, 4, 9)]
    assert (first.held, first.generated) == (0, 3)
    assert (again.held, again.generated) == (3, 0)
    assert list(first.completions) == [ask(name).key for name in "abc"]
    assert again.completions == first.completions


def test_held_answers_that_an_engine_makes_again_do_not_count(tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []
    with Store(tmp_path / "s") as store:
        store.put_many([(ask("a"), Completion("held", "stop", 5, 1))])
        result = answer([ask("a"), ask("b")], Batches(), store, lambda *now: seen.append(now))
    assert {key: item.text for key, item in result.completions.items()} == {
        ask("a").key: "held",
        ask("b").key: "new",
    }
    assert (result.held, result.generated) == (1, 1)
    assert seen == [(1, 2, 0), (2, 2, 3)]


def test_a_changed_system_message_is_another_request(tmp_path: Path) -> None:
    engine = Batches()
    with Store(tmp_path / "s") as store:
        answer([ask("a")], engine, store)
        result = answer([ask("a", system="Think hard.")], engine, store)
    assert result.generated == 1


def test_a_raised_limit_asks_only_what_was_cut_short(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        answer([ask("long")], Batches("length"), store)
        answer([ask("short")], Batches("stop"), store)
        engine = Batches()
        wanted = [ask("long", 128), ask("short", 128)]
        assert answer(wanted, engine, store).generated == 1
        assert answer(wanted, engine, store).generated == 0


def test_one_key_under_two_limits_is_asked_under_the_higher(tmp_path: Path) -> None:
    engine = Batches()
    with Store(tmp_path / "s") as store:
        assert answer([ask("a", 64), ask("a", 128)], engine, store).generated == 1


def test_an_answer_too_long_for_the_lower_limit_is_asked_for_twice(tmp_path: Path) -> None:
    engine = Batches("length")
    with Store(tmp_path / "s") as store:
        assert answer([ask("a", 64), ask("a", 128)], engine, store).generated == 2


def test_the_first_of_two_processes_to_store_an_answer_wins(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store, Store(tmp_path / "s") as beside:

        class Slow(Batches):
            def complete(
                self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
            ) -> None:
                beside.put_many([(ask("a"), Completion("theirs", "stop", 5, 3))])
                super().complete(requests, missing, deliver)

        result = answer([ask("a")], Slow(), store)
        assert result.completions[ask("a").key].text == "theirs"


def test_an_engine_that_skips_a_request_is_a_bug(tmp_path: Path) -> None:
    class Lazy(Batches):
        def complete(
            self, requests: Sequence[Request], missing: AbstractSet[str], deliver: Deliver
        ) -> None:
            pass

    told = pytest.raises(RuntimeError, match="the engine left 1 requests unanswered")
    with Store(tmp_path / "s") as store, told:
        fulfil([single(ask("a"))], 1, Lazy(), store, silent)


def chained(question: str) -> Job[str]:
    first = yield ask(question)
    second = yield ask(f"{question} then {first.text}")
    return second.text


def test_a_later_call_is_made_of_the_reply_before(tmp_path: Path) -> None:
    engine = Batches()
    with Store(tmp_path / "s") as store:
        counts = fulfil([chained("a"), chained("b")], 2, engine, store, silent)
        assert engine.asked == ["a", "b", "a then new", "b then new"]
        again = fulfil([chained("a"), chained("b")], 2, engine, store, silent)
    assert (counts.held, counts.generated) == (0, 4)
    assert (again.held, again.generated) == (4, 0)
