"""How each command is called: what must exist before, and with which fields.

A scenario is made anew for every test, so tests do not depend on each other. A command that is
served and has no scenario here fails the suite.
"""

import base64
import functools
import json
import os
import time

import identities
import raw
import sdk
from world import world

# A command that cannot succeed on this server, and why.
NEVER_SUCCEEDS = {"static-creds-auth": "no service credential is ever issued"}

SCENARIOS = {}


class Scenario:
    """One way to call a command.

    `fields` is what a good call sends; `absent` what is different when the object does not exist;
    `token` is who may do it.
    """

    def __init__(self, fields, absent=None, token=None):
        self.fields = fields
        self.absent = absent
        self.token = token or identities.admin()

    def absent_fields(self):
        """The fields of a call about an object that does not exist."""
        if isinstance(self.fields, list):
            return [{**row, **self.absent} for row in self.fields]
        return {**self.fields, **self.absent}


class Entry:
    """A scenario before it is made: how, and which refusals it is good for."""

    def __init__(self, make, with_absent, twice):
        self.make = make
        self.with_absent = with_absent
        self.twice = twice


def scenario(*names, with_absent=False, twice=False):
    """Registers a scenario for the commands called so.

    `with_absent`: there is an object that may not exist (404). `twice`: the same call again is a
    conflict (409).
    """
    def register(function):
        for name in names:
            SCENARIOS[name] = Entry(function, with_absent, twice)
        return function
    return register


def do(command, /, **fields):
    """Does something as the administrator."""
    return sdk.call(command, fields, identities.admin())


def secret(value="value"):
    name = world().name("secret")
    do("create-secret", name=name, value=value)
    return name


def key(algorithm="AES256GCM"):
    name = world().name("key")
    do("create-dfc-key", name=name, alg=algorithm)
    return name


@functools.cache
def shared_key():
    """A key that no test changes: making one takes a while."""
    return key()


def role():
    name = world().name("role")
    do("create-role", name=name)
    return name


def method():
    return identities.new_identity("method")[0]


def association():
    return do("assoc-role-am", role_name=role(), am_name=method()).assoc_id


def k8s_method():
    name = world().name("method")
    return name, do("auth-method-create-k8s", name=name)


def cluster():
    """The fields of a gateway's configuration of a cluster."""
    made = k8s_method()[1]
    return {"name": world().name("cluster"), "access-id": made.access_id,
            "signing-key": made.prv_key, "k8s-host": "https://127.0.0.1:6443"}


def configured_cluster():
    fields = cluster()
    sdk.call("gateway-create-k8s-auth-config", fields, identities.admin())
    return fields


def folder():
    name = world().name("folder")
    do("folder-create", name=name)
    return name


def absent(noun):
    return world().name(f"absent-{noun}")


ABSENT_ASSOCIATION = "ass-" + "0" * 20


# Session.

@scenario("auth", "configure")
def sign_in():
    bootstrap = world().bootstrap
    return Scenario({"access-id": bootstrap["access_id"], "access-key": bootstrap["access_key"]})


@scenario("validate-token", "describe-sub-claims", "revoke-creds")
def token_only():
    return Scenario({}, token=identities.throw_away())


@scenario("static-creds-auth")
def static_credential():
    return Scenario({"access-id": world().bootstrap["access_id"], "creds": "none"})


@scenario("change-admin-account-password")
def change_password():
    # The same password again, so that the next test can sign in.
    password = world().owner_password()
    token = sdk.call("auth", identities.owner_credential()).token
    return Scenario({"current-password": password, "new-password": password}, token=token)


# Auth methods.

@scenario("auth-method-create-api-key", twice=True)
def create_method():
    return Scenario({"name": world().name("method")})


@scenario("auth-method-create-email", "create-auth-method-email", twice=True)
def create_person():
    name = world().name("person")
    return Scenario({"name": name, "email": f"{name.strip('/').replace('/', '.')}@example.com"})


