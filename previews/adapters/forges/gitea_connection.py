"""The way to Gitea's API v1, with httpx2. No answer counts before it is proven to be Gitea's own, and whole."""

from pathlib import Path

import httpx2

from previews.adapters.forges.answers import (
    AbsentError,
    Headers,
    Json,
    Request,
    malformed,
    read_json,
    read_own_id,
    read_token,
    repository_path,
    unreachable,
)

API_PATH = "/api/v1"
PER_PAGE = 50
"""Gitea's own limit unless its administrator sets another."""
PAGES_MAX = 400
TIMEOUT_SECONDS = 10.0
CONNECTIONS_MAX = 16
BODY_BYTES_MAX = 32 * 1024 * 1024
"""Far more than a page of long descriptions; a body without an end stops here."""
REDIRECTS_MAX = 3


class GiteaConnection:
    """Requests with a token, for its user. Safe from any thread."""

    def __init__(self, *, api_url: str, token_file: Path, timeout_seconds: float) -> None:
        self.server_url = api_url.rstrip("/")
        self._api_url = f"{self.server_url}{API_PATH}"
        self._token_file = token_file
        self._own_id: int | None = None
        self._client = httpx2.Client(
            timeout=timeout_seconds,
            limits=httpx2.Limits(max_connections=CONNECTIONS_MAX),
            headers={"Accept": "application/json", "User-Agent": "previews"},
        )

    def close(self) -> None:
        """Let go of what is open."""
        self._client.close()

    def own_id(self) -> int:
        """The id of the token's user. Asked once."""
        return self._own_id or self.fetch_own_id()

    def fetch_own_id(self) -> int:
        _, user = self.ask("GET", "/user", wants=dict)
        self._own_id = read_own_id(Request("GET", "/user"), user)
        return self._own_id

    def prove_in_sight(self, repository: str) -> None:
        """Gitea says the same of what is not there and of what the token may not see. Raises for the latter."""
        self.ask("GET", repository_path(repository), wants=dict)

    def list_all(self, path: str, **parameters: str) -> list[Json]:
        """All items of all pages, as many as Gitea says there are."""
        found, _ = self._list(path, parameters, None)
        return found

    def list_at_most(self, path: str, items_max: int) -> tuple[list[Json], bool]:
        """The same, or only the first page and False if there are more than that."""
        return self._list(path, {}, items_max)

    def _list(
        self, path: str, parameters: dict[str, str], items_max: int | None
    ) -> tuple[list[Json], bool]:
        asked = Request("GET", path)
        found: list[Json] = []
        announced = None
        for page in range(1, PAGES_MAX + 1):
            query = {"limit": str(PER_PAGE), "page": str(page), **parameters}
            headers, items = self.ask("GET", path, wants=list, parameters=query)
            total = headers.get("x-total-count", "")
            if total != (announced or total) or not (total.isascii() and total.isdigit()):
                raise malformed(asked, f"a list of {announced or 'unknown'} items, then {total}")
            announced = total
            found += items
            if items_max is not None and int(total) > items_max:
                return found, False
            if len(found) >= int(total) or not items:
                break
        if len(found) != int(announced or 0):
            raise malformed(asked, f"{len(found)} items of {announced}")
        return found, True

    def ask(
        self,
        verb: str,
        path: str,
        *,
        wants: type,
        parameters: dict[str, str] | None = None,
        body: Json = None,
    ) -> tuple[Headers, Json]:
        """One request, redirected within this forge only. `wants` is the kind of document that counts as an answer."""
        asked = Request(verb, path)
        headers = {"Authorization": f"token {read_token(self._token_file)}"}
        request = self._client.build_request(
            verb, self._api_url + path, params=parameters, json=body, headers=headers
        )
        try:
            for _ in range(REDIRECTS_MAX):
                status, answered, content = self._send(asked, request)
                if "location" not in answered or status not in {301, 302, 307, 308}:
                    return answered, _read(asked, status, answered, content, wants)
                # A renamed repository. The verb stays, whatever the status: browsers alone turn a POST into a GET.
                url = str(request.url.join(answered["location"]))
                if not url.startswith(f"{self._api_url}/"):
                    raise malformed(asked, f"a redirect to {url}")
                request = self._client.build_request(verb, url, json=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unreachable(asked, error) from error
        raise malformed(asked, f"more than {REDIRECTS_MAX} redirects")

    def _send(self, asked: Request, request: httpx2.Request) -> tuple[int, Headers, bytes]:
        response = self._client.send(request, stream=True)
        try:
            content = bytearray()
            for piece in response.iter_bytes():
                content += piece
                if len(content) > BODY_BYTES_MAX:
                    raise malformed(asked, f"more than {BODY_BYTES_MAX} bytes")
        finally:
            response.close()
        return response.status_code, response.headers, bytes(content)


def _read(asked: Request, status: int, headers: Headers, content: bytes, wants: type) -> Json:
    if asked.verb == "PATCH" and status == httpx2.codes.NOT_FOUND and not content:
        # How Gitea says that there is such a comment, but in another repository.
        raise AbsentError("ForgeAnswer", f"{asked} was refused with 404: it is of elsewhere")
    return read_json(asked, status, headers, content, wants=wants)
