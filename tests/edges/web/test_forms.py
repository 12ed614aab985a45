"""Forms in parts: whatever bytes a file has come out as they were, and what is no form is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concord.edges.web.forms import FIELDS_MAX, read
from concord.errors import MalformedError

MEDIA = "multipart/form-data; boundary=----b0undary"


def body(*parts: tuple[str, bytes]) -> bytes:
    lines = [b"------b0undary\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), raw) for head, raw in parts]
    return b"".join(lines) + b"------b0undary--\r\n"


@given(st.binary().filter(lambda raw: b"------b0undary" not in raw), st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_and_words_come_as_they_are(raw: bytes, words: str) -> None:
    sent = read(MEDIA, body(('name="files"; filename="数 据.bin"', raw), ('name="title"', words.encode())))
    assert sent.files == [("数 据.bin", raw)]
    assert sent.fields == {"title": words}


def test_a_file_that_was_not_chosen_is_none() -> None:
    assert read(MEDIA, body(('name="files"; filename=""', b""))).files == []


@pytest.mark.parametrize(
    ("media", "raw"),
    [
        ("multipart/form-data", body()), ("multipart/form-data; boundary=", body()), (MEDIA, b""), (MEDIA, b"------b0undary"),
        (MEDIA, body()[:-6]), (MEDIA, b"x" + body()), (MEDIA, body(("filename=x", b""))), (MEDIA, body(('name="a"', b"\xff"))),
        (MEDIA, body(*[('name="a"', b"")] * (FIELDS_MAX + 1))), ("", b"\xff"), ("", b"a=%ff"), ("", b"&".join([b"a=b"] * 60)),
        ("multipart/form-data; boundary=" + "x" * 100, body()),
    ],
)  # fmt: skip
def test_what_is_no_form_is_told(media: str, raw: bytes) -> None:
    with pytest.raises(MalformedError):
        read(media, raw)
