"""A real S3 server in this process: moto's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@contextmanager
def s3_bucket(name: str) -> Iterator[tuple[str, Any]]:
    """The server's URL and an empty bucket; the environment holds credentials meanwhile."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    import boto3

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        for key, value in CREDENTIALS.items():
            patch.setenv(key, value)
        server.start()
        try:
            host, port = server.get_host_and_port()
            url = f"http://{host}:{port}"
            bucket = boto3.resource("s3", endpoint_url=url).Bucket(name)
            bucket.create()
            yield url, bucket
        finally:
            server.stop()
