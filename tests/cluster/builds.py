"""What is built from source, as ordinary tool dependencies of the Go modules under go/.

A build's folder in the cache is named by its version and a hash of everything that shapes it, so a changed
version never meets an old program, and a checkout with the same files builds nothing.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.layout import cache_folder

SOURCES = Path(__file__).parent
HASH_LENGTH = 12
COMMON_FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false")
KUBERNETES_VERSION = "v1.34.2"
KUBERNETES_LINK_FLAGS = " ".join(
    (
        "-s -w",
        f"-X k8s.io/component-base/version.gitVersion={KUBERNETES_VERSION}",
        "-X k8s.io/component-base/version.gitMajor=1",
        "-X k8s.io/component-base/version.gitMinor=34",
    )
)


@dataclass(frozen=True)
class Build:
    """Programs of one module at one version. `programs` maps a program's name to its package."""

    name: str
    version: str
    module: str
    programs: dict[str, str]
    link_flags: str = "-s -w"
    tags: str = ""
    cgo: bool = False
    copies: dict[str, str] = field(default_factory=dict)
    """Folders of the module that the programs need when they run, by the name they get."""
    copied_from: str = ""

    @property
    def source(self) -> Path:
        return SOURCES / "go" / self.module

    @property
    def flags(self) -> tuple[str, ...]:
        tags = (f"-tags={self.tags}",) if self.tags else ()
        return (*COMMON_FLAGS, *tags, f"-ldflags={self.link_flags}")

    @property
    def digest(self) -> str:
        shaped_by = [(self.source / name).read_bytes() for name in ("go.mod", "go.sum")]
        parts = (*self.flags, self.cgo, sorted(self.programs.items()), sorted(self.copies.items()))
        shaped_by.append(repr(parts).encode())
        return hashlib.sha256(b"\0".join(shaped_by)).hexdigest()[:HASH_LENGTH]

    @property
    def folder(self) -> Path:
        return cache_folder() / f"{self.name}-{self.version}-{self.digest}"

    @property
    def is_built(self) -> bool:
        """The folder gets its name only when everything is in it."""
        return self.folder.is_dir()


BUILDS = {
    build.name: build
    for build in (
        # The largest first: what depends on it starts while the others are built.
        Build(
            name="kubernetes",
            version=KUBERNETES_VERSION,
            module="kubernetes",
            programs={
                program: f"k8s.io/kubernetes/cmd/{program}"
                for program in (
                    "kube-apiserver",
                    "kube-controller-manager",
                    "kube-scheduler",
                    "kubelet",
                    "kubectl",
                )
            },
            link_flags=KUBERNETES_LINK_FLAGS,
        ),
        Build(
            name="argocd",
            version="v3.2.6",
            module="kubernetes",
            programs={"argocd": "github.com/argoproj/argo-cd/v3/cmd"},
            link_flags="-s -w -X github.com/argoproj/argo-cd/v3/common.version=3.2.6",
            copies={"crds": "manifests/crds", "configuration": "manifests/base/config"},
            copied_from="github.com/argoproj/argo-cd/v3",
        ),
        Build(
            name="gitea",
            version="v1.25.5",
            module="gitea",
            programs={"gitea": "code.gitea.io/gitea"},
            link_flags="-s -w -X main.Version=1.25.5",
            tags="sqlite,sqlite_unlock_notify",
            cgo=True,
            copies={folder: folder for folder in ("options", "public", "templates")},
            copied_from="code.gitea.io/gitea",
        ),
        Build(
            name="traefik",
            version="v3.6.12",
            module="traefik",
            programs={"traefik": "github.com/traefik/traefik/v3/cmd/traefik"},
        ),
        Build(
            name="helm",
            version="v3.19.4",
            module="helm",
            programs={"helm": "helm.sh/helm/v3/cmd/helm"},
            link_flags="-s -w -X helm.sh/helm/v3/internal/version.version=v3.19.4",
        ),
        Build(
            name="kustomize",
            version="v5.8.1",
            module="kustomize",
            programs={"kustomize": "sigs.k8s.io/kustomize/kustomize/v5"},
        ),
        Build(
            name="sealed-secrets",
            version="v0.36.0",
            module="sealed-secrets",
            programs={
                "kubeseal": "github.com/bitnami-labs/sealed-secrets/cmd/kubeseal",
                "sealed-secrets-controller": "github.com/bitnami-labs/sealed-secrets/cmd/controller",
            },
            link_flags="-s -w -X main.VERSION=0.36.0",
            copies={"chart": "helm/sealed-secrets"},
            copied_from="github.com/bitnami-labs/sealed-secrets",
        ),
    )
}

ISOLATION_BUILDS = {
    build.name: build
    for build in (
        Build(
            name="kube-proxy",
            version=KUBERNETES_VERSION,
            module="kube-proxy",
            programs={"kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy"},
            link_flags=KUBERNETES_LINK_FLAGS,
        ),
        Build(
            name="calico",
            # What Go's module proxy calls 3.28.5.
            version="v1.11.0-cni-plugin.0.20250813170300-a0db560f0520",
            module="calico",
            programs={
                "calico-felix": "github.com/projectcalico/calico/felix/cmd/calico-felix",
                # The kubelet's network configuration calls it by this name.
                "calico": "github.com/projectcalico/calico/cni-plugin/cmd/calico",
            },
            copies={"crds": "libcalico-go/config/crd"},
            copied_from="github.com/projectcalico/calico",
        ),
    )
}
"""What the isolated cluster has more."""


def builds(*, is_isolated: bool) -> dict[str, Build]:
    """What a cluster of this kind needs, by name, in the order in which it is built."""
    return BUILDS | ISOLATION_BUILDS if is_isolated else BUILDS
