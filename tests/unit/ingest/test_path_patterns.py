"""Regular expressions on paths: every syntax of Python's, and none can hold up an ingest."""

import pytest

from annotate.errors import ConfigError, UsageError
from annotate.ingest import path_patterns as _path_patterns
from annotate.ingest.files import SourceFile
from annotate.ingest.path_patterns import PatternOption, compile_pattern
from annotate.ingest.speakers import MetadataSources
from db.videos import FileStat

SLOW = r"(?P<speaker>(?:[a-z]+)+)\d_never"


def file(relative, folder="/videos"):
    return SourceFile(f"{folder}/{relative}", relative, FileStat(1, 1, 1, 0), None)


def names(text, *files):
    found = compile_pattern(PatternOption(text, ""), "speaker").search(files)
    return [found.get(one.path, "") for one in files]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("(?P<speaker>s[0-9]+)_", "s12_a.mp4", "s12"),
        (r"(?i)(?P<speaker>ANNA|ben)(?=[-_])", "x/Anna-1.mp4", "Anna"),
        (r"(?<!\w)(?P<speaker>\w+?)(?:_(\d))?(?(2)\.mp4|\.mkv)", "ben_4.mp4", "ben"),
        (r"(?P<x>[a-z])(?P<speaker>(?P=x)\d)", "aa7.mp4", "a7"),
        (r"(?>(?P<speaker>[a-z]++))\d", "cleo3.mp4", "cleo"),
        (r"(?P<speaker>{e}|x{s})", "a{e}.mp4", "{e}"),
        (r"(?P<speaker>[[:alpha:]+)", "xx:.mp4", ":"),
        (r"(?P<speaker>[[a&&b]+)", "[a&.mp4", "[a&"),
        ("(?x) (?P<speaker> s \\d ) # note", "s1.mp4", "s1"),
        ("(?P<speaker>说话人\\d+|é+)", "说话人3.mp4", "说话人3"),
        ("(?P<speaker>.+)\\.mp4", "b\udcffd.mp4", "b\\udcffd"),
        ("(?P<speaker>q?)", "a.mp4", ""),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_whole_syntax_of_pythons_expressions_is_taken(pattern, name, expected):
    assert names(pattern, file(name)) == [expected]


def test_the_path_below_the_named_folder_comes_before_the_whole_path():
    found = names(r"(?P<speaker>s\d)", file("s1.mp4", "/s9"), file("a.mp4", "/s9"), file("a.mp4"))
    assert found == ["s1", "s9", ""]


@pytest.mark.parametrize(("given", "error"), [((SLOW, ""), UsageError), ((None, SLOW), ConfigError)])
def test_an_expression_that_backtracks_for_ever_is_given_up_and_names_itself_and_the_file(
    given, error, monkeypatch
):
    monkeypatch.setattr(_path_patterns, "SECONDS", 0.3)
    files = [file("ok1_never.mp4"), file("sub/" + "a" * 60 + ".mp4"), file("b.mp4")]
    voices = MetadataSources(speaker_pattern=compile_pattern(PatternOption(*given), "speaker"))
    with pytest.raises(error) as raised:
        voices.match(files)
    assert "speaker pattern" in str(raised.value)
    assert repr(SLOW) in str(raised.value)
    assert str(raised.value).endswith(f"up to the file sub/{'a' * 60}.mp4")
    assert "repetition inside a repetition" in raised.value.hint


@pytest.mark.parametrize(
    "text",
    ["(?P<speaker>", "(?P<speaker>a{99999999999999999999})", "(?P<speaker>a)" + "(" * 5000, "s\\d", r"\y"],
)
def test_what_is_no_expression_or_has_no_group_is_refused_before_anything_is_read(text):
    with pytest.raises(UsageError, match="speaker pattern"):
        compile_pattern(PatternOption(text, "(?P<speaker>fine)"), "speaker")


def test_an_option_wins_over_a_setting_and_an_empty_one_switches_it_off():
    assert (
        compile_pattern(PatternOption("(?P<speaker>a)", "(?P<speaker>b)"), "speaker").text == "(?P<speaker>a)"
    )
    assert compile_pattern(PatternOption("", "(?P<speaker>b)"), "speaker") is None
    assert compile_pattern(PatternOption(None, "(?P<speaker>b)"), "speaker").text == "(?P<speaker>b)"
