from __future__ import annotations

import subprocess
import sys
import tracemalloc

import pytest

from stages.data.spool import BLOCK, Picked, Spool


def _spool(count: int) -> Spool:
    spool = Spool()
    for number in range(count):
        spool.append({"id": number, "text": "ä\ud800" * 3})
    return spool


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3])
def test_it_is_the_list_that_was_appended(count: int) -> None:
    spool = _spool(count)
    expected = [{"id": number, "text": "ä\ud800" * 3} for number in range(count)]
    assert list(spool) == expected
    assert [spool[at] for at in range(count)] == expected
    assert (len(spool), spool[1:-1]) == (count, expected[1:-1])
    with pytest.raises(IndexError):
        spool[count]


def test_two_lists_share_a_file_and_no_rows() -> None:
    one, two = Spool(), Spool()
    for number in range(3 * BLOCK):
        one.append(number)
        two.append(-number)
    pairs = list(zip(one, two, strict=True))  # read in turn
    assert pairs == [(number, -number) for number in range(3 * BLOCK)]


def test_a_child_process_has_a_file_of_its_own() -> None:
    code = (
        "import os\n"
        "from stages.data.spool import Spool\n"
        "def made(n):\n"
        "    spool = Spool()\n"
        "    for number in range(n): spool.append(number)\n"
        "    return spool\n"
        "spool = made(70)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if list(made(900)) == list(range(900)) else 1)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert list(spool) == list(range(70))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        spool = Spool()
        for number in range(count):
            spool.append({"id": number, "text": "x" * 200})
        assert sum(1 for _ in spool) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(40_000) < peak(2_000) + 200_000


def test_picked_rows_know_where_they_came_from() -> None:
    rows = _spool(100)
    some = Picked(Picked(rows, range(10, 90)), [5, 0, 7])
    assert [row["id"] for row in some] == [15, 10, 17]
    assert [some.origin(at) for at in range(3)] == [15, 10, 17]
    assert [row["id"] for row in some[1:]] == [10, 17]
