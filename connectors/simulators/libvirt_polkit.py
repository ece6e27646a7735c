"""Access rules for a private libvirt daemon: a real polkitd, and users who come to the daemon's socket by a relay.

libvirt asks polkit whether the process at the other end of its socket may do a thing. So each user has a relay of its
own beside the daemon: a process of that user, from a TCP port to the socket.
"""

import shutil
from pathlib import Path

POLKITD = Path("/usr/lib/polkit-1/polkitd")
_TOOLS = {"dbus-daemon": "dbus-daemon", "python3": "python3"}
_FOLDER = "polkit"

SETTINGS: dict[str, object] = {"access_drivers": ["polkit"], "unix_sock_rw_perms": "0777"}
"""What libvirtd.conf says so that the rules are asked, and everybody reaches the socket."""

START = r"""
if [ -d "$d/polkit" ]; then
  mount --bind "$d/polkit" /etc/polkit-1/rules.d
  mkdir /run/dbus; dbus-daemon --system --nopidfile --fork </dev/null >>"$d/polkit.log" 2>&1
  setsid /usr/lib/polkit-1/polkitd --no-debug </dev/null >>"$d/polkit.log" 2>&1 &
fi
"""
"""Shell for the first process of the namespaces, where ``$d`` is the daemon's folder."""

RELAY = r"""python3 -c "$(cat "$d/relay.py")" $rest </dev/null >>"$d/polkit.log" 2>&1 &"""
"""Shell that starts a relay; ``$rest`` is the user's number and the port."""

_RELAY = """
import os, socket, sys, threading
def carry(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
user, port = map(int, sys.argv[1:])
os.setgroups([])
os.setgid(user)
os.setuid(user)
listener = socket.create_server(("127.0.0.1", port))
while True:
    near, _ = listener.accept()
    far = socket.socket(socket.AF_UNIX)
    far.connect("/run/libvirt/libvirt-sock")
    for pair in ((near, far), (far, near)):
        threading.Thread(target=carry, args=pair, daemon=True).start()
"""


def missing() -> str | None:
    """Why rules cannot be asked here and what to install; None where they can."""
    packages = {package for tool, package in _TOOLS.items() if shutil.which(tool) is None}
    if not POLKITD.exists():
        packages.add("polkitd")
    return f"not installed; as root: apt-get install {' '.join(sorted(packages))}" if packages else None


def write(folder: Path, rules: str) -> None:
    """Put rules, polkit's JavaScript, and the relay's program into a daemon's folder. Raises RuntimeError."""
    if problem := missing():
        raise RuntimeError(problem)
    own = folder / _FOLDER
    own.mkdir()
    own.chmod(0o755)  # polkitd is a user of its own
    (own / "10-libvirt.rules").write_text(rules, encoding="utf-8")
    (folder / "relay.py").write_text(_RELAY, encoding="utf-8")
