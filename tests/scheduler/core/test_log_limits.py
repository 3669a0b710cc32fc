"""Output is cut into lines of bounded length, and their number is limited."""

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.log_limits import MAX_LINE_LENGTH, LineCutter, LineLimit

TEXT = st.text(st.sampled_from("ab\r\n"), max_size=40)


@given(st.lists(TEXT, max_size=10))
def test_how_a_stream_is_cut_into_pieces_does_not_matter(pieces: list[str]) -> None:
    """The lines are those of the whole text."""
    lines: list[str] = []
    cutter = LineCutter(lines.append)
    for piece in pieces:
        cutter.feed(piece)
    cutter.finish()
    whole = "".join(pieces)
    expected = [line.rstrip("\r") for line in whole.split("\n")]
    last = whole.rsplit("\n", 1)[-1]
    assert lines == [*expected[:-1], *([last] if last else [])]


def test_a_line_without_end_takes_no_more_memory_than_a_line() -> None:
    """What exceeds the maximum length is dropped at once."""
    lines: list[str] = []
    cutter = LineCutter(lines.append)
    for _ in range(1000):
        cutter.feed("x" * 100_000)
    assert len(cutter._unfinished) == MAX_LINE_LENGTH
    cutter.feed("\nnext")
    cutter.finish()
    assert [len(line) for line in lines] == [MAX_LINE_LENGTH, 4]


def test_the_limit_is_600_lines_in_each_minute() -> None:
    """Lines over the limit are counted."""
    limit = LineLimit()
    passed = [limit.allows(1000.0 + number / 100) for number in range(700)]
    assert passed == [True] * 600 + [False] * 100
    assert limit.dropped == 100
    assert limit.allows(1061.0)