@scenario("auth-method-update-email", with_absent=True)
def update_person():
    name = world().name("person")
    email = f"{name.strip('/').replace('/', '.')}@example.com"
    do("auth-method-create-email", name=name, email=email)
    return Scenario({"name": name, "enable-mfa": "true", "mfa-type": "auth-app"},
                    {"name": absent("method")})


@scenario("auth-method-update-api-key", with_absent=True)
def update_method():
    return Scenario({"name": method(), "description": "new", "jwt-ttl": 30},
                    {"name": absent("method")})


# The family: what each kind needs is written once for all suites.

with open(os.path.join(os.path.dirname(__file__), "..", "members.json"), encoding="utf-8") as file:
    MEMBERS = json.load(file)


def certificate():
    with open(world().bootstrap["ca_file"], "rb") as file:
        return base64.b64encode(file.read()).decode()


def member(kind, name):
    own = {field: certificate() if value == "@authority" else value
           for field, value in MEMBERS[kind].items()}
    return {"name": name, **own}


def update_member(kind):
    fields = member(kind, world().name("method"))
    do(f"auth-method-create-{kind}", **fields)
    return Scenario(fields, {"name": absent("method")})


for _kind in MEMBERS:
    scenario(f"auth-method-create-{_kind}", f"create-auth-method-{_kind}", twice=True)(
        lambda kind=_kind: Scenario(member(kind, world().name("method"))))
    scenario(f"auth-method-update-{_kind}", f"update-auth-method-{_kind}", with_absent=True)(
        functools.partial(update_member, _kind))


@scenario("get-cert-challenge")
def cert_challenge():
    return Scenario({"access-id": world().bootstrap["access_id"], "cert-data": certificate()})


@scenario("auth-method-get", "auth-method-delete", "reset-access-key", with_absent=True)
def one_method():
    return Scenario({"name": method()}, {"name": absent("method")})


@scenario("auth-method-list", "list-roles", "list-items")
def all_of_a_kind():
    return Scenario({"filter": "/conformance/"})


# Universal identity.

@scenario("auth-method-create-universal-identity", "create-auth-method-universal-identity",
          twice=True)
def create_universal_identity():
    return Scenario({"name": world().name("uid"), "ttl": 30, "deny-rotate": False})


@scenario("auth-method-update-universal-identity", "update-auth-method-universal-identity",
          with_absent=True)
def update_universal_identity():
    return Scenario({"name": identities.universal()[0], "ttl": 30},
                    {"name": absent("method")})


@scenario("uid-generate-token", "uid-list-children", with_absent=True)
def one_tree():
    return Scenario({"auth-method-name": identities.universal()[0]},
                    {"auth-method-name": absent("method")})


@scenario("uid-create-child-token", with_absent=True)
def create_child():
    name, _ = identities.universal()
    tree = do("uid-list-children", auth_method_name=name)
    return Scenario({"auth-method-name": name, "uid-token-id": tree.root.id, "child-ttl": 5},
                    {"auth-method-name": absent("method")})


@scenario("uid-revoke-token", with_absent=True)
def revoke_uid_token():
    name, token = identities.universal()
    return Scenario({"auth-method-name": name, "revoke-token": token,
                     "revoke-type": "revokeSelf"},
                    {"auth-method-name": absent("method")})


@scenario("uid-rotate-token")
def rotate_uid_token():
    return Scenario({"uid-token": identities.universal()[1]})


@scenario("delete-auth-methods", with_absent=True)
def methods_below():
    folder_name = world().name("methods")
    do("auth-method-create-api-key", name=folder_name + "/one")
    return Scenario({"path": folder_name}, {"path": absent("methods")})


# Roles.

@scenario("create-role", twice=True)
def create_role():
    return Scenario({"name": world().name("role"), "audit-access": "own"})


@scenario("update-role", with_absent=True)
def update_role():
    return Scenario({"name": role(), "description": "new"}, {"name": absent("role")})


@scenario("get-role", "delete-role", with_absent=True)
def one_role():
    return Scenario({"name": role()}, {"name": absent("role")})


