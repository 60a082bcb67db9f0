from sandbox.compiled import CompiledCode


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    code = CompiledCode(max_bytes=20)
    code.keep("one", b"1" * 5)
    code.keep("two", b"2" * 5)
    code.find("one")
    code.keep("six", b"6" * 5)

    assert code.find("one") == b"11111"
    assert code.find("two") is None
    assert code.find("six") == b"66666"


def test_the_same_source_is_counted_once() -> None:
    code = CompiledCode(max_bytes=20)
    for _ in range(5):
        code.keep("one", b"1" * 5)
    code.keep("two", b"2" * 5)

    assert code.find("one") == b"11111"


def test_what_is_too_large_is_not_kept() -> None:
    code = CompiledCode(max_bytes=20)
    code.keep("large", b"1" * 50)

    assert code.find("large") is None
