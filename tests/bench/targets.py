"""What must be reached, beside what was measured."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that should stay below a limit."""

    text: str
    key: str
    below: float
    unit: str

    def verdict(self, figures: Figures) -> str:
        value = figures.get(self.key)
        if value is None:
            return "not measured"
        return "met" if value < self.below else "MISSED"


STAGES = {
    "opened_to_accepted": "opened → accepted (the forge's part)",
    "commit_to_accepted": "commit pushed → accepted (the forge's part)",
    "delivered_to_accepted": "delivery → its 2xx",
    "accepted_to_pushed": "accepted → pushed",
    "pushed_to_created": "pushed → Application created",
    "pushed_to_changed": "pushed → Application changed",
    "pushed_to_seen": "pushed → created or changed",
    "pushed_to_synced": "pushed → Synced",
    "pushed_to_live": "pushed → URL answers",
    "live_to_announced": "URL answers → said on the pull request",
    "opened_to_live": "pull request opened → live URL",
    "commit_to_page": "commit pushed → new page",
    "closed_to_gone": "closed → nothing left",
}
PLACES = {
    "1": "1, with pods",
    "gitea": "1-20, GitOps at Gitea",
    "50": "50",
    "300": "300",
    "beside_stuck": "50, one stuck",
}
"""How many pull requests are open meanwhile."""

TARGETS = (
    Target("accepted → pushed, median", "accepted_to_pushed_p50_seconds", 0.3, "s"),
    Target("500 opened at once → all pushed", "burst_500_pushed_seconds", 60, "s"),
    Target("commits for these 500", "burst_500_commits_count", 500, "commits"),
    Target("pushed → seen by Argo CD, 1 open, median", "pushed_to_seen_1_p50_seconds", 1, "s"),
    Target("pushed → seen by Argo CD, 300 open, median", "pushed_to_seen_300_p50_seconds", 1, "s"),
    Target(
        "beside a stuck removal: opened → live, against the usual",
        "beside_stuck_ratio",
        1.5,
        "times",
    ),
    Target("opened → live URL, median", "opened_to_live_p50_seconds", 10, "s"),
    Target("closed → nothing left, worst", "closed_to_gone_max_seconds", 45, "s"),
    Target("asleep → page answers, median", "asleep_to_page_p50_seconds", 10, "s"),
    Target("pods of 200 previews asleep", "asleep_200_pods_count", 1, "pods"),
    Target("image pushed → gate open, median", "pushed_to_open_gate_p50_seconds", 10, "s"),
    Target("the same with the registry's event, median", "told_to_open_gate_p50_seconds", 2, "s"),
    Target("URL answers → Live said, median", "answers_to_live_p50_seconds", 1, "s"),
    Target("URL answers → commit status at Gitea, worst", "answers_to_status_max_seconds", 2, "s"),
    Target(
        "URL answers → check run at the stand-in GitHub, worst",
        "answers_to_check_max_seconds",
        2,
        "s",
    ),
    Target("pod cannot pull → its reason, median", "cannot_pull_to_reason_p50_seconds", 10, "s"),
    Target("7 MB template → ready for login, median", "database_18_ready_p50_seconds", 0.15, "s"),
    Target("the same from the warm pool, median", "database_18_warm_p50_seconds", 0.02, "s"),
    Target("930 MB template, blocks shared, median", "database_large_clone_p50_seconds", 0.25, "s"),
    Target("50 databases of one template at once", "database_18_50_at_once_seconds", 30, "s"),
    Target("dropped with ten open sessions, worst", "database_18_drop_max_seconds", 1, "s"),
    Target("manager's memory with 500 previews", "rss_500_previews_mib", 200, "MiB"),
    Target("each further preview", "rss_per_preview_kib", 100, "KiB"),
    Target("manager's processor, nothing changes, 300 open", "idle_cpu_300_percent", 2, "%"),
    Target("sweep over 10,000 previews, the longest of three", "collect_10000_seconds", 30, "s"),
    Target(
        "memory of the process that makes it, at its highest", "collect_10000_peak_mib", 300, "MiB"
    ),
    Target(
        "1,000 previews probed every minute, over TLS: processor",
        "pulse_1000_https_cpu_percent",
        5,
        "%",
    ),
    Target("50 deliveries a second, p99", "door_50_per_second_p99_seconds", 0.05, "s"),
    Target("500 deliveries at once, p99", "door_burst_500_p99_seconds", 0.25, "s"),
    Target("GitHub requests, first head_sha", "github_first_head_requests_count", 13, "requests"),
    Target("GitHub requests, next head_sha", "github_next_head_requests_count", 13, "requests"),
    Target(
        "GitHub requests, close with one deployment", "github_close_requests_count", 7, "requests"
    ),
    Target(
        "quiet resync of 200 repositories, 5,000 open",
        "github_resync_200_requests_count",
        201,
        "requests",
    ),
    Target("what it writes anywhere", "github_resync_200_writes_count", 1, "writes"),
)

