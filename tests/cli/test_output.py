"""What reaches stdout and stderr, and what it looks like."""

import asyncio
import contextlib
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import banners
import click
import pytest

import cfsso
from cfsso.cli import asking, render, screen, summary
from cfsso.cli.progress import Lines, Live, pace, progress
from cfsso.fleet import Change, Outcome, OutcomeStatus


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let stdout be a terminal of 80 columns that can show colours."""
    stream = Terminal()
    # Not sys.stdout itself, which pytest changes between setup and call.
    monkeypatch.setattr(render, "sys", SimpleNamespace(stdout=stream))
    monkeypatch.setenv("COLUMNS", "80")
    return stream


def connectors(count: int) -> tuple[cfsso.SSOConnector, ...]:
    """Return connectors with a domain too long for 80 columns."""
    cloud = cfsso.CloudflareEmulator(seed=2)
    account = cloud.add_account()
    for number in range(count):
        name = f"the-domain-of-a-company-with-a-long-name-{number}.example"
        cloud.add_connector(account, email_domain=name, status="failed" if number else "verified")
    return cloud.connectors(account)


def test_a_table_fits_the_terminal_and_cuts_no_id(terminal: Terminal) -> None:
    """At 80 columns the account is a line of its own and a long domain ends in an ellipsis."""
    shown = connectors(2)

    render.show_connectors([("a" * 32, shown), ("b" * 32, shown[:1])])

    lines = terminal.getvalue().splitlines()
    assert [f"\x1b[1maccount {'a' * 32}\x1b[0m", f"\x1b[1maccount {'b' * 32}\x1b[0m"] == [
        lines[0],
        lines[5],
    ]
    connector, domain, *others = lines[2].split()
    assert (shown[0].id, "…", "the-domain-of-a") == (connector, domain[-1], domain[:15])
    assert ["disabled", "\x1b[32mverified"] == others[:2]
    assert "\x1b[31mfailed" in lines[3]
    assert "" == lines[4]
    assert 1 == terminal.getvalue().count("CONNECTOR")


@pytest.mark.parametrize("columns", ["20", "80", "100", "140"])
def test_no_row_is_wider_than_the_terminal(
    columns: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows keep within the width, or within what an id and its neighbours need."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")

    render.show_connectors([("a" * 32, connectors(3))])

    lines = terminal.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert max(map(len, lines)) <= max(int(columns), 76)
    assert (int(columns) >= 100) is any("UTC" in line for line in lines)


def test_colours_are_off_when_asked(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR leaves no colour in a table; what is bold may stay."""
    monkeypatch.setenv("NO_COLOR", "1")

    render.show_connectors([("a" * 32, connectors(2))])

    assert "\x1b[3" not in terminal.getvalue()


def test_rows_of_a_run_name_the_domain_in_the_reason(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns the domain stands before the reason, which goes on in the next line."""
    monkeypatch.setenv("NO_COLOR", "1")
    (connector,) = connectors(1)
    seen = Outcome(
        change=Change("a" * 32, connector.id or "", enabled=True),
        status=OutcomeStatus.CONFLICT,
        after=connector,
        note="a read after the write shows other values",
    )
    unseen = Outcome(
        change=Change("b" * 32, "c" * 32, enabled=True), status=OutcomeStatus.NOT_ATTEMPTED
    )

    summary.show([seen, unseen], elapsed=0.0, merged=0)

    text = terminal.getvalue()
    # Worst last.
    assert text.index("c" * 32) < text.index(connector.id or "")
    assert "the-domain-of-a-company-with" in text
    assert "2 connectors in 2 accounts, 0 green, in 0.0 s (at once)\n" in text
    plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert 80 >= max(map(len, plain.splitlines()))


def test_a_wide_terminal_has_a_column_for_the_domain(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 140 columns account and domain have columns, and the reason has what is left."""
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("NO_COLOR", "1")
    (connector,) = connectors(1)
    change = Change("a" * 32, connector.id or "", enabled=True)
    blocked = Outcome(
        change=change, status=OutcomeStatus.BLOCKED, before=connector, note="not verified"
    )

    summary.show([blocked], elapsed=1.0, merged=2)

    assert (
        f"{'a' * 32}  {connector.id}  the-domain-of-a-company…  blocked        not verified\n"
    ) in terminal.getvalue()


def test_a_terminal_that_can_t_redraw_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dumb terminal, or none, gets lines."""
    assert screen.is_live(Terminal())
    assert not screen.is_live(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not screen.is_live(Terminal())


async def test_lines_come_from_time_to_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a line every 500 targets, every five seconds, and at the end."""
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)

    with progress(1002) as shown:
        assert isinstance(shown, Lines)
        for number in range(1, 1003):
            now += 6.0 if number == 3 else 0.0
            shown.add(green=number != 2)

    assert [
        "cfsso: 3 of 1,002 done, 1 not green, 30.0/min, about 1,998 s left",
        "cfsso: 500 of 1,002 done, 1 not green, 83/s, about 6 s left",
        "cfsso: 1,000 of 1,002 done, 1 not green, 167/s, about 0 s left",
        "cfsso: 1,002 of 1,002 done, 1 not green, 167/s",
    ] == capsys.readouterr().err.splitlines()


