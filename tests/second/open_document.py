#!/usr/bin/env python3
"""Opens a stored value from shares, customer fragment and document alone.

A second implementation of fragment suite 1, written from the specification in pure Python (standard
library only, nothing of Keysherd's). Whoever has t managers' shares, the customer fragment where
the key has one, and the stored document can open it with this file, without any Keysherd binary.

It is for checking and for disasters, not for speed, and it is not constant-time.

Input: JSON on standard input:
  {"document": base64 of the envelope,
   "keys": [{"key_id": hex, "version": int, "threshold": int, "managers": int,
             "shares": [{"manager": int, "epoch": int, "x": hex (32 bytes, little-endian),
                         "s": {"<bitmap of the holders, decimal>": hex (32 bytes)}}]}],
   "customer_fragments": {"<cf id, 32 hex>": hex (32 bytes)}}
Output: JSON: {"plaintext": base64, "payload_key": hex, "dek": hex, "kek": hex,
         "quorums": how many sets of t agreed, "steps": [hex of leg S, leg G and PRK],
         "partials": [hex of each value of leg S and each encoded point of leg G]}

With --vectors FILE it reproduces every value of the published vectors instead.
Exit status: 0 opened; 1 not opened (the reason is on standard error); 2 wrong use.
"""

import base64
import hashlib
import hmac
import itertools
import json
import sys

# --- ristretto255 (RFC 9496) -----------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def is_negative(x):
    return x % P & 1


def absolute(x):
    x %= P
    return P - x if is_negative(x) else x


