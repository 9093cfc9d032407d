"""Names: which cannot be a subject's, and that nobody unseen makes a second person."""

from __future__ import annotations

import pytest

from facecli.common.errors import UsageError
from facecli.common.names import name_fault, name_key, require_name

SEEN = [
    "Ada", "Zoë Åström", "Nguyễn Văn Đức", "홍길동", "王小明", "محمد عبد الله",
    "گل‌محمدی", "می‌خواهم",
    "क्‍षत्रिय", "ജോണ്‍", "👩‍🚀", "Mum ❤️", "👩🏽‍🚀", "O'Neil, \"Tip\"", "7️⃣",
]  # fmt: skip
UNSEEN = [
    "Ada\u200b", "A\u200dda", "\u200cAda", "Ada\u200d", "\ufeffAda", "A\u00adda", "Ada\u2060",
    "Ada\u034f", "Ada\ufe0f", "Ada\u3164", "\u115fAda", "Ada\u200e", "Ada\U000e0041", "علی\u200c",
    "گل\u200c\u200cمحمدی", "葛\U000e0100", "❤️\u200d", "a\u180eb", "Ada\u206a",
]  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_joiners_that_change_a_shape_stay(name: str) -> None:
    assert name_fault(name) is None
    require_name(name)


@pytest.mark.parametrize("name", UNSEEN, ids=ascii)
def test_what_nobody_sees_makes_no_second_person(name: str) -> None:
    fault = name_fault(name)
    assert fault is not None and "nobody sees" in fault and "U+" in fault
    with pytest.raises(UsageError, match="nobody sees"):
        require_name(name)
    assert name_fault(name, held=True) is None  # a gallery of before can still be exported


def test_a_folder_s_latin_1_name_is_called_that() -> None:
    fault = name_fault("No\udcebl")
    assert fault == "the name is not UTF-8 (perhaps Latin-1 for 'Noël': rename it)"
    assert name_fault("half \ud83d") == "the name is not UTF-8"


@pytest.mark.parametrize("name", ["a\u202eb", "a\nb", "a\x1b[1m", "a\u2028b"], ids=ascii)
def test_control_characters_are_called_that(name: str) -> None:
    assert name_fault(name) == "the name holds a control character"


def test_names_are_compared_in_one_form_and_blanks_do_not_count() -> None:
    assert name_key(" e\u0301  a ") == "é a"
    assert name_key("Ada") != name_key("ada")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("گل\u200cمحمدی", "گلمحمدی"), ("Mum ❤\ufe0f", "Mum ❤"), ("क्\u200dषत्रिय", "क्षत्रिय"),
        ("ജോണ്\u200d", "ജോണ്"), ("7\ufe0f\u20e3", "7\u20e3"), ("e\u200b\u0301", "é"),
        ("\ufeffAda", "Ada"),
    ],
)  # fmt: skip
def test_names_are_compared_without_letters_that_nobody_sees(one: str, other: str) -> None:
    """Not only where they may not stand: whether they are there hangs on the keyboard."""
    assert name_key(one) == name_key(other)


def test_what_looks_like_a_folder_itself_is_no_name() -> None:
    assert name_fault(".\ufe0f") == "the name is empty"
