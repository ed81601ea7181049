"""The bench's own watch on the cluster: every change with the moment at which it arrived."""

import json
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.cluster import RunningCluster

Object = dict[str, Any]
OnEvent = Callable[[float, str, Object], None]

GONE = 410
RETRY_SECONDS = 0.2


class Watch:
    """Lists the objects with a label and follows them on a thread of its own, as the administrator.

    `on_event` is called on that thread with the moment, ADDED, MODIFIED or DELETED, and the object; objects that were
    there before come first, as ADDED.
    """

    def __init__(
        self, cluster: RunningCluster, path: str, label_selector: str, on_event: OnEvent
    ) -> None:
        self._path = path
        self._selector = {"labelSelector": label_selector}
        self._on_event = on_event
        self._client = httpx2.Client(
            base_url=cluster.api_server,
            headers={"authorization": f"Bearer {cluster.admin_token}"},
            verify=ssl.create_default_context(cafile=cluster.ca_file),
            trust_env=False,
            timeout=httpx2.Timeout(30, read=None),
        )
        self._stopping = threading.Event()
        self._listed = threading.Event()
        self._response: httpx2.Response | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Returns when the first listing is complete."""
        self._thread.start()
        self._listed.wait()

    def stop(self) -> None:
        self._stopping.set()
        # A read that waits for the next event ends with its connection.
        self._client.close()

    def _run(self) -> None:
        version: str | None = None
        while not self._stopping.is_set():
            try:
                version = version or self._list()
                version = self._follow(version)
            except (httpx2.HTTPError, httpx2.StreamError, RuntimeError):
                # The server was restarted, or this watch stopped.
                self._stopping.wait(RETRY_SECONDS)

    def _list(self) -> str:
        answer = self._client.get(self._path, params=self._selector).raise_for_status().json()
        now = time.monotonic()
        for found in answer["items"]:
            self._on_event(now, "ADDED", found)
        self._listed.set()
        version: str = answer["metadata"]["resourceVersion"]
        return version

    def _follow(self, version: str) -> str | None:
        """Until the server ends it. Returns where to go on, or None to list again."""
        asked = {**self._selector, "watch": "true", "resourceVersion": version}
        with self._client.stream("GET", self._path, params=asked) as response:
            if response.status_code == GONE:
                return None
            response.raise_for_status()
            for line in response.iter_lines():
                now = time.monotonic()
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return None
                self._on_event(now, event["type"], event["object"])
                version = event["object"]["metadata"]["resourceVersion"]
        return version
