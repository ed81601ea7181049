"""The doctor's checks of what the manager works with besides the cluster."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from secrets import token_hex
from threading import Event

from previews.adapters.access_review import AccessReview
from previews.adapters.databases.postgres import PostgresServer
from previews.adapters.git_command import Credentials
from previews.adapters.http_look import Seen, look
from previews.adapters.ingress_metrics import IngressMetrics
from previews.adapters.push_check import PushCheck
from previews.adapters.registry import OCIRegistry
from previews.adapters.registry_login import parse_repository
from previews.adapters.registry_ping import RegistryPing, is_registry
from previews.adapters.secrets.certificate import SealingCertificate, from_controller, from_file
from previews.adapters.store import SingleManagerLock
from previews.app_certificate import build_tls_check, ingress_address
from previews.app_databases import CERTIFICATE_AGE_MAX, build_servers
from previews.app_dns import examine_dns
from previews.doctor_case import Case, fine, problem, unknown, warning
from previews.doctor_cluster import EXTERNAL_SECRETS
from previews.domain.database import Provider, SecretKind
from previews.domain.findings import Finding
from previews.domain.probing import PAGE_HEADER
from previews.domain.resource_ports import DatabaseServer
from previews.errors import PreviewsError

CLOCK_SECONDS_MAX = 30.0
GIT_SECONDS = 12.0
REGISTRY_SECONDS = 6.0
NO_SUCH_TAG = "previews-doctor-looks-for-nothing"


def check_data_directory(case: Case) -> list[Finding]:
    """Whether it can be written, and whether a manager works in it."""
    check, directory = "data directory", case.settings.data_directory
    remedy = f"give the user that runs the manager a directory of its own: `install -d -m 700 -o USER {directory}`"
    if not directory.is_dir():
        above = next(each for each in directory.absolute().parents if each.exists())
        if directory.exists() or not os.access(above, os.W_OK | os.X_OK):
            return [problem(check, f"{directory} cannot be made", remedy)]
        return [fine(check, f"{directory} is not there yet, and can be made")]
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        return [problem(check, f"{directory} cannot be written: {error.strerror}", remedy)]
    return [fine(check, f"{directory} can be written; {_who_works_in(directory)}")]


def _who_works_in(directory: Path) -> str:
    # Not made where there is none: it would belong to whoever runs the doctor.
    if not (directory / "manager.lock").exists():
        return "no manager has worked in it yet"
    now = Event()
    now.set()
    with closing(SingleManagerLock(directory)) as lock:
        is_free = lock.acquire(now, on_wait=lambda: None)
    return "no manager works in it now" if is_free else "a manager works in it"


def check_gitops(case: Case) -> list[Finding]:
    """Whether the branch can be fetched, and pushed to as far as the server says beforehand."""
    gitops = case.settings.gitops
    credentials = gitops.password_file and Credentials(gitops.username, gitops.password_file)
    with tempfile.TemporaryDirectory(prefix="previews-doctor-") as directory:
        repository = PushCheck(
            Path(directory),
            url=gitops.url,
            branch=gitops.branch,
            path=gitops.path,
            credentials=credentials or None,
            author_name="previews doctor",
            author_email="doctor@previews.invalid",
            timeout_seconds=GIT_SECONDS,
        )
        try:
            tree = repository.try_push()
        except PreviewsError as error:
            remedy = (
                f"see whether gitops.url and gitops.branch are right, and gitops.username and gitops.password_file "
                f"may read and write: `git push --dry-run {gitops.url} HEAD:refs/heads/{gitops.branch}`"
            )
            return [problem("gitops", error.message, remedy)]
    said = (
        f"the branch {gitops.branch} is at {tree.commit[:10]} with {len(tree.blobs)} files of ours, and takes pushes "
        "(what protects it shows only at a push)"
    )
    return [fine("gitops", said)]


def check_registries(case: Case) -> list[Finding]:
    """Whether each project's registry is one, and lets the manager look for its images."""
    settings = case.settings
    images = sorted({each.image.repository for each in settings.projects if each.image})
    if not images:
        return [fine("registry", "no project waits for an image")]
    options = {
        "docker_config": settings.registry_credentials_file,
        "insecure_registries": settings.insecure_registries,
        "timeout_seconds": REGISTRY_SECONDS,
    }
    with closing(RegistryPing(**options)) as ping, closing(OCIRegistry(**options)) as registry:  # type: ignore[arg-type] # of three kinds
        return [_registry_of(image, ping, registry, case) for image in images]


