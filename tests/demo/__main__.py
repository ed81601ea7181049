"""The command line: `python -m tests.demo [--once]`.

Exit codes: 0 everything was really seen, 1 something was not, 3 this machine cannot run the cluster.
"""

import argparse
import select
import subprocess
import sys

from tests.cluster import RunningCluster, preflight, running
from tests.demo.stages import Chapter
from tests.demo.story import (
    close_and_watch,
    open_and_watch,
    order_and_watch,
    push_and_watch,
    watch_removal,
)
from tests.world.database import missing_server
from tests.world.pull_request import PullRequest
from tests.world.waiting import NotSeenError
from tests.world.world import World, WorldInUseError, WorldOptions

CANNOT_RUN = 3
OPTIONS = WorldOptions(
    name="demo",
    project="shop",
    hostname="pr-{number}.preview.localhost",
    databases=not missing_server(),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="unattended: close it, clean up, end")
    once = parser.parse_args().once
    was_up = running() is not None
    if not was_up and (missing := preflight()):
        return _offer_the_tour(missing)
    try:
        code = subprocess.call([sys.executable, "-m", "tests.cluster", "up"])
        if code == CANNOT_RUN:
            return _offer_the_tour("the local cluster could not be started")
        cluster = running()
        if code != 0 or cluster is None:
            return 1
        return _play(cluster, once=once)
    except KeyboardInterrupt:
        print("\ninterrupted")
        return 1
    finally:
        if once and not was_up:
            subprocess.call([sys.executable, "-m", "tests.cluster", "down"])


def _offer_the_tour(missing: str) -> int:
    print(f"the demo cannot run here: {missing}")
    print("`make tour` shows the same up to the push, without root or cluster")
    return CANNOT_RUN


def _play(cluster: RunningCluster, *, once: bool) -> int:
    preparing = Chapter("A forge, a GitOps repository, rights in the cluster, a manager")
    try:
        world = World(cluster, OPTIONS)
    except WorldInUseError as error:
        print(f"the demo cannot begin: {error}", file=sys.stderr)
        return 1
    world.set_up()
    try:
        _tell_the_story(world, preparing, once=once)
    except (NotSeenError, AssertionError) as error:
        print(f"\nthe demo ends here: {error}\n{world.manager.log_tail()}", file=sys.stderr)
        return 1
    finally:
        if once:
            world.close()
        else:
            world.abandon()
            print(
                "\nThe manager has ended. `make demo` begins anew, `make cluster-down` removes all."
            )
    return 0


def _tell_the_story(world: World, preparing: Chapter, *, once: bool) -> None:
    preparing.say("Gitea", f"{', '.join(world.repositories())}; user {world.bot.name}")
    preparing.say("Kubernetes", f"rights and roots of {world.installation.namespace} installed")
    world.manager.start()
    preparing.say("previews", f"ready at {world.manager.url}, process {world.manager.pid}")
    if world.databases:
        login = world.databases.instance.login
        preparing.say("PostgreSQL", f"serves at {login.host}:{login.port}, with a golden template")
    else:
        preparing.say("PostgreSQL", f"the shop does without: {missing_server()}")
    pull_request, opening = open_and_watch(world)
    pushing = push_and_watch(world, pull_request)
    ordering = order_and_watch(world, pull_request) if world.databases else None
    end = close_and_watch if once else _leave_to_the_reader
    closing = end(world, pull_request)
    print("\nTimes, clocks started by the person and stopped by what was seen last")
    for chapter in (preparing, opening, pushing, ordering, closing):
        if chapter is not None:
            print(f"  {chapter.seconds:6.2f} s  {chapter.title}")


def _leave_to_the_reader(world: World, pull_request: PullRequest) -> Chapter | None:
    """It stays up until somebody closes it, here or at the forge, or goes away."""
    cluster = world.cluster
    print(f"""
The preview stays up.
  page       {pull_request.url}
  API        {world.manager.url}/api/v1/previews
             curl -H "Authorization: Bearer $(cat {world.manager.api_token_file})" …
  Gitea      {pull_request.opened.url}
             {cluster.gitea_admin_user} / {cluster.gitea_admin_password}
  kubectl    {cluster.bin_dir}/kubectl --kubeconfig {cluster.kubeconfig} -n {cluster.argocd_namespace} get applications
  log        {world.manager.log}

Close the pull request at Gitea or press Enter to see it go; Ctrl-C ends the manager and leaves the rest.""")
    try:
        closed = _wait_for_a_close(world, pull_request)
    except KeyboardInterrupt:
        print()
        return None
    if not closed:
        return close_and_watch(world, pull_request)
    chapter = Chapter("The pull request was closed")
    watch_removal(world, pull_request, chapter)
    return chapter


def _wait_for_a_close(world: World, pull_request: PullRequest) -> bool:
    """Whether it was closed at the forge, rather than Enter pressed."""
    can_press = sys.stdin.isatty()
    while True:
        pressed, _, _ = select.select([sys.stdin] if can_press else [], [], [], 0.5)
        if pressed:
            sys.stdin.readline()
            return False
        if not world.gitea.is_open(pull_request.opened):
            return True


if __name__ == "__main__":
    sys.exit(main())
