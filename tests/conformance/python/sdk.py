"""The official SDK, unmodified: any command by its name, every answer checked as bytes.

The methods and request models are read from the SDK's own source, so nothing here knows how it
spells a name.
"""

import inspect
import json
import re

import akeyless

from models import reply_complaints
from world import world

_METHOD = re.compile(
    r"def (\w+)_with_http_info\(self(?:, (\w+))?, \*\*kwargs\):(.*?)\n\s+'(/[^']+)', '\w+',", re.S
)
# A body that may be left out, as the SDK has it.
_OPTIONAL = re.compile(r":param (\w+) (\w+):\n")


def _methods():
    """Command name to (method, type of its body or None, the body's name where it is optional)."""
    found = {}
    with open(inspect.getsourcefile(akeyless.V2Api), encoding="utf-8") as file:
        source = file.read()
    for match in _METHOD.finditer(source):
        method, argument, text, path = match.groups()
        kind = keyword = None
        if argument:
            kind = re.search(rf":param (\S+) {argument}: \(required\)", text).group(1)
        elif optional := _OPTIONAL.search(text):
            kind, keyword = optional.groups()
        found[path.lstrip("/").lower()] = (method, kind, keyword)
    return found


METHODS = _methods()


# Fields that are sent by all versions, though not all know them, and none what is our own.
NEWER = {"skip-dry-run": "bool", "host-key": "str"}


def model(kind, fields):
    """A request model made from fields by their JSON names; `_` and `-` are the same."""
    made = getattr(akeyless, kind)
    attributes = {key.replace("_", "-"): name for name, key in made.attribute_map.items()}
    newer = {key: value for key, value in fields.items() if key in NEWER and key not in attributes}
    known = {key: value for key, value in fields.items() if key not in newer}
    request = made(**{attributes[key.replace("_", "-")]: value for key, value in known.items()})
    for key, value in newer.items():
        name = key.replace("-", "_")
        request.attribute_map = {**request.attribute_map, name: key}
        request.openapi_types = {**request.openapi_types, name: NEWER[key]}
        setattr(request, name, value)
    return request


class Sdk:
    """A client of the server under test."""

    def __init__(self, base=None, bearer=None):
        configuration = akeyless.Configuration(host=base or world().url)
        configuration.ssl_ca_cert = world().bootstrap["ca_file"]
        self.client = akeyless.ApiClient(configuration)
        if bearer is not None:
            self.client.set_default_header("Authorization", f"Bearer {bearer}")
        self.api = akeyless.V2Api(self.client)
        self.last = None
        pool = self.client.rest_client.pool_manager
        self._send = pool.request
        pool.request = self._watched

    def _watched(self, method, url, **options):
        """Sends what the SDK made, and looks at the bytes before the SDK does."""
        response = self._send(method, url, **options)
        name = url.rsplit("/", 1)[1]
        served = world().commands[name]
        world().saw(name, response.status)
        headers = {key.lower(): value for key, value in response.headers.items()}
        self.last = response.data
        wrong = reply_complaints(world().models, served.reply, response.status, served.success,
                                 headers, response.data)
        if wrong:
            raise AssertionError(f"{name}: " + "; ".join(wrong))
        return response

    def call(self, name, fields):
        """Calls the command with fields by their JSON names; the SDK's own result."""
        method, kind, keyword = METHODS[name.lower()]
        call = getattr(self.api, method)
        if kind is None:
            return call()
        if kind.startswith("list["):
            return call([model(kind[len("list["):-1], row) for row in fields])
        body = model(kind, fields)
        return call(body) if keyword is None else call(**{keyword: body})


def sends_token_in_header(name):
    """Whether the SDK's model of the command has no room for a token."""
    _, kind, _ = METHODS[name.lower()]
    return kind is None or kind.startswith("list[")


def call(name, fields, token=None, base=None):
    """Calls a command as the bearer of `token`; the SDK's own result."""
    if token is not None and sends_token_in_header(name):
        return Sdk(base, bearer=token).call(name, fields)
    if token is not None:
        fields = {**fields, "token": token}
    return Sdk(base).call(name, fields)


def refusal(name, fields, token=None):
    """Calls a command that must fail; the status and the text."""
    try:
        result = call(name, fields, token)
    except akeyless.ApiException as error:
        return error.status, json.loads(error.body)["error"]
    raise AssertionError(f"{name} was not refused: {result!r}")
