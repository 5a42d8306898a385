"""The server under test, the commands it serves, and what was seen of them so far."""

import inspect
import json
import os
import ssl

import akeyless

from models import Models


class Served:
    """A command under one of its names."""

    def __init__(self, spec, name, success, reply):
        self.name = name
        self.current = spec["name"]
        self.success = success
        self.reply = reply
        self.access = spec["access"]
        self.body = spec["body"]
        self.fields = spec["fields"]

    @property
    def needs_token(self):
        return self.access != "open"

    @property
    def needs_right(self):
        """Whether a valid token alone is not enough."""
        return self.access not in ("open", "token") and not self.access.endswith(" listing")

    @property
    def capability(self):
        """The capability that is needed, or `admin`, `open`, `token`, `listing`."""
        return self.access.split(" ")[-1]

    @property
    def required(self):
        return [field for field in self.fields if field["required"]]


def own_commands():
    """Commands of Keysherd's own, which no official SDK knows; tested with the binary itself."""
    path = os.path.join(os.path.dirname(__file__), "..", "own-commands.json")
    with open(path, encoding="utf-8") as file:
        return set(json.load(file))


# Commands that came with a later SDK than the oldest one tested.
LATER = {"auth-method-create-alicloud", "auth-method-update-alicloud", "target-create-f5-big-ip",
         "create-f5-big-ip-target", "target-update-f5-big-ip", "update-f5-big-ip-target",
         # Or which it knows by another name.
         "dynamic-secret-update-mongo"}


def served(specs):
    """Every name of every command that the SDK must know."""
    found = {}
    with open(inspect.getsourcefile(akeyless.V2Api), encoding="utf-8") as file:
        source = file.read()
    own = own_commands() | {name for name in LATER if f"'/{name}'" not in source}
    for spec in (spec for spec in specs if spec["name"] not in own):
        found[spec["name"]] = Served(spec, spec["name"], spec["success"], spec["reply"])
        for alias in spec["aliases"]:
            found[alias["name"]] = Served(spec, alias["name"], alias["success"], alias["reply"])
    return found


def _load(variable):
    with open(os.environ[variable], encoding="utf-8") as file:
        return json.load(file)


class World:
    """What every test starts from."""

    def __init__(self):
        self.bootstrap = _load("KEYSHERD_BOOTSTRAP")
        self.commands = served(_load("KEYSHERD_COMMANDS"))
        self.models = Models(os.environ["KEYSHERD_MODELS"])
        self.url = self.bootstrap["url"].rstrip("/")
        self.tls = ssl.create_default_context(cafile=self.bootstrap["ca_file"])
        self.succeeded = set()
        self.refused = set()
        self._used = 0

    def owner_password(self):
        with open(self.bootstrap["owner_password_file"], encoding="utf-8") as file:
            return file.read().strip()

    def name(self, noun):
        """A path nothing else has."""
        self._used += 1
        return f"/conformance/{noun}-{self._used}"

    def saw(self, name, status):
        """Remembers an answer of the command called `name`."""
        if 200 <= status < 300:
            self.succeeded.add(name)
        else:
            self.refused.add((name, status))


_world = None


def world():
    """The one world, made at first use: tests of this directory alone need no server."""
    global _world
    if _world is None:
        _world = World()
    return _world
