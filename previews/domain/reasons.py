"""The closed list of reasons that a preview shows: of each one sentence, and what to do. Pure.

docs/operations.md has the same list, and a test holds the two together: its cells contain these words.
"""

from collections.abc import Mapping

from previews.domain.reasons_of_errors import REASONS_OF_ERRORS

REASONS: Mapping[str, tuple[str, str]] = {
    "NoImage": (
        "The registry does not have the image of this commit.",
        "Look at CI: does it push to `image.repository` with the tag of `image.tag`?",
    ),
    "WritingToGit": (
        "The manifests are on their way into Git.",
        "If it lasts, see the `GitOps…` reason that the message quotes.",
    ),
    "CreatingDatabase": (
        "Its database is being made, or waits for its turn.",
        "If it lasts, look at the database server.",
    ),
    "WaitingForArgoCD": (
        "They are in Git, and the Application in the cluster is not that of them yet.",
        (
            "If it lasts: does Argo CD run, does the root `<instance>-previews` exist, and is it Synced? Its "
            "conditions say why not."
        ),
    ),
    "Syncing": (
        "Argo CD is at work, or has not proven yet that it deployed this very version.",
        "",
    ),
    "SyncFailed": (
        "Argo CD's operation failed, with its message.",
        "Mend the chart, its values or the project's configuration.",
    ),
    "Refused": (
        (
            "Kubernetes or an AppProject refused a resource, or Argo CD cannot render the chart. The message "
            "names it."
        ),
        "Mend what the message names: the chart, its values or the project's configuration.",
    ),
    "HealthProgressing": (
        "The workload is starting.",
        "If it lasts, look at the pods' events in the preview's namespace.",
    ),
    "HealthDegraded": ("The workload failed.", "Look at the pods' logs and events."),
    "HealthMissing": (
        "A resource of the workload is not there.",
        "If it lasts, look at the Application in Argo CD.",
    ),
    "HealthSuspended": ("Something in the workload is paused.", "Resume it."),
    "HealthUnknown": ("Argo CD cannot tell.", "Look at the Application in Argo CD."),
    "OldImage": (
        "The workload is healthy, and no pod runs this commit's image yet.",
        "If it lasts: does the chart use `image.tag`?",
    ),
    "URLDoesNotAnswer": (
        "The public URL does not answer as it should; the message has the status or the error.",
        (
            '404: ingress class or host. 503: the Service has no pod. "redirects in a loop": choose another '
            '`probe.path`. "without the text": another page answers. "the manager answers": no Ingress '
            "claims the host."
        ),
    ),
    "HostNotFound": (
        "The preview's host has no address, or the name server does not answer.",
        "The wildcard DNS name; `previews doctor` says what is wrong with the zone.",
    ),
    "CertificateInvalid": (
        (
            "The ingress shows a certificate that browsers refuse: it is for another name, expired, "
            "self-signed or of an unknown issuer."
        ),
        (
            "The wildcard certificate, and whether it is the ingress controller's default. An issuer of your "
            "own belongs into `domain.ca_file`."
        ),
    ),
    "AddressNotAllowed": (
        "The host leads to an address that is not asked.",
        (
            "For an ingress in a private network: `domain.private_addresses: true`. Otherwise the DNS name "
            "leads astray."
        ),
    ),
    "RedirectsAway": (
        "The page sends its visitors out of the zone, such as to a login.",
        "Choose a `probe.path` that does not, or a header in `probe.headers` that leads past it.",
    ),
    "OldVersionAnswers": (
        (
            "The application says in `probe.head_sha_header` that it is another commit than the deployed "
            "one."
        ),
        "If it lasts: is the image built from the commit of its tag, and is the header right?",
    ),
    "Live": ("All of green.", ""),
    "Met": ("Of a condition: it is so.", ""),
    "Observed": ("Of a condition: seen in the cluster.", ""),
    "EndingTheWorkload": (
        "The Application leaves Git and Argo CD deletes it, with what it deployed.",
        "If it lasts, go through the list for a removal that hangs.",
    ),
    "RemovingTheNamespace": (
        "Namespace and AppProject leave Git and the cluster.",
        "If it lasts, go through the list for a removal that hangs.",
    ),
    "NothingLeft": ("A check found nothing left.", ""),
    "Queued": (
        "There are as many previews as a limit allows; the message has the place in the queue, roughly if it is long.",
        "Wait, close what is not needed, or raise the limit.",
    ),
    "Asleep": (
        "Nobody visits it; its message says why it sleeps.",
        "Open its link, or `previews wake`.",
    ),
    "OpeningTheHost": ("Its pods answer, and its Ingress comes next.", ""),
    "BrakeHolds": (
        "It should go, and so should more others at once than the brake allows.",
        (
            "`previews brake` lists them. If they may go: `previews confirm-brake`. If not: what is wrong, "
            "the clock, the configuration, the forge?"
        ),
    ),
    "PullRequestClosed": (
        "Why it went; or why a command was refused: the preview of a closed pull request goes.",
        "Reopen it, if there should be a preview.",
    ),
    "Expired": ("Its time was over.", "Push, or `previews extend`."),
    "Evicted": (
        "It slept, and another needed its place.",
        "Push, or `previews wake`; `previews pin` keeps it.",
    ),
    "RemovedByHand": ("Somebody asked for it; the message says who.", "Push, or `previews wake`."),
    "Drained": ("It went with its project, which is no longer configured.", ""),
    "Reopened": (
        "Its pull request is open again; a new preview comes when the old one is gone.",
        "",
    ),
    "ForksAreOff": (
        "The pull request comes from a fork.",
        "Push the branch to the repository itself, if you trust it.",
    ),
    "ForkNotApproved": (
        "The pull request comes from a fork, and nobody has let this very commit run.",
        "A person who may write reads the commit, and comments `/preview approve`.",
    ),
    "PreviewsAreOff": (
        "The repository wants no previews.",
        "Change `.previews.yaml` on the base branch, if there should be one.",
    ),
    "AuthorNotWanted": ("Pull requests of this author get no previews.", ""),
    "BranchNotWanted": (
        "Pull requests between these branches get no previews; the message has those that do.",
        "Change the base branch, if it is the wrong one.",
    ),
    "LabelForbids": ("A label forbids a preview.", "Take the label off."),
    "Draft": ("Drafts get no previews.", "Mark it as ready for review, or comment `/preview`."),
    "AuthorIsBot": ("Pull requests of bots get no previews.", "Comment `/preview`."),
    "TitleNotWanted": (
        "Pull requests with such a title get no previews; the message has what a title must be like.",
        "Change the title, or comment `/preview`.",
    ),
    "LabelMissing": (
        "A label brings a preview, and it is not there; the message names it.",
        "Set the label, or comment `/preview`.",
    ),
    "NotAskedFor": ("Previews come only when somebody asks for one.", "Comment `/preview`."),
    "NoPathChanged": (
        "The pull request changes no file of this project.",
        "Comment `/preview`, if there should be one all the same.",
    ),
    "RulesBroken": (
        "The repository's `.previews.yaml` cannot be understood; the message has the line.",
        "Mend the file on the base branch. Previews that were there stay.",
    ),
    "NotOurs": (
        "An Application or namespace of that name exists and does not carry this preview's labels.",
        (
            "Find out whose it is: another manager's, or made by hand. Remove it, or rename the project. It "
            "is never touched."
        ),
    ),
    "SecretNotDelivered": (
        (
            "Pods wait for a Secret of the database or of the project, which has not come to the namespace; "
            "the message has the words of whoever brings it."
        ),
        (
            "Does the sealed-secrets or External Secrets controller run, and may it read what the message "
            "names?"
        ),
    ),
    "MigrationFailed": (
        "A migration ended with an error; the message has the last lines of its log.",
        (
            "Mend the migration and push. One that only failed for a moment runs again with `previews "
            "redeploy`."
        ),
    ),
    "DroppingTheDatabase": ("Everything else is gone, and the database goes now.", ""),
    "TakingOutTheSecret": (
        "Everything else is gone, and what lies in a store for its database is taken out.",
        "",
    ),
    "ImagePullFailed": (
        "A pod's image cannot be pulled; the message has the registry's words.",
        (
            "Does the image exist, for the nodes' platform, and may the namespace's pull secret read it? "
            "Then push again, or `previews redeploy`."
        ),
    ),
    "Crashing": (
        (
            "A container ends by itself; the message has its exit code and the last lines that it wrote, "
            "without passwords."
        ),
        (
            "Mend what its own log names, and push. More of it: `kubectl logs --previous` in the preview's "
            "namespace."
        ),
    ),
    "OutOfMemory": (
        "A container was killed since it used more memory than its limit allows.",
        "Raise its memory limit in the project's values, or have it use less.",
    ),
    "Unschedulable": (
        "No node can take a pod; the message has the scheduler's words.",
        "Wait, if the cluster grows by itself. Otherwise make room, or lower what the pods request.",
    ),
    "ProbeFailing": (
        (
            "A container runs and does not answer its probe, which may be why Kubernetes starts it again and "
            "again."
        ),
        (
            "Does the application listen on the port that the chart probes, and does it answer at the "
            "probe's path in time?"
        ),
    ),
    "ConfigMissing": (
        "A pod waits for a Secret, a ConfigMap or a key of one that is not there.",
        "Add it to the chart or to the project's secrets, or correct its name.",
    ),
    "ContainerCannotStart": (
        "Kubernetes cannot start a container at all.",
        (
            "Correct what the message names: the command, the image's user (by number, and not root), or the "
            "node."
        ),
    ),
    "VolumeMissing": (
        "A pod waits for a volume.",
        "Correct the volume that the message names, or wait until another pod lets go of it.",
    ),
    "QuotaExceeded": (
        "A pod needs more than the ResourceQuota of the preview's namespace has left.",
        (
            "Lower requests, limits or replicas in the project's values, or raise the quota in the site's "
            "template."
        ),
    ),
    "PodRefused": (
        (
            "Kubernetes makes no pod of the workload: Pod Security, a LimitRange or an admission policy "
            "refuses it."
        ),
        "Correct the chart as the message says.",
    ),
    "PodEvicted": (
        "A node gave a pod up, as for want of memory or disk.",
        "Wait for its successor. If it happens again, have it use less, or make room on the nodes.",
    ),
    "SealingSecrets": (
        "The project's own secrets are being sealed, or sent to where they are read from.",
        "If it lasts, look at the controller that brings secrets.",
    ),
    "NamingTheHost": ("The name server is being given the host's record.", ""),
    "RemovingTheName": ("Everything else is gone, and the host's record goes now.", ""),
    "RemovingDeployments": (
        "Everything else is gone, and the forge's deployments of it go now.",
        "If it lasts, see the reason that the message quotes: the forge is limited or away.",
    ),
    "WrongPlatform": (
        "The image is there, and was not built for `image.platform`.",
        "Have CI build it for that platform, or for several.",
    ),
}
"""What each means, and what to do about it: nothing, where that is empty."""


def remedy_of(reason: str) -> str:
    """What to do about it; empty where there is nothing to do, or the reason is not known."""
    _, remedy = REASONS.get(reason) or REASONS_OF_ERRORS.get(reason) or ("", "")
    return remedy
