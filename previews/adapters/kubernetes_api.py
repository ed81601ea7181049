"""Kubernetes' API as raw JSON, and what its refusals mean. The sole importer of its client.

The client finds the server, the certificates and the credential; its typed models are never built, since a typed object
costs about sixty times a `json.loads`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Self
from urllib.parse import quote

import urllib3
import yaml
from kubernetes import config
from kubernetes.client import ApiClient, ApiException, Configuration

from previews.adapters.kubernetes_answers import (
    MESSAGE_LENGTH_MAX,
    BrokenStreamError,
    Raw,
    parsed,
    reason,
    refusal,
    says_not_found,
)
from previews.adapters.one_line import one_line
from previews.errors import ConfigurationError, TransientError

CONNECTIONS_KEPT = 32
PAGE_SIZE = 100
"""Of 10 KB each: a page of 500 costs 20 MiB of memory that the process keeps for ever, and no time less."""
EVENT_BYTES_MAX = 16 * 1024 * 1024
"""Ten times what etcd takes of one object: a longer line is no event."""
_READ_BYTES = 64 * 1024
_METADATA = "PartialObjectMetadata"
_METADATA_LIST = f"{_METADATA}List"
_METHODS = {"create": "POST", "patch": "PATCH", "delete": "DELETE"}
"""Of the verbs that change something; a Role names verbs, HTTP names methods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTimes:
    """How long the API server is waited for."""

    connect_seconds: float = 5.0
    read_seconds: float = 30.0
    """For the next bytes of an answer that should come at once."""
    watch_seconds: float = 60.0
    """After which the server ends a watch, and it is begun anew where it was."""
    silence_seconds: float = 10.0
    """Past `watch_seconds`: then a watch that said nothing at all is held for dead."""
    relist_seconds: float = 600.0
    """After which everything is listed anew, whatever the watch said."""
    retry_seconds: float = 0.2
    """Before the second attempt; doubled for each further one."""
    retry_seconds_max: float = 30.0


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, in one namespace or in the whole cluster."""

    plural: str
    """As a Role names it."""
    path: str
    place: str = ""
    """Where, in words."""


class WatchStream:
    """One open watch. Iterating blocks; `close` may be called from another thread, and ends it."""

    def __init__(self, response: urllib3.BaseHTTPResponse, what: str) -> None:
        self._response = response
        self._what = what
        self._lock = Lock()

    def __iter__(self) -> Iterator[Raw]:
        pending = b""
        try:
            while data := self._response.read1(_READ_BYTES):
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    yield self._parse(line)
                if len(pending) > EVENT_BYTES_MAX:
                    raise BrokenStreamError("ClusterAnswer", f"{self._what} sent an endless event")
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # ValueError: the stream was closed under the reader, which is how it is ended on purpose.
            raise TransientError(
                "ClusterUnreachable", f"{self._what} broke off: {reason(error)}"
            ) from error
        # A rest without its line's end is an event that will be sent again.

    def close(self) -> None:
        with self._lock, suppress(ValueError, RuntimeError, OSError):
            # It raises when nothing is being read any more.
            self._response.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._response.close()

    def _parse(self, line: bytes) -> Raw:
        try:
            event = json.loads(line)
            if isinstance(event["type"], str) and isinstance(event["object"], dict):
                parsed: Raw = event
                return parsed
        except (ValueError, TypeError, KeyError):
            pass
        raise BrokenStreamError("ClusterAnswer", f"{self._what} sent something that is no event")


class KubernetesAPI:
    """One API server, under one credential. Safe from any thread."""

    def __init__(self, *, kubeconfig: Path | None, times: ClusterTimes) -> None:
        self._kubeconfig = kubeconfig
        self._times = times
        self._lock = Lock()
        try:
            self._client = self._connect()
        except TransientError as error:
            raise ConfigurationError(error.message) from error

    def fetch(self, resource: Resource, name: str) -> Raw | None:
        """One object; None only when Kubernetes itself says that this very object is not there."""
        response = self._request("get", resource, name)
        if response.status == HTTPStatus.NOT_FOUND and says_not_found(parsed(response), name):
            return None
        return self._expect_object(response, "get", resource)

    def fetch_text(self, resource: Resource, name: str) -> bytes:
        """What a server behind the API server's proxy says."""
        response = self._request("get", resource, name)
        if response.status != HTTPStatus.OK:
            raise refusal(response, "get", resource.plural, resource.place)
        return response.data

    def fetch_metadata(self, resource: Resource, name: str) -> Raw | None:
        """One object without what is in it, by the right to patch it: nothing is changed. None as in `fetch`."""
        response = self._request(
            "patch", resource, name, query={"dryRun": "All"}, change={}, metadata_only=True
        )
        if response.status == HTTPStatus.NOT_FOUND and says_not_found(parsed(response), name):
            return None
        return self._expect_object(response, "patch", resource)

    def create(self, resource: Resource, created: Raw) -> None:
        """Raises ConflictError if there is one of this name."""
        response = self._request("create", resource, change=created, metadata_only=True)
        if response.status != HTTPStatus.CREATED:
            raise refusal(response, "create", resource.plural, resource.place)

    def list_pages(
        self, resource: Resource, selector: str, *, fields: str = "", metadata_only: bool = False
    ) -> Iterator[tuple[list[Raw], str]]:
        """Every object with these labels, page by page, each with the version of the whole list.

        `fields` narrows it to those with fields of these values, as far as Kubernetes can.
        """
        query = {"labelSelector": selector, "limit": str(PAGE_SIZE)}
        if fields:
            query["fieldSelector"] = fields
        while True:
            response = self._request("list", resource, query=query, metadata_only=metadata_only)
            page = self._expect_object(response, "list", resource)
            items, metadata = page.get("items"), page.get("metadata")
            if items is None and page.get("kind") == _METADATA_LIST:
                # As the API server writes a list of metadata that is empty.
                items = []
            version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
            if not isinstance(items, list) or not isinstance(version, str) or not version:
                raise TransientError(
                    "ClusterAnswer", f"what came for a list of {resource.plural} is no list"
                )
            yield items, version
            token = metadata.get("continue") if isinstance(metadata, dict) else None
            if not token:
                if isinstance(metadata, dict) and metadata.get("remainingItemCount"):
                    raise TransientError(
                        "ClusterAnswer", f"the list of {resource.plural} ends before its end"
                    )
                return
            query = {**query, "continue": str(token)}

    def watch(
        self, resource: Resource, selector: str, *, version: str, seconds: float
    ) -> WatchStream:
        """What happens to them after `version`. The server ends it after `seconds`."""
        query = {
            "labelSelector": selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(seconds))),
        }
        response = self._request(
            "watch",
            resource,
            query=query,
            read_seconds=seconds + self._times.silence_seconds,
        )
        if response.status != HTTPStatus.OK:
            raise refusal(response, "watch", resource.plural, resource.place)
        return WatchStream(response, f"the watch of {resource.plural}")

    def patch(self, resource: Resource, name: str, change: Raw) -> bool:
        """Merge `change` into the object. False when Kubernetes says that there is none."""
        response = self._request("patch", resource, name, change=change)
        if response.status == HTTPStatus.NOT_FOUND and says_not_found(parsed(response), name):
            return False
        self._expect_object(response, "patch", resource)
        return True

    def delete(self, resource: Resource, name: str, *, uid: str, version: str) -> bool:
        """Ask for the end of this very object as it was read; its dependents go in the background.

        False when Kubernetes says that there is none. Raises ConflictError when it is another one, or was changed.
        """
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid, "resourceVersion": version},
            "propagationPolicy": "Background",
        }
        response = self._request("delete", resource, name, change=options)
        if response.status == HTTPStatus.NOT_FOUND and says_not_found(parsed(response), name):
            return False
        if response.status != HTTPStatus.ACCEPTED:
            self._expect_object(response, "delete", resource)
        return True

    def fetch_log(self, pods: Resource, name: str, query: Mapping[str, str]) -> str | None:
        """What a container wrote; None when Kubernetes says that there is no such pod."""
        log = Resource("pods/log", f"{pods.path}/{quote(name, safe='')}/log", pods.place)
        response = self._request("get", log, query=query)
        if response.status == HTTPStatus.NOT_FOUND and says_not_found(parsed(response), name):
            return None
        if response.status != HTTPStatus.OK:
            raise refusal(response, "get", log.plural, log.place)
        return response.data.decode(errors="replace")

    def check(self, resource: Resource) -> None:
        """The cheapest request that needs the server, the credential, the kind and a right to it."""
        response = self._request("list", resource, query={"limit": "1"}, metadata_only=True)
        self._expect_object(response, "list", resource)

    def _expect_object(
        self, response: urllib3.BaseHTTPResponse, verb: str, resource: Resource
    ) -> Raw:
        if response.status != HTTPStatus.OK:
            raise refusal(response, verb, resource.plural, resource.place)
        found = parsed(response)
        if found is None:
            raise TransientError(
                "ClusterAnswer", f"the API server's answer to {verb} {resource.plural} is no object"
            )
        return found

    def _request(
        self,
        verb: str,
        resource: Resource,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        change: Raw | None = None,
        read_seconds: float | None = None,
        metadata_only: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        path = f"{resource.path}/{quote(name, safe='')}" if name else resource.path
        headers = {"Accept": "application/json"}
        if metadata_only:
            kind = _METADATA_LIST if verb == "list" else _METADATA
            headers["Accept"] = f"application/json;as={kind};g=meta.k8s.io;v=v1"
        if change is not None:
            is_patch = verb == "patch"
            headers["Content-Type"] = f"application/{'merge-patch+' if is_patch else ''}json"

        def send(client: ApiClient) -> urllib3.BaseHTTPResponse:
            method, url, sent_headers, sent_body, _ = client.param_serialize(
                _METHODS.get(verb, "GET"),
                path,
                query_params=list((query or {}).items()),
                header_params=dict(headers),
                body=change,
                auth_settings=["BearerToken"],
            )
            timeouts = (self._times.connect_seconds, read_seconds or self._times.read_seconds)
            sent: urllib3.BaseHTTPResponse = client.call_api(
                method, url, sent_headers, sent_body, _request_timeout=timeouts
            ).response
            if verb != "watch" or sent.status != HTTPStatus.OK:
                sent.read(cache_content=True)
            return sent

        try:
            client = self._client
            response = send(client)
            if response.status == HTTPStatus.UNAUTHORIZED:
                # The token may have been renewed on disk since it was read.
                response = send(self._reconnect(client))
        except (
            urllib3.exceptions.HTTPError,
            OSError,
            ApiException,
            config.ConfigException,
        ) as error:
            raise TransientError(
                "ClusterUnreachable", f"the Kubernetes API does not answer: {reason(error)}"
            ) from error
        return response

    def _connect(self) -> ApiClient:
        configuration = Configuration()
        try:
            if self._kubeconfig is None:
                config.load_incluster_config(  # type: ignore[no-untyped-call] # as the client is
                    client_configuration=configuration
                )
            else:
                config.load_kube_config(  # type: ignore[no-untyped-call] # as the client is
                    config_file=str(self._kubeconfig), client_configuration=configuration
                )
        except (config.ConfigException, OSError, yaml.YAMLError, TypeError, ValueError) as error:
            # TypeError: the loader stumbles over YAML of another shape.
            place = self._kubeconfig or "the pod's service account"
            raise TransientError(
                "ClusterUnauthorized",
                f"no access to Kubernetes from {place}: {one_line(str(error), MESSAGE_LENGTH_MAX)}",
            ) from error
        # Retries, and waiting for Retry-After, are the loop's business: the client would sleep in a worker.
        configuration.retries = False
        configuration.keep_alive = True
        configuration.connection_pool_maxsize = CONNECTIONS_KEPT
        return ApiClient(configuration)

    def _reconnect(self, stale: ApiClient) -> ApiClient:
        with self._lock:
            if self._client is stale:
                self._client = self._connect()
            return self._client
