from __future__ import annotations

import threading

import pytest
from penstock import connect
from penstock.bearer import Bearer
from penstock.errors import InvalidRequest


async def test_a_token_becomes_the_authorization_header() -> None:
    assert await Bearer("a.b-c_d~e+f/g==").header() == (("authorization", "Bearer a.b-c_d~e+f/g=="),)


async def test_without_a_token_there_is_no_header() -> None:
    assert await Bearer(None).header() == ()


async def test_a_callable_is_asked_for_each_call() -> None:
    tokens = iter(["first", "second"])
    bearer = Bearer(lambda: next(tokens))

    assert [await bearer.header(), await bearer.header()] == [
        (("authorization", "Bearer first"),),
        (("authorization", "Bearer second"),),
    ]


async def test_a_callable_does_not_hold_up_the_event_loop() -> None:
    where: list[threading.Thread] = []

    def token() -> str:
        where.append(threading.current_thread())
        return "t"

    await Bearer(token).header()

    assert where != [threading.current_thread()]


async def test_a_coroutine_function_gives_tokens_too() -> None:
    async def token() -> str:
        return "t"

    assert await Bearer(token).header() == (("authorization", "Bearer t"),)


async def test_an_object_that_is_called_may_give_an_awaitable() -> None:
    class Source:
        async def __call__(self) -> str:
            return "t"

    assert await Bearer(Source()).header() == (("authorization", "Bearer t"),)


BAD = ["", " ", "a b", "a\nb", "a\r\nx-admin: 1", "Bearer abc", "käse", "abc\x00", "=="]


@pytest.mark.parametrize("token", BAD)
def test_a_token_that_could_add_a_header_is_refused_before_connecting(token: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        connect("localhost:1", token=token)

    assert caught.value.field == "token"


@pytest.mark.parametrize("token", [*BAD, None, b"abc", 1])
async def test_a_callable_that_gives_no_token_is_an_error(token: object) -> None:
    with pytest.raises(InvalidRequest):
        await Bearer(lambda: token).header()  # type: ignore[arg-type,return-value]  # what it must not give


async def test_the_token_is_in_no_repr_and_no_error() -> None:
    bearer = Bearer("hunter2")

    assert "hunter2" not in repr(bearer)
    with pytest.raises(InvalidRequest) as caught:
        await Bearer(lambda: "hunter2 ").header()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(vars(caught.value))


async def test_what_a_callable_raises_reaches_the_caller() -> None:
    def token() -> str:
        raise LookupError("no token file")

    with pytest.raises(LookupError, match="no token file"):
        await Bearer(token).header()
