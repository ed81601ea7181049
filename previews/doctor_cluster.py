"""The doctor's checks of Kubernetes and Argo CD. Each asks by itself, so that none depends on another."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TypeAlias

import yaml

from previews.adapters.access_review import AccessReview, Right, Root
from previews.adapters.isolation_probe import IsolationProbe, Reached
from previews.app import build_renderer
from previews.doctor_case import Case, fine, problem, unknown, warning
from previews.domain.database import SecretKind
from previews.domain.findings import Finding
from previews.domain.naming import top_root_name
from previews.domain.preview import HeadSha, PreviewKey, PullRequest
from previews.errors import ConfigurationError, PreviewsError, StalledError
from previews.settings import Settings

VERSION_MIN = (1, 30)
"""The first in which ValidatingAdmissionPolicies are for everybody."""
COMPARED_AGE_MAX = timedelta(minutes=15)
"""Argo CD looks at each Application every three minutes, unless it is told otherwise."""
ARGO_CD = "argoproj.io/v1alpha1"
EXTERNAL_SECRETS = "external-secrets.io/v1"

OF_ARGO_CD = (
    *(
        (verb, "applications", "argoproj.io")
        for verb in ("get", "list", "watch", "patch", "delete")
    ),
    *((verb, "appprojects", "argoproj.io") for verb in ("get", "list", "delete")),
    *((verb, "configmaps", "") for verb in ("get", "list", "delete")),
)
"""Verb, kind and group, in Argo CD's namespace: what charts/previews gives, and a test holds them together."""
OF_THE_CLUSTER = tuple((verb, "namespaces", "") for verb in ("get", "list", "watch", "delete"))
OF_SECRETS = {
    SecretKind.SEALED_SECRETS: (("get", "sealedsecrets", "bitnami.com"),),
    SecretKind.EXTERNAL_SECRETS: (("get", "externalsecrets", "external-secrets.io"),),
    SecretKind.KUBERNETES: (("create", "secrets", ""), ("patch", "secrets", "")),
}
FOR_DIAGNOSIS = (("list", "pods", ""), ("get", "pods/log", ""), ("list", "events", ""))
NEVER = tuple((verb, "secrets", "") for verb in ("get", "list", "watch"))

_Asks: TypeAlias = Callable[[Case], list[Finding]]


def _of_the_cluster(check: str) -> Callable[[_Asks], _Asks]:
    """When the cluster cannot be asked at all, one check says so and all others that they depend on it."""

    def decorate(asks: _Asks) -> _Asks:
        def ask(case: Case) -> list[Finding]:
            try:
                return asks(case)
            except PreviewsError as error:
                unreachable = error.reason in {"ClusterUnreachable", "ClusterUnauthorized"}
                if unreachable or isinstance(error, ConfigurationError):
                    said = "not looked at, since the cluster cannot be asked"
                    return [unknown(check, said, "mend what the check `cluster` says first")]
                raise

        return ask

    return decorate


def check_cluster(case: Case) -> list[Finding]:
    """Whether it answers, and is not too old."""
    place = case.own_kubeconfig or "the pod's service account"
    try:
        found = AccessReview(kubeconfig=case.own_kubeconfig).version()
    except PreviewsError as error:
        remedy = (
            f"see whether `kubectl version` works with {place}; inside of the cluster, leave "
            "kubernetes.kubeconfig out and give the pod the service account of charts/previews"
        )
        return [problem("cluster", error.message, remedy)]
    if found.numbers < VERSION_MIN:
        wanted = ".".join(map(str, VERSION_MIN))
        remedy = f"upgrade Kubernetes to {wanted} or newer"
        return [problem("cluster", f"Kubernetes {found.text} is older than {wanted}", remedy)]
    return [fine("cluster", f"Kubernetes {found.text} answers")]


