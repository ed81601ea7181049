"""Carries plans out: queue, workers, the GitOps writer, feedback and resync. Knows the world only through ports."""
