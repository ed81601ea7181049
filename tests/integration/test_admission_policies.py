"""What charts/previews keeps out of a preview's namespace, tried on a real Kubernetes API server."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path

import httpx2
import pytest

from previews.adapters.cluster_status import application_of
from previews.domain import labels
from tests.apiserver import APIServer, missing, serving
from tests.cluster.builds import BUILDS
from tests.integration.admission_table import (
    ANOTHERS,
    API_HOST,
    APPLICATION,
    BARE,
    BY_HAND,
    ENDPOINTS,
    FOREIGN,
    INSTANCE,
    LEFT_BEHIND,
    MARKED,
    MAY_USE,
    NOBODYS,
    OPTIONS,
    OURS,
    OWN_HOST,
    POLICIES,
    RECORD,
    REFUSED,
    SLICE,
    TAKE_IT,
    TAKEN,
    TOKEN,
    ingress,
    made,
    marker,
    namespace,
    policies,
    role_binding,
    route,
    service,
)
from tests.rendered import (
    ALL_APP_VALUES,
    APP_VALUES,
    MANAGER_VALUES,
    MIGRATED_APP_VALUES,
    PREVIEW_APP,
    PREVIEWS,
    Object,
    render,
    rendered_manifests,
)

ARGO_CD = "system:serviceaccount:argocd:argocd-application-controller"
ENDPOINT_CONTROLLER = "system:serviceaccount:kube-system:endpointslice-controller"


@pytest.fixture(scope="module")
def helm() -> str:
    if problem := missing():
        pytest.skip(problem)
    return str(BUILDS["helm"].folder / "helm")


@pytest.fixture(scope="module")
def server(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[APIServer]:
    """With the policies in force, and namespaces of this instance, of another, and of nobody."""
    with serving(tmp_path_factory.mktemp("apiserver")) as found:
        found.apply(
            [
                namespace(OURS, INSTANCE, hosts=f"{OWN_HOST}, {API_HOST}"),
                namespace(BARE, INSTANCE, number=43),
                namespace(ANOTHERS, "globex", hosts=OWN_HOST),
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NOBODYS}},
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}},
            ]
        )
        found.apply([*policies(helm), *marker()])
        # They are read in one go, so that whoever sees the last sees them all.
        found.wait_until("the policies hold", lambda: "the marker" in refusal(found, MARKED))
        yield found


def refusal(server: APIServer, given: Object, **asking: object) -> str:
    """The sentence with which it is refused; empty when it is taken."""
    answer = server.create(given, keep=False, **asking)  # type: ignore[arg-type]
    if answer.is_success:
        return ""
    assert answer.status_code == httpx2.codes.FORBIDDEN, answer.text
    sentence: str = answer.json()["message"]
    return sentence


@pytest.mark.parametrize("what", REFUSED)
def test_a_preview_may_not_have(server: APIServer, what: str) -> None:
    given, sentence = REFUSED[what]
    said = refusal(server, given, user=ARGO_CD, groups=["system:masters"])
    assert sentence in said
    assert "denied request: previews refuses " in said


@pytest.mark.parametrize("what", TAKEN)
def test_a_preview_may_have(server: APIServer, what: str) -> None:
    assert refusal(server, TAKEN[what], user=ARGO_CD, groups=["system:masters"]) == ""


@pytest.mark.parametrize("inside", [NOBODYS, ANOTHERS])
@pytest.mark.parametrize("what", REFUSED)
def test_namespaces_of_others_are_none_of_our_business(
    server: APIServer, what: str, inside: str
) -> None:
    given = deepcopy(REFUSED[what][0])
    given["metadata"]["namespace"] = inside
    assert refusal(server, given) == ""


def test_what_was_taken_may_not_become_what_is_refused(server: APIServer) -> None:
    kept = ingress(OWN_HOST)
    kept["metadata"]["name"] = "kept"
    server.apply([kept])
    found = server.read(kept)
    found["spec"]["rules"][0]["host"] = FOREIGN
    assert "previews refuses the host" in server.replace(found).json()["message"]
    found = server.read(kept)
    found["metadata"]["annotations"] = {OPTIONS: "Delete=false"}
    assert LEFT_BEHIND in server.replace(found).json()["message"]


def test_what_kubernetes_itself_says_of_a_service_is_taken(server: APIServer) -> None:
    groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:masters"]
    assert refusal(server, SLICE, user=ENDPOINT_CONTROLLER, groups=groups) == ""
    assert refusal(server, ENDPOINTS, user="system:kube-controller-manager", groups=groups) == ""
    assert BY_HAND in refusal(server, SLICE, user=ARGO_CD, groups=["system:masters"])


LEAVING: dict[str, tuple[Object, tuple[str, ...], object]] = {
    "an Ingress": (ingress("before.example"), ("spec", "rules"), ingress(FOREIGN)["spec"]["rules"]),
    "an HTTPRoute": (route("HTTPRoute", "before.example"), ("spec", "hostnames"), [FOREIGN]),
    "a Service": (service(type="NodePort"), ("spec", "type"), "LoadBalancer"),
    "Endpoints": (ENDPOINTS, ("subsets",), [{"addresses": [{"ip": "192.0.2.2"}]}]),
    "an EndpointSlice": (SLICE, ("endpoints",), [{"addresses": ["192.0.2.2"]}]),
    "a RoleBinding": (
        role_binding(),
        ("subjects",),
        [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "everybody"}],
    ),
    "an Application": (APPLICATION, ("spec", "project"), "other"),
    "an IngressRoute": (made("traefik.io/v1alpha1", "IngressRoute", spec={}), ("spec",), {"a": 1}),
}


@pytest.mark.parametrize("what", LEAVING)
def test_what_was_there_before_us_can_be_deleted_and_in_leaving_do_nothing_else(
    server: APIServer, what: str
) -> None:
    """As in a namespace that was somebody's before it was a preview's, or before the policies were installed."""
    given, path, other = deepcopy(LEAVING[what])
    inside = f"leaving-{list(LEAVING).index(what)}"
    given["metadata"] |= {"namespace": inside, "finalizers": ["example.org/slow"]}
    owned = namespace(inside, INSTANCE, hosts=OWN_HOST)
    server.apply([{**owned, "metadata": {"name": inside}}, given, owned])
    server.wait_until(
        "the namespace is a preview's",
        lambda: (
            "previews refuses"
            in refusal(server, {**TOKEN, "metadata": {**TOKEN["metadata"], "namespace": inside}})
        ),
    )

    assert server.delete(given).is_success
    going = server.read(given)
    assert "deletionTimestamp" in going["metadata"]
    changed = deepcopy(going)
    holder = changed
    for field in path[:-1]:
        holder = holder[field]
    holder[path[-1]] = other
    assert "previews refuses" in server.replace(changed).json()["message"]
    going["metadata"].pop("finalizers")
    assert server.replace(going).is_success
    assert not server.exists(given)


@pytest.mark.parametrize(
    ("option", "value"),
    [(OPTIONS, "Delete=false"), ("argocd.argoproj.io/hook", "PostDelete")],
)
def test_what_holds_on_to_itself_lets_go_when_it_is_deleted(
    server: APIServer, option: str, value: str
) -> None:
    name = f"holding-{value.partition('=')[0].lower()}"
    owned = namespace(name, INSTANCE, hosts=OWN_HOST)
    holding = made("v1", "ConfigMap", annotations={option: value}, inside=name)
    holding["metadata"]["finalizers"] = ["example.org/slow"]
    server.apply([{**owned, "metadata": {"name": name}}, holding, owned])
    assert server.delete(holding).is_success
    going = server.read(holding)
    going["metadata"].pop("finalizers")
    assert server.replace(going).is_success
    assert not server.exists(holding)


@pytest.mark.parametrize("how", [(), ("--server-side",)], ids=["client", "server"])
def test_a_refusal_reaches_the_pull_request_in_its_own_words(
    server: APIServer, tmp_path: Path, how: tuple[str, ...]
) -> None:
    """Argo CD applies with kubectl's code from a file with a number for a name, and says what that says."""

    def refused(given: Object, number: int) -> str:
        file = tmp_path / str(number)
        file.write_text(json.dumps(given))
        ended = server.kubectl("apply", *how, "-f", str(file))
        said = ended.stderr.strip().partition("): ")[2]
        assert said.startswith("ingresses" if how else "error when "), ended.stderr
        return problem(said)

    sentence = (
        f"Ingress app: previews refuses the host {FOREIGN}: {MAY_USE}. {TAKE_IT} "
        "(ValidatingAdmissionPolicy previews-acme-ingresses)"
    )
    assert refused(ingress(FOREIGN), 1) == sentence
    taken = ingress(OWN_HOST)
    taken["metadata"]["name"] = "applied" + "-server" * len(how)
    (tmp_path / "2").write_text(json.dumps(taken))
    assert server.kubectl("apply", *how, "-f", str(tmp_path / "2")).returncode == 0
    changed = {
        **ingress(FOREIGN, annotations={"a": '"/dev/shm/3": '}),
        "metadata": taken["metadata"],
    }
    assert refused(changed, 4) == sentence


