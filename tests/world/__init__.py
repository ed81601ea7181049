"""The world that the demo, the end-to-end tests and the bench share: real parts, joined for one manager.

A World is one manager with an organisation of its own at the forge, its GitOps repository, its rights in the cluster
and its project. Several can live in one cluster without meeting.
"""
