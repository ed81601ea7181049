"""A real Kubernetes API server for tests of what it accepts: etcd beside it, no node, nothing that runs anywhere.

It needs the programs of the local cluster (tests/cluster) and none of its processes, ports or files, and no root.
"""

from tests.apiserver.server import APIServer, missing, serving

__all__ = ["APIServer", "missing", "serving"]
