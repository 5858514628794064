"""The relay's bookkeeping: whatever a connection does, every letter is kept once, and gaps are known."""

from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.swarm.letters import WINDOW, Inbox, Window

FATES = st.sampled_from(["arrives", "lost", "twice", "unwritten"])


@given(
    total=st.integers(1, 40),
    letters=st.lists(FATES, max_size=200),
    answers=st.lists(st.booleans(), max_size=200),
    shuffle=st.randoms(use_true_random=False),
)
def test_every_letter_is_stored_once_however_bad_the_connection(total, letters, answers, shuffle):
    window, inbox, kept = Window(), Inbox(), []
    for number in range(1, total + 1):
        assert window.add({"content": number}).number == number
    fates, answered, now_s = iter(letters), iter(answers), 0.0
    while not window.is_empty:
        sent = window.due(now_s)
        assert len(sent) <= WINDOW
        shuffle.shuffle(sent)
        for letter in sent:
            fate = next(fates, "arrives")  # in the end everything gets through
            for _ in range({"lost": 0, "twice": 2}.get(fate, 1)):
                if inbox.take(letter.number):
                    if fate == "unwritten":
                        inbox.failed(letter.number)
                    else:
                        kept.append(letter.content["content"])
                        inbox.stored(letter.number)
        if next(answered, True):
            window.acknowledge(inbox.through)
        now_s += 1.0
        assert now_s < 10_000
    assert sorted(kept) == list(range(1, total + 1))
    assert (inbox.through, inbox.gaps) == (total, 0)


def test_a_letter_goes_out_again_only_when_its_time_has_come_and_later_each_time():
    window = Window()
    window.add({})
    times = [now_s / 10 for now_s in range(300) if window.due(now_s / 10)]
    assert times[:4] == [0.0, 3.0, 9.0, 15.0]
    assert window.resent == len(times) - 1


def test_no_more_than_a_window_is_on_its_way():
    window = Window()
    for _ in range(3 * WINDOW):
        window.add({})
    assert [letter.number for letter in window.due(0.0)] == list(range(1, WINDOW + 1))
    assert window.due(0.1) == []
    window.acknowledge(5)
    assert [letter.number for letter in window.due(0.2)] == list(range(WINDOW + 1, WINDOW + 6))


def test_a_gap_is_counted_and_keeps_a_worker_from_being_complete():
    inbox = Inbox()
    for number in (1, 3, 6):
        assert inbox.take(number)
        inbox.stored(number)
    inbox.last = 6
    assert (inbox.through, inbox.gaps, inbox.is_complete) == (1, 3, False)
    for number in (2, 4, 5):
        assert inbox.take(number)
        inbox.stored(number)
    assert (inbox.gaps, inbox.is_complete) == (0, True)


def test_without_a_farewell_no_worker_is_complete():
    inbox = Inbox()
    assert inbox.take(1)
    inbox.stored(1)
    assert not inbox.is_complete
