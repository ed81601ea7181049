"""Where the manager is, and with which token it is spoken to. The token is only ever named by its file."""

from pathlib import Path

from previews.client import Client
from previews.errors import ConfigurationError
from previews.settings import load_settings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what a manager may listen on, and where it is then


def connect(config: Path | None, url: str | None, token_file: Path | None) -> Client:
    """A client from what was said on the command line, and for the rest from the manager's configuration."""
    if url is None or token_file is None:
        if config is None:
            raise ConfigurationError(
                "where is the manager? Give --config, or --url and --token-file "
                "(or PREVIEWS_CONFIG, or PREVIEWS_URL and PREVIEWS_TOKEN_FILE)"
            )
        server = load_settings(config).server
        url = url or _address(server.host, server.port)
        token_file = token_file or server.api_token_file
        if token_file is None:
            raise ConfigurationError(
                f"{config}: server.api_token_file: must be given, since without it there is no API"
            )
    return Client(url, _token(token_file))


def _address(host: str, port: int) -> str:
    known = _EVERYWHERE.get(host, host)
    return f"http://[{known}]:{port}" if ":" in known else f"http://{known}:{port}"


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is no token, since it is not plain ASCII") from error
    if not token.isprintable() or not token:
        raise ConfigurationError(f"{path}: must hold one token, in one line")
    return token