@pytest.mark.parametrize("what", REFUSED)
def test_every_refusal_fits_where_people_read_it(server: APIServer, what: str) -> None:
    given, _ = REFUSED[what]
    said = refusal(server, given)
    assert said.rpartition("denied request: ")[2] in problem(
        f'error when creating "/dev/shm/1": {said}'
    )


def problem(said: str) -> str:
    """What becomes of it in the state of a preview."""
    source = {"repoURL": "r", "path": "p"}
    failed = {"kind": "Ingress", "name": "app", "status": "SyncFailed", "message": said}
    state = {"phase": "Running", "syncResult": {"source": source, "resources": [failed]}}
    raw = {"spec": {"source": source}, "status": {"operationState": state}}
    (found,) = application_of(raw, INSTANCE).problems
    return found


# The namespace itself


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pod-security.kubernetes.io/enforce", "privileged"),
        ("pod-security.kubernetes.io/enforce", None),
        ("previews.dev/instance", "globex"),
        ("previews.dev/instance", None),
        ("previews.dev/project", "other"),
        ("preview", None),
        ("pr", None),
    ],
)
def test_a_preview_cannot_be_taken_out_of_its_fence(
    server: APIServer, name: str, value: str | None
) -> None:
    found = server.read(namespace(OURS, INSTANCE))
    found["metadata"]["labels"].pop(name)
    if value is not None:
        found["metadata"]["labels"][name] = value
    answer = server.replace(found)
    assert answer.status_code == httpx2.codes.FORBIDDEN
    assert "previews refuses" in answer.json()["message"]


