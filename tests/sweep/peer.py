"""Calls between two processes over a socket, in both directions: while one waits for an answer it carries out calls.

One object of each side is as many remote objects of the other as it names. Values and errors travel as pickles.
"""

import io
import pickle
import socket
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HUNG_SECONDS = 60.0
"""No step takes a tenth of this: whoever is silent for so long will say nothing any more."""


class GoneError(BaseException):
    """The other process is not there any more. Nothing that carries on after an error may carry on after this."""


@dataclass(frozen=True, slots=True)
class _Call:
    target: str
    method: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    error: Exception | None = None


class Peer:
    """One end. `targets` is what the other end may call methods of."""

    def __init__(self, connection: socket.socket, targets: Mapping[str, object]) -> None:
        connection.settimeout(HUNG_SECONDS)
        self._connection = connection
        self._incoming = connection.makefile("rb")
        self._targets = targets

    def close(self) -> None:
        self._incoming.close()
        self._connection.close()

    def call(self, target: str, method: str, *arguments: object, **named: object) -> Any:  # noqa: ANN401 - whatever the method returns
        """Have the other end call a method. Returns what it returns, and raises what it raises."""
        self._send(_Call(target, method, arguments, named))
        while True:
            message = self._receive()
            if isinstance(message, _Answer):
                if message.error is not None:
                    raise message.error
                return message.value
            self._carry_out(message)

    def serve(self) -> None:
        """Carry out calls until the other end is gone."""
        self._connection.settimeout(None)
        while True:
            try:
                message = self._receive()
            except GoneError:
                return
            self._carry_out(message)

    def _carry_out(self, call: _Call) -> None:
        try:
            method = getattr(self._targets[call.target], call.method)
            answer = _Answer(method(*call.arguments, **call.named))
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            error.add_note(
                f"in the other process: {''.join(traceback.format_tb(error.__traceback__))}"
            )
            answer = _Answer(None, error)
        self._send(answer)

    def _send(self, message: _Call | _Answer) -> None:
        buffer = io.BytesIO()
        _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(message)
        try:
            self._connection.sendall(buffer.getvalue())
        except ConnectionError as error:
            raise GoneError from error

    def _receive(self) -> Any:  # noqa: ANN401 - one of the two messages
        try:
            return pickle.load(self._incoming)
        except (EOFError, ConnectionError) as error:
            raise GoneError from error


class Remote:
    """Stands for an object of the other end: any method may be called."""

    def __init__(self, peer: Peer, target: str) -> None:
        self._peer = peer
        self._target = target

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*arguments: object, **named: object) -> Any:  # noqa: ANN401 - whatever the method returns
            return self._peer.call(self._target, method, *arguments, **named)

        return call


class _Pickler(pickle.Pickler):
    """Errors keep all that they know: pickle alone would make them again from their message."""

    def reducer_override(self, obj: object) -> Any:  # noqa: ANN401 - as pickle has it
        if isinstance(obj, Exception):
            return _revive, (type(obj), obj.args, dict(vars(obj)))
        return NotImplemented


def _revive(kind: type[Exception], arguments: tuple[Any, ...], known: dict[str, Any]) -> Exception:
    error = kind.__new__(kind)
    error.args = arguments
    vars(error).update(known)
    return error
