"""Buckets at a stand-in for AWS, by the cloud vendor's library, with the credentials of
`identities.py setup` on standard input: `bucket.py URL make|read NAME`.
"""

import json
import sys

import boto3

URL, WHAT, NAME = sys.argv[1:]
access_id, access_key, _ = json.load(sys.stdin)["user"]
s3 = boto3.client("s3", endpoint_url=URL, region_name="us-east-1",
                  aws_access_key_id=access_id, aws_secret_access_key=access_key)
if WHAT == "make":
    s3.create_bucket(Bucket=NAME)
else:
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=NAME):
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket=NAME, Key=entry["Key"])["Body"]
            found[entry["Key"]] = body.read().decode()
    print(json.dumps(found))
