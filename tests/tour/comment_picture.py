"""`python -m tests.tour.comment_picture`: the comment on a pull request, as people see it, in docs/pictures.

A manager on fakes writes it; its Markdown is rendered, and Chromium takes the picture.
"""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from markdown_it import MarkdownIt

from previews.domain.lifetime import LifetimePolicy
from previews.domain.policy import Policy
from tests.fakes.town import REPOSITORY, Town, project

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "comment.png"
NUMBER = 1
STYLE = """
body { margin: 0; padding: 24px; background: #fff; color: #1f2328; width: 1012px;
  font: 14px/1.5 "Liberation Sans", Arial, "Noto Color Emoji", sans-serif; }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; }
.head { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; padding: 8px 16px; color: #59636e;
  border-radius: 6px 6px 0 0; }
.head b { color: #1f2328; }
.body { padding: 16px; }
h3 { margin: 0 0 16px; font-size: 18px; }
table { border-collapse: collapse; margin-bottom: 16px; }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; text-align: left; vertical-align: top; }
tbody tr:nth-child(2n) { background: #f6f8fa; }
td:last-child { white-space: nowrap; }
code { background: #eff1f3; border-radius: 6px; padding: .2em .4em;
  font: 85% "Liberation Mono", monospace; white-space: nowrap; }
a { color: #0969da; text-decoration: none; }
p { margin: 0 0 12px; }
"""


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("needs Chromium, and found none on the PATH", file=sys.stderr)
        return 2
    page = page_of(real_comment())
    with tempfile.TemporaryDirectory(prefix="previews-picture-") as directory:
        file = Path(directory) / "comment.html"
        file.write_text(page, encoding="utf-8")
        PICTURE.parent.mkdir(exist_ok=True)
        subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--force-device-scale-factor=1",
                "--window-size=1060,640",
                f"--user-data-dir={directory}/profile",
                f"--screenshot={PICTURE}",
                file.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
    print(PICTURE)
    return 0


def real_comment() -> str:
    """What a manager says of four projects in one repository, of which each fares differently."""
    lifetime = LifetimePolicy(ttl=timedelta(days=3))
    projects = [
        project("order-service", lifetime=lifetime),
        project("payments", lifetime=lifetime),
        project("search", lifetime=lifetime),
        replace(project("handbook"), policy=Policy(paths=("handbook/**",))),
    ]
    town = Town(projects)
    town.applications_url = "https://argocd.example.com/applications/argocd"
    town.start()
    town.prober.says("payments-pr-1.preview.example", "503 Service Unavailable")
    town.forge.open_pull_request(REPOSITORY)
    for each in projects:
        if each.name != "search":
            town.push_image(NUMBER, each.name)
        town.deliver(NUMBER, each.name)
    town.settle(660)
    (comment,) = town.forge.comments(REPOSITORY, NUMBER)
    return comment.body


def page_of(markdown: str) -> str:
    body = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    return (
        f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>'
        '<div class="comment"><div class="head"><b>acme-previews</b> bot commented</div>'
        f'<div class="body">{body}</div></div>'
    )


if __name__ == "__main__":
    sys.exit(main())
