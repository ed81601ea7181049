"""What an application is told of its database."""

from urllib.parse import unquote, urlsplit

import pytest

from previews.domain.database import Login


@pytest.mark.parametrize("host", ["db.example", "10.0.0.7", "fd00::7"])
def test_the_address_leads_where_the_single_variables_do(host: str) -> None:
    login = Login(host=host, port=5433, database="a/b", user="u:s@r", password="p/@:%")

    variables = login.variables()
    parts = urlsplit(variables["DATABASE_URL"])

    assert (parts.hostname, parts.port) == (variables["PGHOST"], int(variables["PGPORT"]))
    assert unquote(parts.path[1:]) == variables["PGDATABASE"]
    assert unquote(parts.username or "") == variables["PGUSER"]
    assert unquote(parts.password or "") == variables["PGPASSWORD"]


def test_a_password_is_in_no_representation() -> None:
    login = Login(host="h", port=1, database="d", user="u", password="canary")

    assert "canary" not in repr(login)
