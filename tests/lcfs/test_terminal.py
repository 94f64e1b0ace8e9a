"""Algebra and surface: tables fit terminals of every width and lose nothing; text from files is never markup."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lcfs import terminal

_CELL = st.text("abβ0123456789.,% ", min_size=1, max_size=14).map(str.strip).filter(bool)


class _Screen:
    """A terminal of some width that remembers its lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int, *, is_terminal: bool = True) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal, raising=False)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "dumb")


@given(data=st.data(), width=st.sampled_from([60, 80, 130]), count=st.integers(1, 12))
def test_tables_fit_and_lose_nothing(data: st.DataObject, width: int, count: int) -> None:
    rows = data.draw(st.lists(st.lists(_CELL, min_size=count, max_size=count), min_size=2, max_size=4))
    with pytest.MonkeyPatch.context() as monkeypatch:
        lines: list[str] = []
        _Screen(monkeypatch, width)
        monkeypatch.setattr(sys.stdout, "write", lines.append)
        terminal.print_table(rows[0], rows[1:])
        monkeypatch.undo()
    printed = "".join(lines).splitlines()
    assert max(map(cell_len, printed)) <= width - 2
    for column in range(count):
        for row in rows:
            assert any(row[column] in line for line in printed)


def test_a_row_is_a_line_in_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _Screen(monkeypatch, 60, is_terminal=False)
    terminal.print_table([f"column {i}" for i in range(30)], [[str(10**i) for i in range(30)]])
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_long_line_is_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    _Screen(monkeypatch, 60, is_terminal=is_terminal)
    words = [f"word{i}" for i in range(40)]
    terminal.say(" ".join(words))
    printed = capsys.readouterr().out
    assert printed.split() == words
    assert (len(printed.splitlines()) > 1) == is_terminal


def test_numbers_stand_on_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_table(("net", "change"), [("S-FC", "−0.50"), ("S-CONV", "12.00 ± 0.10")])
    assert capsys.readouterr().out == "net           change\nS-FC           −0.50\nS-CONV  12.00 ± 0.10\n"


@pytest.mark.parametrize("hostile", ["[/]x", "[bold]x[/bold]", ":smile:", "a\x1b[2Jb", "a\nb", "a\u202eb"])
def test_names_from_files_are_text(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_table(("tensor",), [(hostile,)])
    terminal.say(hostile)
    plain = hostile.encode("unicode_escape").decode() if not hostile.isprintable() else hostile
    assert capsys.readouterr().out == f"tensor\n{plain}\n{plain}\n"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_color: str, coloured: bool
) -> None:
    _Screen(monkeypatch, 80)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    terminal.say("net.cert: NOT verified")
    assert ("\x1b[1;31mNOT verified\x1b[0m" in capsys.readouterr().out) == coloured
