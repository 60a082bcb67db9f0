import os

from cli.announcements import Announcement, PipeHerald, parse_announcement, text_of
from cli.preparation import Made

URLS = {
    "gateway": "http://127.0.0.1:8002/mcp",
    "panel": "http://127.0.0.1:8000/",
    "api": "http://127.0.0.1:8000/api/v1",
    "temporal_ui": None,
}


def test_a_first_start_shows_the_password_and_a_line_to_paste() -> None:
    text = text_of(Announcement(URLS, Made(admin_password="pass-word", client_token="tok-en")))

    assert "pass-word" in text
    assert (
        "claude mcp add --transport http mcpbox http://127.0.0.1:8002/mcp "
        '--header "Authorization: Bearer tok-en"'
    ) in text
    assert "http://127.0.0.1:8000/" in text


def test_a_later_start_says_how_to_make_another_token() -> None:
    text = text_of(Announcement(URLS))

    assert "password" not in text
    assert "Bearer" not in text
    assert "mcpbox clients create" in text


def test_an_unknown_address_is_left_out() -> None:
    assert "Temporal" not in text_of(Announcement(URLS))


def test_what_was_made_is_shown_even_when_the_start_failed_after_it() -> None:
    text = text_of(Announcement(URLS, Made(admin_password="pass-word"), problem="It broke."))

    assert "pass-word" in text
    assert "MCPbox is up" not in text


def test_the_parent_reads_what_the_child_announced_first() -> None:
    reading, writing = os.pipe()
    announcement = Announcement(URLS, Made("pass-word", "tok-en"), "Port taken.", 5)
    herald = PipeHerald(writing)
    herald.announce(announcement)
    herald.announce(Announcement(URLS))

    with os.fdopen(reading) as stream:
        assert parse_announcement(stream.read()) == announcement


def test_a_child_that_said_nothing_is_noticed() -> None:
    assert parse_announcement("") is None


def test_a_parent_that_left_does_not_disturb_the_child() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    PipeHerald(writing).announce(Announcement(URLS))
