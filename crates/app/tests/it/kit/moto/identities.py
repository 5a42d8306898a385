"""AWS identities at a stand-in for AWS, and requests that they sign.

`identities.py URL setup` makes a user and a role and prints their credentials; further calls get
them on standard input. `identities.py URL sign` prints cloud-ids: by the cloud vendor's library, by
the official cloud-id package, and altered ones whose signatures are nevertheless good.
`identities.py URL ask` says whether the user's key is taken.
"""

import base64
import datetime
import hashlib
import hmac
import inspect
import json
import sys
from urllib.parse import urlsplit

BODY = "Action=GetCallerIdentity&Version=2011-06-15"
REGION = "us-east-1"


def setup(url):
    import boto3

    def client(service):
        return boto3.client(service, endpoint_url=url, region_name=REGION,
                            aws_access_key_id="any", aws_secret_access_key="any")

    iam, sts = client("iam"), client("sts")
    allow = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]})
    iam.create_user(Path="/team/", UserName="alice")
    iam.put_user_policy(UserName="alice", PolicyName="all", PolicyDocument=allow)
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    role = iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=trust)["Role"]
    iam.put_role_policy(RoleName="deploy", PolicyName="all", PolicyDocument=allow)
    assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="i-0123")["Credentials"]
    return {
        "user": [key["AccessKeyId"], key["SecretAccessKey"], None],
        "role": [assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"]],
    }


def ask(url, credentials):
    import boto3
    from botocore.exceptions import ClientError

    access, secret, _ = credentials["user"]
    sts = boto3.client("sts", endpoint_url=url, region_name=REGION,
                       aws_access_key_id=access, aws_secret_access_key=secret)
    try:
        sts.get_caller_identity()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return "no"
    return "yes"


def by_vendor(url, credentials):
    """As the vendor's library signs for the Security Token Service."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest("POST", url + "/", headers=headers, data=BODY)
    SigV4Auth(Credentials(*credentials), "sts", REGION).add_auth(request)
    signed = {name: [value] for name, value in request.headers.items()}
    return packed("POST", url + "/", BODY, signed)


def by_package(url, credentials):
    """As the official package does, which knows one host only: that is replaced in its source."""
    from akeyless_cloud_id import cloud_id

    parts = urlsplit(url)
    source = inspect.getsource(cloud_id).replace("https://sts.amazonaws.com/", url + "/")
    source = source.replace("sts.amazonaws.com", parts.netloc)
    module = {"__name__": "altered"}
    exec(compile(source, "cloud_id.py", "exec"), module)  # pylint: disable=exec-used
    return module["CloudId"]().generate(*credentials)


def by_hand(url, credentials, *, method="POST", path="/", body=BODY, minutes=0, more=None,
            service="sts", leave=()):
    """A good signature over whatever it is."""
    access, secret, token = credentials
    at = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes)
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    headers = {"content-type": "application/x-www-form-urlencoded",
               "host": urlsplit(url).netloc, "x-amz-date": stamp, **(more or {})}
    if token:
        headers["x-amz-security-token"] = token
    signed = {name: value for name, value in headers.items() if name not in leave}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    uri, _, query = path.partition("?")
    digest = hashlib.sha256(body.encode()).hexdigest()
    canonical = "\n".join([method, uri, query, lines, names, digest])
    scope = f"{day}/{REGION}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (day, REGION, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={access}/{scope}, "
                                f"SignedHeaders={names}, Signature={signature}")
    return packed(method, url + path, body, {name: [value] for name, value in headers.items()})


def packed(method, url, body, headers):
    def b64(text):
        return base64.b64encode(text.encode()).decode()
    return b64(json.dumps({
        "sts_request_method": method,
        "sts_request_url": b64(url),
        "sts_request_body": b64(body),
        "sts_request_headers": b64(json.dumps(headers)),
    }))


def altered(cloud_id, **changes):
    """The same with other headers, under the old signature."""
    form = json.loads(base64.b64decode(cloud_id))
    headers = json.loads(base64.b64decode(form["sts_request_headers"]))
    headers.update({name.replace("_", "-"): [value] for name, value in changes.items()})
    form["sts_request_headers"] = base64.b64encode(json.dumps(headers).encode()).decode()
    return base64.b64encode(json.dumps(form).encode()).decode()


def sign(url, credentials):
    user, role = credentials["user"], credentials["role"]
    elsewhere = url.replace("127.0.0.1", "127.0.0.2")
    good = by_hand(url, user)
    return {
        "vendor-user": by_vendor(url, user),
        "vendor-role": by_vendor(url, role),
        "package-role": by_package(url, role),
        "hand-user": good,
        # Whatever it begins with, this is another one.
        "wrong secret": by_hand(url, [user[0], user[1][1:] + "x", None]),
        "unknown key": by_hand(url, ["AKIAUNKNOWNUNKNOWN00", user[1], None]),
        "signed 20 minutes ago": by_hand(url, user, minutes=20),
        "signed 20 minutes ahead": by_hand(url, user, minutes=-20),
        "another action": by_hand(url, user, body="Action=GetSessionToken&Version=2011-06-15"),
        "two actions": by_hand(url, user, body=BODY + "&Action=GetSessionToken"),
        "an encoded action": by_hand(url, user, body=BODY.replace("Get", "%47et")),
        "GET": by_hand(url, user, method="GET", path="/?" + BODY, body=""),
        "a query": by_hand(url, user, path="/?Action=GetSessionToken"),
        "another path": by_hand(url, user, path="/latest"),
        "another host": by_hand(elsewhere, user),
        "a host that begins alike": by_hand(url.replace("0.0.1", "0.0.1.nip.example"), user),
        "a user in the address": by_hand(url.replace("//", "//127.0.0.1@"), user),
        "another service": by_hand(url, user, service="iam"),
        "another header": by_hand(url, user, more={"x-amz-target": "Something"}),
        # A minute ahead, since the vendor's library makes the same signature in the same second.
        "unsigned-header": by_hand(url, user, more={"accept": "text/html"}, leave=["accept"],
                                   minutes=-1),
        "the host left out of the signature": by_hand(url, user, leave=["host"]),
        "an altered date": altered(good, x_amz_date="20991122T000000Z"),
        "an altered host": altered(good, host="sts.amazonaws.com"),
        "an altered length": altered(good, content_length="1"),
    }


if __name__ == "__main__":
    if sys.argv[2] == "setup":
        print(json.dumps(setup(sys.argv[1])))
    elif sys.argv[2] == "ask":
        print(ask(sys.argv[1], json.load(sys.stdin)))
    else:
        print(json.dumps(sign(sys.argv[1], json.load(sys.stdin))))
