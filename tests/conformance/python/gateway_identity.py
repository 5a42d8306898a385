"""Makes what the server's gateway signs in with as itself: gateway_identity.py BOOTSTRAP KEY_FILE.

Prints the access id; the access key goes into the file.
"""

import http.client
import json
import os
import ssl
import sys
import urllib.parse


def call(bootstrap, command, fields):
    """The answer of a command that must succeed."""
    url = urllib.parse.urlsplit(bootstrap["url"])
    context = ssl.create_default_context(cafile=bootstrap["ca_file"])
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=300)
    connection.request("POST", "/" + command, json.dumps(fields),
                       {"Content-Type": "application/json"})
    reply = connection.getresponse()
    text = reply.read().decode()
    if reply.status not in (200, 201):
        sys.exit(f"{command}: {reply.status} {text}")
    return json.loads(text)


def main():
    bootstrap_file, key_file = sys.argv[1:3]
    with open(bootstrap_file, encoding="utf-8") as file:
        bootstrap = json.load(file)
    credential = {"access-id": bootstrap["access_id"], "access-key": bootstrap["access_key"]}
    token = call(bootstrap, "auth", credential)["token"]
    made = call(bootstrap, "auth-method-create-api-key",
                {"name": "/gateways/conformance", "token": token})
    with open(os.open(key_file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write(made["access_key"])
    print(made["access_id"])


if __name__ == "__main__":
    main()
