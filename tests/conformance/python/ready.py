"""Waits until a server answers GET /health: ready.py BOOTSTRAP_FILE SECONDS."""

import http.client
import json
import ssl
import sys
import time
import urllib.parse

PAUSE_SECONDS = 0.05


def healthy(bootstrap_file):
    """Whether the server that wrote the file answers; why not is not told apart."""
    try:
        with open(bootstrap_file, encoding="utf-8") as file:
            bootstrap = json.load(file)
        url = urllib.parse.urlsplit(bootstrap["url"])
        context = ssl.create_default_context(cafile=bootstrap["ca_file"])
        connection = http.client.HTTPSConnection(
            url.hostname, url.port, context=context, timeout=5
        )
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return False


def main():
    bootstrap_file, seconds = sys.argv[1], float(sys.argv[2])
    deadline = time.monotonic() + seconds
    while not healthy(bootstrap_file):
        if time.monotonic() > deadline:
            sys.exit(f"no answer from the server of {bootstrap_file} within {seconds:.0f} s")
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
