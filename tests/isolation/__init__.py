"""What enforces the previews' NetworkPolicy, tried on pods: `make isolation`, on the isolated local cluster.

`make test` leaves it out: that cluster takes the place of the default one, and a quarter of an hour to build.
"""