OTHERS = {
    "github_resync_200_not_modified_count": "quiet resync of 200 repositories: answers of 304",
    "fill_50_pushed_seconds": "50 open at the start: all pushed",
    "fill_50_created_seconds": "50 open at the start: all Applications created",
    "fill_50_synced_seconds": "50 open at the start: all Synced",
    "fill_50_live_seconds": "50 open at the start: all URLs answer",
    "fill_50_commits_count": "50 open at the start: commits",
    "fill_300_pushed_seconds": "300 open at the start: all pushed",
    "fill_300_created_seconds": "300 open at the start: all Applications created",
    "fill_300_synced_seconds": "300 open at the start: all Synced",
    "fill_300_live_seconds": "300 open at the start: all URLs answer",
    "fill_300_commits_count": "300 open at the start: commits",
    "drain_50_seconds": "50 closed at once: nothing left",
    "drain_300_seconds": "300 closed at once: nothing left",
    "answers_to_status_p50_seconds": "URL answers → commit status at Gitea, median",
    "answers_to_check_p50_seconds": "URL answers → check run at the stand-in GitHub, median",
    "asleep_to_page_max_seconds": "asleep → page answers, worst",
    "awake_to_waiting_page_p50_seconds": "sent to sleep → waiting page answers, median",
    "awake_to_waiting_page_max_seconds": "sent to sleep → waiting page answers, worst",
    "asleep_wrong_answers_count": "answers meanwhile that were neither page nor waiting page",
    "asleep_200_rss_mib": "manager's memory, 200 asleep",
    "asleep_200_cpu_percent": "manager's processor, nothing changes, 200 asleep",
    "asleep_200_cpu_of_git_percent": "its git commands meanwhile, 200 asleep",
    "asleep_200_commits_count": "commits while nothing changes, 200 asleep",
    "asleep_200_drain_seconds": "200 asleep closed at once: nothing left",
    "database_18_template_mib": "small template",
    "database_18_bare_clone_p50_seconds": "PostgreSQL 18: the server's one statement for it, median",
    "database_18_ready_ratio": "PostgreSQL 18: ours against that statement",
    "database_18_bare_rename_p50_seconds": "PostgreSQL 18: the server's renaming alone, median",
    "database_18_warm_ratio": "PostgreSQL 18: ours against the renaming",
    "database_18_50_at_once_live_seconds": "PostgreSQL 18: 50 at once: all previews live",
    "database_18_50_dropped_max_seconds": "PostgreSQL 18: these 50 dropped, the slowest",
    "database_18_drop_p50_seconds": "PostgreSQL 18: dropped with ten open sessions, median",
    "database_15_ready_p50_seconds": "PostgreSQL 15: 7 MB template → ready for login, median",
    "database_15_bare_clone_p50_seconds": "PostgreSQL 15: the server's one statement for it, median",
    "database_15_ready_ratio": "PostgreSQL 15: ours against that statement",
    "database_15_warm_p50_seconds": "PostgreSQL 15: from the warm pool, median",
    "database_15_bare_rename_p50_seconds": "PostgreSQL 15: the server's renaming alone, median",
    "database_15_warm_ratio": "PostgreSQL 15: ours against the renaming",
    "database_15_50_at_once_seconds": "PostgreSQL 15: 50 databases of one template at once",
    "database_15_50_at_once_live_seconds": "PostgreSQL 15: 50 at once: all previews live",
    "database_15_50_dropped_max_seconds": "PostgreSQL 15: these 50 dropped, the slowest",
    "database_15_drop_p50_seconds": "PostgreSQL 15: dropped with ten open sessions, median",
    "database_15_drop_max_seconds": "PostgreSQL 15: dropped with ten open sessions, worst",
    "database_large_template_mib": "large template",
    "database_large_bare_clone_p50_seconds": "large template, blocks shared: the one statement, median",
    "database_large_clone_ratio": "large template, blocks shared: ours against that statement",
    "database_large_copy_seconds": "large template, files copied: ready for login, median",
    "database_large_copy_max_seconds": "the same, slowest",
    "database_large_bare_copy_seconds": "large template, files copied: the one statement, median",
    "database_large_bare_copy_max_seconds": "the same, slowest",
    "database_large_bare_wal_log_seconds": "large template, through the log: the one statement, median",
    "database_large_bare_wal_log_max_seconds": "the same, slowest",
    "database_list_1000_seconds": "listing 1,000 previews, 200 with a database, the longest of five",
    "database_list_1000_mib": "memory that this listing took",
    "database_list_10000_seconds": "listing 10,000 previews, 200 with a database, the longest of five",
    "database_list_10000_mib": "memory that this listing took",
    "pulse_1000_https_asked_count": "of these 1,000: asked within the minute",
    "pulse_1000_http_cpu_percent": "1,000 previews probed every minute, without TLS: processor",
    "burst_500_accepted_p99_seconds": "500 delivered at once, and worked on meanwhile: 2xx, p99",
    "rss_0_previews_mib": "manager's memory, no preview",
    "rss_50_previews_mib": "manager's memory, 50 deployed",
    "rss_300_previews_mib": "manager's memory, 300 deployed",
    "collect_10000_before_mib": "memory before a sweep over 10,000, all of them watched",
    "collect_10000_found_count": "things that this sweep judges, in the cluster and in Git",
    "collect_10000_removed_count": "orphans among them, removed",
    "idle_cpu_50_percent": "manager's processor, nothing changes, 50 open",
    "idle_cpu_of_git_50_percent": "its git commands meanwhile, 50 open",
    "idle_cpu_of_git_300_percent": "its git commands meanwhile, 300 open",
    "idle_50_commits_count": "commits while nothing changes, 50 open",
    "idle_300_commits_count": "commits while nothing changes, 300 open",
}


