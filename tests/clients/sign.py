"""Prints the header that a sender in Python puts beside a body: sha256=HEX, its HMAC by the secret.

python sign.py SECRET BODY
"""

import hashlib
import hmac
import sys

secret, body = sys.argv[1:]
print("sha256=" + hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest())
