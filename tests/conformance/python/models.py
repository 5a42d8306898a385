"""The V2 models: whether a reply has only fields the model has, of the types it says.

The oldest strict client refuses a reply for one unknown key at any depth, so there is no leniency:
null stands only for an absent list, map or object, never for a text, number or boolean.
"""

import datetime
import json
import re

RFC3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})"
)

# Fields that the strict clients still in use do not know: allowed when they carry a value, because
# the caller then uses what they are about (v2-core 1.5). Empty ones would break those for nothing.
ONLY_WITH_VALUE = {
    "Item": {"item_custom_fields_details", "locking_info", "file_download",
             "last_access_request_status"},
    "ItemGeneralInfo": {"agentic_rules", "issuer_overview_info", "lock_on_read", "lock_ttl",
                        "rotate_on_unlock", "pending_rotate_on_unlock"},
    "StaticSecretDetailsInfo": {"file_info"},
    "SecureRemoteAccess": {"lock_during_sra_session", "rotate_after_disconnect_delay_mins"},
    "AuthMethod": {"bookmark_login_url_template", "uid_expiration_events"},
    "AuthMethodAccessInfo": {"allowed_client_type", "uid_expiration_events",
                             "alicloud_access_rules", "enforce_client_type", "scim"},
    "SystemAccessCredentialsReplyObj": {"csrf_token", "recovery_key_id", "sub_claims",
                                        "unique_id"},
    "AccountGeneralSettings": {"ai_insights", "allow_auto_fill", "allow_passkeys",
                               "allowed_client_types", "default_auth_method",
                               "enable_search_history", "hide_secret_reveal_copy",
                               "personal_folder_global_mapping", "account_file_bytes_used",
                               "email_customization", "ai_quorum",
                               "event_forwarder_allowed_email_domains"},
}


class Models:
    """The models and endpoints of the V2 description."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        self.models = data["models"]
        self.endpoints = {e["path"].lstrip("/").lower(): e for e in data["endpoints"]}

    def complaints(self, kind, value, where="reply"):
        """What is wrong with `value` as a reply of type `kind`, as a list of sentences."""
        if kind in (None, "None"):
            return []
        if kind.startswith("list["):
            return self._list(kind[len("list["):-1], value, where)
        if kind.startswith("dict(str, "):
            return self._map(kind[len("dict(str, "):-1], value, where)
        if kind in PRIMITIVES:
            return PRIMITIVES[kind](value, where)
        if kind not in self.models:
            return [f"{where}: there is no model {kind}"]
        return self._model(kind, value, where)

    def _list(self, inner, value, where):
        if value is None:
            return []
        if not isinstance(value, list):
            return [f"{where}: {shown(value)} is not a list"]
        return [text for index, element in enumerate(value)
                for text in self.complaints(inner, element, f"{where}[{index}]")]

    def _map(self, inner, value, where):
        if value is None:
            return []
        if not isinstance(value, dict):
            return [f"{where}: {shown(value)} is not an object"]
        return [text for key, element in value.items()
                for text in self.complaints(inner, element, f"{where}[{key!r}]")]

    def _model(self, name, value, where):
        if value is None:
            return []
        if not isinstance(value, dict):
            return [f"{where}: {shown(value)} is not an object ({name})"]
        fields = self.models[name]
        found = []
        for key, element in value.items():
            inside = f"{where}.{key}"
            if key not in fields:
                found.append(f"{inside}: the model {name} has no such field")
                continue
            found += self.complaints(fields[key]["type"], element, inside)
            if key in ONLY_WITH_VALUE.get(name, ()) and element in (None, "", [], {}, 0, False):
                found.append(f"{inside}: older clients do not know it; leave it out when empty")
        return found


def shown(value):
    """A value in a sentence; never a whole secret."""
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _primitive(fits, what):
    return lambda value, where: [] if fits(value) else [f"{where}: {shown(value)} is not {what}"]


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_date(value):
    if not isinstance(value, str) or not RFC3339.fullmatch(value):
        return False
    seconds = re.sub(r"\.\d+", "", value).replace("Z", "+00:00")
    try:
        datetime.datetime.fromisoformat(seconds)
    except ValueError:
        return False
    return True


PRIMITIVES = {
    "str": _primitive(lambda value: isinstance(value, str), "a text"),
    "int": _primitive(_is_int, "an integer"),
    "float": _primitive(lambda value: _is_int(value) or isinstance(value, float), "a number"),
    "bool": _primitive(lambda value: isinstance(value, bool), "a boolean"),
    "datetime": _primitive(_is_date, "an RFC 3339 time"),
    "object": lambda value, where: [],
}


def reply_complaints(models, kind, status, success, headers, body):
    """What is wrong with a whole HTTP reply of a command."""
    found = []
    media = headers.get("content-type") or ""
    if "json" not in media:
        found.append(f"content type {media!r} is not JSON")
    try:
        value = json.loads(body)
    except ValueError:
        return found + [f"the body is not JSON: {body[:80]!r}"]
    if status >= 400:
        if not isinstance(value, dict) or list(value) != ["error"] or not value["error"] \
                or not isinstance(value["error"], str):
            found.append(f"an error body is {{\"error\": text}}, not {shown(value)}")
        return found
    if status != success:
        found.append(f"status {status} instead of {success}")
    if kind == "object" and not isinstance(value, dict):
        found.append(f"{shown(value)} is not an object")
    return found + models.complaints(kind, value)
