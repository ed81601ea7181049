"""A thousand lives of pull requests through the real manager, forge, Git server, Kubernetes and Argo CD, under faults.

Nothing left behind is the only pass. `python -m tests.soak` drives it; everything is seen from outside the manager.
"""