def sqrt_ratio(u, v):
    """(was_square, root) as RFC 9496 section 4.2 defines them."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    u %= P
    correct = check == u
    flipped = check == (-u) % P
    flipped_i = check == (-u * SQRT_M1) % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, absolute(r)


INVSQRT_A_MINUS_D = sqrt_ratio(1, (-1 - D) % P)[1]
SQRT_AD_MINUS_ONE = sqrt_ratio((-D - 1) % P, 1)[1]
# The specification fixes this root, which is the odd one.
SQRT_AD_MINUS_ONE = P - SQRT_AD_MINUS_ONE
ONE_MINUS_D_SQ = (1 - D * D) % P
D_MINUS_ONE_SQ = (D - 1) ** 2 % P
IDENTITY = (0, 1, 1, 0)


def add(a, b):
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    aa, bb = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    cc, dd = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = bb - aa, dd - cc, dd + cc, bb + aa
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    scalar %= ORDER
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def encode(point):
    x0, y0, z0, t0 = point
    u1, u2 = (z0 + y0) * (z0 - y0) % P, x0 * y0 % P
    _, invsqrt = sqrt_ratio(1, u1 * u2 * u2)
    den1, den2 = invsqrt * u1 % P, invsqrt * u2 % P
    z_inv = den1 * den2 * t0 % P
    if is_negative(t0 * z_inv):
        x, y, den = y0 * SQRT_M1 % P, x0 * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    else:
        x, y, den = x0, y0, den2
    if is_negative(x * z_inv):
        y = -y % P
    return absolute(den * (z0 - y)).to_bytes(32, "little")


def map_to_point(uniform):
    r0 = int.from_bytes(uniform, "little") % 2**255
    r = SQRT_M1 * r0 * r0 % P
    u = (r + 1) * ONE_MINUS_D_SQ % P
    v = (-1 - r * D) * (r + D) % P
    was_square, s = sqrt_ratio(u, v)
    s = s if was_square else -absolute(s * r0) % P
    c = P - 1 if was_square else r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    return w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P


def expand_message_xmd(message, dst, length):
    """RFC 9380 section 5.3.1 with SHA-512."""
    dst_prime = dst + bytes([len(dst)])
    head = bytes(128) + message + length.to_bytes(2, "big") + b"\0"
    b0 = hashlib.sha512(head + dst_prime).digest()
    block = hashlib.sha512(b0 + b"\1" + dst_prime).digest()
    out = block
    for i in range(2, -(-length // 64) + 1):
        mixed = bytes(a ^ b for a, b in zip(b0, block))
        block = hashlib.sha512(mixed + bytes([i]) + dst_prime).digest()
        out += block
    return out[:length]


def hash_to_group(message):
    dst = b"HashToGroup-OPRFV1-\x01-ristretto255-SHA512"
    uniform = expand_message_xmd(message, dst, 64)
    return add(map_to_point(uniform[:32]), map_to_point(uniform[32:]))


# --- AES-256-GCM (FIPS 197, NIST SP 800-38D) -------------------------------------------------


def make_sbox():
    sbox, p, q = [0] * 256, 1, 1
    while True:
        p ^= (p << 1) ^ (0x11B if p & 0x80 else 0)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 0xFF
        q ^= 0x09 if q & 0x80 else 0
        rotated = [q << n | q >> (8 - n) for n in (1, 2, 3, 4)]
        sbox[p & 0xFF] = (q ^ rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ 0x63) & 0xFF
        if p == 1:
            sbox[0] = 0x63
            return sbox


SBOX = make_sbox()


def double(byte):
    return (byte << 1 ^ (0x1B if byte & 0x80 else 0)) & 0xFF


def round_keys(key):
    words = [list(key[i : i + 4]) for i in range(0, 32, 4)]
    factor = 1
    while len(words) < 60:
        word = list(words[-1])
        if len(words) % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= factor
            factor = double(factor)
        elif len(words) % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(word, words[-8])])
    return [sum(words[i : i + 4], []) for i in range(0, 60, 4)]


def encrypt_block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for number in range(1, 15):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if number < 14:
            mixed = []
            for column in range(0, 16, 4):
                c = state[column : column + 4]
                whole = c[0] ^ c[1] ^ c[2] ^ c[3]
                mixed += [c[i] ^ whole ^ double(c[i] ^ c[(i + 1) % 4]) for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[number])]
    return bytes(state)


def ghash(subkey, data):
    y = 0
    for at in range(0, len(data), 16):
        y ^= int.from_bytes(data[at : at + 16], "big")
        product, factor = 0, subkey
        for bit in range(127, -1, -1):
            if y >> bit & 1:
                product ^= factor
            factor = factor >> 1 ^ (0xE1 << 120 if factor & 1 else 0)
        y = product
    return y.to_bytes(16, "big")


def pad16(data):
    return data + bytes(-len(data) % 16)


def gcm_open(key, nonce, aad, sealed):
    """The plaintext; an exception when the tag is wrong."""
    ciphertext, tag = sealed[:-16], sealed[-16:]
    keys = round_keys(key)
    subkey = int.from_bytes(encrypt_block(keys, bytes(16)), "big")
    lengths = (8 * len(aad)).to_bytes(8, "big") + (8 * len(ciphertext)).to_bytes(8, "big")
    digest = ghash(subkey, pad16(aad) + pad16(ciphertext) + lengths)
    mask = encrypt_block(keys, nonce + b"\0\0\0\1")
    if not hmac.compare_digest(bytes(a ^ b for a, b in zip(digest, mask)), tag):
        raise NotOpened("a tag of AES-GCM is wrong")
    stream = b"".join(
        encrypt_block(keys, nonce + (2 + i).to_bytes(4, "big"))
        for i in range(-(-len(ciphertext) // 16))
    )
    return bytes(a ^ b for a, b in zip(ciphertext, stream))


# --- the derivation --------------------------------------------------------------------------


class NotOpened(Exception):
    """Why the document does not open."""


def hmac256(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def hkdf_expand(prk, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac256(prk, block, info, bytes([counter]))
        out, counter = out + block, counter + 1
    return out[:length]


def kbkdf(key, label, *fields):
    """SP 800-108 counter mode, one block of HMAC-SHA-256."""
    return hmac256(key, b"\0\0\0\1", label, b"\0", *fields, b"\0\0\1\0")


def xor(parts):
    out = bytes(32)
    for part in parts:
        out = bytes(a ^ b for a, b in zip(out, part))
    return out


def leg_s(keys, context):
    partials = {
        bitmap: kbkdf(key, b"KSF1/S", bitmap.to_bytes(2, "big"), context)
        for bitmap, key in keys.items()
    }
    return xor(partials.values()), partials


def interpolate(points):
    """sum of lambda_i * Y_i at zero; points: {manager: point}."""
    total = IDENTITY
    for i, point in points.items():
        weight = 1
        for j in points:
            if j != i:
                weight = weight * j * pow(j - i, ORDER - 2, ORDER) % ORDER
        total = add(total, multiply(weight, point))
    return total


def leg_g(point, context):
    length = len(context).to_bytes(2, "big")
    return hashlib.sha512(length + context + b"\0\x20" + encode(point) + b"Finalize").digest()


def leg_c(fragment, cf_id, context):
    return kbkdf(fragment, b"KSF1/C", cf_id, context) if fragment else bytes(32)


def combine(s, c, g, cf_id, has_fragment, context):
    prk = hmac256(b"KSF1/combine", s, c, g)
    info = b"KSF1/kek\0" + bytes([has_fragment]) + cf_id + context
    both = hkdf_expand(prk, info, 64)
    return prk, both[:32], both[32:]


def context_of(klass, account, key_id, key_version, item_id, item_version, salt):
    head = b"KSF1" + b"\0\1" + bytes([klass, 0])
    ids = account + key_id + key_version.to_bytes(4, "big") + item_id
    return head + ids + item_version.to_bytes(8, "big") + salt


# --- the document ----------------------------------------------------------------------------


class Cursor:
    """Reads fixed lengths and refuses to read past the end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        part = self.data[self.at : self.at + length]
        if len(part) != length:
            raise NotOpened("the document is cut off")
        self.at += length
        return part

    def number(self, length):
        return int.from_bytes(self.take(length), "big")


