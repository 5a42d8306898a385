"""Roles, rules and associations, as Terraform reads them back."""

import unittest

import identities
import scenarios
import sdk
from scenarios import do, role, secret
from world import world


class Roles(unittest.TestCase):
    """What is set is what is read."""

    def test_administrative_fields_read_back_as_rules(self):
        name = world().name("role")
        do("create-role", name=name, audit_access="all", analytics_access="own",
           gw_analytics_access="none")
        rules = {rule.type: rule.path for rule in do("get-role", name=name).rules.path_rules}
        self.assertEqual(rules.get("search-rule"), "/*")
        self.assertEqual(rules.get("reports-rule"), "/self")
        self.assertNotIn("gw-reports-rule", rules)

    def test_rules_have_what_clients_read_blindly(self):
        name = role()
        do("set-role-rule", role_name=name, path="team/*", capability=["read", "list"])
        rule, = do("get-role", name=name).rules.path_rules
        self.assertEqual((rule.path, rule.type), ("/team/*", "item-rule"))
        self.assertEqual(sorted(rule.capabilities), ["list", "read"])
        do("set-role-rule", role_name=name, path="/team/*", capability=["deny"])
        rule, = do("get-role", name=name).rules.path_rules
        self.assertEqual(rule.capabilities, ["deny"])
        do("delete-role-rule", role_name=name, path="/team/*")
        self.assertFalse(do("get-role", name=name).rules.path_rules)

    def test_associations_have_what_clients_read_blindly(self):
        name = role()
        method, _, _ = identities.new_identity("member")
        made = do("assoc-role-am", role_name=name, am_name=method, sub_claims={"group": "a,b"},
                  case_sensitive="false")
        assoc, = do("get-role", name=name).role_auth_methods_assoc
        self.assertEqual(assoc.assoc_id, made.assoc_id)
        self.assertEqual(assoc.auth_method_name, method.lstrip("/"))
        self.assertTrue(assoc.auth_method_access_id.startswith("p-"))
        self.assertIs(assoc.sub_claims_case_sensitive, False)
        self.assertEqual(assoc.auth_method_sub_claims, {"group": ["a", "b"]})
        do("update-assoc", assoc_id=made.assoc_id, sub_claims={"group": "c"},
           case_sensitive="true")
        details = do("describe-role-am-assoc", assoc_id=made.assoc_id)
        self.assertEqual(details.auth_method_sub_claims, {"group": ["c"]})
        do("delete-assoc", assoc_id=made.assoc_id)
        self.assertFalse(do("get-role", name=name).role_auth_methods_assoc)

    def test_a_rule_lets_in_and_a_deny_keeps_out(self):
        top = world().name("team")
        for name in ("a", "secret/b"):
            do("create-secret", name=f"{top}/{name}", value=name)
        name = role()
        method, access_id, access_key = identities.new_identity("member")
        do("set-role-rule", role_name=name, path=f"{top}/*", capability=["read"])
        do("set-role-rule", role_name=name, path=f"{top}/secret/*", capability=["deny"])
        do("assoc-role-am", role_name=name, am_name=method)
        token = identities.login(access_id, access_key)
        read = sdk.call("get-secret-value", {"names": [f"{top}/a"]}, token)
        self.assertEqual(read, {f"{top}/a": "a"})
        denied = {"names": [f"{top}/secret/b"]}
        self.assertEqual(sdk.refusal("get-secret-value", denied, token)[0], 401)
        allowed = sdk.call("describe-permissions", {"path": f"{top}/a", "type": "item"}, token)
        self.assertIn("read", allowed.client_permissions)
        clients = do("reverse-rbac", path=f"{top}/a", type="item").clients
        self.assertIn(method.lstrip("/"), [c.auth_method_name for c in clients.values()])

    def test_a_role_is_found_with_and_without_its_slash(self):
        name = role()
        for written in (name, name.lstrip("/")):
            self.assertEqual(do("get-role", name=written).role_name, name.lstrip("/"))

    def test_a_renamed_role_keeps_its_rules(self):
        name, new = role(), world().name("renamed")
        do("set-role-rule", role_name=name, path="/x/*", capability=["read"])
        do("update-role", name=name, new_name=new, description="default_comment")
        self.assertEqual(len(do("get-role", name=new).rules.path_rules), 1)
        taken = {"name": new, "new-name": role()}
        self.assertEqual(sdk.refusal("update-role", taken, identities.admin())[0], 409)


class AuthMethods(unittest.TestCase):
    """What is set is what is read."""

    def test_a_method_reads_back(self):
        name = world().name("method")
        made = do("auth-method-create-api-key", name=name, description="d", jwt_ttl=30,
                  bound_ips=["10.0.0.0/8", "127.0.0.0/8"], access_expires=0)
        self.assertTrue(made.access_id.startswith("p-"))
        read = do("auth-method-get", name=name)
        self.assertEqual(read.auth_method_access_id, made.access_id)
        self.assertEqual(read.auth_method_name, name.lstrip("/"))
        self.assertEqual(read.access_info.rules_type, "api_key")
        self.assertEqual(read.access_info.jwt_ttl, 30)
        self.assertEqual(read.access_info.cidr_whitelist, "10.0.0.0/8,127.0.0.0/8")

    def test_the_default_lifetime_reads_back_as_the_accounts(self):
        settings = do("get-account-settings")
        default = settings.system_access_creds_settings.jwt_ttl_default
        read = do("auth-method-get", name=scenarios.method())
        self.assertEqual(read.access_info.jwt_ttl, default)

    def test_a_method_is_bound_to_its_networks(self):
        name = world().name("method")
        made = do("auth-method-create-api-key", name=name, bound_ips=["192.0.2.0/24"])
        fields = {"access-id": made.access_id, "access-key": made.access_key}
        self.assertEqual(sdk.refusal("auth", fields)[0], 401)

    def test_lists_show_what_was_made(self):
        name = scenarios.method()
        for command in ("auth-method-list", "list-auth-methods"):
            found = do(command, filter=name).auth_methods
            self.assertEqual([method.auth_method_name for method in found], [name.lstrip("/")])
        found = do("list-roles", filter=role()).roles
        self.assertEqual(len(found), 1)


class Account(unittest.TestCase):
    """Settings read back."""

    def test_settings_read_back(self):
        do("update-account-settings", company_name="Sherd and Sons", jwt_ttl_min=5,
           jwt_ttl_default=60, jwt_ttl_max=720)
        settings = do("get-account-settings")
        self.assertEqual(settings.company_name, "Sherd and Sons")
        ttl = settings.system_access_creds_settings
        self.assertEqual((ttl.jwt_ttl_minimum, ttl.jwt_ttl_default, ttl.jwt_ttl_maximum),
                         (5, 60, 720))

    def test_a_default_key_protects_new_secrets(self):
        key = scenarios.key()
        do("update-account-settings", default_key_name=key)
        try:
            settings = do("get-account-settings").general_settings
            self.assertEqual(settings.account_default_key_name, key)
            self.assertTrue(do("describe-item", name=secret()).item_name)
        finally:
            do("update-account-settings", default_key_name="set-original-akeyless-default-key")