@scenario("delete-roles", with_absent=True)
def roles_below():
    folder_name = world().name("roles")
    do("create-role", name=folder_name + "/one")
    return Scenario({"path": folder_name}, {"path": absent("roles")})


# Groups.

def alias():
    return world().name("group").replace("/", "-").strip("-")


def group():
    name = world().name("group")
    do("create-group", name=name, group_alias=alias())
    return name


@scenario("create-group", twice=True)
def create_group():
    member = {"access_id": identities.new_identity("method")[1], "sub_claims": {"team": ["a"]}}
    return Scenario({"name": world().name("group"), "group-alias": alias(),
                     "user-assignment": json.dumps([member])})


@scenario("update-group", with_absent=True)
def update_group():
    return Scenario({"name": group(), "group-alias": alias(), "description": "new"},
                    {"name": absent("group")})


@scenario("get-group", "delete-group", with_absent=True)
def one_group():
    return Scenario({"name": group()}, {"name": absent("group")})


@scenario("list-group")
def all_groups():
    group()
    return Scenario({"filter": "/conformance/"})


@scenario("set-role-rule", with_absent=True)
def set_rule():
    fields = {"role-name": role(), "path": "/conformance/*", "capability": ["read", "list"]}
    return Scenario(fields, {"role-name": absent("role")})


@scenario("delete-role-rule", with_absent=True)
def delete_rule():
    name = role()
    do("set-role-rule", role_name=name, path="/conformance/*", capability=["read"])
    return Scenario({"role-name": name, "path": "/conformance/*"},
                    {"path": "/conformance/no-such-rule"})


@scenario("assoc-role-am", with_absent=True, twice=True)
def associate():
    return Scenario({"role-name": role(), "am-name": method()}, {"role-name": absent("role")})


@scenario("update-assoc", with_absent=True)
def update_association():
    return Scenario({"assoc-id": association(), "sub-claims": {"group": "a,b"}},
                    {"assoc-id": ABSENT_ASSOCIATION})


@scenario("delete-assoc", "describe-role-am-assoc", with_absent=True)
def one_association():
    return Scenario({"assoc-id": association()}, {"assoc-id": ABSENT_ASSOCIATION})


@scenario("describe-permissions", "reverse-rbac")
def permissions():
    return Scenario({"path": secret(), "type": "item"})


# Items.

@scenario("create-secret", twice=True)
def create_secret():
    return Scenario({"name": world().name("secret"), "value": "value"})


@scenario("get-secret-value", with_absent=True)
def get_secret_value():
    return Scenario({"names": [secret(), secret()]}, {"names": [absent("secret")]})


@scenario("update-secret-val", with_absent=True)
def update_secret_val():
    return Scenario({"name": secret(), "value": "new"}, {"name": absent("secret")})


@scenario("update-item", with_absent=True)
def update_item():
    return Scenario({"name": secret(), "description": "new", "add-tag": ["a"]},
                    {"name": absent("secret")})


@scenario("describe-item", "get-tags", "delete-item", "unlock-item", with_absent=True)
def one_item():
    return Scenario({"name": secret()}, {"name": absent("secret")})


@scenario("lock-item", with_absent=True)
def lock_item():
    return Scenario({"name": secret(), "actions": "read,update", "lock-ttl": 1},
                    {"name": absent("secret")})


@scenario("delete-items")
def delete_items():
    top = world().name("folder")
    do("create-secret", name=f"{top}/a", value="value")
    return Scenario({"path": top})


@scenario("move-objects", with_absent=True)
def move_objects():
    source, target = world().name("source"), world().name("target")
    do("create-secret", name=f"{source}/a", value="value")
    return Scenario({"source": source, "target": target}, {"source": absent("folder")})


@scenario("rollback-secret", with_absent=True)
def rollback():
    name = secret("old")
    do("update-secret-val", name=name, value="new", keep_prev_version="true")
    return Scenario({"name": name, "old-version": 1}, {"name": absent("secret")})


