"""The check of replies itself, with replies made by hand."""

import os
import unittest
from pathlib import Path

from models import Models, reply_complaints

DATA = Path(__file__).resolve().parents[3] / "data" / "v2-api.json"
JSON = {"content-type": "application/json"}


class Validator(unittest.TestCase):
    """Each kind of fault is found, and nothing else."""

    @classmethod
    def setUpClass(cls):
        cls.models = Models(os.environ.get("KEYSHERD_MODELS", DATA))

    def check(self, kind, value, *words):
        found = self.models.complaints(kind, value)
        self.assertEqual(len(found), len(words), found)
        for text, word in zip(found, words):
            self.assertIn(word, text)

    def test_a_good_item_passes(self):
        self.check("Item", {
            "item_name": "/a", "item_id": 5, "item_tags": None, "last_version": 1,
            "creation_date": "2026-01-05T10:11:12.123456789Z", "is_enabled": True,
            "certificate_issue_details": {}, "gateway_details": None,
            "item_general_info": {"static_secret_info": {"format": "text"}},
        })

    def test_an_unknown_field_is_found_at_any_depth(self):
        self.check("Item", {"warning": "x"}, "reply.warning: the model Item")
        deep = {"items": [{"item_general_info": {"static_secret_info": {"colour": 1}}}]}
        self.check("ListItemsInPathOutput", deep, "static_secret_info.colour")

    def test_types_are_exact(self):
        self.check("Item", {"item_id": "5"}, "not an integer")
        self.check("Item", {"item_id": True}, "not an integer")
        self.check("Item", {"item_id": 5.0}, "not an integer")
        self.check("Item", {"is_enabled": "true"}, "not a boolean")
        self.check("Item", {"item_name": None}, "not a text")
        self.check("Item", {"item_tags": "a"}, "not a list")
        self.check("Item", {"item_tags": ["a", 1]}, "item_tags[1]")
        self.check("DescribeSubClaimsOutput", {"sub_claims": {"a": "b"}}, "not a list")
        self.check("dict(str, object)", {"/a": {"any": 1}, "/b": "text"})
        self.check("dict(str, object)", ["/a"], "not an object")

    def test_times_are_rfc_3339(self):
        for text in ("", "2026-01-05", "2026-01-05 10:11:12 UTC", "2026-13-05T10:11:12Z", 1):
            self.check("Item", {"creation_date": text}, "not an RFC 3339 time")
        self.check("Item", {"creation_date": "2026-01-05T10:11:12+02:00"})

    def test_new_fields_come_only_with_a_value(self):
        self.check("Item", {"locking_info": None}, "leave it out")
        self.check("Item", {"item_custom_fields_details": []}, "leave it out")
        self.check("Item", {"locking_info": {"locked_by": "p-x"}})

    def test_errors_are_exactly_one_text(self):
        def check(body, headers=JSON):
            return reply_complaints(self.models, "Item", 404, 200, headers, body)
        self.assertEqual(check(b'{"error":"no item /a"}'), [])
        for body in (b'{"error":""}', b'{"error":1}', b'{"error":"x","code":1}', b'"x"', b"x"):
            self.assertEqual(len(check(body)), 1, body)
        self.assertEqual(len(check(b'{"error":"x"}', {"content-type": "text/plain"})), 1)

    def test_success_has_its_own_status_and_is_an_object(self):
        def check(status, body):
            return reply_complaints(self.models, "object", status, 201, JSON, body)
        self.assertEqual(check(201, b"{}"), [])
        self.assertEqual(len(check(200, b"{}")), 1)
        self.assertEqual(len(check(201, b'"done"')), 1)
