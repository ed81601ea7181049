"""Every answer that is no success: a reason for programs, and a message for people."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from previews.errors import ActionRefusedError, PreviewsError
from previews.web.views import Refusal

_STATUSES = {
    "UnknownPreview": 404,
    "UnknownTemplate": 404,
    "UnknownProject": 404,
    "BeyondLimit": 422,
    "NoLength": 422,
}
"""Of a refused action; of any other reason: 409, since it lies in how things stand."""


OF_THE_API: dict[int | str, dict[str, Any]] = {
    401: {"model": Refusal, "description": "The token is missing or wrong"},
    422: {"model": Refusal, "description": "The request makes no sense, or is beyond a limit"},
    503: {"model": Refusal, "description": "The store, or an outside system, does not answer"},
}
OF_ONE_PREVIEW: dict[int | str, dict[str, Any]] = {
    404: {"model": Refusal, "description": "No such preview"}
}
OF_ACTIONS: dict[int | str, dict[str, Any]] = {
    409: {"model": Refusal, "description": "Not as things stand"}
}


def answer_refusals(web: FastAPI) -> None:
    """Have `web` answer each kind of error as a Refusal."""

    @web.exception_handler(PreviewsError)
    async def say_unavailable(_: Request, error: PreviewsError) -> JSONResponse:
        return _answer(503, error.reason, error.message)

    @web.exception_handler(ActionRefusedError)
    async def say_refused(_: Request, error: ActionRefusedError) -> JSONResponse:
        return _answer(_STATUSES.get(error.reason, 409), error.reason, error.message)

    @web.exception_handler(RequestValidationError)
    async def say_senseless(_: Request, error: RequestValidationError) -> JSONResponse:
        """Name what is wrong and not its value: it may have been meant for elsewhere."""
        details = []
        for detail in error.errors():
            where, *keys = map(str, detail["loc"])
            text = detail["msg"].removeprefix("Value error, ")
            details.append(f"{'.'.join(keys) or where}: {text}")
        return _answer(422, "InvalidRequest", "; ".join(details))

    @web.exception_handler(HTTPException)
    async def say_status(_: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
        reason = (
            "InvalidRequest" if error.status_code == HTTPStatus.UNPROCESSABLE_ENTITY else phrase
        )
        return _answer(error.status_code, reason, error.detail, error.headers)


def _answer(
    status: int, reason: str, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    shown = {"reason": reason, "message": message.encode(errors="replace").decode()}
    return JSONResponse(shown, status_code=status, headers=headers)