@scenario("set-item-state", with_absent=True)
def set_item_state():
    return Scenario({"name": secret(), "desired-state": "Disabled"}, {"name": absent("secret")})


# Folders.

@scenario("folder-create", twice=True)
def create_folder():
    return Scenario({"name": world().name("folder"), "description": "new"})


@scenario("folder-update", with_absent=True)
def update_folder():
    return Scenario({"name": folder(), "description": "newer"}, {"name": absent("folder")})


@scenario("folder-get", "folder-delete", with_absent=True)
def one_folder():
    return Scenario({"name": folder()}, {"name": absent("folder")})


# Keys.

@scenario("create-dfc-key", twice=True)
def create_key():
    return Scenario({"name": world().name("key"), "alg": "AES256GCM"})


@scenario("rotate-key", "refresh-key", with_absent=True)
def change_key():
    return Scenario({"name": key()}, {"name": absent("key")})


@scenario("encrypt", with_absent=True)
def encrypt():
    fields = {"key-name": shared_key(), "plaintext": "message"}
    return Scenario(fields, {"key-name": absent("key")})


@scenario("decrypt", with_absent=True)
def decrypt():
    name = shared_key()
    sealed = do("encrypt", key_name=name, plaintext="message").result
    return Scenario({"key-name": name, "ciphertext": sealed}, {"key-name": absent("key")})


def _key_id():
    return do("describe-item", name=shared_key()).item_id


@scenario("encrypt-batch", with_absent=True)
def encrypt_batch():
    rows = [{"item_id": _key_id(), "data": text} for text in ("one", "two")]
    return Scenario(rows, {"item_id": 2**53 - 1})


@scenario("decrypt-batch", with_absent=True)
def decrypt_batch():
    sealed = [do("encrypt", key_name=shared_key(), plaintext=text).result
              for text in ("one", "two")]
    rows = [{"item_id": _key_id(), "data": text} for text in sealed]
    return Scenario(rows, {"item_id": 2**53 - 1})


# Account.

@scenario("get-account-settings", "get-analytics-data", "gateway-list-customer-fragments",
          "gateway-download-customer-fragments")
def get_settings():
    return Scenario({})


@scenario("update-account-settings")
def update_settings():
    return Scenario({"company-name": "Conformance", "city": "Sherd"})


def of(name):
    """A new scenario for the command, by any of its names."""
    return SCENARIOS[world().commands[name].current].make()


def bad_values(field):
    """Values that do not fit the field, as JSON."""
    wrong = {
        "text": [{"a": 1}, ["a"]],
        "flag": ["perhaps", {"a": 1}],
        "int": ["many", {"a": 1}],
        "list": [{"a": 1}],
        "map": ["text", [1]],
    }
    return [json.loads(json.dumps(value)) for value in wrong[field["shape"]]]


# The cluster of this gateway. It registers again by itself when it was deleted.

def own_cluster():
    for _ in range(600):
        clusters = do("list-gateways").clusters
        if clusters:
            return clusters[0].cluster_name
        time.sleep(0.05)
    raise AssertionError("the gateway of this server is in no cluster")


@scenario("list-gateways")
def list_clusters():
    own_cluster()
    return Scenario({})


@scenario("delete-gateway-cluster", with_absent=True)
def delete_cluster():
    return Scenario({"cluster-name": own_cluster(), "force-deletion": True},
                    {"cluster-name": "absent"})


def allowed():
    own_cluster()
    return {"name": world().name("allowed").strip("/"), "permissions": "k8s_auth,ldap_auth",
            "access-id": world().bootstrap["access_id"], "sub-claims": {"team": "ops"}}


def existing_access():
    fields = allowed()
    sdk.call("gateway-create-allowed-access", fields, identities.admin())
    return fields


@scenario("gateway-create-allowed-access", twice=True)
def create_access():
    return Scenario(allowed())


@scenario("gateway-update-allowed-access", with_absent=True)
def update_access():
    return Scenario({**existing_access(), "permissions": "admin"}, {"name": "absent"})


