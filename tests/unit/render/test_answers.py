"""What was answered is kept within its bound, and asked for once, also by many threads at the same time."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.render.answers import Answers


def test_what_was_not_asked_for_the_longest_goes_first_and_the_size_is_bounded():
    answers, made = Answers(most=100_000), []

    def ask(number):
        return answers.get(b"%d" % number, lambda: made.append(number) or os.urandom(20_000))

    for number in (0, 1, 2, 0, 3, 4):  # four of them have room
        ask(number)
    assert made == [0, 1, 2, 3, 4]
    made.clear()
    for number in (0, 4, 3, 2, 1):
        ask(number)
    assert made == [1]


def test_an_answer_that_would_crowd_out_the_others_is_not_kept():
    answers, made = Answers(most=100_000), []
    for _ in range(2):
        assert len(answers.get(b"large", lambda: made.append(1) or os.urandom(50_000))) == 50_000
    assert len(made) == 2


def test_threads_that_ask_the_same_at_the_same_time_wait_for_one_evaluation():
    answers, made = Answers(), []
    begun, go_on = threading.Event(), threading.Event()

    def evaluate() -> bytes:
        made.append(threading.get_ident())
        begun.set()
        assert go_on.wait(30)
        return b"x"

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(answers.get, b"key", evaluate)
        assert begun.wait(30)
        others = [pool.submit(answers.get, b"key", evaluate) for _ in range(3)]
        assert answers.get(b"other", lambda: b"y") == b"y"  # another one waits for nobody
        go_on.set()
        assert [future.result() for future in (first, *others)] == [b"x"] * 4
    assert len(made) == 1


def test_who_waited_for_one_that_failed_tries_itself_and_nothing_is_kept_of_a_failure():
    answers = Answers()
    begun, go_on = threading.Event(), threading.Event()

    def fail() -> bytes:
        begun.set()
        assert go_on.wait(30)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(answers.get, b"key", fail)
        assert begun.wait(30)
        second = pool.submit(answers.get, b"key", lambda: b"x")
        go_on.set()
        with pytest.raises(ValueError, match="no"):
            first.result()
        assert second.result() == b"x"
    assert answers.get(b"key", fail) == b"x"