def number(value: float) -> str:
    """Three digits are all that a measurement of this kind means."""
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def target_rows(figures: Figures) -> Iterator[tuple[str, ...]]:
    """What, measured, target, verdict."""
    for target in TARGETS:
        value = figures.get(target.key)
        measured = "-" if value is None else f"{number(value)} {target.unit}"
        yield target.text, measured, f"< {target.below:g} {target.unit}", target.verdict(figures)


def stage_rows(figures: Figures) -> Iterator[tuple[str, ...]]:
    """Each stage with its median and worst in every place, in seconds. The first row is the head."""
    places = [place for place in PLACES if any(_key(s, place) in figures for s in STAGES)]
    yield ("seconds, median / worst", *(PLACES[place] for place in places))
    for stage, text in STAGES.items():
        cells = [_cell(figures, stage, place) for place in places]
        if any(cells):
            yield (text, *cells)


def other_rows(figures: Figures) -> Iterator[tuple[str, ...]]:
    """What has no target."""
    for key, text in OTHERS.items():
        if key in figures:
            yield text, f"{number(figures[key])} {_unit(key)}"


def missing_samples(figures: Figures, wanted: int) -> list[str]:
    """Stages of which there are fewer samples than there should be."""
    counts = {key: count for key, count in figures.items() if key.endswith("_samples_count")}
    return [key.removesuffix("_samples_count") for key, count in counts.items() if count < wanted]


def text_table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Columns for a terminal: the first to the left, the others to the right."""
    listed = list(rows)
    if not listed:
        return []
    widths = [max(len(row[index]) for row in listed) for index in range(len(listed[0]))]
    return [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in listed
    ]


def _key(stage: str, place: str) -> str:
    return f"{stage}_{place}_p50_seconds"


def _cell(figures: Figures, stage: str, place: str) -> str:
    median = figures.get(_key(stage, place))
    if median is None:
        return ""
    return f"{number(median)} / {number(figures[f'{stage}_{place}_max_seconds'])}"


def _unit(key: str) -> str:
    units = {
        "seconds": "s",
        "mib": "MiB",
        "kib": "KiB",
        "percent": "%",
        "count": "",
        "ratio": "times",
    }
    return units[key.rpartition("_")[2]]
