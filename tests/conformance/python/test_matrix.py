"""Every served command, by every name: once on its good path, and once on each refusal.

The tests are made from the list of commands that the server describes, so a new command is in the
matrix at once, and fails until it has a scenario.
"""

import unittest

import identities
import raw
import scenarios
import sdk
from world import world


# Fields that the edge or nobody reads.
UNREAD = ("token", "uid-token", "json")
# Commands that answer for each item what became of it; see test_items.
REPORT_PER_ITEM = ("delete-items",)


class GoodPath(unittest.TestCase):
    """The official SDK calls it and understands the answer."""


class NoToken(unittest.TestCase):
    """401 without a token and with one that was never issued."""


class ForeignRight(unittest.TestCase):
    """401 for somebody without any role, whatever exists; 404 when it is named by an id only."""


class SeenNotPermitted(unittest.TestCase):
    """401 for somebody who sees the object and may do nothing with it."""


class Absent(unittest.TestCase):
    """404 for an object that does not exist."""


class Duplicate(unittest.TestCase):
    """409 the second time."""


class BadInput(unittest.TestCase):
    """400 for a missing or mistyped field, named in the text."""


def good_path(name):
    def test(self):
        found = scenarios.of(name)
        if name in scenarios.NEVER_SUCCEEDS:
            self.assertEqual(sdk.refusal(name, found.fields)[0], 401)
            return
        token = found.token if _takes_token(name) else None
        sdk.call(name, found.fields, token)
    return test


def _takes_token(name):
    fields = world().commands[name].fields
    return any(field["name"] == "token" for field in fields)


def no_token(name):
    def test(self):
        found = scenarios.of(name)
        for token in (None, "t-" + "0" * 32, "t-" + "00" * 4096, "u-0"):
            reply = raw.command(name, found.fields, token)
            expected = (401,) if token is None or len(token) < 1000 else (400, 401)
            self.assertIn(reply.status, expected, f"token {str(token)[:12]}: {reply.body}")
        self.assertEqual(sdk.refusal(name, found.fields)[0], 401)
    return test


def wrong_credential(name):
    def test(self):
        fields = scenarios.of(name).fields
        for change in ({"access-key": "A" * 43 + "="}, {"access-id": "p-000000000000"},
                       {"access-key": "no key at all"}, {"access-type": "saml"}):
            status, text = sdk.refusal(name, {**fields, **change})
            self.assertEqual(status, 401, f"{change}: {text}")
    return test


def foreign_right(name):
    def test(self):
        found = scenarios.of(name)
        status, text = sdk.refusal(name, found.fields, identities.stranger())
        by_id = isinstance(found.fields, list)
        self.assertEqual(status, 404 if by_id else 401, text)
        if found.absent:
            unseen = sdk.refusal(name, found.absent_fields(), identities.stranger())
            self.assertEqual(unseen[0], status, "an absent object must look like a foreign one")
    return test


def seen_not_permitted(name):
    def test(self):
        found = scenarios.of(name)
        status, text = sdk.refusal(name, found.fields, identities.viewer())
        self.assertEqual(status, 401, text)
    return test


def absent(name):
    def test(self):
        found = scenarios.of(name)
        status, text = sdk.refusal(name, found.absent_fields(), found.token)
        self.assertEqual(status, 404, text)
        self.assertIn("NotFound", text)
    return test


def duplicate(name):
    def test(self):
        found = scenarios.of(name)
        sdk.call(name, found.fields, found.token)
        status, text = sdk.refusal(name, found.fields, found.token)
        self.assertEqual(status, 409, text)
        self.assertIn("Status 409 Conflict, Error: AlreadyExists", text)
    return test


def missing_field(name, field):
    def test(self):
        found = scenarios.of(name)
        row = _first(found.fields)
        for change in (None, ""):
            if change == "" and field["shape"] != "text":
                continue
            fields = {key: value for key, value in row.items() if not _same(key, field)}
            if change is not None:
                fields[field["documented"]] = change
            reply = raw.command(name, _shaped(found.fields, fields), found.token)
            if change == "":  # Some texts may be empty.
                self.assertIn(reply.status, (world().commands[name].success, 400), reply.body)
                continue
            self.assertEqual(reply.status, 400, reply.body)
            self.assertIn(field["documented"], reply.error)
    return test


def mistyped_field(name, field):
    def test(self):
        found = scenarios.of(name)
        row = _first(found.fields)
        for value in scenarios.bad_values(field):
            fields = {key: old for key, old in row.items() if not _same(key, field)}
            fields[field["documented"]] = value
            reply = raw.command(name, _shaped(found.fields, fields), found.token)
            self.assertEqual(reply.status, 400, f"{value!r}: {reply.body}")
            self.assertIn(field["documented"], reply.error)
    return test


def _first(fields):
    return fields[0] if isinstance(fields, list) else fields


def _shaped(like, fields):
    return [fields] if isinstance(like, list) else fields


def _same(key, field):
    return key.replace("_", "-") == field["name"]


def _add(case, name, function):
    setattr(case, f"test_{name.replace('-', '_').lower()}", function)


def _has_scenario(name):
    return world().commands[name].current in scenarios.SCENARIOS


def _no_scenario(name):
    def test(self):
        self.fail(f"{name} has no scenario in scenarios.py")
    return test


def make_tests():
    """Adds the tests of every served command."""
    for name, served in world().commands.items():
        if not _has_scenario(name):
            _add(GoodPath, name, _no_scenario(name))
            continue
        _add(GoodPath, name, good_path(name))
        if served.needs_token:
            _add(NoToken, name, no_token(name))
        if served.needs_right:
            _add(ForeignRight, name, foreign_right(name))
            if served.capability != "list" and served.current not in REPORT_PER_ITEM:
                _add(SeenNotPermitted, name, seen_not_permitted(name))
        if served.current in ("auth", "configure"):
            _add(NoToken, name, wrong_credential(name))
        for field in served.required:
            _add(BadInput, f"{name}_without_{field['name']}", missing_field(name, field))
        for field in served.fields:
            if field["name"] not in UNREAD and not field["inert"]:
                _add(BadInput, f"{name}_with_mistyped_{field['name']}",
                     mistyped_field(name, field))
        entry = scenarios.SCENARIOS[served.current]
        if entry.with_absent:
            _add(Absent, name, absent(name))
        if entry.twice:
            _add(Duplicate, name, duplicate(name))
