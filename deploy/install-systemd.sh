#!/usr/bin/env bash
# Installs Presence as a service of systemd, or brings one that is there up to this version:
#
#   sudo deploy/install-systemd.sh presence.example.org [https://app.example.org]
#
# The first argument is the name by which clients call the server, the second the origin of the pages
# that use it (the server's own by default). Needs Python 3.11 or newer with venv, and root. What
# stands in /etc/presence.env and /var/lib/presence is kept. With DESTDIR everything goes below that
# folder, and neither users nor services are touched.
set -euo pipefail
cd "$(dirname "$0")/.."

host=${1:-}
origin=${2:-https://$host}
port=${PORT:-3001}
prefix=${DESTDIR:-}
code=$prefix/opt/presence
settings=$prefix/etc/presence.env
units=$prefix/etc/systemd/system

if [ -z "$host" ] && [ ! -e "$settings" ]; then
  echo "Name the host by which clients call the server: $0 presence.example.org" >&2
  exit 2
fi
if [ -z "$prefix" ] && [ "$(id -u)" != 0 ]; then
  echo "This makes a user, folders and a service, so it needs root: sudo $0 $*" >&2
  exit 2
fi
if [ -z "$prefix" ] && ! command -v systemctl >/dev/null 2>&1; then
  echo "There is no systemd on this machine (systemctl). docs/running has other ways to run Presence." >&2
  exit 2
fi

# The user: no password, no shell, nothing of its own but the data.
if [ -z "$prefix" ] && ! id -u presence >/dev/null 2>&1; then
  useradd --system --user-group --home-dir /var/lib/presence --no-create-home \
    --shell /usr/sbin/nologin presence
fi

# The code, which belongs to root and is only read. What an older version had and this one has not goes.
umask 022
install -d "$code" "$units"
for part in app.py gunicorn.conf.py requirements.txt presence templates static clients docs script; do
  rm -rf "${code:?}/$part.new"
  cp -R "$part" "$code/$part.new"
  rm -rf "${code:?}/$part"
  mv "$code/$part.new" "$code/$part"
done
find "$code" -name .venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
(
  cd "$code"
  . script/common.sh
  prepare_venv requirements.txt
)

# The settings: made once, with a key of this server's own, for root and the server alone.
if [ ! -e "$settings" ]; then
  key=$("$code/.venv/bin/python" -c 'import secrets; print(secrets.token_urlsafe(48))')
  (
    umask 077
    cat >"$settings" <<SETTINGS
# Settings of Presence; /opt/presence/presence/config.py has them all. After a change:
# systemctl restart 'presence@*'
PRESENCE_MODE=locked
SECRET_KEY=$key
PRESENCE_ALLOWED_HOSTS=$host
PRESENCE_ALLOWED_ORIGINS=$origin
# One proxy, which ends TLS, stands before the server.
PRESENCE_TRUSTED_PROXIES=1
SETTINGS
  )
fi
install -m 644 "deploy/presence@.service" "$units/"

if [ -n "$prefix" ]; then
  exit
fi
systemctl daemon-reload
systemctl enable --quiet "presence@$port"
# Also those that are there already, which run the old code.
systemctl restart "presence@$port" 'presence@*'
echo "Presence runs: systemctl status presence@$port; journalctl -u presence@$port" >&2
