"""Who may look at a sleeping preview without waking it: whatever asks by itself, without a person who waits.

It is better to wake a preview for a robot, which costs an hour of a pod, than to leave a person before a closed door.
So only what says of itself that it is a robot counts as one; command-line clients, HTTP libraries and driven browsers
do not, since a team's own tests are use. What sends no User-Agent at all is a robot: no browser or client does that.
"""

import re
from collections.abc import Mapping

_TOOLS = re.compile(r"(?:k6|artillery|node-fetch|got|undici|cypress|playwright)\b", re.IGNORECASE)
"""What people's own tests are made of, which may name its home page."""
_ROBOT = re.compile(
    r"""
    # Where to complain: no browser has an address in it.
    https?:// | www\. | @
    # None but the Internet Explorer has said this.
    | compatible;(?!\ msie)
    # Cubot makes telephones.
    | (?<!cu)bot(?![a-z])
    | crawl | spider | slurp | archiver | fetcher | unfurl | preview | feed | rss
    | monitor | uptime | health | probe | scanner | check(?:er)?\b
    # Forges and chats that look at the links in what people write, and proxies for their pictures. Not by the names of
    # the chats: their programs are also browsers, which a person may look through.
    | github- | gitlab | gitea | forgejo | facebookexternalhit | facebookcatalog | meta-external | ^whatsapp | ^viber
    | slack-imgproxy | skypeuri | embedly | iframely | onebox | google- | googleother | mediapartners
    # What watches over a site.
    | blackbox | prometheus/ | pingdom | statuscake | datadog | site24x7 | newrelic | zabbix | nagios | gatus
    | sentry/ | elb- | googlehc | lighthouse | appinsights
    # What looks for holes in one.
    | nmap | zgrab | censys | masscan | nuclei | nikto | wpscan | sqlmap | expanse
    """,
    re.IGNORECASE | re.VERBOSE,
)
_AHEAD_OF_TIME = re.compile("prefetch|prerender|preview|instant", re.IGNORECASE)


def wakes(method: str, headers: Mapping[str, str]) -> bool:
    """Whether somebody waits for the answer to this request. `headers` by lower-case name."""
    user_agent = headers.get("user-agent", "")
    return (
        method in {"GET", "HEAD", "POST"}
        and bool(user_agent.strip())
        and not _is_robot(user_agent)
        and not _is_ahead_of_time(headers)
        and not _is_from_an_open_page(headers)
    )


def _is_robot(user_agent: str) -> bool:
    return not _TOOLS.match(user_agent) and _ROBOT.search(user_agent) is not None


def _is_ahead_of_time(headers: Mapping[str, str]) -> bool:
    """A browser that guesses where its user will go next."""
    return any(
        _AHEAD_OF_TIME.search(headers.get(name, ""))
        for name in ("sec-purpose", "purpose", "x-purpose", "x-moz")
    )


def _is_from_an_open_page(headers: Mapping[str, str]) -> bool:
    """What a page of this preview asks for in the background: a tab forgotten over a weekend keeps nobody awake.

    A page of another preview may ask, since somebody who looks at a front end needs the service behind it.
    """
    mode = headers.get("sec-fetch-mode", "navigate")
    from_itself = mode != "navigate" and headers.get("sec-fetch-site") == "same-origin"
    return from_itself or mode == "websocket" or "upgrade" in headers
