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
    "cram": (5, 0, [b"alice b913a602c7eda7a495b4e6e7334d3890"]),
    "plain": (6, 16, [b"alice\0alice\0secret"]),
    "login": (7, 0, [b"alice", b"secret"]),
}
FIRST = b"r=nonceX,s=c2FsdA==,i=4096"
CHALLENGES = {
    "external": (0, 0, []),
    "scram-256-plus": (1, 1 | 4, [FIRST, b"v=" + PROOF]),
    "scram-1-plus": (2, 2 | 4, [FIRST + b",x=y", b"v=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="]),
    "scram-256": (3, 0, [FIRST, b"e=invalid-proof"]),
    "scram-1": (4, 1, [b"r=nonceX,s=c2FsdA==,i=10000000", b"v=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=,x=y"]),
    "cram": (5, 0, [b"<1896.697170952@postoffice.reston.mci.net>"]),
    "plain": (6, 0, [b""]),
    "login": (7, 0, [b"Username:", b"Password:"]),
}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    exchanges = CHALLENGES if sys.argv[2:] == ["client"] else EXCHANGES
    for name, (mechanism, choices, messages) in exchanges.items():
        (folder / name).write_bytes(bytes([mechanism, choices]) + b"".join(
            len(message).to_bytes(2, "big") + message for message in messages))


main()
