# SPDX-License-Identifier: MIT
"""Headers of the PROXY protocol, as a proxy sends them: haproxy.org, doc/proxy-protocol.txt."""

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
UNSPECIFIED, TCP4, TCP6, UNIX = 0x00, 0x11, 0x21, 0x31
CRC32C, NOOP, UNIQUE_ID, SSL = 0x03, 0x04, 0x05, 0x20


def v1(client, port=40000):
    version = ipaddress.ip_address(client).version
    here = "127.0.0.1" if version == 4 else "::1"
    return f"PROXY TCP{version} {client} {here} {port} 110\r\n".encode()


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def tls_tlv(client=1):
    return tlv(SSL, bytes([client]) + bytes(4) + tlv(0x21, b"TLSv1.3"))


def crc32c(octets):
    crc = 0xffffffff
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def v2_block(command, family, block):
    return SIGNATURE + struct.pack(">BBH", command, family, len(block)) + block


def v2(client, port=40000, tlvs=b"", checksum=False):
    address = ipaddress.ip_address(client)
    here = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    family = TCP4 if address.version == 4 else TCP6
    block = address.packed + here.packed + struct.pack(">HH", port, 110) + tlvs
    if not checksum:
        return v2_block(PROXY, family, block)
    header = v2_block(PROXY, family, block + tlv(CRC32C, bytes(4)))
    return header[:-4] + struct.pack(">I", crc32c(header))
