"""What holds for every command: prefixes, letter case, unknown names, broken bodies."""

import json
import unittest

import akeyless
import identities
import raw
import scenarios
import sdk
from models import reply_complaints
from world import world

JSON = {"Content-Type": "application/json"}


class Edge(unittest.TestCase):
    """Plain HTTP against the edge."""

    def error(self, reply, status):
        """The reply is an error of this status, in the one shape errors have; its text."""
        self.assertEqual(reply.status, status, reply.body)
        wrong = reply_complaints(world().models, "object", status, 0, reply.headers, reply.body)
        self.assertEqual(wrong, [])
        return reply.error

    def test_every_prefix_and_letter_case(self):
        body = json.dumps({"token": identities.admin()}).encode()
        for prefix in ("/", "/v2/", "/api/v2/", "/V2/", "/Api/V2/"):
            for name in ("describe-sub-claims", "Describe-Sub-Claims"):
                reply = raw.request("POST", prefix + name, body, JSON)
                self.assertEqual(reply.status, 200, prefix + name)
                self.assertIn("client_ip", reply.json["sub_claims"])

    def test_every_name_is_routed_under_every_prefix(self):
        for name in world().commands:
            for prefix in ("/", "/v2/", "/api/v2/"):
                reply = raw.request("POST", prefix + name, b"[", JSON)
                self.assertIn(f"{name} failed", self.error(reply, 400), prefix + name)

    def test_the_sdk_works_under_every_prefix(self):
        for prefix in ("", "/v2", "/api/v2"):
            claims = sdk.call("describe-sub-claims", {}, identities.admin(),
                              base=world().url + prefix)
            self.assertTrue(claims.sub_claims)

    def test_an_unknown_command_is_named(self):
        for prefix in ("/", "/v2/", "/api/v2/"):
            reply = raw.request("POST", prefix + "no-such-command", b"{}", JSON)
            self.assertEqual(self.error(reply, 404), "unknown command 'no-such-command'")

    def test_the_base_answers_a_probe(self):
        for path in ("", "/", "/v2", "/v2/", "/api/v2"):
            reply = raw.request("POST", path or "/", b"", {})
            self.assertIn("unknown command", self.error(reply, reply.status), path)
            self.assertGreaterEqual(reply.status, 400)

    def test_health_answers_without_a_token(self):
        self.assertEqual(raw.request("GET", "/health").status, 200)

    def test_the_probe_of_operators(self):
        for headers, body in (({}, b""), (JSON, b"{}"), (JSON, b"")):
            reply = raw.request("POST", "/static-creds-auth", body, headers)
            self.error(reply, 400)
            world().saw("static-creds-auth", reply.status)

    def test_broken_bodies_are_refused(self):
        deep = b"[" * 100_000
        cases = (b"{", b"\xff\xfe{}", b"[]", b'"text"', b"null", deep, b'{"name":"\xff"}',
                 b'{"name":"a"} x', b'{"name":"a\\ud800"}')
        for body in cases:
            reply = raw.request("POST", "/describe-item", body, JSON)
            self.error(reply, 400)

    def test_an_oversize_body_is_refused(self):
        body = b'{"value":"' + b"a" * (64 << 20) + b'"}'
        try:
            reply = raw.request("POST", "/create-secret", body, JSON)
        except OSError:
            return  # The server stopped reading, which is an answer as well.
        self.error(reply, 413)

    def test_another_content_type_is_refused_or_read_as_json(self):
        body = b"name=/a"
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self.error(raw.request("POST", "/describe-item", body, headers), 415)

    def test_other_methods_are_refused(self):
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            reply = raw.request(method, "/describe-item", b"{}", JSON)
            self.assertIn(reply.status, (404, 405), method)
            self.error(reply, reply.status)

    def test_dashes_and_underscores_are_the_same(self):
        name = world().name("secret")
        reply = raw.command("create-secret", {
            "name": name, "value": "v", "delete-protection": "true", "max_versions": "3",
        }, identities.admin())
        self.assertEqual(reply.status, 200)
        item = sdk.call("describe-item", {"name": name}, identities.admin())
        self.assertTrue(item.delete_protection)
        self.assertEqual(item.item_general_info.static_secret_info.max_versions, 3)
        scenarios.do("update-item", name=name, delete_protection="false")

    def test_unknown_fields_are_ignored(self):
        reply = raw.command("list-items", {"no-such-field": {"a": [1]}}, identities.admin())
        self.assertEqual(reply.status, 200)

    def test_bad_paths_are_refused(self):
        for path in ("/a/../b", "/a//b", "/a/\u0000b", "/" + "a" * 5000, "/a/./b", ""):
            reply = raw.command("create-secret", {"name": path, "value": "v"}, identities.admin())
            self.assertEqual(reply.status, 400, repr(path[:20]))

    def test_a_batch_reads_the_token_from_the_header(self):
        found = scenarios.of("encrypt-batch")
        self.assertEqual(sdk.refusal("encrypt-batch", found.fields)[0], 401)
        bearer = sdk.Sdk(bearer=found.token)
        sealed = json.loads(bearer.call("encrypt-batch", found.fields).result)
        rows = [{"item_id": row["item_id"], "data": text}
                for row, text in zip(found.fields, sealed)]
        opened = json.loads(bearer.call("decrypt-batch", rows).result)
        self.assertEqual(opened, [row["data"] for row in found.fields])

    def test_an_error_reaches_the_sdk_as_its_own_exception(self):
        with self.assertRaises(akeyless.ApiException) as caught:
            sdk.call("describe-item", {"name": world().name("absent")}, identities.admin())
        self.assertEqual(caught.exception.status, 404)
