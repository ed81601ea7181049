"""What GitHub publishes about its API and webhooks, made to judge single requests, answers and payloads.

Its rule: what the description does not know is a violation, be it an endpoint, a parameter or a field of a request.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match

Json: TypeAlias = Any
"""A JSON document, whose shape is what is being judged."""
HERE = Path(__file__).parent
COMMON_REFUSALS = frozenset({400, 401, 403, 404, 422, 429})
"""GitHub refuses any request in these ways, though its description names them for few endpoints only."""
BASIC_ERROR = {"$ref": "#/components/schemas/basic-error"}

_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_formats.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


def to_json_schema(node: Json) -> Json:
    """OpenAPI 3.0's dialect as JSON Schema: `nullable` becomes one more type, beside `$ref` and `enum` too."""
    if isinstance(node, list):
        return [to_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    nullable = node.get("nullable") is True
    schema = {
        key: (
            {name: to_json_schema(part) for name, part in value.items()}
            if key == "properties"
            else to_json_schema(value)
        )
        for key, value in node.items()
        if key not in {"nullable", "discriminator"}
    }
    return {"anyOf": [schema, {"type": "null"}]} if nullable else schema


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    template: str
    body_schema: Mapping[str, Json] | None
    query: Mapping[str, Mapping[str, Json]]
    in_path: Mapping[str, Mapping[str, Json]]
    answers: Mapping[int, Mapping[str, Json] | None]
    """The schema of the body by status; None where there is no JSON body."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.template)))


class Description:
    """GitHub's description of its API, trimmed to the endpoints in use."""

    def __init__(self) -> None:
        document = _amended(json.loads((HERE / "description.json").read_text(encoding="utf-8")))
        self._components = to_json_schema(document["components"])
        self.operations = [
            self._operation(method.upper(), template, content)
            for template, methods in document["paths"].items()
            for method, content in methods.items()
        ]

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation that a request is about, with the values in its path."""
        for operation in self.operations:
            found = operation.pattern.fullmatch(path)
            if found and operation.method == method:
                return operation, {
                    name: unquote(value) for name, value in found.groupdict().items()
                }
        return None

    def violations_of_request(
        self,
        operation: Operation,
        in_path: Mapping[str, str],
        query: Mapping[str, list[str]],
        body: Json,
    ) -> Iterator[str]:
        """What the description says against a request. `body` is None when there is none."""
        asked = f"{operation.method} {operation.template}"
        for name, value in in_path.items():
            yield from self._judge(_typed(value, operation.in_path[name]), operation.in_path[name])
        for name, values in query.items():
            if name not in operation.query:
                yield f"{asked}: no query parameter {name!r} is described"
                continue
            for value in values:
                yield from self._judge(_typed(value, operation.query[name]), operation.query[name])
        if (body is None) != (operation.body_schema is None):
            yield f"{asked}: {'no' if body is None else 'a'} body was sent"
        elif operation.body_schema is not None:
            yield from self._judge(body, operation.body_schema)
            described = operation.body_schema.get("properties", {})
            for name in body if isinstance(body, dict) else ():
                if name not in described:
                    yield f"{asked}: no field {name!r} is described"

    def violations_of_answer(self, operation: Operation, status: int, body: Json) -> Iterator[str]:
        """What the description says against an answer with this JSON body."""
        if status in operation.answers:
            schema = operation.answers[status]
        elif status in COMMON_REFUSALS:
            schema = BASIC_ERROR
        else:
            yield f"{operation.method} {operation.template}: status {status} is not described"
            return
        if schema is not None:
            yield from self._judge(body, schema)

    def _judge(self, value: Json, schema: Mapping[str, Json]) -> Iterator[str]:
        yield from _judge(value, {**schema, "components": self._components})

    def _operation(self, method: str, template: str, content: Json) -> Operation:
        parameters = [self._resolved(each, "parameters") for each in content.get("parameters", ())]
        body = content.get("requestBody")
        return Operation(
            method=method,
            template=template,
            body_schema=to_json_schema(_json_schema_in(body)) if body else None,
            query={
                p["name"]: to_json_schema(p["schema"]) for p in parameters if p["in"] == "query"
            },
            in_path={
                p["name"]: to_json_schema(p["schema"]) for p in parameters if p["in"] == "path"
            },
            answers={
                int(status): to_json_schema(_json_schema_in(self._resolved(answer, "responses")))
                for status, answer in content["responses"].items()
            },
        )

    def _resolved(self, node: Json, kind: str) -> Json:
        if "$ref" in node:
            return self._components[kind][node["$ref"].rsplit("/", 1)[1]]
        return node


class WebhookSchemas:
    """GitHub's schemas of webhook payloads. They are JSON Schema already."""

    def __init__(self) -> None:
        document = json.loads((HERE / "webhook_schemas.json").read_text(encoding="utf-8"))
        self._webhooks = document["webhooks"]
        self._components = document["components"]

    def violations(self, event: str, payload: Mapping[str, Json]) -> list[str]:
        """What the schemas say against a payload. `event` is the value of X-GitHub-Event."""
        name = "-".join([event, payload["action"]] if "action" in payload else [event])
        name = name.replace("_", "-")
        if name not in self._webhooks:
            return [f"no webhook {name!r} is described"]
        return list(_judge(payload, {**self._webhooks[name], "components": self._components}))


@lru_cache(maxsize=1)
def description() -> Description:
    return Description()


@lru_cache(maxsize=1)
def webhook_schemas() -> WebhookSchemas:
    return WebhookSchemas()


def _judge(value: Json, schema: Mapping[str, Json]) -> Iterator[str]:
    validator = Draft202012Validator(schema, format_checker=_formats)
    for error in validator.iter_errors(value):
        closest = best_match([error]) or error
        yield f"{closest.json_path}: {closest.message[:300]}"


def _json_schema_in(content: Json) -> Json:
    return content.get("content", {}).get("application/json", {}).get("schema")


def _typed(text: str, schema: Mapping[str, Json]) -> object:
    """A value of a path or query, which come as text, as the type that the schema asks for."""
    if schema.get("type") == "integer" and re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return text


def _amended(document: Json) -> Json:
    """The description with the corrections that reality asks for: see README.md."""
    for name in ("pull-request", "pull-request-simple"):
        head = document["components"]["schemas"][name]["properties"]["head"]["properties"]
        head["repo"] = {"allOf": [head["repo"]], "nullable": True}
    for each in document["components"]["schemas"]["deployment-status"]["properties"].values():
        if each.get("default") == "":
            each.pop("format", None)
    return document
