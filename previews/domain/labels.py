"""How our objects in the cluster are marked. Ownership is decided by these labels, never by a name."""

from previews.domain.preview import PreviewKey

INSTANCE = "previews.dev/instance"
"""The manager that an object belongs to: previews, their namespaces and AppProjects, shard roots."""
PROJECT = "previews.dev/project"
NUMBER = "pr"
PREVIEW = "preview"
SHARD = "previews.dev/shard"
"""On shard roots only."""

DIGEST = "previews.dev/digest"
"""Annotation: which manifests an Application was rendered from."""
HEAD_SHA = "previews.dev/head-sha"
"""Annotation: the commit whose image they deploy."""
PULL_REQUEST = "previews.dev/pull-request"
"""Annotation: the pull request's address, for people who find the object first."""
BRANCH = "previews.dev/branch"
"""Annotations for people as well, in a stranger's words."""

CREATED = "previews.dev/created-at"
"""Annotations of the namespace, read again by a manager that lost its store: times, and who asked for what."""
PUSHED = "previews.dev/pushed-at"
EXPIRES = "previews.dev/expires-at"
ASLEEP = "previews.dev/asleep"
"""Since when, and why."""
PINNED = "previews.dev/pinned"
"""Until when, asked when, and by whom."""
EXTENDED = "previews.dev/extended"
SLEEP = "previews.dev/sleep-asked"
"""When, and by whom."""
WAKE = "previews.dev/wake-asked"
REDEPLOY = "previews.dev/redeploy-asked"
REMOVAL = "previews.dev/removal-asked"
RESET = "previews.dev/database-reset-asked"
ROTATION = "previews.dev/credential-asked"
ASKED = "previews.dev/preview-asked"
APPROVED = "previews.dev/approved"
"""Which commit of a fork, when, and by whom."""

HOSTS = "previews.dev/hosts"
"""Annotation of the namespace: every host that the preview may claim, with commas between them. Admission reads it."""

CREDENTIAL = "previews.dev/credential"
"""Annotation of a secret: the id of what is in it, which its database's role says as well."""

COMPONENT = "app.kubernetes.io/component"
"""On the pods of a chart's migrations, with this value: how their log is found."""
MIGRATION = "migrate"

REFRESH = "argocd.argoproj.io/refresh"
"""Argo CD's own: it compares the Application with Git at once and takes the annotation off."""


def ownership(instance: str, key: PreviewKey) -> dict[str, str]:
    """The labels of everything that belongs to one preview."""
    return {PREVIEW: "true", NUMBER: str(key.number), PROJECT: key.project, INSTANCE: instance}
