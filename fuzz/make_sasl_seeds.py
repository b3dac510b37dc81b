#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make_sasl_seeds.py OUT [client]: exchanges as clients have them, as seeds of sasl, or as servers have them, as
seeds of sasl_client. The order of the mechanisms is that of src/sasl/mechanisms.def."""

import pathlib
import sys

BINDING = b"cD10bHMtZXhwb3J0ZXIsLG9jdGV0cyBvZiBhIGNoYW5uZWwgZm9yIGJvdGgAAAAA"
PROOF = b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
EXCHANGES = {
    "external": (0, 8 | 16, [b"alice"]),
    "scram-256-plus": (1, 1 | 4 | 16, [b"p=tls-exporter,,n=alice,r=x",
                                       b"c=" + BINDING + b",r=xnonce,p=" + PROOF, b""]),
    "scram-1-plus": (2, 2 | 4, [b"p=tls-unique,a=alice,n=alice,r=x", b"c=biws,r=xnonce,p=" + PROOF[:28]]),
    "scram-256": (3, 16, [b"n,,n=a=2Clice=3D,r=x", b"c=biws,r=xnonce,p=" + PROOF, b""]),
    "scram-1": (4, 0, [b"y,,n=alice,r=x,t=y", b"c=eSws,r=xnonce,t=y,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="]),
    "oauthbearer": (5, 16 | 32 | 64 | 128, [b"n,a=al=2Cice,\1host=pop.example.org\1port=995\1auth=Bearer x.y==\1\1", b"\1"]),
    "xoauth2": (6, 64, [b"user=alice\1auth=Bearer x\1\1", b""]),
    "cram": (7, 0, [b"alice b913a602c7eda7a495b4e6e7334d3890"]),
    "plain": (8, 16, [b"alice\0alice\0secret"]),
    "login": (9, 0, [b"alice", b"secret"]),
}
FIRST = b"r=nonceX,s=c2FsdA==,i=4096"
CHALLENGES = {
    "external": (0, 0, []),
    "scram-256-plus": (1, 1 | 4, [FIRST, b"v=" + PROOF]),
    "scram-1-plus": (2, 2 | 4, [FIRST + b",x=y", b"v=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="]),
    "scram-256": (3, 0, [FIRST, b"e=invalid-proof"]),
    "scram-1": (4, 1, [b"r=nonceX,s=c2FsdA==,i=10000000", b"v=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=,x=y"]),
    "oauthbearer": (5, 0, [b'{"schemes":[{"a":"}"}],"status":"invalid_token","scope":"x"}']),
    "xoauth2": (6, 0, [b'{"status":"401","schemes":"bearer"}']),
    "cram": (7, 0, [b"<1896.697170952@postoffice.reston.mci.net>"]),
    "plain": (8, 0, [b""]),
    "login": (9, 0, [b"Username:", b"Password:"]),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    exchanges = CHALLENGES if sys.argv[2:] == ["client"] else EXCHANGES
    for name, (mechanism, choices, messages) in exchanges.items():
        (folder / name).write_bytes(bytes([mechanism, choices]) + b"".join(
            len(message).to_bytes(2, "big") + message for message in messages))


main()
