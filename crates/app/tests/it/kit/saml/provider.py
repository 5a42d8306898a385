"""A SAML 2.0 identity provider for tests, on pysaml2. Signs everybody in as Alice.

Prints its address, then serves until it is ended: /metadata, and /sso as browsers are sent there.
"""

import base64
import html
import http.server
import pathlib
import subprocess
import sys
import urllib.parse

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, saml
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.server import Server

SERVICE = """<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"
 entityID="{0}/saml/sp">
<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
 Location="{0}/saml/acs" index="0"/></md:SPSSODescriptor></md:EntityDescriptor>"""
FORM = """<form method="post" action="{}"><input type="hidden" name="SAMLResponse" value="{}"/>
<input type="hidden" name="RelayState" value="{}"/></form>"""


def provider(home, base, gateway):
    key, certificate = home / "key.pem", home / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
        + ["/CN=idp.test", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    service = home / "service.xml"
    service.write_text(SERVICE.format(gateway))
    config = IdPConfig().load({
        "entityid": f"{base}/metadata",
        "service": {"idp": {
            "endpoints": {"single_sign_on_service": [(f"{base}/sso", BINDING_HTTP_REDIRECT)]},
            "sign_assertion": True,
            "policy": {"default": {
                "lifetime": {"minutes": 5}, "attribute_restrictions": None,
                "name_form": "urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
            }},
        }},
        "key_file": str(key),
        "cert_file": str(certificate),
        "metadata": {"local": [str(service)]},
    })
    return config, Server(config=config)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        if url.path == "/metadata":
            return self.answer("application/samlmetadata+xml", str(entity_descriptor(self.config)))
        query = urllib.parse.parse_qs(url.query)
        asked = self.idp.parse_authn_request(query["SAMLRequest"][0], BINDING_HTTP_REDIRECT)
        message = asked.message
        response = self.idp.create_authn_response(
            identity={"email": ["alice@example.com"], "groups": ["dev", "ops"]},
            in_response_to=message.id,
            destination=message.assertion_consumer_service_url,
            sp_entity_id=message.issuer.text,
            name_id=saml.NameID(format=saml.NAMEID_FORMAT_PERSISTENT, text="alice"),
            authn={"class_ref": saml.AUTHN_PASSWORD, "authn_auth": "test"},
            sign_assertion=True,
            sign_response=True,
            sign_alg="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            digest_alg="http://www.w3.org/2001/04/xmlenc#sha256",
        )
        encoded = base64.b64encode(str(response).encode()).decode()
        state = html.escape(query["RelayState"][0])
        action = html.escape(message.assertion_consumer_service_url)
        return self.answer("text/html", FORM.format(action, encoded, state))

    def answer(self, kind, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    home, gateway = pathlib.Path(sys.argv[1]), sys.argv[2]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    base = f"http://127.0.0.1:{server.server_port}"
    Handler.config, Handler.idp = provider(home, base, gateway)
    print(base, flush=True)
    server.serve_forever()


main()
