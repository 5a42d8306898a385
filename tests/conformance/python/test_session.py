"""Signing in, tokens and their end."""

import datetime
import unittest

import identities
import sdk
from world import world


class Session(unittest.TestCase):
    """Tokens as clients use them."""

    def test_an_access_key_signs_in_under_every_spelling_of_its_type(self):
        fields = {"access-id": world().bootstrap["access_id"],
                  "access-key": world().bootstrap["access_key"]}
        for kind in ("access_key", "api_key"):
            reply = sdk.call("auth", {**fields, "access-type": kind})
            self.assertTrue(reply.token.startswith("t-"))
            expires = datetime.datetime.fromisoformat(reply.expiration.replace("Z", "+00:00"))
            self.assertGreater(expires, datetime.datetime.now(datetime.timezone.utc))

    def test_the_owner_signs_in_with_a_password(self):
        credential = identities.owner_credential()
        token = sdk.call("auth", credential).token
        claims = sdk.call("describe-sub-claims", {}, token).sub_claims
        self.assertIn("client_unique_id", claims)
        status, text = sdk.refusal("auth", {**credential, "admin-password": "x" * 20})
        self.assertEqual(status, 401)
        self.assertNotIn("x" * 20, text)

    def test_configure_signs_in(self):
        reply = sdk.call("configure", {"access-id": world().bootstrap["access_id"],
                                       "access-key": world().bootstrap["access_key"]})
        self.assertTrue(reply.profile and reply.token)

    def test_a_revoked_token_is_dead(self):
        token = identities.throw_away()
        self.assertTrue(sdk.call("validate-token", {}, token).is_valid)
        sdk.call("revoke-creds", {}, token)
        dead = sdk.call("validate-token", {}, token)
        self.assertFalse(dead.is_valid)
        self.assertTrue(dead.reason)
        self.assertEqual(sdk.refusal("describe-sub-claims", {}, token)[0], 401)

    def test_a_reset_key_replaces_the_old_one(self):
        name, access_id, old = identities.new_identity("reset")
        new = sdk.call("reset-access-key", {"name": name}, identities.admin()).access_key
        self.assertNotEqual(new, old)
        self.assertTrue(identities.login(access_id, new))
        fields = {"access-id": access_id, "access-key": old}
        self.assertEqual(sdk.refusal("auth", fields)[0], 401)

    def test_a_password_is_changed_only_by_who_knows_it(self):
        credential = identities.owner_credential()
        old = credential["admin-password"]
        new = "plinth gazebo ovation turnip kelp"
        token = sdk.call("auth", credential).token
        wrong = {"current-password": "y" * 20, "new-password": new}
        self.assertEqual(sdk.refusal("change-admin-account-password", wrong, token)[0], 401)
        short = {"current-password": old, "new-password": "short"}
        self.assertEqual(sdk.refusal("change-admin-account-password", short, token)[0], 400)
        self.change(token, old, new)
        try:
            self.assertEqual(sdk.refusal("auth", credential)[0], 401)
        finally:
            token = sdk.call("auth", {**credential, "admin-password": new}).token
            self.change(token, new, old)
        self.assertTrue(sdk.call("auth", credential).token)

    def change(self, token, old, new):
        fields = {"current-password": old, "new-password": new}
        sdk.call("change-admin-account-password", fields, token)

    def test_a_deleted_method_has_no_good_token(self):
        name, access_id, access_key = identities.new_identity("deleted")
        token = identities.login(access_id, access_key)
        sdk.call("auth-method-delete", {"name": name}, identities.admin())
        self.assertEqual(sdk.refusal("describe-sub-claims", {}, token)[0], 401)
