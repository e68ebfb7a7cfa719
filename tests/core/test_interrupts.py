"""Ctrl+C that has to wait for a moment."""

import signal
import threading

import pytest

from dlp_local.core.interrupts import interrupted_afterwards


def test_an_interrupt_waits_for_the_end_of_what_it_must_not_cut():
    done = []

    def work():
        signal.raise_signal(signal.SIGINT)
        done.append("all of it")

    with pytest.raises(KeyboardInterrupt), interrupted_afterwards():
        work()
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_an_interrupt_nothing_changes():
    with interrupted_afterwards():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_what_it_must_not_cut_comes_as_it_is():
    with pytest.raises(ImportError, match="its own"), interrupted_afterwards():
        raise ImportError("its own")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupted_afterwards():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_is_kept():
    seen = []

    def work():
        with interrupted_afterwards():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
