"""Plain HTTP, for what the SDK cannot send."""

import http.client
import json
import urllib.parse

from models import reply_complaints
from world import world


class Reply:
    """An answer, byte for byte."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def error(self):
        return json.loads(self.body)["error"]

    @property
    def json(self):
        return json.loads(self.body)


def request(method, path, body=None, headers=None):
    """Sends bytes and reads the whole answer. `path` begins with a slash."""
    url = urllib.parse.urlsplit(world().url)
    connection = http.client.HTTPSConnection(
        url.hostname, url.port, context=world().tls, timeout=300
    )
    try:
        connection.request(method, url.path + path, body, headers or {})
        response = connection.getresponse()
        found = {key.lower(): value for key, value in response.getheaders()}
        return Reply(response.status, found, response.read())
    finally:
        connection.close()


def post(name, value, headers=None, prefix="/"):
    """Sends `value` as JSON to a command, checks the answer and remembers it."""
    served = world().commands[name]
    headers = {"Content-Type": "application/json", **(headers or {})}
    reply = request("POST", prefix + name, json.dumps(value).encode(), headers)
    world().saw(name, reply.status)
    wrong = reply_complaints(world().models, served.reply, reply.status, served.success,
                             reply.headers, reply.body)
    if wrong:
        raise AssertionError(f"{name}: " + "; ".join(wrong))
    return reply


def command(name, value, token=None, headers=None):
    """As `post`, with the token where the command takes it."""
    headers = dict(headers or {})
    if token is not None and world().commands[name].body == "array":
        headers["Authorization"] = f"Bearer {token}"
    elif token is not None:
        value = {**value, "token": token}
    return post(name, value, headers)