@scenario("gateway-get-allowed-access", "gateway-delete-allowed-access", with_absent=True)
def read_access():
    return Scenario({"name": existing_access()["name"]}, {"name": "absent"})


# This gateway's own configuration.

@scenario("gateway-create-k8s-auth-config", twice=True)
def create_cluster():
    return Scenario(cluster())


@scenario("gateway-update-k8s-auth-config", with_absent=True)
def update_cluster():
    fields = configured_cluster()
    return Scenario({**fields, "new-name": fields["name"], "k8s-host": "https://127.0.0.1:6444"},
                    {"name": absent("cluster")})


@scenario("gateway-get-k8s-auth-config", "gateway-delete-k8s-auth-config", with_absent=True)
def read_cluster():
    return Scenario({"name": configured_cluster()["name"]}, {"name": absent("cluster")})


@scenario("gateway-update-ldap-auth-config")
def update_directory():
    made = do("auth-method-create-ldap", name=world().name("method"))
    return Scenario({"access-id": made.access_id, "signing-key-data": made.prv_key,
                     "ldap-url": "ldaps://127.0.0.1:6360", "user-dn": "ou=people"})


@scenario("gateway-get-ldap-auth-config")
def read_directory():
    return Scenario({})


@scenario("gateway-update-cache")
def keep_reads():
    return Scenario({"enable-cache": "false", "stale-timeout": "30"})


@scenario("gateway-get-cache")
def how_reads_are_kept():
    return Scenario({})


@scenario("gateway-update-tls-cert")
def own_certificate():
    own_cluster()
    return Scenario({"expiration-event-in": ["30", "7"]})


@scenario("gateway-get-config", "gateway-get-defaults")
def own_configuration():
    own_cluster()
    return Scenario({})


@scenario("gateway-update-defaults")
def own_defaults():
    own_cluster()
    return Scenario({"key": "Default", "hvp-route-version": 2, "event-on-status-change": "true"})


# Targets, and the dynamic secrets that make credentials on them. One database is really there.

def _table(name):
    with open(os.path.join(os.path.dirname(__file__), "..", name), encoding="utf-8") as file:
        return json.load(file)


TARGETS = _table("targets.json")
ENGINES = _table("engines.json")


def target_fields(kind, **more):
    own = {field: os.environ["KEYSHERD_POSTGRES_PORT"] if value == "@port" else value
           for field, value in TARGETS[kind].items()}
    return {"name": world().name("target"), **own, **more}


def target(kind="db", **more):
    fields = target_fields(kind, **more)
    do(f"target-create-{kind}", **fields)
    return fields


def update_target(kind):
    return Scenario({**target(kind), "description": "new"}, {"name": absent("target")})


def update_target_details(kind, fields):
    return Scenario({"name": target(kind)["name"], **fields}, {"name": absent("target")})


DETAILS = {
    "aws": {"session-token": "another"},
    "db": {"pwd": "another"},
    "ldap": {"bind-dn": "cn=another,dc=example"},
    "ssh": {"ssh-password": "another"},
    "web": {"url": "https://example.org"},
}


for _kind in TARGETS:
    scenario(f"target-create-{_kind}", f"create-{_kind}-target", twice=True)(
        lambda kind=_kind: Scenario(target_fields(kind)))
    scenario(f"target-update-{_kind}", f"update-{_kind}-target", with_absent=True)(
        functools.partial(update_target, _kind))
for _kind, _fields in DETAILS.items():
    scenario(f"update-{_kind}-target-details", with_absent=True)(
        functools.partial(update_target_details, _kind, _fields))


@scenario("target-get", "get-target", "target-get-details", "get-target-details",
          "target-delete", "delete-target", "lock-target", "unlock-target", with_absent=True)
def names_target():
    return Scenario({"name": target()["name"]}, {"name": absent("target")})


def host_of_item():
    return {"name": secret(), "target-name": target("web")["name"]}


@scenario("assoc-target-item", with_absent=True, twice=True)
def associate_target():
    return Scenario({**host_of_item(), "sra-association": True}, {"name": absent("secret")})