@_of_the_cluster("rights")
def check_rights(case: Case) -> list[Finding]:
    """Whether the manager's credential has what the chart gives, and cannot read Secrets."""
    api, instance = AccessReview(kubeconfig=case.own_kubeconfig), case.settings.instance
    again = (
        f"install or upgrade charts/previews with instance: {instance}, and give the manager the service "
        f"account previews-{instance}"
    )
    found = []
    needed = list(_needed(case))
    if missing := [str(right) for right in needed if not api.may(right)]:
        said = f"the manager may not: {'; '.join(missing)}"
        found.append(
            problem("rights", said, f"{again}; its `secrets` values say which ways are on")
        )
    else:
        found.append(fine("rights", f"the manager has the {len(needed)} rights that it needs"))
    if blind := [str(right) for right in _rights(FOR_DIAGNOSIS) if not api.may(right)]:
        said = f"why a preview does not run cannot be said without: {'; '.join(blind)}"
        found.append(warning("rights", said, f"{again}, with diagnosis.enabled: true"))
    argocd = case.settings.argocd.namespace
    never = [*_rights(NEVER), *_rights(NEVER, argocd)]
    if readable := [str(right) for right in never if api.may(right)]:
        said = f"the manager may read Secrets, which it never needs: {'; '.join(readable)}"
        remedy = (
            "take these rights away (`kubectl auth can-i --list --as=...` shows where they come from); "
            "do not run the manager as an administrator"
        )
        found.append(warning("rights", said, remedy))
    return found


def _needed(case: Case) -> Iterator[Right]:
    yield from _rights(OF_ARGO_CD, case.settings.argocd.namespace)
    yield from _rights(OF_THE_CLUSTER)
    for kind in sorted(case.secret_kinds):
        yield from _rights(OF_SECRETS[kind])


def _rights(table: Iterable[tuple[str, str, str]], namespace: str = "") -> Iterator[Right]:
    for verb, resource, group in table:
        yield Right(verb, resource, group, namespace)


@_of_the_cluster("argocd")
def check_argocd(case: Case) -> list[Finding]:
    """Whether Argo CD is there and alive, and our root is in it as the configuration has it."""
    settings = case.settings
    api, namespace = AccessReview(kubeconfig=case.own_kubeconfig), settings.argocd.namespace
    if missing := {"applications", "appprojects"} - api.kinds(ARGO_CD):
        said = f"the cluster does not know Argo CD's {' and '.join(sorted(missing))}"
        return [problem("argocd", said, "install Argo CD, with its CRDs")]
    name = top_root_name(settings.instance)
    install = (
        f"install charts/previews with instance: {settings.instance}, argocd.namespace: {namespace}"
    )
    root = api.root(namespace, name)
    if root is None:
        said = f"there is no Application {name} in namespace {namespace}, so nothing reads the GitOps repository"
        return [problem("argocd", said, install)]
    found = [*_as_configured(root, settings), *_at_work(root, name, case)]
    if not api.app_project_exists(namespace, root.project):
        said = f"the AppProject {root.project} of the root is not in namespace {namespace}"
        found.append(problem("argocd", said, install))
    return found or [fine("argocd", f"{name} is Synced, and was compared at {root.compared_at}")]


def _as_configured(root: Root, settings: Settings) -> Iterator[Finding]:
    gitops = settings.gitops
    again = "give charts/previews the same gitops values as the manager's configuration"
    if root.path.strip("/") != f"{gitops.path}/roots":
        said = f"the root reads {root.path!r}, and the manager writes {gitops.path}/roots"
        yield problem("argocd", said, again)
    if root.revision.removeprefix("refs/heads/") != gitops.branch:
        said = (
            f"the root reads {root.revision!r}, and the manager writes the branch {gitops.branch}"
        )
        yield problem("argocd", said, again)
    if _comparable(root.repository) != _comparable(gitops.url):
        said = f"the root reads {root.repository}, and the manager writes {gitops.url}"
        yield warning("argocd", said, f"if these are not two addresses of one repository, {again}")