async def test_a_line_counts_the_present_wait_in(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left while a run waits for the limit is the wait and the rest at the pace so far."""
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)

    with progress(4, left=lambda: 80.0) as shown:
        now += 20.0
        shown.add(green=True)

    assert "cfsso: 1 of 4 done, 0 not green, 0.6/min, about 380 s left\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("done", "elapsed", "left", "expected"),
    [
        (0, 5.0, 0.0, None),
        (5, 0.0, 0.0, None),
        (100, 50.0, 0.0, (2.0, 450.0)),
        (1000, 50.0, 0.0, (20.0, 0.0)),
        (1000, 50.0, 50.0, (10.0, 0.0)),
        # All through a wait of 280 seconds the rate stays, and the time left shrinks.
        (400, 20.0, 280.0, (4 / 3, 730.0)),
        (400, 160.0, 140.0, (4 / 3, 590.0)),
        (400, 300.0, 0.0, (4 / 3, 450.0)),
    ],
)
def test_the_time_left_shrinks_while_a_run_waits(
    done: int, elapsed: float, left: float, expected: tuple[float, float] | None
) -> None:
    """A wait counts whole from its beginning, so that nothing grows or jumps during it."""
    assert expected == pytest.approx(pace(done, 1000, elapsed, left))


async def test_a_run_that_takes_no_time_has_no_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is divided by a time of zero."""
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1.0)

    with Lines(1) as shown:
        shown.add(green=True)

    assert "cfsso: 1 of 1 done, 0 not green\n" == capsys.readouterr().err


def test_a_bar_counts_a_wait_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the run waits for the limit the bar says for how long; after that it does not."""
    stream = Terminal()
    left = 3725.5
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")

    with progress(2, left=lambda: left) as shown:
        assert isinstance(shown, Live)
        shown._bar.refresh()
        shown.add(green=True)
        left = 277.0
        shown._bar.refresh()
        waiting, left = stream.getvalue(), 0.0
        shown._bar.refresh()

    assert "rate limit: 1:02:06" in waiting
    assert "rate limit: 4:37 0.2/min  ETA 9:1" in waiting.replace("\x1b[0m", "")
    assert "rate limit" not in stream.getvalue()[len(waiting) :]


def test_a_bar_shows_count_rate_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is drawn on stderr and gone at the end; lines go above it."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "80")

    with progress(3) as shown:
        assert isinstance(shown, Live)
        shown.add(green=True)
        shown.add(green=False)
        screen.say("a line")
        shown._bar.refresh()

    text = stream.getvalue()
    assert "2/3" in text
    assert "1 not green" in text
    assert "/s  ETA 0:0" in text
    assert "cfsso: a line" in text
    assert text.endswith("\x1b[2K")


def test_say_bears_a_closed_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listening on stderr is no reason to stop."""

    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())

    screen.say("anybody?")


