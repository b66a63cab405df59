"""The list of what was revoked: when it is read again, who waits for that, what it forgets and how much it takes."""

import pytest

from strongdm_auth.keys import Flight
from strongdm_auth.revocation import LIST_AGE, LIST_TOO_OLD, MOST_REVOCATIONS, PAUSE, Revocations
from tests.conftest import NOW


def _digest(number: int) -> bytes:
    return number.to_bytes(32)


def _begin(revocations: Revocations, at: float) -> Flight:
    flight = revocations.begin(at)
    assert flight is not None
    return flight


def _read(revocations: Revocations, at: float) -> None:
    """The whole list was read, and there is nothing new."""
    flight = _begin(revocations, at)
    revocations.learn("end", [], at)
    flight.settled = True
    revocations.end(flight)


def _fail(revocations: Revocations, at: float) -> None:
    """The store could not be asked."""
    flight = _begin(revocations, at)
    flight.settled = True
    revocations.failed()
    revocations.end(flight)


def _give_up(revocations: Revocations, at: float) -> None:
    """The request that was reading it was cancelled."""
    revocations.end(_begin(revocations, at))


@pytest.fixture
def fresh() -> Revocations:
    """Shared, and read to its end at `NOW`."""
    revocations = Revocations(shared=True)
    _read(revocations, NOW)
    return revocations


# When it is read


def test_a_list_that_nobody_shares_is_never_due() -> None:
    revocations = Revocations(shared=False)
    assert not revocations.due(NOW)
    revocations.add([_digest(1)], NOW + 60, NOW)
    assert not revocations.due(NOW + 600)


def test_a_list_that_was_never_read_is_due_and_awaited() -> None:
    revocations = Revocations(shared=True)
    assert revocations.due(NOW)
    assert revocations.must_wait(NOW)
    assert revocations.join(NOW) is None, "nobody reads it yet"
    assert revocations.begin(NOW) is not None


@pytest.mark.parametrize(
    ("later", "due"), [(0, False), (0.1, False), (0.249, False), (LIST_AGE, True), (3, True), (-0.5, True)]
)
def test_it_is_read_again_after_a_quarter_of_a_second_or_when_the_clock_was_set_back(
    fresh: Revocations, later: float, due: bool
) -> None:
    assert fresh.due(NOW + later) is due
    assert (fresh.begin(NOW + later) is not None) is due


@pytest.mark.parametrize(
    ("later", "due"), [(0, False), (1, False), (4.999, False), (PAUSE, True), (7, True), (-0.5, True)]
)
def test_a_store_that_is_away_is_asked_every_five_seconds(fresh: Revocations, later: float, due: bool) -> None:
    _fail(fresh, NOW + 10)
    assert fresh.due(NOW + 10 + later) is due
    assert (fresh.begin(NOW + 10 + later) is not None) is due


def test_a_store_that_is_back_is_asked_as_often_as_before(fresh: Revocations) -> None:
    _fail(fresh, NOW + 10)
    _read(fresh, NOW + 15)
    assert not fresh.due(NOW + 15.2)
    assert fresh.due(NOW + 15.25)
    assert fresh.must_wait(NOW + 20)


def test_one_reads_it_at_a_time(fresh: Revocations) -> None:
    flight = _begin(fresh, NOW + 2)
    assert fresh.begin(NOW + 2) is None
    assert fresh.begin(NOW + 4) is None, "also when it is due again meanwhile"
    fresh.learn("end", [], NOW + 2)
    flight.settled = True
    fresh.end(flight)
    assert fresh.begin(NOW + 2.2) is None, "it has just been read"
    assert fresh.begin(NOW + 4) is not None


@pytest.mark.parametrize("later", [10, 11, -10, -600])
def test_a_reading_that_does_not_end_in_ten_seconds_is_taken_for_lost(fresh: Revocations, later: float) -> None:
    lost = _begin(fresh, NOW + 5)
    assert fresh.join(NOW + 14.9) is lost
    assert fresh.begin(NOW + 14.9) is None
    assert fresh.join(NOW + 5 + later) is None
    another = _begin(fresh, NOW + 5 + later)
    # What was lost ends after all, and takes nothing from its successor.
    lost.settled = True
    fresh.end(lost)
    assert fresh.join(NOW + 5 + later) is another


# Who waits


@pytest.mark.parametrize(
    ("later", "waits"), [(0, False), (0.5, False), (0.999, False), (LIST_TOO_OLD, True), (-0.5, True)]
)
def test_requests_wait_when_the_last_news_are_a_second_old(fresh: Revocations, later: float, waits: bool) -> None:
    assert fresh.must_wait(NOW + later) is waits


def test_a_reading_beside_the_requests_concerns_none_of_them_while_the_news_are_fresh(fresh: Revocations) -> None:
    _begin(fresh, NOW + 0.5)
    assert fresh.join(NOW + 0.5) is None
    assert not fresh.due(NOW + 0.7)


def test_all_wait_for_a_reading_when_the_news_are_old(fresh: Revocations) -> None:
    flight = _begin(fresh, NOW + 0.8)
    assert fresh.due(NOW + 1), "begun a moment ago, and waited for from now on"
    assert fresh.join(NOW + 1) is flight
    assert not flight.landed.done()
    flight.settled = True
    fresh.end(flight)
    assert flight.landed.done(), "who waited goes on"
    assert fresh.join(NOW + 1) is None


