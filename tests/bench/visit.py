"""One visit to a preview's public URL, on a connection of its own, cheap enough to be made twenty times a second."""

import http.client


def shows(host: str, ingress_port: int, text: str) -> bool:
    """Whether the ingress of this machine answers 200 for the host, with this text in the page."""
    connection = http.client.HTTPConnection("127.0.0.1", ingress_port, timeout=5)
    try:
        connection.request("GET", "/", headers={"host": f"{host}:{ingress_port}"})
        answer = connection.getresponse()
        return answer.status == http.HTTPStatus.OK and text.encode() in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
