"""What may be asked for, and what a set of wheels is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mcpbox.domain.errors import Invalid
from mcpbox.domain.modules import (
    Checked,
    PinnedWheel,
    Requirement,
    WheelContents,
    WheelLock,
    require_offered,
)
from sandbox.contract import ModuleSet, Wheel


def a_pin(filename: str, *, sha256: str = "a" * 64, size: int = 7, url: str = "") -> PinnedWheel:
    package = filename.partition("-")[0]
    return PinnedWheel(
        package=package, version="1", filename=filename, sha256=sha256, size=size, url=url
    )


def a_lock(*wheels: PinnedWheel) -> WheelLock:
    wanted = Requirement(module="alpha", package="alpha")
    return WheelLock(requirements=(wanted,), wheels=wheels, python="3.11", platform="any")


ALPHA = a_pin("alpha-1-py3-none-any.whl")
BETA = a_pin("beta-1-py3-none-any.whl")


def test_equal_wishes_are_equal_values_however_they_are_spelled() -> None:
    one = Requirement(module="dateutil", package="Python_DateUtil", specifier=">= 2.8, <3")
    other = Requirement(module="dateutil", package="python-dateutil", specifier="<3,>=2.8")

    assert one == other
    assert str(one) == "python-dateutil<3,>=2.8"
    assert Requirement.model_validate_json(one.model_dump_json()) == one


@pytest.mark.parametrize(
    "module", ["", "a.b", "a b", "1a", "import", "a\n", "\N{GREEK SMALL LETTER ALPHA}", "a" * 101]
)
def test_what_cannot_be_imported_is_no_module(module: str) -> None:
    with pytest.raises(Invalid):
        Requirement(module=module, package="alpha")


@pytest.mark.parametrize(
    "package",
    [
        "",
        "-r",
        "--index-url",
        "a b",
        "a[extra]",
        "a==1",
        "../a",
        "a@http://b",
        "a\n",
        "a;b",
        "a.",
        "é",
    ],
)
def test_what_is_more_than_a_name_is_no_package(package: str) -> None:
    with pytest.raises(Invalid):
        Requirement(module="alpha", package=package)


@pytest.mark.parametrize(
    "specifier",
    ["2.0", "@ http://b", "==1;python_version<'3'", "==1\n--pre", "===1", "==1 --pre", ">" * 201],
)
def test_what_is_more_than_versions_is_no_specifier(specifier: str) -> None:
    with pytest.raises(Invalid):
        Requirement(module="alpha", package="alpha", specifier=specifier)


@given(package=st.text(max_size=40), specifier=st.text(max_size=40))
def test_a_requirement_is_one_word_for_a_command_whatever_was_typed(
    package: str, specifier: str
) -> None:
    try:
        made = Requirement(module="alpha", package=package, specifier=specifier)
    except Invalid:
        return

    assert str(made).split() == [str(made)]
    assert str(made)[0].isalnum()


def test_a_digest_is_the_key_that_the_sandbox_gives_the_set() -> None:
    known = ModuleSet(
        wheels=tuple(
            Wheel(filename=wheel.filename, sha256=wheel.sha256, size=wheel.size)
            for wheel in (ALPHA, BETA)
        )
    )

    assert a_lock(ALPHA, BETA).digest == known.key


def test_a_digest_covers_content_and_not_where_it_came_from() -> None:
    digest = a_lock(ALPHA).digest

    assert a_lock(ALPHA.model_copy(update={"url": "elsewhere"})).digest == digest
    assert a_lock(ALPHA.model_copy(update={"sha256": "b" * 64})).digest != digest
    assert a_lock(ALPHA.model_copy(update={"size": 8})).digest != digest
    assert a_lock(ALPHA, BETA).digest != digest


def test_wheels_out_of_order_or_twice_make_no_lock() -> None:
    with pytest.raises(ValidationError):
        a_lock(BETA, ALPHA)
    with pytest.raises(ValidationError):
        a_lock(ALPHA, ALPHA)


@pytest.mark.parametrize("sha256", ["", "A" * 64, "a" * 63, "a" * 64 + "\n", "g" * 64])
def test_a_hash_is_64_hexadecimal_digits(sha256: str) -> None:
    with pytest.raises(ValidationError):
        a_pin("alpha-1-py3-none-any.whl", sha256=sha256)


@pytest.mark.parametrize(
    "filename", ["alpha.tar.gz", "../alpha-1.whl", "a/b.whl", ".whl", "a.whl\n"]
)
def test_a_wheel_has_the_name_of_a_plain_file(filename: str) -> None:
    with pytest.raises(ValidationError):
        a_pin(filename)


def test_a_check_has_a_value_or_a_reason_and_never_neither() -> None:
    assert Checked[tuple[str, ...]](value=()).value == ()
    with pytest.raises(ValidationError):
        Checked[tuple[str, ...]]()
    with pytest.raises(ValidationError):
        Checked[tuple[str, ...]](value=(), not_checked="unreachable")


def test_a_module_that_no_wheel_offers_is_named_with_what_there_is() -> None:
    contents = WheelContents(
        package="alpha",
        version="1",
        modules=("alpha", "beta"),
        native=False,
        scripts=(),
        pth_files=(),
        file_count=1,
        unpacked_bytes=1,
        requires_python="",
    )
    offered = Requirement(module="beta", package="alpha")
    require_offered((offered,), (contents,))

    with pytest.raises(Invalid, match="The package alpha offers alpha, beta; not gamma"):
        require_offered((offered, Requirement(module="gamma", package="alpha")), (contents,))
