#!/usr/bin/env bash
# Looks for what a step needs and installs it where that is possible without asking:
#   tests/prerequisites.sh [build] [node] [test] [python] [bench] [fuzz] [testssl] [deny] [storescp]
set -euo pipefail

CARGO_DENY_VERSION=0.20.2
STORESCP_VERSION=0.9.3

packages=()

need() { # need PACKAGE COMMAND: the Debian package that brings a command
  command -v "$2" >/dev/null 2>&1 || packages+=("$1")
}

need_venv() {
  python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)
}

install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
      sudo=(sudo)
    else
      echo "missing: ${packages[*]}" >&2
      echo "install with: sudo apt-get install ${packages[*]}" >&2
      exit 1
    fi
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "missing, and this is no Debian: what Debian calls ${packages[*]}" >&2
    exit 1
  fi
  echo "installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  packages=()
}

need_rust() {
  if ! command -v cargo >/dev/null 2>&1; then
    echo "missing: Rust 1.95 or newer; see https://rustup.rs" >&2
    exit 1
  fi
}

need_node() {
  if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null \
    || ! command -v npm >/dev/null 2>&1; then
    echo "missing: Node.js 20.19 or newer, with npm; see https://nodejs.org" >&2
    exit 1
  fi
}

# Orthanc and dcmtk start services of their own when installed; the benchmark starts them itself.
stop_services() {
  local service
  for service in orthanc; do
    if command -v systemctl >/dev/null 2>&1 && systemctl is-active --quiet "$service" 2>/dev/null; then
      systemctl disable --now "$service" || true
    fi
  done
}

for step in "$@"; do
  case "$step" in
    build)
      need_rust
      need build-essential c++
      need cmake cmake
      need nasm nasm
      # SQLCipher, which is compiled with us, takes its ciphers from there.
      [ -e /usr/include/openssl/evp.h ] || packages+=(libssl-dev)
      install_packages
      ;;
    node)
      need_node
      ;;
    python)
      need python3 python3
      install_packages
      need_venv
      install_packages
      ;;
    test)
      need dcmtk storescu
      need dicom3tools dciodvfy
      need python3 python3
      # A receiver of audit messages that we did not write.
      for library in gtls ossl; do
        if ! ls /usr/lib/*/rsyslog/lmnsd_$library.so >/dev/null 2>&1; then
          packages+=(rsyslog rsyslog-gnutls rsyslog-openssl)
          break
        fi
      done
      install_packages
      need_venv
      command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || packages+=(chromium)
      install_packages
      ;;
    bench)
      need dcmtk dcmqrscp
      need python3 python3
      if ! command -v Orthanc >/dev/null 2>&1 || [ ! -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ]; then
        packages+=(orthanc orthanc-dicomweb)
      fi
      install_packages
      stop_services
      ;;
    fuzz)
      cargo +nightly --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
      cargo +nightly fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
      ;;
    testssl)
      need python3 python3
      command -v testssl.sh >/dev/null 2>&1 || need testssl.sh testssl
      install_packages
      ;;
    deny)
      tools=${TOOLS:-$HOME/.cache/gantry-tools}
      if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $CARGO_DENY_VERSION" ]; then
        echo "installing cargo-deny $CARGO_DENY_VERSION into $tools"
        cargo install cargo-deny --locked --version "$CARGO_DENY_VERSION" --root "$tools"
      fi
      ;;
    storescp)
      tools=${TOOLS:-$HOME/.cache/gantry-tools}
      if [ ! -x "$tools/bin/dicom-storescp" ]; then
        echo "installing dicom-storescp into $tools"
        cargo install dicom-storescp --locked --version "$STORESCP_VERSION" --root "$tools"
      fi
      ;;
    *)
      echo "unknown step $step" >&2
      exit 2
      ;;
  esac
done