def parse(document):
    cursor = Cursor(document)
    prefix = cursor.take(8)
    if prefix[:7] != b"KSF1\1\0\1" or prefix[7] & ~1:
        raise NotOpened("this is no envelope of format 1, suite 1")
    header_length = cursor.number(4)
    identity = cursor.take(42)
    wraps = []
    for _ in range(cursor.number(1)):
        fields = cursor.take(101)
        wraps.append(
            {
                "fields": fields,
                "kind": fields[0],
                "key_id": fields[1:17],
                "key_version": int.from_bytes(fields[17:21], "big"),
                "cf_id": fields[21:37],
                "salt": fields[37:69],
                "com": fields[69:101],
                "nonce": cursor.take(12),
                "sealed": cursor.take(48),
            }
        )
    if header_length != cursor.at - 12:
        raise NotOpened("the header's length is wrong")
    chunk_log2 = cursor.take(1)
    return {
        "immutable": prefix + identity + chunk_log2,
        "padded": prefix[7] & 1,
        "account": identity[:16],
        "item_id": identity[16:32],
        "item_version": int.from_bytes(identity[32:40], "big"),
        "class": identity[40],
        "wraps": wraps,
        "chunk": 1 << chunk_log2[0],
        "nonce_prefix": cursor.take(7),
        "pcom": cursor.take(32),
        "chunks": document[cursor.at :],
    }


