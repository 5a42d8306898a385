"""Secrets and items: what is written is what is read."""

import json
import unittest

import identities
import raw
import scenarios
import sdk
from scenarios import do, secret
from world import world


def value(name, **more):
    """The value of a secret as the administrator reads it."""
    fields = {"names": [name], **{key.replace("_", "-"): v for key, v in more.items()}}
    return sdk.call("get-secret-value", fields, identities.admin())[name]


class Secrets(unittest.TestCase):
    """Values and versions."""

    def test_a_value_comes_back_as_written(self):
        texts = ("hello", "", "line\nline\r\n", "π \u0000 \U0001f511", "{\"a\": 1}", "a" * 100_000)
        for text in texts:
            self.assertEqual(value(secret(text)), text)

    def test_many_names_come_back_as_the_caller_wrote_them(self):
        first, second = secret("one"), secret("two")
        written = [first.lstrip("/"), second]
        reply = sdk.call("get-secret-value", {"names": written}, identities.admin())
        self.assertEqual(reply, {written[0]: "one", second: "two"})

    def test_one_missing_name_fails_the_call(self):
        names = [secret(), world().name("absent")]
        self.assertEqual(sdk.refusal("get-secret-value", {"names": names}, identities.admin())[0],
                         404)

    def test_json_is_an_object_only_when_asked_for(self):
        name = world().name("secret")
        do("create-secret", name=name, value='{"a": {"b": [1]}}', format="json")
        self.assertEqual(value(name), '{"a": {"b": [1]}}')
        self.assertEqual(value(name, json=True), {"a": {"b": [1]}})

    def test_a_password_reads_back_with_its_fields(self):
        name = world().name("password")
        do("create-secret", name=name, value="", type="password", username="anna", password="pw",
           custom_field={"db": "main"})
        read = json.loads(value(name))
        self.assertEqual((read["username"], read["password"], read["db"]), ("anna", "pw", "main"))
        self.assertEqual(do("describe-item", name=name).item_sub_type, "password")

    def test_versions_are_kept_only_when_asked_for(self):
        name = secret("one")
        do("update-secret-val", name=name, value="uno", keep_prev_version="false")
        self.assertEqual(do("describe-item", name=name).last_version, 1)
        do("update-secret-val", name=name, value="two", keep_prev_version="true")
        self.assertEqual(do("describe-item", name=name).last_version, 2)
        self.assertEqual((value(name, version=1), value(name)), ("uno", "two"))
        versions = do("describe-item", name=name, show_versions=True).item_versions
        self.assertEqual(sorted(v.version for v in versions), [1, 2])

    def test_the_last_versions_come_by_number(self):
        name = secret("one")
        for text in ("two", "three"):
            do("update-secret-val", name=name, value=text, keep_prev_version="true")
        self.assertEqual(value(name, version=-2), {"2": "two", "3": "three"})

    def test_a_stale_update_is_a_conflict(self):
        name = secret("one")
        do("update-secret-val", name=name, value="two", keep_prev_version="true")
        stale = {"name": name, "value": "late", "last-version": 1}
        self.assertEqual(sdk.refusal("update-secret-val", stale, identities.admin())[0], 409)
        self.assertEqual(value(name), "two")

    def test_rollback_makes_a_new_version(self):
        name = secret("one")
        do("update-secret-val", name=name, value="two", keep_prev_version="true")
        reply = do("rollback-secret", name=name, old_version=1)
        self.assertEqual((reply.name, value(name)), (name, "one"))
        self.assertEqual(do("describe-item", name=name).last_version, reply.version)

    def test_a_disabled_secret_is_not_read(self):
        name = secret("one")
        do("set-item-state", name=name, desired_state="Disabled")
        status, _ = sdk.refusal("get-secret-value", {"names": [name]}, identities.admin())
        self.assertIn(status, (400, 403))
        do("set-item-state", name=name, desired_state="Enabled")
        self.assertEqual(value(name), "one")

    def test_a_named_key_protects_a_secret(self):
        key = scenarios.key()
        name = world().name("secret")
        do("create-secret", name=name, value="one", protection_key=key)
        self.assertEqual(value(name), "one")
        self.assertEqual(do("describe-item", name=name).protection_key_name, key)


