"""Make description.json, webhook_schemas.json and webhooks/ from the packages that publish GitHub's descriptions.

README.md beside this file says which packages, and how to fetch them. The same packages always give the same bytes.

    python -m tests.github.trim_description OPENAPI_FOLDER WEBHOOKS_FOLDER EXAMPLES_FOLDER
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.github.description import Json

HERE = Path(__file__).parent
OPERATIONS = (
    ("/user", "get"),
    ("/users/{username}", "get"),
    ("/app", "get"),
    ("/app/installations/{installation_id}/access_tokens", "post"),
    ("/app-manifests/{code}/conversions", "post"),
    ("/repos/{owner}/{repo}/installation", "get"),
    ("/repos/{owner}/{repo}", "get"),
    ("/repos/{owner}/{repo}/actions/runs", "get"),
    ("/repos/{owner}/{repo}/commits/{ref}/check-runs", "get"),
    ("/repos/{owner}/{repo}/git/trees/{tree_sha}", "get"),
    ("/repos/{owner}/{repo}/pulls", "get"),
    ("/repos/{owner}/{repo}/pulls/{pull_number}", "get"),
    ("/repos/{owner}/{repo}/statuses/{sha}", "post"),
    ("/repos/{owner}/{repo}/issues/{issue_number}/comments", "get"),
    ("/repos/{owner}/{repo}/issues/{issue_number}/comments", "post"),
    ("/repos/{owner}/{repo}/issues/comments/{comment_id}", "patch"),
    ("/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", "post"),
    ("/repos/{owner}/{repo}/collaborators/{username}/permission", "get"),
    ("/repos/{owner}/{repo}/pulls/{pull_number}/files", "get"),
    ("/repos/{owner}/{repo}/git/blobs/{file_sha}", "get"),
    ("/repos/{owner}/{repo}/check-runs", "post"),
    ("/repos/{owner}/{repo}/check-runs/{check_run_id}", "patch"),
    ("/repos/{owner}/{repo}/deployments", "get"),
    ("/repos/{owner}/{repo}/deployments", "post"),
    ("/repos/{owner}/{repo}/deployments/{deployment_id}", "delete"),
    ("/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", "post"),
    ("/repos/{owner}/{repo}/environments/{environment_name}", "delete"),
    ("/app/hook/config", "get"),
    ("/app/hook/deliveries", "get"),
    ("/app/hook/deliveries/{delivery_id}/attempts", "post"),
)
OPERATION_PARTS = ("operationId", "parameters", "requestBody", "responses")
ACTIONS = {
    "pull_request": (
        "opened",
        "synchronize",
        "closed",
        "reopened",
        "labeled",
        "unlabeled",
        "edited",
        "converted_to_draft",
        "ready_for_review",
    ),
    "issue_comment": ("created", "edited", "deleted"),
    "check_run": ("rerequested",),
    "check_suite": ("rerequested",),
    "installation": ("suspend", "unsuspend"),
}
EVENTS = (
    "ping",
    "push",
    *(
        f"{event}-{action}".replace("_", "-")
        for event, actions in ACTIONS.items()
        for action in actions
    ),
)
PROSE = {"description", "example", "examples", "externalDocs", "summary", "title"}


def without_prose(node: Json) -> Json:
    """The node without texts and examples; a property that happens to be called `title` stays."""
    if isinstance(node, list):
        return [without_prose(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: (
            {name: without_prose(schema) for name, schema in value.items()}
            if key == "properties"
            else without_prose(value)
        )
        for key, value in node.items()
        if key not in PROSE and not key.startswith("x-")
    }


def references(node: Json) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from references(value)


def components_for(roots: Json, document: Json) -> dict[str, dict[str, Json]]:
    """Every component that the roots refer to, and those that these refer to."""
    found: dict[str, dict[str, Json]] = {}
    waiting = list(references(roots))
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        if name not in found.setdefault(kind, {}):
            component = without_prose(document["components"][kind][name])
            found[kind][name] = component
            waiting.extend(references(component))
    return found


def trimmed_api(document: Json) -> dict[str, Json]:
    paths: dict[str, Json] = {}
    for path, method in OPERATIONS:
        operation = document["paths"][path][method]
        paths.setdefault(path, {})[method] = without_prose(
            {part: operation[part] for part in OPERATION_PARTS if part in operation}
        )
    return {
        "openapi": document["openapi"],
        "info": {"version": document["info"]["version"]},
        "paths": paths,
        "components": components_for(paths, document),
    }


def trimmed_webhooks(document: Json) -> dict[str, Json]:
    webhooks = {
        event: without_prose(
            document["webhooks"][event]["post"]["requestBody"]["content"]["application/json"][
                "schema"
            ]
        )
        for event in EVENTS
    }
    return {
        "openapi": document["openapi"],
        "info": {"version": document["info"]["version"]},
        "webhooks": webhooks,
        "components": components_for(webhooks, document),
    }


def payloads(index: Json) -> Iterator[tuple[str, Json]]:
    """One example of each event: the last, which has the newest fields, of those about a repository or a branch."""
    examples = {entry["name"]: entry["examples"] for entry in index}
    yield "ping", [example for example in examples["ping"] if "repository" in example][-1]
    yield "push", [each for each in examples["push"] if each["ref"].startswith("refs/heads/")][-1]
    for event, actions in ACTIONS.items():
        by_action = {example["action"]: example for example in examples[event]}
        if event == "pull_request":
            # The package has no example of `edited`: it is `opened` with the `changes` that the schema asks for.
            changes = {"title": {"from": "Update the README with new informations"}}
            by_action["edited"] = by_action["opened"] | {"action": "edited", "changes": changes}
        for action in actions:
            yield f"{event}.{action}", by_action[action]


def write(path: Path, content: Json) -> None:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes")


def main(openapi: Path, webhooks: Path, examples: Path) -> None:
    api_document = json.loads((openapi / "generated/api.github.com.json").read_text())
    webhook_document = json.loads((webhooks / "generated/api.github.com.json").read_text())
    index = json.loads((examples / "api.github.com/index.json").read_text())
    write(HERE / "description.json", trimmed_api(api_document))
    write(HERE / "webhook_schemas.json", trimmed_webhooks(webhook_document))
    for name, payload in payloads(index):
        write(HERE / "webhooks" / f"{name}.json", payload)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