@scenario("delete-assoc-target-item", with_absent=True)
def dissociate_target():
    fields = host_of_item()
    do("assoc-target-item", **fields, **{"sra-association": True})
    return Scenario(fields, {"name": absent("secret")})


@scenario("delete-targets")
def delete_targets():
    top = world().name("folder")
    do("target-create-web", name=f"{top}/a", url="https://example.org")
    return Scenario({"path": top})


@scenario("target-list", "list-targets")
def list_targets():
    return Scenario({})


def engine_fields(kind):
    engine = ENGINES[kind]
    where = {"target-name": target(**engine["target"])["name"]} if "target" in engine else {}
    return {"name": world().name("dynamic"), "skip-dry-run": True, **where, **engine["fields"]}


def dynamic_secret(kind="postgresql"):
    fields = engine_fields(kind)
    do(ENGINES[kind].get("create", f"dynamic-secret-create-{kind}"), **fields)
    return fields


def update_dynamic_secret(kind):
    return Scenario({**dynamic_secret(kind), "tags": ["new"]}, {"name": absent("dynamic")})


# What older commands call them, where that is something else: when made, and when changed.
OLDER = {"hanadb": ("hanadb", "hana"), "mongodb": ("mongo", "mongo"),
         "redis": ("Redis", "redis"),
         "venafi": ("certificate-automation", "certificate-automation")}


for _kind in ENGINES:
    _made, _changed = OLDER.get(_kind, (_kind, _kind))
    scenario(f"dynamic-secret-create-{_kind}", f"gateway-create-producer-{_made}", twice=True)(
        lambda kind=_kind: Scenario(engine_fields(kind)))
    scenario(f"dynamic-secret-update-{_kind}", f"gateway-update-producer-{_changed}",
             with_absent=True)(functools.partial(update_dynamic_secret, _kind))


@scenario("dynamic-secret-get", "gateway-get-producer", "dynamic-secret-delete",
          "gateway-delete-producer", "gateway-start-producer", "gateway-stop-producer",
          "dynamic-secret-get-value", "get-dynamic-secret-value",
          "dynamic-secret-tmp-creds-get", "gateway-get-producer-tmp-creds", with_absent=True)
def names_dynamic_secret():
    return Scenario({"name": dynamic_secret()["name"]}, {"name": absent("dynamic")})


@scenario("dynamic-secret-list", "gateway-list-producers", "kubeconfig-generate")
def list_dynamic_secrets():
    return Scenario({})


def credentials():
    name = dynamic_secret()["name"]
    return name, do("get-dynamic-secret-value", name=name)["id"]


@scenario("dynamic-secret-tmp-creds-update", "gateway-update-producer-tmp-creds",
          with_absent=True)
def extend_credentials():
    name, lease = credentials()
    return Scenario({"name": name, "tmp-creds-id": lease, "host": "127.0.0.1", "new-ttl-min": 10},
                    {"name": absent("dynamic")})


@scenario("dynamic-secret-tmp-creds-delete", "gateway-revoke-producer-tmp-creds",
          with_absent=True)
def revoke_credentials():
    name, lease = credentials()
    return Scenario({"name": name, "tmp-creds-id": lease, "host": "127.0.0.1"},
                    {"name": absent("dynamic")})


# Somebody whose password rotates; who is really there is one that a dynamic secret has made.

ROTATORS = _table("rotators.json")


def rotated_fields(kind, **more):
    rotator = ROTATORS[kind]
    where = target(**rotator["target"])["name"]
    return {"name": world().name("rotated"), "target-name": where, "skip-dry-run": True,
            **rotator["fields"], **more}


def rotated_secret(kind="postgresql", **more):
    fields = rotated_fields(kind, **more)
    do(f"rotated-secret-create-{kind}", **fields)
    return fields


