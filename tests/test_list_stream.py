"""A list that comes in pieces is read as one that comes as a whole."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from scripted import ACCOUNT, OTHER, respond, shown, success

import cfsso
from cfsso import _converter, _list_stream, _salvaging, _wire
from cfsso._list_stream import ListStream
from cfsso._listing import Listing

LISTING = _wire.build_list(ACCOUNT)
MIB = 1 << 20
ODD = (_converter.ConversionError, cfsso.APIResponseValidationError)

Make = Callable[[], Any]
KINDS: dict[str, Make] = {"strict": _wire.StrictReading, "lenient": _salvaging.Salvaging}
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=list(KINDS))


def read_whole(make: Make, body: bytes) -> Any:
    """Return all there is to know of *body*, or None if it is no list."""
    listing = Listing(make)
    try:
        answer = listing.read(LISTING, respond(body))
        found = known(*listing.done(answer), answer.envelope)
    except ODD:
        return None
    # That null is an empty list is for short answers only.
    return None if answer.envelope.get("result", ()) is None else found


def read_in_pieces(make: Make, body: bytes, cuts: list[int]) -> Any:
    """Return the same of *body*, cut at those places."""
    reading = make()
    stream = ListStream(reading.dialect, reading.take)
    try:
        for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
            stream.feed(body[begin:end])
        stream.close()
        answer = _wire.accept(LISTING, respond(body), stream.envelope)
    except ODD:
        return None
    return known(reading, _wire.missing(answer, stream.count), answer.envelope)


def known(reading: Any, left_out: int, envelope: Any) -> Any:
    """Return what was read."""
    salvaging = isinstance(reading, _salvaging.Salvaging)
    found = reading.salvage(left_out) if salvaging else (reading.connectors, left_out)
    return found, {name: value for name, value in envelope.items() if name != "result"}


def read(stream: ListStream, *pieces: bytes) -> None:
    """Read *pieces* to the end."""
    for piece in pieces:
        stream.feed(piece)
    stream.close()


def listed(count: int, **members: Any) -> bytes:
    """Return a list of so many connectors."""
    items = [shown(id=f"{number:032}") for number in range(count)]
    return success(items, **members).body


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["\ud800", "é\N{GRINNING FACE}", "", "cloud"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
items = (
    st.builds(lambda odd: shown(**odd), st.dictionaries(st.sampled_from([*shown()]), values))
    | st.sampled_from([shown(), shown(id=OTHER), shown(id=OTHER, enabled=False)])
    | values
)
NAMES = ["success", "errors", "messages", "result", "result_info", "x", "ö"]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Give the bytes of an envelope, its members in any order, and perhaps spoilt a little."""
    members: list[tuple[str, Any]] = [
        ("success", True),
        ("result", draw(st.lists(items, max_size=4))),
        ("result_info", {"total_count": draw(st.integers(0, 9))}),
        *draw(st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=2)),
    ]
    blanks = st.text(" \t\r\n", max_size=3)
    ascii_ = draw(st.booleans())
    texts = [
        f"{draw(blanks)}{json.dumps(name, ensure_ascii=ascii_)}{draw(blanks)}:{draw(blanks)}"
        + json.dumps(value, ensure_ascii=ascii_, indent=draw(st.sampled_from([None, 1])))
        for name, value in draw(st.permutations(members))
    ]
    text = f"{draw(blanks)}{{{','.join(texts)}{draw(blanks)}}}{draw(blanks)}"
    body = text.encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        place = draw(st.integers(0, len(body)))
        odd = draw(st.binary(max_size=2) | st.sampled_from([b",", b"]", b"}", b"{}", b"1", b"e1"]))
        body = body[:place] + odd + body[place + draw(st.integers(0, 2)) :]
    return body


