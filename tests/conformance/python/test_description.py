"""What the server says of its commands agrees with the V2 description."""

import re
import unittest

from world import world

FAMILIES = re.compile(
    r"(create|update)-auth-method-|(create|update)-.*-target(-details)?$"
    r"|gateway-(create|update)-producer-(?!tmp-creds)|gateway-delete-producer$")
# Older spellings of a command with a field that is called something else, or another reply.
OTHER_FIELDS = {"get-rotated-secret-value", "gateway-list-rotated-secrets"}


class Description(unittest.TestCase):
    """Names, statuses, replies and fields."""

    def each(self):
        """Every served name that the V2 API has, with its endpoint."""
        for name, served in world().commands.items():
            endpoint = world().models.endpoints.get(name.lower())
            if endpoint is not None:
                yield served, endpoint

    def test_statuses_and_replies_agree(self):
        for served, endpoint in self.each():
            with self.subTest(served.name):
                self.assertEqual(served.success, endpoint.get("success", served.success))
                self.assertEqual(served.reply, endpoint["response"])

    def test_older_spellings_belong_to_the_command_they_mean(self):
        for served, endpoint in self.each():
            current = endpoint.get("alias_of")
            # Those of families have replies of their own, in both spellings, and some spell a
            # field in another way, too.
            apart = FAMILIES.match(served.name) or served.name in OTHER_FIELDS
            if current is not None and not apart:
                with self.subTest(served.name):
                    self.assertEqual(served.current, current.lstrip("/"))

    def test_every_field_of_the_v2_model_is_read(self):
        for served, endpoint in self.each():
            request = endpoint["request"]
            model = world().models.models.get(request.removeprefix("list[").removesuffix("]"), {})
            ours = {field["name"] for field in served.fields}
            for field, about in model.items():
                if about.get("required"):
                    with self.subTest(f"{served.name} {field}"):
                        self.assertIn(field.replace("_", "-"), ours)

    def test_fields_are_spelled_as_the_v2_model_spells_them(self):
        for served, endpoint in self.each():
            model = world().models.models.get(endpoint["request"], {})
            spelled = {field.replace("_", "-"): field for field in model}
            for field in served.fields:
                if field["name"] in spelled:
                    with self.subTest(f"{served.name} {field['name']}"):
                        self.assertEqual(field["documented"], spelled[field["name"]])