def open_payload(envelope, dek):
    """The value, and the key of the payload."""
    prk = hmac256(b"KSF1/payload", dek)
    digest = hashlib.sha256(envelope["immutable"]).digest()
    both = hkdf_expand(prk, b"KSF1/pk\0" + digest, 64)
    if not hmac.compare_digest(both[32:], envelope["pcom"]):
        raise NotOpened("the payload does not commit to this data key")
    size, sealed = envelope["chunk"] + 16, envelope["chunks"]
    count = max(1, -(-len(sealed) // size))
    value = b""
    for i in range(count):
        last = bytes([i == count - 1])
        nonce = envelope["nonce_prefix"] + i.to_bytes(4, "big") + last
        chunk = sealed[i * size : (i + 1) * size]
        value += gcm_open(both[:32], nonce, envelope["immutable"], chunk)
    if envelope["padded"]:
        value = value[: int.from_bytes(value[-4:], "big")]
    return value, both[:32]


def keks(key, fragment, cf_id, context):
    """(KEK, COM, (leg S, leg G, PRK)) of every quorum of t managers, computed one by one."""
    threshold = key["threshold"]
    hashed = hash_to_group(context)
    holders = {share["manager"]: share for share in key["shares"]}
    points = {
        manager: multiply(int.from_bytes(bytes.fromhex(share["x"]), "little"), hashed)
        for manager, share in holders.items()
    }
    for quorum in itertools.combinations(sorted(holders), threshold):
        if len({holders[manager].get("epoch", 0) for manager in quorum}) != 1:
            continue
        keys = {}
        for manager in quorum:
            for bitmap, value in holders[manager]["s"].items():
                keys[int(bitmap)] = bytes.fromhex(value)
        s, _ = leg_s(keys, context)
        g = leg_g(interpolate({manager: points[manager] for manager in quorum}), context)
        c = leg_c(fragment, cf_id, context)
        prk, kek, com = combine(s, c, g, cf_id, fragment is not None, context)
        yield kek, com, (s, g, prk)


def partials(key, context):
    """What the managers answer: values of leg S, and points of leg G."""
    hashed = hash_to_group(context)
    for share in key["shares"]:
        keys = {int(bitmap): bytes.fromhex(value) for bitmap, value in share["s"].items()}
        yield from leg_s(keys, context)[1].values()
        x = int.from_bytes(bytes.fromhex(share["x"]), "little")
        yield encode(multiply(x, hashed))


def unwrap(envelope, wrap, key, fragments):
    cf_id = wrap["cf_id"]
    fragment = None
    if any(cf_id):
        if cf_id.hex() not in fragments:
            raise NotOpened("customer fragment cf-%s is needed and not given" % cf_id.hex())
        fragment = bytes.fromhex(fragments[cf_id.hex()])
        if len(fragment) != 32:
            raise NotOpened("a customer fragment has 32 bytes")
    context = context_of(
        envelope["class"],
        envelope["account"],
        wrap["key_id"],
        wrap["key_version"],
        envelope["item_id"],
        envelope["item_version"],
        wrap["salt"],
    )
    found = list(keks(key, fragment, cf_id, context))
    derived = set(found)
    if not derived:
        raise NotOpened("fewer than %d shares of one epoch" % key["threshold"])
    if len(derived) != 1:
        raise NotOpened("the quorums do not agree: a share is wrong")
    kek, com, steps = derived.pop()
    if not hmac.compare_digest(com, wrap["com"]):
        raise NotOpened("the wrap does not commit to the derived key")
    aad = envelope["immutable"] + wrap["fields"]
    return {
        "kek": kek.hex(),
        "dek": gcm_open(kek, wrap["nonce"], aad, wrap["sealed"]).hex(),
        "quorums": len(found),
        "steps": [value.hex() for value in steps],
        "partials": sorted({value.hex() for value in partials(key, context)}),
    }


def open_document(given):
    envelope = parse(base64.b64decode(given["document"], validate=True))
    keys = {(key["key_id"], key["version"]): key for key in given["keys"]}
    fragments = given.get("customer_fragments", {})
    for wrap in envelope["wraps"]:
        key = keys.get((wrap["key_id"].hex(), wrap["key_version"]))
        if wrap["kind"] != 1 or key is None:
            continue
        opened = unwrap(envelope, wrap, key, fragments)
        value, key = open_payload(envelope, bytes.fromhex(opened["dek"]))
        shown = {"plaintext": base64.b64encode(value).decode(), "payload_key": key.hex()}
        return {**shown, **opened}
    raise NotOpened("no wrap of the document is under a key whose shares were given")


# --- the published vectors -------------------------------------------------------------------


def expect(case, what, got, wanted):
    if got != wanted:
        raise NotOpened("%s: %s is %s, not %s" % (case["name"], what, got, wanted))


def check_case(case):
    raw = {name: bytes.fromhex(case[name]) for name in ("account_id", "key_id", "item_id", "salt")}
    context = context_of(
        case["class"],
        raw["account_id"],
        raw["key_id"],
        case["key_version"],
        raw["item_id"],
        case["item_version"],
        raw["salt"],
    )
    expect(case, "context", context.hex(), case["context"])
    keys = {int(b): bytes.fromhex(k) for b, k in case["leg_s"]["keys"].items()}
    s, partials = leg_s(keys, context)
    shown = {str(b): p.hex() for b, p in partials.items()}
    expect(case, "leg S partials", shown, case["leg_s"]["partials"])
    expect(case, "leg S", s.hex(), case["leg_s"]["value"])
    hashed = hash_to_group(context)
    expect(case, "hashed point", encode(hashed).hex(), case["leg_g"]["hashed_point"])
    points = {}
    for manager, share in case["leg_g"]["shares"].items():
        scalar = int.from_bytes(bytes.fromhex(share), "little")
        points[int(manager)] = multiply(scalar, hashed)
        wanted = case["leg_g"]["partial_points"][manager]
        expect(case, "partial point", encode(points[int(manager)]).hex(), wanted)
    fragment = case["leg_c"].get("customer_fragment")
    cf_id = bytes.fromhex(case["leg_c"].get("customer_fragment_id") or "00" * 16)
    fragment = bytes.fromhex(fragment) if fragment else None
    c = leg_c(fragment, cf_id, context)
    expect(case, "leg C", c.hex(), case["leg_c"]["value"])
    for quorum in itertools.combinations(sorted(points), case["threshold"]):
        point = interpolate({manager: points[manager] for manager in quorum})
        expect(case, "point", encode(point).hex(), case["leg_g"]["point"])
        g = leg_g(point, context)
        expect(case, "leg G", g.hex(), case["leg_g"]["value"])
        prk, kek, com = combine(s, c, g, cf_id, fragment is not None, context)
        expect(case, "PRK", prk.hex(), case["prk"])
        expect(case, "KEK", kek.hex(), case["kek"])
        expect(case, "commitment", com.hex(), case["commitment"])


def main(arguments):
    try:
        if len(arguments) == 2 and arguments[0] == "--vectors":
            with open(arguments[1], encoding="utf-8") as file:
                cases = json.load(file)["cases"]
            for case in cases:
                check_case(case)
            print("%d cases agree" % len(cases))
            return 0
        if arguments:
            print(__doc__, file=sys.stderr)
            return 2
        print(json.dumps(open_document(json.load(sys.stdin))))
        return 0
    except NotOpened as reason:
        print("not opened: %s" % reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
