"""The answer to a list: read as a whole if it is small, else piece by piece as it comes."""

import json
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from cfsso import _failures, _wire
from cfsso._converter import ConversionError, Dialect
from cfsso._list_stream import ListStream
from cfsso.transports._call import Sink
from cfsso.transports.base import MAX_BODY, Request, Response


class Reading(Protocol):
    """
    What is made of the items of a list.

    Attributes:
        dialect: How the answer is read.
    """

    dialect: ClassVar[Dialect]

    def take(self, item: Any) -> None:
        """
        Read the next item.

        Raises:
            ConversionError: It can't be read.
        """


_Reading = TypeVar("_Reading", bound=Reading)


class Listing(Generic[_Reading]):
    """
    Reads answers to one list, of which the last counts.

    Args:
        make: Makes what takes the items of an answer.
    """

    def __init__(self, make: Callable[[], _Reading]) -> None:
        self._make = make
        self._sink: _Sink[_Reading] | None = None

    def sink(self) -> Sink:
        """Return what a transport may give the content of an answer to, as it comes."""
        self._sink = _Sink(self._make())
        return self._sink

    def read(self, request: Request, response: Response) -> _wire.Answer:
        """
        Read the envelope.

        Raises:
            CfssoError: As in `_wire.read`.
        """
        sink = self._sink
        if sink is None or sink.stream is None or sink.body is not response.body:
            # Its transport knows of no sinks, or did not need one.
            self._sink = sink = _Sink(self._make())
            if len(response.body) <= MAX_BODY or not 200 <= response.status < 300:  # noqa: PLR2004 - successes
                return _wire.read(request, response, sink.reading.dialect.decode)
            try:
                sink.take_whole(response.body)
            except ValueError as error:
                problem = str(error)
                raise _failures.unreadable(request, response, problem) from None
        assert sink.stream is not None  # noqa: S101 # it was too large for anything else
        return _wire.accept(request, response, sink.stream.envelope)

    def done(self, answer: _wire.Answer) -> tuple[_Reading, int]:
        """
        Return what took all items of *answer*, and how many more there are by its own count.

        Raises:
            APIResponseValidationError: It is no list, or an item can't be read.
        """
        assert self._sink is not None  # noqa: S101 # it was read
        reading, stream = self._sink.reading, self._sink.stream
        if stream is not None:
            return reading, _wire.missing(answer, stream.count)
        items = _wire.items(answer)
        try:
            for item in items:
                reading.take(item)
        except ConversionError as error:
            problem = str(error)
        else:
            return reading, _wire.missing(answer, len(items))
        raise answer.unreadable(problem)


class _Sink(Generic[_Reading]):
    """
    Takes the content of an answer, and keeps it as it is if it is small.

    Attributes:
        reading: What takes its items.
        stream: What reads it. None: it is small.
        body: What others get to see of it. None: all of it, or nothing yet.
    """

    def __init__(self, reading: _Reading) -> None:
        self.reading = reading
        self.stream: ListStream | None = None
        self.body: bytes | None = None
        self._chunks: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next piece; a ValueError says why it can't be taken."""
        if self.stream is None:
            self._chunks.append(chunk)
            self._size += len(chunk)
            if self._size <= MAX_BODY:
                return
            self.stream = ListStream(self.reading.dialect, self.reading.take)
            chunk = b"".join(self._chunks)
            self._chunks.clear()
        try:
            self.stream.feed(chunk)
        except ConversionError as error:
            raise ValueError(str(error)) from None

    def close(self) -> bytes:
        """Return the content if it is small, else its envelope without the list."""
        if self.stream is None:
            return b"".join(self._chunks)
        try:
            self.stream.close()
        except ConversionError as error:
            raise ValueError(str(error)) from None
        body = self.body = json.dumps(self.stream.envelope).encode()
        return body

    def take_whole(self, body: bytes) -> None:
        """Take all of a content that is not small; a ValueError says why it can't be taken."""
        for place in range(0, len(body), MAX_BODY):
            self.feed(body[place : place + MAX_BODY])
        self.close()
