"""The part of the closed list of reasons that errors have: what an outside system did, and what to do. Pure."""

from collections.abc import Mapping

REASONS_OF_ERRORS: Mapping[str, tuple[str, str]] = {
    "PullRequestNotFound": (
        (
            "The forge knows no such pull request, although something of it is there. Nothing is removed for "
            "that."
        ),
        (
            "Has another repository taken the name of its own? If the pull request is really gone, "
            "`previews remove` takes away what is there of it."
        ),
    ),
    "RepositoryReplaced": (
        (
            "The forge has another repository by this name than the one that the previews are of, told by its "
            "number. Nothing is changed or removed for that."
        ),
        (
            "Rename it back. If the old one is gone for good: take the project out of the configuration, "
            "`previews drain PROJECT`, and put it back; `previews wake` brings back a number that was drained."
        ),
    ),
    "ProjectNotConfigured": (
        (
            "The project is not in the configuration: `render` was asked for it, or previews of it are "
            "there, which are left as they are."
        ),
        "Name one that is; put it back; or `previews drain PROJECT`.",
    ),
    "AppNotCreated": (
        (
            "`previews github-app create` has no App to show for it: nobody came back from GitHub, its code was "
            "used or too old, or what it gave could not be stored."
        ),
        "What the message says; an App that GitHub made all the same is deleted on its page there.",
    ),
    "InvalidManifests": (
        "A template failed, or what it made is not what was meant. Nothing is written.",
        "Mend the site's template that is named (templates).",
    ),
    "TrafficUnreachable": (
        (
            "The ingress controller's metrics do not answer. Nobody is put to sleep for want of visitors "
            "meanwhile."
        ),
        "`ingress.metrics_urls`; does the controller run, with metrics on?",
    ),
    "TrafficAnswer": (
        "The answer is no such metrics.",
        "The address, or the controller: Traefik and ingress-nginx are understood.",
    ),
    "InternalError": ("A bug in previews, met by this one key.", "Report the log's `bug` line."),
    "InboxClosed": (
        "A delivery was answered 503: the manager is stopping, or 2,000 deliveries wait already.",
        "",
    ),
    "SecretUnreadable": (
        "A secret's file cannot be read any more; webhooks are answered 503.",
        "Put the file back, with rights for the manager.",
    ),
    "StoreUnavailable": (
        "The store's file or its lock cannot be used.",
        "Disk, permissions, and who else has it open.",
    ),
    "StoreTooNew": (
        "A newer version wrote the store.",
        "Start that version, or move the file away.",
    ),
    "ForgeUnreachable": (
        "No answer, an answer of 5xx, or a proxy's page.",
        "The network, the forge's status page.",
    ),
    "ForgeRateLimited": (
        "The forge asks us to wait; we do.",
        "If it is often so: a longer `resync`, or a token of its own for this manager (metrics: `previews_forge_*`).",
    ),
    "ForgeCredentials": (
        "The token or the App's private key cannot be read, or is not accepted.",
        "Is it expired or revoked? The file is read anew each time.",
    ),
    "ForgeSuspended": (
        (
            "Somebody has suspended the GitHub App or the account, or taken the App out of this repository. "
            "Nothing there is changed or removed."
        ),
        "Its page at GitHub: unsuspend it, or install it again; it goes on by itself.",
    ),
    "ForgeForbidden": (
        "The token may not read this, or it is not there.",
        "Rights; is the repository's name right?",
    ),
    "ForgeRefused": (
        "The forge refused a status or a comment.",
        "The message has its words; often a right is missing (forges), or the pull request is locked.",
    ),
    "RepositoryFileUnreadable": (
        "`.previews.yaml` on a base branch is no file, no text, or larger than 64 KiB.",
        "Mend it on that branch, or remove it.",
    ),
    "ForgeAnswer": (
        "The forge's answer is not what its API promises, so nothing is concluded from it.",
        "Is `forge.api_url` the API, and `forge.kind` right?",
    ),
    "GitUnreachable": (
        "No answer from the GitOps repository in time, or none was read yet since the start.",
        "The network, the server.",
    ),
    "GitContended": (
        "The branch moved on at each of ten attempts.",
        "Who pushes to it all the time? A GitOps repository for previews alone helps.",
    ),
    "PushRejected": ("Somebody else pushed first.", ""),
    "GitCommitUnknown": (
        "The server does not give a commit that Argo CD works from, so a removal cannot be proven.",
        "Was the history rewritten? Refresh the shard root in Argo CD, so that it works from the tip.",
    ),
    "GitCloneBroken": ("Git cannot use the clone.", ""),
    "GitCloneFailed": ("No clone can be made in `data_directory`.", "Disk, permissions."),
    "GitMissing": ("There is no `git` program.", "Install it."),
    "GitOpsAccessDenied": (
        "The server does not accept user and password, or not for this.",
        "`gitops.username`, `gitops.password_file`; is the token expired?",
    ),
    "GitOpsNotFound": (
        "There is no repository at that URL.",
        "`gitops.url`; a token without rights sees none either.",
    ),
    "GitOpsBranchMissing": (
        "The repository has no such branch, or is empty.",
        "Create it with a first commit.",
    ),
    "GitOpsWriteRefused": (
        "The server refuses our commits: a protected branch, a hook, a token that may only read.",
        "Allow the user to push to the branch.",
    ),
    "GitOpsUnsupported": (
        "The repository names objects by SHA-256.",
        "Use one with SHA-1; Argo CD needs that as well.",
    ),
    "GitOpsFileUnreadable": (
        "A file of ours in the repository is no text any more: a link, more than 1 MiB, or no UTF-8.",
        "Who wrote to it? Remove it, or take that commit back.",
    ),
    "ClusterUnreachable": (
        "The Kubernetes API does not answer, or was not listed to the end since the start.",
        "The network, the API server.",
    ),
    "ClusterUnauthorized": (
        "The credential is not accepted, or not there.",
        "The service account's token or the kubeconfig.",
    ),
    "ClusterForbidden": (
        "A right is missing; the message says which.",
        "Install the rights of charts/previews.",
    ),
    "ClusterRefused": ("Kubernetes refused a request.", "The message has its words."),
    "ClusterChanged": ("An object changed under us, or a watch is too old.", ""),
    "ClusterAnswer": (
        "An answer that is not what Kubernetes promises, or it does not know Argo CD's kinds.",
        "Is Argo CD installed? Is there a proxy in between?",
    ),
    "RegistryUnreachable": ("No answer, or one of 429 or 5xx.", "The network, the registry."),
    "RegistryAnswer": (
        "The answer is not a registry's.",
        "Is `image.repository` right? Is there a proxy in between?",
    ),
    "RegistryDenied": (
        "The registry wants a credential that there is not, or refuses the one that there is.",
        "`registry_credentials_file`, and what it may read.",
    ),
    "RegistryCredentials": (
        "`registry_credentials_file` is not a readable Docker `config.json`.",
        "Mend it.",
    ),
    "NameServerUnreachable": (
        "The name server in `dns.server` does not answer, fails, or answers without the key's signature.",
        "Does it run, and is port 53 open to it over UDP and TCP? Previews that are live stay so.",
    ),
    "NameServerRefused": (
        "It refuses the zone, the key, an update or a transfer; the message says which.",
        'What it has to be told. With "clocks": set them.',
    ),
    "RecordNotOurs": (
        "A record of the preview's host is there without this preview's mark. It is never touched.",
        "Find out whose it is; remove or rename it (marks).",
    ),
    "DatabaseServerUnreachable": (
        "A database server does not answer, or refuses the manager's login.",
        "Does it run? Is `databases[].password_file` right? Previews that are live stay so.",
    ),
    "DatabaseServerFull": (
        "It has no connection or no space left.",
        "Raise `max_connections`, make room, or lower `warm`.",
    ),
    "DatabaseServerOpen": (
        "Everybody may connect to a database of the server, so previews would not be apart.",
        "Run the statement that the message names, or add the database to `open_databases`.",
    ),
    "DatabaseServerUnknown": (
        (
            "A preview has a database on a server that is not configured. Its removal waits with that "
            "alone, and takes nobody's place."
        ),
        (
            "Put the server back until the database is dropped. If it is lost for good, give its name to "
            "any other server: where nothing of the preview is found, nothing is left."
        ),
    ),
    "DatabaseNotOurs": (
        (
            "A database or role of the preview's name is there and belongs to somebody else. It is never "
            "touched."
        ),
        "Rename or drop it.",
    ),
    "DatabaseInUse": (
        (
            "A prepared transaction, a replication slot or a subscription holds the database; no force ends "
            "these."
        ),
        "End it as the message says. The removal goes on by itself.",
    ),
    "DatabaseRefused": (
        "The server refused a statement; its words are in the message.",
        "Does the manager's login have the rights of `prepare.sql`?",
    ),
    "DatabaseAddressUnusable": (
        "`url_file` of a shared database cannot be read as an address.",
        "Write `postgresql://user:password@host:port/name` into it.",
    ),
    "TemplateMissing": (
        "There is no golden template of that name.",
        "`previews template build NAME`.",
    ),
    "TemplateInUse": (
        "Somebody is connected to the template, or it is being cloned.",
        "End that session; the manager tries again.",
    ),
    "TemplateBeingBuilt": ("Another build of this template runs.", "Wait for it."),
    "TemplateBuildFailed": (
        "A step of the build failed; the message says which. The former build is as it was.",
        "Mend the source, and build again.",
    ),
    "SealingCertificate": (
        "The certificate to seal with cannot be had, or is none.",
        "Does the sealed-secrets controller run? Is `secrets.sealed_secrets` right?",
    ),
    "SecretFileMissing": (
        (
            "A file of one of the project's own secrets cannot be read; the message names it. Live previews "
            "stay."
        ),
        (
            "Put it where `projects[].secrets` says, with rights for the manager. It is found within "
            "seconds."
        ),
    ),
    "SecretFileUnusable": (
        "Such a file is empty, no text, too large, or no Docker `config.json` with credentials.",
        "Mend it.",
    ),
    "SecretNotOurs": (
        "A Secret of that name is in the preview's namespace and is not the manager's.",
        "Name the project's secret otherwise.",
    ),
    "SecretStoreFailed": (
        "The store's command failed; its words are in the message, without the value.",
        "Run it by hand.",
    ),
}
"""What each means, and what to do about it, as in `reasons.REASONS`."""