def update_rotated_secret(kind):
    # The SDK demands the type again for these.
    again = kind in ("gcp", "ssh", "windows")
    more = {"rotator-type": ROTATORS[kind]["fields"]["rotator-type"]} if again else {}
    return Scenario({"name": rotated_secret(kind)["name"], "rotation-interval": "30", **more},
                    {"name": absent("rotated")})


for _kind in ROTATORS:
    scenario(f"rotated-secret-create-{_kind}", twice=True)(
        lambda kind=_kind: Scenario(rotated_fields(kind)))
    scenario(f"rotated-secret-update-{_kind}", with_absent=True)(
        functools.partial(update_rotated_secret, _kind))


def of_any_kind():
    """As the older spelling has it, which always tries the password out."""
    made = do("get-dynamic-secret-value", name=dynamic_secret()["name"])
    user = {"rotated-username": made["user"], "rotated-password": made["password"]}
    fields = rotated_fields("postgresql", **user)
    del fields["skip-dry-run"]
    return fields


@scenario("create-rotated-secret", twice=True)
def create_any_rotated_secret():
    return Scenario(of_any_kind())


@scenario("update-rotated-secret", with_absent=True)
def update_any_rotated_secret():
    return update_rotated_secret("postgresql")


@scenario("gateway-update-item", with_absent=True)
def update_item_on_gateway():
    found = update_rotated_secret("postgresql")
    return Scenario({**found.fields, "type": "rotated-secret"}, {"name": absent("rotated")})


@scenario("rotated-secret-get-value", "rotated-secret-delete", with_absent=True)
def names_rotated_secret():
    return Scenario({"name": rotated_secret()["name"]}, {"name": absent("rotated")})


@scenario("get-rotated-secret-value", with_absent=True)
def read_rotated_secret():
    return Scenario({"names": rotated_secret()["name"]}, {"names": absent("rotated")})


@scenario("gateway-rotate-secret", with_absent=True)
def rotate_secret():
    made = do("get-dynamic-secret-value", name=dynamic_secret()["name"])
    user = {"rotated-username": made["user"], "rotated-password": made["password"]}
    return Scenario({"name": rotated_secret(**user)["name"]}, {"name": absent("rotated")})


@scenario("rotated-secret-list", "gateway-list-rotated-secrets")
def list_rotated_secrets():
    return Scenario({})


# Where it sends the audit log; switched off, as nobody is there to take it.

with open(os.path.join(os.path.dirname(__file__), "..", "log-targets.json"),
          encoding="utf-8") as file:
    LOG_TARGETS = json.load(file)


def log_reader():
    """Names somebody to read the log as, with a command that no official SDK knows.

    Each time anew: when the cluster was deleted in between, its reader went with it.
    """
    own_cluster()
    method, access_id, access_key = identities.new_identity("log-reader")
    name = world().name("log-readers")
    do("create-role", name=name, audit_access="all")
    do("assoc-role-am", role_name=name, am_name=method)
    body = {"reader-access-id": access_id, "reader-access-key": access_key,
            "token": identities.admin()}
    reply = raw.request("POST", "/gateway-update-log-reader", json.dumps(body).encode(),
                        {"Content-Type": "application/json"})
    assert reply.status == 200, reply.body


def service_account():
    """A key file as Google makes them, in base64."""
    made = do("auth-method-create-ldap", name=world().name("method"))
    key = {"client_email": "logs@project.example",
           "private_key": base64.b64decode(made.prv_key).decode()}
    return base64.b64encode(json.dumps(key).encode()).decode()


def log_target(kind):
    def made():
        log_reader()
        own = {field: service_account() if value == "@service-account" else value
               for field, value in LOG_TARGETS[kind].items()}
        return Scenario({**own, "enable": "false", "output-format": "json", "pull-interval": "30"})
    return made


for _kind in LOG_TARGETS:
    if f"gateway-update-log-forwarding-{_kind}" in world().commands:
        scenario(f"gateway-update-log-forwarding-{_kind}")(log_target(_kind))


@scenario("gateway-get-log-forwarding")
def read_log_target():
    log_target("splunk")()
    return Scenario({})
