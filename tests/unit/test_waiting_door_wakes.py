"""Whose visit wakes a preview that sleeps."""

import pytest

from previews.domain.preview import PreviewKey
from tests.unit.visits import FIREFOX, HOST, KEY, Page, Town


@pytest.fixture
def town() -> Town:
    return Town()


@pytest.mark.parametrize(
    "user_agent",
    [
        FIREFOX,
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 Chrome/130.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Slack/4.43 Chrome/134.0 Electron/35.1",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Teams/25.1 Chrome/134.0 Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/130.0.0.0 Safari/537.36",
        "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)",
        "curl/8.5.0",
        "Wget/1.24.5",
        "python-requests/2.32.3",
        "Go-http-client/1.1",
        "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
        "k6/1.0.0 (https://k6.io/)",
        "PostmanRuntime/7.43.0",
    ],
)
def test_people_and_their_tests_wake_a_preview(town: Town, user_agent: str) -> None:
    town.visit(User_Agent=user_agent)

    assert town.woken == [KEY]


@pytest.mark.parametrize(
    "user_agent",
    [
        "previews-probe/0.1.0",
        "",
        " ",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (Linux; Android 6.0.1) Safari/537.36 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Slack-ImgProxy (+https://api.slack.com/robots)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "TelegramBot (like TwitterBot)",
        "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
        "WhatsApp/2.24.1.78 A",
        "Mattermost-Bot/1.1",
        "Synapse (bot; +https://github.com/matrix-org/synapse)",
        "Iframely/1.3.1 (+https://iframely.com/docs/about)",
        "github-camo (4f8a1c2d)",
        "GitHub-Hookshot/044aadd",
        "GitLab/18.0.1",
        "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
        "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
        "Blackbox Exporter/0.26.0",
        "kube-probe/1.34",
        "ELB-HealthChecker/2.0",
        "GoogleHC/1.0",
        "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
        "Expanse, a Palo Alto Networks company, searches across the global IPv4 space",
        "W3C_Validator/1.3 http://validator.w3.org/services",
    ],
)
def test_robots_wake_nothing(town: Town, user_agent: str) -> None:
    answer = town.visit(User_Agent=user_agent)

    assert answer.status_code == 503
    assert "Asleep" in answer.text
    assert town.woken == []


def test_who_does_not_say_who_he_is_wakes_nothing(town: Town) -> None:
    del town.client.headers["user-agent"]

    answer = town.client.get("/", headers={"Host": HOST})

    assert "user-agent" not in answer.request.headers
    assert (answer.status_code, town.woken) == (503, [])


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Purpose": "prefetch"},
        {"Sec_Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X_Moz": "prefetch"},
        {"X_Purpose": "preview"},
    ],
)
def test_a_browser_that_guesses_wakes_nothing(town: Town, headers: dict[str, str]) -> None:
    answer = town.visit(**headers)

    # When it is shown after all, it asks again by itself, and that wakes.
    assert (answer.status_code, Page(answer).refresh, town.woken) == (503, "2", [])


@pytest.mark.parametrize(
    ("headers", "woken"),
    [
        ({"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Site": "same-origin"}, [KEY]),
        ({"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Site": "cross-site"}, [KEY]),
        ({"Sec_Fetch_Mode": "cors", "Sec_Fetch_Site": "same-site"}, [KEY]),
        ({"Sec_Fetch_Mode": "cors", "Sec_Fetch_Site": "same-origin"}, []),
        ({"Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Site": "same-origin"}, []),
        ({"Sec_Fetch_Mode": "websocket", "Sec_Fetch_Site": "same-site"}, []),
        ({"Upgrade": "websocket", "Connection": "upgrade"}, []),
    ],
    ids=[
        "a form",
        "a link",
        "another preview",
        "a script",
        "a picture",
        "a socket",
        "an old socket",
    ],
)
def test_a_tab_that_was_forgotten_wakes_nothing_and_another_preview_does(
    town: Town, headers: dict[str, str], woken: list[PreviewKey]
) -> None:
    town.visit(**headers)

    assert town.woken == woken


@pytest.mark.parametrize(
    ("method", "woken"),
    [
        ("GET", [KEY]),
        ("HEAD", [KEY]),
        ("POST", [KEY]),
        ("PUT", []),
        ("DELETE", []),
        ("OPTIONS", []),
        ("TRACE", []),
        ("BREW", []),
    ],
)
def test_looking_and_sending_wake_and_other_methods_do_not(
    town: Town, method: str, woken: list[PreviewKey]
) -> None:
    assert town.visit(method=method).status_code == 503
    assert town.woken == woken
