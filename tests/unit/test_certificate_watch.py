"""The hourly look at the certificate of the previews' hosts."""

import threading
from datetime import UTC, datetime

from structlog.testing import capture_logs

from previews.domain.certificates import CHAIN, EXPIRY, Inspection
from previews.domain.findings import Finding, Level
from previews.reconcile.certificate_watch import CertificateWatch

END = datetime(2026, 12, 1, tzinfo=UTC)
WELL = Finding(check=CHAIN, level=Level.FINE, message="it is complete")
LATE = Finding(check=EXPIRY, level=Level.WARNING, message="9 days more", remedy="renew it")


def test_what_is_not_fine_is_logged_with_what_to_do_and_the_rest_is_not() -> None:
    found = Inspection(findings=(WELL, LATE), expires_at=END)
    watch = CertificateWatch(lambda: found)
    before = watch.last
    with capture_logs() as logged:
        watch.look()
    assert (before, watch.last) == (None, found)
    (line,) = logged
    assert (line["event"], line["log_level"]) == ("certificate", "warning")
    assert (line["check"], line["message"], line["remedy"]) == (EXPIRY, "9 days more", "renew it")


def test_a_good_one_is_not_talked_about() -> None:
    watch = CertificateWatch(lambda: Inspection(findings=(WELL,), expires_at=END))
    with capture_logs() as logged:
        watch.look()
    assert logged == []


def test_it_looks_at_once_and_ends_when_it_is_told_to() -> None:
    looked = threading.Event()

    def look() -> Inspection:
        looked.set()
        return Inspection(findings=())

    stop = threading.Event()
    watch = CertificateWatch(look)
    thread = threading.Thread(target=watch.run, args=(stop,))
    thread.start()
    assert looked.wait(20)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_a_bug_ends_no_watch() -> None:
    stop = threading.Event()

    def look() -> Inspection:
        stop.set()
        raise KeyError("gone")

    with capture_logs() as logged:
        CertificateWatch(look).run(stop)
    assert [line["event"] for line in logged] == ["bug"]
