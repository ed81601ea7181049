"""500 pull requests opened at once, up to the push: the manager alone, since Argo CD is told nothing of it."""

import time
from collections.abc import Callable, Sequence

from tests.bench.deliveries import Answered, send_at_once, sign
from tests.bench.figures import Part
from tests.bench.meter import Meter
from tests.bench.rig import FOLDER, Rig, RigOptions
from tests.bench.sampling import Opened, eventually, open_all, prepare
from tests.cluster import RunningCluster

Say = Callable[[str], None]

SIZE = 500
FURTHER = 100
"""What each further preview costs is seen on so many of them."""
NEVER = "300d"


def measure_burst(cluster: RunningCluster, part: Part, say: Say, samples: int) -> None:
    """The forge is full of pull requests, and then tells of all of them in one moment."""
    del samples  # one burst holds enough of them
    options = RigOptions(name="bench-burst", with_roots=False, resync=NEVER)
    with Rig(cluster, options) as rig:
        rig.manager.start()
        meter = Meter(rig.manager)
        meter.wait_until_quiet()
        part.set("rss_0_previews_mib", meter.rss_mib())
        say(f"opening {SIZE + FURTHER} pull requests that nobody is told of yet")
        opened = open_all(rig, prepare(rig, 1, SIZE + FURTHER))
        first, further = opened[:SIZE], opened[SIZE:]
        say(f"{SIZE} deliveries at once")
        before = rig.branch.tips()[-1]
        answers, seconds = tell_of(rig, first)
        part.set(f"burst_{SIZE}_pushed_seconds", seconds)
        part.set(f"burst_{SIZE}_commits_count", rig.branch.commits_since(before))
        part.add_all(f"burst_{SIZE}_accepted", (answer.seconds for answer in answers))
        say(f"all in Git after {seconds:.1f} s; waiting until every one is announced")
        meter.wait_until_quiet()
        rss_mib = meter.rss_mib()
        part.set(f"rss_{SIZE}_previews_mib", rss_mib)
        tell_of(rig, further)
        meter.wait_until_quiet()
        part.set("rss_per_preview_kib", (meter.rss_mib() - rss_mib) * 1024 / FURTHER)


def tell_of(rig: Rig, opened: Sequence[Opened]) -> tuple[list[Answered], float]:
    """Deliver all at once; the answers, and the seconds until each preview's folder is in Git."""
    signed = sign(rig.repository, [each.number for each in opened], rig.secret.encode())
    began = time.monotonic()
    answers = send_at_once(rig.manager.port, signed)
    refused = [answer.status for answer in answers if not answer.is_accepted]
    if refused:
        raise RuntimeError(f"{len(refused)} deliveries were refused, the first with {refused[0]}")
    folders = [f"{FOLDER}/{rig.names(each.number).folder}" for each in opened]
    eventually(
        f"{len(opened)} previews are in Git",
        lambda: all(rig.branch.has(folder) for folder in reversed(folders)),
    )
    # Everything is there since the last commit, which was seen sooner than it was looked into.
    return answers, rig.branch.tips()[-1].at - began
