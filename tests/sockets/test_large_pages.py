"""A page that is larger than an answer may be is told as what it is."""

import asyncio

import pytest
from raw_sockets import http, raw_server, read_request
from scripted import ACCOUNT, CONNECTOR, OPERATIONS

import cfsso
from cfsso.transports.base import MAX_BODY

PAGE = b"<html><title>Log in</title>" + b"<br>" * MAX_BODY


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
@pytest.mark.parametrize("operation", ["list", "get", "begin_verification"])
async def test_a_large_page(operation: str, status: str) -> None:
    """The error of a page that is too large says whose it is, and has its beginning."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(PAGE, "x-a: 1", "Set-Cookie: a=b", status=status))
        await writer.drain()

    async with (
        raw_server(serve) as url,
        cfsso.connect(api_token="t", base_url=url) as connectors,
    ):
        with pytest.raises(cfsso.APIResponseValidationError) as caught:
            await OPERATIONS[operation](connectors, CONNECTOR, ACCOUNT)

    error = caught.value
    assert str(error).startswith(f"{status[:3]} from ")
    assert str(error).endswith(": not the API: an HTML page answered: Log in")
    assert (True, "Log in", int(status[:3])) == (error.edge, error.title, error.status)
    assert error.response is not None
    assert PAGE[:65_536] == error.response.body
    assert {"x-a", "content-length"} == set(error.response.headers)


async def test_a_large_list_that_is_none() -> None:
    """The error of a list that breaks off after a megabyte has the beginning of it."""
    body = b'{"result": [' + b'{"id": "1", "email_domain": "a.example"},' * 40_000 + b"oops"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(http(body))
        await writer.drain()

    async with (
        raw_server(serve) as url,
        cfsso.connect(api_token="t", base_url=url) as connectors,
    ):
        with pytest.raises(cfsso.APIResponseValidationError) as caught:
            await connectors.list(account_id=ACCOUNT)

    error = caught.value
    assert error.response is not None
    assert body[:65_536] == error.response.body
    assert (False, "") == (error.edge, error.title)
