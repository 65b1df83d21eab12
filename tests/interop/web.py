"""Multipart bodies, in and out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.message import Message

import httpx

DICOM = "application/dicom"
JSON = "application/dicom+json"
XML = "application/dicom+xml"


@dataclass(frozen=True)
class Part:
    headers: dict[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        return media_type(self.headers["content-type"])[0]

    @property
    def parameters(self) -> dict[str, str]:
        return media_type(self.headers["content-type"])[1]


def media_type(header: str) -> tuple[str, dict[str, str]]:
    """A Content-Type's type and parameters, quotes taken off."""
    message = Message()
    message["Content-Type"] = header
    found = message.get_params()
    return found[0][0].lower(), {name.lower(): value for name, value in found[1:]}


def parts(answer: httpx.Response) -> list[Part]:
    """The parts of a multipart/related answer; strict about RFC 2046."""
    kind, parameters = media_type(answer.headers["content-type"])
    assert kind == "multipart/related", answer.headers["content-type"]
    return split(answer.content, parameters["boundary"])


def split(body: bytes, boundary: str) -> list[Part]:
    delimiter = b"--" + boundary.encode()
    assert body.startswith(delimiter) or body.startswith(b"\r\n" + delimiter), body[:80]
    pieces = (b"\r\n" + body).split(b"\r\n" + delimiter)
    assert pieces[-1].startswith(b"--"), "no closing delimiter"
    found = []
    for piece in pieces[1:-1]:
        assert piece.startswith(b"\r\n"), piece[:40]
        head, _, content = piece[2:].partition(b"\r\n\r\n")
        headers = {}
        for line in head.split(b"\r\n"):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        found.append(Part(headers, content))
    return found


def multipart(bodies: list[tuple[dict[str, str], bytes]], boundary: str = "gantry-interop-boundary") -> bytes:
    out = b""
    for headers, body in bodies:
        out += f"--{boundary}\r\n".encode()
        for name, value in headers.items():
            out += f"{name}: {value}\r\n".encode()
        out += b"\r\n" + body + b"\r\n"
    return out + f"--{boundary}--\r\n".encode()


def stow(client: httpx.Client, files: list[bytes], study: str | None = None, accept: str = JSON, boundary: str = "gantry-interop-boundary") -> httpx.Response:
    """STOW-RS of Part 10 files."""
    body = multipart([({"Content-Type": DICOM}, file) for file in files], boundary)
    headers = {"Content-Type": f'multipart/related; type="{DICOM}"; boundary="{boundary}"', "Accept": accept}
    return client.post(f"/studies/{study}" if study else "/studies", content=body, headers=headers)


def stored(answer: httpx.Response) -> list[str]:
    """SOP Instance UIDs of the Referenced SOP Sequence (0008,1199)."""
    return sop_uids(answer.json(), "00081199")


def failed(answer: httpx.Response) -> dict[str, int]:
    """SOP Instance UID → Failure Reason of the Failed SOP Sequence (0008,1198)."""
    items = module(answer.json()).get("00081198", {}).get("Value", [])
    return {item["00081155"]["Value"][0]: item["00081197"]["Value"][0] for item in items}


def module(value) -> dict:
    """The response module, whether the server wraps it in an array (PS3.18 F.2) or not."""
    return value[0] if isinstance(value, list) else value


def sop_uids(value, tag: str) -> list[str]:
    return [item["00081155"]["Value"][0] for item in module(value).get(tag, {}).get("Value", [])]


def dumped(answer: httpx.Response) -> str:
    """An answer for a failure message."""
    try:
        text = json.dumps(answer.json())[:800]
    except ValueError:
        text = repr(answer.content[:400])
    return f"{answer.status_code} {dict(answer.headers)} {text}"