def test_a_stream_that_can_t_be_told_what_to_escape_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A replaced stdout need not be a TextIOWrapper."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())

    screen.tolerate_any_text()


@pytest.mark.parametrize(
    ("stdin", "stderr", "expected"),
    [
        (Terminal, Terminal, contextlib.nullcontext()),
        (io.StringIO, Terminal, pytest.raises(click.UsageError, match="apply needs --yes")),
        (Terminal, io.StringIO, pytest.raises(click.UsageError, match="apply needs --yes")),
    ],
)
def test_somebody_can_be_asked_who_reads_and_types(
    stdin: Any, stderr: Any, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question needs stdin and stderr to be terminals; stdout may go elsewhere."""
    monkeypatch.setattr(sys, "stdin", stdin())
    monkeypatch.setattr(sys, "stderr", stderr())

    with expected:
        asking.need_terminal("apply")


def test_a_reader_that_goes_away_ends_it_quietly(cloud: Any, spawn: Any) -> None:
    """`cfsso list … | head` leaves no word on stderr."""
    for _ in range(20):
        cloud.add()
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as pipe:
        process = spawn(
            *("list", cloud.account, "--emulate", cloud.state),
            stdout=pipe,
        )
        _, err = process.communicate()

    assert (1, "") == (process.returncode, banners.without(err))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_one_line(cloud: Any, spawn: Any) -> None:
    """Results that can't be written are named, without a traceback; exit 1."""
    cloud.add()

    with Path("/dev/full").open("w") as full:
        process = spawn("--json", "list", cloud.account, "--emulate", cloud.state, stdout=full)
        _, err = process.communicate()

    assert (1, "cfsso: can't write the results: No space left on device\n") == (
        process.returncode,
        banners.without(err),
    )


def test_an_encoding_without_the_letters_is_no_failure(cloud: Any, spawn: Any) -> None:
    """What stdout can't encode is escaped."""
    connector = cloud.add(email_domain="bücher.example")

    out, _ = spawn(
        *("get", cloud.account, connector, "--emulate", cloud.state),
        env={"PYTHONIOENCODING": "ascii"},
    ).communicate()

    assert r"email domain  b\xfccher.example" in out


def test_a_pipe_gets_neither_colour_nor_a_bar(cloud: Any, spawn: Any) -> None:
    """Without a terminal no byte is a control character but the line break."""
    connector = cloud.add("pending")
    file = cloud.rollout(f"{cloud.account},{connector},true,")

    process = spawn("apply", file, "--yes", "--emulate", cloud.state, env={"FORCE_COLOR": "1"})
    out, err = process.communicate()

    assert 1 == process.returncode
    assert (out + err).replace("\n", "").isprintable()


def alike(count: int, note: str, status: OutcomeStatus) -> list[Outcome]:
    """Return that many outcomes which differ in their ids only."""
    return [
        Outcome(
            change=Change(f"{number % 4:032d}", f"{number:032d}", enabled=True),
            status=status,
            note=note,
        )
        for number in range(count)
    ]


def test_rows_that_are_equal_are_one(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than ten of one status and reason are a row with their number; others stay."""
    monkeypatch.setenv("NO_COLOR", "1")
    silent = "no answer from the API for 45 s: can't connect"

    summary.show(
        [
            *alike(132, silent, OutcomeStatus.NOT_ATTEMPTED),
            *alike(11, "403 Forbidden", OutcomeStatus.FAILED),
            *alike(10, "401", OutcomeStatus.NOT_ATTEMPTED),
        ],
        elapsed=1.0,
        merged=0,
    )

    lines = terminal.getvalue().splitlines()
    assert f"not_attempted  132 connectors in 4 accounts  {silent}" == lines[0]
    assert "failed  11 connectors in 4 accounts  403 Forbidden" == lines[1]
    assert 10 == sum("  401" in line for line in lines)
    assert 1 == sum("403" in line for line in lines)