def _registry_of(image: str, ping: RegistryPing, registry: OCIRegistry, case: Case) -> Finding:
    host = parse_repository(image).registry
    seen = ping.ping(host)
    if not is_registry(seen):
        why = seen.problem or f"answers /v2/ with {seen.status}"
        remedy = (
            f"see whether {image} begins with the registry's address; one without TLS has to be in "
            "insecure_registries"
        )
        return problem("registry", f"{host} is no image registry from here: {why}", remedy)
    try:
        registry.find_image(image, NO_SUCH_TAG)
    except PreviewsError as error:
        file = case.settings.registry_credentials_file
        place = f"{file}" if file else "a docker config.json, named in registry_credentials_file"
        remedy = (
            f"put a credential that may pull {image} into {place}; one that CI has pushed to exists"
        )
        return problem("registry", error.message, remedy)
    return fine("registry", f"{host} answers, and images of {image} can be looked for")


def check_databases(case: Case) -> list[Finding]:
    """Whether each server can be used and keeps previews apart, and has the templates."""
    servers = build_servers(case.settings)
    if not servers:
        return [fine("database", "no project has a database")]
    found: list[Finding] = []
    for name, server in servers.items():
        try:
            server.check()
            found += _templates_of(name, server, case) or [fine("database", f"{name} is ready")]
        except PreviewsError as error:
            remedy = f"docs/databases.md says how a server is prepared; {error.reason} is in docs/operations.md"
            found.append(problem("database", f"{name}: {error.message}", remedy))
        finally:
            if isinstance(server, PostgresServer):
                server.close()
    return found


def _templates_of(name: str, server: DatabaseServer, case: Case) -> list[Finding]:
    wanted = {
        each.database.template
        for each in case.settings.projects
        if each.database
        and each.database.provider is Provider.POSTGRES
        and each.database.server == name
    }
    missing = sorted(filter(None, wanted - {template.name for template in server.templates()}))
    return [
        problem(
            "database",
            f"{name} has no golden template {each}",
            f"`previews template build {each} --server {name}`, with its sources under databases.templates",
        )
        for each in missing
    ]


def check_dns(case: Case) -> list[Finding]:
    """Whether hosts are found, by everybody who is asked for them."""
    return examine_dns(case.settings)


def check_tls(case: Case) -> list[Finding]:
    """Whether browsers take what the ingress serves for the previews' hosts."""
    if case.settings.domain.scheme != "https":
        return [fine("tls certificate", "not looked at: domain.scheme is http")]
    return list(build_tls_check(case.settings, case.clock).look().findings)


def check_wildcard(case: Case) -> list[Finding]:
    """Whether a host without a preview is answered by the manager's own page."""
    check, domain = "wildcard ingress", case.settings.domain
    port = f":{domain.port}" if domain.port else ""
    host = f"doctor-{token_hex(6)}.{domain.zone}"
    url = f"{domain.scheme}://{host}{port}/"
    seen = look(url, proves_itself=False, address=ingress_address(case.settings))
    install = (
        "install charts/previews with wildcard.enabled: true and wildcard.zone: "
        f"{domain.zone}, and start the manager"
    )
    if seen.problem:
        remedy = "see what the checks of DNS and TLS say, and whether the ingress controller is reached from here"
        return [problem(check, f"{host} does not answer: {seen.problem}", remedy)]
    if PAGE_HEADER.lower() not in seen.headers:
        said = f"{host} is answered with {seen.status} by something else than the manager"
        if seen.status in {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}:
            said += ", as an ingress does when what is behind it does not run"
        remedy = f"{install}; an Ingress of somebody else for *.{domain.zone} has to go"
        return [problem(check, said, remedy)]
    if seen.status != HTTPStatus.NOT_FOUND:
        said = f"the manager answers {host} with {seen.status}, where 404 was expected"
        return [warning(check, said, "see the manager's log for the visitor that was not served")]
    return [fine(check, f"the manager answers hosts without a preview under {domain.zone}")]


