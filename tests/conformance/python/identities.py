"""Who calls: the administrator, the owner, and others with few rights or none."""

import functools

import sdk
from world import world


def login(access_id, access_key):
    """A token for an access key."""
    fields = {"access-id": access_id, "access-key": access_key}
    return sdk.call("auth", fields).token


def owner_credential():
    """How the owner of the account signs in."""
    return {
        "access-type": "password",
        "admin-email": world().bootstrap["owner_email"],
        "admin-password": world().owner_password(),
    }


@functools.cache
def admin():
    """The token of the first administrator."""
    return login(world().bootstrap["access_id"], world().bootstrap["access_key"])


def new_identity(noun):
    """A new auth method: its name, access id and access key."""
    name = world().name(noun)
    made = sdk.call("auth-method-create-api-key", {"name": name}, admin())
    return name, made.access_id, made.access_key


@functools.cache
def stranger():
    """The token of somebody without any role."""
    _, access_id, access_key = new_identity("stranger")
    return login(access_id, access_key)


@functools.cache
def viewer():
    """The token of somebody who may list everything and do nothing else."""
    method, access_id, access_key = new_identity("viewer")
    role = world().name("viewers")
    sdk.call("create-role", {"name": role}, admin())
    for kind in ("item-rule", "target-rule", "role-rule", "auth-method-rule"):
        rule = {"role-name": role, "path": "/*", "capability": ["list"], "rule-type": kind}
        sdk.call("set-role-rule", rule, admin())
    sdk.call("assoc-role-am", {"role-name": role, "am-name": method}, admin())
    return login(access_id, access_key)


def throw_away():
    """A token that may be spoiled."""
    return login(world().bootstrap["access_id"], world().bootstrap["access_key"])


def universal():
    """A new universal identity: its name, and its root token."""
    name = world().name("uid")
    sdk.call("auth-method-create-universal-identity", {"name": name}, admin())
    return name, sdk.call("uid-generate-token", {"auth-method-name": name}, admin()).token