@each_kind
@hypothesis.given(st.data())
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.too_slow])
def test_pieces_are_as_good_as_the_whole(make: Make, data: st.DataObject) -> None:
    """Wherever it is cut, the same is read of an answer, or it is refused as well."""
    body = data.draw(bodies())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    step = data.draw(st.sampled_from([1, 7, 1 << 16]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_list_stream, "_STEP", step)
        found = read_in_pieces(make, body, cuts)

    assert read_whole(make, body) == found


@each_kind
@pytest.mark.parametrize("step", [1, 1000])
def test_byte_by_byte(make: Make, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No border matters: in numbers, words, escapes, characters of several bytes."""
    monkeypatch.setattr(_list_stream, "_STEP", step)
    members: dict[str, Any] = {"x": [-1.5e-3, True, None, 'é\N{GRINNING FACE}\\"', {"ö": []}, 12]}
    info = {"total_count": 12}
    text = json.dumps(
        {"a": 1.5e10, **json.loads(listed(3, result_info=info, **members)), "n": -17},
        ensure_ascii=False,
    )
    body = text.replace("-17", " -17e2 ").encode()

    found = read_in_pieces(make, body, [*range(1, len(body))])

    assert found is not None
    assert read_whole(make, body) == found


@pytest.mark.parametrize(
    ("said", "body"),
    [
        ("expected object at $", b"[1]"),
        ("expected object at $", b"<html>"),
        ("expected list at $.result", b'{"success":true}'),
        ("expected list at $.result", b'{"result":{"a":1}}'),
        ("expected list at $.result", b'{"result":[],"result":[]}'),
        ("no JSON: It ends at character 0", b""),
        ("no JSON: It ends at character 12", b'{"result":[]'),
        ("no JSON: It ends at character 6", b'{"a":1'),
        ("no JSON: Extra data at character 14", b'{"result":[]} 1'),
        ("no JSON: Expecting ',' delimiter at character 13", b'{"result":[1 2]}'),
        ("no JSON: Expecting ':' delimiter at character 4", b'{"a",1}'),
        ("no JSON: Expecting property name enclosed in double quotes at character 1", b"{1:2}"),
        ("no JSON: Expecting value at character 13", b'{"result":[1,]}'),
        ("no JSON: Unterminated string starting at at character 11", b'{"result":["a]}'),
        ("JSON nested too deep", b'{"result":[' + b"[" * 100_000),
    ],
)
def test_what_is_no_list(said: str, body: bytes) -> None:
    """It is refused with the place and the reason."""
    stream = ListStream(_converter.LENIENT, lambda _: None)
    with pytest.raises(_converter.ConversionError) as refused:
        read(stream, body)

    assert said == str(refused.value)


@pytest.mark.parametrize(
    ("said", "body"),
    [
        ("text that is not UTF-8", b'{"result":["\xff"]}'),
        ("text that is not UTF-8", b'{"result":["\\ud800"]}'),
        ("JSON that repeats a key", b'{"a":1,"a":1,"result":[]}'),
        ("JSON that repeats a key", b'{"result":[{"a":1,"a":1}]}'),
        ("a number that JSON does not have", b'{"result":[NaN]}'),
        ("a number too long to read", b'{"result":[' + b"9" * 5000 + b"]}"),
    ],
)
def test_what_only_a_lenient_reader_takes(said: str, body: bytes) -> None:
    """A strict one says what is wrong."""
    with pytest.raises(_converter.ConversionError) as refused:
        read(ListStream(_converter.STRICT, lambda _: None), body)
    read(ListStream(_converter.LENIENT, lambda _: None), body)

    assert said == str(refused.value)


@pytest.mark.parametrize(
    ("said", "start", "again"),
    [
        ("a value of more than 1048576 characters", b'{"result":["', b"a"),
        ("a value of more than 1048576 characters", b'{"x":[', b'"a234567890123",'),
        (
            "more than 1048576 characters beside the list",
            b'{"a":"b"',
            b',"c":"' + b"a" * 4090 + b'"',
        ),
        ("a list of more than 20,000 items", b'{"result":[1', b",[2]"),
        ("more than 67108864 bytes", b'{"result":[1', b',"' + b"a" * 16381 + b'"'),
        ("more than 67108864 bytes", b'{"result":[', b" "),
    ],
)
def test_what_never_ends_costs_little(
    said: str, start: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an end in sight it is refused, and no more than some MiB were needed for that."""
    monkeypatch.setattr(_list_stream, "MAX_ITEMS", 20_000)
    piece = again * (65536 // len(again))
    stream = ListStream(_converter.LENIENT, lambda _: None)
    stream.feed(start)
    tracemalloc.start()
    try:
        with pytest.raises(_converter.ConversionError) as refused:
            read(stream, *[piece] * 2000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert said == str(refused.value)
    assert peak < 64 * MIB


def test_one_large_item_among_many() -> None:
    """An item may have nearly a MiB; one of more is refused, wherever it stands."""
    large = json.dumps({"success": True, "result": [shown(x="a" * 1_000_000)]}).encode()
    larger = json.dumps({"success": True, "result": [shown(x="a" * 1_100_000)]}).encode()

    assert 1 == len(read_in_pieces(_salvaging.Salvaging, large, [])[0].connectors)
    assert read_in_pieces(_salvaging.Salvaging, larger, []) is None


@each_kind
def test_an_answer_of_many_megabytes(make: Make) -> None:
    """Who sends it as a whole is read as well."""
    body = listed(9_000, result_info={"total_count": 9_001})
    assert len(body) > 2 * MIB

    found, envelope = read_whole(make, body)

    connectors = found.connectors if isinstance(found, _salvaging.Salvage) else found[0]
    left_out = found.lost if isinstance(found, _salvaging.Salvage) else found[1]
    assert (9_000, 1) == (len(connectors), left_out)
    assert {"total_count": 9_001} == envelope["result_info"]


def spoilt(body: bytes) -> bytes:
    """Return a list whose fifth connector has no domain that is one."""
    envelope = json.loads(body)
    envelope["result"][4]["email_domain"] = 7
    return json.dumps(envelope).encode()


def failed(body: bytes) -> bytes:
    """Return a list that says that it is a failure."""
    return json.dumps({**json.loads(body), "success": False, "errors": ["no"]}).encode()


@pytest.mark.parametrize(
    ("status", "said", "change"),
    [
        (200, "200 from GET /accounts/", lambda body: body[:-1]),
        (200, "expected str at $.result[4].email_domain", spoilt),
        (200, "expected true at $.success: no", failed),
        (500, "more than 1048576 bytes", lambda body: body),
    ],
)
def test_a_large_answer_that_is_no_list(
    status: int, said: str, change: Callable[[bytes], bytes]
) -> None:
    """It is refused as a small one would be."""
    listing = Listing(_wire.StrictReading)
    body = change(listed(9_000))

    with pytest.raises(cfsso.CfssoError) as refused:
        listing.read(LISTING, respond(body, status))

    assert said in str(refused.value)


@pytest.mark.parametrize("size", [3, 9_000])
def test_what_a_transport_took_in_pieces(size: int) -> None:
    """What it returns is enough for the rest, and is nothing to whoever did not take it."""
    body = listed(size)
    listing = Listing(_salvaging.Salvaging)
    listing.sink().feed(b"of an answer that was lost")
    sink = listing.sink()
    for place in range(0, len(body), 5000):
        sink.feed(body[place : place + 5000])
    left = sink.close()

    answer = listing.read(LISTING, respond(left))
    reading, left_out = listing.done(answer)

    assert (size, 0) == (len(reading.salvage(0).connectors), left_out)
    assert (body == left) is (size == 3)
    if size > 3:
        other = Listing(_salvaging.Salvaging)
        with pytest.raises(cfsso.APIResponseValidationError, match=r"expected list at \$\.result"):
            other.done(other.read(LISTING, respond(bytes(left))))


def test_what_a_transport_can_t_take() -> None:
    """A sink says so as sinks do, at once or at the end."""
    cut, odd = Listing(_wire.StrictReading).sink(), Listing(_wire.StrictReading).sink()
    cut.feed(listed(9_000)[:-1])

    with pytest.raises(ValueError, match="no JSON: It ends"):
        cut.close()
    with pytest.raises(ValueError, match="stands twice"):
        odd.feed(success([shown()] * 9_000).body)
