"""Builds what gives previews their databases and secrets, as configured. A part of the composition root."""

from collections.abc import Mapping
from datetime import timedelta

import structlog

from previews.adapters.databases.postgres import Address, PostgresServer
from previews.adapters.databases.shared import SharedDatabase
from previews.adapters.kubernetes_api import ClusterTimes, KubernetesAPI
from previews.adapters.secrets.certificate import SealingCertificate, from_controller, from_file
from previews.adapters.secrets.direct import DirectSecrets
from previews.adapters.secrets.external import ExternalSecrets, SecretStore
from previews.adapters.secrets.sealed import SealedSecrets
from previews.app_templates import build_builder, login_of
from previews.database_settings import DatabaseServerSettings, shared_server
from previews.domain.database import Provider, SecretKind
from previews.domain.ports import Clock
from previews.domain.resource_ports import DatabaseServer, SecretDelivery
from previews.reconcile.template_refresh import Source, TemplateRefresh
from previews.reconcile.warm_pool import Pool
from previews.settings import Settings

_log = structlog.get_logger("previews.templates")

CERTIFICATE_AGE_MAX = timedelta(minutes=10)
"""How long a sealing certificate is used before it is asked for again: a renewal is followed by then."""


def build_servers(settings: Settings) -> Mapping[str, DatabaseServer]:
    """Every database server, by name, and the shared databases as servers of their own."""
    servers: dict[str, DatabaseServer] = {
        each.name: build_server(settings, each) for each in settings.databases
    }
    for project in settings.projects:
        database = project.database
        if database and database.provider is Provider.SHARED and database.url_file:
            servers[shared_server(project.name)] = SharedDatabase(url_file=database.url_file)
    return servers


def build_server(settings: Settings, server: DatabaseServerSettings) -> PostgresServer:
    """One server, as the manager uses it."""
    address = server.address
    return PostgresServer(
        login_of(server),
        instance=settings.instance,
        address=Address(host=address.host, port=address.port) if address else None,
        open_databases=server.open_databases,
    )


def build_refresh(
    settings: Settings, servers: Mapping[str, DatabaseServer], clock: Clock
) -> TemplateRefresh:
    """Builds the golden templates anew that are configured here."""
    configured = {
        (server.name, template.name): (server, template)
        for server in settings.databases
        for template in server.templates
        if template.build
    }

    def rebuild(server: str, name: str) -> None:
        where, template = configured[server, name]
        builder = build_builder(
            settings,
            where,
            now=clock.now,
            say=lambda line: _log.info("template", template=f"{name} on {server}", step=line),
        )
        if template.build:
            builder.build(name, template.build.recipe())

    return TemplateRefresh(
        [
            Source(server, name, template.refresh)
            for (server, name), (_, template) in configured.items()
        ],
        {each.name: servers[each.name] for each in settings.databases},
        rebuild=rebuild,
        clock=clock,
    )


def build_deliveries(settings: Settings, clock: Clock) -> Mapping[SecretKind, SecretDelivery]:
    """The ways that the projects' secrets take; no other is spoken to."""
    wanted = {p.database.secret.provider for p in settings.projects if p.database}
    wanted |= {each.kind for p in settings.project_map().values() for each in p.secrets}
    if settings.secrets.external_secrets:
        # What a project put into the store that is not configured any more has to be taken out again.
        wanted.add(SecretKind.EXTERNAL_SECRETS)
    if not wanted:
        return {}
    api = KubernetesAPI(kubeconfig=settings.kubernetes.kubeconfig, times=ClusterTimes())
    return {kind: _build_delivery(settings, clock, api, kind) for kind in sorted(wanted)}


def _build_delivery(
    settings: Settings, clock: Clock, api: KubernetesAPI, kind: SecretKind
) -> SecretDelivery:
    external = settings.secrets.external_secrets
    if kind is SecretKind.EXTERNAL_SECRETS and external is not None:
        store = SecretStore(
            name=external.store,
            kind=external.store_kind,
            remote_key=external.key,
            refresh_interval=external.refresh,
            put_command=external.put_command,
            delete_command=external.delete_command,
        )
        return ExternalSecrets(api=api, instance=settings.instance, store=store)
    if kind is SecretKind.KUBERNETES:
        return DirectSecrets(api=api, instance=settings.instance)
    sealed = settings.secrets.sealed_secrets
    read = (
        from_file(sealed.certificate_file)
        if sealed.certificate_file
        else from_controller(
            api, namespace=sealed.namespace, service=sealed.controller, port=sealed.port
        )
    )
    certificate = SealingCertificate(read, age_max=CERTIFICATE_AGE_MAX, now=clock.now)
    return SealedSecrets(api=api, certificate=certificate)


def pools(settings: Settings) -> tuple[Pool, ...]:
    """The clones that are to stand ready."""
    return tuple(
        Pool(server.name, template.name, template.warm)
        for server in settings.databases
        for template in server.templates
        if template.warm
    )