def check_ingress_metrics(case: Case) -> list[Finding]:
    """Whether the manager can see who is visited."""
    urls = case.settings.ingress.metrics_urls
    if not urls:
        return [fine("ingress metrics", "not configured, and no project sleeps for want of visits")]
    with closing(IngressMetrics(urls=urls)) as metrics:
        try:
            metrics.requests([])
        except PreviewsError as error:
            remedy = (
                "name each replica's own metrics address in ingress.metrics_urls, and switch the metrics on: "
                "--metrics.prometheus of Traefik, controller.metrics.enabled of ingress-nginx"
            )
            return [problem("ingress metrics", error.message, remedy)]
    return [fine("ingress metrics", f"replicas that tell what they serve: {len(urls)}")]


def check_secrets(case: Case) -> list[Finding]:
    """Whether the ways that secrets take are open."""
    kinds = case.secret_kinds
    found: list[Finding] = []
    if SecretKind.SEALED_SECRETS in kinds:
        found.append(_sealed_secrets(case))
    if SecretKind.EXTERNAL_SECRETS in kinds:
        found.append(_external_secrets(case))
    return found or [fine("secrets", "no secret goes through a controller")]


def _sealed_secrets(case: Case) -> Finding:
    sealed = case.settings.secrets.sealed_secrets
    where = sealed.certificate_file or f"{sealed.namespace}/{sealed.controller}"
    try:
        read = (
            from_file(sealed.certificate_file)
            if sealed.certificate_file
            else from_controller(
                AccessReview(kubeconfig=case.own_kubeconfig),
                namespace=sealed.namespace,
                service=sealed.controller,
                port=sealed.port,
            )
        )
        SealingCertificate(read, age_max=CERTIFICATE_AGE_MAX, now=case.clock.now).current()
    except PreviewsError as error:
        remedy = (
            "see whether the sealed-secrets controller runs, whether secrets.sealed_secrets names it, and whether "
            "charts/previews was installed with secrets.sealedSecrets.enabled; or name its certificate in "
            "secrets.sealed_secrets.certificate_file"
        )
        return problem("secrets", error.message, remedy)
    return fine("secrets", f"{where} gives a certificate to seal with")


def _external_secrets(case: Case) -> Finding:
    try:
        kinds = AccessReview(kubeconfig=case.own_kubeconfig).kinds(EXTERNAL_SECRETS)
    except PreviewsError:
        said = "not looked at, since the cluster cannot be asked"
        return unknown("secrets", said, "mend what the check `cluster` says first")
    if "externalsecrets" not in kinds:
        said = f"the cluster does not know ExternalSecrets of {EXTERNAL_SECRETS}"
        return problem("secrets", said, "install the External Secrets operator, 0.16 or newer")
    return fine("secrets", "the cluster knows ExternalSecrets")


def check_clock(case: Case) -> list[Finding]:
    """Whether this machine, the forge and the API server agree on the time."""
    ahead: dict[str, float | None] = {}
    seen: Seen = look(case.settings.forge.api_url)
    ahead["the forge"] = seen.clock_ahead_seconds
    try:
        api = AccessReview(kubeconfig=case.own_kubeconfig)
        ahead["the API server"] = api.version().clock_ahead_seconds
    except PreviewsError:
        ahead["the API server"] = None
    return list(_judged(ahead))


def _judged(ahead: dict[str, float | None]) -> Iterator[Finding]:
    told = {name: seconds for name, seconds in ahead.items() if seconds is not None}
    remedy = "synchronise this machine's clock by NTP (`timedatectl`), and that of the other"
    apart = {name: seconds for name, seconds in told.items() if abs(seconds) > CLOCK_SECONDS_MAX}
    for name, seconds in apart.items():
        way = "before" if seconds > 0 else "behind"
        yield warning(
            "clock", f"the clock of {name} is {abs(seconds):.0f} s {way} this one", remedy
        )
    if not told:
        yield unknown(
            "clock", "nobody told the time", "mend what the checks `forge` and `cluster` say"
        )
    elif not apart:
        yield fine("clock", f"within {CLOCK_SECONDS_MAX:.0f} s of {' and '.join(told)}")
