"""Keys: what is encrypted is what is decrypted, and with nothing else."""

import base64
import unittest

import identities
import sdk
from scenarios import do, key


class Keys(unittest.TestCase):
    """Protection keys on messages."""

    def test_every_algorithm_opens_what_it_sealed(self):
        iv = base64.b64encode(bytes(range(16))).decode()
        for algorithm in ("AES128GCM", "AES256GCM", "AES128SIV", "AES256SIV", "AES128CBC",
                          "AES256CBC"):
            context = {"iv": iv} if algorithm.endswith("CBC") else {"purpose": "test"}
            name = key(algorithm)
            sealed = do("encrypt", key_name=name, plaintext="π", encryption_context=context)
            opened = do("decrypt", key_name=name, ciphertext=sealed.result,
                        encryption_context=context)
            self.assertEqual(opened.result, "π", algorithm)
            self.assertEqual(do("describe-item", name=name).item_type, algorithm)

    def test_base64_in_and_out(self):
        name = key()
        data = base64.b64encode(bytes(range(256))).decode()
        sealed = do("encrypt", key_name=name, plaintext=data, input_format="base64")
        opened = do("decrypt", key_name=name, ciphertext=sealed.result, output_format="base64")
        self.assertEqual(opened.result, data)

    def test_another_context_or_key_does_not_open(self):
        name = key()
        sealed = do("encrypt", key_name=name, plaintext="m", encryption_context={"a": "1"}).result
        for fields in ({"key-name": name}, {"key-name": name, "encryption-context": {"a": "2"}},
                       {"key-name": key(), "encryption-context": {"a": "1"}}):
            status, _ = sdk.refusal("decrypt", {**fields, "ciphertext": sealed},
                                    identities.admin())
            self.assertEqual(status, 400, fields)

    def test_an_altered_ciphertext_does_not_open(self):
        name = key()
        sealed = bytearray(base64.b64decode(do("encrypt", key_name=name, plaintext="m").result))
        for place in (0, len(sealed) // 2, len(sealed) - 1):
            altered = bytearray(sealed)
            altered[place] ^= 1
            fields = {"key-name": name, "ciphertext": base64.b64encode(altered).decode()}
            self.assertEqual(sdk.refusal("decrypt", fields, identities.admin())[0], 400, place)

    def test_a_key_is_named_by_its_ids(self):
        item = do("describe-item", name=key())
        sealed = do("encrypt", key_name="", item_id=item.item_id, plaintext="m").result
        opened = do("decrypt", key_name="", display_id=item.display_id, ciphertext=sealed)
        self.assertEqual(opened.result, "m")

    def test_a_key_that_protects_an_item_stays(self):
        name = key()
        do("create-secret", name=name + "-secret", value="v", protection_key=name)
        gone = {"name": name, "delete-in-days": -1, "delete-immediately": True}
        self.assertIn(sdk.refusal("delete-item", gone, identities.admin())[0], (400, 403, 409))
        off = {"name": name, "desired-state": "Disabled"}
        self.assertIn(sdk.refusal("set-item-state", off, identities.admin())[0], (400, 403, 409))
