#!/usr/bin/env bash
# Looks at both doors with testssl.sh, and fails on any finding above LOW:
#   tests/testssl.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
tool=$(command -v testssl || command -v testssl.sh)
folder=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT

cd "$folder"
"$binary" cert --data data init --name pacs.test >/dev/null
"$binary" serve --data data --http off --dicom off --https 127.0.0.1:0 --dicom-tls 127.0.0.1:0 >ready 2>log &
server=$!
for _ in $(seq 100); do
  grep -q '^gantry ready' ready && break
  sleep 0.1
done
address() { sed -n "s/^gantry ready.* $1=\([^ ]*\).*/\1/p" ready; }

failed=0
for door in https dicom_tls; do
  echo "== $door, $(address "$door")"
  # Nothing but the finding counts: the tool's own status tells of LOW ones as well.
  "$tool" --quiet --color 0 --add-ca data/tls/ca.pem --jsonfile "$door.json" "$(address "$door")" >"$door.txt" 2>&1 || true
  python3 - "$door.json" <<'PYTHON' || { failed=1; }
import json
import sys

try:
    findings = json.load(open(sys.argv[1]))
except (OSError, ValueError) as error:
    sys.exit(f"testssl.sh has said nothing: {error}")
above = [one for one in findings if one["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL")]
low = [one for one in findings if one["severity"] == "LOW"]
for one in low + above:
    print(f'{one["severity"]:8} {one["id"]}: {one["finding"]}')
print(f"{len(findings)} findings, {len(above)} above LOW")
sys.exit(1 if above or len(findings) < 50 else 0)
PYTHON
done
[ "$failed" -eq 0 ] || { cat log; exit 1; }