class Items(unittest.TestCase):
    """What items have in common."""

    def test_an_item_has_everything_that_clients_read_blindly(self):
        name = secret()
        item = do("describe-item", name=name)
        self.assertEqual(item.item_name, name)
        self.assertEqual((item.item_type, item.item_sub_type), ("STATIC_SECRET", "generic"))
        self.assertEqual(item.last_version, 1)
        self.assertIsInstance(item.protection_key_name, str)
        self.assertTrue(item.is_enabled)

    def test_an_item_is_found_by_its_ids(self):
        item = do("describe-item", name=secret())
        for ids in ({"item-id": item.item_id}, {"display-id": item.display_id}):
            found = sdk.call("describe-item", {"name": "", **ids}, identities.admin())
            self.assertEqual(found.item_name, item.item_name)

    def test_sentinels_and_empty_texts_mean_not_given(self):
        name = world().name("secret")
        do("create-secret", name=name, value="v", description="kept", tags=["a"])
        do("update-item", name=name, description="default_metadata", new_name=name)
        do("update-item", name=name, new_metadata="default_metadata", description="")
        self.assertEqual(do("describe-item", name=name).item_metadata, "kept")
        do("update-item", name=name, description="new", add_tag=["b"], rm_tag=["a"])
        item = do("describe-item", name=name)
        self.assertEqual((item.item_metadata, item.item_tags), ("new", ["b"]))
        self.assertEqual(do("get-tags", name=name), ["b"])

    def test_a_renamed_item_is_the_same_item(self):
        old, new = secret("one"), world().name("renamed")
        before = do("describe-item", name=old)
        do("update-item", name=old, new_name=new)
        self.assertEqual(do("describe-item", name=new).item_id, before.item_id)
        self.assertEqual(value(new), "one")
        self.assertEqual(sdk.refusal("describe-item", {"name": old}, identities.admin())[0], 404)
        taken = {"name": new, "new-name": secret()}
        self.assertEqual(sdk.refusal("update-item", taken, identities.admin())[0], 409)

    def test_lists_by_folder_filter_tag_and_type(self):
        top = world().name("list")
        do("create-secret", name=f"{top}/a", value="v", tags=["t1"])
        do("create-secret", name=f"{top}/sub/b", value="v")
        do("create-dfc-key", name=f"{top}/key", alg="AES256GCM")
        listed = do("list-items", path=top)
        self.assertEqual([item.item_name for item in listed.items], [f"{top}/a", f"{top}/key"])
        self.assertEqual(listed.folders, [f"{top}/sub/"])
        def names(**fields):
            found = do("list-items", filter=top, **fields).items or []
            return [item.item_name for item in found]
        self.assertEqual(names(), [f"{top}/a", f"{top}/key", f"{top}/sub/b"])
        self.assertEqual(names(tag="t1"), [f"{top}/a"])
        self.assertEqual(names(type=["static-secret"]), [f"{top}/a", f"{top}/sub/b"])
        self.assertEqual(names(type=["key"]), [f"{top}/key"])

    def test_an_empty_list_is_null(self):
        reply = raw.command("list-items", {"filter": world().name("nothing")}, identities.admin())
        self.assertIn(reply.json["items"], (None, []))
        self.assertEqual(reply.json["next_page"], "")

    def test_a_list_shows_only_what_may_be_seen(self):
        secret()
        listed = sdk.call("list-items", {}, identities.stranger())
        self.assertFalse(listed.items)
        self.assertTrue(sdk.call("list-items", {}, identities.viewer()).items)

    def test_delete_protection_holds_until_it_is_cleared(self):
        name = world().name("secret")
        do("create-secret", name=name, value="v", delete_protection="true")
        status, _ = sdk.refusal("delete-item", {"name": name}, identities.admin())
        self.assertIn(status, (400, 403))
        do("update-item", name=name, delete_protection="false")
        self.assertEqual(do("delete-item", name=name).item_name, name)
        self.assertEqual(sdk.refusal("describe-item", {"name": name}, identities.admin())[0], 404)

    def test_a_key_is_deleted_later_unless_told_otherwise(self):
        name = scenarios.key()
        deleted = do("delete-item", name=name)
        self.assertIsNotNone(deleted.deletion_date)
        self.assertEqual(do("describe-item", name=name).item_state, "PendingDeletion")
        do("set-item-state", name=name, desired_state="Enabled")
        do("delete-item", name=name, delete_in_days=-1, delete_immediately=True)
        self.assertEqual(sdk.refusal("describe-item", {"name": name}, identities.admin())[0], 404)

    def test_a_folder_with_keys_is_not_deleted_at_once(self):
        top = world().name("keys")
        do("create-dfc-key", name=f"{top}/key", alg="AES128GCM")
        status, text = sdk.refusal("delete-items", {"path": top}, identities.admin())
        self.assertEqual(status, 403)
        self.assertIn("ForbiddenTypesDeletion", text)

    def test_a_folder_is_deleted_with_its_items(self):
        top = world().name("folder")
        for name in ("a", "b/c"):
            do("create-secret", name=f"{top}/{name}", value="v")
        deleted = do("delete-items", path=top)
        self.assertEqual(sorted(deleted.deleted_items), [f"{top}/a", f"{top}/b/c"])
        self.assertFalse(do("list-items", filter=top).items)

    def test_items_that_may_not_be_deleted_stay(self):
        name, missing = secret("one"), world().name("absent")
        reply = sdk.call("delete-items", {"item": [name]}, identities.viewer())
        self.assertFalse(reply.deleted_items)
        self.assertEqual(list(reply.failed_deleted_items), [name])
        self.assertEqual(value(name), "one")
        reply = do("delete-items", item=[name, missing])
        self.assertEqual(reply.deleted_items, [name])
        self.assertEqual(list(reply.failed_deleted_items), [missing])

    def test_a_folder_moves_with_everything_below(self):
        source, target = world().name("from"), world().name("to")
        do("create-secret", name=f"{source}/a/b", value="one")
        do("move-objects", source=source, target=target)
        self.assertEqual(value(f"{target}/a/b"), "one")
        do("create-secret", name=f"{source}/a/b", value="other")
        collision = {"source": source, "target": target}
        self.assertEqual(sdk.refusal("move-objects", collision, identities.admin())[0], 409)

    def test_a_lock_shows_and_goes(self):
        name = secret()
        do("lock-item", name=name, actions="update", lock_ttl=5)
        self.assertIsNotNone(do("describe-item", name=name).locking_info)
        do("unlock-item", name=name)
        self.assertIsNone(do("describe-item", name=name).locking_info)

    def test_a_warning_about_the_root_is_in_a_header(self):
        name = f"/root-{world().name('x').rsplit('-', 1)[1]}"
        reply = raw.command("create-secret", {"name": name, "value": "v"}, identities.admin())
        self.assertEqual(reply.status, 200)
        self.assertIn("keysherd-warning", reply.headers)

    def test_every_page_leads_to_the_next(self):
        top = world().name("pages")
        for index in range(3):
            do("create-secret", name=f"{top}/{index}", value="v")
        page = do("list-items", filter=top, auto_pagination="disabled")
        self.assertEqual(len(page.items), 3)
        self.assertFalse(page.has_next)
        after = do("list-items", filter=top, pagination_token=page.next_page,
                   auto_pagination="disabled")
        self.assertFalse(after.items)
        self.assertEqual(after.next_page, "")


class Folders(unittest.TestCase):
    """Folders that exist by themselves."""

    def test_a_folder_shows_what_was_set(self):
        name = world().name("folder")
        identifier = do("folder-create", name=name, description="d", tags=["a"]).folder_id
        self.assertIsInstance(identifier, int)
        do("folder-update", name=name, add_tag=["b"], rm_tag=["a"], description="e")
        self.assertTrue(do("folder-get", name=name).folder)
        do("folder-delete", name=name)
        self.assertEqual(sdk.refusal("folder-get", {"name": name}, identities.admin())[0], 404)
