#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make_sasl_seeds.py OUT: exchanges as clients have them, as seeds of sasl. The order of the mechanisms is that of
src/sasl/mechanisms.def."""

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


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (mechanism, choices, messages) in EXCHANGES.items():
        (folder / name).write_bytes(bytes([mechanism, choices]) + b"".join(
            len(message).to_bytes(2, "big") + message for message in messages))


main()
