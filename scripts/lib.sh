# Shared by ./test and scripts/*: where things are kept, and how a missing system package arrives.
# Sourced, never run. Everything human goes to standard error: some callers print a path on standard output.

LATCHKEY_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Tools and environments are kept between runs; delete the folder to start afresh.
LATCHKEY_CACHE=${LATCHKEY_CACHE:-$LATCHKEY_ROOT/.cache}

say() { printf '%s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# apt_install PACKAGE...   only when root on a system with apt; says what to do otherwise.
apt_install() {
  if ! command -v apt-get >/dev/null 2>&1 || [[ $(id -u) -ne 0 ]]; then
    die "Missing system packages. Install these and run again: $*"
  fi
  say "Installing system packages: $*"
  # Lists may be old or absent on a fresh machine; a refused update is fatal only if the install fails too.
  DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null >&2 || say "apt-get update failed; trying with the lists at hand."
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2 ||
    die "apt-get could not install: $*"
}

# Node.js at a version that the tests can use.
need_node() {
  node_is_new_enough || apt_install nodejs
  node_is_new_enough || die "The tests need Node.js 20 or newer; this is $(node --version 2>&1)."
}

node_is_new_enough() {
  command -v node >/dev/null 2>&1 && [[ $(node -p 'Number(process.versions.node.split(".")[0]) >= 20') == true ]]
}

# once NAME COMMAND...   runs COMMAND unless `$LATCHKEY_CACHE/NAME/.complete` exists. COMMAND fills the folder
# `$LATCHKEY_CACHE/NAME`; a half-filled one left by an interrupted run is removed first. Concurrent runs wait.
once() {
  local folder=$LATCHKEY_CACHE/$1
  shift
  [[ -e $folder/.complete ]] && return 0
  mkdir -p "$LATCHKEY_CACHE"
  (
    if command -v flock >/dev/null 2>&1; then
      flock -w 1200 9 || die "Another run has been setting up $folder for 20 minutes; giving up."
    fi
    [[ -e $folder/.complete ]] && exit 0
    rm -rf "$folder"
    mkdir -p "$folder"
    # The lock is not handed down: a process that a tool leaves behind must not hold it.
    "$@" 9>&-
    touch "$folder/.complete"
  ) 9>"$folder.lock"
}

# A Python that can make virtual environments, by its path.
python_with_venv() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
      command -v "$python"
      return
    fi
  done
  apt_install python3 python3-venv
  command -v /usr/bin/python3
}

# Prints a checksum of the files given, short enough for a folder name.
short_hash() { cat "$@" | cksum | cut -d' ' -f1; }

# npm_packages FOLDER   what FOLDER/package-lock.json names, into FOLDER/node_modules.
npm_packages() {
  local folder=$LATCHKEY_ROOT/$1 name
  name=npm-$(short_hash "$LATCHKEY_ROOT/$1/package-lock.json")
  # Another checkout may share the cache, or somebody removed the folder.
  [[ -d $folder/node_modules ]] || rm -rf "${LATCHKEY_CACHE:?}/$name"
  once "$name" npm_ci "$folder"
}

npm_ci() {
  say "Installing the npm packages of ${1#"$LATCHKEY_ROOT/"}/"
  npm --prefix "$1" ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null >&2
}