def test_a_namespace_cannot_become_a_preview_without_its_fence(server: APIServer) -> None:
    loose = namespace("preview-loose", INSTANCE)
    loose["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce")
    assert "is restricted" in refusal(server, loose)
    assert refusal(server, namespace("preview-fenced", INSTANCE)) == ""
    loose["metadata"]["labels"]["previews.dev/instance"] = "globex"
    assert refusal(server, loose) == ""


def test_what_the_manager_notes_on_a_namespace_may_change(server: APIServer) -> None:
    server.apply([namespace(OURS, INSTANCE, hosts=f"{OWN_HOST}, {API_HOST}", team="a")])
    server.apply([namespace(OURS, INSTANCE, hosts=f"{OWN_HOST}, {API_HOST}")])


def test_other_hosts_count_as_soon_as_the_namespace_names_them(server: APIServer) -> None:
    name = "preview-moving"
    server.apply([namespace(name, INSTANCE, hosts="old.preview.example")])
    assert refusal(server, ingress("old.preview.example", inside=name)) == ""
    server.apply([namespace(name, INSTANCE, hosts="new.preview.example")])
    server.wait_until(
        "the new host is its own",
        lambda: refusal(server, ingress("new.preview.example", inside=name)) == "",
    )
    said = refusal(server, ingress("old.preview.example", inside=name))
    assert "this preview may use new.preview.example alone" in said