def test_nobody_waits_for_a_store_that_is_away(fresh: Revocations) -> None:
    _fail(fresh, NOW + 10)
    assert not fresh.must_wait(NOW + 600)
    _begin(fresh, NOW + 600)
    assert fresh.join(NOW + 600) is None
    assert not fresh.due(NOW + 601)


def test_a_reading_that_was_given_up_is_begun_anew_at_once_and_awaited(fresh: Revocations) -> None:
    """Its request was cancelled: were the next one to wait a second, whoever cancels one each second would blind a worker."""
    _give_up(fresh, NOW + 2)
    assert fresh.must_wait(NOW + 2)
    assert fresh.due(NOW + 2)
    _read(fresh, NOW + 2)
    assert not fresh.must_wait(NOW + 2)
    assert not fresh.due(NOW + 2.2)


def test_a_reading_that_a_fork_cut_off_is_begun_anew_in_the_child(fresh: Revocations) -> None:
    """Nobody there will end it, and its lock may be held by a thread that is not there."""
    _begin(fresh, NOW + 2)
    with fresh._lock:
        fresh.after_fork()
        assert fresh.due(NOW + 2)
        assert fresh.begin(NOW + 2) is not None


def test_a_fork_beside_no_reading_changes_nothing(fresh: Revocations) -> None:
    fresh.add([_digest(1)], NOW + 60, NOW)
    fresh.after_fork()
    assert not fresh.due(NOW + 0.2)
    assert _digest(1) in fresh.until


def test_news_that_go_on_are_not_the_last(fresh: Revocations) -> None:
    """Only an empty part ends the list: a worker that has read half of it still waits for the rest."""
    assert fresh.learn("7", [(_digest(1), NOW + 60)], NOW + 6) is True
    assert fresh.position == "7"
    assert fresh.must_wait(NOW + 6)
    assert fresh.learn("8", [], NOW + 6) is False
    assert fresh.position == "8"
    assert not fresh.must_wait(NOW + 6)


# What it knows


def test_of_two_times_the_later_counts(fresh: Revocations) -> None:
    """Another worker's clock, or its leeway, may differ: nobody's revocation ends early because of that."""
    for until in (NOW + 60, NOW + 30, NOW + 90):
        fresh.learn("1", [(_digest(1), until)], NOW)
    assert fresh.until == {_digest(1): NOW + 90}


def test_what_a_store_forgot_is_known_on(fresh: Revocations) -> None:
    fresh.add([_digest(1)], NOW + 60, NOW)
    fresh.learn("", [], NOW)
    assert _digest(1) in fresh.until


def test_what_is_over_gives_its_room_back(fresh: Revocations) -> None:
    for number in range(1_000):
        assert fresh.add([_digest(number)], NOW + (60 if number % 4 else 600), NOW)
    assert len(fresh) == 1_000
    assert fresh.add([_digest(5_000)], NOW + 600, NOW + 60)
    assert len(fresh) == 251
    assert all(_digest(number) in fresh.until for number in range(0, 1_000, 4))
    # And so each time it has grown.
    for number in range(10_000, 14_000):
        assert fresh.add([_digest(number)], NOW + 700, NOW + 650)
    assert fresh.add([_digest(20_000)], NOW + 900, NOW + 800)
    assert len(fresh) <= 4_001
    for number in range(30_000, 35_000):
        assert fresh.add([_digest(number)], NOW + 1_000, NOW + 900)
    assert len(fresh) <= 5_001


def test_what_is_over_gives_its_room_back_where_all_is_learned_from_others(fresh: Revocations) -> None:
    fresh.learn("1", [(_digest(number), NOW + 60) for number in range(999)], NOW)
    assert len(fresh) == 999
    fresh.learn("2", [(_digest(999), NOW + 90)], NOW + 60)
    assert set(fresh.until) == {_digest(999)}


def test_it_takes_as_many_as_are_promised_and_says_when_it_is_full(
    fresh: Revocations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is refused aloud; to make room by dropping one would let a revoked token back in."""
    assert MOST_REVOCATIONS == 100_000
    monkeypatch.setattr("strongdm_auth.revocation.MOST_REVOCATIONS", 1_200)
    for number in range(1_200):
        assert fresh.add([_digest(number)], NOW + 60, NOW) is True
    assert fresh.add([_digest(1_200)], NOW + 60, NOW) is False
    assert set(fresh.until) == {_digest(number) for number in range(1_200)}
    assert fresh.add([_digest(1_201)], NOW + 90, NOW + 60) is True, "these are over, and their places free"
    assert set(fresh.until) == {_digest(1_201)}


def test_a_shared_list_adds_as_many_again_and_no_more(fresh: Revocations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongdm_auth.revocation.MOST_REVOCATIONS", 10)
    for number in range(10):
        assert fresh.add([_digest(number)], NOW + 60, NOW)
    assert fresh.learn("1", [(_digest(number), NOW + 60) for number in range(10, 40)], NOW) is True
    assert set(fresh.until) == {_digest(number) for number in range(20)}