def _at_work(root: Root, name: str, case: Case) -> Iterator[Finding]:
    look = f"`kubectl -n {case.settings.argocd.namespace} get application {name} -o yaml` shows all of it"
    if root.compared_at is None:
        alive = (
            "see whether argocd-application-controller runs, and whether it watches this namespace"
        )
        yield problem("argocd", f"Argo CD has never looked at {name}", alive)
        return
    age = case.clock.now() - root.compared_at
    if age > COMPARED_AGE_MAX:
        minutes = int(age.total_seconds() // 60)
        remedy = (
            "see whether argocd-application-controller runs and is not overloaded; a longer "
            "timeout.reconciliation of your own is no fault"
        )
        yield warning("argocd", f"Argo CD last looked at {name} {minutes} minutes ago", remedy)
    if root.sync != "Synced":
        trouble = f": {root.trouble}" if root.trouble else ""
        remedy = (
            f"see whether Argo CD has a credential for the GitOps repository and the path is there "
            f"(the manager's first push makes it); {look}"
        )
        yield problem("argocd", f"{name} is {root.sync or 'not compared'}{trouble}", remedy)
    elif root.trouble:
        yield warning("argocd", f"{name} is Synced, and says: {root.trouble}", look)


def _comparable(url: str) -> str:
    return url.rstrip("/").removesuffix(".git").casefold()


@_of_the_cluster("admission")
def check_admission(case: Case) -> list[Finding]:
    """Whether Kubernetes itself holds what a pull request may deploy."""
    instance = case.settings.instance
    see = "kubectl get validatingadmissionpolicybindings"
    try:
        names = AccessReview(kubeconfig=case.administrators_kubeconfig).bindings(instance)
    except StalledError as error:
        if error.reason != "ClusterForbidden":
            raise
        said = "whether admission policies are bound is not for the manager to see"
        remedy = (
            f"run `{see}` as an administrator, or `previews doctor --kubeconfig` with such a file"
        )
        return [unknown("admission", said, remedy)]
    if not names:
        said = (
            f"no admission policy is bound to the namespaces with previews.dev/instance={instance}"
        )
        remedy = f"install charts/previews with admission.enabled: true; then `{see}` lists them"
        return [warning("admission", said, remedy)]
    return [fine("admission", f"bound: {', '.join(sorted(names))}")]


@_of_the_cluster("isolation")
def check_isolation(case: Case) -> list[Finding]:
    """Whether the cluster enforces NetworkPolicies: tried only when asked for, since pods are made."""
    probe = IsolationProbe(
        kubeconfig=case.administrators_kubeconfig,
        instance=case.settings.instance,
        image=case.probe_image or "",
        policies=_policies(case.settings),
    )
    if case.probe_image is None:
        return list(_not_tried(probe))
    try:
        return list(_judged(probe.run()))
    except PreviewsError as error:
        if error.reason in {"ClusterUnreachable", "ClusterUnauthorized"}:
            raise
        remedy = (
            "the manager may make no pods: give an administrator's --kubeconfig; an image that the nodes can "
            "pull and that has sh and nc or wget: --image"
        )
        return [unknown("isolation", f"could not be tried: {error.message}", remedy)]


def _not_tried(probe: IsolationProbe) -> Iterator[Finding]:
    said = "whether the cluster enforces NetworkPolicies was not tried"
    yield unknown(
        "isolation",
        said,
        "run `previews doctor --isolation`, which makes two namespaces for a minute",
    )
    if names := probe.left_behind():
        said = f"an earlier trial left behind: {', '.join(names)}"
        remedy = f"`kubectl delete namespace {' '.join(names)}`; the next --isolation does it too"
        yield warning("isolation", said, remedy)


def _judged(reached: Reached) -> Iterator[Finding]:
    if not reached.mate:
        remedy = "see whether the cluster's network works, and give an image with sh and nc or wget: --image"
        said = "the probe's pod reached not even a pod of its own namespace, so nothing is proven"
        yield unknown("isolation", said, remedy)
        return
    engine = (
        "install a network engine that enforces NetworkPolicies (Calico, Cilium, Antrea), or switch on the one "
        "that your cluster offers"
    )
    policy = "if the engine enforces policies, forbid that address in the NetworkPolicy of the previews' template"
    if reached.neighbour:
        yield problem("isolation", "a preview's pod reached a pod of another preview", engine)
    if reached.api:
        yield warning(
            "isolation", "a preview's pod reached the Kubernetes API", f"{engine}; {policy}"
        )
    if reached.node:
        yield warning(
            "isolation", "a preview's pod reached its node (the kubelet)", f"{engine}; {policy}"
        )
    if reached == Reached(mate=True, neighbour=False, api=False, node=False):
        said = "a preview's pod reached its own namespace, and no neighbour, API server or node"
        yield fine("isolation", said)


def _policies(settings: Settings) -> list[dict[str, object]]:
    """As a preview of the first project gets them, from the site's own template if it has one."""
    project = settings.projects[0]
    nobody = PullRequest(
        repository=project.repository,
        number=1,
        is_open=True,
        head_sha=HeadSha("0" * 40),
        head_branch="doctor",
        base_branch="doctor",
        title="",
        author="",
        url="",
        from_fork=False,
    )
    rendered = build_renderer(settings).render_preview(nobody, PreviewKey(project.name, 1))
    return [
        document
        for text in rendered.files.values()
        for document in yaml.safe_load_all(text)
        if document and document.get("kind") == "NetworkPolicy"
    ]