# What we deploy ourselves


SERVICES = {**APP_VALUES["ingress"], "hosts": {"api": API_HOST}}
GATEWAY = {"enabled": True, "parentRefs": [{"name": "shared", "namespace": "gateways"}]}


@pytest.mark.parametrize(
    "values",
    [
        APP_VALUES,
        ALL_APP_VALUES,
        MIGRATED_APP_VALUES,
        {**APP_VALUES, "ingress": SERVICES},
        {**APP_VALUES, "ingress": SERVICES, "gateway": GATEWAY},
        *(
            {**APP_VALUES, "ingress": {**SERVICES, "noindex": {"controller": controller}}}
            for controller in ("ingress-nginx", "haproxy", "haproxy-ingress")
        ),
    ],
)
def test_our_own_chart_is_taken_as_it_is(
    server: APIServer, helm: str, values: Mapping[str, object]
) -> None:
    for given in render(helm, PREVIEW_APP, values):
        given["metadata"]["namespace"] = OURS
        assert refusal(server, given, user=ARGO_CD, groups=["system:masters"]) == ""


def test_what_our_templates_make_is_taken_as_it_is(server: APIServer, helm: str) -> None:
    """By the policies of the very instance that makes it."""
    found = rendered_manifests()
    instance = found[0]["metadata"]["labels"][labels.INSTANCE]
    rendered = render(helm, PREVIEWS, {**MANAGER_VALUES, "instance": instance})
    server.apply([each for each in rendered if each["kind"] in POLICIES])
    namespaces = [each for each in found if each["kind"] == "Namespace"]
    server.apply(namespaces)
    (name,) = (each["metadata"]["name"] for each in namespaces)
    wrong = {**TOKEN, "metadata": {**TOKEN["metadata"], "namespace": name}}
    server.wait_until("its policies hold", lambda: "previews refuses" in refusal(server, wrong))
    for given in found:
        if given["metadata"].get("namespace") == name:
            assert refusal(server, given, user=ARGO_CD, groups=["system:masters"]) == ""


# The policies themselves


def test_two_hundred_hosts_cost_kubernetes_no_more_than_it_allows(server: APIServer) -> None:
    name = "preview-large"
    hosts = [f"{number:03}-{'x' * 40}.preview.example" for number in range(200)]
    server.apply([namespace(name, INSTANCE, hosts=",".join(hosts))])
    record = {RECORD: ",".join(hosts)}
    given = ingress(*hosts, tls=hosts, annotations=record, inside=name)
    assert refusal(server, given) == ""
    said = refusal(server, ingress(*hosts, FOREIGN, tls=hosts, annotations=record, inside=name))
    assert f"refuses the host {FOREIGN}: this preview may use {hosts[0]} and 199 more" in said
    assert refusal(server, route("HTTPRoute", *hosts, inside=name)) == ""


def test_kubernetes_finds_no_wrong_type_in_any_of_them(server: APIServer, helm: str) -> None:
    ours = [found for found in policies(helm) if found["kind"] == POLICIES[0]]
    wrong = deepcopy(ours[0])
    wrong["metadata"]["name"] = "wrong"
    wrong["spec"]["validations"][0] = {"expression": "object.spec.rulez.size() == 0"}
    wrong["spec"].pop("matchConditions")
    server.apply([wrong])

    def is_checked(found: Object) -> bool:
        seen: bool = (
            found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
        )
        return seen

    with server.controllers("validatingadmissionpolicy-status-controller"):
        server.wait_until(
            "all types are checked",
            lambda: all(is_checked(server.read(each)) for each in [*ours, wrong]),
        )
    for each in ours:
        assert not server.read(each)["status"]["typeChecking"].get("expressionWarnings")
    (warning,) = server.read(wrong)["status"]["typeChecking"]["expressionWarnings"]
    assert "undefined field 'rulez'" in warning["warning"]
