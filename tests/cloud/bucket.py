#!/usr/bin/env python3
"""bucket.py make BUCKET | list BUCKET PREFIX | delete BUCKET PREFIX | WAY BUCKET: what scenarios do to the objects of a bucket of the test cloud behind Llama's back.

WAY is how shared results (daemon/share.h) are damaged or forged: see the functions of that name."""

import ctypes
import hashlib
import struct
import sys
import xml.etree.ElementTree

import client

HEADER, PACK_ENTRY, SEGMENT_ENTRY = 16, 56, 88  # bytes; store/pack.h, cache/segment.h
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
zstd = ctypes.CDLL("libzstd.so.1")
for function in ("ZSTD_compressBound", "ZSTD_compress", "ZSTD_decompress"):
    getattr(zstd, function).restype = ctypes.c_size_t
zstd.ZSTD_getFrameContentSize.restype = ctypes.c_ulonglong


def compress(plain):
    space = ctypes.create_string_buffer(zstd.ZSTD_compressBound(ctypes.c_size_t(len(plain))))
    size = zstd.ZSTD_compress(space, ctypes.c_size_t(len(space)), plain, ctypes.c_size_t(len(plain)), 1)
    return space.raw[:size]


def decompress(frame):
    space = ctypes.create_string_buffer(zstd.ZSTD_getFrameContentSize(frame, ctypes.c_size_t(len(frame))))
    size = zstd.ZSTD_decompress(space, ctypes.c_size_t(len(space)), frame, ctypes.c_size_t(len(frame)))
    assert size == len(space)
    return space.raw


class Bucket:
    def __init__(self, name):
        self.path = "/" + name
        self.connection = client.Connection()

    def ask(self, method, target, body=b""):
        status, _, answer = self.connection.send(method, target, client.sign(method, target, {}, body), body)
        assert status in (200, 204), (method, target, status, answer)
        return answer

    def get(self, key):
        return self.ask("GET", f"{self.path}/{key}")

    def put(self, key, body):
        self.ask("PUT", f"{self.path}/{key}", body)

    def delete(self, key):
        self.ask("DELETE", f"{self.path}/{key}")

    def list(self, prefix):
        answer = self.ask("GET", f"{self.path}?list-type=2&prefix={prefix.replace('/', '%2F')}")
        return [key.text for key in xml.etree.ElementTree.fromstring(answer).iter(NAMESPACE + "Key")]


def flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:]


def segment_key(age, content):
    return f"share/{age}-{hashlib.sha256(content).hexdigest()}"


def flip_segments(bucket):
    """A bit of each segment."""
    for key in bucket.list("share/"):
        bucket.put(key, flip(bucket.get(key)))


def rename_segments(bucket):
    """Each segment under another's name."""
    for key in bucket.list("share/"):
        bucket.put(segment_key(key[6:18], key.encode()), bucket.get(key))
        bucket.delete(key)


def plant_segments(bucket):
    """What isn't a segment, by the right name, and younger than all there will be."""
    for content in (b"", b"no segment", compress(b"no segment"), compress(b"LLSG\1\0\0\0\xff\xff\xff\xff\0\0\0\0")):
        bucket.put(segment_key("ffffffffffff", content), content)
    bucket.put("share/ffff-strange", b"")


def swap_packs(bucket):
    """Each pack's bytes under the next one's name."""
    keys = bucket.list("pack/")
    packs = [bucket.get(key) for key in keys]
    for key, pack in zip(keys, packs[1:] + packs[:1]):
        bucket.put(key, pack)


def truncate_packs(bucket):
    """Half of each pack."""
    for key in bucket.list("pack/"):
        pack = bucket.get(key)
        bucket.put(key, pack[:len(pack) // 2])


def lose_packs(bucket):
    """No pack at all."""
    for key in bucket.list("pack/"):
        bucket.delete(key)


def remake_pack(pack, change):
    """A sound pack of what `change` makes of each blob; the digests stay."""
    index, bodies = b"", b""
    n = struct.unpack_from("<I", pack, 8)[0]
    begin = HEADER + n * PACK_ENTRY
    kept = []
    for i in range(n):
        name, size, offset, stored = struct.unpack_from("<32sQQQ", pack, HEADER + i * PACK_ENTRY)
        blob = pack[offset:offset + stored]
        blob = change(blob if stored == size else decompress(blob))
        if blob is not None:
            kept.append((name, blob))
    begin = HEADER + len(kept) * PACK_ENTRY
    for name, blob in kept:
        stored = compress(blob)
        if len(stored) >= len(blob):
            stored = blob
        index += struct.pack("<32sQQQ", name, len(blob), begin + len(bodies), len(stored))
        bodies += stored
    return pack[:8] + struct.pack("<II", len(kept), 0) + index + bodies


def forge_packs(bucket, change):
    """New segments that name new packs, all of which have the names that follow from their bytes."""
    for key in bucket.list("share/"):
        segment = bytearray(decompress(bucket.get(key)))
        for i in range(struct.unpack_from("<I", segment, 8)[0]):
            at = HEADER + i * SEGMENT_ENTRY + 32
            old = segment[at:at + 32].hex()
            pack = remake_pack(bucket.get(f"pack/{old[:2]}/{old}"), change)
            new = hashlib.sha256(pack).digest()
            bucket.put(f"pack/{new.hex()[:2]}/{new.hex()}", pack)
            segment[at:at + 40] = new + struct.pack("<Q", len(pack))
        content = compress(bytes(segment))
        bucket.delete(key)
        bucket.put(segment_key(key[6:18], content), content)


def lie_in_packs(bucket):
    """Another program under the digest of each object."""
    forge_packs(bucket, flip)


def empty_packs(bucket):
    """Packs that lack what the results name."""
    forge_packs(bucket, lambda blob: None)


def main():
    what, name, *rest = sys.argv[1:]
    bucket = Bucket(name)
    if what == "make":
        bucket.ask("PUT", bucket.path)
    elif what == "list":
        for key in bucket.list(*rest):
            print(key)
    elif what == "delete":
        for key in bucket.list(*rest):
            bucket.delete(key)
    else:
        globals()[what](bucket)


if __name__ == "__main__":
    main()
