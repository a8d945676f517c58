"""A minimal OCI layout: one layer, one file as the entry point. For tests that are not about images."""

import gzip
import hashlib
import io
import json
import os
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def make_layout(directory, entry, env=()):
    """Make an image in `directory` that runs a copy of the program `entry`."""
    blobs = os.path.join(directory, "blobs", "sha256")
    os.makedirs(blobs)

    def add(data, media_type):
        name = hashlib.sha256(data).hexdigest()
        with open(os.path.join(blobs, name), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": "sha256:" + name, "size": len(data)}

    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        folder = tarfile.TarInfo("bin/")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        with open(entry, "rb") as file:
            data = file.read()
        program = tarfile.TarInfo("bin/entry")
        program.size, program.mode = len(data), 0o755
        archive.addfile(program, io.BytesIO(data))
    layer = add(gzip.compress(tar.getvalue(), mtime=0), LAYER)
    config = add(json.dumps({"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["/bin/entry"], "Env": list(env)},
                             "rootfs": {"type": "layers", "diff_ids": []}}).encode(), CONFIG)
    manifest = add(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}).encode(), MANIFEST)
    with open(os.path.join(directory, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)
    with open(os.path.join(directory, "oci-layout"), "w", encoding="utf-8") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)
