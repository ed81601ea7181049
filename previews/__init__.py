"""A manager of preview environments: pull requests in, live URLs out, nothing left behind."""
